//! `lab check` against a corpus of programs as people write them: those of tests/wrong, each with one mistake and the
//! finding that it must get, and those of tests/unusual, which are right and must pass.
//!
//! A program says in its first lines what is expected: `mistake:` in a sentence, `finding:` the checks that it breaks,
//! `recommended:` what else it breaks, as a plain solution may, and `says:` a part of what the finding must say.

#![cfg(feature = "programs")]

#[path = "serving/namespace.rs"]
#[expect(dead_code, reason = "only enter() is needed")]
mod namespace;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

/// Programs that are checked at once; most of the time is waiting.
const AT_ONCE: usize = 12;

/// What a plain solution on a wildcard address always has: see `asked-address` in docs/lab.md.
const USUAL: &str = "asked-address";

/// A program of the corpus.
struct Program {
    path: PathBuf,
    role: &'static str,
    finding: Vec<String>,
    recommended: Vec<String>,
    says: Option<String>,
}

/// What `lab check` found.
struct Found {
    code: Option<i32>,
    broken: BTreeSet<String>,
    /// What the findings say, by their keys.
    words: Vec<(String, String)>,
    /// Its whole text, for a failure of this test.
    report: String,
}

#[test]
fn every_wrong_program_gets_its_finding_and_no_other() {
    let programs = programs("wrong");
    assert!(programs.len() >= 60, "{}", programs.len());
    let (mut found, mut expected, mut surplus) = (0, 0, 0);
    let failures = check_all(&programs, |program, result| {
        let wanted: BTreeSet<String> = program.finding.iter().chain(&program.recommended).cloned().collect();
        expected += 1;
        found += usize::from(program.finding.iter().all(|key| result.broken.contains(key)));
        surplus += result.broken.difference(&wanted).count();
        let said = program.says.as_ref().is_none_or(|says| {
            result.words.iter().any(|(key, words)| program.finding.contains(key) && words.contains(says.as_str()))
        });
        match (result.broken == wanted, said) {
            (true, true) => None,
            (false, _) => Some(format!("expected {wanted:?}, found {:?}", result.broken)),
            (true, false) => Some(format!("does not say {:?}", program.says)),
        }
    });
    println!("{found} of {expected} mistakes found, {surplus} findings too many");
    assert!(failures.is_empty(), "{}\n{} of {expected}", failures.join("\n"), failures.len());
}

#[test]
fn every_unusual_program_passes() {
    let programs = programs("unusual");
    assert!(programs.len() >= 15, "{}", programs.len());
    let failures = check_all(&programs, |_, result| {
        let right = result.code == Some(0) && result.broken.is_empty();
        (!right).then(|| format!("exit status {:?}, found {:?}", result.code, result.broken))
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Checks every program, several at once; gives what `judge` finds wrong.
fn check_all(programs: &[Program], judge: impl FnMut(&Program, &Found) -> Option<String> + Send) -> Vec<String> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    compile_java(folder.path());
    let (next, judge, failures) = (Mutex::new(programs.iter()), Mutex::new(judge), Mutex::new(Vec::new()));
    let take = || next.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // A port that one run gives back is not another's at once, with the requests that still come to it.
                namespace::enter();
                while let Some(program) = take() {
                    let result = check(program, folder.path());
                    let name = program.path.strip_prefix(tests()).unwrap().display().to_string();
                    if let Some(failure) = (judge.lock().unwrap())(program, &result) {
                        failures.lock().unwrap().push(format!("{name}: {failure}\n{}", result.report));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn check(program: &Program, folder: &Path) -> Found {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["check", program.role, "--json"]);
    match program.role {
        "server" => command.args(["--patience", "2s", "--start-time", "20s"]),
        _ => command.args(["--patience", "8s"]),
    };
    let output = command
        .arg("--")
        .args(words(program, folder))
        .env("PYTHONPATH", tests().join("wrong"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", tests().join("wrong"))
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}: {}{}", program.path.display(), text(&output.stdout), text(&output.stderr)));
    let findings = report["findings"].as_array().unwrap().iter();
    let of = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let broken: Vec<&Value> = findings.filter(|finding| finding["verdict"] == "broken").collect();
    let listed = program.recommended.iter().any(|key| key == USUAL);
    Found {
        code: output.status.code(),
        broken: broken.iter().map(|finding| of(finding, "key")).filter(|key| listed || key != USUAL).collect(),
        words: broken
            .iter()
            .map(|finding| (of(finding, "key"), ["found", "likely", "try"].map(|name| of(finding, name)).join("\n")))
            .collect(),
        report: broken.iter().map(|finding| format!("{finding:#}\n")).collect(),
    }
}

/// The command of a program, compiled if need be.
fn words(program: &Program, folder: &Path) -> Vec<String> {
    let path = program.path.to_str().unwrap().to_owned();
    let stem = program.path.file_stem().unwrap().to_str().unwrap();
    let words: &[&str] = match program.path.extension().and_then(|extension| extension.to_str()) {
        Some("c") => {
            let binary = folder.join(format!("{}-{stem}", program.role));
            let compiler = Command::new("gcc")
                .args(["-Wall", "-Wextra", "-Werror", "-O1", "-I"])
                .arg(tests().join("wrong"))
                .arg("-o")
                .args([&binary, &program.path])
                .status();
            assert!(compiler.expect("gcc is needed: tests/need names it").success(), "{path}");
            return vec![binary.to_str().unwrap().to_owned()];
        }
        Some("py") => &["python3", &path],
        Some("js") => &["node", &path],
        Some("java") => {
            &["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-cp", folder.to_str().unwrap(), stem]
        }
        other => panic!("{path}: a program in {other:?}"),
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn compile_java(folder: &Path) {
    let sources = ["wrong", "wrong/servers", "wrong/clients", "unusual/servers", "unusual/clients"];
    let files =
        sources.iter().flat_map(|place| fs::read_dir(tests().join(place)).unwrap()).map(|file| file.unwrap().path());
    let java = files.filter(|path| path.extension().is_some_and(|extension| extension == "java"));
    let compiler = Command::new("javac").arg("-d").arg(folder).args(java).status();
    assert!(compiler.expect("javac is needed: tests/need names it").success());
}

fn programs(folder: &str) -> Vec<Program> {
    let mut programs = Vec::new();
    for (place, role) in [("servers", "server"), ("clients", "client")] {
        for file in fs::read_dir(tests().join(folder).join(place)).unwrap() {
            let path = file.unwrap().path();
            let source = fs::read_to_string(&path).unwrap();
            let header = |name: &str| {
                let mut lines = source.lines().take(8).filter_map(|line| line.split_once(&format!("{name}: ")));
                lines.next().map(|(_, text)| text.trim_end_matches("*/").trim().to_owned())
            };
            let keys = |name| header(name).map_or(Vec::new(), |text| text.split(' ').map(str::to_owned).collect());
            let (finding, recommended, says) = (keys("finding"), keys("recommended"), header("says"));
            assert!(header("mistake").or(header("unusual")).is_some(), "{}: says nothing of itself", path.display());
            programs.push(Program { path, role, finding, recommended, says });
        }
    }
    programs
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}
