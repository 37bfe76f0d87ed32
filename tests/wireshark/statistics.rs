//! `tshark -z calc6,stat`: requests by operator, replies by status, response times.

use std::time::Duration;

use crate::capture::{SERVER, Traffic, classic, extended, octets};
use crate::tools::{Desk, dissector};

fn traffic() -> Traffic {
    let mut traffic = Traffic::new();
    for (number, micros) in [100, 300, 200].into_iter().enumerate() {
        let client = 47000 + number as u16;
        traffic.send(client, SERVER, classic(0, &[1, 3]));
        traffic.send_after(Duration::from_micros(micros), SERVER, client, octets("ff 00000004"));
    }
    let division = extended(false, b'/', 1, 1, &[7, 0]);
    traffic.send(47003, SERVER, division.clone()).send(47003, SERVER, division);
    traffic.send(SERVER, 47003, octets("7f 03 01 00 0000000000000001"));
    traffic.send(SERVER, 47003, octets("7f 03 01 00 0000000000000001"));
    traffic.send(47004, SERVER, extended(false, b'/', 1, 2, &[7, 1]));
    traffic.send(47005, SERVER, octets("45 00000001")).send(SERVER, 47005, octets("7f"));
    traffic.send(SERVER, 47006, octets("ff 00000004"));
    traffic.send(47007, SERVER, classic(1, &[6, 7])).send(SERVER, 47007, octets("ff 3431"));
    traffic.send(47008, SERVER, classic(0, &[u32::MAX, 2])).send(SERVER, 47008, octets("80 00000001"));
    traffic
}

fn report(argument: &str) -> String {
    let desk = Desk::new();
    let capture = desk.path("statistics.pcapng");
    traffic().write(&capture);
    desk.tshark(&["-q", "-r", capture.to_str().unwrap(), "-z", argument])
}

#[test]
fn statistics_of_a_capture() {
    let expected = "\
Operator            requests   repeats  unanswered   replies    wrong
quotient                   2         1           1         1        0
sum                        5         0           0         5        1
unknown opcode             1         0           0         1        0

Response time, ms        least      median         99%    greatest
quotient                 0.084       0.084       0.084       0.084
sum                      0.042       0.100       0.300       0.300
unknown opcode           0.042       0.042       0.042       0.042

Status                                         replies
3 division by zero                                   2
classic error                                        1
classic success                                      6

Results modulo 2^32                                  1
Duplicate replies                                    1
Replies without a request                            1
";
    assert_eq!(report("calc6,stat").trim_end(), expected.trim_end());
}

#[test]
fn a_filter_selects_what_is_counted() {
    let expected = "\
Operator            requests   repeats  unanswered   replies    wrong
sum                        0         0           0         2        0

Response time, ms        least      median         99%    greatest
sum                      0.200       0.200       0.300       0.300

Status                                         replies
classic success                                      2

Results modulo 2^32                                  0
Duplicate replies                                    0
Replies without a request                            0
";
    assert_eq!(report("calc6,stat,calc6.time > 0.00015").trim_end(), expected.trim_end());
}

/// As with a bad -Y: tshark reports the error, and ends with status 2.
#[test]
fn a_bad_filter_is_an_error() {
    let desk = Desk::new();
    let capture = desk.path("statistics.pcapng");
    traffic().write(&capture);
    for filter in ["calc6.time >", "calc6.nonsense == 1", "(calc6"] {
        let mut tshark = desk.command("tshark");
        tshark.arg("-X").arg(format!("lua_script:{}", dissector().display())).args(["-q", "-r"]).arg(&capture);
        let output = tshark.args(["-z", &format!("calc6,stat,{filter}")]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("tshark: -z calc6,stat: invalid filter '{filter}': ")), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

/// The expert items are also what `-z expert` counts, with no tree built.
#[test]
fn expert_items_are_counted() {
    let report = report("expert,calc6");
    for text in ["Wrong: 13 expected", "Copies the request of frame 7 after"] {
        assert!(report.contains(text), "{text}: {report}");
    }
}
