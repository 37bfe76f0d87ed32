//! `lab quiz` as it is typed: every form, its key, its grading, and what Moodle makes of it.

#![cfg(feature = "programs")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn lab(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(line.split_whitespace()).current_dir(folder).output().expect("lab")
}

fn written(folder: &Path, line: &str) -> String {
    let output = lab(folder, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit status and the one line of standard error of a command that fails.
fn refused(folder: &Path, line: &str) -> (Option<i32>, String) {
    let output = lab(folder, line);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{line}: {stderr}");
    (output.status.code(), stderr)
}

#[test]
fn moodle_reads_both_forms_and_they_say_what_the_key_says() {
    let folder = tempfile::tempdir().unwrap();
    // Odd characters of a seed must not break anything.
    for (number, seed) in ["ada", "a/b", "<&>\"'{}~=#:\\", "Zoë"].into_iter().enumerate() {
        let base = format!("quiz --seed {seed} --count 74");
        let path = |extension: &str| folder.path().join(format!("{number}.{extension}"));
        fs::write(path("xml"), written(folder.path(), &format!("{base} --format moodle"))).unwrap();
        fs::write(path("gift"), written(folder.path(), &format!("{base} --format gift"))).unwrap();
        fs::write(path("json"), written(folder.path(), &format!("{base} --format json --key {number}.key"))).unwrap();
        let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quiz/moodle.py");
        let read = Command::new("python3")
            .arg(reader)
            .args(["xml", "gift", "json", "key"].map(path))
            .output()
            .expect("python3: apt-get install python3");
        assert!(read.status.success(), "{seed}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn the_key_is_graded_with_full_marks_and_mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let quiz = "quiz --seed ada --count 20";
    let text = written(folder.path(), &format!("{quiz} --key ada.key"));
    assert!(text.starts_with("Quiz of ada: 20 questions\n"), "{text}");
    assert_eq!(written(folder.path(), quiz), text, "the same seed");
    assert!(written(folder.path(), "quiz --count 20 --grade ada.key").starts_with("ada: 20 of 20 points\n"));

    // The seed is the file's name.
    fs::write(folder.path().join("ada.txt"), "1: 0x7fffffff\n2: z\n\n# nothing else\n").unwrap();
    let output = lab(folder.path(), "quiz --count 20 --grade ada.txt ada.key --csv grades.csv");
    let graded = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "not all right");
    for words in ["ada: 0 of 20 points", "wrong: ", "not answered", "     why       "] {
        assert!(graded.contains(words), "{words}: {graded}");
    }
    let csv = fs::read_to_string(folder.path().join("grades.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("seed,points,max,1,2,") && lines[1].starts_with("ada,0,20,0,0,"), "{csv}");
    assert!(lines[2].starts_with("ada,20,20,1,1,"), "{csv}");

    let mistakes = written(folder.path(), "quiz --seed bob --kind no-htonl --count 1 --key bob.key");
    let typed = mistakes.split("typed ").nth(1).and_then(|rest| rest.split('.').next()).expect(&mistakes);
    fs::write(folder.path().join("bob.txt"), format!("1: {typed}\n")).unwrap();
    let output = lab(folder.path(), "quiz --kind no-htonl --count 1 --grade bob.txt");
    let graded = String::from_utf8(output.stdout).unwrap();
    assert!(graded.contains("likely    that is what was typed"), "{graded}");
}

#[test]
fn captures_are_asked_about_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark");
    for name in ["classic", "errors", "extended", "loss", "loop", "malformed"] {
        let path = captures.join(name).with_extension("pcapng");
        let quiz = format!("quiz --seed x --count 2 --pcap {}", path.display());
        let text = written(folder.path(), &format!("{quiz} --key x.key"));
        assert!(text.contains(&format!("capture {name}.pcapng, port 1")), "{text}");
        assert!(written(folder.path(), &format!("{quiz} --grade x.key")).starts_with("x: 2 of 2 points\n"));
    }
    // A quiz's own capture, written, is asked about in the same way.
    let own = written(folder.path(), "quiz --seed ada --topic exchange --count 6 --write-pcap ada.pcapng");
    let table = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("2001:db8::") && line.contains("]:")).map(str::to_owned).collect()
    };
    let read = written(folder.path(), "quiz --seed ada --count 4 --pcap ada.pcapng");
    assert!(!table(&own).is_empty());
    let shown = |text: &str| table(text).into_iter().filter(|line| line.starts_with("   ")).collect::<Vec<_>>();
    let (own, read) = (shown(&own), shown(&read));
    // A long one is shown as an excerpt, with the numbers of the whole.
    assert!(read.iter().all(|line| own.contains(line)), "{own:#?} {read:#?}");
    let explained = lab(folder.path(), "explain --pcap ada.pcapng --port 10000 --json").stdout;
    assert!(explained.split(|octet| *octet == b'\n').count() > read.len());
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("answers"), "1: a\nb\n").unwrap();
    fs::write(folder.path().join("none.pcap"), "no capture").unwrap();
    for (line, status, words) in [
        ("quiz --count 0", 2, "expected"),
        ("quiz --count 201", 2, "expected"),
        ("quiz --topic weather", 2, "expected"),
        ("quiz --kind weather", 2, "lab quiz --list"),
        ("quiz --level 4", 2, "expected"),
        ("quiz --topic fields --level 3", 2, "lab quiz --list"),
        ("quiz --kind clients --count 2", 1, "only 1 different questions"),
        ("quiz --grade answers", 2, "answers, line 2: expected the number of a question"),
        ("quiz --grade absent", 1, "cannot read absent"),
        ("quiz --pcap absent", 1, "cannot read absent"),
        ("quiz --pcap none.pcap", 1, "neither pcap nor pcapng"),
        ("quiz --port 7", 2, "--pcap"),
        ("quiz --key absent/key", 1, "cannot write absent/key"),
        ("quiz --write-pcap absent/p", 1, "cannot write absent/p"),
    ] {
        let (code, stderr) = refused(folder.path(), line);
        assert_eq!(code, Some(status), "{line}: {stderr}");
        assert!(stderr.starts_with("lab: ") && stderr.contains(words), "{line}: {stderr}");
    }
}

#[test]
fn the_list_names_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let list = written(folder.path(), "quiz --list");
    assert!(list.lines().count() >= 30, "{list}");
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let topic = ["fields", "order", "formats", "lengths", "server", "exchange"].contains(&words[1]);
        assert!(topic && ["1", "2", "3"].contains(&words[2]) && line.ends_with('?'), "{line}");
    }
}
