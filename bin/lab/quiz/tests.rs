//! Properties of quizzes, over many seeds.

use std::collections::HashSet;

use clap::Parser;

use super::question::{AnswerValue, letter};
use super::*;

/// How many seeds a test tries.
const SEEDS: usize = 60;

#[derive(Debug, Parser)]
struct QuizLine {
    #[command(flatten)]
    quiz: Arguments,
}

fn made(seed: &str, words: &str) -> Result<GeneratedQuiz, Failure> {
    GeneratedQuiz::new(&QuizLine::parse_from(std::iter::once("lab").chain(words.split_whitespace())).quiz, seed)
}

fn quiz(seed: usize, words: &str) -> GeneratedQuiz {
    made(&format!("student {seed}"), words).unwrap()
}

#[test]
fn each_question_has_exactly_one_right_answer() {
    for seed in 0..SEEDS {
        for question in &quiz(seed, "--count 60").questions {
            let QuizQuestion { kind, stem, right, mistakes, options, why, clause, .. } = question;
            assert!(mistakes.iter().all(|mistake| mistake.value != *right), "{kind}: {question:?}");
            assert!(!stem.is_empty() && why.ends_with('.') && clause.contains('.'), "{kind}: {question:?}");
            if options.is_empty() {
                assert!(matches!(right, AnswerValue::Number(_) | AnswerValue::Octets(_)), "{kind}");
            } else {
                assert!((3..=4).contains(&options.len()), "{kind}: {options:?}");
                let is_right = options.iter().filter(|option| **option == right.shown()).count();
                assert_eq!(is_right, 1, "{kind}: {options:?}");
                let different: HashSet<_> = options.iter().collect();
                assert_eq!(different.len(), options.len(), "{kind}: {options:?}");
            }
            assert_eq!(question.read(&question.key()), Ok(right.clone()), "{kind}");
        }
    }
}

#[test]
fn the_key_gets_full_marks_and_wrong_answers_none() {
    for seed in 0..SEEDS {
        let quiz = quiz(seed, "--count 40");
        let count = quiz.questions.len();
        let key = answers::read(&sheet::key(&quiz), count).unwrap();
        assert!(answers::grade(&quiz, &key).is_full(), "{}", sheet::key(&quiz));
        for (number, question) in (1..).zip(&quiz.questions) {
            for mistake in &question.mistakes {
                let shown = mistake.value.shown();
                let chosen = question.options.iter().position(|option| *option == shown);
                let typed = chosen.map_or(shown, |place| letter(place).to_string());
                let line = format!("{number}: {typed}");
                let graded = answers::grade(&quiz, &answers::read(&line, count).unwrap());
                assert_eq!(graded.points(), 0, "{}: {line}", question.kind);
            }
        }
    }
}

#[test]
fn the_same_seed_repeats_and_others_differ() {
    let mut all = HashSet::new();
    for seed in 0..SEEDS {
        let (first, second) = (sheet::text(&quiz(seed, "")), sheet::text(&quiz(seed, "")));
        assert_eq!(first, second);
        // Without the heading, which names the seed.
        let questions: Vec<String> = first.lines().skip(1).map(str::to_owned).collect();
        assert!(all.insert(questions), "{seed}: as another one");
    }
}

#[test]
fn every_kind_can_be_asked() {
    for kind in KINDS {
        let words = format!("--count 1 --kind {}", kind.name);
        let asked = (0..SEEDS).filter(|seed| made(&seed.to_string(), &words).is_ok()).count();
        // Not every capture has an error or a wrong result in it.
        assert!(asked > SEEDS / 4, "{}: {asked}", kind.name);
    }
    let names: HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
}

#[test]
fn what_cannot_be_asked_is_said() {
    let refused = |words: &str| made("x", words).map(|_| ()).unwrap_err().to_string();
    assert!(refused("--topic fields --level 3").contains("lab quiz --list"));
    assert!(refused("--kind unanswered --count 3").contains("only 1 different questions"));
}
