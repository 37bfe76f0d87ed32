//! What was found, and its three forms: for people, as JSON, as JUnit.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::table::{Check, Level, find};
use crate::Failure;

/// The judgement of one check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as demanded.
    Holds,
    /// It is not.
    Broken,
    /// Informative: there was nothing to judge.
    Noted,
    /// Something earlier makes it unjudgeable.
    NotJudged,
}

/// What came of one check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// What was checked.
    #[serde(flatten)]
    pub check: &'static Check,
    /// How it came out.
    pub verdict: Verdict,
    /// The datagrams that were sent, in hex.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<String>,
    /// What should have come.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// What came, or why it was not judged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub came: String,
    /// The check because of which this one was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub see: Option<&'static str>,
}

/// A judgement without its check.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// How it came out.
    pub verdict: Verdict,
    /// The datagrams that were sent.
    pub sent: Vec<Vec<u8>>,
    /// What should have come.
    pub expected: String,
    /// What came.
    pub came: String,
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

/// All that was found in one run. In JSON, `passed` and the counts stand beside it; reading it back computes them again.
#[derive(Clone, Debug, Default)]
pub struct Report {
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
    /// It is as demanded.
    pub fn holds(sent: impl Into<Vec<Vec<u8>>>, came: impl Into<String>) -> Self {
        Self { verdict: Verdict::Holds, sent: sent.into(), expected: String::new(), came: came.into() }
    }

    /// It is not.
    pub fn broken(sent: impl Into<Vec<Vec<u8>>>, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { verdict: Verdict::Broken, sent: sent.into(), expected: expected.into(), came: came.into() }
    }

    /// What the subject does where nothing is demanded.
    pub fn noted(sent: impl Into<Vec<Vec<u8>>>, came: impl Into<String>) -> Self {
        Self { verdict: Verdict::Noted, sent: sent.into(), expected: String::new(), came: came.into() }
    }

    /// It could not be judged.
    pub fn not_judged(came: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotJudged, sent: Vec::new(), expected: String::new(), came: came.into() }
    }
}

impl Report {
    /// Adds what a check came to.
    pub fn add(&mut self, check: &'static Check, judgement: Judgement) {
        let Judgement { verdict, sent, expected, came } = judgement;
        let sent = sent.iter().map(|datagram| hex(datagram)).collect();
        self.findings.push(Finding { check, verdict, sent, expected, came, see: None });
    }

    /// Adds a check that another one makes unjudgeable.
    pub fn add_not_judged(&mut self, check: &'static Check, see: &'static str) {
        let came = String::new();
        let verdict = Verdict::NotJudged;
        self.findings.push(Finding { check, verdict, sent: Vec::new(), expected: String::new(), came, see: Some(see) });
    }

    /// The first of a check's needs that does not hold, or was itself not judged.
    pub fn unmet(&self, check: &Check) -> Option<&'static str> {
        check.needs.iter().copied().find(|key| self.verdict(key) != Some(Verdict::Holds))
    }

    /// How a check came out, if it has been looked at.
    pub fn verdict(&self, key: &str) -> Option<Verdict> {
        self.findings.iter().find(|finding| finding.check.key == key).map(|finding| finding.verdict)
    }

    /// Whether every MUST holds. One that could not be judged does not.
    pub fn passes(&self) -> bool {
        let required = |finding: &&Finding| finding.check.level == Level::Must;
        self.findings.iter().filter(required).all(|finding| finding.verdict == Verdict::Holds)
    }

    /// Of one level: (how many hold, how many there are).
    pub fn score(&self, level: Level) -> (usize, usize) {
        let of_level = self.findings.iter().filter(|finding| finding.check.level == level);
        let holds = of_level.clone().filter(|finding| finding.verdict == Verdict::Holds).count();
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

impl serde::Serialize for Report {
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

impl<'de> serde::Deserialize<'de> for Report {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Document::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// A report as JSON has it: checks by their keys.
#[derive(serde::Deserialize)]
struct Document {
    subject: String,
    role: String,
    findings: Vec<FindingDocument>,
    #[serde(default)]
    crashes: Vec<Crash>,
}

#[derive(serde::Deserialize)]
struct FindingDocument {
    key: String,
    verdict: Verdict,
    #[serde(default)]
    sent: Vec<String>,
    #[serde(default)]
    expected: String,
    #[serde(default)]
    came: String,
    see: Option<String>,
}

impl TryFrom<Document> for Report {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document { subject, role, findings, crashes } = document;
        let role = ["server", "client"].into_iter().find(|known| *known == role).ok_or("an unknown role")?;
        let check = |key: &str| find(role, key).ok_or_else(|| format!("an unknown check: {key}"));
        let finding = |finding: FindingDocument| {
            let FindingDocument { key, verdict, sent, expected, came, see } = finding;
            let see = see.map(|key| check(&key).map(|check| check.key)).transpose()?;
            Ok(Finding { check: check(&key)?, verdict, sent, expected, came, see })
        };
        let findings = findings.into_iter().map(finding).collect::<Result<_, String>>()?;
        Ok(Self { subject, role, findings, crashes })
    }
}

impl Finding {
    fn write_text(&self, out: &mut impl Write, report: &Report) -> io::Result<()> {
        let Check { key, clause, title, why, level, .. } = self.check;
        let mark = match (self.verdict, level) {
            (Verdict::Holds, _) => "ok",
            (Verdict::Broken, Level::Must) => "FAIL",
            (Verdict::Broken, _) => "should",
            (Verdict::Noted, _) => "note",
            (Verdict::NotJudged, _) => "-",
        };
        writeln!(out, "{mark:<6} {clause:<5} {key}: {title}")?;
        let mut line = |name: &str, text: &str| match text {
            "" => Ok(()),
            text => writeln!(out, "             {name:<9} {text}"),
        };
        match self.verdict {
            Verdict::Holds => Ok(()),
            Verdict::NotJudged => line("not judged", &self.reason(report)),
            Verdict::Noted => line("it", &self.came),
            Verdict::Broken => {
                for sent in &self.sent {
                    line("sent", sent)?;
                }
                line("expected", &self.expected)?;
                line("came", &self.came)?;
                line("why", why)
            }
        }
    }

    fn test_case(&self, report: &Report) -> TestCase {
        let Check { key, clause, title, why, level, .. } = self.check;
        let (sent, expected, came) = (self.sent.join("\n"), &self.expected, &self.came);
        let details = format!("sent: {sent}\nexpected: {expected}\ncame: {came}\nwhy: {why}");
        let status = match self.verdict {
            Verdict::Broken if *level == Level::Must => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(came.as_str()).set_type(*clause).set_description(details.as_str());
                status
            }
            Verdict::NotJudged => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(self.reason(report));
                status
            }
            _ => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(format!("{clause} {key}: {title}"), status);
        case.set_classname(format!("{} {clause}", report.role));
        if matches!(self.verdict, Verdict::Noted | Verdict::Broken) {
            case.set_system_out(XmlString::new(details));
        }
        case
    }

    /// Why it was not judged.
    fn reason(&self, report: &Report) -> String {
        let Some(key) = self.see else { return self.came.clone() };
        let clause =
            report.findings.iter().find(|finding| finding.check.key == key).map(|finding| finding.check.clause);
        format!("see {} {key}", clause.unwrap_or_default())
    }
}

/// A datagram in hex, a space behind the first octet, as in the specification.
pub fn hex(datagram: &[u8]) -> String {
    let octets = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    match datagram.split_first() {
        None => "(empty)".into(),
        Some((first, [])) => octets(&[*first]),
        Some((first, rest)) => format!("{} {}", octets(&[*first]), octets(rest)),
    }
}
