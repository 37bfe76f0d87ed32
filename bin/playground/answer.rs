//! What a server answers, and how much it may.

use calc6::responder::{Limits, Verdict, respond};
use calc6::view::{Severity, View};
use calc6::wire::{self, Format, Status};
use serde::Serialize;
use serde_json::Value;

use crate::calls::value;
use crate::explain::json::{DescriptionJson, hexadecimal};

/// Where the specification bounds replies.
const LENGTH_CLAUSE: &str = "4.2";

/// What a server makes of a datagram.
#[derive(Debug, Serialize)]
pub struct ServerAnswer {
    /// The reply, described; null if there is none.
    reply: Option<Value>,
    /// The reply's octets in hexadecimal; null if there is none.
    octets: Option<String>,
    /// Why there is no reply; null if there is one.
    silence: Option<&'static str>,
    /// Whether the reply carries a result.
    result: bool,
    /// What is wrong with the request, and the clause that says so: why there is no reply or no result.
    because: Option<Because>,
    /// The clause that decides on the answer.
    decides: &'static str,
    request_len: usize,
    reply_len: usize,
    /// As many octets as the reply may have for the length of its request.
    by_request: usize,
    /// As many as the server ever sends.
    by_server: usize,
    /// The clause that bounds the length.
    clause: &'static str,
    #[serde(skip)]
    raw: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct Because {
    text: String,
    clause: &'static str,
}

impl ServerAnswer {
    /// What a server with its usual limits answers to `request`.
    pub fn to(request: &[u8]) -> ServerAnswer {
        let limits = Limits::default();
        let mut reply = vec![0; limits.max_reply.octets()];
        let format = request.first().map_or(Format::Integer, |&first| Format::of(first));
        let (raw, status, silence, decides) = match respond(request, &mut reply, &limits) {
            Verdict::Reply(answer) => (reply[..answer.len].to_vec(), Some(answer.status), None, answer.clause(format)),
            Verdict::Silence(reason) => (Vec::new(), None, Some(reason.name()), reason.clause()),
        };
        let view = View::request(request);
        let wrong = view.faults().iter().find(|fault| fault.severity == Severity::Wrong);
        let result = matches!(status, Some(Status::Ok));
        let described = silence.is_none().then(|| value(&DescriptionJson::new(&View::reply(&raw, Some(request)))));
        ServerAnswer {
            reply: described.and_then(Result::ok),
            octets: silence.is_none().then(|| hexadecimal(&raw)),
            silence,
            result,
            because: wrong.map(|fault| Because { text: fault.text.clone(), clause: fault.clause }),
            decides,
            request_len: request.len(),
            reply_len: raw.len(),
            by_request: wire::reply_limit(request.len(), usize::MAX),
            by_server: limits.max_reply.octets(),
            clause: LENGTH_CLAUSE,
            raw,
        }
    }

    /// The reply, if there is one.
    pub fn octets(&self) -> Option<&[u8]> {
        self.octets.is_some().then_some(&self.raw)
    }

    /// What is wrong with the request, in words; empty if nothing is.
    pub fn reason(&self) -> &str {
        self.because.as_ref().map_or("", |because| &because.text)
    }

    /// The clause that decides on the answer.
    pub fn decides(&self) -> &'static str {
        self.decides
    }
}
