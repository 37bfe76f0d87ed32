//! Files of answers, and their grades.

use std::collections::BTreeMap;

use super::GeneratedQuiz;
use super::question::QuizQuestion;
use crate::Failure;
use crate::markup;

/// The result of a file of answers.
#[derive(Debug, serde::Serialize)]
pub struct GradedAnswers {
    seed: String,
    points: usize,
    max: usize,
    questions: Vec<AnswerMark>,
}

/// The result of one answer.
#[derive(Debug, serde::Serialize)]
struct AnswerMark {
    number: usize,
    kind: &'static str,
    right: bool,
    /// As it was typed; empty if it was not answered.
    answer: String,
    /// The right answer, with the text of the option after a letter.
    expected: String,
    /// The mistake that leads to the answer, if it is a usual one, or why the answer cannot be read.
    likely: String,
    why: String,
    clause: &'static str,
}

impl GradedAnswers {
    /// How many answers are right.
    #[cfg(test)]
    pub fn points(&self) -> usize {
        self.points
    }

    /// Whether all of them are right.
    pub fn is_full(&self) -> bool {
        self.points == self.max
    }
}

/// Reads `NUMBER: ANSWER` lines. `#` begins a comment. A question without an answer has no entry.
///
/// # Errors
/// The line and what is wrong with it.
pub fn read(text: &str, questions: usize) -> Result<BTreeMap<usize, String>, String> {
    let mut answers = BTreeMap::new();
    for (at, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = line.split_at(digits);
        let answer = rest.trim_start().strip_prefix([':', '.', ')']);
        let (Ok(number), Some(answer)) = (number.parse::<usize>(), answer) else {
            return Err(format!("line {at}: expected the number of a question, a colon and the answer"));
        };
        if !(1..=questions).contains(&number) {
            return Err(format!("line {at}: question {number}: expected 1 to {questions}"));
        }
        let answer = answer.trim().to_owned();
        if !answer.is_empty() && answers.insert(number, answer).is_some() {
            return Err(format!("line {at}: question {number} is answered twice"));
        }
    }
    Ok(answers)
}

/// Grades answers: one point for each that is right.
pub fn grade(quiz: &GeneratedQuiz, answers: &BTreeMap<usize, String>) -> GradedAnswers {
    let mark = |(number, question)| mark(number, question, answers.get(&number).map_or("", String::as_str));
    let questions: Vec<AnswerMark> = (1..).zip(&quiz.questions).map(mark).collect();
    let points = questions.iter().filter(|mark| mark.right).count();
    GradedAnswers { seed: quiz.seed.clone(), points, max: questions.len(), questions }
}

fn mark(number: usize, question: &QuizQuestion, answer: &str) -> AnswerMark {
    let (right, likely) = match question.read(answer) {
        _ if answer.is_empty() => (false, String::new()),
        Ok(value) if value == question.right => (true, String::new()),
        Ok(value) => (false, question.mistake_behind(&value).unwrap_or_default().to_owned()),
        Err(what) => (false, what),
    };
    let expected = match question.options.is_empty() {
        true => question.key(),
        false => format!("{}) {}", question.key(), question.right.shown()),
    };
    let QuizQuestion { kind, why, clause, .. } = question;
    AnswerMark { number, kind, right, answer: answer.to_owned(), expected, likely, why: why.clone(), clause }
}

/// For people.
pub fn text(graded: &[GradedAnswers]) -> String {
    let mut text = String::new();
    for GradedAnswers { seed, points, max, questions } in graded {
        let blank = if text.is_empty() { "" } else { "\n" };
        text += &format!("{blank}{}: {points} of {max} points\n", printable(seed));
        for AnswerMark { number, kind, right, answer, expected, likely, why, clause } in questions {
            let verdict = match (right, answer.as_str()) {
                (true, _) => "right".to_owned(),
                (false, "") => "not answered".to_owned(),
                (false, answer) => format!("wrong: {}", printable(answer)),
            };
            text += &format!("{number:>3}  {kind}: {verdict}\n");
            if *right {
                continue;
            }
            text += &format!("     expected  {expected}\n");
            if !likely.is_empty() {
                text += &format!("     likely    {likely}\n");
            }
            text += &format!("     why       {why} [{clause}]\n");
        }
    }
    text
}

/// A line for each file.
///
/// # Errors
/// The CSV cannot be written. Writing to memory never fails.
pub fn csv(graded: &[GradedAnswers]) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::run("cannot write CSV", error);
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let most = graded.iter().map(|one| one.max).max().unwrap_or_default();
    let numbers = (1..=most).map(|number| number.to_string());
    let head = ["seed", "points", "max"].map(str::to_owned).into_iter().chain(numbers);
    writer.write_record(head).map_err(|error| failed(&error))?;
    for GradedAnswers { seed, points, max, questions } in graded {
        let marks = questions.iter().map(|mark| u8::from(mark.right).to_string());
        let line = [seed.clone(), points.to_string(), max.to_string()].into_iter().chain(marks);
        writer.write_record(line).map_err(|error| failed(&error))?;
    }
    let octets = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(octets).map_err(|error| failed(&error))
}

/// Text from another person, without control characters, and shortened.
fn printable(text: &str) -> String {
    const MOST: usize = 80;
    let rest = if text.chars().count() > MOST { "…" } else { "" };
    markup::one_line(&text.chars().take(MOST).collect::<String>()) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_wrong_in_them_is_said() {
        let read_two = |text: &str| read(text, 2);
        let expected = BTreeMap::from([(1, "b".to_owned()), (2, "00 19".to_owned())]);
        assert_eq!(read_two("\u{feff}# answers\n1: b # sure\r\n\n2)00 19\n"), Ok(expected));
        assert_eq!(read_two("1:\n2:   # an integer\n"), Ok(BTreeMap::new()));
        for (text, words) in [
            ("b", "line 1: expected the number"),
            ("\n1 b", "line 2: expected the number"),
            ("3: b", "question 3: expected 1 to 2"),
            ("1: a\n1: b", "line 2: question 1 is answered twice"),
            ("99999999999999999999999: b", "line 1: expected the number"),
        ] {
            let error = read_two(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
