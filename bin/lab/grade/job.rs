//! Grades submissions, several at once: each is copied, built and checked in its own folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use tempfile::TempDir;

use super::Arguments;
use super::isolation::Confinement;
use super::outcome::{Grade, Score, StepOutcome};
use super::page;
use super::rubric::Rubric;
use super::step::{Ended, How, Place};
use super::submission::{Submission, copy_folder};
use crate::Failure;
use crate::check::FuzzSummary;
use crate::check::report::CheckReport;
use crate::command::Words;
use crate::parallel;
use crate::process::{ResourceLimits, shell};

/// How many lines of a failed build's output the table shows; they are the last ones.
const SHOWN_LINES: usize = 5;

/// Submissions graded at once for each processor: most of the time each one waits for time-outs.
const PER_PROCESSOR: usize = 4;

/// What is the same for all submissions.
pub struct Course<'a> {
    /// The options as typed.
    pub arguments: &'a Arguments,
    /// Where submissions run.
    pub confinement: Confinement,
    /// What gives points.
    pub rubric: Rubric,
    /// Set by a signal.
    pub interrupted: Arc<AtomicBool>,
}

/// The copy of a submission, and everything that it writes; removed when this value is dropped.
#[derive(Debug)]
pub struct Workplace {
    folder: TempDir,
    /// The submission's copy, built.
    pub copy: PathBuf,
    /// Its folder for temporary files.
    pub temporary: PathBuf,
}

impl Workplace {
    /// A folder with an empty copy; `fill` makes the copy.
    pub fn new(fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (copy, temporary) = (folder.path().join("submission"), folder.path().join("tmp"));
        fs::create_dir(&temporary)?;
        fill(&copy)?;
        Ok(Self { folder, copy, temporary })
    }

    /// The folder of all this.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Course<'_> {
    /// Grades several at once. Returns the grades in the order of the submissions, with the copies of those that are
    /// built, if they are still needed.
    pub fn grade_all(&self, submissions: &[Submission]) -> Result<Vec<(Grade, Option<Workplace>)>, Failure> {
        parallel::map(self.jobs(), submissions, |submission| {
            let _ = writeln!(io::stderr(), "grading {}", submission.name);
            self.grade(submission)
        })
    }

    /// How many are graded at once.
    pub fn jobs(&self) -> usize {
        self.arguments.jobs.map_or_else(|| parallel::per_processor(PER_PROCESSOR), NonZeroUsize::get)
    }

    fn grade(&self, submission: &Submission) -> Result<(Grade, Option<Workplace>), Failure> {
        let begun = Instant::now();
        // Dropping this value removes everything that the submission wrote, however the grading ends.
        let workplace = Workplace::new(|copy| copy_folder(&submission.folder, copy))
            .map_err(|error| Failure::run(format_args!("cannot copy {}", submission.folder.display()), error))?;
        let job = Job { course: self, name: &submission.name, workplace: &workplace };
        let build = job.build()?;
        let built = !matches!(build, StepOutcome::Failed { .. });
        let Arguments { server, client, fuzz, pairs_only, .. } = self.arguments;
        let (server, client) = (server.as_ref().filter(|_| !pairs_only), client.as_ref().filter(|_| !pairs_only));
        // Each of these threads mostly waits.
        let (server, client, fuzz) = std::thread::scope(|scope| {
            let server_step = scope.spawn(|| job.check("server", server, built));
            let fuzz_step = scope.spawn(|| match fuzz {
                Some(count) => job.fuzz(*count, server, built),
                None => Ok(StepOutcome::NotAsked),
            });
            let client_step = job.check("client", client, built);
            let panicked = |_| Failure::Run("a check failed".into());
            let server_step = server_step.join().map_err(panicked)?;
            Ok::<_, Failure>((server_step?, client_step?, fuzz_step.join().map_err(panicked)??))
        })?;
        let score = Score { points: 0.0, max: 0.0, missing: Vec::new(), lines: Vec::new() };
        let seconds = begun.elapsed().as_secs_f64();
        let grade = Grade { name: submission.name.clone(), build, server, client, fuzz, score, seconds };
        let grade = Grade { score: self.rubric.score(&grade), ..grade };
        Ok((grade, (built && self.arguments.pairs).then_some(workplace)))
    }

    /// Runs a subcommand of lab in namespaces, with the limits of a submission. What it writes in `place` is limited.
    pub fn run(&self, words: &[String], place: &Place<'_>) -> Result<Ended, Failure> {
        let Self { arguments, confinement, interrupted, .. } = self;
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let mut step = confinement.command(&this, &arguments.limits.options());
        step.args(words);
        let time = arguments.timeout.unwrap_or(Duration::from_secs(arguments.limits.time));
        let ended = place.run(step, time, arguments.disk << 20, interrupted)?;
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Run("interrupted: nothing was graded".into()));
        }
        Ok(ended)
    }
}

/// One submission being graded.
struct Job<'a> {
    course: &'a Course<'a>,
    name: &'a str,
    workplace: &'a Workplace,
}

impl Job<'_> {
    fn build(&self) -> Result<StepOutcome, Failure> {
        let Some(command) = &self.course.arguments.build else { return Ok(StepOutcome::NotAsked) };
        let Ended { how, stdout, stderr } = self.run(&["limited".into()], &shell(command))?;
        let log = format!("{stdout}{stderr}");
        let step = if how.is_success() {
            StepOutcome::Done { log }
        } else {
            let text = if stderr.trim().is_empty() { &stdout } else { &stderr };
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("; ");
            StepOutcome::Failed { words: format!("{how}: {last}"), log }
        };
        self.write_junit("build", &step)?;
        Ok(step)
    }

    fn check(&self, role: &str, command: Option<&Words>, built: bool) -> Result<StepOutcome, Failure> {
        let Some(Words(command)) = command else { return Ok(StepOutcome::NotAsked) };
        let step = if built { self.judge(role, command)? } else { StepOutcome::NotReached };
        match (&step, self.junit(role)) {
            (StepOutcome::Checked { report }, Some(path)) => report.write_junit(&path)?,
            _ => self.write_junit(role, &step)?,
        }
        Ok(step)
    }

    fn judge(&self, role: &str, command: &[String]) -> Result<StepOutcome, Failure> {
        let mut options = vec!["check".to_owned(), role.to_owned(), "--json".to_owned()];
        let Arguments { extended, client_patience, result_prefix, through, .. } = self.course.arguments;
        if role == "server" {
            options.extend(self.pace());
            options.extend(extended.then(|| "--extended".to_owned()));
        } else {
            options.extend(client_patience.map(|time| format!("--patience={}s", time.as_secs_f64())));
            options.extend(result_prefix.as_ref().map(|prefix| format!("--result-prefix={prefix}")));
        }
        options.extend(through.as_ref().map(|through| format!("--through={through}")));
        let ended = self.run(&options, command)?;
        // If the exit status contradicts the report, the check did not write all of the report.
        match serde_json::from_str::<CheckReport>(&ended.stdout) {
            Ok(report) if ended.how.code() == Some(i32::from(!report.passes())) => Ok(StepOutcome::Checked { report }),
            _ => Ok(ended.failed()),
        }
    }

    fn fuzz(&self, count: u64, command: Option<&Words>, built: bool) -> Result<StepOutcome, Failure> {
        let Some(Words(command)) = command else { return Ok(StepOutcome::NotAsked) };
        if !built {
            return Ok(StepOutcome::NotReached);
        }
        let Arguments { seed, extended, .. } = self.course.arguments;
        let mut options: Vec<String> = ["check", "fuzz", "--json"].map(str::to_owned).to_vec();
        options.extend([format!("--seed={seed}"), format!("--count={count}")]);
        options.extend(self.pace());
        options.extend(extended.then(|| "--extended".to_owned()));
        let ended = self.run(&options, command)?;
        match serde_json::from_str::<FuzzSummary>(&ended.stdout) {
            Ok(summary) if ended.how.code() == Some(i32::from(!summary.passes())) => {
                Ok(StepOutcome::Fuzzed { summary })
            }
            _ => Ok(ended.failed()),
        }
    }

    /// The time limits of a server.
    fn pace(&self) -> [String; 3] {
        let Arguments { patience, start_time, limits, .. } = self.course.arguments;
        let option = |name: &str, time: &Duration| format!("--{name}={}s", time.as_secs_f64());
        [option("patience", patience), option("start-time", start_time), format!("--time={}", limits.time)]
    }

    /// Runs a subcommand of lab with the submission's command, confined, in the submission's copy.
    fn run(&self, subcommand: &[String], command: &[String]) -> Result<Ended, Failure> {
        let Workplace { copy, temporary, .. } = self.workplace;
        let confined = ResourceLimits { confined: true, ..self.course.arguments.limits.clone() }.options();
        let words = [subcommand, &confined, &["--".to_owned()], command].concat();
        self.course.run(&words, &Place { measured: &[self.workplace.path()], copy, temporary })
    }

    fn junit(&self, step: &str) -> Option<PathBuf> {
        Some(self.course.arguments.junit.as_ref()?.join(format!("{}-{step}.xml", self.name)))
    }

    /// A report with one case, for steps that `lab check` did not report itself.
    fn write_junit(&self, step: &str, outcome: &StepOutcome) -> Result<(), Failure> {
        let Some(path) = self.junit(step) else { return Ok(()) };
        let status = match outcome {
            StepOutcome::Failed { words, .. } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(page::printable(words));
                status
            }
            StepOutcome::NotReached => {
                let mut status = TestCaseStatus::skipped();
                status.set_message("the build failed");
                status
            }
            _ => TestCaseStatus::success(),
        };
        let mut suite = TestSuite::new(step);
        suite.add_test_case(TestCase::new(step, status));
        let mut report = quick_junit::Report::new(format!("lab grade {}", self.name));
        report.add_test_suite(suite);
        let cannot =
            |error: &dyn std::fmt::Display| Failure::run(format_args!("cannot write {}", path.display()), error);
        let file = File::create(&path).map_err(|error| cannot(&error))?;
        report.serialize(file).map_err(|error| cannot(&error))
    }
}

impl Ended {
    /// Why a step could not be done.
    pub fn words(&self) -> String {
        match self.stderr.trim().trim_start_matches("lab: ") {
            "" => self.how.to_string(),
            _ if !matches!(self.how, How::Status(_)) => self.how.to_string(),
            said => said.to_owned(),
        }
    }

    /// A step that could not be done.
    fn failed(self) -> StepOutcome {
        StepOutcome::Failed { words: self.words(), log: self.stderr }
    }
}
