//! `-i` on a terminal: a prompt with a history and completion.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Behavior, CompletionType, Config, Context, Editor, Helper};

use calc6::wire::Operator;

use super::failure::{Complaint, Failure};
use super::output;
use super::report::Report;
use super::session::{COMMANDS, Response, Session};
use super::terminal::{self, Interrupts};

/// Answers lines until Ctrl-D or `quit`. Ctrl-C ends only the current line or wait. `history`: whether it is read and
/// written.
///
/// # Errors
/// The terminal cannot be read, or standard output written.
pub fn run(session: &mut Session, interrupts: &Interrupts, history: bool) -> Result<(), Failure> {
    // The line editor draws on the terminal even if standard output is redirected.
    let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
    let config = Config::builder()
        .auto_add_history(true)
        .completion_type(CompletionType::List)
        .behavior(behavior)
        // A pasted block is as many questions as it has lines.
        .bracketed_paste(false)
        .build();
    let mut editor = Editor::<PromptHelper, FileHistory>::with_config(config).map_err(unusable)?;
    editor.set_helper(Some(PromptHelper { interrupts }));
    let file = history.then(history_file).flatten();
    if let Some(file) = &file {
        // There is none at first.
        let _ = editor.load_history(file);
    }
    terminal::restore_at_end();
    if !session.output.0.quiet {
        output::say("'help' lists what can be asked.\n");
    }
    let result = answer_lines(session, &mut editor);
    if let Some(file) = file
        && let Err(error) = save(&mut editor, &file)
    {
        session.output.note(&format!("the history cannot be written to {}: {error}", file.display()));
    }
    result
}

fn answer_lines(session: &mut Session, editor: &mut Editor<PromptHelper<'_>, FileHistory>) -> Result<(), Failure> {
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // Ctrl-C drops the line, Ctrl-D ends.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                output::say("the line is not UTF-8: ignored\n");
                continue;
            }
            Err(ReadlineError::Io(error)) => return Err(error.into()),
            Err(error) => return Err(unusable(error)),
        };
        match session.respond(&line) {
            Ok(Response::Text(text)) => output::print(&text)?,
            Ok(Response::Quit) => return Ok(()),
            Err(Failure::Said(complaint)) if session.output.0.json => {
                let mut report = Report::default();
                report.error(complaint);
                output::print(&report.line())?;
            }
            Err(Failure::Said(Complaint { sentence, place, .. })) => output::say(&format!("{sentence}\n{place}")),
            // Ctrl-C during the wait for a server ends only that wait.
            Err(Failure::Interrupted(_)) => {
                output::leave_interrupted_line();
                output::say("interrupted\n");
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn unusable(error: ReadlineError) -> Failure {
    Failure::Output(io::Error::other(format!("the terminal: {error}")))
}

/// `$XDG_STATE_HOME/calc6/history` (XDG Base Directory Specification, 0.8); `%LOCALAPPDATA%` on Windows.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("LOCALAPPDATA"));
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("calc6").join("history"))
}

fn save(editor: &mut Editor<PromptHelper<'_>, FileHistory>, file: &PathBuf) -> Result<(), ReadlineError> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    editor.append_history(file)
}

/// Completes commands and the words of operators, and tells a Ctrl-C that is meant for a line from an earlier one.
struct PromptHelper<'a> {
    interrupts: &'a Interrupts,
}

impl Completer for PromptHelper<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(line.get(..position).unwrap_or_default()))
    }
}

/// Where the word before the cursor starts, and what it may become: a command, or a function with its parenthesis.
fn complete(before: &str) -> (usize, Vec<String>) {
    let begins = |known: &str, with: &str| !with.is_empty() && known.starts_with(with);
    let commands: Vec<String> = COMMANDS.into_iter().filter(|known| begins(known, before)).map(str::to_owned).collect();
    let start = before.char_indices().rfind(|(_, c)| !c.is_alphanumeric()).map_or(0, |(at, c)| at + c.len_utf8());
    let operators = Operator::ALL.into_iter().filter(|&operator| operator != Operator::Describe);
    let words = operators.flat_map(Operator::words).filter(|known| begins(known, &before[start..]));
    let functions: Vec<String> = words.map(|word| format!("{word}(")).collect();
    match (start, commands.is_empty()) {
        (0, _) => (0, [commands, functions].concat()),
        // A command of two words, else the last word.
        (_, false) => (0, commands),
        _ => (start, functions),
    }
}

impl Validator for PromptHelper<'_> {
    /// Called at Enter while Ctrl-C is still a key: SIGINT of before is forgotten, and from now on ends this line's wait.
    fn validate(&self, _: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        self.interrupts.forget();
        Ok(ValidationResult::Valid(None))
    }
}

impl Helper for PromptHelper<'_> {}
impl Highlighter for PromptHelper<'_> {}
impl Hinter for PromptHelper<'_> {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_completed_with_their_parenthesis() {
        for (before, start, words) in [
            ("gc", 0, &["gcd("][..]),
            ("1+gc", 2, &["gcd("]),
            ("3\u{d7}g", 3, &["gcd("]),
            ("\u{e9}", 0, &[]),
            ("trace o", 0, &["trace on", "trace off"]),
            ("quot", 0, &["quotient("]),
            ("", 0, &[]),
        ] {
            assert_eq!(complete(before), (start, words.iter().map(|word| (*word).to_owned()).collect()), "{before}");
        }
    }

    #[test]
    fn every_place_of_every_text_can_be_completed() {
        let text = "3\u{d7}g\u{1f600}cd(\u{301}q";
        for position in 0..=text.len() {
            complete(text.get(..position).unwrap_or_default());
        }
    }
}
