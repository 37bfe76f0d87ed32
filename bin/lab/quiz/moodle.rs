//! The two forms that Moodle imports: GIFT (docs.moodle.org, GIFT format) and Moodle XML (docs.moodle.org, Moodle XML
//! format). Each question stands alone, since Moodle mixes them: the capture is repeated where it is asked about.

use super::GeneratedQuiz;
use super::question::{AnswerValue, QuizQuestion, UsualMistake, hex};
use crate::markup;

/// Larger integers are compared as text: Moodle's numerical questions are floating-point numbers, exact to 15 digits.
const EXACT: i64 = 1_000_000_000_000_000;

/// As GIFT.
pub fn gift(quiz: &GeneratedQuiz) -> String {
    let mut text = format!("// lab quiz {}\n$CATEGORY: $course$/calc6/{}\n", quiz.options, category(&quiz.seed));
    for (number, question) in (1..).zip(&quiz.questions) {
        let numerical = is_numerical(question);
        let name = gift_escaped(&format!("{number:02} {}", question.kind));
        let stem = gift_escaped(&html(quiz, question));
        text += &format!("\n::{name}::[html]{stem}{{{}", if numerical { "#" } else { "" });
        for MoodleAnswer { text: answer, right, feedback } in answers(question) {
            let (mark, answer) = match (right, question.options.is_empty()) {
                // Options are HTML, like the question; typed answers are not.
                (true, false) => ("=", gift_escaped(&escaped(&answer))),
                (false, false) => ("~", gift_escaped(&escaped(&answer))),
                (true, true) if numerical => ("=", answer + ":0"),
                (false, true) if numerical => ("=%0%", answer + ":0"),
                (true, true) => ("=", gift_escaped(&answer)),
                (false, true) => ("=%0%", gift_escaped(&answer)),
            };
            let feedback = match feedback.as_str() {
                "" => String::new(),
                words => format!("#{}", gift_escaped(&escaped(words))),
            };
            text += &format!("\n\t{mark}{answer}{feedback}");
        }
        text += &format!("\n\t####{}\n}}\n", gift_escaped(&why(question)));
    }
    text
}

/// As Moodle XML.
pub fn xml(quiz: &GeneratedQuiz) -> String {
    let category = escaped(&format!("$course$/calc6/{}", category(&quiz.seed)));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<quiz>\n<question \
         type=\"category\"><category><text>{category}</text></category></question>\n"
    );
    let field = |name: &str, html: &str| format!("<{name} format=\"html\"><text>{}</text></{name}>\n", escaped(html));
    for (number, question) in (1..).zip(&quiz.questions) {
        let sort = match question.right {
            AnswerValue::Text(_) => "multichoice",
            AnswerValue::Number(_) if is_numerical(question) => "numerical",
            _ => "shortanswer",
        };
        text += &format!("<question type=\"{sort}\">\n<name><text>{number:02} {}</text></name>\n", question.kind);
        text += &field("questiontext", &html(quiz, question));
        text += &field("generalfeedback", &why(question));
        text += "<defaultgrade>1</defaultgrade>\n<penalty>0.3333333</penalty>\n<hidden>0</hidden>\n";
        let (settings, form, tolerance) = match sort {
            "multichoice" => (
                "<single>true</single>\n<shuffleanswers>true</shuffleanswers>\n<answernumbering>abc</answernumbering>\n",
                "html",
                "",
            ),
            "numerical" => ("", "moodle_auto_format", "<tolerance>0</tolerance>"),
            _ => ("<usecase>0</usecase>\n", "moodle_auto_format", ""),
        };
        text += settings;
        for MoodleAnswer { text: answer, right, feedback } in answers(question) {
            let fraction = if right { 100 } else { 0 };
            // Options are HTML; typed answers are not.
            let answer = if sort == "multichoice" { escaped(&answer) } else { answer };
            let (answer, feedback) = (escaped(&answer), field("feedback", &escaped(&feedback)));
            text += &format!("<answer fraction=\"{fraction}\" format=\"{form}\"><text>{answer}</text>{tolerance}");
            text += &format!("{}</answer>\n", feedback.trim_end());
        }
        text += "</question>\n";
    }
    text + "</quiz>\n"
}

/// One answer in Moodle's list.
struct MoodleAnswer {
    text: String,
    right: bool,
    feedback: String,
}

/// The right answer in all its forms, then the usual wrong ones.
fn answers(question: &QuizQuestion) -> Vec<MoodleAnswer> {
    let of = |value: &AnswerValue, right: bool, feedback: &str| {
        let answer = |text| MoodleAnswer { text, right, feedback: feedback.to_owned() };
        forms(value).into_iter().map(answer).collect::<Vec<_>>()
    };
    if question.options.is_empty() {
        let wrong = question.mistakes.iter().flat_map(|UsualMistake { value, words }| of(value, false, words));
        return of(&question.right, true, "").into_iter().chain(wrong).collect();
    }
    let option = |option: &String| {
        let value = AnswerValue::Text(option.clone());
        let feedback = question.mistake_behind(&value).unwrap_or_default();
        of(&value, value == question.right, feedback)
    };
    question.options.iter().flat_map(option).collect()
}

/// The ways to write a value: octets separated or not (Moodle does not distinguish small letters from capitals).
fn forms(value: &AnswerValue) -> Vec<String> {
    match value {
        AnswerValue::Octets(octets) if octets.len() > 1 => vec![hex(octets), hex(octets).replace(' ', "")],
        value => vec![value.shown()],
    }
}

fn is_numerical(question: &QuizQuestion) -> bool {
    let exact = |value: &AnswerValue| match value {
        AnswerValue::Number(number) => *number < EXACT && *number > -EXACT,
        _ => false,
    };
    exact(&question.right) && question.mistakes.iter().all(|mistake| exact(&mistake.value))
}

/// The question as HTML, with everything to look at. Line ends are elements: an empty line ends a question in GIFT.
fn html(quiz: &GeneratedQuiz, question: &QuizQuestion) -> String {
    let preformatted = |text: &str| format!("<pre>{}</pre>", escaped(text).replace('\n', "<br>"));
    let mut html = format!("<p>{}</p>", escaped(&question.stem));
    if question.of_trace {
        html += &format!("<p>{}</p>{}", escaped(&quiz.trace.about), preformatted(&quiz.trace.table()));
    }
    if !question.dump.is_empty() {
        html += &preformatted(&question.dump);
    }
    html
}

fn why(question: &QuizQuestion) -> String {
    format!("<p>{} Clause {}.</p>", escaped(&question.why), question.clause)
}

/// A name in a path of categories, in which `/` would begin another one: only letters, digits and usual punctuation.
fn category(seed: &str) -> String {
    let kept = |character: char| character.is_alphanumeric() || "-_.@+".contains(character);
    seed.chars().map(|character| if kept(character) { character } else { ' ' }).collect()
}

/// For XML and HTML. Control characters, which are not part of XML 1.0 (section 2.2), become spaces.
fn escaped(text: &str) -> String {
    markup::html(&text.split('\n').map(markup::one_line).collect::<Vec<_>>().join("\n"))
}

/// For GIFT: escapes the characters with a special meaning.
fn gift_escaped(text: &str) -> String {
    markup::backslashed(text, "\\~=#{}:").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(gift_escaped("a=b {c}: ~#\\"), "a\\=b \\{c\\}\\: \\~\\#\\\\");
        assert_eq!(escaped("a<b & \"c\"\u{7}"), "a&lt;b &amp; &quot;c&quot; ");
        assert_eq!(category("a/b\nc"), "a b c");
    }
}
