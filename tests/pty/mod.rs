//! A program in its own pseudo-terminal, and the contents of the screen.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcgetsid, tcsetwinsize};
use vt100::Screen;

use crate::asking::Guard;

/// How long a test waits for the expected screen.
const LIMIT: Duration = Duration::from_secs(30);

/// When a change of size is told again: rustyline notices one that comes between its last look and read(2) with the next
/// key or signal only.
const SIGNAL_AGAIN: Duration = Duration::from_secs(1);

/// Lines of the terminal.
const ROWS: u16 = 50;

/// A program, its controlling terminal, and the user at it.
pub struct Terminal {
    child: Guard,
    /// The side of the user.
    keyboard: File,
    /// The side of the program.
    line: OwnedFd,
    /// Its settings before the program started.
    before: Termios,
    display: Arc<Display>,
    reader: Option<JoinHandle<()>>,
}

/// What has been written to the terminal.
struct Display {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    octets: Vec<u8>,
    parser: vt100::Parser,
}

/// How a program ended, and its output.
#[derive(Debug)]
pub struct Left {
    pub status: ExitStatus,
    /// The text of the screen, without blanks at the ends of lines and below.
    pub screen: String,
    /// All that was written to it.
    pub octets: String,
    /// Whether the cursor can be seen.
    pub cursor: bool,
    /// Whether a line was too long for the screen.
    pub wrapped: bool,
    /// Standard output and standard error, if not the terminal.
    pub stdout: String,
    pub stderr: String,
}

impl Terminal {
    /// Runs a program with everything at a terminal of this many columns, after `change` to the command: its
    /// environment, or its standard output or error. The environment says nothing about colours.
    pub fn with<I: IntoIterator<Item: AsRef<OsStr>>>(
        columns: u16,
        program: &str,
        words: I,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).expect("the system has pseudo-terminals (pts(4))");
        unlockpt(&keyboard).unwrap();
        let line = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
        tcsetwinsize(&line, size(columns)).unwrap();
        let before = tcgetattr(&line).unwrap();

        // setsid(1) makes the terminal the session's, so that keys become signals.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(words);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("COLUMNS");
        let side = || Stdio::from(line.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        change(&mut command);
        let mut child = Guard(command.spawn().expect("setsid(1) is installed: apt-get install util-linux"));
        drop(command);
        // Before that, keys do not cause signals.
        let until = Instant::now() + LIMIT;
        let pid = Pid::from_child(&child.0);
        while tcgetsid(&keyboard).ok() != Some(pid) && child.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "setsid(1) does not take the terminal");
            thread::sleep(Duration::from_millis(1));
        }

        let display = Arc::new(Display {
            state: Mutex::new(State { octets: Vec::new(), parser: vt100::Parser::new(of(ROWS), of(columns), 0) }),
            changed: Condvar::new(),
        });
        let keyboard = File::from(keyboard);
        let reader = thread::spawn({
            let (display, mut from) = (Arc::clone(&display), keyboard.try_clone().unwrap());
            move || display.follow(&mut from)
        });
        Terminal { child, keyboard, line, before, display, reader: Some(reader) }
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) {
        self.types_octets(keys.as_bytes());
    }

    /// Sends what a keyboard of another encoding sends.
    pub fn types_octets(&mut self, octets: &[u8]) {
        self.keyboard.write_all(octets).unwrap();
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Whether the terminal reads whole lines (ICANON, termios(3)), as before the program started.
    pub fn is_canonical(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// How often this has been written to the screen.
    pub fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.display.state.lock().unwrap().octets).matches(words).count()
    }

    /// Waits until the terminal is in a state, without a pause between looks.
    #[track_caller]
    pub fn waits(&self, what: &str, holds: impl Fn(&Terminal) -> bool) {
        let until = Instant::now() + LIMIT;
        while !holds(self) {
            assert!(Instant::now() < until, "not within {LIMIT:?}: {what}");
        }
    }

    /// Waits until the screen satisfies a condition.
    #[track_caller]
    pub fn shows(&self, what: &str, holds: impl Fn(&Screen) -> bool) {
        let until = Instant::now() + LIMIT;
        let mut state = self.display.state.lock().unwrap();
        while !holds(state.parser.screen()) {
            let left = until.saturating_duration_since(Instant::now());
            let screen = state.parser.screen();
            assert!(!left.is_zero(), "no {what}; cursor {:?}:\n{}", screen.cursor_position(), text(screen));
            state = self.display.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until the screen ends with this, and the cursor follows it.
    #[track_caller]
    pub fn ends(&self, end: &str) {
        self.shows(&format!("{end:?} at the end"), |screen| before_cursor(screen).ends_with(end));
    }

    /// Makes the window this wide, and waits until a line of several rows is drawn again (one of a single row that fits is
    /// not). Keys that are typed before would be drawn for the old width; and what is drawn for the new width must not
    /// reach a screen of the old one.
    #[track_caller]
    pub fn resize(&self, columns: u16) {
        let (drawn, rows) = {
            let mut state = self.display.state.lock().unwrap();
            let rows = state.parser.screen().cursor_position().0;
            tcsetwinsize(&self.line, size(columns)).unwrap();
            state.parser.screen_mut().set_size(of(ROWS), of(columns));
            (state.octets.len(), rows)
        };
        let until = Instant::now() + LIMIT;
        let mut state = self.display.state.lock().unwrap();
        while rows > 0 && state.octets.len() == drawn {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing is drawn after SIGWINCH:\n{}", text(state.parser.screen()));
            let (changed, waited) = self.display.changed.wait_timeout(state, SIGNAL_AGAIN).unwrap();
            state = changed;
            if waited.timed_out() {
                self.signal(Signal::WINCH);
            }
        }
    }

    /// Waits for the program's end, and checks that it leaves the terminal's settings as it found them.
    #[track_caller]
    pub fn end(mut self) -> Left {
        let stdout = self.child.0.stdout.take().map_or_else(String::new, all);
        let stderr = self.child.0.stderr.take().map_or_else(String::new, all);
        let status = self.child.wait();
        let now = tcgetattr(&self.line).unwrap();
        assert_eq!(format!("{now:?}"), format!("{:?}", self.before), "the terminal's settings");
        // Nothing has the line open now: once all is read, reading ends.
        let Terminal { line, mut reader, display, .. } = self;
        drop(line);
        reader.take().unwrap().join().unwrap();
        let state = display.state.lock().unwrap();
        let screen = state.parser.screen();
        Left {
            status,
            screen: text(screen),
            octets: String::from_utf8_lossy(&state.octets).into_owned(),
            cursor: !screen.hide_cursor(),
            wrapped: (0..ROWS).any(|row| screen.row_wrapped(row)),
            stdout,
            stderr,
        }
    }
}

impl Display {
    fn follow(&self, from: &mut File) {
        let mut octets = [0; 4096];
        // EIO: the other side is closed (pty(7)).
        while let Ok(len @ 1..) = from.read(&mut octets) {
            let mut state = self.state.lock().unwrap();
            state.octets.extend(&octets[..len]);
            state.parser.process(&octets[..len]);
            self.changed.notify_all();
        }
    }
}

/// All that is written to a pipe; little enough to read one after the other.
fn all(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn of(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has lines and columns")
}

/// What a screen shows, without blanks at the ends of lines and below.
pub fn text(screen: &Screen) -> String {
    let lines: Vec<String> = screen.rows(0, screen.size().1.get()).map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n").trim_end().to_owned()
}

/// The screen's text up to the cursor.
fn before_cursor(screen: &Screen) -> String {
    let (row, column) = screen.cursor_position();
    screen.contents_between(0, 0, row, column)
}
