//! Chapter 6: the service through a bad network, in each of the languages.
use std::process::Command;

use crate::support::{PATIENCE, Program, Running, c, fails, python, run, rust, serve, start};

fn ours() -> Command {
    rust("datagrams")
}

fn in_c() -> Command {
    c("6-datagrams")
}

fn in_python() -> Command {
    python("6-datagrams")
}

const ALL: [Program; 3] = [ours, in_c, in_python];

fn server() -> (Running, String) {
    serve(Command::new(env!("CARGO_BIN_EXE_server")), &["::1", "0"])
}

/// Starts `lab relay` in front of a port; its own port.
fn relay(port: &str, options: &[&str]) -> (Running, String) {
    let relay = start(
        Command::new(env!("CARGO_BIN_EXE_lab")),
        &[&["relay", "-q", "--seed", "5", "::1", "0", "::1", port], options].concat(),
    );
    let said = relay.error();
    let address = said.strip_prefix("lab relay: listening on [::1]:").and_then(|rest| rest.split(',').next());
    let port = address.expect(&said).to_owned();
    (relay, port)
}

/// The numbers of a line such as `lost: 3 5`.
fn numbers(printed: &str, line: &str) -> Vec<u32> {
    let line = printed.lines().find_map(|text| text.strip_prefix(line)).expect(printed);
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn without_the_relay_nothing_happens_to_a_datagram() {
    let (_server, port) = server();
    for program in [ours as Program, in_python] {
        let printed = run(program(), &["burst", "::1", &port, "50"]);
        assert_eq!(numbers(&printed, "arrived: "), (1..=50).collect::<Vec<u32>>());
        assert!(printed.ends_with("lost: none\nrepeated: none\novertaken: none\n"), "{printed}");
    }
}

#[test]
fn the_relay_loses_repeats_and_reorders() {
    let (_server, port) = server();
    let (_relay, port) = relay(&port, &["--loss", "20%", "--duplicate", "20%", "--reorder", "20%"]);
    for program in [ours as Program, in_python] {
        let printed = run(program(), &["burst", "::1", &port, "200"]);
        let [arrived, lost, repeated, overtaken] =
            ["arrived: ", "lost: ", "repeated: ", "overtaken: "].map(|line| numbers(&printed, line));
        assert!(!lost.is_empty() && !repeated.is_empty() && !overtaken.is_empty(), "{printed}");
        assert_eq!(arrived.len() - repeated.len() + lost.len(), 200);
    }
}

#[test]
fn a_request_is_repeated_until_it_is_answered() {
    for client in ALL {
        let (_server, port) = server();
        // With this seed the first datagram is lost, and not all five.
        let (_relay, port) = relay(&port, &["--loss", "60%", "--direction", "to-server"]);
        let printed = run(client(), &["ask", "::1", &port, "1", "3", "5", "7", "9"]);
        assert!(printed.starts_with("transmission 1\n") && printed.ends_with("Result: 25\n"), "{printed}");
        assert!(printed.contains("transmission 2\n"), "{printed}");
    }
}

/// The sum is the same however often it is asked for; the balance is not.
#[test]
fn a_repeat_counts_twice_where_the_operation_is_not_pure() {
    for (account, client) in [(ours as Program, in_c as Program), (in_c, in_python), (in_python, ours)] {
        let (_account, port) = serve(account(), &["account", "::1", "0"]);
        assert!(run(client(), &["ask", "::1", &port, "5"]).ends_with("Result: 5\n"));
        let (_relay, port) = relay(&port, &["--loss", "60%", "--direction", "to-client"]);
        // With this seed the first reply is lost: 10 would have been right.
        let printed = run(client(), &["ask", "::1", &port, "5"]);
        let balance = numbers(&printed, "Result: ")[0];
        assert!(balance >= 15 && balance.is_multiple_of(5), "{printed}");
    }
}

#[test]
fn a_request_is_given_up_in_the_end() {
    let begun = std::time::Instant::now();
    let (_server, port) = server();
    let (_relay, port) = relay(&port, &["--loss", "100%"]);
    let (code, said) = fails(ours(), &["ask", "::1", &port, "1"]);
    assert_eq!((code, said.as_str()), (1, "datagrams: no reply to 5 transmissions\n"));
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn two_servers_that_answer_everything_never_stop() {
    // On a busy machine the 100 ms may pass before the threads run.
    let counts = (0..20).map(|_| {
        let printed = run(ours(), &["loop"]);
        [
            numbers(&printed, "servers that answer everything: ")[0],
            numbers(&printed, "servers that answer no reply: ")[0],
        ]
    });
    assert!(
        counts.inspect(|[_, careful]| assert!(*careful <= 1)).any(|[endless, careful]| endless > 10 && careful == 1)
    );
}

#[test]
fn wrong_arguments_are_explained() {
    for program in ALL {
        for wrong in [
            &[][..],
            &["ask", "::1", "1"],
            &["ask", "::1", "1", "x"],
            &["account", "::1", "65536"],
            &["sing", "::1", "1"],
        ] {
            let (code, said) = fails(program(), wrong);
            assert_eq!(code, 2, "{wrong:?}");
            assert!(said.starts_with("usage: "), "{said}");
        }
    }
}
