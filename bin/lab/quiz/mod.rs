//! `lab quiz`: questions about datagrams and captures, different for each student, with a key; and their grading.

mod answers;
mod draw;
mod kinds;
mod moodle;
mod question;
mod sheet;
#[cfg(test)]
mod tests;
mod trace;

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::Failure;
use crate::common::usage::whole;
use draw::SeededDraw;
use kinds::{KINDS, QuestionKind, QuestionTopic};
use question::QuizQuestion;
use trace::QuizTrace;

/// The most questions in a quiz: many kinds have only a few hundred possibilities.
const MOST: u64 = 200;

/// Asks about datagrams and captures, differently for each student, and grades the answers
///
/// The right answers are computed from the octets, by the code of the server and the client. The same seed and options
/// give the same quiz on every machine. With --grade, exit status 1 if an answer is not right.
#[derive(Debug, clap::Args)]
#[command(after_help = "A quiz for a student, with its key, and the grading of its answers:
  lab quiz --seed ada --format markdown --key ada.key > ada.md
  lab quiz --seed ada --grade ada.txt
Questions for Moodle; questions about a capture:
  lab quiz --seed group-3 --topic order --format moodle > order.xml
  lab quiz --seed ada --pcap lost.pcapng --count 5
A file of answers has a line for each question: its number, a colon, and the answer. '#' begins a comment.")]
pub struct Arguments {
    /// Any text; each text gives a different quiz [default: a new one, shown; with --grade, the file's name without its
    /// extension]
    #[arg(long, value_name = "STUDENT")]
    seed: Option<String>,
    /// Questions
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole::<NonZeroU32>(1..=MOST))]
    count: NonZeroU32,
    /// Only questions about this; may be repeated
    #[arg(long, value_name = "TOPIC", value_enum)]
    topic: Vec<QuestionTopic>,
    /// Only questions of this level, 1 (read one field) to 3 (apply several rules); may be repeated
    #[arg(long, value_name = "LEVEL", value_parser = whole::<u8>(1..=3))]
    level: Vec<u8>,
    /// Only questions of this kind, as --list names it; may be repeated
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<&'static str>,
    /// Capture that questions are about, pcap or pcapng [default: one made from the seed]
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// The server's UDP port in the capture [default: the port that most datagrams went to]
    #[arg(long, value_name = "PORT", requires = "pcap", value_parser = whole::<u16>(1..=65535))]
    port: Option<u16>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: QuizFormat,
    /// Write the right answers and the reasons to a file, which --grade reads too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grade", "list"])]
    key: Option<PathBuf>,
    /// Write the capture of the questions as pcapng, for Wireshark
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pcap", "grade", "list"])]
    write_pcap: Option<PathBuf>,
    /// Grade files of answers instead; the other options are those of the quiz
    #[arg(long, value_name = "ANSWERS", num_args = 1.., conflicts_with = "list")]
    grade: Vec<PathBuf>,
    /// Write the grades as CSV too: a line for each file, with the points of each question
    #[arg(long, value_name = "FILE", requires = "grade")]
    csv: Option<PathBuf>,
    /// List the kinds of questions: name, topic, level, what is asked
    #[arg(long)]
    list: bool,
}

/// How a quiz, or its grading, is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum QuizFormat {
    /// Plain text
    Text,
    /// Markdown
    Markdown,
    /// Moodle's GIFT, with key and feedback
    Gift,
    /// Moodle's XML, with key and feedback
    Moodle,
    /// JSON, without the key
    Json,
}

/// The questions of a seed.
struct GeneratedQuiz {
    seed: String,
    /// The options that make this quiz, besides the seed.
    options: String,
    /// The capture that questions may be about.
    trace: QuizTrace,
    questions: Vec<QuizQuestion>,
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.list {
        return list();
    }
    if !arguments.grade.is_empty() {
        return grade(arguments);
    }
    let seed = match &arguments.seed {
        Some(seed) => seed.clone(),
        None => {
            let drawn = getrandom::u32().map_err(|error| Failure::run("cannot draw a seed", error))?;
            format!("{drawn:08x}")
        }
    };
    let quiz = GeneratedQuiz::new(arguments, &seed)?;
    if let Some(path) = &arguments.key {
        write_file(path, &sheet::key(&quiz))?;
    }
    if let Some(path) = &arguments.write_pcap {
        quiz.trace.write(path)?;
    }
    let written = match arguments.format {
        QuizFormat::Text => sheet::text(&quiz),
        QuizFormat::Markdown => sheet::markdown(&quiz),
        QuizFormat::Json => sheet::json(&quiz)?,
        QuizFormat::Gift => moodle::gift(&quiz),
        QuizFormat::Moodle => moodle::xml(&quiz),
    };
    io::stdout().lock().write_all(written.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

impl GeneratedQuiz {
    /// The quiz of a seed: kinds in a random order, one question of each, then again from the first.
    fn new(arguments: &Arguments, seed: &str) -> Result<Self, Failure> {
        let mut draw = SeededDraw::new(&[seed, "capture"]);
        let trace = match &arguments.pcap {
            Some(path) => QuizTrace::read(path, arguments.port, &mut draw)?,
            None => QuizTrace::simulated(&mut draw),
        };
        let mut kinds: Vec<&QuestionKind> = KINDS.iter().filter(|kind| arguments.wants(kind)).collect();
        if kinds.is_empty() {
            let what = "no kind of question has this topic and this level; see lab quiz --list";
            return Err(Failure::Usage(what.into()));
        }
        SeededDraw::new(&[seed, "order"]).shuffle(&mut kinds);
        let wanted = arguments.count.get() as usize;
        let mut questions: Vec<QuizQuestion> = Vec::new();
        for round in 0.. {
            let before = questions.len();
            for kind in &kinds {
                // A generator for each question: what one draws does not change the others.
                let mut draw = SeededDraw::new(&[seed, kind.name, &round.to_string()]);
                if questions.len() < wanted {
                    questions.extend(kind.question(&mut draw, &trace, &questions));
                }
            }
            if questions.len() == wanted {
                break;
            }
            if questions.len() == before {
                return Err(Failure::Run(format!(
                    "only {before} different questions of these kinds can be asked here, and --count is {wanted}"
                )));
            }
        }
        Ok(Self { seed: seed.into(), options: arguments.options(), trace, questions })
    }

    /// Whether any question is about the capture.
    fn has_trace(&self) -> bool {
        self.questions.iter().any(|question| question.of_trace)
    }
}

impl Arguments {
    fn wants(&self, kind: &QuestionKind) -> bool {
        let topic = self.topic.is_empty() || self.topic.contains(&kind.topic);
        let level = self.level.is_empty() || self.level.contains(&kind.level);
        let named = self.kind.is_empty() || self.kind.contains(&kind.name);
        // A user who names a capture wants questions about it.
        topic && level && named && (self.pcap.is_none() || kind.of_trace())
    }

    /// The options that make a quiz, besides the seed, as they are typed.
    fn options(&self) -> String {
        let mut options = format!("--count {}", self.count);
        self.topic.iter().for_each(|topic| options += &format!(" --topic {}", name_of(topic)));
        self.level.iter().for_each(|level| options += &format!(" --level {level}"));
        self.kind.iter().for_each(|kind| options += &format!(" --kind {kind}"));
        if let Some(path) = &self.pcap {
            options += &format!(" --pcap {}", shell_words::quote(&path.to_string_lossy()));
        }
        self.port.iter().for_each(|port| options += &format!(" --port {port}"));
        options
    }
}

/// Grades each file; exits with 0 if all answers are right.
fn grade(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut graded = Vec::new();
    for path in &arguments.grade {
        let seed = match &arguments.seed {
            Some(seed) => seed.clone(),
            None => path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        };
        let quiz = GeneratedQuiz::new(arguments, &seed)?;
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::run(format_args!("cannot read {}", path.display()), error))?;
        let given = answers::read(&text, quiz.questions.len())
            .map_err(|what| Failure::Usage(format!("{}, {what}", path.display())))?;
        graded.push(answers::grade(&quiz, &given));
    }
    if let Some(path) = &arguments.csv {
        write_file(path, &answers::csv(&graded)?)?;
    }
    let mut out = io::stdout().lock();
    match arguments.format {
        QuizFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &graded).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        _ => out.write_all(answers::text(&graded).as_bytes())?,
    }
    Ok(if graded.iter().all(answers::GradedAnswers::is_full) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lists the kinds.
fn list() -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    for kind in KINDS {
        writeln!(out, "{:<16} {:<9} {}  {}", kind.name, name_of(&kind.topic), kind.level, kind.asks)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn name_of(topic: &QuestionTopic) -> String {
    topic.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A kind of question, by its name.
fn kind(name: &str) -> Result<&'static str, String> {
    let known = KINDS.iter().find(|kind| kind.name == name);
    known.map(|kind| kind.name).ok_or_else(|| "expected a kind of question, as lab quiz --list names it".into())
}

fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::run(format_args!("cannot write {}", path.display()), error))
}
