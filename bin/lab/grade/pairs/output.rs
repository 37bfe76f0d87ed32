//! The pairs as a table on the terminal, as CSV, and as a page of HTML.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{Matrix, Pair, PairExchange, PairFault, PairOutcome, PairSide};
use crate::Failure;
use crate::columns;
use crate::grade::page::{escape, printable};
use crate::process::shown;

/// What the cells mean.
const LEGEND: &str = "S and C with a clause of docs/protocol.md: the server or the client breaks it; in brackets: the \
                      results were right nevertheless;\n\
                      ?: it does not work, and neither side breaks a clause; !: it could not be run; -: not built";

/// What one side does wrong, and with which partners.
struct FaultGroup<'a> {
    side: PairSide,
    name: &'a str,
    clause: &'a str,
    /// The partners with which it shows.
    with: Vec<&'a str>,
    /// The first pair and question in which it shows.
    example: (&'a Pair, &'a PairExchange, &'a PairFault),
}

impl Matrix {
    /// Writes the files that were asked for.
    pub fn write_files(&self, html: Option<&Path>, csv: Option<&Path>) -> Result<(), Failure> {
        let cannot = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::run(format_args!("cannot write {}", path.display()), error)
        };
        if let Some(path) = html {
            fs::write(path, self.html()).map_err(|error| cannot(path, &error))?;
        }
        if let Some(path) = csv {
            let table = self.csv().map_err(|error| cannot(path, &error))?;
            fs::write(path, table).map_err(|error| cannot(path, &error))?;
        }
        Ok(())
    }

    /// The matrix. Below it, each fault once per program and clause.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let numbers = 1..=self.clients.len();
        let heading = std::iter::once("servers, clients".to_owned());
        let mut rows = vec![heading.chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>()];
        for (number, (server, pairs)) in self.rows().enumerate() {
            let cells = pairs.iter().map(|pair| pair.outcome.cell());
            rows.push(std::iter::once(format!("{} {}", number + 1, shown(server))).chain(cells).collect());
        }
        writeln!(out)?;
        columns::write(out, &rows)?;
        let names = self.clients.iter().enumerate();
        let names: Vec<String> = names.map(|(number, name)| format!("{} {}", number + 1, shown(name))).collect();
        writeln!(out, "clients: {}\n{LEGEND}", names.join(", "))?;
        for FaultGroup { side, name, clause, with, example: (pair, exchange, fault) } in self.groups() {
            let of_all = match side {
                PairSide::Server => self.clients.len(),
                PairSide::Client => self.servers.len(),
            };
            writeln!(
                out,
                "\n{} of {} breaks {clause}, with {} of {of_all} {}",
                side.word(),
                shown(name),
                with.len(),
                side.other().others()
            )?;
            let other = match side {
                PairSide::Server => &pair.client,
                PairSide::Client => &pair.server,
            };
            writeln!(out, "  example   {} with that of {}", exchange.asked, shown(other))?;
            for (name, value) in fault.lines() {
                writeln!(out, "  {name:<9} {}", shown(value))?;
            }
        }
        for (name, why) in &self.not_built {
            writeln!(out, "\n{} is not built: {}", shown(name), shown(why))?;
        }
        for pair in &self.pairs {
            for words in pair.outcome.remarks() {
                let (server, client) = (shown(&pair.server), shown(&pair.client));
                writeln!(out, "\nserver of {server} with client of {client}: {}", shown(&words))?;
            }
        }
        let works = self.pairs.iter().filter(|pair| pair.outcome.works()).count();
        writeln!(out, "\n{works} of {} pairs work", self.pairs.len())
    }

    /// One row per question of each pair, and per fault.
    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let heading = [
            "server", "client", "asked", "works", "at fault", "clause", "sent", "expected", "found", "likely", "remark",
        ];
        table.write_record(heading)?;
        for Pair { server, client, outcome } in &self.pairs {
            let mut row = |asked: &str, works: bool, rest: [&str; 7]| {
                let works = if works { "yes" } else { "no" };
                let cells = [server.as_str(), client, asked, works].into_iter().chain(rest);
                table.write_record(cells.map(printable))
            };
            match outcome {
                PairOutcome::NotBuilt => row("", false, ["", "", "", "", "", "", "not built"])?,
                PairOutcome::Failed { words } => row("", false, ["", "", "", "", "", "", words])?,
                PairOutcome::Done { exchanges } => {
                    for PairExchange { asked, works, faults, remark } in exchanges {
                        if faults.is_empty() {
                            row(asked, *works, ["", "", "", "", "", "", remark])?;
                        }
                        for PairFault { side, clause, sent, expected, found, likely, .. } in faults {
                            let sent = sent.join(", ");
                            row(asked, *works, [side.word(), clause, &sent, expected, found, likely, remark])?;
                        }
                    }
                }
            }
        }
        table.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }

    /// An HTML page without external files; everything that submissions wrote is text in it.
    fn html(&self) -> String {
        let mut out = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Every client against every server\
             </title>\n<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
             td,th{border:1px solid #999;padding:.2em .5em;text-align:center}th{font-weight:normal;text-align:left}\
             thead th{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap}\
             .ok{background:#d9f0d9}.server{background:#f6cfc4}.client{background:#f9e3a6}.both{background:#e6c3dc}\
             .unknown{background:#ddd}pre{background:#f4f4f4;padding:.7em;white-space:pre-wrap}a{color:inherit}\
             </style></head><body>\n<h1>Every client against every server</h1>\n",
        );
        let works = self.pairs.iter().filter(|pair| pair.outcome.works()).count();
        let _ = writeln!(
            out,
            "<p>Servers in rows, clients in columns: {works} of {} pairs work. {}.</p>",
            self.pairs.len(),
            escape(&LEGEND.replace('\n', " "))
        );
        out += "<table><thead><tr><td></td>";
        self.clients.iter().for_each(|client| out += &format!("<th scope=\"col\">{}</th>", escape(client)));
        out += "</tr></thead><tbody>\n";
        for (row, (server, pairs)) in self.rows().enumerate() {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(server));
            for (column, pair) in pairs.iter().enumerate() {
                let (class, cell) = (pair.outcome.class(), escape(&pair.outcome.cell()));
                let _ = match pair.outcome.works() {
                    true => write!(out, "<td class=\"{class}\">{cell}</td>"),
                    false => write!(out, "<td class=\"{class}\"><a href=\"#pair-{row}-{column}\">{cell}</a></td>"),
                };
            }
            out += "</tr>\n";
        }
        out += "</tbody></table>\n";
        for (row, (_, pairs)) in self.rows().enumerate() {
            for (column, pair) in pairs.iter().enumerate().filter(|(_, pair)| !pair.outcome.works()) {
                let title = format!("server of {}, client of {}", pair.server, pair.client);
                let _ = writeln!(out, "<h2 id=\"pair-{row}-{column}\">{}</h2>", escape(&title));
                pair.outcome.write_html(&mut out);
            }
        }
        out + "</body></html>\n"
    }

    /// Each server, with its pairs.
    fn rows(&self) -> impl Iterator<Item = (&str, &[Pair])> {
        self.servers.iter().map(String::as_str).zip(self.pairs.chunks(self.clients.len().max(1)))
    }

    /// Each fault once per program and clause.
    fn groups(&self) -> Vec<FaultGroup<'_>> {
        let mut groups: Vec<FaultGroup<'_>> = Vec::new();
        for pair in &self.pairs {
            let PairOutcome::Done { exchanges } = &pair.outcome else { continue };
            for (exchange, fault) in
                exchanges.iter().flat_map(|exchange| exchange.faults.iter().map(move |fault| (exchange, fault)))
            {
                let (name, other) = match fault.side {
                    PairSide::Server => (&pair.server, &pair.client),
                    PairSide::Client => (&pair.client, &pair.server),
                };
                let same = |group: &&mut FaultGroup<'_>| {
                    (group.side, group.name, group.clause) == (fault.side, name.as_str(), fault.clause.as_str())
                };
                match groups.iter_mut().find(same) {
                    Some(group) if group.with.contains(&other.as_str()) => {}
                    Some(group) => group.with.push(other),
                    None => groups.push(FaultGroup {
                        side: fault.side,
                        name,
                        clause: &fault.clause,
                        with: vec![other],
                        example: (pair, exchange, fault),
                    }),
                }
            }
        }
        groups.sort_by_key(|group| (group.name, group.side));
        groups
    }
}

impl PairSide {
    /// The word for people to read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Server => 'S',
            Self::Client => 'C',
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }

    fn others(self) -> &'static str {
        match self {
            Self::Server => "servers",
            Self::Client => "clients",
        }
    }
}

impl PairOutcome {
    /// In the matrix: `ok`, or the first clause that each side breaks.
    fn cell(&self) -> String {
        let exchanges = match self {
            Self::NotBuilt => return "-".into(),
            Self::Failed { .. } => return "!".into(),
            Self::Done { .. } if self.works() => return "ok".into(),
            Self::Done { exchanges } => exchanges,
        };
        let first = |side| {
            let mut faults = exchanges.iter().flat_map(|exchange| &exchange.faults);
            let fault = faults.find(|fault| fault.side == side)?;
            Some(format!("{} {}", side.letter(), fault.clause))
        };
        let said: Vec<String> = [PairSide::Server, PairSide::Client].into_iter().filter_map(first).collect();
        match said.join(", ") {
            said if said.is_empty() => "?".into(),
            said if exchanges.iter().all(|exchange| exchange.works) => format!("({said})"),
            said => said,
        }
    }

    /// The colour of the cell.
    fn class(&self) -> &'static str {
        let Self::Done { exchanges } = self else { return "unknown" };
        let breaks = |side| exchanges.iter().flat_map(|exchange| &exchange.faults).any(|fault| fault.side == side);
        match (self.works(), breaks(PairSide::Server), breaks(PairSide::Client)) {
            (true, ..) => "ok",
            (_, true, true) => "both",
            (_, true, false) => "server",
            (_, false, true) => "client",
            (_, false, false) => "unknown",
        }
    }

    /// Remarks other than broken clauses.
    fn remarks(&self) -> Vec<String> {
        match self {
            Self::NotBuilt => Vec::new(),
            Self::Failed { words } => vec![words.clone()],
            Self::Done { exchanges } => {
                let remarks = exchanges.iter().filter(|exchange| !exchange.remark.is_empty());
                remarks.map(|PairExchange { asked, remark, .. }| format!("{asked}: {remark}")).collect()
            }
        }
    }

    fn write_html(&self, out: &mut String) {
        if matches!(self, Self::NotBuilt) {
            *out += "<p>Not built.</p>\n";
        }
        for words in self.remarks() {
            let _ = writeln!(out, "<p>{}</p>", escape(&words));
        }
        let Self::Done { exchanges } = self else { return };
        for exchange in exchanges {
            for fault in &exchange.faults {
                let right = if exchange.works { "; the result was right nevertheless" } else { "" };
                let _ = writeln!(
                    out,
                    "<h3>{}: the {} breaks {}{right}</h3>",
                    escape(&exchange.asked),
                    fault.side.word(),
                    escape(&fault.clause)
                );
                let lines = fault.lines().map(|(name, value)| format!("{name:<9} {}\n", escape(value)));
                let _ = writeln!(out, "<pre>{}</pre>", lines.collect::<String>().trim_end());
            }
        }
        let failed: Vec<&str> = exchanges
            .iter()
            .filter(|exchange| !exchange.works && exchange.faults.is_empty() && exchange.remark.is_empty())
            .map(|exchange| exchange.asked.as_str())
            .collect();
        if !failed.is_empty() {
            let _ = writeln!(out, "<p>Without a right result: {}.</p>", escape(&failed.join(", ")));
        }
    }
}

impl PairFault {
    /// Each part with its label; empty parts are left out.
    fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sent = self.sent.iter().map(|sent| ("sent", sent.as_str()));
        let rest = [
            ("required", self.title.as_str()),
            ("expected", &self.expected),
            ("found", &self.found),
            ("likely", &self.likely),
            ("try", &self.hint),
        ];
        sent.chain(rest).filter(|(_, value)| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(side: PairSide, clause: &str) -> PairFault {
        PairFault {
            side,
            clause: clause.into(),
            title: "what is required".into(),
            sent: vec!["00 00000001".into()],
            expected: String::new(),
            found: "<b>\x1b[2J".into(),
            likely: String::new(),
            hint: String::new(),
        }
    }

    fn done(works: bool, faults: Vec<PairFault>) -> PairOutcome {
        let exchange = PairExchange { asked: "sum".into(), works, faults, remark: String::new() };
        PairOutcome::Done { exchanges: vec![exchange] }
    }

    #[test]
    fn a_cell_says_who_breaks_what() {
        let (server, client) = (fault(PairSide::Server, "2.3"), fault(PairSide::Client, "2.5"));
        for (outcome, cell, class) in [
            (done(true, Vec::new()), "ok", "ok"),
            (done(false, vec![server.clone()]), "S 2.3", "server"),
            (done(false, vec![client.clone(), server.clone()]), "S 2.3, C 2.5", "both"),
            (done(true, vec![client]), "(C 2.5)", "client"),
            (done(false, Vec::new()), "?", "unknown"),
            (PairOutcome::NotBuilt, "-", "unknown"),
            (PairOutcome::Failed { words: "x".into() }, "!", "unknown"),
        ] {
            assert_eq!((outcome.cell().as_str(), outcome.class()), (cell, class));
        }
    }

    #[test]
    fn what_submissions_write_is_text() {
        let pair = Pair {
            server: "<i>ada".into(),
            client: "bob\u{9b}".into(),
            outcome: done(false, vec![fault(PairSide::Server, "2.3")]),
        };
        let (servers, clients) = (vec!["<i>ada".into()], vec!["bob\u{9b}".into()]);
        let not_built = vec![("eve".into(), "\x1b[2J".into())];
        let matrix = Matrix { servers, clients, pairs: vec![pair], not_built };
        let html = matrix.html();
        assert!(html.contains("&lt;i&gt;ada") && html.contains("&lt;b&gt;") && !html.contains("<b>"), "{html}");
        let csv = String::from_utf8(matrix.csv().unwrap()).unwrap();
        let mut text = Vec::new();
        matrix.write_text(&mut text).unwrap();
        for output in [&html, &csv, &String::from_utf8(text).unwrap()] {
            assert!(!output.contains(['\x1b', '\u{9b}']), "{output:?}");
        }
    }
}
