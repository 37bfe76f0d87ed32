//! `lab grade`: builds and checks a folder of submissions, each in namespaces of its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rustix::process::{Pid, Signal};

use super::Failure;
use super::check::report::{Finding, Report, Verdict};
use super::check::table::Level;
use super::process::{Limits, describe};
use crate::common::usage::whole;

/// Between looks at whether a step has ended.
const POLL: Duration = Duration::from_millis(20);

/// How much of what a step writes is kept, in octets; a report has some 20,000.
const KEPT_OUTPUT: u64 = 16 << 20;

/// How much of a failed build's output is shown: its last lines.
const SHOWN_LINES: usize = 5;

/// Builds and checks each submission in a folder, and prints one table
///
/// Each submission is a folder. It is copied, built and checked in network, process and mount namespaces of its own,
/// with limits. That keeps submissions from disturbing each other by accident. Submissions are untrusted code: run this
/// in a virtual machine or container that holds nothing of value (docs/teaching.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  lab grade submissions --build make --server ./server --client ./client --junit reports")]
pub struct Arguments {
    /// Folder with a folder for each submission
    folder: PathBuf,
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
    /// Submissions graded at once [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1..=u64::MAX))]
    jobs: Option<NonZeroUsize>,
    /// Folder for JUnit reports, NAME-build.xml, NAME-server.xml and NAME-client.xml
    #[arg(long, value_name = "FOLDER")]
    junit: Option<PathBuf>,
    /// Write one JSON array instead of the table, with the full reports
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: Limits,
}

/// A command line, taken apart.
#[derive(Clone, Debug)]
struct Words(Vec<String>);

/// What came of one submission.
#[derive(Debug, serde::Serialize)]
struct Grade {
    name: String,
    build: Step,
    server: Step,
    client: Step,
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
    Done,
    /// It could not be done.
    Failed { words: String },
    /// The check ran.
    Checked { report: Report },
}

/// Grades every submission; exits with 0 if all of them pass.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if let Some(folder) = &arguments.junit {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::run(format_args!("cannot create {}", folder.display()), error))?;
    }
    let grades = grade_all(arguments, &submissions(&arguments.folder)?)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &grades).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, &grades)?;
    }
    Ok(if grades.iter().all(Grade::passes) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folders in `folder`, by name; hidden ones are none.
fn submissions(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder)
        .map_err(|error| Failure::run(format_args!("cannot read the folder {}", folder.display()), error))?;
    let visible = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).filter(visible).collect();
    if folders.is_empty() {
        return Err(Failure::Run(format!("{} has no folder in it: a submission is a folder", folder.display())));
    }
    folders.sort();
    Ok(folders)
}

/// Grades several at once; the grades are in the order of the submissions.
fn grade_all(arguments: &Arguments, submissions: &[PathBuf]) -> Result<Vec<Grade>, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let jobs = arguments.jobs.map_or(processors, NonZeroUsize::get).min(submissions.len());
    let queue = Mutex::new(submissions.iter().enumerate());
    let worker = || -> Result<Vec<(usize, Grade)>, Failure> {
        let mut done = Vec::new();
        while let Some((at, submission)) = queue.lock().ok().and_then(|mut queue| queue.next()) {
            let name = submission.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let _ = writeln!(io::stderr(), "grading {name}");
            done.push((at, grade(arguments, name, submission)?));
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

fn grade(arguments: &Arguments, name: String, submission: &Path) -> Result<Grade, Failure> {
    let work = tempfile::tempdir().map_err(|error| Failure::run("cannot make a temporary folder", error))?;
    let copy = work.path().join(&name);
    copy_folder(submission, &copy)
        .map_err(|error| Failure::run(format_args!("cannot copy {}", submission.display()), error))?;
    let job = Job { arguments, name: &name, copy: &copy };
    let build = job.build()?;
    let built = !matches!(build, Step::Failed { .. });
    let server = job.check("server", arguments.server.as_ref(), built)?;
    let client = job.check("client", arguments.client.as_ref(), built)?;
    Ok(Grade { name, build, server, client })
}

/// One submission being graded.
struct Job<'a> {
    arguments: &'a Arguments,
    name: &'a str,
    copy: &'a Path,
}

impl Job<'_> {
    fn build(&self) -> Result<Step, Failure> {
        let Some(command) = &self.arguments.build else { return Ok(Step::NotAsked) };
        let step = match self.run(&["limited".into()], &["sh".into(), "-c".into(), command.clone()])? {
            Ended { status: Some(status), .. } if status.success() => Step::Done,
            Ended { status, stderr, stdout } => {
                let text = if stderr.trim().is_empty() { stdout } else { stderr };
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("; ");
                Step::Failed { words: format!("{}: {last}", how(status)) }
            }
        };
        self.write_junit("build", &step)?;
        Ok(step)
    }

    fn check(&self, role: &str, command: Option<&Words>, built: bool) -> Result<Step, Failure> {
        let step = match command {
            None => return Ok(Step::NotAsked),
            Some(_) if !built => Step::NotReached,
            Some(Words(command)) => {
                let mut options: Vec<String> = ["check", role, "--json"].map(str::to_owned).to_vec();
                if role == "server" && self.arguments.extended {
                    options.push("--extended".into());
                }
                options.extend(["--time".into(), self.arguments.limits.time.to_string()]);
                let Ended { status, stdout, stderr } = self.run(&options, command)?;
                match serde_json::from_str::<Report>(&stdout) {
                    // Its exit status says the same, or it did not write this to its end.
                    Ok(report) if status.and_then(|status| status.code()) == Some(i32::from(!report.passes())) => {
                        if let Some(path) = self.junit(role) {
                            report.write_junit(&path)?;
                        }
                        return Ok(Step::Checked { report });
                    }
                    _ if stderr.trim().is_empty() => Step::Failed { words: how(status) },
                    _ => Step::Failed { words: stderr.trim().trim_start_matches("lab: ").to_owned() },
                }
            }
        };
        self.write_junit(role, &step)?;
        Ok(step)
    }

    /// Runs a subcommand of lab with the submission's command, in new namespaces, in the submission's copy.
    fn run(&self, subcommand: &[String], command: &[String]) -> Result<Ended, Failure> {
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let Limits { time, .. } = self.arguments.limits;
        let limits = self.arguments.limits.options();
        let confined = Limits { confined: true, ..self.arguments.limits.clone() }.options();
        // `limited` once more, outside: if lab ends, so does unshare, and with it all that is in its namespaces.
        let mut unshare = Command::new(&this);
        unshare.arg("limited").args(limits).args(["--", "unshare"]);
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(this).args(subcommand);
        unshare.args(confined).arg("--").args(command);
        // Pipes, not files: what a submission could open, it could replace.
        unshare.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        unshare.current_dir(self.copy).process_group(0);
        let mut child = unshare.spawn().map_err(|error| Failure::run("cannot start a step", error))?;
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        let deadline = Instant::now() + Duration::from_secs(time);
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL);
            status = child.try_wait().ok().flatten();
        }
        if status.is_none() {
            // With unshare dies the first process of the namespace, and with that all others in it.
            let _ = rustix::process::kill_process_group(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
        }
        let text =
            |reader: JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned();
        Ok(Ended { status, stdout: text(stdout), stderr: text(stderr) })
    }

    fn junit(&self, step: &str) -> Option<PathBuf> {
        Some(self.arguments.junit.as_ref()?.join(format!("{}-{step}.xml", self.name)))
    }

    /// A report with one case, for steps that `lab check` did not report itself.
    fn write_junit(&self, step: &str, outcome: &Step) -> Result<(), Failure> {
        let Some(path) = self.junit(step) else { return Ok(()) };
        let status = match outcome {
            Step::Failed { words } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(words.as_str());
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

/// How a step ended; no status if it used up its time.
struct Ended {
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

/// Reads a stream to its end, and keeps its beginning. With the step end all processes that could hold it open.
fn read(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut stream) = stream {
            // What could be read until an error counts.
            let _ = stream.by_ref().take(KEPT_OUTPUT).read_to_end(&mut kept);
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        kept
    })
}

fn how(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "its time was over".into(), describe)
}

impl Grade {
    fn passes(&self) -> bool {
        [&self.build, &self.server, &self.client].into_iter().all(|step| match step {
            Step::NotAsked | Step::Done => true,
            Step::NotReached | Step::Failed { .. } => false,
            Step::Checked { report } => report.passes(),
        })
    }
}

impl Step {
    /// For the table.
    fn cell(&self) -> String {
        match self {
            Self::NotAsked => String::new(),
            Self::NotReached => "-".into(),
            Self::Done => "ok".into(),
            Self::Failed { .. } => "FAILED".into(),
            Self::Checked { report } => {
                let share = |level| {
                    let (holds, all) = report.score(level);
                    format!("{holds}/{all}")
                };
                let mark = if report.passes() { "ok" } else { "FAILED" };
                format!("{mark} {} {}", share(Level::Must), share(Level::Should))
            }
        }
    }

    /// What is wrong, in a few words.
    fn remark(&self) -> Option<String> {
        match self {
            Self::Failed { words } => Some(words.clone()),
            Self::Checked { report } => {
                let broken =
                    |finding: &&Finding| finding.verdict == Verdict::Broken && finding.check.level == Level::Must;
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

fn write_table(out: &mut impl Write, grades: &[Grade]) -> io::Result<()> {
    let heading = ["submission", "build", "server", "client", "required and broken"].map(str::to_owned);
    let rows = grades.iter().map(|grade| {
        let remarks = [("build", &grade.build), ("server", &grade.server), ("client", &grade.client)];
        let remarks = remarks.iter().filter_map(|(name, step)| Some(format!("{name}: {}", step.remark()?)));
        let remarks = remarks.collect::<Vec<_>>().join("; ");
        [grade.name.clone(), grade.build.cell(), grade.server.cell(), grade.client.cell(), remarks]
    });
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(rows).collect();
    let widths = [0, 1, 2, 3].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for [name, build, server, client, remarks] in &rows {
        let [a, b, c, d] = widths;
        let line = format!("{name:a$}  {build:b$}  {server:c$}  {client:d$}  {remarks}");
        writeln!(out, "{}", line.trim_end())?;
    }
    let passed = grades.iter().filter(|grade| grade.passes()).count();
    writeln!(out, "\n{passed} of {} pass (required held/all, recommended held/all)", grades.len())
}

/// Copies a folder; symbolic links stay links, what is neither file, folder nor link is left out.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
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
