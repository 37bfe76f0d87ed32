//! `lab sweep` end to end: calc6's own programs, and others, through networks that change.

#![cfg(feature = "programs")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Our client, which gives up soon.
fn hasty(retries: u32) -> String {
    format!(
        "{} --timeout 0.1 --retries {retries} -op {{op}} {{string}} {{host}} {{port}} {{operands}}",
        env!("CARGO_BIN_EXE_client")
    )
}

fn sweep(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).arg("sweep").args(options).output().unwrap()
}

fn json(options: &[&str]) -> Value {
    let output = sweep(&[options, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn losses_show_in_success_time_and_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let client = hasty(2);
    let options = ["--loss", "0%..100%", "--steps", "3", "--repeat", "12", "--client", &client, "--seed", "5"];
    let output = sweep(&[&options[..], &["--csv", &path("loss.csv"), "--svg", &path("loss.svg")]].concat());
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.starts_with("loss  right  95% interval"), "{stdout}");
    assert!(stderr.contains("lab sweep: loss 50%: 12 runs"), "{stderr}");

    let mut csv = csv::Reader::from_path(path("loss.csv")).unwrap();
    let names = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let number = |row: &csv::StringRecord, name: &str| -> f64 {
        let place = names.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name} in {names:?}"));
        row[place].parse().unwrap_or_else(|error| panic!("{name} in {row:?}: {error}"))
    };
    let column = |name: &str| rows.iter().map(|row| number(row, name)).collect::<Vec<f64>>();
    assert_eq!(column("loss"), [0.0, 0.5, 1.0]);
    assert_eq!(column("runs"), [12.0; 3]);
    assert_eq!((column("right")[0], column("right")[2]), (12.0, 0.0), "{stdout}");
    assert_eq!(column("requests_delivered")[2], 0.0);
    // Three tries, and the probe for a peer that knows only the classic form is not sent for classic requests.
    assert_eq!(column("requests_sent")[2], 36.0, "{stdout}");
    assert!(number(&rows[0], "seconds_p50") <= number(&rows[0], "seconds_max"));
    assert!((0.0..1.0).contains(&number(&rows[0], "success_low")) && number(&rows[0], "success_high") == 1.0);

    let svg = std::fs::read_to_string(path("loss.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("loss (%)") && svg.contains("Datagrams for each run"), "{svg}");
}

#[test]
fn the_same_seed_is_the_same_sweep() {
    let client = hasty(1);
    let options = ["--loss", "20%..60%", "--steps", "2", "--repeat", "8", "--client", &client, "--seed", "9"];
    let fates = |sweep: &Value| -> Vec<String> {
        let steps = sweep["steps"].as_array().unwrap().iter().flat_map(|step| step["runs"].as_array().unwrap().clone());
        steps.map(|run| format!("{} {} {}", run["seed"], run["outcome"], run["requests_delivered"])).collect()
    };
    let (one, other) = (json(&options), json(&options));
    assert_eq!(fates(&one), fates(&other));
    assert_eq!(one["steps"][0]["runs"][0]["seed"], 9);
    // What is lost at 20% is lost at 60% too: a run never does better in a worse network.
    for run in 0..8 {
        let right = |step: usize| one["steps"][step]["runs"][run]["outcome"] == "right";
        assert!(right(0) || !right(1), "{one:#}");
    }
}

#[test]
fn delays_bandwidths_and_fixed_options() {
    let client = hasty(5);
    let delayed = json(&[
        "--delay",
        "0ms..60ms",
        "--steps",
        "2",
        "--repeat",
        "3",
        "--client",
        &client,
        "--direction",
        "to-client",
    ]);
    assert_eq!((&delayed["varied"], &delayed["unit"]), (&"delay".into(), &"seconds".into()));
    assert_eq!(delayed["fixed"][0], "--direction to-client");
    let median = |step: usize| delayed["steps"][step]["seconds"]["p50"].as_f64().unwrap();
    assert!(median(1) >= 0.06, "{delayed:#}");

    let server = env!("CARGO_BIN_EXE_server");
    let slow = json(&[
        "--rate",
        "1kbit..1Mbit",
        "--logarithmic",
        "--steps",
        "4",
        "--repeat",
        "2",
        "--loss",
        "0",
        "--server",
        server,
    ]);
    let values: Vec<f64> =
        slow["steps"].as_array().unwrap().iter().map(|step| step["value"].as_f64().unwrap().round()).collect();
    assert_eq!(values, [1e3, 1e4, 1e5, 1e6]);
    // 21 and 5 octets with 48 octets of headers each, at 1 kbit/s.
    assert!(slow["steps"][0]["seconds"]["p50"].as_f64().unwrap() >= 0.55 + 0.42, "{slow:#}");

    let corrupt =
        json(&["--corrupt", "0..1", "--steps", "2", "--repeat", "6", "--corrupt-bits", "3", "--client", &client]);
    let step = &corrupt["steps"][1];
    let count = |name: &str| step[name].as_u64().unwrap();
    assert_eq!(count("right") + count("wrong") + count("failed") + count("timed_out"), 6, "{step:#}");
}

#[test]
fn what_cannot_be_swept_is_said() {
    for (options, status, words) in [
        (&[][..], 2, "nothing is varied: expected one option with a range, such as --loss 0%..90%"),
        (&["--loss", "30%"], 2, "nothing is varied"),
        (&["--loss", "0..1", "--delay", "0..1s"], 2, "--loss and --delay are ranges: expected one range"),
        (&["--loss", "0..2"], 2, "expected a probability"),
        (&["--loss", "0..1", "--steps", "1"], 2, "expected a whole number from 2 to 1000"),
        (&["--loss", "0..1", "--logarithmic"], 2, "--logarithmic: expected --loss from more than 0"),
        (&["--loss", "0..1", "--client", "/nowhere/client"], 1, "cannot start /nowhere/client"),
        (&["--loss", "0..1", "--server", "false"], 1, "it ended before it listened"),
        (&["--loss", "0..1", "--csv", "/nowhere/file.csv"], 1, "cannot write /nowhere/file.csv"),
    ] {
        let output = sweep(options);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{options:?}: {stderr}");
        assert!(stderr.contains(words) && stderr.lines().count() == 1, "{options:?}: {stderr}");
    }
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn a_client_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("client.sh");
    std::fs::write(&script, "trap '' TERM; sleep 60; sleep 60").unwrap();
    let client = format!("sh {}", script.display());
    let swept = json(&["--loss", "0..1", "--steps", "2", "--repeat", "1", "--client", &client, "--timeout", "0.3"]);
    assert_eq!((&swept["steps"][0]["timed_out"], &swept["steps"][0]["runs"][0]["seconds"]), (&1.into(), &Value::Null));
}
