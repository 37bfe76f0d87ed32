//! The `client` program at a terminal: the screen, and the effect of keys.

mod asking;
mod pty;
mod serving;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use asking::{Act, Scripted};
use pty::{Left, Terminal, text};
use rustix::process::Signal;
use serving::Server;

const CLIENT: &str = env!("CARGO_BIN_EXE_client");

const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_U: &str = "\x15";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const END: &str = "\x1b[F";
const BACKSPACE: &str = "\x7f";

/// Runs the client over the words of a line.
fn client(columns: u16, line: &str) -> Terminal {
    Terminal::with(columns, CLIENT, line.split_whitespace(), |command| {
        command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
    })
}

/// A prompt of the client, with options, for a server.
fn prompt(columns: u16, line: &str) -> Terminal {
    let terminal = client(columns, line);
    terminal.ends("> ");
    terminal
}

#[track_caller]
fn succeeded(left: &Left) {
    assert_eq!((left.status.code(), left.cursor), (Some(0), true), "{left:?}");
}

#[test]
fn a_prompt_answers_and_remembers() {
    let server = Server::start(&["::1", "0"]);
    let mut terminal = prompt(80, &format!("-i ::1 {}", server.port));
    let mut shown = String::from("'help' lists what can be asked.\n");
    for (typed, line, answer) in [
        ("+ 1 3 5", "+ 1 3 5", "Result: 9\n"),
        ("_ * _ - 2^10", "_ * _ - 2^10", "Result: -943\n"),
        ("- _ _", "- _ _", "Result: 0\n"),
        ("", "", ""),
        (UP, "- _ _", "Result: 0\n"),
        (&UP.repeat(3), "+ 1 3 5", "Result: 9\n"),
        ("gcd(12, 18", "gcd(12, 18", "column 4: this '(' is never closed\n    gcd(12, 18\n       ^\n"),
        (
            "1 / 0",
            "1 / 0",
            &format!("column 3: ::1 port {} answered: division by zero\n    1 / 0\n      ^\n", server.port),
        ),
        ("_", "_", "Result: 9\n"),
        ("describe", "describe", "calc6 0.1.0\noperators=+*-/%^gl<>&|~?\nlargest-reply=1232\n"),
    ] {
        terminal.types(&format!("{typed}\r"));
        shown += &format!("> {line}\n{answer}");
        terminal.ends(&format!("{shown}> "));
    }
    terminal.types("help\r");
    terminal.ends("help, quit       this help; exit (also Ctrl-D)\n> ");
    terminal.types("quit\r");
    let left = terminal.end();
    succeeded(&left);
    assert!(left.screen.ends_with("\n> quit") && !left.wrapped, "{left:?}");
}

#[test]
fn a_prompt_traces_on_request() {
    let server = Server::start(&["::1", "0"]);
    let mut terminal = prompt(80, &format!("-i ::1 {}", server.port));
    terminal.types("trace on\r");
    terminal.ends("> trace on\n> ");
    terminal.types("+ 1 3\r");
    terminal.ends(
        "  4 integer  [2.4]
Result: 4
> ",
    );
    terminal.types("trace off\r");
    terminal.ends("> trace off\n> ");
    terminal.types("+ 1 3\r");
    terminal.ends("> trace off\n> + 1 3\nResult: 4\n> ");
    terminal.types(CTRL_D);
    let left = terminal.end();
    succeeded(&left);
    assert_eq!(left.screen.matches("classic request").count(), 1, "{left:?}");
    assert!(left.octets.contains("\x1b[36mOperand 1") && !left.wrapped, "{left:?}");
}

#[test]
fn lines_typed_ahead_or_pasted_are_answered_one_by_one() {
    let mut terminal = prompt(80, "-q -i --local --no-history");
    terminal.types("1+1\r2+2\r3+3\r");
    terminal.shows("three results", |screen| {
        let lines = screen.contents();
        let results: Vec<&str> = lines.lines().filter(|line| line.parse::<u32>().is_ok()).collect();
        results == ["2", "4", "6"]
    });
    terminal.ends("\n6\n> ");
    terminal.types(CTRL_D);
    succeeded(&terminal.end());
}

#[test]
fn an_octet_that_is_not_utf_8_drops_only_its_line() {
    let mut terminal = prompt(80, "-q -i --local --no-history");
    terminal.types_octets(b"1+\xe9 ");
    terminal.shows("the message", |screen| screen.contents().contains("the line is not UTF-8"));
    terminal.types(&format!("{CTRL_U}5*5\r"));
    terminal.shows("the next result", |screen| screen.contents().contains("\n25\n"));
    terminal.types(CTRL_D);
    succeeded(&terminal.end());
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP] {
        let terminal = prompt(80, "-q -i --local --no-history");
        assert!(!terminal.is_canonical(), "the prompt edits");
        terminal.signal(signal);
        // At the end the terminal's settings are compared with those from before.
        let left = terminal.end();
        assert_eq!(left.status.signal(), Some(signal.as_raw()), "{left:?}");
    }
}

#[test]
fn the_history_is_kept_unless_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let run = |options: &str, typed: &str| {
        let line = format!("-q -i --local {options}");
        let mut terminal =
            Terminal::with(80, CLIENT, line.split_whitespace(), |command| command.env("XDG_STATE_HOME", folder.path()));
        terminal.ends("> ");
        terminal.types(typed);
        terminal.shows("the result", |screen| screen.contents().contains("\n42\n"));
        terminal.types(CTRL_D);
        succeeded(&terminal.end());
    };
    run("--no-history", "6*7\r");
    assert!(!folder.path().join("calc6/history").exists());
    run("", "6*7\r");
    let written = fs::read_to_string(folder.path().join("calc6/history")).unwrap();
    assert!(written.contains("6*7"), "{written}");
    run("", &format!("{UP}\r"));
}

#[test]
fn tab_completes() {
    let mut terminal = prompt(80, "-i --local");
    for (typed, shown) in [
        ("gc\t", "gcd("),
        ("tr\t", "trace o"),
        ("trace on\t", "trace on"),
        ("trace of\t", "trace off"),
        ("quo\t", "quotient("),
        ("3\u{d7}gc\t", "3\u{d7}gcd("),
        ("desc\t", "describe"),
        ("3 + xo\t6, 3)", "3 + xor(6, 3)"),
        ("zz\t\t", "zz"),
        ("m\t\t", "m\nmul(  min(  max(\n> m"),
    ] {
        terminal.types(typed);
        terminal.ends(&format!("> {shown}"));
        terminal.types(CTRL_U);
        terminal.ends("> ");
    }
    terminal.types(CTRL_D);
    succeeded(&terminal.end());
}

#[test]
fn ctrl_c_gives_up_the_line_and_ctrl_d_ends() {
    let mut terminal = prompt(80, "-q -i --local");
    terminal.types(&format!("1 + 2{CTRL_C}"));
    terminal.ends("> 1 + 2\n> ");
    // Within a line it deletes the character after the cursor.
    terminal.types(&format!("12{LEFT}{CTRL_D}"));
    terminal.ends("> 1");
    terminal.types("\r");
    terminal.ends("> 1\n1\n> ");
    terminal.types(CTRL_D);
    let left = terminal.end();
    succeeded(&left);
    assert_eq!(left.screen, "> 1 + 2\n> 1\n1\n>");
}

#[test]
fn ctrl_c_ends_the_wait_for_a_silent_server() {
    let silent = Scripted::start(|_, _| vec![]);
    let mut terminal = prompt(80, &format!("--timeout 60 -i {}", silent.words()));
    for line in ["+ 1 2", "(1 + 2) * (3 + 4)", "describe"] {
        terminal.types(&format!("{line}\r"));
        terminal.shows("the end of the line", |screen| screen.cursor_position().1 == 0);
        terminal.types(CTRL_C);
        terminal.ends(&format!("> {line}\n^C\ninterrupted\n> "));
    }
    // As early as Ctrl-C is a signal. The key drops what the screen does not show yet (NOFLSH, termios(3)).
    for line in 0..40 {
        terminal.types(&format!("+ {line}\r"));
        terminal.waits("lines are read whole", Terminal::is_canonical);
        terminal.types(CTRL_C);
        terminal.waits("interrupted", |terminal| terminal.count("interrupted") == 3 + line + 1);
        terminal.ends("\ninterrupted\n> ");
    }
    terminal.types("7\r");
    terminal.ends("Result: 7\n> ");
    terminal.types("quit\r");
    succeeded(&terminal.end());
}

#[test]
fn long_lines_are_edited_at_any_width() {
    let digits = "1234567890".repeat(9);
    for columns in [20, 80, 200] {
        let mut terminal = prompt(columns, "-q -i --local");
        terminal.types(&format!("{digits} - 1{CTRL_A}(7+{END}{BACKSPACE}9)"));
        let shows = |terminal: &Terminal, line: &str, columns: u16| {
            let rows = line.as_bytes().chunks(columns.into()).map(|row| String::from_utf8_lossy(row).into_owned());
            let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
            let rows = rows.join("\n");
            terminal.shows(&rows, |screen| text(screen) == rows);
        };
        shows(&terminal, &format!("> (7+{digits} - 9)"), columns);
        let columns = columns + 13;
        terminal.resize(columns);
        terminal.types(&format!("{LEFT}{BACKSPACE}{END}"));
        shows(&terminal, &format!("> (7+{digits} - )"), columns);
        terminal.types(&format!("{BACKSPACE}8)\r"));
        let value: String = format!("{}89", &digits[..88]);
        terminal.shows("value", |screen| text(screen).replace('\n', "").ends_with(&format!("8){value}>")));
        terminal.types(CTRL_D);
        succeeded(&terminal.end());
    }
}

#[test]
fn a_prompt_whose_results_go_elsewhere() {
    let mut terminal = Terminal::with(80, CLIENT, ["-i", "--local"], |command| command.stdout(Stdio::piped()));
    terminal.ends("'help' lists what can be asked.\n> ");
    terminal.types("+ 1 3 5\r");
    terminal.ends("> + 1 3 5\n> ");
    terminal.types("quit\r");
    let left = terminal.end();
    succeeded(&left);
    assert_eq!(left.stdout, "Result: 9\n");
}

#[test]
fn a_dumb_terminal_has_a_prompt_without_editing() {
    let mut terminal = Terminal::with(80, CLIENT, ["-i", "-v", "--local"], |command| command.env("TERM", "dumb"));
    terminal.ends("> ");
    terminal.types("+ 1 3");
    terminal.ends("> + 1 3");
    terminal.types(&format!("{CTRL_C}+ 4 5\r"));
    terminal.ends("Result: 9\n> ");
    terminal.types(CTRL_D);
    let left = terminal.end();
    succeeded(&left);
    assert!(!left.octets.contains('\x1b'), "{left:?}");
}

/// Answers any sum in the extended form with 1, after a short delay, up to a number of times.
fn slow(answers: usize) -> Scripted {
    Scripted::start(move |request, count| {
        if count >= answers || request.len() < 12 {
            return vec![];
        }
        let reply = [&[0xff, 0, 0, 0], &request[4..12], &[1]].concat();
        vec![Act::Wait(Duration::from_millis(5)), Act::Reply(reply)]
    })
}

/// A file of ones for about `requests` requests; removed when this is dropped.
struct Ones(PathBuf);

impl Ones {
    fn new(name: &str, requests: usize) -> Ones {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&file, "1\n".repeat(requests * 1220)).unwrap();
        Ones(file)
    }

    fn words(&self) -> String {
        format!("--file {}", self.0.display())
    }
}

impl Drop for Ones {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_bar_while_a_file_is_sent() {
    let ones = Ones::new("bar", 60);
    for columns in [40, 80] {
        let server = slow(usize::MAX);
        let line = format!("-op + {} {}", ones.words(), server.words());
        let words = line.split_whitespace();
        let left = Terminal::with(columns, CLIENT, words, |command| command.stdout(Stdio::piped())).end();
        succeeded(&left);
        // The bar was drawn, and the line is clear again.
        assert!(left.octets.contains(" operands"), "{left:?}");
        assert_eq!((left.screen.as_str(), left.stdout.as_str()), ("", "Result: 60\n"), "{columns}");
    }
}

#[test]
fn no_bar_if_quiet_or_redirected() {
    let ones = Ones::new("no-bar", 40);
    for (options, variable) in [("", ("TERM", "dumb")), ("-q", ("TERM", "xterm"))] {
        let server = slow(usize::MAX);
        let line = format!("{options} -op + {} {}", ones.words(), server.words());
        let words = line.split_whitespace();
        let left = Terminal::with(80, CLIENT, words, |command| command.env(variable.0, variable.1)).end();
        succeeded(&left);
        assert!(!left.octets.contains("operands") && !left.octets.contains('\x1b'), "{left:?}");
    }
    let server = slow(usize::MAX);
    let line = format!("-op + {} {}", ones.words(), server.words());
    let words = line.split_whitespace();
    let left = Terminal::with(80, CLIENT, words, |command| command.stderr(Stdio::piped())).end();
    succeeded(&left);
    assert_eq!((left.octets.as_str(), left.stderr.as_str()), ("Result: 40\r\n", ""));
}

#[test]
fn ctrl_c_ends_a_batch() {
    let ones = Ones::new("interrupted", 200);
    let server = slow(40);
    let mut terminal = client(80, &format!("--timeout 60 -op + {} {}", ones.words(), server.words()));
    terminal.shows("bar", |screen| screen.contents().contains("to go"));
    terminal.types(CTRL_C);
    let left = terminal.end();
    assert_eq!((left.status.signal(), left.cursor), (Some(2), true), "{left:?}");
    let lines: Vec<&str> = left.screen.lines().collect();
    let after = lines.last().and_then(|line| line.strip_prefix("client: interrupted after "));
    let operands = after.and_then(|rest| rest.strip_suffix(" operands"));
    assert!(operands.is_some_and(|operands| operands.parse::<u32>().is_ok()), "{left:?}");
    // The bar's line is cleared, or stays whole where ^C went to the next one.
    assert!(lines.len() == 1 || lines.len() == 2 && lines[0].ends_with("to go"), "{left:?}");
}

#[test]
fn operands_can_be_typed() {
    let server = Server::start(&["::1", "0"]);
    let line = format!("-op + ::1 {} -", server.port);
    let mut terminal = client(80, &line);
    terminal.types("1 2\r3\r");
    terminal.shows("echo", |screen| screen.cursor_position() == (2, 0));
    terminal.types(CTRL_D);
    let left = terminal.end();
    succeeded(&left);
    assert_eq!(left.octets, "1 2\r\n3\r\nResult: 6\r\n");

    let mut terminal = client(80, &line);
    terminal.types("1 2\r");
    terminal.shows("echo", |screen| screen.cursor_position() == (1, 0));
    terminal.types(CTRL_C);
    let left = terminal.end();
    assert_eq!(left.status.signal(), Some(2), "{left:?}");
}

#[test]
fn a_wait_is_noted_on_a_terminal() {
    let silent = Scripted::start(|_, _| vec![]);
    let words = silent.words();
    let (host, port) = words.split_once(' ').unwrap();
    let terminal = client(80, &format!("--timeout 0.05 --retries 2 -op + {words} 1 3"));
    let left = terminal.end();
    let note = |which| format!("client: no reply yet from {host} port {port}, asking again ({which} of 3)");
    let lines: Vec<&str> = left.screen.lines().collect();
    assert_eq!(lines[..2], [note(2), note(3)], "{left:?}");
    assert!(lines[2].ends_with("no reply to 3 datagrams"), "{left:?}");
    let quiet = client(80, &format!("-q --timeout 0.05 --retries 2 -op + {words} 1 3")).end();
    assert_eq!(quiet.screen.lines().count(), 1, "{quiet:?}");
}

#[test]
fn ctrl_c_sums_up_repeats() {
    let server = Server::start(&["::1", "0"]);
    let mut terminal = client(80, &format!("--repeat 1000000000 -op + ::1 {} 1 3", server.port));
    terminal.shows("results", |screen| screen.contents().contains("Result: 4  "));
    terminal.types(CTRL_C);
    let left = terminal.end();
    succeeded(&left);
    let lines: Vec<&str> = left.screen.lines().rev().take(2).collect();
    assert!(lines[1].ends_with(" sent") && lines[1].contains(" asked, "), "{left:?}");
    assert!(lines[0].starts_with("round trip min/mean/p50/p99/max = ") && !left.wrapped, "{left:?}");
    assert!(!left.octets.contains('\x1b'), "{left:?}");

    let silent = Scripted::start(|_, _| vec![]);
    let mut terminal = client(80, &format!("-v --timeout 60 --repeat 2 -op + {} 1 3", silent.words()));
    terminal.shows("request", |screen| screen.contents().contains("Operand 2"));
    terminal.types(CTRL_C);
    let left = terminal.end();
    assert_eq!(left.status.signal(), Some(2), "{left:?}");
    assert!(left.screen.ends_with("\n^C\nclient: interrupted"), "{left:?}");
}

#[test]
fn the_output_fits_in_80_columns() {
    let server = Server::start(&["::1", "0"]);
    let port = server.port;
    for line in [
        "--help".to_owned(),
        format!("--describe ::1 {port}"),
        format!("-v -op + ::1 {port} 1 3"),
        format!("-v -op - ::1 {port} -70000000000 3"),
        format!("-e 1+2*(3+)-{} ::1 {port}", "4".repeat(100)),
    ] {
        let left = client(80, &line).end();
        assert!(!left.wrapped, "{line}: {}", left.screen);
    }
}

#[test]
fn a_pipe_gets_no_colours() {
    let words = ["-v", "--local", "-op", "+", "1", "3"];
    let left = Terminal::with(80, CLIENT, words, |command| command.stderr(Stdio::piped())).end();
    succeeded(&left);
    assert!(left.stderr.contains("Operand 1") && !left.stderr.contains('\x1b'), "{left:?}");
    assert_eq!(left.octets, "Result: 4\r\n");
}
