//! The programs that lab starts: each in its own process group, with limits, watched, and ended with all its children.
//! The code that depends on the system is in `system`.
//!
//! The started program may be anybody's code. Limits on processor time, memory and file size are set by the hidden
//! subcommand `lab limited`, which then becomes the program (execve(2)). So they apply from its first instruction on,
//! and to all its children. They do not make hostile code harmless: see docs/teaching.md.

mod limited;
mod system;

use std::collections::VecDeque;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calc6::view::abridged_with_length;

use crate::Failure;
use crate::common::usage::whole;
pub use limited::{LimitedArguments, NOT_STARTED, run as run_limited};
pub use system::{
    Family, KNOWS_PROCESSES, KernelSocket, NAMESPACES, ProcessGroup, Transport, Usage, copy_link, has_root, occupied,
    on_end, own_network, processor_time, shell, shield_this_process, signalled, socket_at, sockets,
};
use system::{LIMITS_MISSING, id_of};

/// How much of the end of a program's output is kept.
const KEPT_OUTPUT: usize = 64 << 10;

/// How long a program has to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_millis(500);

/// How often a state without an event of its own is polled.
const POLL: Duration = Duration::from_millis(3);

/// The most characters of a program's own message in one of ours.
const SHOWN_CHARACTERS: usize = 200;

/// The environment variable that identifies all descendants of a started program, whichever session they move to.
/// Not CALC6_…: these are options of the server, which rejects unknown ones.
const MARK: &str = "STARTED_BY_LAB";

/// The heading in --help.
const LIMITS: &str = "Limits of the started program";

/// What a program may use.
#[derive(Clone, Debug, clap::Args)]
pub struct ResourceLimits {
    /// Processor time in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub cpu: u64,
    /// Memory for its data in MiB
    #[arg(long, value_name = "MIB", default_value = "1024", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub memory: u64,
    /// Open files and sockets, of each process
    #[arg(long, value_name = "N", default_value = "1024", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub descriptors: u64,
    /// Time from start to end in seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", help_heading = LIMITS, value_parser = whole::<u64>(0..=u64::MAX))]
    pub time: u64,
    /// Take all capabilities from it, for good: then not even root can look into the process that judges it
    #[arg(long, hide = true)]
    pub confined: bool,
}

impl ResourceLimits {
    /// As options of `lab limited`.
    pub fn options(&self) -> Vec<String> {
        let Self { cpu, memory, descriptors, time: _, confined } = self;
        let mut options =
            vec![format!("--cpu={cpu}"), format!("--memory={memory}"), format!("--descriptors={descriptors}")];
        options.extend(confined.then(|| "--confined".to_owned()));
        options
    }
}

/// A started program. When the value is dropped, the program ends with all its descendants.
#[derive(Debug)]
pub struct Program {
    child: Child,
    group: ProcessGroup,
    family: Family,
    deadline: Instant,
    status: Option<ExitStatus>,
    stdout: CapturedOutput,
    stderr: CapturedOutput,
}

/// The end of what a program wrote to one stream.
#[derive(Debug)]
struct CapturedOutput {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts `command` with its limits, its output captured and no input.
    pub fn start(command: &[String], limits: &ResourceLimits) -> Result<Self, Failure> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        static SAID: Once = Once::new();
        if let Some(missing) = LIMITS_MISSING {
            SAID.call_once(|| eprintln!("lab: {missing}"));
        }
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let mark = format!("{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut limited = Command::new(this);
        limited.arg("limited").args(limits.options()).arg("--").args(command).env(MARK, &mark);
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, group) = ProcessGroup::start(&mut limited)
            .map_err(|error| Failure::run(format_args!("cannot start {}", command.join(" ")), error))?;
        let stdout = CapturedOutput::read(child.stdout.take());
        let stderr = CapturedOutput::read(child.stderr.take());
        let deadline = Instant::now() + Duration::from_secs(limits.time);
        let family = Family::new(id_of(&child), format!("{MARK}={mark}"));
        Ok(Self { child, group, family, deadline, status: None, stdout, stderr })
    }

    /// The program and its descendants.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// How it ended, if it has. A program that has used up its time is terminated by this call.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        if self.status.is_none() && Instant::now() >= self.deadline {
            self.stop();
        }
        self.status
    }

    /// Ends the program and its descendants: asks them first (SIGTERM) where the system can, then kills the rest.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        // A descendant in another session is found by its environment, where the system shows it.
        let others = self.family.outside_group();
        let asked = self.group.ask_to_end(&others);
        let deadline = Instant::now() + GRACE;
        while asked && self.status.is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL);
            self.status = self.child.try_wait().ok().flatten();
        }
        self.group.end(&others);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// The end of its standard output; complete once the program has ended.
    pub fn stdout(&mut self) -> String {
        self.stdout.text(self.status.is_some())
    }

    /// The same for standard error.
    pub fn stderr(&mut self) -> String {
        self.stderr.text(self.status.is_some())
    }

    /// The last line that it wrote, to standard error or else to standard output; for messages.
    pub fn last_words(&mut self) -> String {
        let stderr = self.stderr();
        match last_line(&stderr) {
            Some(line) => shown(line),
            None => last_line(&self.stdout()).map(shown).unwrap_or_default(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

impl CapturedOutput {
    fn read(stream: Option<impl Read + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let reader = stream.map(|mut stream| {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let Ok(mut kept) = kept.lock() else { return };
                    kept.extend(&buffer[..length]);
                    let surplus = kept.len().saturating_sub(KEPT_OUTPUT);
                    kept.drain(..surplus);
                }
            })
        });
        Self { kept, reader }
    }

    fn text(&mut self, ended: bool) -> String {
        // A descendant may keep the stream open: then the text so far is used.
        let deadline = Instant::now() + GRACE;
        while ended && self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let Ok(kept) = self.kept.lock() else { return String::new() };
        String::from_utf8_lossy(&kept.iter().copied().collect::<Vec<u8>>()).into_owned()
    }
}

/// The last line of a program's output that is not empty; of a traceback or an exception, the line with its name.
pub fn last_line(text: &str) -> Option<&str> {
    let lines = || text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    // Node.js writes its version last; Java and Node.js write the stack after the exception.
    let named = |line: &&str| {
        let name = line.trim_start_matches("Uncaught ").split([':', ' ']).next().unwrap_or_default();
        let exception = name.rsplit('.').next().unwrap_or_default();
        exception.len() > 5 && (exception.ends_with("Error") || exception.ends_with("Exception"))
            || line.starts_with("Exception in thread")
    };
    lines().rev().find(named).or_else(|| lines().next_back())
}

/// A program's message for a terminal: control characters are escaped, and long messages are shortened.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in abridged_with_length(text.trim_end(), SHOWN_CHARACTERS).chars() {
        match character {
            '\'' | '"' | '\\' => shown.push(character),
            character => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Lets this process open a descriptor for each of `wanted`, in addition to `others`.
pub fn raise_descriptor_limit(wanted: u64, others: u64) -> Result<(), Failure> {
    system::raise_descriptor_limit(wanted, others).map_err(|most| {
        Failure::Run(format!(
            "too few descriptors for --clients: expected at most {most} clients, or a higher `ulimit -Hn`"
        ))
    })
}

/// Text without control characters, which a file name or a program's output may contain.
pub fn escaped(text: &str) -> String {
    let escape = |character: char| match character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// An exit status in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), system::signal_of(status)) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}{}", signal_name(signal)),
        (None, None) => "an unknown end".into(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters_and_no_long_lines() {
        assert_eq!(shown("\x1b[2Jred\u{9b}1m\u{202e}x \"é\" \\"), "\\u{1b}[2Jred\\u{9b}1m\\u{202e}x \"é\" \\");
        let long = shown(&"x".repeat(200_000));
        assert!(long.ends_with("… (200000 characters)") && long.len() < 300, "{long}");
    }

    #[test]
    fn the_line_that_names_the_exception_is_the_last_one() {
        let python = "Traceback (most recent call last):\n  File \"s.py\", line 1\nstruct.error: unpack requires 5\n";
        assert_eq!(last_line(python), Some("struct.error: unpack requires 5"));
        let node =
            "node:x\n        throw new RangeError()\n\nRangeError [ERR]: out of range\n    at x\n\nNode.js v20\n";
        assert_eq!(last_line(node), Some("RangeError [ERR]: out of range"));
        let java = "Exception in thread \"main\" java.lang.X: y\n\tat S.main(S.java:3)\n";
        assert_eq!(last_line(java), Some("Exception in thread \"main\" java.lang.X: y"));
        assert_eq!(last_line("bind: Address already in use\n\n"), Some("bind: Address already in use"));
    }
}
