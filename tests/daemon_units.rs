//! The files for systemd under docs/, and what docs/operations.md says of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");

/// Copies of the unit files that start the server of this build.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["calc6.service", "calc6.socket"] {
        let text = fs::read_to_string(Path::new(DOCS).join("systemd").join(name)).unwrap();
        let text =
            text.replace("ExecStart=/usr/local/bin/calc6-server", concat!("ExecStart=", env!("CARGO_BIN_EXE_server")));
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn analyze(arguments: &[&str], folder: &Path) -> Output {
    let files = ["calc6.service", "calc6.socket"].map(|name| folder.join(name));
    let files = &files[..if arguments[0] == "verify" { 2 } else { 1 }];
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(files).output().expect("systemd-analyze: apt-get install systemd")
}

#[test]
fn systemd_accepts_the_unit_files() {
    let folder = units();
    let output = analyze(&["verify", "--man=no"], folder.path());
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    // It reports what it does not understand without failing.
    assert!(!said.contains("calc6"), "{said}");
}

#[test]
fn the_service_is_hardly_exposed() {
    let folder = units();
    // The threshold is in tenths.
    let output = analyze(&["security", "--offline=true", "--no-pager", "--threshold=5"], folder.path());
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    let page = fs::read_to_string(format!("{DOCS}/operations.md")).unwrap();
    let exposure = said.split("Overall exposure level for calc6.service: ").nth(1).unwrap().split(' ').next().unwrap();
    let version = Command::new("systemd-analyze").arg("--version").output().unwrap();
    if String::from_utf8_lossy(&version.stdout).starts_with("systemd 252 ") {
        assert!(page.contains(&format!("{exposure} of 10 (systemd 252)")), "{exposure}");
    }
}

#[test]
fn five_quick_crashes_do_not_end_the_service() {
    let unit = |name: &str| fs::read_to_string(Path::new(DOCS).join("systemd").join(name)).unwrap();
    for (name, lines) in [
        ("calc6.service", &["StartLimitIntervalSec=0", "Restart=always", "ExecReload=/bin/kill -HUP $MAINPID"][..]),
        ("calc6.socket", &["StartLimitIntervalSec=0", "TriggerLimitIntervalSec=0", "SendBuffer=2M"]),
    ] {
        let text = unit(name);
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} in {name}");
        }
    }
}
