//! docs/wireshark/colorfilters, loaded as a profile as README.md says: which rule colours which packet.

use std::fs;
use std::path::Path;

use crate::capture::{SERVER, Traffic, classic, octets};
use crate::tools::{Desk, dissector, run};

fn rules() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark/colorfilters")).unwrap()
}

/// tshark with the profile `calc6`, in colour.
fn tshark(desk: &Desk, arguments: &[&str]) -> String {
    let profile = desk.path(".config/wireshark/profiles/calc6");
    fs::create_dir_all(&profile).unwrap();
    fs::write(profile.join("colorfilters"), rules()).unwrap();
    let mut tshark = desk.command("tshark");
    tshark.arg("-X").arg(format!("lua_script:{}", dissector().display()));
    tshark.args(["-C", "calc6", "--color", "-2"]).args(arguments).env("COLORTERM", "truecolor");
    run(tshark)
}

#[test]
fn each_kind_of_packet_has_its_colour() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    let sum = || classic(0, &[1, 3]);
    traffic.ask(48000, sum(), octets("ff 00000004"));
    traffic.ask(48001, sum(), octets("ff 00000005"));
    traffic.send(48002, SERVER, sum());
    traffic.ask(48003, octets("45 00000001"), octets("7f 6f"));
    traffic.send(48004, SERVER, sum());
    traffic.send_after(std::time::Duration::from_secs(1), 48004, SERVER, sum());
    traffic.send(SERVER, 48004, octets("ff 00000004")).send(SERVER, 48004, octets("ff 00000004"));
    traffic.send(48005, SERVER, octets("00 01"));
    let capture = desk.path("colours.pcapng");
    traffic.write(&capture);
    let shown = tshark(&desk, &["-r", capture.to_str().unwrap(), "-T", "fields", "-e", "frame.coloring_rule.name"]);
    let expected = [
        "other",
        "other",
        "other",
        "wrong result or loop",
        "unanswered",
        "other",
        "error",
        "other",
        "repeated",
        "other",
        "repeated",
        "error",
    ];
    let shown: Vec<&str> = shown.lines().map(|line| line.trim_start_matches("calc6: ")).collect();
    assert_eq!(shown, expected);
}

/// A rule that Wireshark cannot compile is left out with a warning, which [`run`] takes for a failure.
#[test]
fn every_rule_is_loaded() {
    let desk = Desk::new();
    let names: Vec<String> = rules()
        .lines()
        .filter(|line| line.starts_with('@'))
        .map(|line| line.split('@').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 5);
    let errors = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark/errors.pcapng");
    tshark(&desk, &["-r", errors.to_str().unwrap()]);
}
