//! Draws the tour's pictures: `cargo run --example tour-pictures` writes them all to docs/tour, or to another folder,
//! and puts what was measured into the table of chapter 5.
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const INK: RGBColor = RGBColor(0x22, 0x2b, 0x38);
const FAINT: RGBColor = RGBColor(0x8a, 0x94, 0xa3);
const PAPER: RGBColor = RGBColor(0xf1, 0xf4, 0xf8);
const BLUE: RGBColor = RGBColor(0x1f, 0x6f, 0xb5);
const RED: RGBColor = RGBColor(0xc6, 0x3d, 0x2f);
const GREEN: RGBColor = RGBColor(0x2d, 0x86, 0x59);
const YELLOW: RGBColor = RGBColor(0xff, 0xe9, 0xa8);
const PALE_BLUE: RGBColor = RGBColor(0xd3, 0xe6, 0xf6);
const PALE_GREEN: RGBColor = RGBColor(0xd5, 0xee, 0xe0);
const PALE_RED: RGBColor = RGBColor(0xf8, 0xdb, 0xd7);

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour");
    let folder = env::args().nth(1).map_or_else(|| here.clone(), PathBuf::from);
    match draw_all(&folder, &here) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tour-pictures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn draw_all(folder: &Path, data: &Path) -> Outcome {
    let measured = fs::read_to_string(data.join("5-echo.csv"))?;
    for (name, svg) in [
        ("0-exchange", exchange()?),
        ("1-sending", sending()?),
        ("2-integers", integers()?),
        ("3-calculator", calculator()?),
        ("4-streams", streams()?),
        ("5-echo", echo()?),
        ("5-measured", plot(&measured)?),
        ("6-datagrams", datagrams()?),
        ("7-peers", peers()?),
    ] {
        let path = folder.join(name).with_extension("svg");
        fs::write(&path, svg + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let page = fs::read_to_string(data.join("5-echo.md"))?;
    let (before, rest) = page.split_once("<!-- measured -->\n").ok_or("5-echo.md has no place for the table")?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or("the table in 5-echo.md has no end")?;
    let table = table(&measured).ok_or("5-echo.csv is not what measure-echo prints")?;
    fs::write(folder.join("5-echo.md"), format!("{before}<!-- measured -->\n{table}<!-- end -->{after}"))?;
    Ok(())
}

/// The measurements as a Markdown table.
fn table(csv: &str) -> Option<String> {
    let mut table = "\
| clients | way | round trips a second | round trip, µs | first reply, ms | memory, MiB |
| ---: | --- | ---: | ---: | ---: | ---: |
"
    .to_owned();
    for row in csv.lines().skip(1) {
        let [way, clients, throughput, median, first, memory] = row.split(',').collect::<Vec<_>>().try_into().ok()?;
        let (first, memory): (f64, f64) = (first.parse().ok()?, memory.parse::<f64>().ok()? / 1024.0);
        // Such a measurement has at most three significant digits.
        let first = if first < 10.0 { format!("{first:.2}") } else { format!("{first:.0}") };
        let throughput = throughput.parse::<u64>().ok()? / 1000;
        table += &format!("| {clients} | {way} | {throughput},000 | {median} | {first} | {memory:.1} |\n");
    }
    Some(table)
}

// The README's: one request and its reply.

fn exchange() -> Outcome<String> {
    picture(900, 300, |p| {
        p.text(70, 22, "client", 15, Face::Mono)?;
        p.text(830, 22, "server", 15, Face::Mono)?;
        p.lane(70, 40, 285)?;
        p.lane(830, 40, 285)?;
        let octets = |x: i32, y: i32, octets: &[u8], fill| -> Outcome {
            octets
                .iter()
                .zip(0..)
                .try_for_each(|(octet, i)| p.cell(x + 32 * i, y, 32, 32, &format!("{octet:02x}"), fill))
        };
        p.text_left(114, 60, "request: 1 + 3 + 5 + 7 + 9, as an integer", 14, Face::Sans)?;
        octets(114, 76, &[0x00], YELLOW)?;
        for (operand, i) in [1u32, 3, 5, 7, 9].into_iter().zip(0..) {
            let fill = if i % 2 == 0 { PALE_BLUE } else { PAPER };
            octets(146 + 128 * i, 76, &operand.to_be_bytes(), fill)?;
            p.text(210 + 128 * i, 120, &format!("operand {}: {operand}", i + 1), 13, Face::Sans)?;
        }
        p.text(130, 120, "header", 13, Face::Sans)?;
        p.arrow((80, 140), (820, 158), BLUE)?;
        octets(114, 190, &[0xff], YELLOW)?;
        octets(146, 190, &25u32.to_be_bytes(), PALE_GREEN)?;
        p.text(130, 234, "header", 13, Face::Sans)?;
        p.text(210, 234, "result: 25", 13, Face::Sans)?;
        p.text_left(300, 196, "header of the request: opcode 0 (sum), format 0 (integer)", 13, Face::Faint)?;
        p.text_left(
            300,
            216,
            "header of the reply: success; the other seven bits mark it as a reply",
            13,
            Face::Faint,
        )?;
        p.arrow((820, 252), (80, 270), GREEN)
    })
}

// The chapters.

fn sending() -> Outcome<String> {
    picture(760, 330, |p| {
        p.text(150, 22, "sending connected ::1 10001", 15, Face::Mono)?;
        p.text(610, 22, "sending answer ::1 10001", 15, Face::Mono)?;
        p.lane(150, 40, 310)?;
        p.lane(610, 40, 310)?;
        p.call(610, 65, "bind [::1]:10001", PALE_GREEN)?;
        p.call(610, 105, "recv_from: waits", YELLOW)?;
        p.call(150, 65, "bind [::]:0", PALE_BLUE)?;
        p.call(150, 105, "connect [::1]:10001", PALE_BLUE)?;
        p.call(150, 145, "send", PALE_BLUE)?;
        p.arrow((240, 150), (520, 175), BLUE)?;
        p.text(380, 145, "68 65 6c 6c 6f", 14, Face::Mono)?;
        p.call(610, 185, "5 octets and the address", PALE_GREEN)?;
        p.call(150, 195, "recv: waits", YELLOW)?;
        p.call(610, 225, "send_to that address", PALE_GREEN)?;
        p.arrow((520, 230), (240, 255), GREEN)?;
        p.text(380, 228, "hello yourself", 14, Face::Mono)?;
        p.call(150, 265, "14 octets", PALE_BLUE)?;
        p.text(380, 318, "time runs from top to bottom; a yellow box is a system call that waits", 13, Face::Faint)
    })
}

fn integers() -> Outcome<String> {
    picture(760, 300, |p| {
        let row = |p: &Canvas<'_>, y: i32, octets: [u8; 4], label: &str, read: &str, fill| -> Outcome {
            p.text_left(20, y + 20, label, 14, Face::Sans)?;
            for (i, octet) in octets.iter().enumerate() {
                p.cell(250 + 60 * i as i32, y, 60, 40, &format!("{octet:02x}"), fill)?;
            }
            p.text_left(510, y + 20, read, 14, Face::Sans)
        };
        p.text_left(250, 20, "first on the wire", 13, Face::Faint)?;
        p.arrow((360, 20), (480, 20), FAINT)?;
        row(p, 40, 9u32.to_be_bytes(), "9 in network order (htonl)", "read in network order: 9", PALE_GREEN)?;
        row(p, 100, 9u32.to_le_bytes(), "9 as x86 and ARM hold it", "read in network order: 150994944", PALE_RED)?;
        p.text_left(
            20,
            180,
            "100 + 200, sent by a client that forgets both conversions; the server adds in network order:",
            14,
            Face::Sans,
        )?;
        for (i, (octets, sign)) in
            [([0x64u8, 0, 0, 0], "+"), ([0xc8, 0, 0, 0], "="), ([0x2c, 0, 0, 0], "")].iter().enumerate()
        {
            let x = 40 + 230 * i as i32;
            for (j, octet) in octets.iter().enumerate() {
                p.cell(x + 44 * j as i32, 200, 44, 36, &format!("{octet:02x}"), PALE_RED)?;
            }
            p.text(x + 203, 218, sign, 18, Face::Sans)?;
        }
        p.text_left(
            40,
            262,
            "The carry out of the first octet is lost: the client reads 0x2c = 44, not 300.",
            14,
            Face::Sans,
        )
    })
}

fn calculator() -> Outcome<String> {
    picture(760, 380, |p| {
        p.text_left(20, 20, "The header of a request, one octet", 15, Face::Sans)?;
        let bit = 60;
        let fields = [(4, "unused", "0 0 0 0", PAPER), (3, "opcode", "0 0 1", PALE_BLUE), (1, "F", "1", YELLOW)];
        let mut x = 20;
        for (bits, name, value, fill) in fields {
            p.cell(x, 55, bits * bit, 40, value, fill)?;
            p.text(x + bits * bit / 2, 45, name, 14, Face::Sans)?;
            x += bits * bit;
        }
        p.text_left(530, 66, "opcode 0 sum, 1 product", 13, Face::Sans)?;
        p.text_left(530, 86, "F = 0 integer, 1 string", 13, Face::Sans)?;
        p.text_left(20, 130, "4 * 2 * 3 as a string: the request, 13 octets", 15, Face::Sans)?;
        let request = [0x03u8, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3];
        for (i, octet) in request.iter().enumerate() {
            let fill = if i == 0 {
                YELLOW
            } else if (i - 1) / 4 % 2 == 0 {
                PALE_BLUE
            } else {
                PAPER
            };
            p.cell(20 + 44 * i as i32, 150, 44, 40, &format!("{octet:02x}"), fill)?;
        }
        p.text(42, 206, "header", 13, Face::Sans)?;
        for i in 0..3 {
            p.text(152 + 176 * i, 206, &format!("operand {}", i + 1), 13, Face::Sans)?;
        }
        p.text_left(20, 250, "The reply, 3 octets", 15, Face::Sans)?;
        for (i, (octet, fill)) in [("ff", YELLOW), ("32", PALE_GREEN), ("34", PALE_GREEN)].iter().enumerate() {
            p.cell(20 + 44 * i as i32, 270, 44, 40, octet, *fill)?;
        }
        p.text(42, 326, "status", 13, Face::Sans)?;
        p.text(130, 326, "\"24\"", 13, Face::Sans)?;
        p.text_left(
            180,
            282,
            "The first bit is 1 for success, 0 for an error. The other seven have no meaning;",
            13,
            Face::Sans,
        )?;
        p.text_left(180, 302, "we send ones, so that no server takes a reply for a request.", 13, Face::Sans)?;
        p.text_left(20, 360, "All integers travel in network order.", 13, Face::Faint)
    })
}

fn streams() -> Outcome<String> {
    picture(760, 300, |p| {
        p.text_left(20, 20, "Written: two frames, each in one call", 15, Face::Sans)?;
        let octets: Vec<String> = [0u8, 0, 0, 4].iter().map(|o| format!("{o:02x}")).collect();
        let mut x = 20;
        let mut edges = Vec::new();
        for word in ["help", "stop"] {
            let letters = octets.iter().cloned().chain(word.chars().map(String::from));
            for (i, text) in letters.enumerate() {
                p.cell(x, 40, 44, 40, &text, if i < 4 { YELLOW } else { PALE_BLUE })?;
                edges.push(x);
                x += 44;
            }
        }
        p.text(108, 96, "length", 13, Face::Sans)?;
        p.text(284, 96, "command", 13, Face::Sans)?;
        p.text(460, 96, "length", 13, Face::Sans)?;
        p.text(636, 96, "command", 13, Face::Sans)?;
        p.text_left(20, 130, "Read: the same octets in the same order, in pieces of any size", 15, Face::Sans)?;
        for (i, (from, to)) in [(0, 3), (3, 10), (10, 11), (11, 16)].iter().enumerate() {
            let (left, width) = (20 + 44 * from, 44 * (to - from));
            p.rect(left + 2, 150, width - 4, 40, PALE_GREEN)?;
            p.text(
                left + width / 2,
                170,
                &if width > 60 { format!("read {}", i + 1) } else { format!("{}", i + 1) },
                13,
                Face::Sans,
            )?;
        }
        p.text_left(
            20,
            225,
            "Read 1 ends within a length; read 2 has its end, a whole command and part of the next length.",
            14,
            Face::Sans,
        )?;
        p.text_left(
            20,
            250,
            "The reader's loop rebuilds the frames: four octets of length, then that many octets.",
            14,
            Face::Sans,
        )?;
        p.text_left(
            20,
            280,
            "A stream has no message boundaries; a datagram arrives whole or not at all.",
            13,
            Face::Faint,
        )
    })
}

fn echo() -> Outcome<String> {
    picture(760, 420, |p| {
        let ways = [
            ("iterative", "one process; the others wait in the kernel"),
            ("a process per client", "each with its own memory"),
            ("a thread per client", "all in one memory"),
            ("a pool", "threads started in advance, and a bounded queue"),
            ("one event loop", "the kernel says which sockets are ready"),
        ];
        for (i, (name, explained)) in ways.iter().enumerate() {
            let y = 14 + 80 * i as i32;
            p.text_left(20, y + 24, name, 16, Face::Sans)?;
            p.text_left(20, y + 46, explained, 12, Face::Faint)?;
            for client in 0..4 {
                p.cell(395, y + 17 * client, 26, 14, "", PALE_BLUE)?;
            }
            // The server of each client; None: the client waits.
            let servers: [Option<i32>; 4] = match i {
                0 => [Some(0), None, None, None],
                3 => [Some(0), Some(1), None, None],
                4 => [Some(0); 4],
                _ => [Some(0), Some(1), Some(2), Some(3)],
            };
            let within_a_process = i == 2 || i == 3;
            if within_a_process {
                p.rect(550, y - 4, 144, 74, PAPER)?;
            }
            for (client, server) in servers.iter().enumerate() {
                let from = (421, y + 17 * client as i32 + 7);
                match server {
                    Some(_) if i == 0 || i == 4 => p.arrow(from, (560, y + 33), INK)?,
                    Some(server) => p.arrow(from, (560, y + 17 * server + 7), INK)?,
                    None if i == 3 => p.arrow(from, (560, y + 52), FAINT)?,
                    None => p.text_left(from.0 + 8, from.1, "waits", 12, Face::Faint)?,
                }
            }
            let served = servers.iter().flatten().count() as i32;
            match i {
                0 | 4 => p.cell(562, y + 16, 120, 34, "one thread", PALE_GREEN)?,
                1 => (0..served).try_for_each(|s| p.cell(562, y + 17 * s, 120, 15, "process", PALE_GREEN))?,
                _ => (0..served).try_for_each(|s| p.cell(562, y + 17 * s, 120, 15, "thread", PALE_GREEN))?,
            }
            if i == 3 {
                p.cell(562, y + 42, 120, 20, "queue", YELLOW)?;
            }
        }
        Ok(())
    })
}

fn datagrams() -> Outcome<String> {
    picture(760, 400, |p| {
        let columns = [(95, "lost"), (345, "repeated"), (595, "overtaken")];
        for (x, title) in columns {
            p.text(x + 60, 20, title, 16, Face::Sans)?;
            p.text(x, 44, "client", 13, Face::Faint)?;
            p.text(x + 120, 44, "server", 13, Face::Faint)?;
            p.lane(x, 56, 300)?;
            p.lane(x + 120, 56, 300)?;
        }
        // A request that is lost, the timer, the repeat.
        let x = 95;
        p.arrow((x, 75), (x + 62, 88), RED)?;
        p.text(x + 72, 91, "✗", 18, Face::Sans)?;
        p.line((x - 12, 75), (x - 12, 190), FAINT)?;
        p.text_left(x - 72, 132, "timeout", 13, Face::Sans)?;
        p.arrow((x, 190), (x + 120, 215), BLUE)?;
        p.arrow((x + 120, 225), (x, 250), GREEN)?;
        p.text(x + 60, 352, "The same octets are sent again;", 13, Face::Sans)?;
        p.text(x + 60, 370, "each wait is twice as long.", 13, Face::Sans)?;
        // One request, two replies.
        let x = 345;
        p.arrow((x, 75), (x + 120, 100), BLUE)?;
        p.arrow((x + 60, 88), (x + 120, 150), BLUE)?;
        p.arrow((x + 120, 110), (x, 140), GREEN)?;
        p.arrow((x + 120, 160), (x, 190), FAINT)?;
        p.text_left(x + 8, 208, "ignored", 13, Face::Faint)?;
        p.text(x + 60, 352, "The sum is the same twice:", 13, Face::Sans)?;
        p.text(x + 60, 370, "no harm is done.", 13, Face::Sans)?;
        // The reply to the first request comes after that to the second.
        let x = 595;
        p.arrow((x, 75), (x + 120, 100), BLUE)?;
        p.arrow((x, 105), (x + 120, 130), RED)?;
        p.arrow((x + 120, 140), (x, 165), RED)?;
        p.arrow((x + 120, 105), (x, 230), BLUE)?;
        p.text_left(x - 28, 75, "1", 14, Face::Sans)?;
        p.text_left(x - 28, 105, "2", 14, Face::Sans)?;
        p.text_left(x - 28, 165, "2", 14, Face::Sans)?;
        p.text_left(x - 28, 230, "1", 14, Face::Sans)?;
        p.text(x + 60, 352, "An identifier in the reply says", 13, Face::Sans)?;
        p.text(x + 60, 370, "to which request it belongs.", 13, Face::Sans)
    })
}

fn peers() -> Outcome<String> {
    picture(760, 400, |p| {
        p.cell(310, 20, 140, 46, "tracker", YELLOW)?;
        let peers =
            [(60, 160, "peer A", "110100"), (540, 160, "peer B", "001110"), (300, 290, "peer C, new", "000000")];
        for (x, y, name, have) in peers {
            p.rect(x, y, 160, 76, PAPER)?;
            p.text(x + 80, y + 18, name, 15, Face::Sans)?;
            for (i, bit) in have.chars().enumerate() {
                let fill = if bit == '1' { PALE_GREEN } else { WHITE };
                p.cell(x + 11 + 23 * i as i32, y + 36, 23, 26, &i.to_string(), fill)?;
            }
        }
        p.arrow((150, 156), (318, 70), INK)?;
        p.text_left(70, 105, "register ID PORT", 13, Face::Mono)?;
        p.arrow((610, 156), (442, 70), INK)?;
        p.text_left(560, 105, "register ID PORT", 13, Face::Mono)?;
        p.arrow((380, 284), (380, 70), INK)?;
        p.text_left(390, 180, "list ID PORT", 13, Face::Mono)?;
        p.text_left(390, 202, "enrols C,", 13, Face::Faint)?;
        p.text_left(390, 220, "returns A and B", 13, Face::Faint)?;
        p.arrow((150, 240), (296, 310), GREEN)?;
        p.text_left(100, 292, "chunks 0, 1", 13, Face::Sans)?;
        p.arrow((610, 240), (464, 310), GREEN)?;
        p.text_left(560, 292, "chunks 2, 3, 4", 13, Face::Sans)?;
        p.text(
            380,
            388,
            "Nobody has chunk 5 yet: C asks again until a peer has it. A and B fetch from each other, too.",
            13,
            Face::Faint,
        )
    })
}

// The plot.

fn plot(csv: &str) -> Outcome<String> {
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let ways = ["iterative", "processes", "threads", "pool", "events"];
    let colours = [RED, RGBColor(0xb5, 0x7a, 0x00), GREEN, RGBColor(0x7b, 0x4f, 0xb0), BLUE];
    picture(960, 360, |p| {
        let panels = [
            ("round trips a second", 2, 1.0, 1e4..1e6),
            ("first reply, ms (99 of 100 clients)", 4, 1.0, 1e-2..1e4),
            ("memory, MiB", 5, 1024.0, 0.2..500.0),
        ];
        for (panel, (title, column, unit, range)) in p.area.split_evenly((1, 3)).iter().zip(panels) {
            let mut chart = ChartBuilder::on(panel)
                .caption(title, ("sans-serif", 17).into_font().color(&INK))
                .margin(12)
                .margin_right(26)
                .margin_bottom(40)
                .x_label_area_size(34)
                .y_label_area_size(52)
                .build_cartesian_2d((1f64..1000f64).log_scale(), range.clone().log_scale())?;
            chart
                .configure_mesh()
                .x_desc("clients at once")
                .x_labels(4)
                .label_style(("sans-serif", 13).into_font().color(&INK))
                .light_line_style(WHITE)
                .bold_line_style(PAPER)
                .x_label_formatter(&|value| short(*value))
                .y_label_formatter(&|value| short(*value))
                .draw()?;
            for (way, colour) in ways.iter().zip(colours) {
                let points: Vec<(f64, f64)> = rows
                    .iter()
                    .filter(|row| row.first() == Some(way))
                    .map(|row| {
                        Ok((row[1].parse()?, (row[column].parse::<f64>()? / unit).clamp(range.start, range.end)))
                    })
                    .collect::<Outcome<_>>()?;
                chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
                chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
            }
        }
        for (i, (way, colour)) in ways.iter().zip(colours).enumerate() {
            let x = 200 + 125 * i as i32;
            p.area.draw(&PathElement::new([(x, 345), (x + 26, 345)], colour.stroke_width(3)))?;
            p.text_left(x + 34, 345, way, 15, Face::Sans)?;
        }
        Ok(())
    })
}

/// 10000 as 10k: there is little room beside an axis.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e4 => format!("{}k", v / 1e3),
        v => format!("{}", (v * 100.0).round() / 100.0),
    }
}

// Drawing: boxes, text and arrows.

#[derive(Clone, Copy)]
enum Face {
    Sans,
    Mono,
    Faint,
}

struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

fn picture(width: u32, height: u32, draw: impl FnOnce(&Canvas<'_>) -> Outcome) -> Outcome<String> {
    let mut svg = String::new();
    let canvas = Canvas { area: SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area() };
    canvas.area.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.area.present()?;
    drop(canvas);
    Ok(svg)
}

impl Canvas<'_> {
    fn rect(&self, x: i32, y: i32, width: i32, height: i32, fill: RGBColor) -> Outcome {
        let corners = [(x, y), (x + width, y + height)];
        self.area.draw(&Rectangle::new(corners, fill.filled()))?;
        self.area.draw(&Rectangle::new(corners, INK.stroke_width(1)))?;
        Ok(())
    }

    /// A box with octets or a word in it.
    fn cell(&self, x: i32, y: i32, width: i32, height: i32, text: &str, fill: RGBColor) -> Outcome {
        self.rect(x, y, width, height, fill)?;
        let size = (height - 3).min(16);
        self.text(x + width / 2, y + height / 2, text, size, Face::Mono)
    }

    /// A box on a lane: one system call.
    fn call(&self, x: i32, y: i32, text: &str, fill: RGBColor) -> Outcome {
        self.rect(x - 90, y - 14, 180, 28, fill)?;
        self.text(x, y, text, 13, Face::Sans)
    }

    fn text(&self, x: i32, y: i32, text: &str, size: i32, face: Face) -> Outcome {
        self.write(x, y, text, size, face, HPos::Center)
    }

    fn text_left(&self, x: i32, y: i32, text: &str, size: i32, face: Face) -> Outcome {
        self.write(x, y, text, size, face, HPos::Left)
    }

    fn write(&self, x: i32, y: i32, text: &str, size: i32, face: Face, side: HPos) -> Outcome {
        let family = if matches!(face, Face::Mono) { "monospace" } else { "sans-serif" };
        let colour = if matches!(face, Face::Faint) { FAINT } else { INK };
        // The backend divides by 1.24, the height of a line over that of its letters.
        let font = (family, f64::from(size) * 1.24).into_font().color(&colour);
        self.area.draw(&Text::new(text, (x, y), font.pos(Pos::new(side, VPos::Center))))?;
        Ok(())
    }

    fn line(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Outcome {
        self.area.draw(&PathElement::new([from, to], colour.stroke_width(2)))?;
        Ok(())
    }

    /// A process as a vertical line; time runs downwards.
    fn lane(&self, x: i32, from: i32, to: i32) -> Outcome {
        self.line((x, from), (x, to), FAINT)
    }

    fn arrow(&self, from: (i32, i32), to: (i32, i32), colour: RGBColor) -> Outcome {
        self.line(from, to, colour)?;
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let barb = |side: f64| {
            let (x, y) = (f64::from(to.0) - 11.0 * ux - side * 5.0 * uy, f64::from(to.1) - 11.0 * uy + side * 5.0 * ux);
            (x.round() as i32, y.round() as i32)
        };
        self.area.draw(&Polygon::new([to, barb(1.0), barb(-1.0)], colour.filled()))?;
        Ok(())
    }
}
