//! A datagram, explained and drawn: its fields, their values, the clause of docs/protocol.md that defines each, and its
//! errors. Pure, and total: nothing here panics for any octets.
//!
//! Main type: [`View`]. May call `arithmetic`, `wire` and `abridge`.
//!
//! A [`View`] is made of a request ([`View::request`]) or of a reply, where possible together with the request that it
//! answers ([`View::reply`]). It is drawn as a bit diagram ([`diagram`]) or as an annotated hex dump ([`dump`]); a
//! [`Ladder`] draws datagrams between a client and a server over time.
//!
//! ```
//! use calc6::view::{Drawing, View, dump};
//! let view = View::request(&[0x00, 0, 0, 0, 1, 0, 0, 0, 3]);
//! assert_eq!(view.to_string(), "+ 1 3");
//! assert!(view.faults().is_empty());
//! let lines = dump(&view, &Drawing::default());
//! assert!(lines.lines().next().unwrap().starts_with("0000  00  0000....  "));
//! ```

mod classic;
mod diagram;
mod dump;
mod edit;
mod extended;
mod field;
mod ladder;
#[cfg(any(test, fuzzing))]
pub mod property;
mod style;

pub use crate::abridge::abridged_with_length;
pub use diagram::diagram;
pub use dump::dump;
pub use edit::{EditError, flipped};
pub use field::{Fault, Field, Name, Severity};
pub use ladder::{Ladder, Step};
pub use style::{Role, Style};

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::wire::{self, ERROR, Form, Kind, Operator, SUCCESS, SUCCESS_BIT};

/// The direction of a datagram. It is not in the octets (docs/protocol.md, clause 4.7); ports decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the server.
    Request,
    /// From the server.
    Reply,
}

impl Direction {
    /// `request` or `reply`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Reply => "reply",
        }
    }

    /// The direction without known ports: a reply if it starts like one of docs/protocol.md, else a request.
    pub fn guess(octets: &[u8]) -> Direction {
        if Kind::of(octets) == Kind::Reply { Direction::Reply } else { Direction::Request }
    }
}

/// How much is drawn, and in which style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drawing {
    /// Plain, or with colours.
    pub style: Style,
    /// Draw everything; otherwise the middle of many operands and of long fields is omitted, with a note.
    pub whole: bool,
}

impl Drawing {
    /// Plain, or with colours.
    #[must_use]
    pub fn with_style(mut self, style: Style) -> Drawing {
        self.style = style;
        self
    }

    /// Whether everything is drawn, with nothing omitted.
    #[must_use]
    pub fn with_whole(mut self, whole: bool) -> Drawing {
        self.whole = whole;
        self
    }
}

/// A datagram, split into its fields.
///
/// ```
/// use calc6::view::View;
/// let request = [0x02, 0, 0, 0, 6, 0, 0, 0, 7];
/// let reply = View::reply(&[0xff, 0, 0, 0, 42], Some(&request));
/// assert_eq!(reply.to_string(), "= 42");
/// assert!(!reply.is_wrong());
/// for field in reply.fields() {
///     println!("{:>12} {}  ({})", field.label(), field.value, field.clause);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct View<'a> {
    octets: &'a [u8],
    direction: Direction,
    form: Form,
    operator: Option<Operator>,
    operand_count: usize,
    fields: Vec<Field>,
    faults: Vec<Fault>,
}

impl<'a> View<'a> {
    /// Splits a datagram that was sent to a server.
    pub fn request(octets: &'a [u8]) -> View<'a> {
        let mut view = View::empty(octets, Direction::Request);
        match Kind::of(octets) {
            Kind::Extended => extended::request(&mut view),
            // Too short for the extended form, and not classic either.
            Kind::Escape { .. } => extended::escape(&mut view),
            Kind::Empty | Kind::Reply | Kind::Classic => classic::request(&mut view),
        }
        view
    }

    /// Splits a datagram that came from a server. `request` is the one that it answers, if known; without it, the
    /// form follows from docs/protocol.md, clause 4.7, and a classic result's format is a guess.
    pub fn reply(octets: &'a [u8], request: Option<&[u8]>) -> View<'a> {
        let mut view = View::empty(octets, Direction::Reply);
        let asked = request.map(View::request);
        match reply_form(octets, request) {
            Form::Classic => classic::reply(&mut view, asked.as_ref()),
            Form::Extended => extended::reply(&mut view, asked.as_ref()),
        }
        if let Some(asked) = &asked {
            view.check_length(asked.octets.len());
        }
        view
    }

    /// The datagram.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Its direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Its form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The operator of a request, or of the request that a reply answers, if known.
    pub fn operator(&self) -> Option<Operator> {
        self.operator
    }

    /// How many whole operands a request carries.
    pub fn operand_count(&self) -> usize {
        self.operand_count
    }

    /// The fields, in order. They cover every bit exactly once.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Its errors, then remarks.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether it has an error: a request that gets no result, or a reply that does not count.
    pub fn is_wrong(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Wrong)
    }

    /// Form, direction and length: `classic request, 21 octets`.
    pub fn kind(&self) -> String {
        format!("{} {}, {}", self.form.name(), self.direction.name(), octets_counted(self.octets.len()))
    }

    fn empty(octets: &'a [u8], direction: Direction) -> View<'a> {
        let form = Form::Classic;
        View { octets, direction, form, operator: None, operand_count: 0, fields: Vec::new(), faults: Vec::new() }
    }

    /// Adds a fault that only the caller can know, such as a wrong result.
    pub fn add(&mut self, fault: Fault) {
        self.fault(fault);
    }

    /// Removes all that is said about it: a datagram that a capture truncated cannot be judged.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    fn fault(&mut self, fault: Fault) {
        // Stable: faults of one severity keep their order.
        let place = match fault.severity {
            Severity::Wrong => self.faults.iter().take_while(|other| other.severity == Severity::Wrong).count(),
            Severity::Remark => self.faults.len(),
        };
        self.faults.insert(place, fault);
    }

    fn check_length(&mut self, asked: usize) {
        let len = self.octets.len();
        if len > wire::reply_limit(asked, usize::MAX) {
            let text = format!(
                "{len} octets in reply to {asked}: over three times as many, so forged source addresses turn the server \
                 into an amplifier"
            );
            self.fault(Fault::remark("4.2", text));
        }
    }
}

/// A summary in one line: `+ 1 3 5`, `= 9`, `error: unknown operator`.
impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Request => self.fmt_request(f),
            Direction::Reply => self.fmt_reply(f),
        }
    }
}

impl View<'_> {
    fn fmt_request(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        if self.octets.is_empty() {
            return f.write_str("empty");
        }
        match self.operator {
            Some(operator) => write!(f, "{operator}")?,
            None => f.write_str("unknown operator")?,
        }
        if self.operator == Some(Operator::Describe) {
            return Ok(());
        }
        // A truncated operand has no value.
        for field in self.fields_named(Name::Operand).filter(|operand| !operand.value.is_empty()).take(SHOWN) {
            write!(f, " {}", abridged_with_length(&field.value, 24))?;
        }
        match self.operand_count.saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " … ({more} more)"),
        }
    }

    fn fmt_reply(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(result) = self.fields_named(Name::Result).next() {
            return write!(f, "= {}", abridged_with_length(&result.value, 60));
        }
        f.write_str("error")?;
        let status = self.fields_named(Name::Status).next().map(|status| status.meaning.clone());
        let text = self.fields_named(Name::Text).next().map(|text| abridged_with_length(&text.value, 60));
        if let Some(reason) = status.filter(|meaning| !meaning.is_empty()).or(text) {
            write!(f, ": {reason}")?;
        }
        match self.fields_named(Name::Needed).next() {
            Some(needed) => write!(f, ", needs {} {}", needed.value, needed.meaning),
            None => Ok(()),
        }
    }

    fn fields_named(&self, name: Name) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.name == name)
    }
}

/// The form of a reply: that of its request, except for errors of peers that know only the classic form.
fn reply_form(octets: &[u8], request: Option<&[u8]>) -> Form {
    let starts_as_ours = matches!(octets.first(), Some(&(SUCCESS | ERROR)));
    let has_header = octets.len() >= wire::extended::HEADER;
    let extended = match request.map(Kind::of) {
        None => starts_as_ours && has_header && octets[wire::extended::STATUS] < wire::extended::STATUS_END,
        Some(Kind::Extended) => match octets.first() {
            Some(first) if first & SUCCESS_BIT == 0 => starts_as_ours && has_header,
            Some(_) => starts_as_ours,
            None => false,
        },
        Some(_) => false,
    };
    if extended { Form::Extended } else { Form::Classic }
}

fn octets_counted(count: usize) -> String {
    if count == 1 { "1 octet".into() } else { format!("{count} octets") }
}

#[cfg(test)]
mod tests;
