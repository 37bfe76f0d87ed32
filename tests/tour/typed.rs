//! The tour as one follows it: every command of every page, typed in order at a terminal, and its output compared.
//!
//! An indented block is one terminal, as docs/tour/README.md says. Here each command has a pseudo-terminal, and all of a
//! page run in one network namespace, so that the page's own ports are free. Where output differs from run to run
//! (ports that the kernel chose, times), [`normal`] makes both sides alike.
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::support::example;

/// Longer than any command on a page takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a command that has printed all its output may take to end.
const GRACE: Duration = Duration::from_millis(300);
const PROMPTS: [&str; 2] = ["Enter command: ", "Please enter the message: "];
/// Lines that are typed although no prompt says so: into telnet.
const TYPED: [&str; 2] = ["86399", "late"];
const PROGRAMS: [&str; 9] =
    ["sending", "integers", "calculator", "fields", "commands", "messages", "echo", "datagrams", "peers"];

#[test]
fn chapter_1() {
    follow("1-sending.md");
}

#[test]
fn chapter_2() {
    follow("2-integers.md");
}

#[test]
fn chapter_3() {
    follow("3-calculator.md");
}

#[test]
fn chapter_4() {
    follow("4-streams.md");
}

#[test]
fn chapter_5() {
    follow("5-echo.md");
}

#[test]
fn chapter_6() {
    follow("6-datagrams.md");
}

#[test]
fn chapter_7() {
    follow("7-peers.md");
}

#[test]
fn how_to_follow_it() {
    follow("README.md");
}

/// Types the commands of a page in the folder that the tour names, or in one that looks like it.
fn follow(page: &str) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(project.join("docs/tour").join(page)).expect("a page");
    let folder = TempDir::new().expect("a folder");
    let examples = folder.path().join("target/debug/examples");
    fs::create_dir_all(&examples).expect("a folder");
    for name in ["docs", "tests"] {
        symlink(project.join(name), folder.path().join(name)).expect("a link");
    }
    for name in PROGRAMS {
        // A copy: a program that starts itself anew looks for its own name.
        fs::copy(example(name), examples.join(name)).expect("a program copied");
    }
    for (name, program) in [
        ("server", env!("CARGO_BIN_EXE_server")),
        ("client", env!("CARGO_BIN_EXE_client")),
        ("lab", env!("CARGO_BIN_EXE_lab")),
    ] {
        symlink(program, examples.join("..").join(name)).expect("a link");
    }
    // The namespace is this thread's, and that of all that it starts.
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (run the tests as root, or with make test)");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip: apt-get install iproute2");
    assert!(up.success());

    let mut terminals: Vec<Terminal> = Vec::new();
    for block in blocks(&text) {
        // cargo is not started from within cargo's own test.
        if block.iter().any(|line| line.starts_with("$ cargo ")) {
            continue;
        }
        thread::sleep(Duration::from_millis(100));
        let mut lines: VecDeque<&str> = block.iter().copied().collect();
        if !is_command(lines[0]) {
            let wanted = output(&mut lines);
            let terminal = continued(&mut terminals, &wanted, page);
            terminal.follow(wanted, page);
        }
        while let Some(command) = lines.pop_front() {
            let wanted = output(&mut lines);
            // In a user namespace tcpdump cannot become the user that it wants to be (-Z in tcpdump(8)).
            let command = command[2..].replace("tcpdump -i", "tcpdump -Z root -i");
            let mut terminal = Terminal::start(&command, &examples);
            terminal.follow(wanted, page);
            if !lines.is_empty() {
                terminal.end(page);
            } else if !terminal.has_ended_within(GRACE) {
                terminals.push(terminal);
            } else {
                terminal.end(page);
            }
        }
    }
}

/// The indented blocks of a page outside of code fences, without their indentation.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = vec![Vec::new()];
    let mut fenced = false;
    let mut blank = 0;
    for line in page.lines() {
        fenced ^= line.starts_with("```");
        match line.strip_prefix("    ") {
            // Two commands of one block are not parted by an empty line; an empty line of output is.
            Some(line) if !fenced => {
                let block = blocks.last_mut().expect("a block");
                if blank > 0 && is_command(line) {
                    blocks.push(vec![line]);
                } else {
                    block.extend(std::iter::repeat_n("", blank));
                    block.push(line);
                }
                blank = 0;
            }
            _ if line.trim().is_empty() && !blocks.last().expect("a block").is_empty() => blank += 1,
            _ => {
                if !blocks.last().expect("a block").is_empty() {
                    blocks.push(Vec::new());
                }
                blank = 0;
            }
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Takes the lines up to the next command.
fn output<'a>(lines: &mut VecDeque<&'a str>) -> VecDeque<&'a str> {
    let end = lines.iter().position(|line| is_command(line)).unwrap_or(lines.len());
    lines.drain(..end).collect()
}

fn is_command(line: &str) -> bool {
    line.starts_with("$ ") || line.starts_with("# ")
}

/// The earlier terminal that a block without a command continues: for `^C` the last one, and else the one that prints
/// the block's first line.
fn continued<'a>(terminals: &'a mut [Terminal], wanted: &VecDeque<&str>, page: &str) -> &'a mut Terminal {
    if wanted[0] == "^C" {
        return terminals.last_mut().expect("an earlier terminal");
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let place = |one: &Terminal| one.text().split_inclusive('\n').position(|line| same(wanted[0], line.trim_end()));
        if let Some((at, skipped)) = terminals.iter().enumerate().rev().find_map(|(at, one)| Some((at, place(one)?))) {
            // What a server printed before, and the page does not show.
            (0..skipped).for_each(|_| terminals[at].take_line());
            return &mut terminals[at];
        }
        let shown: Vec<_> = terminals.iter().map(|one| (&one.command, one.rest())).collect();
        assert!(Instant::now() < deadline, "{page}: no terminal prints {:?}; {shown:#?}", wanted[0]);
        thread::sleep(Duration::from_millis(10));
    }
}

/// A command with a terminal of its own. Dropped, it is killed with all that it started.
struct Terminal {
    command: String,
    child: Child,
    keyboard: File,
    /// Ends when nothing has the terminal open any more.
    reader: JoinHandle<()>,
    /// What it has printed and nobody has compared yet.
    output: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(command: &str, folder: &Path) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).expect("the system has pseudo-terminals (pts(4))");
        unlockpt(&keyboard).expect("a pseudo-terminal");
        let line: OwnedFd = ioctl_tiocgptpeer(&keyboard, flags).expect("a pseudo-terminal");
        let size = Winsize { ws_row: 50, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).expect("a window size");
        let side = || Stdio::from(line.try_clone().expect("a descriptor"));
        // A session of its own with this terminal, so that Ctrl-C is a signal, and one group to kill at the end.
        let child = Command::new("setsid")
            .args(["--ctty", "bash", "-c", command])
            .current_dir(folder)
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("COLUMNS")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("setsid: apt-get install util-linux");
        let keyboard = File::from(keyboard);
        let output = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (keyboard.try_clone().expect("a descriptor"), Arc::clone(&output));
        let reader = thread::spawn(move || {
            let mut octets = [0; 4096];
            // EIO: nobody has the terminal open any more (pty(7)).
            while let Ok(length @ 1..) = from.read(&mut octets) {
                let text = String::from_utf8_lossy(&octets[..length]).replace('\r', "");
                to.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Terminal { command: command.to_owned(), child, keyboard, reader, output }
    }

    /// Reads and types what the page shows: its lines must come, in this order, and nothing in between.
    fn follow(&mut self, mut wanted: VecDeque<&str>, page: &str) {
        while let Some(line) = wanted.pop_front() {
            let prompt = PROMPTS.into_iter().find(|prompt| line.starts_with(prompt));
            if line == "..." {
                // All lines up to the next that the page shows, or whatever comes until the end of the block.
                let Some(&next) = wanted.front() else { return };
                while !same(next, &self.line(page, next)) {
                    self.take_line();
                }
            } else if line == "^C" || line == "^D" {
                self.keyboard.write_all(if line == "^C" { b"\x03" } else { b"\x04" }).expect("a key pressed");
                // The terminal echoes it: "^C", and no end of the line.
                self.expect_prompt(line, page);
                self.skip_newline();
            } else if let Some(prompt) = prompt {
                self.expect_prompt(prompt, page);
                self.keyboard.write_all(format!("{}\n", &line[prompt.len()..]).as_bytes()).expect("a line typed");
                // The terminal echoes what is typed.
                assert_eq!(self.line(page, line), line[prompt.len()..]);
                self.take_line();
            } else {
                if TYPED.contains(&line) && self.command.starts_with("telnet") {
                    self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("a line typed");
                }
                let found = self.line(page, line);
                assert!(
                    same(line, &found),
                    "{page}, {}:\nexpected {line:?}\nfound    {found:?}\nthen {:?}",
                    self.command,
                    self.rest()
                );
                self.take_line();
            }
        }
    }

    /// The next whole line, which is waited for.
    fn line(&mut self, page: &str, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.has_ended_within(Duration::ZERO);
            if let Some(line) = self.next() {
                return line;
            }
            let rest = self.rest();
            assert!(
                !ended && Instant::now() < deadline,
                "{page}, {}: expected {wanted:?}, found {rest:?}{}",
                self.command,
                if ended { " and the end" } else { "" }
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn next(&self) -> Option<String> {
        self.text().split_once('\n').map(|(line, _)| line.to_owned())
    }

    fn take_line(&mut self) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let end = output.find('\n').expect("a line");
        output.drain(..=end);
    }

    fn expect_prompt(&mut self, prompt: &str, page: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().starts_with(prompt) {
            assert!(
                Instant::now() < deadline,
                "{page}, {}: expected {prompt:?}, found {:?}",
                self.command,
                self.rest()
            );
            thread::sleep(Duration::from_millis(5));
        }
        self.output.lock().unwrap_or_else(PoisonError::into_inner).drain(..prompt.len());
    }

    fn skip_newline(&mut self) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.starts_with('\n') {
            output.remove(0);
        }
    }

    /// What has been printed, without what only root is told.
    fn text(&self) -> String {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = output.find("server: warning: running as root")
            && let Some(end) = output[at..].find('\n')
        {
            output.drain(at..=at + end);
        }
        output.clone()
    }

    fn rest(&self) -> String {
        self.text()
    }

    fn has_ended_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            // The last of its output may still be on its way to the reader.
            if self.child.try_wait().expect("a child").is_some() && self.reader.is_finished() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of a command that the page shows to have ended. It must have printed nothing else.
    fn end(&mut self, page: &str) {
        assert!(self.has_ended_within(PATIENCE), "{page}: {} does not end", self.command);
        let rest = self.rest();
        // strace(1) goes on to tell of the end of the program.
        assert!(
            rest.is_empty() || self.command.starts_with("strace"),
            "{page}, {}: also prints {rest:?}",
            self.command
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let group = format!("kill -9 -{} 2>/dev/null", self.child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.child.wait();
    }
}

/// Whether a line is what the page shows. "..." at its beginning or end stands for what the page leaves out.
fn same(shown: &str, found: &str) -> bool {
    let (shown, found) = (normal(shown), normal(found));
    match (shown.strip_prefix("..."), shown.strip_suffix("...")) {
        (Some(end), _) => found.ends_with(end),
        (_, Some(start)) => found.starts_with(start),
        _ => found == shown,
    }
}

/// A line without what differs from run to run.
fn normal(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let number = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    for at in 0..words.len() {
        let unit = words.get(at + 1).is_some_and(|next| next == "ms" || next.starts_with("ms:"));
        // On a busy machine the loop of chapter 6 may not even begin within its 100 ms.
        let count = at > 0 && ["everything:", "reply:"].contains(&words[at - 1].as_str());
        // How many datagrams travel together depends on the machine.
        let metric = at > 0 && words[0].starts_with("calc6_") && words[at] != "0";
        if number(&words[at]) && (unit || count || metric) {
            words[at] = "N".to_owned();
        }
        // The width of a time is that of the column before it.
        if words[at] == "N" {
            words[..at].iter_mut().filter(|word| word.is_empty()).for_each(|word| word.push('\u{1}'));
        }
    }
    words.retain(|word| word != "\u{1}");
    // getnameinfo's name for ::1 depends on /etc/hosts.
    for name in ["localhost,", "ip6-localhost,", "::1,", "ip6-loopback,"] {
        if words.len() > 1 && words[0] == "host" && words[1] == name {
            words[1] = "NAME,".to_owned();
        }
    }
    let line = words.join(" ");
    let line = hex_dump(&line).unwrap_or(line);
    ports(&times(&line))
}

/// A line of tcpdump's without flow label, checksum and the source port.
fn hex_dump(line: &str) -> Option<String> {
    let (offset, groups) = line.trim().split_once(": ")?;
    let variable: &[usize] = match offset {
        "0x0000" => &[0, 1],
        "0x0020" => &[4, 7],
        _ if offset.starts_with("0x") => &[],
        _ => return None,
    };
    let mut groups: Vec<&str> = groups.split_whitespace().collect();
    for &at in variable {
        *groups.get_mut(at)? = "....";
    }
    Some(format!("{offset}: {}", groups.join(" ")))
}

/// Times of day as 00:00:00, with or without a fraction.
fn times(line: &str) -> String {
    let word = |word: &str| {
        let (clock, fraction) = word.split_once('.').unwrap_or((word, ""));
        let parts: Vec<&str> = clock.split(':').collect();
        let digits = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_digit());
        let time = parts.len() == 3 && parts.iter().all(digits) && fraction.chars().all(|c| c.is_ascii_digit());
        if time { "00:00:00".to_owned() } else { word.to_owned() }
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The ports that the kernel chooses (ip_local_port_range in ip(7): 32768 to 60999) as PORT.
fn ports(line: &str) -> String {
    let mut normal = String::new();
    let mut digits = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let port = digits.len() == 5 && digits.parse().is_ok_and(|port: u32| (32768..61000).contains(&port));
        normal.push_str(if port { "PORT" } else { &digits });
        digits.clear();
        normal.push(c);
    }
    normal.pop();
    normal
}
