//! Draws docs/ladder.svg, the README's picture of what `client -v` shows: `cargo run --example ladder`.
//!
//! The drawing is that of `calc6::view`, with times that stay the same; a terminal emulator turns its escape sequences
//! into the picture's colours.

use std::fmt::Write as _;
use std::time::Duration;
use std::{fs, io};

use calc6::view::{Drawing, Ladder, Step, Style, View, dump};

const COLUMNS: u16 = 84;
const ROWS: u16 = 60;
const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 18.0;
const MARGIN: f32 = 16.0;

fn main() -> io::Result<()> {
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ladder.svg"), picture())
}

/// The picture.
fn picture() -> String {
    let mut terminal = vt100::Parser::new(
        ROWS.try_into().expect("a screen has rows"),
        (COLUMNS + 1).try_into().expect("a screen has columns"),
        0,
    );
    terminal.process(exchange().replace('\n', "\r\n").as_bytes());
    let screen = terminal.screen();
    let rows =
        (0..ROWS).rev().find(|&row| (0..COLUMNS).any(|column| text(screen, row, column) != " ")).unwrap_or(0) + 1;
    let (width, height) = (f32::from(COLUMNS) * WIDTH + 2.0 * MARGIN, f32::from(rows) * HEIGHT + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"A request and its reply as client -v draws them\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#11161d\"/>\n\
         <g font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < COLUMNS {
            let start = column;
            let colour = colour(screen, row, column);
            let mut run = String::new();
            while column < COLUMNS && self::colour(screen, row, column) == colour {
                run.push_str(&text(screen, row, column));
                column += 1;
            }
            if run.trim().is_empty() {
                continue;
            }
            let (x, y) = (MARGIN + f32::from(start) * WIDTH, MARGIN + (f32::from(row) + 0.75) * HEIGHT);
            let length = f32::from(column - start) * WIDTH;
            let run = run.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            // A String takes everything.
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" fill=\"{colour}\">{run}</text>"
            );
        }
    }
    svg + "</g>\n</svg>\n"
}

/// `client -v -op - ::1 10000 3 -5`, with the identifier of the protocol's golden octets.
fn exchange() -> String {
    let request = [0x1e, b'-', 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0xfb];
    let reply = [0xff, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8];
    let drawing = Drawing::default().with_style(Style::Colour);
    let ladder = Ladder::new(Style::Colour, COLUMNS.into());
    let (sent, received) = (View::request(&request), View::reply(&reply, Some(&request)));
    let rung = |microseconds, step, view: &View<'_>| {
        ladder.rung(Duration::from_micros(microseconds), step, &format!("{view} ({})", view.kind()))
    };
    ladder.head("client", "::1 port 10000")
        + &rung(46, Step::Sent, &sent)
        + &dump(&sent, &drawing)
        + &rung(131, Step::Received, &received)
        + &dump(&received, &drawing)
}

fn text(screen: &vt100::Screen, row: u16, column: u16) -> String {
    match screen.cell(row, column).map(vt100::Cell::contents) {
        None | Some("") => " ".to_owned(),
        Some(text) => text.to_owned(),
    }
}

/// The colours of a dark terminal.
fn colour(screen: &vt100::Screen, row: u16, column: u16) -> &'static str {
    let Some(cell) = screen.cell(row, column) else { return "#c9d4e0" };
    match (cell.fgcolor(), cell.bold(), cell.dim()) {
        (vt100::Color::Idx(1 | 9), ..) => "#ff7b72",
        (vt100::Color::Idx(2 | 10), ..) => "#7ee787",
        (vt100::Color::Idx(3 | 11), ..) => "#f2cc60",
        (vt100::Color::Idx(4 | 12), ..) => "#79c0ff",
        (vt100::Color::Idx(5 | 13), ..) => "#d2a8ff",
        (vt100::Color::Idx(6 | 14), ..) => "#56d4dd",
        (_, _, true) => "#7d8b99",
        (_, true, _) => "#ffffff",
        _ => "#c9d4e0",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_picture_is_the_one_that_is_drawn() {
        assert!(super::picture() == include_str!("ladder.svg"), "run: cargo run --example ladder");
    }
}
