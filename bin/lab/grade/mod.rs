//! `lab grade`: builds and checks a folder of submissions, each in namespaces of its own.

mod formats;
mod isolation;
mod page;
mod rubric;
mod step;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::Failure;
use super::check::FuzzSummary;
use super::check::report::{CheckReport, CheckVerdict, Finding};
use super::check::table::Level;
use super::process::{ResourceLimits, copy_link, on_end, shell};
use crate::common::usage::{duration, whole};
use isolation::{Confinement, Isolation};
use rubric::{Rubric, Score};
use step::{Ended, How, Place};

/// How much of a failed build's output is shown in the table: its last lines.
const SHOWN_LINES: usize = 5;

/// Builds and checks each submission in a folder, and prints one table
///
/// Each submission is a folder. It is copied, built and checked in network, process and mount namespaces of its own,
/// with limits. That keeps submissions from disturbing each other by accident. Submissions are untrusted code: run this
/// in a virtual machine or container that holds nothing of value (docs/teaching.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lab grade submissions --build make --server ./server --client ./client --reports reports
  lab grade submissions --server 'python3 server.py' --rubric rubric.toml --csv grades.csv
  lab grade /autograder/submission --single --isolation none --server 'python3 server.py' --gradescope results.json")]
pub struct Arguments {
    /// Folder with a folder for each submission
    folder: PathBuf,
    /// The folder is itself the one submission
    #[arg(long)]
    single: bool,
    /// Grade only the submission of this name; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "single")]
    only: Vec<OsString>,
    /// Command of the shell that builds a submission, in its folder
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Command of its server, as for `lab check server`
    #[arg(long, value_name = "COMMAND", value_parser = words, required_unless_present = "client")]
    server: Option<Words>,
    /// Command of its client, as for `lab check client`
    #[arg(long, value_name = "COMMAND", value_parser = words)]
    client: Option<Words>,
    /// Check the extended form of servers too
    #[arg(long)]
    extended: bool,
    /// Send so many random datagrams to each server too, as `lab check fuzz` does
    #[arg(long, value_name = "N", requires = "server", value_parser = whole::<u64>(1..=u64::MAX))]
    fuzz: Option<u64>,
    /// Seed of these datagrams, the same for all submissions
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Submissions graded at once [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1..=u64::MAX))]
    jobs: Option<NonZeroUsize>,
    /// What keeps submissions from disturbing each other
    #[arg(long, value_enum, default_value = "namespaces")]
    isolation: Isolation,
    /// How long each step (build, server, client, fuzz) may take [default: --time]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long to wait for a reply that a server owes [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    patience: Option<Duration>,
    /// How long a server may take until it listens [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    start_time: Option<Duration>,
    /// What a submission may write in all, in its folder and in TMPDIR, in MiB
    #[arg(long, value_name = "MIB", default_value = "1024", value_parser = whole::<u64>(1..=1 << 40))]
    disk: u64,
    /// Points for checks, in TOML [default: one for each required check]
    #[arg(long, value_name = "FILE")]
    rubric: Option<PathBuf>,
    /// Folder for JUnit reports, NAME-build.xml, NAME-server.xml and NAME-client.xml
    #[arg(long, value_name = "FOLDER")]
    junit: Option<PathBuf>,
    /// Folder for a report to each author, NAME.md and NAME.html, with the whole output of the build
    #[arg(long, value_name = "FOLDER")]
    reports: Option<PathBuf>,
    /// Write a table of all submissions as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write Gradescope's results.json for the one submission
    #[arg(long, value_name = "FILE")]
    gradescope: Option<PathBuf>,
    /// Write Classroom 50's result.json for the one submission
    #[arg(long, value_name = "FILE")]
    classroom50: Option<PathBuf>,
    /// Write a shell script of INGInious's feedback commands for the one submission
    #[arg(long, value_name = "FILE")]
    inginious: Option<PathBuf>,
    /// Write GitHub Actions' annotations after the table
    #[arg(long, conflicts_with = "json")]
    github: bool,
    /// Write one JSON array instead of the table, with the full reports
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: ResourceLimits,
}

/// A command line, taken apart.
#[derive(Clone, Debug)]
struct Words(Vec<String>);

/// A submission.
#[derive(Clone, Debug)]
struct Submission {
    /// Different for different folders, in printable characters.
    name: String,
    folder: PathBuf,
}

/// What came of one submission.
#[derive(Debug, serde::Serialize)]
struct Grade {
    name: String,
    build: Step,
    server: Step,
    client: Step,
    fuzz: Step,
    score: Score,
    /// How long it took.
    seconds: f64,
}

/// What came of one step.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Step {
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

/// What is the same for all submissions.
struct Course<'a> {
    arguments: &'a Arguments,
    confinement: Confinement,
    rubric: Rubric,
    interrupted: Arc<AtomicBool>,
}

/// Grades every submission; exits with 0 if all of them pass.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let submissions = submissions(arguments)?;
    let one = [
        ("gradescope", &arguments.gradescope),
        ("classroom50", &arguments.classroom50),
        ("inginious", &arguments.inginious),
    ];
    if let Some((option, _)) = one.iter().find(|(_, file)| file.is_some() && submissions.len() != 1) {
        return Err(Failure::Usage(format!(
            "--{option} is for one submission, and there are {}: add --single or --only NAME",
            submissions.len()
        )));
    }
    let rubric = match &arguments.rubric {
        Some(path) => Rubric::read(path)?,
        None => Rubric::plain(arguments.server.is_some(), arguments.client.is_some()),
    };
    for folder in [&arguments.junit, &arguments.reports].into_iter().flatten() {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::run(format_args!("cannot create {}", folder.display()), error))?;
    }
    let confinement = Confinement::probe(arguments.isolation)?;
    let course = Course { arguments, confinement, rubric, interrupted: watch_signals()? };
    let grades = course.grade_all(&submissions)?;
    write_files(arguments, &grades)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &grades).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, &grades)?;
        if arguments.github {
            grades.iter().try_for_each(|grade| out.write_all(formats::github(grade).as_bytes()))?;
        }
    }
    Ok(if grades.iter().all(Grade::passes) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A first Ctrl-C, SIGINT, SIGTERM or SIGHUP ends what runs and removes its folders; a second one ends lab at once.
fn watch_signals() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let interrupt = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    };
    on_end(true, interrupt).map_err(|error| Failure::run("cannot watch for signals", error))?;
    Ok(interrupted)
}

/// The exit status of a shell for a command that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// The folders that are to be graded, by name; hidden ones are none.
fn submissions(arguments: &Arguments) -> Result<Vec<Submission>, Failure> {
    let folder = &arguments.folder;
    let cannot = |error| Failure::run(format_args!("cannot read the folder {}", folder.display()), error);
    let submission = |folder: PathBuf| Submission {
        name: printable_name(folder.file_name().unwrap_or(OsStr::new("submission"))),
        folder,
    };
    if arguments.single {
        let folder = folder.canonicalize().map_err(cannot)?;
        fs::read_dir(&folder).map_err(cannot)?;
        return Ok(vec![submission(folder)]);
    }
    let entries = fs::read_dir(folder).map_err(cannot)?;
    let visible = |path: &PathBuf| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).filter(visible).collect();
    if folders.is_empty() {
        return Err(Failure::Run(format!("{} has no folder in it: a submission is a folder", folder.display())));
    }
    folders.sort();
    let names: HashSet<&OsStr> = folders.iter().filter_map(|folder| folder.file_name()).collect();
    if let Some(unknown) = arguments.only.iter().find(|only| !names.contains(only.as_os_str())) {
        return Err(Failure::Run(format!("{} has no folder {:?}", folder.display(), unknown)));
    }
    let only: HashSet<&OsStr> = arguments.only.iter().map(OsString::as_os_str).collect();
    let wanted = |folder: &PathBuf| only.is_empty() || folder.file_name().is_some_and(|name| only.contains(name));
    Ok(folders.into_iter().filter(wanted).map(submission).collect())
}

/// A file name in printable characters; different names stay different.
fn printable_name(name: &OsStr) -> String {
    let mut printable = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => printable.push_str("\\\\"),
                character if character.is_control() => printable.extend(character.escape_default()),
                character => printable.push(character),
            }
        }
        chunk.invalid().iter().for_each(|octet| printable.push_str(&format!("\\x{octet:02x}")));
    }
    printable
}

impl Course<'_> {
    /// Grades several at once; the grades are in the order of the submissions.
    fn grade_all(&self, submissions: &[Submission]) -> Result<Vec<Grade>, Failure> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = self.arguments.jobs.map_or(processors, NonZeroUsize::get).min(submissions.len());
        let queue = Mutex::new(submissions.iter().enumerate());
        let worker = || -> Result<Vec<(usize, Grade)>, Failure> {
            let mut done = Vec::new();
            while let Some((at, submission)) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                let _ = writeln!(io::stderr(), "grading {}", submission.name);
                done.push((at, self.grade(submission)?));
            }
            Ok(done)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            let mut grades = Vec::new();
            for worker in workers {
                grades.extend(worker.join().map_err(|_| Failure::Run("a submission could not be graded".into()))??);
            }
            grades.sort_by_key(|(at, _)| *at);
            Ok(grades.into_iter().map(|(_, grade)| grade).collect())
        })
    }

    fn grade(&self, submission: &Submission) -> Result<Grade, Failure> {
        let begun = Instant::now();
        // Dropped, and with it all that the submission wrote, however this ends.
        let work = tempfile::tempdir().map_err(|error| Failure::run("cannot make a temporary folder", error))?;
        let (copy, temporary) = (work.path().join("submission"), work.path().join("tmp"));
        copy_folder(&submission.folder, &copy)
            .map_err(|error| Failure::run(format_args!("cannot copy {}", submission.folder.display()), error))?;
        fs::create_dir(&temporary).map_err(|error| Failure::run("cannot make a temporary folder", error))?;
        let place = Place { work: work.path(), copy: &copy, temporary: &temporary };
        let job = Job { course: self, name: &submission.name, place };
        let build = job.build()?;
        let built = !matches!(build, Step::Failed { .. });
        let Arguments { server, client, fuzz, .. } = self.arguments;
        let server_step = job.check("server", server.as_ref(), built)?;
        let client = job.check("client", client.as_ref(), built)?;
        let fuzz = match fuzz {
            Some(count) => job.fuzz(*count, server.as_ref(), built)?,
            None => Step::NotAsked,
        };
        let score = Score { points: 0.0, max: 0.0, missing: Vec::new(), lines: Vec::new() };
        let seconds = begun.elapsed().as_secs_f64();
        let grade = Grade { name: submission.name.clone(), build, server: server_step, client, fuzz, score, seconds };
        Ok(Grade { score: self.rubric.score(&grade), ..grade })
    }
}

/// One submission being graded.
struct Job<'a> {
    course: &'a Course<'a>,
    name: &'a str,
    place: Place<'a>,
}

impl Job<'_> {
    fn build(&self) -> Result<Step, Failure> {
        let Some(command) = &self.course.arguments.build else { return Ok(Step::NotAsked) };
        let Ended { how, stdout, stderr } = self.run(&["limited".into()], &shell(command))?;
        let log = format!("{stdout}{stderr}");
        let step = if how.is_success() {
            Step::Done { log }
        } else {
            let text = if stderr.trim().is_empty() { &stdout } else { &stderr };
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("; ");
            Step::Failed { words: format!("{how}: {last}"), log }
        };
        self.write_junit("build", &step)?;
        Ok(step)
    }

    fn check(&self, role: &str, command: Option<&Words>, built: bool) -> Result<Step, Failure> {
        let Some(Words(command)) = command else { return Ok(Step::NotAsked) };
        let step = if built { self.judge(role, command)? } else { Step::NotReached };
        match (&step, self.junit(role)) {
            (Step::Checked { report }, Some(path)) => report.write_junit(&path)?,
            _ => self.write_junit(role, &step)?,
        }
        Ok(step)
    }

    fn judge(&self, role: &str, command: &[String]) -> Result<Step, Failure> {
        let mut options = vec!["check".to_owned(), role.to_owned(), "--json".to_owned()];
        if role == "server" {
            options.extend(self.pace());
            options.extend(self.course.arguments.extended.then(|| "--extended".to_owned()));
        }
        let ended = self.run(&options, command)?;
        // Its exit status says the same, or it did not write this to its end.
        match serde_json::from_str::<CheckReport>(&ended.stdout) {
            Ok(report) if ended.how.code() == Some(i32::from(!report.passes())) => Ok(Step::Checked { report }),
            _ => Ok(ended.failed()),
        }
    }

    fn fuzz(&self, count: u64, command: Option<&Words>, built: bool) -> Result<Step, Failure> {
        let Some(Words(command)) = command else { return Ok(Step::NotAsked) };
        if !built {
            return Ok(Step::NotReached);
        }
        let Arguments { seed, extended, .. } = self.course.arguments;
        let mut options: Vec<String> = ["check", "fuzz", "--json"].map(str::to_owned).to_vec();
        options.extend([format!("--seed={seed}"), format!("--count={count}")]);
        options.extend(self.pace());
        options.extend(extended.then(|| "--extended".to_owned()));
        let ended = self.run(&options, command)?;
        match serde_json::from_str::<FuzzSummary>(&ended.stdout) {
            Ok(summary) if ended.how.code() == Some(i32::from(!summary.passes())) => Ok(Step::Fuzzed { summary }),
            _ => Ok(ended.failed()),
        }
    }

    /// What a server may take its time for.
    fn pace(&self) -> Vec<String> {
        let Arguments { patience, start_time, limits, .. } = self.course.arguments;
        let option = |name: &str, time: &Option<Duration>| time.map(|time| format!("--{name}={}s", time.as_secs_f64()));
        [option("patience", patience), option("start-time", start_time), Some(format!("--time={}", limits.time))]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Runs a subcommand of lab with the submission's command, confined, in the submission's copy.
    fn run(&self, subcommand: &[String], command: &[String]) -> Result<Ended, Failure> {
        let Course { arguments, confinement, interrupted, .. } = self.course;
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let confined = ResourceLimits { confined: true, ..arguments.limits.clone() }.options();
        let mut step = confinement.command(&this, &arguments.limits.options());
        step.args(subcommand).args(confined).arg("--").args(command);
        let time = arguments.timeout.unwrap_or(Duration::from_secs(arguments.limits.time));
        let ended = self.place.run(step, time, arguments.disk << 20, interrupted)?;
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Run("interrupted: nothing was graded".into()));
        }
        Ok(ended)
    }

    fn junit(&self, step: &str) -> Option<PathBuf> {
        Some(self.course.arguments.junit.as_ref()?.join(format!("{}-{step}.xml", self.name)))
    }

    /// A report with one case, for steps that `lab check` did not report itself.
    fn write_junit(&self, step: &str, outcome: &Step) -> Result<(), Failure> {
        let Some(path) = self.junit(step) else { return Ok(()) };
        let status = match outcome {
            Step::Failed { words, .. } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(page::printable(words));
                status
            }
            Step::NotReached => {
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
    /// A step that could not be done.
    fn failed(self) -> Step {
        let words = match self.stderr.trim().trim_start_matches("lab: ") {
            "" => self.how.to_string(),
            _ if !matches!(self.how, How::Status(_)) => self.how.to_string(),
            said => said.to_owned(),
        };
        Step::Failed { words, log: self.stderr }
    }
}

impl Grade {
    fn steps(&self) -> [(&'static str, &Step); 4] {
        [("build", &self.build), ("server", &self.server), ("client", &self.client), ("fuzz", &self.fuzz)]
    }

    fn passes(&self) -> bool {
        self.steps().into_iter().all(|(_, step)| matches!(step, Step::NotAsked) || step.is_good())
    }

    /// What `lab check` said of its `server` or `client`.
    fn report(&self, role: &str) -> Option<&CheckReport> {
        match if role == "server" { &self.server } else { &self.client } {
            Step::Checked { report } => Some(report),
            _ => None,
        }
    }
}

impl Step {
    /// Whether it was done, and found nothing.
    fn is_good(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::NotAsked | Self::NotReached | Self::Failed { .. } => false,
            Self::Checked { report } => report.passes(),
            Self::Fuzzed { summary } => summary.passes(),
        }
    }

    /// For the table.
    fn cell(&self) -> String {
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
    fn remark(&self) -> Option<String> {
        match self {
            Self::Failed { words, .. } => Some(super::process::shown(words)),
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

/// Writes what was asked for besides the table.
fn write_files(arguments: &Arguments, grades: &[Grade]) -> Result<(), Failure> {
    let write = |path: &Path, content: &[u8]| {
        fs::write(path, content).map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
    };
    if let Some(folder) = &arguments.reports {
        for grade in grades {
            write(&folder.join(format!("{}.md", grade.name)), page::markdown(grade).as_bytes())?;
            write(&folder.join(format!("{}.html", grade.name)), page::html(grade).as_bytes())?;
        }
    }
    if let Some(path) = &arguments.csv {
        let table = formats::csv(grades).map_err(|error| Failure::run("cannot write CSV", error))?;
        write(path, &table)?;
    }
    let [grade] = grades else { return Ok(()) };
    if let Some(path) = &arguments.gradescope {
        write(path, formats::gradescope(grade)?.as_bytes())?;
    }
    if let Some(path) = &arguments.classroom50 {
        write(path, formats::classroom50(grade).map_err(Failure::Run)?.as_bytes())?;
    }
    if let Some(path) = &arguments.inginious {
        write(path, formats::inginious(grade).as_bytes())?;
    }
    Ok(())
}

fn write_table(out: &mut impl Write, grades: &[Grade]) -> io::Result<()> {
    let asked = |step: fn(&Grade) -> &Step| grades.iter().any(|grade| !matches!(step(grade), Step::NotAsked));
    let fuzzed = asked(|grade| &grade.fuzz);
    let mut heading = vec!["submission", "points", "build", "server", "client", "fuzz", "required and broken"];
    let rows = grades.iter().map(|grade| {
        let remarks = grade.steps().into_iter();
        let remarks = remarks.filter_map(|(name, step)| Some(format!("{name}: {}", step.remark()?)));
        let remarks = remarks.collect::<Vec<_>>().join("; ");
        let points = format!("{}/{}", rubric::shown(grade.score.points), rubric::shown(grade.score.max));
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
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len() - 1).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        line += &row[widths.len()];
        writeln!(out, "{}", line.trim_end())?;
    }
    let passed = grades.iter().filter(|grade| grade.passes()).count();
    writeln!(out, "\n{passed} of {} pass (required held/all, recommended held/all)", grades.len())
}

/// Copies a folder; symbolic links stay links (Windows leaves them out), what is neither file, folder nor link is left out.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            copy_link(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn words(text: &str) -> Result<Words, String> {
    match shell_words::split(text) {
        Ok(words) if !words.is_empty() => Ok(Words(words)),
        Ok(_) => Err("a command has at least one word".into()),
        Err(error) => Err(format!("a command is words as the shell reads them: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn different_names_stay_different() {
        let names = [&b"ada"[..], b"a\nb", b"a\\nb", b"a\xffb", b"a\\xffb", "a\u{fffd}b".as_bytes(), "é".as_bytes()];
        let printed = names.map(|name| printable_name(OsStr::from_bytes(name)));
        assert_eq!(printed, ["ada", "a\\nb", "a\\\\nb", "a\\xffb", "a\\\\xffb", "a\u{fffd}b", "é"]);
    }
}
