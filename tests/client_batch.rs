//! The `client` program over many operands, again and again, over expressions, line by line, and for programs.

mod asking;
mod receiving;
mod serving;

use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use calc6::arithmetic::{Number, evaluate};
use calc6::wire::Operator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use asking::{Act, Ended, Guard, Scripted, client, client_line, free_port, run};
use receiving::{Receive as _, receive_from};
use serving::Server;

/// Runs `client` over the words of a line, with a text on standard input.
fn client_reading(line: &str, text: &str) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(line.split_whitespace());
    run(command, text.as_bytes())
}

/// A file of the test's own, removed with it.
struct Text(PathBuf);

impl Text {
    fn new(name: &str, text: &str) -> Text {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Text(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// 1 to `count`, one a line.
fn lines(count: u64) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

#[test]
fn operands_come_from_files_and_pipes() {
    let text = "1, 0x10\n-3\t1_000,\n";
    let file = Text::new("operands.txt", text);
    client(["-op", "+", "--local", "--file", file.path()]).printed("Result: 1014\n");
    client_reading("-op + --local -", text).printed("Result: 1014\n");
    client_reading("-op + --local --file -", text).printed("Result: 1014\n");
    client_reading("-op - --local -", "10 3 2").printed("Result: 5\n");
    client_reading("-op + --classic -s --local -", &lines(1000)).printed("Result: 500500\n");
    let server = Server::start(&["::1", "0"]);
    client_reading(&format!("-op + ::1 {} -", server.port), &lines(100_000)).printed("Result: 5000050000\n");
}

/// Without descriptors for the thread that reads ahead, the client reads by itself.
#[test]
fn few_descriptors_are_enough_for_a_text() {
    let server = Server::start(&["::1", "0"]);
    let file = Text::new("few-descriptors.txt", &lines(100_000));
    let port = server.port.to_string();
    let limited = |limit: u32| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n $0 && exec \"$@\"", &limit.to_string(), env!("CARGO_BIN_EXE_client")]);
        command.args(["-op", "+", "--file", file.path(), "::1", &port]);
        run(command, b"")
    };
    let enough = (5..50).find(|limit| limited(*limit).status == Some(0)).expect("some number is enough");
    for limit in enough..enough + 8 {
        limited(limit).printed("Result: 5000050000\n");
    }
}

#[test]
fn texts_of_windows_are_read_or_named() {
    // As Notepad writes them: a byte order mark, and carriage returns.
    let text = format!("\u{feff}# operands\r\n{}", lines(5000).replace('\n', "\r\n"));
    let file = Text::new("windows.txt", &text);
    client(["-op", "+", "--local", "--file", file.path()]).printed("Result: 12502500\n");
    client_reading("-op + --local -", &text).printed("Result: 12502500\n");
    client_reading("--local -e -", "\u{feff}1+1\r\n2*6\r\n").printed("Result: 2\nResult: 12\n");
    client_reading("--local -i", "\u{feff}+ 1 1\r\n_ * 6\r\n").printed("Result: 2\nResult: 12\n");
    // As Windows PowerShell writes them.
    let utf_16: Vec<u8> = "\u{feff}1 2".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let words = "the text is UTF-16; expected UTF-8 (in PowerShell: Out-File -Encoding utf8)";
    fs::write(&file.0, &utf_16).unwrap();
    client(["-op", "+", "--local", "--file", file.path()]).complained(2, &format!("{}:1:1: {words}", file.path()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(["-op", "+", "--local", "-"]);
    run(command, &utf_16).complained(2, &format!("line 1, column 1: {words}"));
}

#[test]
fn words_are_quoted_as_typed() {
    client(["-op", "+", "--local", "--file", r"C:\sums\a.txt"])
        .complained(1, r#"--file: "C:\sums\a.txt": No such file or directory (os error 2)"#);
    client(["-op", "+", "--local", r#"x\t"2"#])
        .complained(2, r#"argument 4: "x\t"2" is not an integer: 'x' at character 1 is not a digit of base 10"#);
    client(["-op", "+", "--local", "--file", "a\u{1b}[2J"])
        .complained(1, r#"--file: "a\u{1b}[2J": No such file or directory (os error 2)"#);
}

#[test]
fn every_associative_operator_over_more_than_a_datagram_holds() {
    let numbers: Vec<Number> = (1..=3000).map(Number::from).collect();
    let text = lines(3000);
    for operator in Operator::ALL.into_iter().filter(|operator| operator.is_associative()) {
        let expected = evaluate(operator, &numbers, u64::MAX).unwrap();
        for options in ["", "-s"] {
            let line = format!("-op {} {options} --local -", operator.word());
            assert_eq!(client_reading(&line, &text).printed(&format!("Result: {expected}\n")), "", "{line}");
        }
    }
    let wide = (0..200).map(|place| format!("-0x{}{place}\n", "7".repeat(400))).collect::<String>();
    let expected: Vec<Number> = wide.lines().map(|line| line.parse().unwrap()).collect();
    let expected = evaluate(Operator::Sum, &expected, u64::MAX).unwrap();
    client_reading("-op + --local -", &wide).printed(&format!("Result: {expected}\n"));
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_place() {
    for (operator, text, status, complaint) in [
        (
            "+",
            "1 2\n3 x4",
            2,
            "line 2, column 3: \"x4\" is not an integer: 'x' at character 1 is not a digit of base 10",
        ),
        ("+", "1,,2", 2, "line 1, column 3: a comma with no integer before it"),
        ("+", " \n", 2, "sum takes one operand or more, not 0"),
        ("^", "1 2 3", 2, "power takes two operands, not 3"),
        (
            "%",
            &lines(2000),
            2,
            "remainder takes at most 610 operands of up to 2 octets in one datagram, and there are more",
        ),
        ("^", &lines(2000), 2, "power takes two operands, and there are more"),
        ("x --max-result 1K", &lines(2000), 1, "the product exceeds the limit of 1024 octets"),
        ("gcd --classic", "1 2", 2, "the classic form has only sum and product, not gcd"),
    ] {
        client_reading(&format!("-op {operator} --local -"), text).complained(status, complaint);
    }
    let far = lines(500_000) + "  7b";
    let complaint = "line 500001, column 3: \"7b\" is not an integer: 'b' at character 2 is not a digit of base 10";
    client_reading("-op + --local -", &far).complained(2, complaint);
    client_reading("-op + --local --file /", "")
        .complained(1, "cannot read the operands: Is a directory (os error 21)");
}

/// Stands before a server: so many copies of its reply to the request of this number; for none, it is not asked.
fn before(server: &Server, copies: impl Fn(usize) -> usize + Send + 'static) -> Scripted {
    let onward = serving::peer("[::1]:0", ("::1", server.port));
    Scripted::start(move |datagram, count| {
        let copies = copies(count);
        if copies == 0 {
            return vec![];
        }
        let mut reply = [0; 4096];
        onward.send(datagram).unwrap();
        let Ok(len) = onward.receive(&mut reply) else { return vec![] };
        (0..copies).map(|_| Act::Reply(reply[..len].to_vec())).collect()
    })
}

#[test]
fn losses_cost_repeats_never_correctness() {
    let server = Server::start(&["::1", "0", "--workers", "1"]);
    // Drops every 7th request, answers every 5th twice.
    let lossy = before(&server, |count| if count % 7 == 6 { 0 } else { 1 + usize::from(count % 5 == 0) });
    let ended = client_reading(&format!("--json -op + {} -", lossy.words()), &lines(200_000));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["result"], &report["operands"]), (&json!("20000100000"), &json!(200_000)), "{ended:?}");
    let (attempts, requests) = (report["attempts"].as_u64().unwrap(), report["requests"].as_u64().unwrap());
    assert!(requests > 300 && attempts > requests, "{report}");
}

#[test]
fn servers_share_the_work_and_take_over() {
    let other = Server::start(&["::1", "0"]);
    // Answers the first thirty requests, then falls silent; the other may be much faster.
    let server = Server::start(&["::1", "0"]);
    let dying = before(&server, |count| usize::from(count < 30));
    let unused = free_port();
    let line = format!("-op + --also [::1]:{} --also [::1]:{unused} {} -", other.port, dying.words());
    client_reading(&line, &lines(300_000)).printed("Result: 45000150000\n");
    let totals = other.stop();
    assert!(!totals.contains("served 0,"), "{totals}");
    let totals = server.stop();
    assert!(totals.contains("served 30,"), "{totals}");
}

/// One that answers nothing is named, although the work was done before the others gave it up.
#[test]
fn a_server_that_answers_nothing_is_named() {
    let server = Server::start(&["::1", "0"]);
    let silent = Scripted::start(|_, _| vec![]);
    let also = silent.words().replacen("::1 ", "[::1]:", 1);
    let line = |options| format!("{options} -op + --timeout 0.5 --also {also} ::1 {} -", server.port);
    let ended = client_reading(&line(""), &lines(100_000));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "Result: 5000050000\n"), "{ended:?}");
    let port = also.rsplit(':').next().unwrap();
    assert!(ended.stderr.starts_with(&format!("client: note: ::1 port {port} answered none of ")), "{ended:?}");
    assert!(ended.stderr.ends_with("; the other servers took over\n"), "{ended:?}");
    let quiet = client_reading(&line("-q"), &lines(100_000));
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("5000050000\n", ""), "{quiet:?}");
    let told = client_reading(&line("--json"), &lines(100_000));
    let report: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(report["servers"][1]["answered"], json!(0), "{report}");
    assert!(report["servers"][1]["sent"].as_u64().is_some_and(|sent| sent > 0), "{report}");
}

#[test]
fn a_batch_without_further_answers_ends() {
    let server = Server::start(&["::1", "0"]);
    let dying = before(&server, |count| usize::from(count < 20));
    let line = |options| format!("-op + {options} {} -", dying.words());
    client_reading(&line("--timeout 0.1 --retries 2"), &lines(100_000)).complained_of(1, "does not answer");
    client_reading(&line("--deadline 0.3"), &lines(10)).complained_of(1, "no reply before the deadline");
}

#[test]
fn a_classic_only_peer_is_told_before_a_batch() {
    let classic = Scripted::replying(b"\x00");
    client_reading(&format!("-op + {} -", classic.words()), &lines(5000)).complained_of(
        1,
        "knows only the classic form (it answered an extended request with a classic error); with --classic it \
         can still be asked for sums and products",
    );
}

#[test]
fn an_interrupt_ends_a_batch() {
    let (stdout, stderr) = interrupted(&[]);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("client: interrupted after ") && stderr.ends_with(" operands\n"), "{stderr}");
    let (stdout, stderr) = interrupted(&["--json"]);
    assert_eq!(stderr, "");
    let error = &serde_json::from_str::<Value>(&stdout).unwrap()["error"];
    assert_eq!((&error["kind"], &error["exit_status"]), (&json!("interrupted"), &json!(130)), "{stdout}");
}

/// What the client says when SIGINT, which must end it, comes in the middle of a batch.
fn interrupted(options: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(options).args(["-op", "+", "--local", "-"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Guard(child);
    let mut stdin = child.0.stdin.take().unwrap();
    // More than a pipe holds: once it is written, the program reads.
    stdin.write_all(lines(100_000).as_bytes()).unwrap();
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    let status = child.wait();
    assert_eq!(status.signal(), Some(2), "{status}");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (stdout, stderr)
}

#[test]
fn results_in_other_bases() {
    for (line, result) in [
        ("--base 16 -op + --local 200 55", "0xff"),
        ("--base 16 -op - --local 1 256", "-0xff"),
        ("--base 2 -op + --local 5", "0b101"),
        ("--base 8 -op + -s --local 8", "0o10"),
        ("--base 10 -op + --local 8", "8"),
        ("--base 16 -e 2^64 --local", "0x10000000000000000"),
    ] {
        client_line(line).printed(&format!("Result: {result}\n"));
        client_line(&format!("-q {line}")).printed(&format!("{result}\n"));
    }
}

fn report(ended: &Ended, status: i32) -> Value {
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(status), ""), "{ended:?}");
    assert_eq!(ended.stdout.matches('\n').count(), 1, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn json_for_results() {
    let server = Server::start(&["::", "0"]);
    let mut sum = report(&client_line(&format!("--json -op + ::1 {} 1 3 5", server.port)), 0);
    let rtt = sum.as_object_mut().unwrap().remove("rtt_us").unwrap();
    assert!(rtt.as_f64().is_some_and(|rtt| rtt > 0.0), "{rtt}");
    let expected = json!({
        "operator": "+", "operands": 3, "form": "classic", "result": "9", "peer": "::1", "port": server.port,
        "requests": 1, "attempts": 1,
    });
    assert_eq!(sum, expected);
    let line = format!("--json -op ^ --base 16 -s 127.0.0.1 {} 2 4000", server.port);
    let power = report(&client_line(&line), 0);
    let decimal: calc6::arithmetic::Number = power["result"].as_str().unwrap().parse().unwrap();
    assert_eq!(decimal.to_string_radix(16), format!("1{}", "0".repeat(1000)), "decimal for any --base");
    assert_eq!((&power["form"], &power["peer"]), (&json!("extended"), &json!("127.0.0.1")));
    assert_eq!(power["attempts"], json!(2), "asked again more widely");
    let value = report(&client(["--json", "--local", "-e", "(1+3)*(5+2)"]), 0);
    assert_eq!((&value["result"], &value["requests"]), (&json!("28"), &json!(3)));
    assert_eq!((&value["expression"], &value["form"]), (&json!("(1+3)*(5+2)"), &json!("classic")));
    assert_eq!(report(&client_line("--json --local -e 7"), 0)["requests"], json!(0));
    let described = report(&client_line("--json --local --describe"), 0);
    assert!(described["result"].as_str().unwrap().starts_with("calc6 "), "{described}");
    let repeated = report(&client_line("--json --local --repeat 3 -op + 1 2"), 0);
    assert_eq!(repeated["round_trips"]["answered"], json!(3));
    assert_eq!((&repeated["requests"], &repeated["attempts"]), (&json!(3), &json!(3)));
    assert_eq!(repeated["round_trips"]["results"], json!(1));
    let mean = repeated["round_trips"]["mean_us"].as_f64().unwrap();
    assert_eq!((mean * 1e3).round() / 1e3, mean, "nanoseconds");
}

#[test]
fn json_for_errors() {
    let error = |words: &[&str], status| report(&client(words), status)["error"].clone();
    let division = error(&["--json", "--local", "-op", "/", "1", "0"], 1);
    assert_eq!((&division["kind"], &division["status"]), (&json!("server"), &json!(3)));
    assert!(division["message"].as_str().unwrap().ends_with("answered: division by zero"), "{division}");
    let usage = error(&["-json", "-op", "plus"], 2);
    assert_eq!((&usage["kind"], &usage["exit_status"]), (&json!("usage"), &json!(2)));
    assert_eq!(error(&["--json", "-e", "1+", "--local"], 2)["kind"], json!("usage"));
    assert_eq!(error(&["--json", "-op", "-", "--classic", "::1", "9", "1"], 2)["kind"], json!("request"));
    let port = free_port().to_string();
    assert_eq!(error(&["--json", "-op", "+", "::1", &port, "1"], 1)["kind"], json!("unanswered"));
}

#[test]
fn repeats_are_summed_up() {
    let ended = client_line("--local --repeat 4 -op + 1 2");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((ended.status, lines.len()), (Some(0), 6), "{ended:?}");
    assert!(lines[..4].iter().all(|line| line.starts_with("Result: 3  ") && line.ends_with(" ms")), "{ended:?}");
    assert_eq!(lines[4], "4 asked, 4 answered, 0 unanswered; 4 datagrams sent");
    assert!(lines[5].starts_with("round trip min/mean/p50/p99/max = "), "{ended:?}");
    assert!(!lines[5].contains("= 0.000/0.000"), "{ended:?}");

    let half =
        Scripted::start(|_, count| if count % 2 == 0 { vec![] } else { vec![Act::Reply(vec![0xff, 0, 0, 0, 3])] });
    let ended = client_line(&format!("--repeat 4 --retries 0 --timeout 0.02 -op + {} 1 2", half.words()));
    assert!(ended.stdout.contains("4 asked, 2 answered, 2 unanswered; 4 datagrams sent"), "{ended:?}");
    assert_eq!((ended.status, ended.stderr.matches("no reply to 1 datagram\n").count()), (Some(0), 2), "{ended:?}");

    let silent = Scripted::start(|_, _| vec![]);
    let ended = client_line(&format!("-q --repeat 2 --retries 0 --timeout 0.02 -op + {} 1 2", silent.words()));
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("2 asked, 0 answered, 2 unanswered; 2 datagrams sent"), "{ended:?}");

    // What a closed port refuses was sent, too.
    let ended = client_line(&format!("-q --repeat 2 -op + ::1 {} 1 2", free_port()));
    let sent = ended.stdout.trim_end().strip_prefix("2 asked, 0 answered, 2 unanswered; ");
    let sent = sent.and_then(|rest| rest.strip_suffix(" datagrams sent")).and_then(|count| count.parse::<u64>().ok());
    assert!(sent.is_some_and(|sent| sent >= 4), "{ended:?}");

    let liar = Scripted::start(|_, count| vec![Act::Reply(vec![0xff, 0, 0, 0, count as u8])]);
    let ended = client_line(&format!("-q --repeat 3 -op + {} 1 2", liar.words()));
    assert_eq!(ended.stderr, "client: 3 different results in 3 answers to the same request\n");
    assert_eq!(ended.status, Some(1), "{ended:?}");
}

#[test]
fn an_interval_and_a_deadline_hold_over_all_repeats() {
    let begun = std::time::Instant::now();
    let ended = client_line("--local -q --repeat 4 --interval 50ms -op + 1 2");
    assert!(ended.stdout.starts_with("4 asked, 4 answered"), "{ended:?}");
    assert!(begun.elapsed() >= std::time::Duration::from_millis(150));
    let ended = client_line("--local -q --repeat 1000000 --interval 20ms --deadline 200ms -op + 1 2");
    let asked: u64 = ended.stdout.split(' ').next().unwrap().parse().unwrap();
    assert!((1..=11).contains(&asked), "{ended:?}");
    client_line("--local --interval 1 -op + 1 2").complained(2, "--interval needs --repeat");
}

#[test]
fn expressions_come_from_lines() {
    let lines = |line: &str, input: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.args(line.split_whitespace());
        run(command, input)
    };
    let text = b"\xef\xbb\xbf1+1\r\n# a comment\n\n2*(3+4) # fourteen\n";
    lines("-e - --local", text).printed("Result: 2\nResult: 14\n");
    let ended = lines("-e - --local", b"1+1\n\xe9\n2+\n3+3\n");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "Result: 2\nResult: 6\n"), "{ended:?}");
    assert!(ended.stderr.starts_with("client: line 2: the line is not UTF-8\nclient: line 3: "), "{ended:?}");
    assert!(ended.stderr.ends_with("client: 2 lines had no result\n"), "{ended:?}");
    for mode in ["-i", "-e -"] {
        let ended = lines(&format!("--json --local {mode}"), b"1+1\n2+\n3+3\n");
        let objects: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 4, "{ended:?}");
        assert_eq!((&objects[0]["result"], &objects[2]["result"]), (&json!("2"), &json!("6")), "{ended:?}");
        assert_eq!(objects[1]["error"]["kind"], json!("usage"), "{ended:?}");
        assert_eq!(objects[3]["error"]["kind"], json!("lines"), "{ended:?}");
    }
}

#[test]
fn expressions() {
    for (expression, value) in [
        ("(1+3)*5 - 2^10", "-1004"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("gcd(12, 18) + xor(5, 3)", "12"),
        ("7 % 4 | 8 & 12", "11"),
        ("4294967295 * 4294967295", "18446744065119617025"),
        ("42", "42"),
    ] {
        client(["--local", "-e", expression]).printed(&format!("Result: {value}\n"));
        client(["-expression", expression, "--local"]).printed(&format!("Result: {value}\n"));
    }
    let ended = client(["--local", "-e", "2 * (3 + )"]);
    let complaint = "client: -e: column 10: expected an integer, a function or '(' before ')'\n    2 * (3 + )\n";
    assert_eq!(ended.stderr, format!("{complaint}             ^\n"));
    assert_eq!(ended.status, Some(2));
    let ended = client(["--local", "-e", "1 / (3 - 3)"]);
    assert!(ended.stderr.starts_with("client: column 3: "), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("answered: division by zero\n    1 / (3 - 3)\n      ^\n"), "{}", ended.stderr);
    assert_eq!(ended.status, Some(1));
}

#[test]
fn independent_parts_are_asked_for_at_the_same_time() {
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let serving = thread::spawn(move || {
        let mut datagram = [0; 64];
        // No reply is sent until both sums have been requested.
        let (_, first) = receive_from(&socket, &mut datagram).unwrap();
        let (_, second) = receive_from(&socket, &mut datagram).unwrap();
        assert_ne!(first, second, "each classic exchange has a socket of its own");
        for asker in [first, second] {
            socket.send_to(&[0xff, 0, 0, 0, 3], asker).unwrap();
        }
        let (len, third) = receive_from(&socket, &mut datagram).unwrap();
        assert_eq!(datagram[..len], [0x02, 0, 0, 0, 3, 0, 0, 0, 3]);
        socket.send_to(&[0xff, 0, 0, 0, 9], third).unwrap();
    });
    client(["--timeout", "5", "-e", "(1 + 2) * (2 + 1)", "::1", &port]).printed("Result: 9\n");
    serving.join().unwrap();
}

#[test]
fn lines_of_a_pipe_are_answered_without_a_prompt() {
    let text = "+ 1 3 5\n\nmul 6 7\n_ - 2\n- _ 1 1\ngcd(12, 18)\n- (3)\nhelp\nquit\n+ 1 1\n";
    let ended = client_reading("--local -i", text);
    let (results, help) = ended.stdout.split_at(ended.stdout.find("+ 1 3 5 ").unwrap());
    assert_eq!(results, "Result: 9\nResult: 42\nResult: 40\nResult: 38\nResult: 6\nResult: -3\n");
    assert!(help.contains("trace on"), "{help}");
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));

    let ended = client_reading("--local -q -i", "1/0\n2 * (\ntrace on\n3 + 4\ntrace off\n5\n");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), "7\n5\n"), "{ended:?}");
    for said in [
        "client: line 1: column 2: ::1 port",
        "answered: division by zero\n",
        "client: line 2: column 6: ",
        "    2 * (\n",
        "+ 3 4 (classic request",
        "client: 2 lines had no result\n",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
}
