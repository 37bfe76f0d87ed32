//! What came of one datagram, and what has been seen over all.

use std::net::SocketAddr;

use calc6::wire::{AMPLIFICATION, Kind, classic};

use crate::check::report::hex;

/// A datagram that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceivedReply {
    /// Where it came from.
    pub from: SocketAddr,
    /// Its payload.
    pub octets: Vec<u8>,
}

/// What came of one datagram.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The datagram.
    pub sent: Vec<u8>,
    /// What it was answered with, without the control's answer; several, if there were several.
    pub replies: Vec<ReceivedReply>,
    /// How the server ended, or that it no longer answers.
    pub end: Option<String>,
}

impl Probe {
    /// The first reply.
    pub fn reply(&self) -> Option<&[u8]> {
        self.replies.first().map(|reply| &reply.octets[..])
    }

    /// What was found, in words.
    pub fn found(&self) -> String {
        match (&self.replies[..], &self.end) {
            ([], Some(end)) => format!("nothing: {end}"),
            ([], None) => "nothing".into(),
            (replies, _) => replies.iter().map(|reply| hex(&reply.octets)).collect::<Vec<_>>().join(", then "),
        }
    }
}

/// A datagram after which the server had ended.
#[derive(Clone, Debug)]
pub struct End {
    /// The datagram.
    pub datagram: Vec<u8>,
    /// How it ended.
    pub how: String,
}

/// What has been seen over all datagrams.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// A request, and more than one reply to it.
    pub several: Option<Probe>,
    /// A request of classic form, and a reply of more octets than the form allows.
    pub too_long: Option<Probe>,
    /// A request, and a reply of more than three times its length.
    pub amplified: Option<Probe>,
    /// A datagram after which the next request was lost, although a later one was answered.
    pub swallowed: Option<Vec<u8>>,
    /// What ended the server.
    pub ends: Vec<End>,
}

impl Observed {
    /// Notes what is unusual about the replies to one datagram.
    pub fn note(&mut self, asked: &Probe) {
        let request = asked.sent.len();
        let over = |limit: usize| asked.replies.iter().any(|reply| reply.octets.len() > limit);
        let note = |seen: &mut Option<Probe>, is: bool| {
            if is && seen.is_none() {
                *seen = Some(asked.clone());
            }
        };
        note(&mut self.several, asked.replies.len() > 1);
        let extended = Kind::of(&asked.sent) == Kind::Extended;
        // One NUL after the digits is a note of its own (clause 2.11).
        let too_long = |reply: &ReceivedReply| without_nul(&reply.octets).len() > classic::MAX_REPLY;
        note(&mut self.too_long, !extended && asked.replies.iter().any(too_long));
        note(&mut self.amplified, request > 0 && over(AMPLIFICATION * request));
        if let Some(how) = &asked.end {
            self.ends.push(End { datagram: asked.sent.clone(), how: how.clone() });
        }
    }
}

/// Digits without one NUL at their end.
pub fn without_nul(text: &[u8]) -> &[u8] {
    text.strip_suffix(&[0]).unwrap_or(text)
}
