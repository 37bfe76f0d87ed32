//! `lab explain`: datagrams named, drawn and judged, from hexadecimal digits or from a capture.

pub mod capture;
mod hex;
mod json;
pub mod pairs;
pub mod sequence;
mod train;
mod verdict;

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use super::Failure;
use super::units::HumanDuration;
use crate::common::usage::whole;
use calc6::view::{Direction, Drawing, Ladder, Role, Severity, Step, Style, View, diagram, dump};
use pairs::Flow;
pub use pairs::Relation;
use sequence::Explained;
pub use sequence::{ExplainInput, Seen, Sequence};
use train::Segment;

/// Draws datagrams bit by bit, names every field with the clause that defines it, and marks every error
///
/// Takes octets in hexadecimal from the command line, lines of them from standard input, or a capture. Replies are
/// matched with their requests, and each result is computed again. Exit status 1 if anything is wrong with any
/// datagram. The clauses are those of docs/protocol.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "A request and its reply:
  lab explain 00 00000001 00000003 / ff 00000004
Live traffic:
  tcpdump -i lo -U -w - udp port 10000 | lab explain --pcap - --port 10000
On standard input each line is a datagram. '>' before it marks a request, '<' a
reply; '#' starts a comment. The output of xxd and tcpdump -x, and packets copied
from Wireshark, are read too: of a packet, the UDP payload.")]
pub struct Arguments {
    /// Octets in hexadecimal, with '/' between datagrams; without, lines of standard input are read
    #[arg(value_name = "HEX", conflicts_with = "pcap")]
    hex: Vec<String>,
    /// Capture to read, pcap or pcapng; '-' is standard input
    #[arg(long, value_name = "FILE", requires = "port")]
    pcap: Option<PathBuf>,
    /// The server's UDP port in the capture
    #[arg(long, value_name = "PORT", requires = "pcap", value_parser = whole::<u16>(1..=65535))]
    port: Option<u16>,
    /// Direction of datagrams in hexadecimal that have no '>' or '<'; by default, a datagram that starts with ff or
    /// 7f, or could answer the request before it, is a reply
    #[arg(long = "as", value_name = "WHAT", value_enum, conflicts_with = "pcap")]
    message: Option<What>,
    /// What to draw of each datagram
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', default_values = ["diagram", "dump"])]
    show: Vec<DrawingKind>,
    /// Write one JSON object for each datagram, one a line, instead of drawings
    #[arg(long, conflicts_with_all = ["show", "whole", "color"])]
    json: bool,
    /// Draw every octet of long datagrams too
    #[arg(long)]
    whole: bool,
    /// When to use colours; auto: if standard output is a terminal and NO_COLOR is not set
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    color: When,
}

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// It went to the server
    Request,
    /// It came from the server
    Reply,
}

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DrawingKind {
    /// The bit diagram of the RFCs, with the values filled in
    Diagram,
    /// The octets in hexadecimal, with name, value and clause of each field
    Dump,
    /// An arrow between client and server
    Ladder,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

/// Runs the subcommand.
///
/// # Errors
/// Wrong digits, a capture that cannot be read, standard output closed or full.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut explainer = Explainer::new(arguments);
    match (&arguments.pcap, &arguments.hex[..]) {
        (Some(path), _) => explain_capture(&mut explainer, path, arguments.port.unwrap_or_default())?,
        (None, []) => explain_lines(&mut explainer, arguments)?,
        (None, words) => {
            let usage = |what: String| match words.iter().any(|word| word.contains(".pcap")) {
                true => Failure::Usage(format!("{what}; --pcap FILE reads a capture")),
                false => Failure::Usage(what),
            };
            for octets in hex::datagrams(words).map_err(usage)? {
                explainer.explain(&ExplainInput { octets: &octets, message: arguments.message(), seen: None })?;
            }
        }
    }
    Ok(if explainer.sequence.wrong() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Arguments {
    fn message(&self) -> Option<Direction> {
        self.message.map(|what| match what {
            What::Request => Direction::Request,
            What::Reply => Direction::Reply,
        })
    }

    fn style(&self) -> Style {
        let variable = std::env::var_os;
        match self.color {
            When::Always => Style::Colour,
            When::Never => Style::Plain,
            When::Auto => {
                Style::choose(io::stdout().is_terminal(), variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
            }
        }
    }
}

fn explain_lines(explainer: &mut Explainer, arguments: &Arguments) -> Result<(), Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("lab explain: type octets in hexadecimal, a datagram a line; Ctrl-D ends");
    }
    let mut lines = hex::HexReader::default();
    let mut explain = |(message, octets): hex::TypedDatagram| {
        let message = message.or(arguments.message());
        let octets = capture::payload(&octets).unwrap_or(octets);
        explainer.explain(&ExplainInput { octets: &octets, message, seen: None })
    };
    for line in stdin.lock().split(b'\n') {
        let line = line.map_err(|error| Failure::run("cannot read standard input", error))?;
        if let Some(complete) = lines.line(&line).map_err(Failure::Usage)? {
            explain(complete)?;
        }
    }
    lines.end().map_or(Ok(()), explain)
}

fn explain_capture(explainer: &mut Explainer, path: &Path, port: u16) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::run(format_args!("cannot read {}", path.display()), error);
    let reader: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => {
            let file = File::open(path).map_err(failed)?;
            // A pipe can be read only once.
            if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
                explainer.sequence = first_reading(path, port);
            }
            Box::new(file)
        }
    };
    let mut capture = capture::Capture::new(reader, port).map_err(|error| Failure::run(path.display(), error))?;
    while let Some(datagram) = capture.next_datagram() {
        let datagram = datagram.map_err(|error| Failure::run(path.display(), error))?;
        explainer.explain_captured(&datagram.as_datagram())?;
    }
    if explainer.sequence.datagrams() == 0 {
        warn_of_other_ports(path, port);
    }
    explainer.end(&capture.left_out().to_string())
}

/// A sequence that knows which datagrams of the capture their answers prove to be trains. What cannot be read is left to
/// the second reading to report.
fn first_reading(path: &Path, port: u16) -> Sequence {
    let mut sequence = Sequence::first_reading();
    let capture = File::open(path).ok().and_then(|file| capture::Capture::new(Box::new(file), port).ok());
    if let Some(mut capture) = capture {
        while let Some(Ok(datagram)) = capture.next_datagram() {
            sequence.explain_captured(&datagram.as_datagram());
        }
    }
    sequence.again()
}

/// The usual mistake is the wrong port: prints the ports in the capture, if it can be read again.
fn warn_of_other_ports(path: &Path, port: u16) {
    let ports = std::fs::read(path).map_err(|error| error.to_string()).and_then(|file| capture::ports(&file));
    if let Ok(ports) = ports
        && !ports.is_empty()
    {
        let ports: Vec<String> = ports.iter().take(8).map(u16::to_string).collect();
        eprintln!("lab explain: no datagram from or to port {port}; there are some to port {}", ports.join(", "));
    }
}

/// Draws one datagram after the other, and remembers the requests for their replies.
struct Explainer {
    drawing: Drawing,
    show: Vec<DrawingKind>,
    ladder: Ladder,
    ends: Flow,
    sequence: Sequence,
    json: bool,
}

impl Explainer {
    fn new(arguments: &Arguments) -> Explainer {
        const LADDER: usize = 80;
        let style = arguments.style();
        Explainer {
            drawing: Drawing::default().with_style(style).with_whole(arguments.whole),
            show: arguments.show.clone(),
            ladder: Ladder::new(style, LADDER),
            ends: None,
            sequence: Sequence::default(),
            json: arguments.json,
        }
    }

    fn explain(&mut self, datagram: &ExplainInput<'_>) -> Result<(), Failure> {
        let explained = self.sequence.explain(datagram);
        self.print(&explained)
    }

    fn explain_captured(&mut self, datagram: &ExplainInput<'_>) -> Result<(), Failure> {
        self.sequence.explain_captured(datagram).iter().try_for_each(|explained| self.print(explained))
    }

    fn print(&mut self, explained: &Explained<'_>) -> Result<(), Failure> {
        let drawn = if self.json {
            let json = serde_json::to_string(&json::DatagramJson::new(explained)).map_err(io::Error::from)?;
            json + "\n"
        } else {
            self.draw(explained)
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(drawn.as_bytes())?;
        // The capture may still be growing.
        Ok(stdout.flush()?)
    }

    fn draw(&mut self, explained: &Explained<'_>) -> String {
        let Explained { number, ref view, ref relation, flow, seen, segment, judged } = *explained;
        let truncated = match seen {
            Some(Seen { missing: missing @ 1.., .. }) => {
                format!("   truncated in the capture by {missing} octets: not judged\n")
            }
            _ if !judged => "   its request is truncated in the capture: not judged\n".into(),
            _ => String::new(),
        };
        let mut drawn = String::new();
        if self.show.contains(&DrawingKind::Ladder) {
            if number == 1 || self.ends != flow {
                let name = |end: Option<SocketAddr>, name: &str| end.map_or(name.to_owned(), |end| end.to_string());
                let (client, server) = flow.unzip();
                drawn += &self.ladder.head(&name(client, "client"), &name(server, "server"));
                self.ends = flow;
            }
            let time = seen.map_or(Duration::ZERO, |seen| seen.time);
            let text = match segment {
                Some(Segment { number: place, count }) => format!("#{number} ({place} of {count}) {view}"),
                None => format!("#{number} {view}"),
            };
            drawn += &self.ladder.rung(time, relation.step(view), &text);
        }
        if self.show == [DrawingKind::Ladder] {
            return drawn + &truncated + &self.faults(view);
        }
        let blank = if number > 1 { "\n" } else { "" };
        drawn += &format!("{blank}{}\n", self.drawing.style.paint(Role::Heading, &heading(number, seen, view)));
        if let Some(Segment { number, count }) = segment {
            drawn += &format!("   segment {number} of {count} of a train, which the capture holds as one datagram\n");
        }
        if let Some(said) = relation.said_with_time() {
            drawn += &format!("   {said}\n");
        }
        drawn += &truncated;
        if self.show.contains(&DrawingKind::Diagram) {
            drawn += &diagram(view, &self.drawing);
        }
        if self.show.contains(&DrawingKind::Dump) {
            drawn += &dump(view, &self.drawing);
        } else {
            drawn += &self.faults(view);
        }
        drawn
    }

    /// The errors, if there is no dump that shows them.
    fn faults(&self, view: &View<'_>) -> String {
        let line = |fault: &calc6::view::Fault| {
            let (sign, role) = match fault.severity {
                Severity::Wrong => ('!', Role::Wrong),
                Severity::Remark => ('*', Role::Remark),
            };
            format!("      {}\n", self.drawing.style.paint(role, &format!("{sign} {} [{}]", fault.text, fault.clause)))
        };
        view.faults().iter().map(line).collect()
    }

    /// The totals of a capture.
    fn end(&mut self, left_out: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let (datagrams, wrong, pairs) = (self.sequence.datagrams(), self.sequence.wrong(), self.sequence.pairs());
        let truncated = match self.sequence.not_judged() {
            0 => String::new(),
            count => format!(
                "\nnot judged: {count} datagrams that the capture's snap length truncated, and replies to them (tcpdump \
                 -s 0 captures all of each)"
            ),
        };
        let unanswered = pairs.unanswered();
        let trains = match self.sequence.trains() {
            0 => String::new(),
            count => format!(
                "\ntrains: {count}, which the capture holds as one datagram each (UDP_SEGMENT, UDP_GRO; --segmentation off \
                 of server and lab bench sends single datagrams)"
            ),
        };
        let totals = format!(
            "{}{datagrams} datagrams: {} requests, {unanswered} of them unanswered; {} replies; {wrong} wrong{truncated}{trains}{left_out}\n",
            if datagrams > 0 { "\n" } else { "" },
            pairs.requests(),
            pairs.replies(),
        );
        Ok(io::stdout().lock().write_all(totals.as_bytes())?)
    }
}

fn heading(number: u64, seen: Option<Seen>, view: &View<'_>) -> String {
    let seen = seen
        .map_or_else(String::new, |seen| format!("  {:.6} s  {} -> {}", seen.time.as_secs_f64(), seen.from, seen.to));
    format!("#{number}{seen}  {}: {view}", view.kind())
}

impl Relation {
    /// What the heading does not show.
    fn said_with_time(&self) -> Option<String> {
        match (self.said()?, self) {
            (said, Relation::ReplyTo { after: Some(after), .. }) => {
                Some(format!("{said} after {}", HumanDuration(*after)))
            }
            (said, _) => Some(said),
        }
    }

    fn step(&self, view: &View<'_>) -> Step<'static> {
        match self {
            Relation::First => Step::Sent,
            Relation::RepeatOf { times, .. } => Step::Repeated(*times),
            Relation::ReplyTo { .. } if view.is_wrong() => Step::Ignored("wrong"),
            Relation::ReplyTo { .. } => Step::Received,
            Relation::AnotherReplyTo { .. } => Step::Ignored("another reply to the same request"),
            Relation::ReplyToNothing => Step::Ignored("a reply to nothing"),
        }
    }
}
