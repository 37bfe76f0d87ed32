//! The outcome of a submission, and the table of all outcomes.

use std::io::{self, Write};

use crate::check::FuzzSummary;
use crate::check::report::{CheckReport, CheckVerdict, Finding};
use crate::check::table::{Check, Level};
use crate::columns;

/// The outcome of one submission.
#[derive(Debug, serde::Serialize)]
pub struct Grade {
    /// The name of the submission.
    pub name: String,
    pub build: StepOutcome,
    pub server: StepOutcome,
    pub client: StepOutcome,
    pub fuzz: StepOutcome,
    pub score: Score,
    /// How long it took.
    pub seconds: f64,
}

/// The outcome of one step.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was not asked for.
    NotAsked,
    /// An earlier step failed.
    NotReached,
    /// The build succeeded.
    Done { log: String },
    /// It could not be done.
    Failed { words: String, log: String },
    /// The check ran.
    Checked { report: CheckReport },
    /// Random datagrams were sent.
    Fuzzed { summary: FuzzSummary },
}

/// What a submission has earned.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Score {
    /// Points earned, bonus points included.
    pub points: f64,
    /// Points without bonus that can be earned.
    pub max: f64,
    /// Required items that are not met. If there are any, there are no points.
    pub missing: Vec<String>,
    /// Where the points come from.
    pub lines: Vec<ScoreLine>,
}

/// What a submission has earned for something.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ScoreLine {
    /// A check, or a group of them.
    pub name: String,
    /// Points earned.
    pub points: f64,
    /// Points that can be earned.
    pub max: f64,
    /// Whether they are bonus points.
    pub bonus: bool,
    /// What is not met.
    pub lost: Vec<String>,
    #[serde(skip)]
    pub items: Vec<Item>,
}

/// A requirement that can be met or not.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// The build succeeds.
    Build,
    /// No wrong answer to random datagrams.
    Fuzz,
    /// A check of a `server` or a `client`.
    Check { role: &'static str, check: &'static Check },
}

impl Grade {
    /// In the order of the table, with their names.
    pub fn steps(&self) -> [(&'static str, &StepOutcome); 4] {
        [("build", &self.build), ("server", &self.server), ("client", &self.client), ("fuzz", &self.fuzz)]
    }

    /// Whether every requested step found nothing wrong.
    pub fn passes(&self) -> bool {
        self.steps().into_iter().all(|(_, step)| matches!(step, StepOutcome::NotAsked) || step.is_good())
    }

    /// The report of `lab check` on its `server` or `client`.
    pub fn report(&self, role: &str) -> Option<&CheckReport> {
        match if role == "server" { &self.server } else { &self.client } {
            StepOutcome::Checked { report } => Some(report),
            _ => None,
        }
    }
}

impl StepOutcome {
    /// Whether the step was done and found nothing wrong.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::NotAsked | Self::NotReached | Self::Failed { .. } => false,
            Self::Checked { report } => report.passes(),
            Self::Fuzzed { summary } => summary.passes(),
        }
    }

    /// For the table.
    pub fn cell(&self) -> String {
        let mark = if self.is_good() { "ok" } else { "FAILED" };
        match self {
            Self::NotAsked => String::new(),
            Self::NotReached => "-".into(),
            Self::Done { .. } | Self::Failed { .. } => mark.into(),
            Self::Fuzzed { summary } => format!("{mark} {}", summary.datagrams),
            Self::Checked { report } => {
                let share = |level| {
                    let (holds, all) = report.score(level);
                    format!("{holds}/{all}")
                };
                format!("{mark} {} {}", share(Level::Must), share(Level::Should))
            }
        }
    }

    /// What is wrong, in a few words.
    pub fn remark(&self) -> Option<String> {
        match self {
            Self::Failed { words, .. } => Some(crate::process::shown(words)),
            Self::Fuzzed { summary } if !summary.passes() => Some(format!("{} wrong", summary.wrong.len())),
            Self::Checked { report } => {
                let broken =
                    |finding: &&Finding| finding.verdict == CheckVerdict::Broken && finding.check.level == Level::Must;
                let names: Vec<String> = report
                    .findings
                    .iter()
                    .filter(broken)
                    .map(|Finding { check, .. }| format!("{} {}", check.clause, check.key))
                    .collect();
                (!names.is_empty()).then(|| names.join(", "))
            }
            _ => None,
        }
    }
}

impl Item {
    /// Whether the submission meets it. A step that was not requested is not met.
    pub fn is_met(&self, grade: &Grade) -> bool {
        match *self {
            Self::Build => grade.build.is_good(),
            Self::Fuzz => grade.fuzz.is_good(),
            Self::Check { role, check } => grade
                .report(role)
                .and_then(|report| report.findings.iter().find(|finding| finding.check.key == check.key))
                .is_some_and(|finding| finding.is_met()),
        }
    }

    /// The name as in a rubric.
    pub fn name(&self) -> String {
        match self {
            Self::Build => "build".into(),
            Self::Fuzz => "fuzz".into(),
            Self::Check { role, check } => format!("{role}.{}", check.key),
        }
    }
}

/// A number of points, without trailing zeros.
pub fn shown(points: f64) -> String {
    let text = format!("{points:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One row per submission, and how many pass.
pub fn write_table(out: &mut impl Write, grades: &[Grade]) -> io::Result<()> {
    let asked =
        |step: fn(&Grade) -> &StepOutcome| grades.iter().any(|grade| !matches!(step(grade), StepOutcome::NotAsked));
    let fuzzed = asked(|grade| &grade.fuzz);
    let mut heading = vec!["submission", "points", "build", "server", "client", "fuzz", "required and broken"];
    let rows = grades.iter().map(|grade| {
        let remarks = grade.steps().into_iter();
        let remarks = remarks.filter_map(|(name, step)| Some(format!("{name}: {}", step.remark()?)));
        let remarks = remarks.collect::<Vec<_>>().join("; ");
        let points = format!("{}/{}", shown(grade.score.points), shown(grade.score.max));
        let [build, server, client, fuzz] = grade.steps().map(|(_, step)| step.cell());
        let mut row = vec![grade.name.clone(), points, build, server, client, fuzz, remarks];
        if !fuzzed {
            row.remove(5);
        }
        row
    });
    if !fuzzed {
        heading.remove(5);
    }
    let heading = heading.into_iter().map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    columns::write(out, &rows)?;
    let passed = grades.iter().filter(|grade| grade.passes()).count();
    writeln!(out, "\n{passed} of {} pass (required held/all, recommended held/all)", grades.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_short() {
        assert_eq!(["10", "0", "2.5", "0.33"], [10.0, 0.0, 2.5, 1.0 / 3.0].map(shown).each_ref().map(String::as_str));
    }
}
