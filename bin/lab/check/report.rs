//! What was found, and its three forms: for people, as JSON, as JUnit.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::table::{Check, Level};
use crate::Failure;

/// The judgement of one check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// It is as required.
    Holds,
    /// It is not.
    Broken,
    /// Informative: there was nothing to judge.
    Noted,
    /// Something earlier makes it unjudgeable.
    NotJudged,
}

/// The result of one check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// What was checked.
    #[serde(flatten)]
    pub check: &'static Check,
    /// The verdict.
    pub verdict: CheckVerdict,
    /// The datagrams that were sent, in hex.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<String>,
    /// What should have come.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What was found, or why it was not judged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The mistake that explains it best.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub likely: String,
    /// One thing to try.
    #[serde(rename = "try", skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The check because of which this one was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub see: Option<&'static str>,
}

/// A mistake in the words of its author, and one thing to try.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Advice {
    /// The most likely mistake.
    pub likely: String,
    /// One thing to try.
    pub hint: String,
    /// What was found, where that is not a datagram.
    pub found: String,
}

impl Advice {
    /// A mistake, and what to try.
    pub fn new(likely: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { likely: likely.into(), hint: hint.into(), found: String::new() }
    }

    /// With what was found.
    pub fn with_found(self, found: impl Into<String>) -> Self {
        Self { found: found.into(), ..self }
    }
}

/// A judgement without its check.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: CheckVerdict,
    /// The datagrams that were sent.
    pub sent: Vec<Vec<u8>>,
    /// What should have come.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// The mistake that explains it, if one does.
    pub advice: Advice,
    /// The check because of which this one cannot be judged.
    pub see: Option<&'static str>,
}

/// A datagram that ended the subject.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Crash {
    /// The datagram, in hex.
    pub datagram: String,
    /// How the subject ended.
    pub how: String,
    /// The smallest datagram found that still does, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<String>,
}

/// All that was found in one run. In JSON, `passed` and the counts stand beside it; reading it back computes them
/// again.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// What was checked: an address, or a command.
    pub subject: String,
    /// `server` or `client`.
    pub role: &'static str,
    /// In the order of the table.
    pub findings: Vec<Finding>,
    /// Datagrams that ended a server.
    pub crashes: Vec<Crash>,
}

impl Judgement {
    fn new(verdict: CheckVerdict, sent: Vec<Vec<u8>>, found: String) -> Self {
        Self { verdict, sent, expected: String::new(), found, advice: Advice::default(), see: None }
    }

    /// It is as required.
    pub fn holds(sent: impl Into<Vec<Vec<u8>>>, found: impl Into<String>) -> Self {
        Self::new(CheckVerdict::Holds, sent.into(), found.into())
    }

    /// It is not.
    pub fn broken(sent: impl Into<Vec<Vec<u8>>>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..Self::new(CheckVerdict::Broken, sent.into(), found.into()) }
    }

    /// What the subject does where nothing is required.
    pub fn noted(sent: impl Into<Vec<Vec<u8>>>, found: impl Into<String>) -> Self {
        Self::new(CheckVerdict::Noted, sent.into(), found.into())
    }

    /// It cannot be judged here, which is not a mistake.
    pub fn not_judged(found: impl Into<String>) -> Self {
        Self::new(CheckVerdict::NotJudged, Vec::new(), found.into())
    }

    /// Another mistake makes it unjudgeable.
    pub fn see(key: &'static str) -> Self {
        Self { see: Some(key), ..Self::new(CheckVerdict::NotJudged, Vec::new(), String::new()) }
    }

    /// With the mistake that explains it; its `found`, if it has one, replaces what was found.
    pub fn because(mut self, advice: impl Into<Option<Advice>>) -> Self {
        if let Some(mut advice) = advice.into() {
            if !advice.found.is_empty() {
                self.found = std::mem::take(&mut advice.found);
            }
            self.advice = advice;
        }
        self
    }

    /// Whether it holds.
    pub fn is_good(&self) -> bool {
        self.verdict == CheckVerdict::Holds
    }
}

impl CheckReport {
    /// Adds the result of a check.
    pub fn add(&mut self, check: &'static Check, judgement: Judgement) {
        let Judgement { verdict, sent, expected, found, advice: Advice { likely, hint, .. }, see } = judgement;
        let sent = sent.iter().map(|datagram| hex(datagram)).collect();
        // What is not judged because of something that was itself not judged has the same cause.
        let cause = |key| self.findings.iter().find(|finding| finding.check.key == key).and_then(|finding| finding.see);
        let see = see.map(|key| cause(key).unwrap_or(key));
        self.findings.push(Finding { check, verdict, sent, expected, found, likely, hint, see });
    }

    /// The first of a check's needs that does not hold, or was itself not judged because of a mistake.
    pub fn unmet(&self, check: &Check) -> Option<&'static str> {
        check.needs.iter().copied().find(|key| self.finding(key).is_none_or(|need| !need.is_met()))
    }

    fn finding(&self, key: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check.key == key)
    }

    /// Whether every required check holds. One that a mistake makes unjudgeable does not.
    pub fn passes(&self) -> bool {
        let required = |finding: &&Finding| finding.check.level == Level::Must;
        self.findings.iter().filter(required).all(Finding::is_met)
    }

    /// Of one level: (how many hold, how many could be judged).
    pub fn score(&self, level: Level) -> (usize, usize) {
        let judgeable = |finding: &&Finding| finding.verdict != CheckVerdict::NotJudged || finding.see.is_some();
        let of_level = self.findings.iter().filter(|finding| finding.check.level == level).filter(judgeable);
        let holds = of_level.clone().filter(|finding| finding.verdict == CheckVerdict::Holds).count();
        (holds, of_level.count())
    }

    /// Writes it for people: a line for what holds, a paragraph for what does not.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}: {}\n", self.role, self.subject)?;
        for finding in &self.findings {
            finding.write_text(out, self)?;
        }
        for crash in &self.crashes {
            writeln!(out, "\nA datagram ended the server: {}", crash.how)?;
            writeln!(out, "  datagram  {}", crash.datagram)?;
            if let Some(shrunk) = &crash.shrunk {
                writeln!(out, "  smallest  {shrunk}")?;
            }
        }
        let (must, musts) = self.score(Level::Must);
        let (should, shoulds) = self.score(Level::Should);
        let verdict = if self.passes() { "passed" } else { "FAILED" };
        writeln!(out, "\n{verdict}: {must} of {musts} required hold, {should} of {shoulds} recommended")
    }

    /// Writes it as one JSON object.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Writes the JUnit form to a file.
    pub fn write_junit(&self, path: &Path) -> Result<(), Failure> {
        let cannot =
            |error: &dyn std::fmt::Display| Failure::run(format_args!("cannot write {}", path.display()), error);
        let file = File::create(path).map_err(|error| cannot(&error))?;
        self.junit().serialize(file).map_err(|error| cannot(&error))
    }

    /// The JUnit form: a broken MUST is a failure, what was not judged is skipped, all else a success with its words.
    pub fn junit(&self) -> JunitReport {
        let mut report = JunitReport::new(format!("lab check {}", self.role));
        for (level, name) in
            [(Level::Must, "required"), (Level::Should, "recommended"), (Level::Informative, "informative")]
        {
            let mut suite = TestSuite::new(format!("{} {name}", self.role));
            let of_level = self.findings.iter().filter(|finding| finding.check.level == level);
            suite.add_test_cases(of_level.map(|finding| finding.test_case(self)));
            report.add_test_suite(suite);
        }
        report
    }
}

impl serde::Serialize for CheckReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Whole<'a> {
            passed: bool,
            must: (usize, usize),
            should: (usize, usize),
            subject: &'a str,
            role: &'a str,
            findings: &'a [Finding],
            #[serde(skip_serializing_if = "<[Crash]>::is_empty")]
            crashes: &'a [Crash],
        }
        let Self { subject, role, findings, crashes } = self;
        let (must, should) = (self.score(Level::Must), self.score(Level::Should));
        Whole { passed: self.passes(), must, should, subject, role, findings, crashes }.serialize(serializer)
    }
}

impl Finding {
    /// Whether no mistake was found: it holds, or it could not be judged.
    pub fn is_met(&self) -> bool {
        self.verdict != CheckVerdict::Broken && self.see.is_none()
    }

    fn write_text(&self, out: &mut impl Write, report: &CheckReport) -> io::Result<()> {
        let Check { key, clause, title, why, level, .. } = self.check;
        let mark = match (self.verdict, level) {
            (CheckVerdict::Holds, _) => "ok",
            (CheckVerdict::Broken, Level::Must) => "FAIL",
            (CheckVerdict::Broken, _) => "should",
            (CheckVerdict::Noted, _) => "note",
            (CheckVerdict::NotJudged, _) => "-",
        };
        writeln!(out, "{mark:<6} {clause:<5} {key}: {title}")?;
        let mut line = |name: &str, text: &str| match text {
            "" => Ok(()),
            text => writeln!(out, "             {name:<9} {text}"),
        };
        match self.verdict {
            CheckVerdict::Holds => Ok(()),
            CheckVerdict::NotJudged => line("not judged", &self.reason(report)),
            CheckVerdict::Noted => line("it", &self.found),
            CheckVerdict::Broken => {
                for sent in &self.sent {
                    line("sent", sent)?;
                }
                line("expected", &self.expected)?;
                line("found", &self.found)?;
                line("likely", &self.likely)?;
                line("try", &self.hint)?;
                line("why", why)
            }
        }
    }

    fn test_case(&self, report: &CheckReport) -> TestCase {
        let Check { key, clause, title, why, level, .. } = self.check;
        let Self { expected, found, likely, hint, .. } = self;
        let sent = self.sent.join("\n");
        let details =
            format!("sent: {sent}\nexpected: {expected}\nfound: {found}\nlikely: {likely}\ntry: {hint}\nwhy: {why}");
        let status = match self.verdict {
            CheckVerdict::Broken if *level == Level::Must => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let message = if likely.is_empty() { found.clone() } else { format!("{found}: {likely}") };
                status.set_message(message).set_type(*clause).set_description(details.as_str());
                status
            }
            CheckVerdict::NotJudged => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(self.reason(report));
                status
            }
            _ => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(format!("{clause} {key}: {title}"), status);
        case.set_classname(format!("{} {clause}", report.role));
        if matches!(self.verdict, CheckVerdict::Noted | CheckVerdict::Broken) {
            case.set_system_out(XmlString::new(details));
        }
        case
    }

    /// Why it was not judged.
    fn reason(&self, report: &CheckReport) -> String {
        let Some(key) = self.see else { return self.found.clone() };
        let clause = report.finding(key).map(|finding| finding.check.clause);
        format!("see {} {key}", clause.unwrap_or_default())
    }
}

/// A datagram in hex, a space after the first octet, as in the specification.
pub fn hex(datagram: &[u8]) -> String {
    let octets = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    match datagram.split_first() {
        None => "(empty)".into(),
        Some((first, [])) => octets(&[*first]),
        Some((first, rest)) => format!("{} {}", octets(&[*first]), octets(rest)),
    }
}
