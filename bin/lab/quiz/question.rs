//! A question, its right answer, and the usual wrong ones.

use calc6::arithmetic::Number;

use super::draw::SeededDraw;

/// The most wrong answers to a question with several to choose from.
const MOST_WRONG: usize = 3;
/// With fewer, students could guess.
const LEAST_WRONG: usize = 2;

/// What an answer is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnswerValue {
    /// An integer.
    Number(Number),
    /// Octets.
    Octets(Vec<u8>),
    /// One of several texts.
    Text(String),
}

impl AnswerValue {
    /// An integer.
    pub fn number(value: impl Into<Number>) -> Self {
        Self::Number(value.into())
    }

    /// As text for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Octets(octets) => hex(octets),
            Self::Text(text) => text.clone(),
        }
    }

    /// Parses what was typed as a value of this type. Octets may be separated or not, and may begin with 0x.
    fn read_like(&self, typed: &str) -> Result<Self, &'static str> {
        match self {
            Self::Number(_) => typed.parse().map(Self::Number).map_err(|_| "expected an integer, such as 25 or 0x19"),
            Self::Octets(_) => {
                octets(typed).map(Self::Octets).ok_or("expected octets in hexadecimal, such as 00 00 00 19")
            }
            Self::Text(_) => Ok(Self::Text(typed.to_owned())),
        }
    }
}

/// A wrong answer, and the mistake that leads to it.
#[derive(Clone, Debug)]
pub struct UsualMistake {
    /// The wrong answer.
    pub value: AnswerValue,
    /// The mistake, in a sentence without a full stop.
    pub words: String,
}

/// A question with exactly one right answer.
#[derive(Clone, Debug)]
pub struct QuizQuestion {
    /// The name of its kind.
    pub kind: &'static str,
    /// What is asked, in paragraphs.
    pub stem: String,
    /// Octets to look at, or nothing.
    pub dump: String,
    /// Whether it is about the quiz's capture.
    pub of_trace: bool,
    /// The right answer.
    pub right: AnswerValue,
    /// Wrong ones, all different and none of them right.
    pub mistakes: Vec<UsualMistake>,
    /// The answers to choose from, in order; empty if students write the answer.
    pub options: Vec<String>,
    /// Why it is right, in sentences.
    pub why: String,
    /// The clause of docs/protocol.md.
    pub clause: &'static str,
}

impl QuizQuestion {
    /// An open question: the answer is an integer or octets.
    pub fn open(stem: impl Into<String>, right: AnswerValue, clause: &'static str, why: impl Into<String>) -> Self {
        Self {
            kind: "",
            stem: stem.into(),
            dump: String::new(),
            of_trace: false,
            right,
            mistakes: Vec::new(),
            options: Vec::new(),
            why: why.into(),
            clause,
        }
    }

    /// A question with answers to choose from, which [`QuizQuestion::finished`] puts in order.
    pub fn choice(
        stem: impl Into<String>,
        right: impl Into<String>,
        clause: &'static str,
        why: impl Into<String>,
    ) -> Self {
        Self::open(stem, AnswerValue::Text(right.into()), clause, why)
    }

    /// Adds octets to look at.
    pub fn about(self, octets: &[u8]) -> Self {
        Self { dump: dump(octets), ..self }
    }

    /// Marks the question as one about the quiz's capture.
    pub fn of_trace(self) -> Self {
        Self { of_trace: true, ..self }
    }

    /// Adds a wrong answer.
    pub fn mistake(mut self, value: AnswerValue, words: impl Into<String>) -> Self {
        self.mistakes.push(UsualMistake { value, words: words.into() });
        self
    }

    /// Adds a wrong integer.
    pub fn wrong_number(self, value: impl Into<Number>, words: impl Into<String>) -> Self {
        self.mistake(AnswerValue::number(value), words)
    }

    /// Adds a wrong text.
    pub fn wrong_text(self, text: impl Into<String>, words: impl Into<String>) -> Self {
        self.mistake(AnswerValue::Text(text.into()), words)
    }

    /// Removes wrong answers that are right by accident or occur twice, and shuffles the options; `None` if too few
    /// wrong answers remain.
    pub fn finished(mut self, kind: &'static str, draw: &mut SeededDraw) -> Option<Self> {
        self.kind = kind;
        let mut mistakes: Vec<UsualMistake> = Vec::new();
        for mistake in self.mistakes {
            let known = |other: &UsualMistake| other.value == mistake.value;
            if mistake.value != self.right && !mistakes.iter().any(known) {
                mistakes.push(mistake);
            }
        }
        self.mistakes = mistakes;
        if let AnswerValue::Text(right) = &self.right {
            if self.mistakes.len() < LEAST_WRONG {
                return None;
            }
            self.mistakes.truncate(MOST_WRONG);
            self.options = self.mistakes.iter().map(|mistake| mistake.value.shown()).collect();
            self.options.push(right.clone());
            draw.shuffle(&mut self.options);
        }
        Some(self)
    }

    /// What a student should write: a letter, an integer or octets.
    pub fn key(&self) -> String {
        let right = self.right.shown();
        match self.options.iter().position(|option| *option == right) {
            Some(place) => letter(place).to_string(),
            None => right,
        }
    }

    /// How to answer, in a few words.
    pub fn expected(&self) -> &'static str {
        match self.right {
            AnswerValue::Text(_) => "a letter",
            AnswerValue::Number(_) => "an integer",
            AnswerValue::Octets(_) => "octets in hexadecimal",
        }
    }

    /// The value of what was typed: a letter stands for its option.
    pub fn read(&self, typed: &str) -> Result<AnswerValue, String> {
        if self.options.is_empty() {
            return self.right.read_like(typed).map_err(str::to_owned);
        }
        let bare = typed.trim_end_matches([')', '.']);
        let place = (0..self.options.len()).find(|&place| bare.eq_ignore_ascii_case(&letter(place).to_string()));
        let last = letter(self.options.len() - 1);
        place
            .map(|place| AnswerValue::Text(self.options[place].clone()))
            .ok_or_else(|| format!("expected a letter from a to {last}"))
    }

    /// The mistake that leads to a wrong answer, if it is a usual one.
    pub fn mistake_behind(&self, value: &AnswerValue) -> Option<&str> {
        self.mistakes.iter().find(|mistake| mistake.value == *value).map(|mistake| mistake.words.as_str())
    }
}

/// The letter of an option: `a` for the first.
pub fn letter(place: usize) -> char {
    char::from(b'a' + place as u8)
}

/// Octets in hexadecimal, separated by spaces.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(" ")
}

/// Lines of 16 octets, each with the offset of its first octet; fields are not marked.
fn dump(octets: &[u8]) -> String {
    const LINE: usize = 16;
    if octets.is_empty() {
        return "(no octets)".into();
    }
    let line = |(number, line): (usize, &[u8])| format!("{:04x}  {}", number * LINE, hex(line));
    octets.chunks(LINE).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Octets that were typed: pairs of digits, separated or not.
fn octets(typed: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    for word in typed.split([' ', ':', ',', '-']).filter(|word| !word.is_empty()) {
        let digits = word.strip_prefix("0x").unwrap_or(word).as_bytes();
        if digits.is_empty() || digits.len() % 2 != 0 {
            return None;
        }
        for pair in digits.chunks_exact(2) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            octets.push((value(pair[0])? << 4 | value(pair[1])?) as u8);
        }
    }
    (!octets.is_empty()).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_as_people_write_them() {
        let right = AnswerValue::Octets(vec![0x00, 0xff, 0x19]);
        for typed in ["00 ff 19", "00FF19", "00:ff:19", "0x00 0xFF 0x19", "0x00ff19"] {
            assert_eq!(right.read_like(typed), Ok(right.clone()), "{typed}");
        }
        for typed in ["", "0 ff", "00 fg 19", "-", "0x", "é9"] {
            assert!(right.read_like(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn no_wrong_answer_is_right_and_none_stands_twice() {
        let question = QuizQuestion::choice("Which?", "c", "1.1", "Because.")
            .wrong_text("c", "right by accident")
            .wrong_text("x", "one")
            .wrong_text("x", "the same again");
        let mut draw = SeededDraw::new(&["question"]);
        assert!(question.clone().finished("test", &mut draw).is_none(), "one wrong answer is too few");
        let finished = question.wrong_text("y", "two").finished("test", &mut draw).unwrap();
        assert_eq!(finished.options.len(), 3);
        assert_eq!(finished.read(&finished.key()), Ok(AnswerValue::Text("c".into())));
        assert_eq!(finished.read("D"), Err("expected a letter from a to c".into()));
    }
}
