//! A quiz for people: as text, as Markdown, as JSON; and its key.

use std::io;

use super::GeneratedQuiz;
use super::question::{QuizQuestion, letter};
use crate::Failure;
use crate::markup::{self, one_line};

const HOW_TO_ANSWER: &str = "Write your answers into a file like this, a line for each question. Integers are decimal, \
    or hexadecimal after 0x; octets are hexadecimal, with or without spaces; text after # is ignored.";

/// As plain text.
pub fn text(quiz: &GeneratedQuiz) -> String {
    let mut text = format!("{}\n", title(quiz));
    if quiz.has_trace() {
        text += &format!("\n{}\n\n{}\n", wrapped(&quiz.trace.about, 0), quiz.trace.table());
    }
    for (number, question) in (1..).zip(&quiz.questions) {
        text += &format!("\n{number}. {}\n", wrapped(&question.stem, 3));
        if !question.dump.is_empty() {
            text += &format!("\n{}\n", indented(&question.dump));
        }
        for (place, option) in question.options.iter().enumerate() {
            text += &format!("   {}) {option}\n", letter(place));
        }
    }
    text + &format!("\n{}\n\n{}", wrapped(HOW_TO_ANSWER, 0), empty_answers(quiz))
}

/// As Markdown.
pub fn markdown(quiz: &GeneratedQuiz) -> String {
    let mut text = format!("# {}\n", markup::markdown(&title(quiz)));
    if quiz.has_trace() {
        text += &format!("\n{}\n\n```text\n{}\n```\n", markup::markdown(&quiz.trace.about), quiz.trace.table());
    }
    for (number, question) in (1..).zip(&quiz.questions) {
        text += &format!("\n## Question {number}\n\n{}\n", markup::markdown(&question.stem));
        if !question.dump.is_empty() {
            text += &format!("\n```text\n{}\n```\n", question.dump);
        }
        for (place, option) in question.options.iter().enumerate() {
            let blank = if place == 0 { "\n" } else { "" };
            text += &format!("{blank}- {}) {}\n", letter(place), markup::markdown(option));
        }
    }
    text + &format!("\n## Answers\n\n{}\n\n```text\n{}```\n", markup::markdown(HOW_TO_ANSWER), empty_answers(quiz))
}

#[derive(serde::Serialize)]
struct QuizDocument<'a> {
    seed: &'a str,
    options: &'a str,
    capture: String,
    questions: Vec<SheetQuestion<'a>>,
}

#[derive(serde::Serialize)]
struct SheetQuestion<'a> {
    number: usize,
    kind: &'a str,
    question: &'a str,
    octets: &'a str,
    of_capture: bool,
    options: &'a [String],
    expected: &'a str,
}

impl<'a> SheetQuestion<'a> {
    fn new((number, question): (usize, &'a QuizQuestion)) -> Self {
        Self {
            number,
            kind: question.kind,
            question: &question.stem,
            octets: &question.dump,
            of_capture: question.of_trace,
            options: &question.options,
            expected: question.expected(),
        }
    }
}

/// As JSON, without the right answers.
pub fn json(quiz: &GeneratedQuiz) -> Result<String, Failure> {
    let whole = QuizDocument {
        seed: &quiz.seed,
        options: &quiz.options,
        capture: if quiz.has_trace() { quiz.trace.table() } else { String::new() },
        questions: (1..).zip(&quiz.questions).map(SheetQuestion::new).collect(),
    };
    Ok(serde_json::to_string_pretty(&whole).map_err(io::Error::from)? + "\n")
}

/// The right answers, in the format of an answer file, with the reasons as comments.
pub fn key(quiz: &GeneratedQuiz) -> String {
    let seed = one_line(&quiz.seed);
    let mut text =
        format!("# Key. {}\n# lab quiz --seed {} {}\n", title(quiz), shell_words::quote(&seed), quiz.options);
    for (number, question) in (1..).zip(&quiz.questions) {
        let chosen = if question.options.is_empty() { String::new() } else { question.right.shown() + ". " };
        let QuizQuestion { kind, why, clause, .. } = question;
        text += &format!("{number}: {}   # {kind}\n#    {chosen}{} [{clause}]\n", question.key(), one_line(why));
    }
    text
}

fn title(quiz: &GeneratedQuiz) -> String {
    format!("Quiz of {}: {} questions", one_line(&quiz.seed), quiz.questions.len())
}

fn empty_answers(quiz: &GeneratedQuiz) -> String {
    let line =
        |(number, question): (usize, &QuizQuestion)| format!("{number}:{}# {}\n", " ".repeat(20), question.expected());
    (1..).zip(&quiz.questions).map(line).collect()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("     {line}")).collect::<Vec<_>>().join("\n")
}

/// Lines of at most 100 characters; all but the first are indented.
fn wrapped(text: &str, indent: usize) -> String {
    const WIDTH: usize = 100;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() + indent <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}
