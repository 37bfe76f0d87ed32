//! The annotated hex dump.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::ops::Range;

use super::style::Role;
use super::{Drawing, Fault, Field, Name, Severity, Style, View, abridged_with_length};

/// Octets on a line.
const LINE: usize = 8;
/// The width of that many in hexadecimal.
const HEX: usize = 3 * LINE - 1;
/// Lines that are drawn if a field is longer.
const FIELD_LINES: usize = 4;
/// Operands that are drawn if there are more: the first ones, and the last.
const FIRST_OPERANDS: usize = 8;
const LAST_OPERANDS: usize = 1;
/// The most characters of a value that are shown.
const VALUE: usize = 60;
/// The column of the octet's bits, after its two digits.
const BITS: usize = 4;
/// The widest label.
const LABEL: usize = "Request identifier".len();

/// Draws a datagram as an annotated hex dump: offset, octets, name, value and, in brackets, the clause of
/// docs/protocol.md. An octet of several fields is split into its bits. Below a field follow its faults: `!` marks an
/// error, `*` a remark.
///
/// ```
/// use calc6::view::{Drawing, View, dump};
/// let drawn = dump(&View::request(&[0x00, 0, 0, 0, 7, 0, 0]), &Drawing::default());
/// assert_eq!(
///     drawn,
///     "0000  00  0000....             Unused              0  [2.2]
///           ....000.             Opcode              0 sum  [2.3]
///           .......0             Format              0 integer  [2.4]
/// 0001  00 00 00 07              Operand 1           7  [2.1]
/// 0005  00 00                    Operand 2           truncated: 2 of 4 octets  [2.1]
///       ^^ ^^                    ! 6 octets of operands: not a multiple of 4; a server does not answer  [2.7]
/// "
/// );
/// ```
pub fn dump(view: &View<'_>, drawing: &Drawing) -> String {
    let mut dump = Dump { out: String::new(), view, style: drawing.style };
    let fields = view.fields();
    let elided = if drawing.whole { 0..0 } else { elided(fields) };
    let mut told = vec![false; view.faults().len()];
    for (place, field) in fields.iter().enumerate() {
        if elided.contains(&place) {
            if place == elided.start {
                dump.elision(&fields[elided.clone()]);
            }
        } else {
            dump.field(field, drawing.whole);
        }
        // Faults of omitted fields follow the line that counts these fields.
        for (fault, told) in view.faults().iter().zip(&mut told) {
            if !*told && fault.bits.as_ref().is_some_and(|bits| bits.start < field.bits.end) {
                let shown = fault.bits.as_ref().filter(|_| !elided.contains(&place));
                dump.fault(fault, &shown.map_or_else(String::new, |bits| carets(field, bits)));
                *told = true;
            }
        }
    }
    for (fault, _) in view.faults().iter().zip(told).filter(|(_, told)| !told) {
        dump.fault(fault, "");
    }
    dump.out
}

/// The operands that are omitted.
fn elided(fields: &[Field]) -> Range<usize> {
    let is_operand = |field: &Field| field.name == Name::Operand;
    let first = fields.iter().position(is_operand).unwrap_or(fields.len());
    let count = fields[first..].iter().filter(|field| is_operand(field)).count();
    // To omit a single operand would save nothing: the note takes a line too.
    if count <= FIRST_OPERANDS + LAST_OPERANDS + 1 {
        return 0..0;
    }
    first + FIRST_OPERANDS..first + count - LAST_OPERANDS
}

struct Dump<'v, 'a> {
    out: String,
    view: &'v View<'a>,
    style: Style,
}

impl Dump<'_, '_> {
    fn field(&mut self, field: &Field, whole: bool) {
        let range = field.octets();
        let octets = &self.view.octets()[range.clone()];
        let first_in_octet = field.bits.start.is_multiple_of(8);
        if field.is_part_of_an_octet() {
            let octet = octets.first().copied().unwrap_or_default();
            let digits = if first_in_octet { format!("{octet:02x}") } else { String::new() };
            let offset = first_in_octet.then_some(range.start);
            self.line(offset, &format!("{digits:BITS$}{}", pattern(octet, &field.bits)), field);
            return;
        }
        let mut lines = octets.chunks(LINE);
        let most = if whole || lines.len() <= FIELD_LINES + 1 { usize::MAX } else { FIELD_LINES };
        if let Some(first) = lines.next() {
            self.line(Some(range.start), &hex(first), field);
        }
        let left = lines.len();
        for (number, line) in lines.enumerate().take(most - 1) {
            self.octets(range.start + (number + 1) * LINE, &hex(line));
        }
        if left >= most {
            let skipped = octets.len() - most * LINE;
            let text = format!("      … {skipped} more octets omitted");
            let text = self.style.paint(Role::Frame, &text);
            self.push(&text);
        }
    }

    /// Offset, octets or bits, and their meaning.
    fn line(&mut self, offset: Option<usize>, octets: &str, field: &Field) {
        let offset = offset.map_or_else(String::new, |offset| format!("{offset:04x}"));
        let value = abridged_with_length(&field.value, VALUE);
        let space = if value.is_empty() || field.meaning.is_empty() { "" } else { " " };
        let line = format!(
            "{}  {}  {}  {}{space}{}  {}",
            self.style.paint(Role::Frame, &format!("{offset:4}")),
            self.style.paint(Role::Value, &format!("{octets:HEX$}")),
            self.style.paint(Role::Label, &format!("{:LABEL$}", field.label())),
            self.style.paint(Role::Value, &value),
            field.meaning,
            self.clause(field.clause),
        );
        self.push(&line);
    }

    fn octets(&mut self, offset: usize, octets: &str) {
        let offset = self.style.paint(Role::Frame, &format!("{offset:04x}"));
        let line = format!("{offset}  {}", self.style.paint(Role::Value, octets));
        self.push(&line);
    }

    fn elision(&mut self, fields: &[Field]) {
        let octets: usize = fields.iter().map(|field| field.octets().len()).sum();
        let text = format!("      … {} more operands omitted, {octets} octets", fields.len());
        let text = self.style.paint(Role::Frame, &text);
        self.push(&text);
    }

    fn fault(&mut self, fault: &Fault, carets: &str) {
        let (sign, role) = match fault.severity {
            Severity::Wrong => ('!', Role::Wrong),
            Severity::Remark => ('*', Role::Remark),
        };
        let line = format!(
            "      {}  {}  {}",
            self.style.paint(role, &format!("{carets:HEX$}")),
            self.style.paint(role, &format!("{sign} {}", fault.text)),
            self.clause(fault.clause),
        );
        self.push(&line);
    }

    fn clause(&self, clause: &str) -> String {
        self.style.paint(Role::Frame, &format!("[{clause}]"))
    }

    fn push(&mut self, line: &str) {
        writeln!(self.out, "{}", line.trim_end()).expect("a String takes everything");
    }
}

/// An octet's bits, dots for those of other fields.
fn pattern(octet: u8, bits: &Range<usize>) -> String {
    let within = bits.start % 8..bits.start % 8 + bits.len();
    let bit = |bit: usize| match octet & 0x80 >> bit {
        _ if !within.contains(&bit) => '.',
        0 => '0',
        _ => '1',
    };
    (0..8).map(bit).collect()
}

fn hex(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(" ")
}

/// Carets under the bits of an octet, or under the octets of a line. None if the fault's field has
/// ended before this line.
fn carets(field: &Field, bits: &Range<usize>) -> String {
    let within = bits.start % 8;
    if within != 0 || bits.len() < 8 {
        return format!("{:start$}{}", "", "^".repeat(bits.len().min(8 - within)), start = BITS + within);
    }
    let before = bits.start.saturating_sub(field.bits.start) / 8;
    if before >= LINE || before > 0 && field.octets().len() > LINE {
        return String::new();
    }
    let octets = vec!["^^"; bits.len().div_ceil(8).min(LINE - before)].join(" ");
    format!("{:start$}{octets}", "", start = "00 ".len() * before)
}
