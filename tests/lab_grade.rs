//! `lab grade` end to end: a folder of submissions made of the tests' wrong programs.

#![cfg(feature = "programs")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

const BUILD: &str = "gcc -O1 -o server server.c && gcc -O1 -o client client.c";

/// A submission with these mistakes; its sources are those of tests/wrong.
fn submission(folder: &Path, name: &str, server: &str, client: &str) {
    let folder = folder.join(name);
    fs::create_dir(&folder).unwrap();
    let source = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong").join(file);
        fs::read_to_string(path).unwrap()
    };
    let server = source("server.c").replace("fault = \"\";", &format!("fault = \"{server}\";"));
    let client = source("client.c").replace("fault = argv[1];", &format!("fault = \"{client}\";"));
    fs::write(folder.join("server.c"), server).unwrap();
    fs::write(folder.join("client.c"), client).unwrap();
}

fn grade(folder: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("grade")
        .arg(folder)
        .args(["--build", BUILD, "--server", "./server", "--client", "./client -", "--cpu", "20", "--jobs", "4"])
        .args(options)
        .output()
        .unwrap()
}

#[test]
fn each_submission_is_built_and_checked_in_a_place_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (submissions, reports) = (folder.path().join("submissions"), folder.path().join("reports"));
    fs::create_dir(&submissions).unwrap();
    submission(&submissions, "ada", "", "-");
    submission(&submissions, "bob", "result-order", "exact-header");
    submission(&submissions, "eve", "crash-empty", "signed");
    submission(&submissions, "joe", "", "-");
    fs::write(submissions.join("joe/server.c"), "int main(void) { return wrong; }").unwrap();
    // A file is no submission.
    fs::write(submissions.join("notes.txt"), "no submission").unwrap();

    let output = grade(&submissions, &["--junit", reports.to_str().unwrap()]);
    let table = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{table}{stderr}");
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["submission", "build", "server", "client", "required and broken"], "{table}");
    assert_eq!(rows[1], ["ada", "ok", "ok 25/25 8/8", "ok 18/18 13/13"], "{table}{stderr}");
    assert_eq!(rows[2][..2], ["bob", "ok"], "{table}");
    assert_eq!(rows[2][4], "server: 2.3 sum; client: 2.5 reply-unused", "{table}");
    assert_eq!(rows[3][3..], ["ok 18/18 12/13", "server: 4.9 survives"], "{table}");
    assert_eq!(rows[4][..4], ["joe", "FAILED", "-", "-"], "{table}");
    assert!(rows[4][4].starts_with("build: exit status 1: "), "{table}");
    assert!(table.ends_with("1 of 4 pass (required held/all, recommended held/all)\n"), "{table}");

    let read = |name: &str| fs::read_to_string(reports.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("ada-server.xml").contains("failures=\"0\""));
    assert!(read("bob-client.xml").contains("2.5 reply-unused"));
    assert!(read("joe-build.xml").contains("<failure"));
    assert!(read("joe-server.xml").contains("<skipped"));
    // The submissions themselves are as they were.
    assert!(!submissions.join("ada/server").exists());
}

#[test]
fn the_json_has_the_full_reports_and_a_step_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    submission(folder.path(), "slow", "never-binds", "-");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("grade")
        .arg(folder.path())
        .args(["--build", BUILD, "--server", "./server", "--json", "--time", "3"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let grades: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(grades[0]["name"], "slow");
    assert_eq!(grades[0]["build"]["outcome"], "done", "{grades}");
    assert_eq!(grades[0]["server"]["outcome"], "failed", "{grades}");
    assert_eq!(grades[0]["client"]["outcome"], "not-asked", "{grades}");
}

#[test]
fn a_submission_cannot_forge_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    fs::create_dir_all(&right).unwrap();
    fs::create_dir_all(&wrong).unwrap();
    submission(&right, "right", "", "-");
    let grades = grade(&right, &["--json"]);
    let grades: Value = serde_json::from_slice(&grades.stdout).unwrap();
    let report = grades[0]["server"]["report"].to_string();
    assert!(report.contains("\"passed\":true"), "{grades}");

    // Writes the report of a right one wherever it can, and then to its own standard output.
    submission(&wrong, "forger", "", "-");
    fs::write(wrong.join("forger/report.json"), &report).unwrap();
    fs::write(
        wrong.join("forger/server"),
        "#!/bin/sh\n\
         for place in .. ../* ../.stdout ../.report /proc/[0-9]*/fd/[0-9]*; do\n\
           case $place in /proc/$$/*) continue;; esac\n\
           cat report.json 2>/dev/null >\"$place\" || :\n\
         done\n\
         cat report.json; kill -9 $PPID; exit 0\n",
    )
    .unwrap();
    let reports = folder.path().join("reports");
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["grade", wrong.to_str().unwrap(), "--server", "sh ./server", "--json", "--junit"])
        .arg(&reports)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let grades: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    let server = &grades[0]["server"];
    assert!(server["outcome"] == "failed" || server["report"]["passed"] == false, "{grades}");
    assert!(fs::read_to_string(reports.join("forger-server.xml")).unwrap().contains("<failure"));
}

#[test]
fn what_was_started_ends_with_lab() {
    let folder = tempfile::tempdir().unwrap();
    let name = "calc6-sleeper-7301";
    let submission = folder.path().join("sleeper");
    fs::create_dir(&submission).unwrap();
    fs::copy("/bin/sleep", submission.join(name)).unwrap();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("grade")
        .arg(folder.path())
        .args(["--build", &format!("./{name} 100 & ./{name} 100"), "--server", "true"])
        .spawn()
        .unwrap();
    let sleepers = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
        commands.filter(|command| command.starts_with(&format!("./{name}\0"))).count()
    };
    let patience = Instant::now() + Duration::from_secs(20);
    while sleepers() < 2 {
        assert!(Instant::now() < patience, "the build did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    lab.kill().unwrap();
    lab.wait().unwrap();
    while sleepers() > 0 {
        assert!(Instant::now() < patience, "the build still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_cannot_be_graded_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = grade(folder.path(), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("a submission is a folder"), "{stderr}");
    let output = grade(&folder.path().join("nothing"), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("lab: cannot read the folder"), "{stderr}");
    let output =
        Command::new(env!("CARGO_BIN_EXE_lab")).args(["grade", ".", "--server", "'unfinished"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
