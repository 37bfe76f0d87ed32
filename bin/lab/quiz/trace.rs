//! The capture that a quiz asks about: simulated with the client's own state machine, or an excerpt of a file.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use calc6::exchange::{Exchange, Forms, PortSharing, Question, Retransmission};
use calc6::responder::{Limits, Verdict, respond};
use calc6::view::{Direction, Name};
use calc6::wire::{Format, MAX_REPLY, Operator};

use super::draw::SeededDraw;
use super::question::hex;
use crate::Failure;
use crate::explain::capture::{self, Capture};
use crate::explain::pairs::{Flow, Relation};
use crate::explain::sequence::{ExplainInput, Seen, Sequence};
use crate::pcap::{CaptureWriter, PacketDirection, Record};

/// The most datagrams of a file that a quiz shows.
const EXCERPT: usize = 14;

/// The most octets of a datagram that are shown.
const SHOWN_OCTETS: usize = 32;

/// The server of the simulation, and its client (documentation prefix, RFC 3849).
const SERVER: &str = "[2001:db8::1]:10000";
const CLIENT: &str = "2001:db8::2";

/// A capture.
#[derive(Clone, Debug)]
pub struct QuizTrace {
    /// What it is, in a sentence.
    pub about: String,
    /// In the order of time.
    pub frames: Vec<TraceFrame>,
}

/// A datagram of a capture, and what is known about it.
#[derive(Clone, Debug)]
pub struct TraceFrame {
    /// Its number in the capture, as Wireshark shows it.
    pub number: u64,
    /// Since the first datagram.
    pub time: Duration,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub octets: Vec<u8>,
    pub direction: Direction,
    /// Octets that the capture lacks.
    missing: usize,
    /// Its relation to earlier datagrams; numbers are those of the capture.
    pub relation: Relation,
    /// Client and server.
    pub flow: Flow,
    /// Whether it could be judged and something is wrong with it.
    pub wrong: bool,
    /// Whether it is a reply that reports an error.
    pub error: bool,
    /// The value of its field Result.
    pub result: Option<String>,
    /// The first fault found in it.
    pub fault: Option<(String, &'static str)>,
}

/// What happens to an exchange of the simulation.
#[derive(Clone, Copy, Debug)]
enum ExchangeFate {
    /// Nothing.
    Kind,
    /// The first request, or the reply to it, is lost.
    LoseFirst,
    /// Everything is lost.
    LoseAll,
    /// The reply arrives twice.
    Duplicate,
    /// The reply arrives after the request has been repeated.
    Late,
    /// The server computes a wrong result.
    Wrong,
    /// The server does not know the opcode.
    Error,
}

impl QuizTrace {
    /// Some exchanges of one client and one server, each with its own fate, overlapping in time. Captured at the
    /// client: lost requests are in the capture, lost replies are not.
    pub fn simulated(draw: &mut SeededDraw) -> Self {
        let mut others =
            [ExchangeFate::Late, ExchangeFate::Error, ExchangeFate::Wrong, ExchangeFate::LoseAll, ExchangeFate::Kind];
        draw.shuffle(&mut others);
        // The fates that most questions are about are always included.
        let mut fates = [ExchangeFate::LoseFirst, ExchangeFate::Duplicate, others[0], others[1], others[2]];
        draw.shuffle(&mut fates);
        let mut frames = Vec::new();
        let mut port = 40_000 + draw.between(0..=9_000) as u16;
        let mut start = Duration::ZERO;
        for fate in fates {
            exchange(draw, fate, port, start, &mut frames);
            port += draw.between(1..=900) as u16;
            start += Duration::from_millis(draw.between(50..=700).into());
        }
        frames.sort_by_key(|frame| frame.time);
        (1..).zip(&mut frames).for_each(|(number, frame)| frame.number = number);
        let about =
            "A capture at the client: what it sent is there, lost or not; what was lost on the way to it is not.";
        Self { about: about.into(), frames: explained(frames) }
    }

    /// An excerpt of a capture file: the part that gives the most questions.
    ///
    /// # Errors
    /// Not a capture, no UDP in it, or no datagrams from or to the port.
    pub fn read(path: &Path, port: Option<u16>, draw: &mut SeededDraw) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::run(path.display(), error);
        let mut file = Vec::new();
        let read = File::open(path).and_then(|mut opened| opened.read_to_end(&mut file));
        read.map_err(|error| Failure::run(format_args!("cannot read {}", path.display()), error))?;
        let ports = capture::ports(&file).map_err(|error| failed(&error))?;
        let Some(port) = port.or(ports.first().copied()) else {
            return Err(Failure::Run(format!("{}: no UDP datagram in it", path.display())));
        };
        let mut capture = Capture::new(Box::new(std::io::Cursor::new(file)), port).map_err(|error| failed(&error))?;
        let mut frames = Vec::new();
        while let Some(datagram) = capture.next_datagram() {
            let datagram = datagram.map_err(|error| failed(&error))?;
            let number = datagram.number();
            let ExplainInput { octets, message, seen } = datagram.as_datagram();
            let (Some(direction), Some(Seen { time, from, to, missing })) = (message, seen) else { continue };
            frames.push(TraceFrame { missing, ..TraceFrame::new(number, time, from, to, octets.to_vec(), direction) });
        }
        if frames.is_empty() {
            let known: Vec<String> = ports.iter().take(8).map(u16::to_string).collect();
            let (path, known) = (path.display(), known.join(", "));
            return Err(Failure::Run(format!(
                "{path}: no datagram from or to port {port}; there are some to port {known}"
            )));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        if frames.len() <= EXCERPT {
            return Ok(Self { about: format!("The capture {name}, port {port}."), frames: explained(frames) });
        }
        let plain = |relation: &Relation| matches!(relation, Relation::First | Relation::ReplyTo { .. });
        let worth = |window: &[TraceFrame]| {
            explained(window.to_vec()).iter().filter(|frame| !plain(&frame.relation) || frame.error).count()
        };
        // Windows that overlap by half; a capture of a hundred thousand datagrams is enough to choose from.
        let starts = (0..=frames.len() - EXCERPT).step_by(EXCERPT / 2).take(10_000);
        let windows: Vec<(usize, &[TraceFrame])> =
            starts.map(|at| &frames[at..at + EXCERPT]).map(|window| (worth(window), window)).collect();
        let most = windows.iter().map(|(worth, _)| *worth).max().unwrap_or_default();
        let best: Vec<&[TraceFrame]> =
            windows.iter().filter(|(worth, _)| *worth == most).map(|(_, window)| *window).collect();
        let chosen = explained(draw.pick(&best).to_vec());
        Ok(Self { about: format!("An excerpt of the capture {name}, port {port}."), frames: chosen })
    }

    /// The datagram of that number.
    pub fn frame(&self, number: u64) -> Option<&TraceFrame> {
        self.frames.iter().find(|frame| frame.number == number)
    }

    /// A table like Wireshark's packet list.
    pub fn table(&self) -> String {
        let widest = |end: fn(&TraceFrame) -> SocketAddr| {
            self.frames.iter().map(|frame| end(frame).to_string().len()).max().unwrap_or_default()
        };
        let (from, to) = (widest(|frame| frame.from), widest(|frame| frame.to));
        let mut table = format!("  No.   Time (s)  {:<from$}  {:<to$}  UDP payload", "Source", "Destination");
        for frame in &self.frames {
            let shown = frame.octets.len().min(SHOWN_OCTETS);
            let rest = match frame.octets.len() - shown + frame.missing {
                0 => String::new(),
                rest => format!(" … {rest} more"),
            };
            let octets = if frame.octets.is_empty() { "(no octets)".into() } else { hex(&frame.octets[..shown]) };
            let (number, time) = (frame.number, frame.time.as_secs_f64());
            let (source, destination) = (frame.from.to_string(), frame.to.to_string());
            table += &format!("\n{number:>5}  {time:>9.6}  {source:<from$}  {destination:<to$}  {octets}{rest}");
        }
        table
    }

    /// Writes it as pcapng, for Wireshark.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::run(format_args!("cannot write {}", path.display()), error);
        let mut writer = CaptureWriter::create(path, &[("quiz", "the capture of a quiz")]).map_err(failed)?;
        for frame in &self.frames {
            let direction = match frame.direction {
                Direction::Request => PacketDirection::Out,
                Direction::Reply => PacketDirection::In,
            };
            let TraceFrame { time, from, to, ref octets, .. } = *frame;
            let time = UNIX_EPOCH + time;
            let record = Record { interface: 0, time, direction, from, to, payload: octets, comment: "" };
            writer.record(record).map_err(failed)?;
        }
        writer.flush().map_err(failed)
    }
}

impl TraceFrame {
    fn new(
        number: u64,
        time: Duration,
        from: SocketAddr,
        to: SocketAddr,
        octets: Vec<u8>,
        direction: Direction,
    ) -> Self {
        Self {
            number,
            time,
            from,
            to,
            octets,
            direction,
            missing: 0,
            relation: Relation::First,
            flow: None,
            wrong: false,
            error: false,
            result: None,
            fault: None,
        }
    }
}

/// One exchange in virtual time, on its own socket.
fn exchange(draw: &mut SeededDraw, fate: ExchangeFate, port: u16, start: Duration, frames: &mut Vec<TraceFrame>) {
    let retries = if matches!(fate, ExchangeFate::LoseAll) { 1 } else { 2 };
    let config = Retransmission::default().with_retries(retries).with_probe(false);
    let (Ok(server), Ok(client)) = (SERVER.parse(), format!("[{CLIENT}]:{port}").parse()) else { return };
    let question = question(draw);
    let mut exchange = Exchange::new(question, PortSharing::Exclusive, &config, start, &mut || draw.bits());
    let mut now = start;
    let mut on_the_way: Vec<(Duration, Vec<u8>)> = Vec::new();
    let mut sent = 0;
    loop {
        while let Some(request) = exchange.transmit(now) {
            let mut request = request.to_vec();
            sent += 1;
            if matches!(fate, ExchangeFate::Error) && request[0] & 0x0e != 0x0e {
                // An opcode that no server knows.
                request[0] = request[0] & 0x01 | 0x04;
            }
            let reply = answer(&request, matches!(fate, ExchangeFate::Wrong));
            frames.push(TraceFrame::new(0, now, client, server, request, Direction::Request));
            let Some(reply) = reply else { continue };
            let mut arrival = || now + Duration::from_micros(draw.between(4_000..=60_000).into());
            match fate {
                ExchangeFate::LoseAll => {}
                ExchangeFate::LoseFirst if sent == 1 => {}
                ExchangeFate::Late if sent == 1 => on_the_way.push((arrival() + Duration::from_millis(1_600), reply)),
                ExchangeFate::Duplicate => on_the_way.extend([(arrival(), reply.clone()), (arrival(), reply)]),
                _ => on_the_way.push((arrival(), reply)),
            }
        }
        let arrival = on_the_way.iter().map(|(time, _)| *time).min();
        let wake = exchange.wake_at().filter(|_| exchange.outcome().is_none());
        let Some(next) = arrival.into_iter().chain(wake).min() else { return };
        now = next;
        if let Some(place) = on_the_way.iter().position(|(time, _)| *time <= now) {
            let (time, reply) = on_the_way.swap_remove(place);
            exchange.receive(time, true, &reply);
            frames.push(TraceFrame::new(0, time, server, client, reply, Direction::Reply));
        }
    }
}

/// A request that is short enough for a line.
fn question(draw: &mut SeededDraw) -> Question {
    let format = if draw.percent(40) { Format::Text } else { Format::Integer };
    let count = draw.between(2..=3);
    if draw.percent(30) {
        let operator = *draw.pick(&[Operator::Sum, Operator::Difference, Operator::Product, Operator::Max]);
        let operands: Vec<i64> = (0..count).map(|_| i64::from(draw.between(0..=250)) - 125).collect();
        if let Ok(question) = Question::from_numbers(operator, format, Forms::Extended, operands) {
            return question;
        }
    }
    let operator = if draw.percent(50) { Operator::Sum } else { Operator::Product };
    let operands: Vec<u32> = (0..count).map(|_| draw.between(2..=400)).collect();
    Question::classic(operator, format, operands).expect("two or three operands of a classic operator")
}

/// The server's answer, or one that is wrong by a little.
fn answer(request: &[u8], wrong: bool) -> Option<Vec<u8>> {
    let mut reply = [0; MAX_REPLY];
    let Verdict::Reply(verdict) = respond(request, &mut reply, &Limits::default()) else { return None };
    let mut reply = reply[..verdict.len].to_vec();
    if wrong {
        // A digit must stay a digit.
        *reply.last_mut()? ^= 1;
    }
    Some(reply)
}

/// What is known about each datagram, from these frames alone.
fn explained(mut frames: Vec<TraceFrame>) -> Vec<TraceFrame> {
    let mut sequence = Sequence::default();
    let numbers: Vec<u64> = frames.iter().map(|frame| frame.number).collect();
    let number = |place: u64| numbers.get(place as usize - 1).copied().unwrap_or_default();
    for frame in &mut frames {
        let TraceFrame { time, from, to, missing, direction, .. } = *frame;
        let seen = Some(Seen { time, from, to, missing });
        let octets = std::mem::take(&mut frame.octets);
        let found = sequence.explain(&ExplainInput { octets: &octets, message: Some(direction), seen });
        frame.relation = match found.relation {
            Relation::RepeatOf { request, times } => Relation::RepeatOf { request: number(request), times },
            Relation::ReplyTo { request, after } => Relation::ReplyTo { request: number(request), after },
            Relation::AnotherReplyTo { request } => Relation::AnotherReplyTo { request: number(request) },
            other => other,
        };
        frame.flow = found.flow;
        frame.wrong = found.judged && found.view.is_wrong();
        let value = |name| found.view.fields().iter().find(|field| field.name == name).map(|field| field.value.clone());
        frame.error = direction == Direction::Reply && value(Name::Success).as_deref() == Some("0");
        frame.result = value(Name::Result).filter(|_| found.judged);
        frame.fault = found.view.faults().first().map(|fault| (fault.text.clone(), fault.clause));
        frame.octets = octets.clone();
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_capture_has_something_to_ask() {
        for seed in 0..200 {
            let trace = QuizTrace::simulated(&mut SeededDraw::new(&["trace", &seed.to_string()]));
            let has = |wanted: fn(&Relation) -> bool| trace.frames.iter().any(|frame| wanted(&frame.relation));
            assert!(has(|relation| matches!(relation, Relation::RepeatOf { .. })), "{seed}: {}", trace.table());
            assert!(has(|relation| matches!(relation, Relation::AnotherReplyTo { .. })), "{seed}: {}", trace.table());
            assert!((6..=20).contains(&trace.frames.len()), "{seed}: {}", trace.table());
            assert!(!has(|relation| matches!(relation, Relation::ReplyToNothing)), "{seed}: {}", trace.table());
        }
    }
}
