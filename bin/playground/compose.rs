//! A request from what a person wants to know.

use calc6::arithmetic::Number;
use calc6::exchange::plan::{Forms, describing, plan};
use calc6::exchange::{Exchange, PortSharing, Question, Retransmission};
use calc6::view::{Name, View};
use calc6::wire::{Form, Format, Operator, extended};
use serde::{Deserialize, Serialize};

use crate::calls::number;
use crate::explain::json::hexadecimal;

/// What to ask, as typed.
#[derive(Debug, Deserialize)]
pub struct Wish {
    /// A symbol or a word.
    operator: String,
    /// Integers in any base, with spaces or commas between them.
    operands: String,
    form: WantedForm,
    /// Whether the result is to travel as text.
    text: bool,
    /// The request identifier of the extended form.
    id: String,
}

/// Which form may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum WantedForm {
    Either,
    Classic,
    Extended,
}

/// The request.
#[derive(Debug, Serialize)]
pub struct Composed {
    octets: String,
    form: &'static str,
    /// Why the classic form could not be used; empty where it was, or was not wanted.
    why: String,
    /// How many requests it takes; `octets` is the first.
    requests: usize,
    /// What a shell is given to send the same.
    line: String,
}

/// What a client would be told to ask.
#[derive(Debug, Serialize)]
pub struct Recognized {
    operator: String,
    operands: String,
    form: WantedForm,
    text: bool,
    why: String,
    requests: usize,
    line: String,
}

/// Composes the request that a client would send.
///
/// # Errors
/// A sentence: what cannot be read, or why no request can say it.
pub fn compose(wish: &Wish) -> Result<Composed, String> {
    let operator = Operator::from_word(wish.operator.trim()).ok_or_else(|| {
        let known: Vec<&str> = Operator::ALL.into_iter().map(Operator::word).collect();
        format!("'{}' is not an operator: expected {} or its symbol", wish.operator, known.join(", "))
    })?;
    let words = wish.operands.split([' ', ',', ';', '\t', '\n']).filter(|word| !word.is_empty());
    let operands = words.map(number).collect::<Result<Vec<Number>, String>>()?;
    let format = if wish.text { Format::Text } else { Format::Integer };
    let (question, requests, why) = question(operator, format, wish.form, &operands)?;
    let id = u64::from_str_radix(&wish.id, 16).map_err(|error| format!("identifier '{}': {error}", wish.id))?;
    // An exchange draws its identifier first, so it sends the octets that a client with this generator would.
    let exchange =
        Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), Default::default(), &mut || id);
    Ok(Composed {
        octets: hexadecimal(exchange.request()),
        form: exchange.question().form().name(),
        why,
        requests,
        line: line(operator, wish, &operands),
    })
}

fn question(
    operator: Operator,
    format: Format,
    wanted: WantedForm,
    operands: &[Number],
) -> Result<(Question, usize, String), String> {
    if operator == Operator::Describe {
        return Ok((describing(), 1, String::new()));
    }
    let forms = match wanted {
        WantedForm::Either => Forms::Either,
        WantedForm::Classic => Forms::Classic,
        WantedForm::Extended => Forms::Extended,
    };
    let planned = plan(operator, format, forms, operands).map_err(|error| error.to_string())?;
    let first = planned.parts.first().ok_or("no request says this")?;
    let question = first.question(planned.operator, format, operands);
    let why = match plan(operator, format, Forms::Classic, operands) {
        Err(error) if wanted == WantedForm::Either && question.form() == Form::Extended => error.to_string(),
        _ => String::new(),
    };
    Ok((question, planned.parts.len(), why))
}

/// What would have to be asked for these octets; null if no client sends them.
pub fn recognize(octets: &[u8]) -> Option<Recognized> {
    let view = View::request(octets);
    let operator = view.operator()?;
    let operands: Vec<&str> = match operator {
        Operator::Describe => Vec::new(),
        _ => view.fields().iter().filter(|field| field.name == Name::Operand).map(|field| &*field.value).collect(),
    };
    let id = extended::id(octets).filter(|_| view.form() == Form::Extended).unwrap_or_default();
    let text = Format::of(*octets.first()?) == Format::Text;
    let forms = [WantedForm::Either, WantedForm::Classic, WantedForm::Extended].into_iter();
    forms
        .map(|form| Wish {
            operator: operator.word().to_owned(),
            operands: operands.join(" "),
            form,
            text,
            id: format!("{id:016x}"),
        })
        .find_map(|wish| {
            let Composed { octets: found, why, requests, line, .. } = compose(&wish).ok()?;
            let Wish { operator, operands, form, text, .. } = wish;
            (requests == 1 && found == hexadecimal(octets)).then_some(Recognized {
                operator,
                operands,
                form,
                text,
                why,
                requests,
                line,
            })
        })
}

/// `client -op '*' ::1 10000 2 3`: the server's address is the one of the documentation.
fn line(operator: Operator, wish: &Wish, operands: &[Number]) -> String {
    if operator == Operator::Describe {
        return "client --describe ::1 10000".to_owned();
    }
    let symbol = operator.symbol();
    let name = if symbol.is_ascii_alphabetic() { operator.word().to_owned() } else { quoted(symbol) };
    let mut line = format!("client -op {name}");
    if wish.text {
        line += " -s";
    }
    match wish.form {
        WantedForm::Either => {}
        WantedForm::Classic => line += " --classic",
        WantedForm::Extended => line += " --extended",
    }
    line += " ::1 10000";
    for operand in operands {
        line += &format!(" {operand}");
    }
    line
}

/// Quotes what a shell would take for itself.
fn quoted(symbol: char) -> String {
    if matches!(symbol, '+' | '-' | '/' | '%' | '^') { symbol.to_string() } else { format!("'{symbol}'") }
}
