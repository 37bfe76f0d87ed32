//! What the platforms of courses read: Gradescope, Classroom 50, INGInious, GitHub Actions; and a table of all.

use std::env;
use std::fmt::Write;
use std::io;
use std::time::SystemTime;

use super::outcome::{Grade, Item, ScoreLine, StepOutcome, shown};
use super::page::{details, printable};
use crate::check::report::CheckVerdict;
use crate::check::table::Level;

/// Gradescope's results.json (gradescope-autograders.readthedocs.io, "Specifications", Output format). The sum of the
/// tests' scores is the score; `max_score` 0 with a score is a bonus.
pub fn gradescope(grade: &Grade) -> io::Result<String> {
    #[derive(serde::Serialize)]
    struct Results {
        score: f64,
        execution_time: f64,
        output: String,
        visibility: &'static str,
        stdout_visibility: &'static str,
        tests: Vec<Test>,
    }
    #[derive(serde::Serialize)]
    struct Test {
        name: String,
        number: String,
        score: f64,
        max_score: f64,
        output: String,
        tags: Vec<&'static str>,
        visibility: &'static str,
    }
    let test = |(number, line): (usize, &ScoreLine)| Test {
        name: line.name.clone(),
        number: (number + 1).to_string(),
        score: line.points,
        max_score: if line.bonus { 0.0 } else { line.max },
        output: explanation(grade, line),
        tags: if line.bonus { vec!["bonus"] } else { Vec::new() },
        visibility: "visible",
    };
    let results = Results {
        score: grade.score.points,
        execution_time: grade.seconds,
        output: summary(grade),
        visibility: "visible",
        stdout_visibility: "hidden",
        tests: grade.score.lines.iter().enumerate().map(test).collect(),
    };
    Ok(serde_json::to_string_pretty(&results)? + "\n")
}

/// Classroom 50's result.json (foundation50/classroom50, schemas/result-v1.schema.json). Its points are whole numbers:
/// each test's are rounded down. What identifies the submission is in the variables that its runner sets.
pub fn classroom50(grade: &Grade) -> Result<String, String> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Test {
        test_name: String,
        passed: bool,
        score: u64,
        max_score: u64,
        output: String,
    }
    #[derive(serde::Serialize)]
    struct Outcome {
        schema: &'static str,
        classroom: String,
        assignment: String,
        assignment_type: String,
        owner: String,
        submission: String,
        commit: String,
        release: String,
        review: String,
        datetime: String,
        score: u64,
        #[serde(rename = "max-score")]
        max_score: u64,
        tests: Vec<Test>,
    }
    let variable = |name: &str| {
        let value = env::var(name).unwrap_or_default();
        if value.is_empty() {
            Err(format!("the variable {name} is not set: Classroom 50's runner sets it"))
        } else {
            Ok(value)
        }
    };
    let test = |line: &ScoreLine| {
        let max_score = line.max.floor() as u64;
        let score = ((line.points + 1e-9).floor() as u64).min(max_score);
        let passed = line.lost.is_empty() && grade.score.missing.is_empty();
        Test { test_name: line.name.clone(), passed, score, max_score, output: explanation(grade, line) }
    };
    let tests: Vec<Test> = grade.score.lines.iter().map(test).collect();
    let commit = variable("COMMIT_URL")?;
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let outcome = Outcome {
        schema: "classroom50/result/v1",
        classroom: variable("CLASSROOM")?,
        assignment: variable("ASSIGNMENT")?,
        assignment_type: variable("ASSIGNMENT_TYPE").unwrap_or_else(|_| "individual".into()),
        owner: variable("OWNER")
            .or_else(|_| variable("USERNAME"))
            .map_err(|_| "the variable OWNER is not set: Classroom 50's runner sets it")?,
        submission: variable("SUBMISSION_TAG")?,
        review: variable("REVIEW_URL").unwrap_or_else(|_| commit.clone()),
        commit,
        release: variable("RELEASE_URL")?,
        datetime: variable("SUBMISSION_DATETIME").unwrap_or(now),
        score: tests.iter().map(|test| test.score).sum(),
        max_score: tests.iter().map(|test| test.max_score).sum(),
        tests,
    };
    serde_json::to_string_pretty(&outcome).map(|json| json + "\n").map_err(|error| error.to_string())
}

/// JSON that is safe on a terminal: serde_json escapes only the control characters below U+0020. The others occur only
/// in strings, where an escape means the same (RFC 8259, section 7).
pub fn shown_json(json: &str) -> String {
    let escape = |character: char| match character {
        '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            format!("\\u{:04x}", u32::from(character))
        }
        character => character.to_string(),
    };
    json.chars().map(escape).collect()
}

/// A shell script of INGInious's commands (docs.inginious.org, "Run file", Feedback commands): a result, a grade from 0
/// to 100, and a message in reStructuredText.
pub fn inginious(grade: &Grade) -> String {
    let percent = if grade.score.max > 0.0 { (100.0 * grade.score.points / grade.score.max).min(100.0) } else { 100.0 };
    let result = match grade.passes() && grade.score.missing.is_empty() {
        true => "success",
        false => "failed",
    };
    let mut message = format!("{}\n", summary(grade));
    for line in grade.score.lines.iter().filter(|line| !line.lost.is_empty()) {
        let explanation: String = explanation(grade, line).lines().map(|line| format!("    {line}\n")).collect();
        let _ = write!(message, "\n``{}``\n\n::\n\n{explanation}", line.name.replace('`', "'"));
    }
    let quoted = message.replace('\'', "'\\''");
    format!("feedback-result {result}\nfeedback-grade {}\nprintf '%s\\n' '{quoted}' | feedback-msg\n", shown(percent))
}

/// GitHub Actions' annotations (docs.github.com, "Workflow commands for GitHub Actions"): errors for what is required,
/// warnings for what is recommended.
pub fn github(grade: &Grade) -> String {
    let mut out = String::new();
    let mut annotate = |kind: &str, title: &str, text: &str| {
        let title = command_data(title).replace(':', "%3A").replace(',', "%2C");
        let _ = writeln!(out, "::{kind} title={title}::{}", command_data(text.trim_end()));
    };
    for (name, step) in grade.steps() {
        let title = |what: &str| format!("{} {name}: {what}", grade.name);
        match step {
            StepOutcome::Failed { words, .. } => annotate("error", &title("failed"), &printable(words)),
            StepOutcome::Checked { report } => {
                for finding in report.findings.iter().filter(|finding| finding.verdict == CheckVerdict::Broken) {
                    let kind = if finding.check.level == Level::Must { "error" } else { "warning" };
                    annotate(
                        kind,
                        &title(&format!("{} {}", finding.check.clause, finding.check.key)),
                        &format!("{}\n{}", finding.check.title, details(finding)),
                    );
                }
            }
            StepOutcome::Fuzzed { summary } => {
                for wrong in &summary.wrong {
                    let text = format!("sent {}\nexpected {}\nfound {}", wrong.sent, wrong.expected, wrong.found);
                    annotate("error", &title("wrong answer"), &printable(&text));
                }
            }
            _ => {}
        }
    }
    let kind = if grade.passes() { "notice" } else { "error" };
    annotate(kind, &grade.name, &summary(grade));
    out
}

/// One row per submission.
pub fn csv(grades: &[Grade]) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "submission",
        "points",
        "max",
        "passes",
        "build",
        "server",
        "client",
        "fuzz",
        "not met",
        "missing",
        "seconds",
    ])?;
    for grade in grades {
        let lost: Vec<&str> = grade.score.lines.iter().flat_map(|line| &line.lost).map(String::as_str).collect();
        let mark = if grade.passes() { "yes" } else { "no" };
        table.write_record([
            grade.name.as_str(),
            &shown(grade.score.points),
            &shown(grade.score.max),
            mark,
            &grade.build.cell(),
            &grade.server.cell(),
            &grade.client.cell(),
            &grade.fuzz.cell(),
            &lost.join(" "),
            &grade.score.missing.join(" "),
            &format!("{:.1}", grade.seconds),
        ])?;
    }
    table.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn summary(grade: &Grade) -> String {
    let points = format!("{} of {} points", shown(grade.score.points), shown(grade.score.max));
    match &grade.score.missing[..] {
        [] => points,
        missing => format!("{points}: required, but not met: {}", missing.join(", ")),
    }
}

/// Which items of a line are not met, and why, for the author.
fn explanation(grade: &Grade, line: &ScoreLine) -> String {
    let mut text = String::new();
    for item in line.items.iter().filter(|item| !item.is_met(grade)) {
        let _ = writeln!(text, "{}", item.name());
        let (role, check) = match item {
            Item::Check { role, check } => (*role, *check),
            Item::Build => {
                text += &failure(&grade.build);
                continue;
            }
            Item::Fuzz => {
                text += &failure(&grade.fuzz);
                continue;
            }
        };
        let found =
            grade.report(role).and_then(|report| report.findings.iter().find(|finding| finding.check.key == check.key));
        match found {
            Some(finding) if finding.verdict == CheckVerdict::Broken => text += &details(finding),
            Some(finding) => {
                let _ = writeln!(text, "not judged, see {}", finding.see.unwrap_or("the report"));
            }
            None => text += &failure(if role == "server" { &grade.server } else { &grade.client }),
        }
    }
    text
}

fn failure(step: &StepOutcome) -> String {
    match step {
        StepOutcome::Failed { words, log } => printable(&format!("{words}\n{log}")),
        StepOutcome::NotReached => "the build failed\n".into(),
        StepOutcome::Fuzzed { summary } => {
            let wrong = summary.wrong.iter();
            printable(
                &wrong
                    .map(|wrong| format!("sent {} expected {} found {}\n", wrong.sent, wrong.expected, wrong.found))
                    .collect::<String>(),
            )
        }
        _ => "it was not asked for\n".into(),
    }
}

/// A value in a workflow command.
fn command_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_control_characters_and_means_the_same() {
        let text = "\u{9b}1m\u{7f}\u{202e}\u{1b}é\n";
        let json = shown_json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert!(!json.chars().any(|c| c.is_control() && c != '\n') && !json.contains('\u{202e}'), "{json:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }
}
