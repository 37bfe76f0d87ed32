//! `lab grade` end to end: a folder of submissions made of the tests' wrong programs.

#![cfg(feature = "programs")]

mod submissions;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use submissions::{BUILD, submission};

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
    assert_eq!(rows[0], ["submission", "points", "build", "server", "client", "required and broken"], "{table}");
    assert_eq!(rows[1], ["ada", "43/43", "ok", "ok 25/25 8/8", "ok 18/18 13/13"], "{table}{stderr}");
    assert_eq!([rows[2][0], rows[2][2]], ["bob", "ok"], "{table}");
    assert_eq!(rows[2][5], "server: 2.3 sum; client: 2.5 reply-unused", "{table}");
    assert_eq!(rows[3][4..], ["ok 18/18 12/13", "server: 4.9 survives"], "{table}");
    assert_eq!(rows[4][..5], ["joe", "0/43", "FAILED", "-", "-"], "{table}");
    assert!(rows[4][5].starts_with("build: exit status 1: "), "{table}");
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
        .args(["--build", BUILD, "--server", "./server", "--json", "--timeout", "5s"])
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
    let output = grade(&folder.path().join("a\x1b[2J\nb"), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("a\\u{1b}[2J\\nb") && stderr.lines().count() == 1, "{stderr:?}");
    let output =
        Command::new(env!("CARGO_BIN_EXE_lab")).args(["grade", ".", "--server", "'unfinished"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// The folder of submissions with one that has these words as its build.
fn with_build(folder: &Path, build: &str, options: &[&str]) -> Output {
    fs::create_dir_all(folder.join("one")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("grade")
        .arg(folder)
        .args(["--build", build, "--server", "true", "--start-time", "2s"])
        .args(options)
        .output()
        .unwrap()
}

#[test]
fn a_machine_without_namespaces_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bin");
    fs::create_dir(&path).unwrap();
    std::os::unix::fs::symlink("/bin/sh", path.join("sh")).unwrap();
    let submissions = folder.path().join("submissions");
    fs::create_dir_all(submissions.join("one")).unwrap();
    let lab = |options: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lab"))
            .arg("grade")
            .arg(&submissions)
            .args(["--build", "exit 3", "--server", "true"])
            .args(options)
            .env("PATH", &path)
            .output()
            .unwrap()
    };
    let output = lab(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "lab: cannot create namespaces here (needs unshare of the package util-linux): nothing was graded; \
         --isolation none runs submissions unprotected\n"
    );
    for isolation in ["none", "auto"] {
        let output = lab(&["--isolation", isolation]);
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(stdout.contains("build: exit status 3"), "{stdout}{stderr}");
        assert_eq!(stderr.contains("submissions run unprotected"), isolation == "auto", "{stderr}");
    }
}

#[test]
fn root_without_the_right_to_make_namespaces_tries_user_namespaces() {
    if !Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n") {
        // Who is not root takes that way in all the other tests.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("one")).unwrap();
    let output = Command::new("setpriv")
        .args(["--bounding-set", "-sys_admin", env!("CARGO_BIN_EXE_lab"), "grade"])
        .arg(folder.path())
        .args(["--build", "exit 3", "--server", "true"])
        .output()
        .expect("setpriv is missing: apt-get install util-linux");
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(stdout.contains("build: exit status 3"), "{stdout}{stderr}");
}

#[test]
fn what_a_step_writes_and_how_long_it_takes_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    for (build, words) in [
        ("for file in 1 2 3 4; do head -c 2M /dev/zero >$file; done", "build: it wrote more than 4 MiB"),
        ("while :; do mktemp >/dev/null; head -c 1M /dev/zero >$(mktemp); done", "build: it wrote more than 4 MiB"),
        ("sleep 60", "build: it exceeded its time limit (2 s)"),
    ] {
        let output = with_build(folder.path(), build, &["--disk", "4", "--timeout", "2s"]);
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(words), "{build}: {stdout}");
    }
}

#[test]
fn an_interrupted_run_leaves_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (submissions, temporary) = (folder.path().join("submissions"), folder.path().join("tmp"));
    fs::create_dir_all(submissions.join("one")).unwrap();
    fs::create_dir(&temporary).unwrap();
    let lab = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("grade")
        .arg(&submissions)
        .args(["--build", "echo >started; sleep 60", "--server", "true"])
        .env("TMPDIR", &temporary)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = || {
        let work = fs::read_dir(&temporary).unwrap().flatten().next();
        work.is_some_and(|work| work.path().join("submission/started").exists())
    };
    let patience = Instant::now() + Duration::from_secs(20);
    while !started() {
        assert!(Instant::now() < patience, "the build did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &lab.id().to_string()]).status().unwrap().success());
    let output = lab.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().ends_with("lab: interrupted: nothing was graded\n"));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn names_that_cannot_be_printed_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (submissions, reports) = (folder.path().join("submissions"), folder.path().join("reports"));
    for name in [&b"a\nb"[..], b"a\\nb", b"a\xffb"] {
        fs::create_dir_all(submissions.join(OsStr::from_bytes(name))).unwrap();
    }
    let options = ["--only", "one", "--reports", reports.to_str().unwrap()];
    let output = with_build(&submissions, "echo built; exit 1", &options[2..]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = stdout.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names[..4], ["a\\nb", "a\\\\nb", "a\\xffb", "one"], "{stdout}");
    assert_eq!(fs::read_dir(&reports).unwrap().count(), 8);

    // One of them again.
    let output = with_build(&submissions, "exit 1", &options[..2]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("\n0 of 1 pass"), "{stdout}");
    let output = with_build(&submissions, "exit 1", &["--only", "two"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("has no folder \"two\""));
}

const RUBRIC: &str = r#"
required = ["build"]

[points]
build = 2
server.answers = 1.5
fuzz = 1

[[group]]
name = "Byte order"
points = 10
checks = ["server.sum", "server.success"]
all = true

[[group]]
name = "Half of it"
points = 4
checks = ["server.sum", "server.success"]

[[group]]
name = "Robust"
points = 3
checks = ["server.recommended"]
bonus = true
"#;

#[test]
fn points_and_the_formats_of_platforms() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("submissions")).unwrap();
    submission(Path::new(&path("submissions")), "bob", "result-order", "-");
    fs::write(path("rubric.toml"), RUBRIC).unwrap();
    let commit = "https://host/bob/commit/1";
    let output = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["grade", &format!("{}/bob", path("submissions")), "--single", "--server", "./server"])
        .args(["--build", &format!("{BUILD} && echo '<b>built</b> ```'"), "--fuzz", "20", "--github"])
        .args(["--rubric", &path("rubric.toml"), "--csv", &path("grades.csv"), "--reports", &path("reports")])
        .args(["--gradescope", &path("results.json"), "--classroom50", &path("result.json")])
        .args(["--inginious", &path("feedback.sh")])
        .envs([("CLASSROOM", "nets"), ("ASSIGNMENT", "calc"), ("OWNER", "bob"), ("SUBMISSION_TAG", "submit/1-a")])
        .envs([("COMMIT_URL", commit), ("RELEASE_URL", "https://host/release")])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));

    // Gradescope: gradescope/autograder_samples, docs/specs.md, "Output format".
    let results: Value = serde_json::from_str(&read("results.json")).unwrap();
    let tests = results["tests"].as_array().unwrap();
    let of = |name: &str| tests.iter().find(|test| test["name"] == name).unwrap_or_else(|| panic!("{name}: {results}"));
    assert_eq!((of("build")["score"].as_f64(), of("build")["max_score"].as_f64()), (Some(2.0), Some(2.0)));
    assert_eq!(of("server.answers")["score"], 1.5);
    assert_eq!(of("Byte order")["score"], 0.0, "{results}");
    assert_eq!(of("Half of it")["score"], 2.0, "{results}");
    assert_eq!(of("fuzz")["score"], 0.0, "{results}");
    assert!(of("Byte order")["output"].as_str().unwrap().contains("little-endian"), "{results}");
    let sum: f64 = tests.iter().map(|test| test["score"].as_f64().unwrap()).sum();
    assert_eq!(results["score"].as_f64(), Some(sum));
    let visibilities = ["hidden", "after_due_date", "after_published", "visible"];
    assert!(visibilities.contains(&results["visibility"].as_str().unwrap()));
    for test in tests {
        assert!(test["number"].is_string() && test["output"].is_string() && test["tags"].is_array(), "{test}");
        assert!(visibilities.contains(&test["visibility"].as_str().unwrap()));
    }

    // Classroom 50: foundation50/classroom50, schemas/result-v1.schema.json: these members and no others.
    let result: Value = serde_json::from_str(&read("result.json")).unwrap();
    let members: Vec<&str> = result.as_object().unwrap().keys().map(String::as_str).collect();
    let mut required = vec![
        "schema",
        "classroom",
        "assignment",
        "assignment_type",
        "owner",
        "submission",
        "commit",
        "release",
        "review",
        "datetime",
        "score",
        "max-score",
        "tests",
    ];
    required.sort_unstable();
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, required);
    assert_eq!((&result["schema"], &result["review"]), (&"classroom50/result/v1".into(), &commit.into()));
    assert_eq!(result["assignment_type"], "individual");
    let time = result["datetime"].as_str().unwrap();
    assert!(time.len() == 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    let whole = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"));
    let tests = result["tests"].as_array().unwrap();
    assert_eq!(whole(&result["score"]), tests.iter().map(|test| whole(&test["score"])).sum::<u64>());
    assert_eq!(whole(&result["max-score"]), tests.iter().map(|test| whole(&test["max-score"])).sum::<u64>());
    for test in tests {
        assert!(whole(&test["score"]) <= whole(&test["max-score"]) && test["passed"].is_boolean(), "{test}");
        assert!(!test["test-name"].as_str().unwrap().is_empty());
    }

    // INGInious: the commands of docs.inginious.org, "Run file", each a program of the test's that writes its words.
    let commands = path("commands");
    fs::create_dir(&commands).unwrap();
    for name in ["feedback-result", "feedback-grade", "feedback-msg"] {
        let program = format!("{commands}/{name}");
        fs::write(&program, format!("#!/bin/sh\necho \"{name} $*\"; [ {name} != feedback-msg ] || cat\n")).unwrap();
        assert!(Command::new("chmod").args(["+x", &program]).status().unwrap().success());
    }
    let feedback =
        Command::new("sh").arg(path("feedback.sh")).env("PATH", format!("{commands}:/usr/bin:/bin")).output().unwrap();
    let feedback = String::from_utf8(feedback.stdout).unwrap();
    let mut lines = feedback.lines();
    assert_eq!(lines.next(), Some("feedback-result failed"), "{feedback}");
    let grade: f64 = lines.next().unwrap().strip_prefix("feedback-grade ").unwrap().parse().unwrap();
    assert!((0.0..100.0).contains(&grade), "{feedback}");
    assert!(feedback.contains("feedback-msg \n") && feedback.contains("little-endian"), "{feedback}");

    // GitHub: docs.github.com, "Workflow commands for GitHub Actions".
    let errors: Vec<&str> = stdout.lines().filter(|line| line.starts_with("::error title=")).collect();
    assert!(errors.iter().any(|line| line.starts_with("::error title=bob server%3A 2.3 sum::")), "{stdout}");

    let table = read("grades.csv");
    assert!(table.starts_with("submission,points,max,passes,build,server,client,fuzz,not met,missing,seconds\nbob,"));
    let (markdown, html) = (read("reports/bob.md"), read("reports/bob.html"));
    assert!(markdown.contains("````text\n<b>built</b> ```\n````"), "{markdown}");
    assert!(html.contains("&lt;b&gt;built&lt;/b&gt;") && !html.contains("<b>built"), "{html}");
    for page in [&markdown, &html] {
        assert!(page.contains("2.3 sum") && page.contains("little-endian") && page.contains("(bonus)"), "{page}");
    }

    // What identifies the submission has to be there.
    fs::write(path("wrong.toml"), "[points]\nserver.summ = 1\n").unwrap();
    for (options, status, words) in [
        (["--rubric".to_owned(), path("wrong.toml")], 2, "\"server.summ\" is not a check"),
        (["--rubric".to_owned(), path("none.toml")], 1, "cannot read"),
    ] {
        let output = with_build(Path::new(&path("submissions")), "true", &[&options[0], &options[1]]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(status) && stderr.contains(words), "{stderr}");
    }
    let output = with_build(Path::new(&path("submissions")), "true", &["--gradescope", "x"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("is for one submission, and there are 2"));
}
