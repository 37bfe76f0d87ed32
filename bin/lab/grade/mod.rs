//! `lab grade`: builds and checks a folder of submissions, each in namespaces of its own.

mod formats;
mod isolation;
mod job;
mod outcome;
mod page;
mod pairs;
mod rubric;
mod step;
mod submission;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::Failure;
use crate::check::Through;
use crate::check::service::loopback;
use crate::command::{Words, words};
use crate::common::usage::{duration, whole};
use crate::interrupt;
use crate::process::ResourceLimits;
use isolation::{Confinement, Isolation};
use job::{Course, Workplace};
use outcome::{Grade, write_table};
use pairs::Matrix;
pub use pairs::{PairArguments, run_pair};
use rubric::Rubric;
use submission::submissions;

/// Builds and checks each submission in a folder, and prints one table
///
/// Each submission is a folder. It is copied, built and checked in network, process and mount namespaces of its own,
/// with limits. That keeps submissions from disturbing each other by accident. Submissions are untrusted code: run this
/// in a virtual machine or container that holds nothing of value (docs/teaching.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lab grade submissions --build make --server ./server --client ./client --reports reports
  lab grade submissions --server 'python3 server.py' --rubric rubric.toml --csv grades.csv
  lab grade submissions --server ./server --client ./client --pairs --pairs-html pairs.html
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
    /// Shell command that builds a submission, run in its folder
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Command that starts its server, as for `lab check server`
    #[arg(long, value_name = "COMMAND", value_parser = words, required_unless_present = "client")]
    server: Option<Words>,
    /// Command that starts its client, as for `lab check client`
    #[arg(long, value_name = "COMMAND", value_parser = words)]
    client: Option<Words>,
    /// Check the extended form of servers too
    #[arg(long)]
    extended: bool,
    /// Send N random datagrams to each server too, as `lab check fuzz` does
    #[arg(long, value_name = "N", requires = "server", value_parser = whole::<u64>(1..=u64::MAX))]
    fuzz: Option<u64>,
    /// Seed of these datagrams, the same for all submissions
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Submissions graded at once [default: four for each processor, as they mostly wait]
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>(1..=u64::MAX))]
    jobs: Option<NonZeroUsize>,
    /// What keeps submissions from disturbing each other
    #[arg(long, value_enum, default_value = "namespaces")]
    isolation: Isolation,
    /// How long each step (build, server, client, fuzz) may take [default: --time]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long to wait for a reply that a server owes; longer than in lab check, as others are graded at the same time
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    patience: Duration,
    /// How long a client may take to give up or to repeat a request [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "client")]
    client_patience: Option<Duration>,
    /// What clients print before a result [default: "Result: "]
    #[arg(long, value_name = "TEXT", requires = "client")]
    result_prefix: Option<String>,
    /// Check through a relay with these options of lab relay, such as "--loss 30% --seed 3"
    #[arg(long, value_name = "OPTIONS", value_parser = Through::parse, allow_hyphen_values = true)]
    through: Option<Through>,
    /// How long a server may take until it listens; longer than in lab check, for the same reason
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    start_time: Duration,
    /// Limit of what a submission may write in all, in its folder and in TMPDIR, in MiB
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
    /// Run every client against every server too, and against calc6's own: which side is at fault if a pair fails
    #[arg(long, conflicts_with = "single")]
    pairs: bool,
    /// Build, and run the pairs, without the checks
    #[arg(
        long,
        requires = "pairs",
        conflicts_with_all = ["fuzz", "rubric", "junit", "reports", "csv", "gradescope", "classroom50", "inginious", "github"]
    )]
    pairs_only: bool,
    /// How long each exchange of a pair may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration, requires = "pairs")]
    pairs_timeout: Duration,
    /// Write the pairs as a page of HTML
    #[arg(long, value_name = "FILE", requires = "pairs")]
    pairs_html: Option<PathBuf>,
    /// Write the pairs as CSV, a row for each
    #[arg(long, value_name = "FILE", requires = "pairs")]
    pairs_csv: Option<PathBuf>,
    /// Write one JSON array instead of the table, with the full reports; with --pairs, an object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: ResourceLimits,
}

/// The JSON form with pairs.
#[derive(serde::Serialize)]
struct Everything<'a> {
    grades: &'a [Grade],
    pairs: &'a Matrix,
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
    if confinement == Confinement::None {
        // The checks of all submissions use this address, and what they write to standard error is not shown.
        let _ = loopback();
    }
    let course = Course { arguments, confinement, rubric, interrupted: interrupt::watch()? };
    let (grades, built): (Vec<Grade>, Vec<Option<Workplace>>) = course.grade_all(&submissions)?.into_iter().unzip();
    let matrix = arguments.pairs.then(|| Matrix::of(&course, &grades, &built)).transpose()?;
    drop(built);
    write_files(arguments, &grades)?;
    if let Some(matrix) = &matrix {
        matrix.write_files(arguments.pairs_html.as_deref(), arguments.pairs_csv.as_deref())?;
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        let json = match &matrix {
            Some(pairs) => serde_json::to_string_pretty(&Everything { grades: &grades, pairs }),
            None => serde_json::to_string_pretty(&grades),
        };
        writeln!(out, "{}", formats::shown_json(&json.map_err(io::Error::from)?))?;
    } else {
        if !arguments.pairs_only {
            write_table(&mut out, &grades)?;
        }
        if let Some(matrix) = &matrix {
            matrix.write_text(&mut out)?;
        }
        if arguments.github {
            grades.iter().try_for_each(|grade| out.write_all(formats::github(grade).as_bytes()))?;
        }
    }
    let passes = grades.iter().all(Grade::passes) && matrix.as_ref().is_none_or(Matrix::works);
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the files that the options ask for besides the table.
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
