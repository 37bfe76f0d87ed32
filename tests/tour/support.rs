//! Starts the tour's programs and their C and Python counterparts. Every wait is bounded, and every process is ended.
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any step takes on a busy machine; only a failure lasts so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How to start a program: one of the tour's, or a counterpart.
pub type Program = fn() -> Command;

/// The tour's program of this name, a Cargo example.
pub fn rust(name: &str) -> Command {
    Command::new(example(name))
}

/// The path of an example: in the folder beside that of this test's executable.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is missing; build it: cargo build --examples", program.display());
    program
}

/// The C counterpart tests/tour/NAME.c, compiled on first use.
pub fn c(name: &str) -> Command {
    static COMPILED: LazyLock<Mutex<HashMap<String, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(compiled.entry(name.to_owned()).or_insert_with(|| compile(name)))
}

/// The Python counterpart tests/tour/NAME.py.
pub fn python(name: &str) -> Command {
    // Fails here with the command that helps, and not somewhere in a test.
    static VERSION: LazyLock<()> = LazyLock::new(|| {
        Command::new("python3").arg("--version").output().expect("python3: apt-get install python3");
    });
    LazyLock::force(&VERSION);
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tour").join(name).with_extension("py"));
    command
}

fn compile(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tour").join(name).with_extension("c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tour-{name}"));
    let gcc = Command::new("gcc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
        .args([&program, &source])
        .output()
        .expect("gcc: apt-get install gcc");
    assert!(gcc.status.success(), "{}", String::from_utf8_lossy(&gcc.stderr));
    program
}

/// A started program, its output read line by line. It is killed, with whatever it started, when this is dropped.
pub struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// Starts `command` with these arguments.
pub fn start(mut command: Command, args: &[&str]) -> Running {
    let mut child = command
        .args(args)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = lines(child.stdout.take().expect("stdout is piped"));
    let stderr = lines(child.stderr.take().expect("stderr is piped"));
    Running { child, stdout, stderr }
}

/// Starts a server on `::1` and waits until it listens.
pub fn serve(command: Command, args: &[&str]) -> (Running, String) {
    let server = start(command, args);
    let said = server.error();
    // This project's own programs print their name first.
    let address = said.split_once("listening on ").and_then(|(_, rest)| rest.parse::<SocketAddr>().ok()).expect(&said);
    assert_eq!(address.ip(), Ipv6Addr::LOCALHOST);
    (server, address.port().to_string())
}

/// Runs `command` to its end and returns its standard output, which must come with exit status 0.
pub fn run(command: Command, args: &[&str]) -> String {
    let mut running = start(command, args);
    running.close_stdin();
    let (output, status) = running.finish();
    assert!(status.success(), "{args:?}: {status}, {output}, {}", running.errors());
    output
}

/// The exit code and standard error of a `command` that must fail.
pub fn fails(command: Command, args: &[&str]) -> (i32, String) {
    let mut running = start(command, args);
    running.close_stdin();
    let (_, status) = running.finish();
    (status.code().expect("an exit status"), running.errors())
}

impl Running {
    /// The next line of standard output.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no line on stdout: {error}"))
    }

    /// The next line of standard error.
    pub fn error(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no line on stderr: {error}"))
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("an open stdin");
        writeln!(stdin, "{line}").expect("a program that reads its stdin");
    }

    /// The end of what is typed.
    pub fn close_stdin(&mut self) {
        self.child.stdin = None;
    }

    /// Waits for the end; what remained on standard output, and the exit status.
    pub fn finish(&mut self) -> (String, ExitStatus) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "it has not ended"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        (self.stdout.iter().map(|line| line + "\n").collect(), status)
    }

    /// What remained on standard error, after `finish`.
    pub fn errors(&self) -> String {
        self.stderr.iter().map(|line| line + "\n").collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // The shell's kill reaches the whole process group, and so a server's child processes too.
        let group = format!("kill -9 -{} 2>/dev/null", self.child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
