//! Every program of docs/examples runs, ends in time, and prints the output that its comments promise.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of an example: beside the folder of this test's executable.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is missing; build it: cargo build --examples --all-features", program.display());
    program
}

fn assert_prints(name: &str, lines: &[&str]) {
    // timeout(1) ends an example that hangs.
    let output = Command::new("timeout").arg("60").arg(example(name)).output().expect("timeout of coreutils");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{stdout}\n{stderr}", output.status);
    for line in lines {
        assert!(stdout.lines().any(|printed| printed == *line), "{name}: no line {line:?} in\n{stdout}");
    }
}

#[test]
fn asking() {
    assert_prints(
        "asking",
        &["1 + 3 + 5 + 7 + 9 = 25", "(1+3)*5 - 2^10 = -1004 (4 requests)", "0^2 + 1^2 + ... + 999^2 = 332833500"],
    );
}

#[test]
fn serving() {
    assert_prints("serving", &["[5, 6]: 30", "answered 3 requests"]);
}

#[cfg(feature = "tokio")]
#[test]
fn tasks() {
    let coprime = "333 of the first 1000 numbers have no divisor in common with 12";
    assert_prints("tasks", &["the sum of 100 squares is 338350", coprime]);
}

#[test]
fn sans_io() {
    assert_prints("sans_io", &["-6 * 7 = -42"]);
}

#[test]
fn wire_only() {
    assert_prints("wire_only", &["the sum is 25"]);
}

#[test]
fn every_example_is_run() {
    let here = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples.rs")).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(here.contains(&format!("\"{name}\"")), "no test runs docs/examples/{name}.rs");
    }
}
