//! A report on one submission for its author, as Markdown and as HTML. Everything that a submission wrote is text
//! in it, never markup, and has no control characters.

use std::fmt::Write;

use super::outcome::{Grade, ScoreLine, StepOutcome, shown};
use crate::check::report::{CheckReport, CheckVerdict, Finding};
use crate::check::table::Level;
use crate::markup;

/// A part of a page.
enum Block {
    Heading(u8, String),
    Text(String),
    Table(Vec<Vec<String>>),
    Verbatim(String),
}

/// As Markdown (CommonMark, with GitHub's tables).
pub fn markdown(grade: &Grade) -> String {
    let mut out = String::new();
    for block in blocks(grade) {
        match block {
            Block::Heading(level, text) => {
                let _ = writeln!(out, "{} {}\n", "#".repeat(level.into()), inline(&text));
            }
            Block::Text(text) => {
                let _ = writeln!(out, "{}\n", inline(&text));
            }
            Block::Table(rows) => {
                for (number, row) in rows.iter().enumerate() {
                    let cells: Vec<String> = row.iter().map(|cell| inline(cell)).collect();
                    let _ = writeln!(out, "| {} |", cells.join(" | "));
                    if number == 0 {
                        let _ = writeln!(out, "|{}", " --- |".repeat(row.len()));
                    }
                }
                out.push('\n');
            }
            Block::Verbatim(text) => {
                // Longer than any fence in the text (CommonMark 0.31, section 4.5).
                let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
                let _ = writeln!(out, "{fence}text\n{}\n{fence}\n", text.trim_end());
            }
        }
    }
    out
}

/// As an HTML page without external files.
pub fn html(grade: &Grade) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\n<style>body{{font-family:\
         sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}pre{{background:#f4f4f4;padding:.7em;overflow-x:auto}}\
         td,th{{border:1px solid #ccc;padding:.2em .6em;text-align:left}}table{{border-collapse:collapse}}</style>\
         </head><body>\n",
        escape(&grade.name)
    );
    for block in blocks(grade) {
        let _ = match block {
            Block::Heading(level, text) => writeln!(out, "<h{level}>{}</h{level}>", escape(&text)),
            Block::Text(text) => writeln!(out, "<p>{}</p>", escape(&text)),
            Block::Verbatim(text) => writeln!(out, "<pre>{}</pre>", escape(text.trim_end())),
            Block::Table(rows) => {
                let row = |(number, cells): (usize, &Vec<String>)| {
                    let tag = if number == 0 { "th" } else { "td" };
                    let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
                    format!("<tr>{}</tr>\n", cells.collect::<String>())
                };
                writeln!(out, "<table>\n{}</table>", rows.iter().enumerate().map(row).collect::<String>())
            }
        };
    }
    out + "</body></html>\n"
}

fn blocks(grade: &Grade) -> Vec<Block> {
    let score = &grade.score;
    let mut blocks = vec![
        Block::Heading(1, grade.name.clone()),
        Block::Text(format!("{} of {} points.", shown(score.points), shown(score.max))),
    ];
    if !score.missing.is_empty() {
        blocks.push(Block::Text(format!("No points, because these are required: {}.", score.missing.join(", "))));
    }
    let row = |line: &ScoreLine| {
        let bonus = if line.bonus { " (bonus)" } else { "" };
        let points = format!("{} of {}", shown(line.points), shown(line.max));
        vec![format!("{}{bonus}", line.name), points, line.lost.join(", ")]
    };
    let heading = ["for", "points", "not met"].map(str::to_owned).to_vec();
    blocks.push(Block::Table(std::iter::once(heading).chain(score.lines.iter().map(row)).collect()));
    for (title, step) in [("Build", &grade.build), ("Server", &grade.server), ("Client", &grade.client)] {
        step_blocks(&mut blocks, title, step);
    }
    step_blocks(&mut blocks, "Random datagrams to the server", &grade.fuzz);
    blocks
}

fn step_blocks(blocks: &mut Vec<Block>, title: &str, step: &StepOutcome) {
    match step {
        StepOutcome::NotAsked => {}
        StepOutcome::NotReached => {
            blocks.push(Block::Heading(2, title.into()));
            blocks.push(Block::Text("Not checked, because the build failed.".into()));
        }
        StepOutcome::Done { log } => {
            blocks.push(Block::Heading(2, format!("{title}: done")));
            verbatim(blocks, log);
        }
        StepOutcome::Failed { words, log } => {
            blocks.push(Block::Heading(2, format!("{title}: failed")));
            blocks.push(Block::Text(printable(words).replace('\n', " ")));
            verbatim(blocks, log);
        }
        StepOutcome::Checked { report } => report_blocks(blocks, title, report),
        StepOutcome::Fuzzed { summary } => {
            blocks.push(Block::Heading(2, title.into()));
            let wrong = summary.wrong.len();
            blocks.push(Block::Text(format!(
                "{} datagrams with seed {}, {} answers verified, {wrong} wrong.",
                summary.datagrams, summary.seed, summary.owed
            )));
            for wrong in &summary.wrong {
                verbatim(
                    blocks,
                    &format!("sent      {}\nexpected  {}\nfound     {}", wrong.sent, wrong.expected, wrong.found),
                );
            }
        }
    }
}

fn verbatim(blocks: &mut Vec<Block>, text: &str) {
    if !text.trim().is_empty() {
        blocks.push(Block::Verbatim(printable(text)));
    }
}

fn report_blocks(blocks: &mut Vec<Block>, title: &str, report: &CheckReport) {
    let ((must, musts), (should, shoulds)) = (report.score(Level::Must), report.score(Level::Should));
    blocks.push(Block::Heading(2, format!("{title}: {}", if report.passes() { "passed" } else { "failed" })));
    blocks
        .push(Block::Text(format!("{must} of {musts} required checks hold, {should} of {shoulds} recommended ones.")));
    for finding in report.findings.iter().filter(|finding| finding.verdict == CheckVerdict::Broken) {
        let level = if finding.check.level == Level::Must { "required" } else { "recommended" };
        blocks.push(Block::Heading(
            3,
            format!("{} {} ({level}): {}", finding.check.clause, finding.check.key, finding.check.title),
        ));
        verbatim(blocks, &details(finding));
    }
    for crash in &report.crashes {
        blocks.push(Block::Heading(3, "A datagram ended the server".into()));
        let shrunk = crash.shrunk.as_ref().map_or_else(String::new, |shrunk| format!("\nsmallest  {shrunk}"));
        verbatim(blocks, &format!("{}\ndatagram  {}{shrunk}", crash.how, crash.datagram));
    }
    let waiting: Vec<&str> = report.findings.iter().filter(|finding| finding.see.is_some()).map(key).collect();
    if !waiting.is_empty() {
        blocks.push(Block::Text(format!("Not judged because of the above: {}.", waiting.join(", "))));
    }
}

fn key(finding: &Finding) -> &'static str {
    finding.check.key
}

/// What was sent, expected and received, the likely mistake, what to try, and why it matters.
pub fn details(finding: &Finding) -> String {
    let mut text = String::new();
    let sent = finding.sent.iter().map(|sent| ("sent", sent.as_str()));
    let rest = [
        ("expected", finding.expected.as_str()),
        ("found", &finding.found),
        ("likely", &finding.likely),
        ("try", &finding.hint),
        ("why", finding.check.why),
    ];
    for (name, value) in sent.chain(rest).filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{name:<9} {}", printable(value));
    }
    text
}

/// Without control characters other than line ends and tabs, and without those that reorder text.
pub fn printable(text: &str) -> String {
    let is_shown = |character: char| match character {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        character => !character.is_control(),
    };
    text.chars().map(|character| if is_shown(character) { character } else { '\u{fffd}' }).collect()
}

/// Text in a line of Markdown.
fn inline(text: &str) -> String {
    markup::markdown(&printable(text).replace('\n', " "))
}

/// Text in HTML. A replaced character stays visible: it may be an attempt to deceive the reader.
pub fn escape(text: &str) -> String {
    markup::html(&printable(text))
}

fn longest_run(text: &str, wanted: char) -> usize {
    text.split(|character| character != wanted).map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_submission_writes_is_no_markup() {
        assert_eq!(inline("a|b <script> `x`\n*y*"), "a\\|b \\<script\\> \\`x\\` \\*y\\*");
        assert_eq!(escape("<b>&\"\x1b[2J"), "&lt;b&gt;&amp;&quot;\u{fffd}[2J");
        assert_eq!(printable("a\tb\n\u{202e}c\r"), "a\tb\n\u{fffd}c\u{fffd}");
        assert_eq!(longest_run("a```` b``", '`'), 4);
    }
}
