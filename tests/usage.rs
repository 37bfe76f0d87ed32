//! Wrong command lines, and a standard output that is closed or full: how every program reacts.

mod asking;

use std::process::{Command, Stdio};

use asking::{Ended, run};

const PROGRAMS: [&str; 3] = [env!("CARGO_BIN_EXE_server"), env!("CARGO_BIN_EXE_client"), env!("CARGO_BIN_EXE_lab")];

fn lab(line: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(line.split_whitespace());
    run(command, b"")
}

#[test]
fn lab_reports_a_wrong_command_line_in_one_line() {
    let port = "expected a port from 1 to 65535 or the name of a service";
    for (line, status, words) in [
        (
            "",
            2,
            "missing subcommand; expected one of bench, check, explain, floor, grade, quiz, relay, sweep (see --help)",
        ),
        ("check", 2, "missing subcommand; expected one of server, client, fuzz (see --help)"),
        ("chekc", 2, "unknown subcommand \"chekc\"; similar: check"),
        ("bench", 2, "missing <HOST>, <PORT>"),
        ("bench ::1 65536", 2, &format!("<PORT>: \"65536\": {port}")),
        ("bench ::1 no-such", 1, "port \"no-such\": no UDP service of that name is known"),
        ("bench ::1 9 --window 0", 2, "--window <N>: \"0\": expected a whole number from 1 to 1024"),
        ("bench ::1 9 --compare ::1 0", 2, &format!("--compare: \"0\": {port}")),
        ("bench ::1 9 --rat 1", 2, "unknown option --rat; similar: --rate"),
        (
            "bench ::1 9 --duration 5x",
            2,
            "--duration <DURATION>: \"5x\": expected a duration up to a day, such as 0.1 (seconds) or 100ms",
        ),
        ("explain none.pcap", 2, "character 1: expected hexadecimal digits, found 'n'; --pcap FILE reads a capture"),
        ("relay ::1 0 ::1 0", 2, &format!("<TO_PORT>: \"0\": {port}")),
        ("relay ::1 0 ::1 9 --seed x", 2, "--seed <N>: \"x\": expected a whole number from 0"),
        ("floor ::1 -1", 2, "unknown option -1"),
        ("floor ::1 65536", 2, "<PORT>: \"65536\": expected a port from 0 to 65535 or the name of a service"),
        ("check server ::1 0", 2, &format!("PORT: \"0\": {port}")),
        ("check server host.invalid 9", 1, "cannot find the address of host.invalid"),
        ("explain --color blue 00", 2, "--color <WHEN>: \"blue\": expected auto, always, never"),
    ] {
        let ended = lab(line);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{line}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("lab: ") && ended.stderr.contains(words), "{line}: {}", ended.stderr);
        assert_eq!(ended.stderr.matches('\n').count(), 1, "{line}: {}", ended.stderr);
    }
}

#[test]
fn help_ends_quietly_if_no_one_reads_it_and_reports_where_it_cannot_be_written() {
    for program in PROGRAMS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(program).arg("--help").stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");

        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(program).arg("--help").stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{program}: {said}");
        assert!(said.contains("standard output: ") && said.matches('\n').count() == 1, "{program}: {said}");
    }
}
