//! The bit diagram of the RFCs, with the values filled in.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::ops::Range;

use super::style::Role;
use super::{Drawing, Field, Name, Severity, Style, View, abridged_with_length};

/// Bits in a row.
const ROW: usize = 32;
/// Octets in a row.
const ROW_OCTETS: usize = ROW / 8;
/// Rows that are drawn if a diagram is longer: the first ones, and the last.
const FIRST_ROWS: usize = 8;
const LAST_ROWS: usize = 1;
/// At the start of every line: an offset of four digits, and a space.
const MARGIN: usize = 5;

/// Draws a datagram as a bit diagram, 32 bits a row. Each row starts with the offset of its first octet in hexadecimal.
///
/// Each cell shows the name and the value, and below them the bits or octets. The diagram of an empty datagram is
/// empty.
///
/// ```
/// use calc6::view::{Drawing, View, diagram};
/// let drawn = diagram(&View::request(&[0x00, 0, 0, 0, 7]), &Drawing::default());
/// assert_eq!(
///     drawn,
///     "      0                   1                   2                   3
///       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///      +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// 0000 |Unused |Opcod|F|                 Operand 1 = 7                 |
///      |0 0 0 0|0 0 0|0|      00              00              00       |
///      +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// 0004 |      07       |
///      +-+-+-+-+-+-+-+-+
/// "
/// );
/// ```
pub fn diagram(view: &View<'_>, drawing: &Drawing) -> String {
    let mut out = String::new();
    if view.octets().is_empty() {
        return out;
    }
    let cells = cells(view.fields());
    let style = drawing.style;
    ruler(&mut out, style);
    let elided = elided(cells.len(), drawing.whole);
    let mut above: &[Cell<'_>] = &[];
    for (row, here) in cells.iter().enumerate() {
        if elided.contains(&row) {
            if row == elided.start {
                separator(&mut out, style, above, &[]);
                elision(&mut out, style, &elided);
                above = &[];
            }
            continue;
        }
        separator(&mut out, style, above, here);
        row_lines(&mut out, view, style, row, here);
        above = here;
    }
    separator(&mut out, style, above, &[]);
    out
}

/// The part of a field that lies in one row.
#[derive(Debug, Clone, Copy)]
struct Cell<'a> {
    field: &'a Field,
    /// The place of the field among the fields.
    place: usize,
    /// Bits of the row.
    start: usize,
    end: usize,
    /// Whether this cell shows name and value: it is the field's widest one, or the first of several.
    named: bool,
}

impl Cell<'_> {
    /// In characters, without the borders.
    fn width(&self) -> usize {
        2 * (self.end - self.start) - 1
    }
}

fn cells(fields: &[Field]) -> Vec<Vec<Cell<'_>>> {
    let mut rows: Vec<Vec<Cell<'_>>> = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        let bits = &field.bits;
        let parts: Vec<Range<usize>> = (bits.start / ROW..bits.end.div_ceil(ROW))
            .map(|row| bits.start.max(row * ROW)..bits.end.min((row + 1) * ROW))
            .collect();
        let widest = parts.iter().map(ExactSizeIterator::len).max();
        let named = parts.iter().position(|part| Some(part.len()) == widest);
        for (index, part) in parts.into_iter().enumerate() {
            let row = part.start / ROW;
            if rows.len() <= row {
                rows.resize_with(row + 1, Vec::new);
            }
            let (start, end) = (part.start - row * ROW, part.end - row * ROW);
            rows[row].push(Cell { field, place, start, end, named: Some(index) == named });
        }
    }
    rows
}

/// The rows that are omitted.
fn elided(rows: usize, whole: bool) -> Range<usize> {
    // To omit a single row would save nothing: the note takes a line too.
    if whole || rows <= FIRST_ROWS + LAST_ROWS + 1 { rows..rows } else { FIRST_ROWS..rows - LAST_ROWS }
}

fn ruler(out: &mut String, style: Style) {
    let tens: String = (0..ROW).map(|bit| if bit % 10 == 0 { format!("{} ", bit / 10) } else { "  ".into() }).collect();
    let ones: String = (0..ROW).map(|bit| format!("{} ", bit % 10)).collect();
    for line in [tens, ones] {
        push_line(out, "", &format!(" {}", style.paint(Role::Frame, line.trim_end())));
    }
}

/// The line between two rows: open where a field goes on below.
fn separator(out: &mut String, style: Style, above: &[Cell<'_>], below: &[Cell<'_>]) {
    let owner = |row: &[Cell<'_>], bit: usize| {
        row.iter().find(|cell| (cell.start..cell.end).contains(&bit)).map(|cell| cell.place)
    };
    let end = |row: &[Cell<'_>]| row.last().map_or(0, |cell| cell.end);
    let end = end(above).max(end(below));
    let open: Vec<bool> =
        (0..end).map(|bit| owner(above, bit).is_some() && owner(above, bit) == owner(below, bit)).collect();
    let mut line = String::new();
    for bit in 0..=end {
        let left_open = bit > 0 && open[bit - 1];
        let right_open = bit < end && open[bit];
        let inside = bit > 0 && bit < end && left_open && right_open;
        line.push(if inside { ' ' } else { '+' });
        if bit < end {
            line.push(if right_open { ' ' } else { '-' });
        }
    }
    push_line(out, "", &style.paint(Role::Frame, &line));
}

fn row_lines(out: &mut String, view: &View<'_>, style: Style, row: usize, cells: &[Cell<'_>]) {
    let border = style.paint(Role::Frame, "|");
    let named = cells.iter().any(|cell| cell.named);
    let offset = format!("{:04x}", row * ROW_OCTETS);
    let mut margin = style.paint(Role::Frame, &offset);
    let mut line = |text: &dyn Fn(&Cell<'_>) -> String, role: Role| {
        let mut content = border.clone();
        for cell in cells {
            let text = centred(&text(cell), cell.width());
            content += &style.paint(severity(view, cell).unwrap_or(role), &text);
            content += &border;
        }
        push_line(out, &margin, &content);
        margin = String::new();
    };
    if named {
        line(&|cell| title(cell), Role::Label);
    }
    line(&|cell| contents(view, row, cell), Role::Value);
}

/// Name and value, abridged to the width of the cell; a single letter in a cell of one bit.
fn title(cell: &Cell<'_>) -> String {
    const LEAST: usize = 24;
    let (field, width) = (cell.field, cell.width());
    if !cell.named {
        return String::new();
    }
    let label = if width == 1 { field.name.letter().to_owned() } else { field.label() };
    let said = if field.value.is_empty() { &field.meaning } else { &field.value };
    let room = width.saturating_sub(label.len() + " = ".len());
    if field.is_part_of_an_octet() || said.is_empty() || said.chars().count() > room && room < LEAST {
        return label.chars().take(width).collect();
    }
    let sign = if field.name == Name::Operand && field.value.is_empty() { ": " } else { " = " };
    format!("{label}{sign}{}", abridged_with_length(said, room))
}

/// The bits of a part of an octet, else whole octets, each centred.
fn contents(view: &View<'_>, row: usize, cell: &Cell<'_>) -> String {
    let octets = view.octets();
    if cell.field.is_part_of_an_octet() {
        let bits = (cell.start..cell.end).map(|bit| {
            let octet = octets[row * ROW_OCTETS + bit / 8];
            if octet & 0x80 >> (bit % 8) == 0 { "0" } else { "1" }
        });
        return bits.collect::<Vec<_>>().join(" ");
    }
    let places = &octets[row * ROW_OCTETS + cell.start / 8..row * ROW_OCTETS + cell.end / 8];
    let octets: Vec<String> = places.iter().map(|octet| centred(&format!("{octet:02x}"), 2 * 8 - 1)).collect();
    octets.join(" ")
}

fn severity(view: &View<'_>, cell: &Cell<'_>) -> Option<Role> {
    let touches = |bits: &Range<usize>| bits.start < cell.field.bits.end && cell.field.bits.start < bits.end;
    let fault = view.faults().iter().find(|fault| fault.bits.as_ref().is_some_and(touches))?;
    Some(match fault.severity {
        Severity::Wrong => Role::Wrong,
        Severity::Remark => Role::Remark,
    })
}

fn elision(out: &mut String, style: Style, rows: &Range<usize>) {
    let (first, last) = (rows.start * ROW_OCTETS, rows.end * ROW_OCTETS - 1);
    let text = centred(&format!("octets {first:04x} to {last:04x}: {} more rows omitted", rows.len()), 2 * ROW - 1);
    push_line(out, "", &style.paint(Role::Frame, &format!(":{text}:")));
}

fn centred(text: &str, width: usize) -> String {
    format!("{text:^width$}")
}

fn push_line(out: &mut String, margin: &str, content: &str) {
    let padding = if margin.is_empty() { MARGIN } else { 1 };
    writeln!(out, "{margin}{:padding$}{content}", "").expect("a String takes everything");
}
