//! Large captures: lists have a limited length, and no step becomes slower as the capture grows.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::capture::{SERVER, Traffic, classic, extended};
use crate::tools::{Desk, dissector};

const SUM: [u8; 5] = [0xff, 0, 0, 0, 4];

fn sum() -> Vec<u8> {
    classic(0, &[1, 3])
}

/// One exchange of `count` requests and as many replies: each lists at most eight of the others, and the total number.
#[test]
fn links_are_bounded() {
    const COUNT: usize = 3000;
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    for _ in 0..COUNT {
        traffic.send_after(Duration::from_secs(1), 49000, SERVER, sum());
    }
    for _ in 0..COUNT {
        traffic.send(SERVER, 49000, SUM);
    }
    let capture = desk.path("links.pcapng");
    traffic.write(&capture);
    let columns = ["calc6.reply_in", "calc6.request_in", "calc6.sent", "calc6.replies", "calc6.time.repeat"];
    let rows = desk.fields(&capture, &["-2"], &columns);
    assert_eq!(rows.len(), 2 * COUNT);
    assert_eq!(rows[0], ["3001,3002,3003,3004,3005,3006,3007,6000", "", "3000", "3000", ""]);
    assert_eq!(rows[COUNT], ["", "1,2,3,4,5,6,7,3000", "3000", "", "0.000042000"]);
}

/// Tens of thousands of identical classic requests from one socket: unanswered, answered in turn, and answered at the
/// end. If a step became slower as the capture grows, this would take minutes.
#[test]
fn identical_requests_by_the_ten_thousand() {
    const COUNT: usize = 15_000;
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    let moment = Duration::from_micros(1);
    for _ in 0..COUNT {
        traffic.send_after(moment, 49001, SERVER, sum());
    }
    for _ in 0..COUNT {
        traffic.send_after(moment, 49002, SERVER, sum()).send_after(moment, SERVER, 49002, SUM);
    }
    for _ in 0..COUNT {
        traffic.send_after(moment, 49003, SERVER, sum());
    }
    for _ in 0..COUNT {
        traffic.send_after(moment, SERVER, 49003, SUM);
    }
    let capture = desk.path("identical.pcapng");
    traffic.write(&capture);
    let report = desk.tshark(&["-q", "-r", capture.to_str().unwrap(), "-z", "calc6,stat"]);
    let line = report.lines().find(|line| line.starts_with("sum")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["sum", "45000", "0", "15000", "30000", "0"], "{report}");
}

/// 200,000 datagrams of five kinds of traffic; the figures of docs/wireshark/README.md come from this test.
#[test]
#[ignore = "prints the time and memory that tshark takes"]
fn time_and_memory() {
    let desk = Desk::new();
    let mut traffic = Traffic::new();
    let moment = Duration::from_micros(1);
    for number in 0..20_000u32 {
        let client = 20_000 + (number % 40_000) as u16;
        traffic.send_after(moment, client, SERVER, classic(0, &[number, 77 * number]));
        traffic.send_after(moment, SERVER, client, classic(0xff, &[78 * number]));
    }
    for _ in 0..40_000 {
        traffic.send_after(moment, 10_001, SERVER, sum());
    }
    for _ in 0..20_000 {
        traffic.send_after(moment, 10_002, SERVER, sum()).send_after(moment, SERVER, 10_002, SUM);
    }
    for (from, to, octets) in [(10_003, SERVER, sum()), (SERVER, 10_003, SUM.to_vec())] {
        for _ in 0..20_000 {
            traffic.send_after(moment, from, to, octets.clone());
        }
    }
    for id in 0..20_000u64 {
        let operands: Vec<u8> = [id as i64, -7].iter().flat_map(|operand| operand.to_be_bytes()).collect();
        traffic.send_after(moment, 10_004, SERVER, extended(true, b'+', 8, id, &operands));
        let reply = [&[0xff, 0, 1, 0], &id.to_be_bytes()[..], (id as i64 - 7).to_string().as_bytes()].concat();
        traffic.send_after(moment, SERVER, 10_004, reply);
    }
    assert_eq!(traffic.datagrams.len(), 200_000);
    let capture = desk.path("large.pcapng");
    traffic.write(&capture);
    let script = format!("lua_script:{}", dissector().display());
    for (name, options) in [
        ("without the dissector", &[][..]),
        ("one pass", &["-X", &script][..]),
        ("two passes", &["-X", &script, "-2"]),
        ("statistics", &["-X", &script, "-q", "-z", "calc6,stat"]),
    ] {
        let mut tshark = desk.command("tshark");
        tshark.arg("-r").arg(&capture).args(options).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = tshark.spawn().unwrap();
        let (mut ticks, mut peak) = (0, 0);
        while child.try_wait().unwrap().is_none() {
            // Both grow until the end, so the last reading is accurate to 10 ms.
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
            let status = read("status");
            let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = memory.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(peak);
            let stat = read("stat");
            let times: Vec<u64> = stat.split(' ').skip(13).take(2).filter_map(|word| word.parse().ok()).collect();
            ticks = times.iter().sum::<u64>().max(ticks);
            std::thread::sleep(Duration::from_millis(10));
        }
        let (wall, processor) = (started.elapsed().as_secs_f64(), ticks as f64 / 100.0);
        println!("{name}: {wall:.1} s, {processor:.1} s of processor time, {} MiB", peak / 1024);
    }
}
