//! The course in docs/course: its starters, its rubrics and solutions, and every command of its pages.

#![cfg(feature = "programs")]

#[path = "serving/namespace.rs"]
#[expect(dead_code, reason = "only enter() is needed")]
mod namespace;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than any page takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

/// Pages whose commands are typed at once; most of the time is waiting.
const AT_ONCE: usize = 6;

/// The pages with commands and what they print; those that take longest first.
const PAGES: [&str; 13] = [
    "4-loss/teacher.md",
    "2-header/handout.md",
    "2-header/teacher.md",
    "3-calculator/handout.md",
    "3-calculator/teacher.md",
    "4-loss/handout.md",
    "1-datagram/teacher.md",
    "starters/README.md",
    "1-datagram/handout.md",
    "5-many/handout.md",
    "5-many/teacher.md",
    "6-extend/handout.md",
    "6-extend/teacher.md",
];

/// How each starter is built and started.
const STARTERS: [(&str, &str, &str, &str); 3] = [
    ("python", "true", "python3 server.py", "python3 client.py"),
    ("c", "make CFLAGS='-std=gnu11 -O1 -Wall -Wextra -Werror'", "./server", "./client"),
    ("java", "javac -Xlint:all Server.java Client.java", "java -Xshare:auto Server", "java -Xshare:auto Client"),
];

#[test]
fn starters_compile_and_get_the_first_finding() {
    thread::scope(|scope| {
        for starter in STARTERS {
            scope.spawn(move || starter_compiles_and_gets_the_first_finding(starter));
        }
    });
}

fn starter_compiles_and_gets_the_first_finding((language, build, server, client): (&str, &str, &str, &str)) {
    let folder = course();
    let folder = folder.path().join("starters").join(language);
    let built = shell(&folder, build);
    assert!(built.status.success(), "{language}: {}", String::from_utf8_lossy(&built.stderr));
    for (role, command, finding) in [("server", server, "answers"), ("client", client, "sends")] {
        let checked = shell(&folder, &format!("lab check {role} --json -- {command}"));
        let report: Value = serde_json::from_slice(&checked.stdout).expect("a report");
        let broken: Vec<&str> = report["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .filter(|finding| finding["verdict"] == "broken")
            .map(|finding| finding["key"].as_str().expect("a key"))
            .collect();
        assert_eq!(broken, [finding], "{language} {role}");
        assert_eq!(checked.status.code(), Some(1), "{language} {role}");
        let usage = shell(&folder, command);
        let stderr = String::from_utf8_lossy(&usage.stderr).into_owned();
        assert_eq!(usage.status.code(), Some(2), "{language} {role}: {stderr}");
        assert!(stderr.contains("usage: ") && !stderr.contains("Traceback"), "{language} {role}: {stderr}");
    }
    for dashes in ["-op", "--op"] {
        let asked = shell(&folder, &format!("{client} {dashes} '*' -s ::1 9 1 2"));
        assert!(String::from_utf8_lossy(&asked.stderr).contains("there is no request yet"), "{language} {dashes}");
    }
}

#[test]
fn what_a_lab_starts_from_does_not_have_its_points() {
    let folder = course();
    let points = &|lab: &str, solution: &str, options: &str| {
        let folder = folder.path().join(lab);
        let line = format!("lab grade ../{solution} --only solution --rubric rubric.toml --json {options}");
        let grades: Value = serde_json::from_slice(&shell(&folder, &line).stdout).expect("grades");
        let score = &grades[0]["score"];
        (score["points"].as_f64().expect("points"), score["max"].as_f64().expect("max"))
    };
    // A client without a timer takes all of its time.
    let client = "--client 'python3 client.py' --client-patience 10s";
    let server = "--server 'python3 server.py'";
    thread::scope(|scope| {
        for (lab, from, options, least) in [
            ("2-header", "1-datagram", format!("{client} {server}"), 0.0),
            ("4-loss", "3-calculator", client.to_owned(), 1.0),
            ("5-many", "3-calculator", server.to_owned(), 10.0),
            ("6-extend", "5-many", format!("{server} --extended"), 0.0),
        ] {
            scope.spawn(move || {
                let (points, max) = points(lab, from, &options);
                assert!((least..max - 1.0).contains(&points), "{lab} from {from}: {points} of {max}");
            });
        }
    });
}

#[test]
fn every_page() {
    let next = Mutex::new(PAGES.iter());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(page) = take() {
                    // In a thread and so a network namespace of its own, as pages name ports.
                    if let Err(panic) = thread::scope(|scope| scope.spawn(|| follow(page)).join()) {
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}

#[test]
fn every_page_with_commands_is_typed() {
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/course");
    let mut pages: Vec<String> = Vec::new();
    for folder in fs::read_dir(&course).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        for page in fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()) {
            let has_commands = || !steps(&fs::read_to_string(&page).expect("a page")).is_empty();
            if page.extension().is_some_and(|extension| extension == "md") && has_commands() {
                pages.push(page.strip_prefix(&course).expect("a page of the course").display().to_string());
            }
        }
    }
    pages.sort_unstable();
    let mut typed = PAGES;
    typed.sort_unstable();
    assert_eq!(pages, typed);
}

/// The commands of the teacher's page, with a class of three.
#[test]
fn a_week_of_the_course() {
    let folder = course();
    let folder = folder.path();
    for name in ["submissions", "keys", "quiz", "answers"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    shell(folder, "cp -r 3-calculator/solution submissions/ada; cp -r starters/python submissions/bob");
    let page = fs::read_to_string(folder.join("README.md")).expect("the teacher's page");
    let commands: Vec<&str> = page.split("\n\n").filter(|part| part.starts_with("    ")).collect();
    let [grade, quiz] = commands[..] else { panic!("{commands:?}") };
    let graded = shell(folder, grade);
    let table = String::from_utf8_lossy(&graded.stdout).into_owned();
    assert!(table.contains("34/30") && table.contains("0/30"), "{table}");
    assert!(folder.join("reports/ada.html").exists() && folder.join("grades.csv").exists());
    // The answers are there before they are graded.
    let (ask, graded) = quiz.trim().split_once('\n').expect("two commands");
    assert!(shell(folder, ask).status.success());
    shell(folder, "for name in ada bob joe; do cp keys/$name.key answers/$name.txt; done");
    let output = shell(folder, graded.trim());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("joe: 10 of 10 points"), "{text}");
    assert_eq!(fs::read_to_string(folder.join("quiz.csv")).expect("grades").lines().count(), 4);
}

/// A copy of the course, with the programs beside it in `bin`.
fn course() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/course"), folder.path());
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).expect("a folder");
    for (name, program) in [
        ("server", env!("CARGO_BIN_EXE_server")),
        ("client", env!("CARGO_BIN_EXE_client")),
        ("lab", env!("CARGO_BIN_EXE_lab")),
    ] {
        symlink(program, programs.join(name)).expect("a link");
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let copied = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &copied),
            false => drop(fs::copy(&path, &copied).expect("a copy")),
        }
    }
}

/// bash in a folder of the course, with the programs in its PATH.
fn bash(folder: &Path) -> Command {
    let programs: PathBuf = folder.ancestors().map(|folder| folder.join("bin")).find(|bin| bin.exists()).expect("bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("PATH"));
    let mut command = Command::new("bash");
    // PYTHONDONTWRITEBYTECODE: nothing appears in folders beside what a page makes.
    command.current_dir(folder).env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).process_group(0);
    command
}

fn shell(folder: &Path, line: &str) -> Output {
    bash(folder).args(["-c", line]).output().expect("bash")
}

/// A shell that is ended, with all that it started, when this is dropped.
struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        let group = format!("kill -9 -{} 2>/dev/null", self.0.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.0.wait();
    }
}

/// Types the commands of a page into one shell, in a network namespace, and compares what they print.
fn follow(page: &str) {
    const MARK: &str = "@@ the next command";
    // This thread's, and that of all that it starts.
    namespace::enter();
    let folder = course();
    let path = folder.path().join(page);
    let text = fs::read_to_string(&path).expect("a page");
    let steps = steps(&text);
    assert!(!steps.is_empty(), "{page}");
    let mut script = String::from("exec >output 2>&1\n");
    for (command, _) in &steps {
        script += &format!("echo '{MARK}'\nsockets=$(wc -l </proc/net/udp6)\n{command}\n");
        // What goes into the background there listens, and is waited for.
        if command.ends_with('&') {
            script += "for wait in {1..600}; do [ $(wc -l </proc/net/udp6) -gt $sockets ] && break; sleep 0.1; done\n";
        }
    }
    script += &format!("echo '{MARK}'\necho the end\n");
    let place = path.parent().expect("a folder");
    let session = Session(bash(place).args(["-c", &script]).spawn().expect("bash"));
    let deadline = Instant::now() + PATIENCE;
    let output = loop {
        let output = fs::read_to_string(place.join("output")).unwrap_or_default();
        if output.ends_with("the end\n") {
            break output;
        }
        assert!(Instant::now() < deadline, "{page} does not end: {output}");
        std::thread::sleep(Duration::from_millis(50));
    };
    drop(session);
    let printed: Vec<&str> = output.split(&format!("{MARK}\n")).skip(1).collect();
    for ((command, wanted), found) in steps.iter().zip(printed) {
        let found: Vec<&str> = found.trim_end().lines().collect();
        assert!(matches(wanted, &found), "{page}: $ {command}\nexpected {wanted:#?}\nfound {found:#?}");
    }
}

/// The commands of a page, each with the lines that it prints.
fn steps(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut steps: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(line) if line.starts_with("$ ") => {
                steps.push((&line[2..], Vec::new()));
                inside = true;
            }
            Some(line) if inside => steps.last_mut().expect("a command").1.push(line),
            None if inside && line.is_empty() => steps.last_mut().expect("a command").1.push(""),
            _ => inside = false,
        }
    }
    for (_, lines) in &mut steps {
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
    }
    steps
}

/// Whether the lines are what a page shows. `...` stands for any lines, or any part of a line.
fn matches(wanted: &[&str], found: &[&str]) -> bool {
    match (wanted, found) {
        ([], found) => found.is_empty(),
        (["...", rest @ ..], found) => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        ([line, wanted @ ..], [other, found @ ..]) => is_line(line, other) && matches(wanted, found),
        _ => false,
    }
}

fn is_line(wanted: &str, found: &str) -> bool {
    match wanted.split_once("...") {
        None => wanted == found,
        Some((start, rest)) => found.strip_prefix(start).is_some_and(|found| {
            (0..=found.len()).filter(|at| found.is_char_boundary(*at)).any(|at| is_line(rest, &found[at..]))
        }),
    }
}

#[test]
fn pages_are_compared_as_they_are_read() {
    let page = "a\n\n    $ one\n    1\n\n    2 ... 3\n\ntext\n\n    no command\n    $ two &\n";
    let steps = steps(page);
    assert_eq!(steps, [("one", vec!["1", "", "2 ... 3"]), ("two &", vec![])]);
    assert!(matches(&steps[0].1, &["1", "", "2 and 3"]) && !matches(&steps[0].1, &["1", "2 and 3"]));
    assert!(matches(&["..."], &[]) && matches(&["...", "b"], &["a", "b"]) && !matches(&["...", "b"], &["a"]));
}
