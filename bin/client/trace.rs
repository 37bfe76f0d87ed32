//! The output of `-v`: the exchange as a ladder, each datagram split into its fields.

use std::io::{self, Write};
use std::net::SocketAddrV6;
use std::time::Duration;

use super::terminal;
use calc6::client::{Event, Peer};
use calc6::exchange::Received;
use calc6::view::{Drawing, Ladder, Step, Style, View, dump};
use calc6::wire::extended;

/// Draws datagrams as they are sent and received.
#[derive(Debug)]
pub struct Trace {
    style: Style,
    ladder: Ladder,
    /// The peer on the right side of the ladder.
    peer: Option<SocketAddrV6>,
    /// The latest datagrams that were sent, and how often.
    sent: Vec<(SocketAddrV6, Vec<u8>, u32)>,
}

/// Requests that replies are still matched with.
const REMEMBERED: usize = 256;

impl Trace {
    /// A trace for standard error: in colours if that is a terminal that shows them.
    pub fn for_stderr() -> Trace {
        let variable = std::env::var_os;
        let style =
            Style::choose(terminal::shows_colours(), variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
        Trace::new(style, terminal::columns())
    }

    fn new(style: Style, width: usize) -> Trace {
        const WIDEST: usize = 100;
        Trace { style, ladder: Ladder::new(style, width.min(WIDEST)), peer: None, sent: Vec::new() }
    }

    /// Draws an event on standard error; errors are ignored.
    pub fn show(&mut self, time: Duration, event: &Event<'_>) {
        let drawn = self.draw(time, event);
        let _ = io::stderr().lock().write_all(drawn.as_bytes());
    }

    fn draw(&mut self, time: Duration, event: &Event<'_>) -> String {
        let peer = event.peer();
        let head = if self.peer.replace(peer) == Some(peer) {
            String::new()
        } else {
            self.ladder.head("client", &Peer(peer).to_string())
        };
        head + &match *event {
            Event::Sent { datagram, .. } => self.sent(time, peer, datagram),
            Event::Received { datagram, received, .. } => self.received(time, peer, datagram, received),
            Event::Oversize { .. } => self.ladder.rung(time, Step::Ignored("longer than any reply"), "a datagram"),
            Event::Failed { error, .. } => self.ladder.rung(time, Step::Note, &error.to_string()),
            _ => String::new(),
        }
    }

    fn sent(&mut self, time: Duration, peer: SocketAddrV6, datagram: &[u8]) -> String {
        let view = View::request(datagram);
        let known = self.sent.iter_mut().find(|(to, octets, _)| *to == peer && octets == datagram);
        if let Some((_, _, times)) = known {
            *times = times.saturating_add(1);
            return self.ladder.rung(time, Step::Repeated(*times), &rung_text(&view));
        }
        if self.sent.len() == REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push((peer, datagram.to_vec(), 1));
        self.ladder.rung(time, Step::Sent, &rung_text(&view)) + &self.dump(&view)
    }

    fn received(&self, time: Duration, peer: SocketAddrV6, datagram: &[u8], received: Received) -> String {
        let view = View::reply(datagram, self.request_of(peer, datagram));
        let text = rung_text(&view);
        match received {
            Received::Accepted => self.ladder.rung(time, Step::Received, &text) + &self.dump(&view),
            Received::Widened => {
                let note = self.ladder.rung(time, Step::Note, "asked again, with operands wide enough for the reply");
                self.ladder.rung(time, Step::Received, &text) + &self.dump(&view) + &note
            }
            Received::ProbeAnswered => {
                let note = "the peer is there; does it know the extended form?";
                self.ladder.rung(time, Step::Ignored(note), &text) + &self.dump(&view)
            }
            Received::Ignored(why) => {
                self.ladder.rung(time, Step::Ignored(&why.to_string()), &text) + &self.dump(&view)
            }
            _ => self.ladder.rung(time, Step::Note, &text),
        }
    }

    /// By the identifier, else the last that was sent to this peer.
    fn request_of(&self, peer: SocketAddrV6, reply: &[u8]) -> Option<&[u8]> {
        let sent = || self.sent.iter().rev().filter(|(to, ..)| *to == peer).map(|(_, octets, _)| &octets[..]);
        let id = extended::id(reply);
        sent().find(|request| id.is_some() && extended::id(request) == id).or_else(|| sent().next())
    }

    fn dump(&self, view: &View<'_>) -> String {
        dump(view, &Drawing::default().with_style(self.style))
    }
}

fn rung_text(view: &View<'_>) -> String {
    format!("{view} ({})", view.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use calc6::exchange::IgnoredReason;

    #[test]
    fn an_exchange_with_a_repeat_and_an_ignored_datagram() {
        let mut trace = Trace::new(Style::Plain, 80);
        let peer = SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 10000, 0, 0);
        let request = [0x00, 0, 0, 0, 4, 0, 0, 0, 2];
        let duplicate = Received::Ignored(IgnoredReason::Duplicate);
        let events = [
            Event::Sent { peer, datagram: &request, transmission: 1 },
            Event::Sent { peer, datagram: &request, transmission: 2 },
            Event::Received { peer, datagram: &[0xff, 0, 0, 0, 6], received: Received::Accepted },
            Event::Received { peer, datagram: &[0xff, 0, 0, 0, 6], received: duplicate },
        ];
        let drawn: String =
            (0..).zip(&events).map(|(at, event)| trace.draw(Duration::from_millis(at), event)).collect();
        let expected = "              client                                              ::1 port 10000
    0.000 ms  |-- + 4 2 (classic request, 9 octets) -------------------------->|
0000  00  0000....             Unused              0  [2.2]
          ....000.             Opcode              0 sum  [2.3]
          .......0             Format              0 integer  [2.4]
0001  00 00 00 04              Operand 1           4  [2.1]
0005  00 00 00 02              Operand 2           2  [2.1]
    1.000 ms  |-- + 4 2 (classic request, 9 octets) (sent 2 times) ----------->|
    2.000 ms  |<- = 6 (classic reply, 5 octets) -------------------------------|
0000  ff  1.......             Success             1 yes  [2.5]
          .1111111             Unused              127  [2.5]
0001  00 00 00 06              Result              6 integer  [2.4]
    3.000 ms  |x- = 6 (classic reply, 5 octets) -------------------------------|
";
        assert!(drawn.starts_with(expected), "\n{drawn}");
        assert!(drawn.contains("ignored: "), "\n{drawn}");
    }
}
