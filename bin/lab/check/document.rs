//! Reads a report back from its JSON: checks are found by their keys.

use super::report::{CheckReport, CheckVerdict, Crash, Finding};
use super::table::Check;
use super::{client, server};

/// The check of that name for a `server` or a `client`.
fn find(role: &str, key: &str) -> Option<&'static Check> {
    let mut checks: Box<dyn Iterator<Item = &'static Check>> =
        if role == "server" { Box::new(server::checks()) } else { Box::new(client::checks()) };
    checks.find(|check| check.key == key)
}

impl<'de> serde::Deserialize<'de> for CheckReport {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ReportDocument::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// A report as JSON has it: checks by their keys.
#[derive(serde::Deserialize)]
struct ReportDocument {
    subject: String,
    role: String,
    findings: Vec<FindingDocument>,
    #[serde(default)]
    crashes: Vec<Crash>,
}

#[derive(serde::Deserialize)]
struct FindingDocument {
    key: String,
    verdict: CheckVerdict,
    #[serde(default)]
    sent: Vec<String>,
    #[serde(default)]
    expected: String,
    #[serde(default)]
    found: String,
    #[serde(default)]
    likely: String,
    #[serde(default, rename = "try")]
    hint: String,
    see: Option<String>,
}

impl TryFrom<ReportDocument> for CheckReport {
    type Error = String;

    fn try_from(document: ReportDocument) -> Result<Self, String> {
        let ReportDocument { subject, role, findings, crashes } = document;
        let role = ["server", "client"].into_iter().find(|known| *known == role).ok_or("an unknown role")?;
        let check = |key: &str| find(role, key).ok_or_else(|| format!("an unknown check: {key}"));
        let finding = |finding: FindingDocument| {
            let FindingDocument { key, verdict, sent, expected, found, likely, hint, see } = finding;
            let see = see.map(|key| check(&key).map(|check| check.key)).transpose()?;
            Ok(Finding { check: check(&key)?, verdict, sent, expected, found, likely, hint, see })
        };
        let findings = findings.into_iter().map(finding).collect::<Result<_, String>>()?;
        Ok(Self { subject, role, findings, crashes })
    }
}
