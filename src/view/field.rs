//! Fields and faults.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Range;

/// The fields of both forms, as docs/wireshark/README.md names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Name {
    /// Bits without a meaning in classic messages.
    Unused,
    /// The operator of a classic request; 7 is the escape to the extended form.
    Opcode,
    /// The format of the result.
    Format,
    /// Of the extended form.
    Version,
    /// The operator of an extended request.
    Operator,
    /// Octets of each operand.
    Width,
    /// Sent as 0.
    Reserved,
    /// The number that matches an extended reply to its request.
    Id,
    /// An operand of a request.
    Operand,
    /// The bit S of a reply.
    Success,
    /// Bits of an extended reply that are all 1.
    Ones,
    /// The status of an extended reply.
    Status,
    /// The length that the whole reply needs.
    Needed,
    /// The result.
    Result,
    /// The text of an error.
    Text,
    /// Octets without a defined meaning.
    Rest,
}

impl Name {
    /// The name that people read.
    pub const fn label(self) -> &'static str {
        match self {
            Name::Unused => "Unused",
            Name::Opcode => "Opcode",
            Name::Format => "Format",
            Name::Version => "Version",
            Name::Operator => "Operator",
            Name::Width => "Width",
            Name::Reserved => "Reserved",
            Name::Id => "Request identifier",
            Name::Operand => "Operand",
            Name::Success => "Success",
            Name::Ones => "Ones",
            Name::Status => "Status",
            Name::Needed => "Octets needed",
            Name::Result => "Result",
            Name::Text => "Error text",
            Name::Rest => "No field",
        }
    }

    /// Its name in Wireshark's display filters: `calc6.opcode`. `None` for octets without a meaning.
    pub const fn filter(self) -> Option<&'static str> {
        Some(match self {
            Name::Unused => "calc6.unused",
            Name::Opcode => "calc6.opcode",
            Name::Format => "calc6.format",
            Name::Version => "calc6.version",
            Name::Operator => "calc6.operator",
            Name::Width => "calc6.width",
            Name::Reserved => "calc6.reserved",
            Name::Id => "calc6.id",
            Name::Operand => "calc6.operand",
            Name::Success => "calc6.success",
            Name::Ones => "calc6.ones",
            Name::Status => "calc6.status",
            Name::Needed => "calc6.needed",
            Name::Result => "calc6.result",
            Name::Text => "calc6.text",
            Name::Rest => return None,
        })
    }

    /// Its letter in a cell of one bit, as in the specification's diagrams.
    pub const fn letter(self) -> &'static str {
        match self {
            Name::Format => "F",
            Name::Success => "S",
            _ => self.label(),
        }
    }
}

/// A range of bits of a datagram, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// The number of an operand, from 1.
    pub number: Option<usize>,
    /// Its bits; bit 0 is the most significant of the first octet.
    pub bits: Range<usize>,
    /// The value: an integer in decimal, a text or a symbol in quotes. ASCII for any octets.
    pub value: String,
    /// The meaning of the value, where it needs one; else empty.
    pub meaning: String,
    /// The clause of docs/protocol.md that rules it.
    pub clause: &'static str,
}

impl Field {
    pub(super) fn new(name: Name, bits: Range<usize>, value: impl ToString, clause: &'static str) -> Field {
        Field { name, number: None, bits, value: value.to_string(), meaning: String::new(), clause }
    }

    pub(super) fn meaning(mut self, meaning: impl Into<String>) -> Field {
        self.meaning = meaning.into();
        self
    }

    pub(super) fn number(mut self, number: usize) -> Field {
        self.number = Some(number);
        self
    }

    /// The label, and the number of an operand.
    pub fn label(&self) -> String {
        match self.number {
            Some(number) => format!("{} {number}", self.name.label()),
            None => self.name.label().to_owned(),
        }
    }

    /// The octets that it lies in, as a range of the datagram.
    pub fn octets(&self) -> Range<usize> {
        self.bits.start / 8..self.bits.end.div_ceil(8)
    }

    /// Whether it shares its octet with other fields.
    pub fn is_part_of_an_octet(&self) -> bool {
        !self.bits.start.is_multiple_of(8) || !self.bits.end.is_multiple_of(8)
    }
}

/// How serious a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// A request that gets no result, or a reply that does not count.
    Wrong,
    /// Legal or tolerated, but unusual.
    Remark,
}

/// An error or a remark about a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// How serious it is.
    pub severity: Severity,
    /// The clause of docs/protocol.md that it refers to.
    pub clause: &'static str,
    /// A sentence, without the clause.
    pub text: String,
    /// The bits that it is about; `None` for the whole datagram, or for something that is missing.
    pub bits: Option<Range<usize>>,
}

impl Fault {
    /// An error about the whole datagram, by this clause of docs/protocol.md; `text` is a sentence.
    pub fn wrong(clause: &'static str, text: impl ToString) -> Fault {
        Fault { severity: Severity::Wrong, clause, text: text.to_string(), bits: None }
    }

    /// A remark about the whole datagram, by this clause.
    pub fn remark(clause: &'static str, text: impl ToString) -> Fault {
        Fault { severity: Severity::Remark, clause, text: text.to_string(), bits: None }
    }

    /// The same about these bits; about the whole datagram if there are none.
    #[must_use]
    pub fn at(mut self, bits: Range<usize>) -> Fault {
        self.bits = Some(bits).filter(|bits| !bits.is_empty());
        self
    }
}
