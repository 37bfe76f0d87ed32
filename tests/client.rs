//! The `client` program on real sockets: against the real server, and against servers that follow a script.

mod asking;
#[path = "client/replies.rs"]
mod replies;
mod serving;

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use asking::{Act, Ended, Scripted, client, client_line, run};
use serving::Server;
use tempfile::TempDir;

/// The block of the README, pasted into bash.
const BLOCK: &str = "\
./server :: 10000 &
./client -op + ::1 10000 1 3 5 7 9
./client -op * -s ::1 10000 1 3 5 7 9
./client -op + ::1 10000 1 3 5
";

/// Runs a bash script in a network namespace of its own, loopback up, from a folder that holds only the programs.
/// A command that fails ends it; it waits for the end of the server.
fn bash(script: &str) -> Ended {
    let folder = folder();
    for program in [env!("CARGO_BIN_EXE_client"), env!("CARGO_BIN_EXE_server"), env!("CARGO_BIN_EXE_lab")] {
        let program = Path::new(program);
        fs::copy(program, folder.path().join(program.file_name().unwrap())).unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["bash", "-c", "ip link set lo up && exec bash -e"]).current_dir(folder.path());
    run(command, script.as_bytes())
}

/// A folder of the test, removed when this is dropped.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn the_block_of_the_readme_works_when_pasted() {
    let script = format!("{BLOCK}kill %1\nwait %1\n");
    let stderr = bash(&script).printed("Result: 25\nResult: 945\nResult: 9\n");
    assert!(stderr.contains("server: listening on"), "{stderr}");
    assert!(stderr.contains("client: note: the file names after -op mean *; quote it: -op '*'\n"), "{stderr}");
}

#[test]
fn names_have_several_addresses_and_addresses_have_zones() {
    let script = "\
printf '::1 both\\n127.0.0.1 both\\n' >hosts
mount --bind hosts /etc/hosts
./server 127.0.0.1 10000 &
./client --timeout 0.2 -op + both 10000 4 2 3
ip address add fe80::6/64 dev lo nodad
until ip -6 route show table local | grep -q fe80::6; do sleep 0.01; done
./server fe80::6%lo 10001 &
./client -op + fe80::6%lo 10001 4 2 3
kill %1 %2
wait %1 %2
./client --timeout 0.2 -op + both 10000 4 2 3 && exit 9
./client -op + neither 10000 4 2 3 && exit 9
echo done
";
    let stderr = bash(script).printed("Result: 9\nResult: 9\ndone\n");
    let refused = "no server listens there (connection refused)";
    assert!(
        stderr.contains(&format!("client: ::1 port 10000: {refused}; 127.0.0.1 port 10000: {refused}\n")),
        "{stderr}"
    );
    assert!(stderr.contains("client: host \"neither\": "), "{stderr}");
}

#[test]
fn every_operator_and_both_spellings_of_options() {
    let server = Server::start(&["::", "0"]);
    for (line, result) in [
        ("-op + ::1 PORT 1 3 5 7 9", "25"),
        ("--op + --string ::1 PORT 1 3 5", "9"),
        ("-op=mul -s ::1 PORT 1 3 5 7 9", "945"),
        ("-op x 127.0.0.1 PORT 6 7", "42"),
        ("-op sum ::ffff:127.0.0.1 PORT 6 7", "13"),
        ("-op + [::1] PORT 6 7", "13"),
        ("-op - ::1 PORT 3 -5", "8"),
        ("-op - ::1 PORT 7", "-7"),
        ("-op / ::1 PORT -7 2", "-3"),
        ("-op % ::1 PORT -7 2", "-1"),
        ("-op ^ -s ::1 PORT -2 65", "-36893488147419103232"),
        ("-op gcd ::1 PORT -12 18", "6"),
        ("-op lcm ::1 PORT 4 -6", "12"),
        ("-op < ::1 PORT 3 -1 2", "-1"),
        ("-op max ::1 PORT 3 -1 2", "3"),
        ("-op & ::1 PORT -1 12 10", "8"),
        ("-op or ::1 PORT -4 1", "-3"),
        ("-op ~ ::1 PORT -1 5", "-6"),
        ("-op * ::1 PORT 4294967295 2", "8589934590"),
        ("-op + ::1 PORT 0xff 0b11 0o17 1_000", "1273"),
        ("-op + --extended ::1 PORT 1 2", "3"),
        ("-op + --classic ::1 PORT 1 2", "3"),
        ("-op + -- ::1 PORT -1 2", "1"),
        ("-op + --local 1 3 5 7 9", "25"),
        ("--local -op + -1 3", "2"),
        ("-op - --local -- -1", "1"),
    ] {
        let line = line.replace("PORT", &server.port.to_string());
        assert_eq!(client_line(&line).printed(&format!("Result: {result}\n")), "", "{line}");
    }
    let quiet = format!("-q -op + ::1 {} 1 2", server.port);
    assert_eq!(client_line(&quiet).printed("3\n"), "");
    let totals = server.stop();
    assert!(totals.contains("errors answered 0, dropped 0"), "{totals}");
}

#[test]
fn ports_by_the_name_of_their_service() {
    let script = "\
printf 'calc6 10000/udp\\n' >services
mount --bind services /etc/services
./server :: 10000 &
./client -op + ::1 calc6 4 2 3
kill %1
wait %1
";
    bash(script).printed("Result: 9\n");
}

#[test]
fn a_long_result_is_requested_again_without_a_note() {
    let digits = calc6::arithmetic::evaluate(calc6::wire::Operator::Power, &[2.into(), 4000.into()], 4001).unwrap();
    assert_eq!(digits.to_string().len(), 1205);
    for line in ["-op ^ -s --local 2 4000", "-op ^ --local 2 4000"] {
        assert_eq!(client_line(line).printed(&format!("Result: {digits}\n")), "");
    }
    let too_long = client_line("-op ^ -s --local 2 5000");
    too_long.complained_of(1, "cannot return the result: longer than this server ever sends");
}

#[test]
fn many_operands_are_split_and_combined() {
    let count = 3_000;
    let operands = || (1..=count).map(|operand| operand.to_string());
    let asked = |options: &[&str]| {
        client(options.iter().map(|word| word.to_string()).chain(["--local".to_owned()]).chain(operands()))
    };
    for options in [&["-op", "+"][..], &["-op", "+", "--classic"], &["-op", "+", "-s"]] {
        assert_eq!(asked(options).printed(&format!("Result: {}\n", count * (count + 1) / 2)), "");
    }
    asked(&["-op", "gcd"]).printed("Result: 1\n");
    asked(&["-op", "max"]).printed("Result: 3000\n");
    let product = calc6::arithmetic::evaluate(
        calc6::wire::Operator::Product,
        &(1..=count).map(Into::into).collect::<Vec<_>>(),
        u64::MAX,
    );
    for options in [&["-op", "mul"][..], &["-op", "mul", "-s"]] {
        asked(options).printed(&format!("Result: {}\n", product.clone().unwrap()));
    }
    assert_eq!(asked(&["-op", "-"]).printed(&format!("Result: {}\n", 2 - count * (count + 1) / 2)), "");
    assert_eq!(asked(&["-op", "/"]).printed("Result: 0\n"), "");
    let line = "remainder takes at most 610 operands of up to 2 octets in one datagram, not 3000";
    asked(&["-op", "%"]).complained(2, line);
}

#[test]
fn operands_have_up_to_255_octets() {
    let largest = format!("0x7f{}", "f".repeat(508));
    let evaluated =
        calc6::arithmetic::evaluate(calc6::wire::Operator::Sum, &[largest.parse().unwrap(), 1.into()], u64::MAX);
    client(["-op", "+", "--local", &largest, "1"]).printed(&format!("Result: {}\n", evaluated.unwrap()));
    let larger = format!("0x80{}", "0".repeat(508));
    let line = "operand 2 has 256 octets in two's complement; at most 255 can be sent";
    client(["-op", "+", "--local", "1", &larger]).complained(2, line);
    let longest = "9".repeat(5000);
    let line = "argument 4: 5000 characters; an operand has at most 255 octets";
    client(["-op", "+", "--local", &longest]).complained(2, line);
}

#[test]
fn errors_of_the_system_come_with_a_hint() {
    let script = "\
nft add table inet test
nft add chain inet test in '{ type filter hook input priority 0; }'
nft add rule inet test in udp dport 7 reject with icmpx type admin-prohibited
nft add chain inet test out '{ type filter hook output priority 0; }'
nft add rule inet test out udp dport 8 drop
./client --timeout 0.2 -op + ::1 7 1 && exit 9
./client --timeout 0.2 -op + ::1 8 1 && exit 9
./client -op + fe80::1 9 1 && exit 9
./client -op + fe80::1%eth9 9 1 && exit 9
./client --timeout 0.2 -op + 2001:db8::1 9 1 && exit 9
echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6
./client --timeout 0.2 -op + ::1 9 1 && exit 9
echo done
";
    let stderr = bash(script).printed("done\n");
    let lines: Vec<&str> = stderr.lines().collect();
    let expected = [
        "client: ::1 port 7: refused by a firewall on the way (administratively prohibited)",
        "client: ::1 port 8: this machine's firewall drops it",
        "client: host \"fe80::1\": a link-local address needs a zone, such as fe80::1%eth0",
        "client: host \"fe80::1%eth9\": no interface eth9 here",
        "client: 2001:db8::1 port 9: no route to its network",
        "client: ::1 port 9: IPv6 is off on this machine (try 127.0.0.1)",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn usage_errors_say_what_is_wrong_where_and_what_is_expected() {
    for (line, complaint) in [
        ("", "nothing to ask: expected -op OPERATOR, -e EXPRESSION, -i or --describe (see --help)"),
        ("::1 10000 1", "nothing to ask: expected -op OPERATOR, -e EXPRESSION, -i or --describe (see --help)"),
        ("-op + -e 1+2 ::1 9", "-op and -e cannot be combined"),
        ("-i --describe ::1 9", "-i and --describe cannot be combined"),
        ("--describe ::1 9 1 2", "describe takes no operands, not 2"),
        ("-e 1+2 ::1 9 3", "-e takes no operands, not 1"),
        ("-i --local --file x", "-i takes no operands, so no --file"),
        ("-op + --local --file x 7", "argument 6: \"7\": unexpected operand on the command line with --file"),
        ("-op + ::1 9 1 -", "argument 6: \"-\" is not an integer: no digits"),
        ("-op + --file /nowhere/x ::1 9", "--file: \"/nowhere/x\": No such file or directory (os error 2)"),
        ("-op + --repeat 0 ::1 9 1", "--repeat: \"0\": expected a whole number from 1"),
        ("-e 1+2 --repeat 3 ::1 9", "--repeat needs -op with operands on the command line"),
        ("-op + --base 7 ::1 9 1", "--base: \"7\": expected 2, 8, 10 or 16"),
        ("-op + --max-result 1T ::1 9 1", "--max-result: \"1T\": expected octets, such as 4096, 64K or 1M"),
        (
            "-op + --also ::1:9 ::1 9 1",
            "--also: \"::1:9\": expected HOST:PORT, with an IPv6 address in brackets: [ADDRESS]:PORT",
        ),
        ("-op", "-op: missing operator; some symbols have a meaning in the shell: quote '<' '>' '&' '|' '~'"),
        (
            "-op plus ::1 1 2",
            "-op: \"plus\" is not an operator; expected one of + - * / % ^ gcd lcm min max & | ~ or a word such as mul \
             (--help lists them)",
        ),
        ("-op +", "missing HOST and PORT (--local needs none; see --help)"),
        ("-op + ::1", "missing PORT after the host \"::1\""),
        ("-op + ::1 0 1", "port \"0\": expected a number from 1 to 65535 or the name of a service"),
        ("-op + ::1 65536 1", "port \"65536\": expected a number from 1 to 65535 or the name of a service"),
        ("-op + ::1 9", "sum takes one operand or more, not 0"),
        ("-op / ::1 9 1", "quotient takes two operands or more, not 1"),
        ("-op ^ ::1 9 1 2 3", "power takes two operands, not 3"),
        ("-op ? ::1 9 1", "describe takes no operands, not 1"),
        ("-op + ::1 9 1 x2", "argument 6: \"x2\" is not an integer: 'x' at character 1 is not a digit of base 10"),
        ("-op + --local 1 2 3z", "argument 6: \"3z\" is not an integer: 'z' at character 2 is not a digit of base 10"),
        ("-op + --local -1 2 0x", "argument 6: \"0x\" is not an integer: no digits"),
        (
            "-op + ::1 9 1_",
            "argument 5: \"1_\" is not an integer: '_' at character 2 does not stand between two digits",
        ),
        ("-op + ::1 9 -x", "unknown option -x (see --help)"),
        ("-op + ::1 9 -- -x", "argument 6: \"-x\" is not an integer: 'x' at character 2 is not a digit of base 10"),
        ("--timeuot 1 -op + ::1 9 1", "unknown option --timeuot; similar: --timeout (see --help)"),
        ("-op + -op - ::1 9 1", "option -op may be given only once"),
        ("--nonsense", "unknown option --nonsense (see --help)"),
        ("-sx -op + ::1 9 1", "unknown option -sx (see --help)"),
        ("-z", "unknown option -z (see --help)"),
        ("--string=1 -op + ::1 9 1", "option --string takes no value"),
        ("-op + --timeout", "option --timeout: missing DURATION"),
        ("-op + --timeout 0 ::1 9 1", "--timeout: \"0\": expected at least 1 us"),
        (
            "-op + --timeout -5 ::1 9 1",
            "--timeout: \"-5\": expected a duration up to a day, such as 0.1 (seconds) or 100ms",
        ),
        (
            "-op + --timeout nan ::1 9 1",
            "--timeout: \"nan\": expected a duration up to a day, such as 0.1 (seconds) or 100ms",
        ),
        (
            "-op + --deadline 1x ::1 9 1",
            "--deadline: \"1x\": expected a duration up to a day, such as 0.1 (seconds) or 100ms",
        ),
        ("-op + --retries 31 ::1 9 1", "--retries: \"31\": expected a whole number from 0 to 30"),
        ("-op + --classic --extended ::1 9 1", "--classic and --extended cannot be combined"),
        (
            "-op gcd --classic ::1 9 1",
            "the classic form has only sum and product, not gcd; without --classic it can be asked",
        ),
        (
            "-op + --classic ::1 9 -1",
            "operand 1 is -1; the classic form has only integers from 0 to 4294967295; without --classic it can be asked",
        ),
        (
            "-op + --classic ::1 9 4294967295 1",
            "the sum is over 4294967295, the largest integer that the classic form can return; \
             -s asks for a string of digits instead",
        ),
    ] {
        let status = if line.contains("/nowhere/") { 1 } else { 2 };
        client_line(line).complained(status, complaint);
    }
    let not_utf8 = std::ffi::OsString::from_vec(vec![0xff]);
    client(["-op".into(), "+".into(), "::1".into(), "9".into(), not_utf8])
        .complained(2, r#"argument 5: "\xFF" is not UTF-8"#);
}

#[test]
fn spellings_of_options_and_servers() {
    let server = Server::start(&["::", "0"]);
    let port = server.port;
    for line in [
        format!("-op + ::1 {port} 1 3 -q"),
        format!("::1 {port} 1 3 --op + -q"),
        format!("-op + [::1]:{port} 1 3 -q"),
        format!("-op + localhost:{port} 1 3 -q"),
        format!("-op + 127.0.0.1:{port} 1 3 -q"),
        format!("-sq -op + -- ::1 {port} 1 3"),
        format!("-q -op + --timeout 900ms --deadline 2 ::1 {port} 1 3"),
        format!("-q --verify -op + ::1 {port} 1 3"),
    ] {
        client_line(&line).printed("4\n");
    }
    client_line(&format!("::1 {port} -op - -q 3 -5")).printed("8\n");
    assert!(client_line(&format!("-op + ::1 {port} 1 --help")).stdout.starts_with("Usage: client"));
}

#[test]
fn what_would_fit_is_said() {
    let ended = client_line("--local -s -op ^ 2 5000");
    assert!(ended.stderr.ends_with("longer than this server ever sends; without -s it fits\n"), "{ended:?}");
    let ended = client_line("--local -s -op ^ 2 40000");
    assert!(ended.stderr.ends_with("longer than this server ever sends\n"), "{ended:?}");
    client_line("--local --deadline 1us -op + 1 2").complained(1, "the deadline passed before anything was sent");
}

#[test]
fn verify_finds_a_wrong_result() {
    let wrong = Scripted::start(|_, _| vec![Act::Reply(vec![0xff, 0, 0, 0, 5])]);
    let words = wrong.words();
    let sentence = "the server's result 5 is wrong: computed here, it is 4";
    client_line(&format!("--verify -op + {words} 1 3")).complained(1, sentence);
    client_line(&format!("--verify -e 1+3 {words}")).complained(1, sentence);
    let folder = folder();
    let file = folder.path().join("operands");
    fs::write(&file, "1 # one\n3").unwrap();
    client_line(&format!("--verify -op + {words} --file {}", file.display())).complained(1, sentence);
    client_line("--verify -op + --local --file x").complained_of(1, "No such file");
    client_line("--verify -op + --local -").complained_of(2, "--verify computes over operands of the command line");
}

#[test]
fn file_names_in_place_of_operators_are_explained() {
    let folder = folder();
    for name in ["a", "b"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let quoting = "it is a file name, which the shell substitutes for * and ?: quote them, -op '*', or write mul";
    let client = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.args(line.split_whitespace()).current_dir(folder.path());
        run(command, b"")
    };
    client("-op a ::1 9 1").complained(2, &format!("-op: \"a\" is not an operator; {quoting}"));
    client("-op a c ::1 9 1").complained(2, &format!("-op: \"a\" is not an operator; {quoting}"));
    let stderr = client("-op b a --local 6 7").printed("Result: 42\n");
    assert_eq!(stderr, "client: note: the file names after -op mean *; quote it: -op '*'\n");
    assert_eq!(client("-q -op b a --local 6 7").printed("42\n"), "");
    let alone = tempfile::tempdir_in(folder.path()).unwrap();
    fs::write(alone.path().join("max"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args("-op max --local 6 7".split(' ')).current_dir(alone.path());
    let note = run(command, b"").printed("Result: 7\n");
    let expected = "client: note: -op max: understood as the operator, but it is also the only file here; \
                    for a product quote -op '*'\n";
    assert_eq!(note, expected);
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(["-op", "/home/someone", "::1", "9", "1"]).env("HOME", "/home/someone");
    run(command, b"").complained(
        2,
        "-op: \"/home/someone\" is not an operator; the shell substitutes the home folder for ~: quote it, -op '~', \
         or write xor",
    );
}

#[test]
fn help_and_version() {
    let help = client_line("--help");
    assert!(help.stdout.contains("Examples:\n  client -op + ::1 10000 1 3 5 7 9"), "{}", help.stdout);
    assert!(help.stdout.lines().all(|line| line.chars().count() <= 100), "{}", help.stdout);
    assert_eq!(client_line("-h"), help);
    help.printed(&client_line("-h -op + ::1").stdout);
    assert_eq!(client_line("-V").stdout, format!("client {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(client_line("--version").status, Some(0));
}

#[test]
fn a_server_describes_itself() {
    for operator in ["?", "describe"] {
        let described = client(["--local", "-op", operator]);
        assert!(described.stdout.starts_with("calc6 "), "{described:?}");
        assert!(described.stdout.contains("\noperators="), "{described:?}");
        assert_eq!((described.status, described.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_closed_standard_output_ends_quietly() {
    let script = "\
./client --help | :
./client --local -op + 1 2 | :
./client --local -op + 1 2 >/dev/full && exit 9
echo \"${PIPESTATUS[*]}\"
";
    let stderr = bash(script).printed("1\n");
    assert_eq!(stderr, "client: standard output: No space left on device (os error 28)\n");
}
