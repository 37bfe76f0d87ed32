//! What is required of a client, judged by its requests, its standard output and its exit status.

use super::request::diagnose;
use super::scenario::{DECOY, Run, Runs, expected_result, planned_request};
use crate::check::report::{Advice, Judgement, hex};
use crate::check::table::Level::{Informative, Must, Should};
use crate::check::table::{Check, Level};
use crate::process::{describe, shown};

/// A check, and what judges it.
pub struct ClientCheck {
    /// What is checked.
    pub check: Check,
    /// How.
    pub judge: fn(&Runs) -> Judgement,
}

/// In the order of the report: what others need comes first.
pub const CHECKS: &[ClientCheck] = &[
    check(
        "sends",
        "1.1",
        Must,
        "it sends a request",
        "Nothing else can be judged of a client that sends nothing.",
        &[],
        sends,
    ),
    check(
        "sum-request",
        "2.1",
        Must,
        "a sum as integer is opcode 0, F = 0, with the operands in order, 4 octets each in network byte order",
        "The server reads what is on the wire: htonl every operand, and send as many octets as there are.",
        &["sends"],
        |runs| runs.first_request("sum"),
    ),
    check(
        "product-request",
        "2.3",
        Must,
        "a product is opcode 1, in bits 4 to 6 of the first octet",
        "The opcode stands above the format bit: opcode << 1.",
        &["sum-request"],
        |runs| runs.first_request("product"),
    ),
    check(
        "text-request",
        "2.4",
        Must,
        "a result as text is asked for by F = 1, the least significant bit",
        "Without it the server sends an integer.",
        &["sum-request"],
        |runs| runs.first_request("text"),
    ),
    check(
        "text-product-request",
        "2.4",
        Must,
        "a product as text is opcode 1 and F = 1",
        "Operation and format are independent fields: opcode << 1 | format.",
        &["product-request", "text-request"],
        |runs| runs.first_request("text-product"),
    ),
    check(
        "unused-zero",
        "2.2",
        Must,
        "the four unused bits of a request are 0",
        "A later version may give them a meaning; set ones would then ask for it.",
        &["text-request"],
        unused_zero,
    ),
    check(
        "one-request",
        "1.1",
        Must,
        "a request is one datagram",
        "Datagrams have bounds: a header and operands in two sends are two requests, both malformed.",
        &["sum-request"],
        one_request,
    ),
    check(
        "unsigned-operand",
        "2.1",
        Must,
        "operands up to 2^32 - 1 are sent",
        "Operands are unsigned: read them with strtoul, not atoi, which is undefined beyond 2^31 - 1.",
        &["sum-request"],
        |runs| runs.first_request("unsigned"),
    ),
    check(
        "64-operands",
        "2.1",
        Must,
        "64 operands are sent",
        "A request carries up to 64: 257 octets.",
        &["sum-request"],
        |runs| runs.first_request("64"),
    ),
    check(
        "result-line",
        "1.1",
        Must,
        "the result is printed as asked: \"Result: \" and the number",
        "Scripts and graders read it. (--result-prefix says what else stands before a result.)",
        &["sends"],
        |runs| runs.printed.line.clone(),
    ),
    check(
        "integer-reply",
        "2.5",
        Must,
        "an integer result is printed, and the exit status is 0",
        "It is what the user asked for: ntohl of the four octets after the header.",
        &["sends"],
        |runs| runs.all_print(["sum", "product"]),
    ),
    check(
        "unsigned-reply",
        "2.4",
        Should,
        "a result from 2^31 to 2^32 - 1 is printed as it was sent: unsigned",
        "printf's %d prints it as a negative number.",
        &["integer-reply"],
        |runs| runs.prints("unsigned"),
    ),
    check(
        "text-reply",
        "2.4",
        Must,
        "a result as text is printed whole, and nothing after it",
        "The text has no terminating NUL: its length is that of the datagram, less 1.",
        &["integer-reply", "text-request"],
        |runs| runs.all_print(["text", "text-product", "long-text"]),
    ),
    check(
        "long-text",
        "2.10",
        Must,
        "a result of 256 digits is printed whole",
        "A reply has up to 257 octets; text has no word size.",
        &["text-reply"],
        |runs| runs.prints("longest-text"),
    ),
    check(
        "reply-unused",
        "2.5",
        Must,
        "the seven unused bits of a reply are ignored",
        "Servers differ in them: test S with octet & 0x80, never by octet == 0x80.",
        &["integer-reply"],
        |runs| runs.all_print(["unused-ff", "unused-d5", "unused-aa"]),
    ),
    check(
        "error-reply",
        "2.6",
        Must,
        "an error, S = 0, is not printed as a result, whatever its payload",
        "The payload of an error means nothing; a number made of it is a wrong result.",
        &["integer-reply"],
        |runs| first_broken(["error-bare", "error-number", "error-text"].map(|name| runs.prints_none(name))),
    ),
    check(
        "error-status",
        "2.6",
        Should,
        "an error ends with an exit status other than 0",
        "Scripts see only the exit status.",
        &["error-reply"],
        |runs| first_broken(["error-bare", "error-number", "error-text"].map(|name| runs.fails(name))),
    ),
    check(
        "stranger",
        "2.8",
        Must,
        "a reply from another port is not taken for the answer",
        "Anybody can send to the client's port. connect() the socket, or compare the source of what arrives.",
        &["integer-reply"],
        stranger,
    ),
    check(
        "duplicate",
        "2.8",
        Must,
        "a reply that comes twice is printed once",
        "Networks repeat datagrams.",
        &["integer-reply"],
        |runs| runs.prints("duplicate"),
    ),
    check(
        "survives",
        "4.9",
        Must,
        "no reply ends it by a signal",
        "Whatever arrives is data: a crash is a hole through which a server, or a forger, reaches its users.",
        &["sends"],
        survives,
    ),
    check(
        "repeats",
        "5.1",
        Should,
        "when no reply comes, the request is repeated, every octet of it, and the answer then printed",
        "UDP loses requests and replies and tells nobody: recv without a timeout waits for ever.",
        &["integer-reply", "sum-request"],
        repeats,
    ),
    check(
        "late",
        "5.1",
        Should,
        "a reply to the first request is printed also when the request has been repeated since",
        "A server may be far away, or busy: its reply is right whichever request it answers.",
        &["repeats"],
        late,
    ),
    check(
        "gives-up",
        "5.1",
        Should,
        "without any reply it ends, with an exit status other than 0 and without a result",
        "A program that waits for ever must be killed by hand, and a script around it never goes on.",
        &["repeats"],
        gives_up,
    ),
    check(
        "truncated",
        "2.8",
        Should,
        "a success that is too short is ignored, and the right reply after it printed",
        "recv says how much came; octets beyond that are whatever was in the buffer.",
        &["integer-reply"],
        |runs| runs.all_print(["truncated", "header-only"]),
    ),
    check(
        "oversized",
        "2.8",
        Should,
        "a success that is too long is ignored, and the right reply after it printed",
        "What does not have the length of an integer is none.",
        &["integer-reply"],
        |runs| runs.all_print(["oversized", "huge"]),
    ),
    check(
        "oversized-text",
        "2.8",
        Should,
        "text of more than 256 octets is ignored, and the right reply after it printed",
        "What is longer than the buffer is truncated: half a number is a wrong number.",
        &["text-reply"],
        |runs| runs.prints("huge-text"),
    ),
    check(
        "empty-reply",
        "2.8",
        Should,
        "an empty datagram is ignored, and the right reply after it printed",
        "recv returns 0 for it; in UDP that is no end of file, and the buffer holds no header.",
        &["integer-reply"],
        |runs| runs.prints("empty"),
    ),
    check(
        "timer",
        "5.3",
        Should,
        "what does not count does not prolong the wait",
        "Otherwise whoever sends junk keeps the client waiting for ever.",
        &["gives-up", "truncated"],
        timer,
    ),
    check(
        "not-decimal",
        "2.8",
        Should,
        "text that is no decimal number is ignored, and the right reply after it printed",
        "What is printed goes to a terminal or a script: it should be what it claims to be.",
        &["text-reply"],
        |runs| runs.prints("not-decimal"),
    ),
    check(
        "nul-reply",
        "2.11",
        Should,
        "one NUL after the digits is accepted and not printed",
        "Some servers send the string's terminator.",
        &["text-reply"],
        |runs| runs.prints("nul"),
    ),
    check(
        "negative-reply",
        "2.11",
        Should,
        "a - before the digits is accepted",
        "Some servers print unsigned numbers as signed ones.",
        &["text-reply"],
        |runs| runs.prints_this("negative", "-2"),
    ),
    check(
        "retransmission",
        "5.1",
        Informative,
        "how often and when it asks",
        "RFC 8085 recommends 1 s at first, then doubling waits, so that a crowd of clients does not crush a server.",
        &["sends"],
        retransmission,
    ),
    check(
        "operand-over",
        "2.1",
        Informative,
        "what becomes of the operand 4294967296",
        "It does not fit 32 bits: refusing it, or another form of request, beats sending 0.",
        &["sum-request"],
        |runs| told(runs, "over"),
    ),
    check(
        "operand-negative",
        "2.12",
        Informative,
        "what becomes of the operand -2",
        "Classic operands are unsigned: -2 would be sent as 4294967294.",
        &["sum-request"],
        |runs| told(runs, "minus"),
    ),
    check(
        "operands-65",
        "2.1",
        Informative,
        "what becomes of 65 operands",
        "A request carries at most 64.",
        &["sum-request"],
        |runs| told(runs, "65"),
    ),
];

const fn check(
    key: &'static str,
    clause: &'static str,
    level: Level,
    title: &'static str,
    why: &'static str,
    needs: &'static [&'static str],
    judge: fn(&Runs) -> Judgement,
) -> ClientCheck {
    ClientCheck { check: Check { key, clause, level, title, why, needs }, judge }
}

impl Runs {
    fn first_request(&self, name: &str) -> Judgement {
        let run = self.of(name);
        let expected = planned_request(run.scenario).unwrap_or_default();
        match run.requests.first() {
            Some((_, octets)) if same_but_unused(octets, &expected) => Judgement::holds([], hex(octets)),
            Some((_, octets)) => {
                Judgement::broken([], hex(&expected), hex(octets)).because(diagnose(&expected, octets, run))
            }
            None => Judgement::broken([], hex(&expected), format!("nothing; {}", run.came())),
        }
    }

    /// The result is printed once, and nothing else as a result, with exit status 0.
    fn prints(&self, name: &str) -> Judgement {
        self.prints_this(name, &expected_result(self.of(name).scenario))
    }

    fn prints_this(&self, name: &str, expected: &str) -> Judgement {
        let run = self.of(name);
        let results = self.printed.results(&run.stdout);
        if results == [expected] && run.succeeded() && !run.stdout.contains('\0') {
            return Judgement::holds([], shown(&run.stdout));
        }
        if run.crashed() {
            return Judgement::see("survives");
        }
        let expected_words = format!("\"{}{expected}\", and exit status 0", self.printed.prefix());
        Judgement::broken(run.answered.clone(), expected_words, run.came())
            .because(explain_result(run, &results, expected))
    }

    fn all_print<const N: usize>(&self, names: [&str; N]) -> Judgement {
        first_broken(names.map(|name| self.prints(name)))
    }

    fn prints_none(&self, name: &str) -> Judgement {
        let run = self.of(name);
        let results = self.printed.results(&run.stdout);
        let decoy = DECOY.to_string();
        let printed = run.succeeded() && !results.is_empty() || results.contains(&decoy);
        match printed {
            false => Judgement::holds([], run.came()),
            true => Judgement::broken(run.answered.clone(), "no result", run.came()).because(Advice::new(
                "S is 0, which says error, and the payload is printed all the same",
                "Test the reply's first octet: if (!(octet & 0x80)) it is an error.",
            )),
        }
    }

    fn fails(&self, name: &str) -> Judgement {
        let run = self.of(name);
        match run.status {
            Some(status) if status.code().is_some_and(|code| code != 0) => Judgement::holds([], describe(status)),
            Some(status) if status.success() => {
                Judgement::broken(run.answered.clone(), "an exit status other than 0", run.came()).because(Advice::new(
                    "the exit status 0 says that all went well",
                    "return 1 from main, exit(1), sys.exit(1), System.exit(1).",
                ))
            }
            _ if run.crashed() => Judgement::see("survives"),
            _ => Judgement::broken(run.answered.clone(), "an exit status other than 0", run.came()),
        }
    }
}

/// The first that does not hold, or the last.
fn first_broken<const N: usize>(judgements: [Judgement; N]) -> Judgement {
    let broken = judgements.iter().find(|judgement| !judgement.is_good()).cloned();
    broken.or_else(|| judgements.last().cloned()).unwrap_or_else(|| Judgement::not_judged("nothing was run"))
}

fn same_but_unused(octets: &[u8], expected: &[u8]) -> bool {
    octets.len() == expected.len() && octets[1..] == expected[1..] && octets[0] & 0x0f == expected[0] & 0x0f
}

/// Why a result is not printed, or another one.
fn explain_result(run: &Run, results: &[String], expected: &str) -> Option<Advice> {
    if results == [expected] && !run.succeeded() {
        return Some(match run.status {
            None => Advice::new(
                "the result is right, and the program does not end",
                "End after the first reply that counts.",
            ),
            Some(_) => Advice::new("the result is right, and the exit status is not 0", "return 0 from main."),
        });
    }
    let value = expected.parse::<u32>().ok();
    let printed = match results {
        [] => return no_result(run),
        [first, second, ..] if first == second => {
            return Some(Advice::new(
                "each reply that comes is printed, also one that comes twice",
                "End after the first reply that counts.",
            ));
        }
        [.., last] => last.as_str(),
    };
    let integer = printed.parse::<i64>().ok();
    let is = |number: u32| integer == Some(i64::from(number)) || integer == Some(i64::from(number as i32));
    let header = run.answered.first().and_then(|reply| reply.first()).copied().unwrap_or(0x80);
    let with_header = |value: u32| {
        u32::from_be_bytes([header, value.to_be_bytes()[0], value.to_be_bytes()[1], value.to_be_bytes()[2]])
    };
    let advice = match (printed, value) {
        (_, Some(value)) if value != value.swap_bytes() && is(value.swap_bytes()) => Advice::new(
            "the result is read in the other byte order",
            "ntohl of the four octets after the header; \"!I\" in Python's struct.",
        ),
        (_, Some(value)) if is(with_header(value)) || is(with_header(value).swap_bytes()) => Advice::new(
            "the header octet is read as a part of the result",
            "The result begins at the second octet of the reply.",
        ),
        (_, Some(value)) if value > i32::MAX as u32 && is(value) => Advice::new(
            "the result is printed as a signed number",
            "\"%u\" or PRIu32 in C, Integer.toUnsignedString in Java, \"!I\" and not \"!i\" in Python's struct.",
        ),
        (printed, _) if printed.contains('.') && printed.starts_with(expected) => {
            Advice::new(format!("a floating-point number, {}", shown(printed)), "Compute and print with integers.")
        }
        (printed, _) if printed.starts_with("b'") => {
            Advice::new("Python's bytes are printed as they are", "reply[1:].decode(), then print that.")
        }
        (printed, _) if printed.trim_matches(['\'', '"']) == expected && printed != expected => {
            Advice::new("quotes around the number", "Print the number alone.")
        }
        (_, _) if run.stdout.contains('\0') => Advice::new(
            "NULs are printed after the digits: the whole buffer",
            "The text ends where the datagram does: recv's result, packet.getLength() in Java.",
        ),
        (printed, _) if expected.len() > 20 && expected.starts_with(printed) => Advice::new(
            format!("only {} digits are printed: the buffer is too short", printed.len()),
            "A reply has up to 257 octets: make room for 256 digits.",
        ),
        (printed, _) if expected.len() > 10 && (integer.is_some() || printed.len() < expected.len()) => Advice::new(
            "the text is turned into an integer that cannot hold it",
            "Print the digits as they came; they need not become a number.",
        ),
        (printed, _) if printed.starts_with(expected) && run.scenario.text => Advice::new(
            "more is printed than came: no NUL ends the text, and what is left in the buffer follows",
            "printf(\"%.*s\", length - 1, reply + 1), with recv's result as the length.",
        ),
        _ => return None,
    };
    Some(advice)
}

/// A run that prints nothing.
fn no_result(run: &Run) -> Option<Advice> {
    let first = *run.answered.first()?.first()?;
    let plain = run.answered.len() == 1;
    Some(match run.status {
        Some(status) if !status.success() && plain && first & 0x80 != 0 => {
            if first == 0x80 {
                Advice::new(
                    "a success is taken for an error, or for no reply: S is the most significant bit of the first octet",
                    "if (octet & 0x80) it is a success.",
                )
            } else {
                Advice::new(
                    format!("the header {first:02x} is not taken for a success: it is compared with 0x80 as a whole"),
                    "S is one bit: test octet & 0x80, and ignore the others.",
                )
            }
        }
        Some(status) if !status.success() && !run.stderr.is_empty() => Advice::new(
            "it ends when a datagram does not count, where it should go on waiting",
            "Judge each datagram by its length and its first octet; where it is none that counts, receive again.",
        ),
        Some(_) => {
            Advice::new("it ended without a result", "Does it go on receiving after a datagram that does not count?")
        }
        None => Advice::new(
            "it waits although the reply has come",
            "Does it wait for a second datagram, or for more octets?",
        ),
    })
}

fn sends(runs: &Runs) -> Judgement {
    let run = runs.of("sum");
    if !run.requests.is_empty() {
        return Judgement::holds([], "");
    }
    let advice = match run.stderr.to_lowercase() {
        words if words.contains("usage") => Advice::new(
            "it does not understand its command line, and prints its usage",
            "It is called as -op + ::1 PORT 1 3 5 7 9: getopt reads -op as -o p; use getopt_long_only, or look at argv.",
        ),
        words if words.contains("invalid argument") => Advice::new(
            "the system refuses the address: its length is that of an IPv4 address, perhaps",
            "sizeof(struct sockaddr_in6), or what getaddrinfo says, and not sizeof(struct sockaddr).",
        ),
        words if words.contains("gaierror") || words.contains("family") || words.contains("unreachable") => {
            Advice::new(
                "the socket is an IPv4 one, and the server's address an IPv6 address",
                "Make the socket with AF_INET6.",
            )
        }
        words if words.contains("cannot start") => Advice::new("the command cannot be started", "Look at its path."),
        _ => Advice::new(
            "it ended, or waits, before it sends",
            "Run it by hand with ::1 and a port, and look at what it writes.",
        ),
    };
    Judgement::broken([], "a datagram to the host and port it was told", format!("none; {}", run.came()))
        .because(advice)
}

fn one_request(runs: &Runs) -> Judgement {
    if runs.lossy {
        return Judgement::not_judged("the reply may have been lost on the way");
    }
    let requests = &runs.of("sum").requests;
    let all = requests.iter().map(|(_, octets)| hex(octets)).collect::<Vec<_>>().join(", then ");
    match requests.len() {
        1 => Judgement::holds([], all),
        _ => Judgement::broken([], "one datagram, as it was answered at once", all).because(Advice::new(
            "a request goes out again although it was answered, or in two sends",
            "Send once, and again only when no reply has come in time.",
        )),
    }
}

fn unused_zero(runs: &Runs) -> Judgement {
    // After opcode 7 the four bits are the version.
    let classic = |octets: &&Vec<u8>| octets.first().is_some_and(|first| calc6::wire::opcode(*first) != 7);
    // What a repeat changes is a finding of `repeats`.
    let mut first = runs.all().filter_map(|run| run.requests.first()).map(|(_, octets)| octets);
    match first.by_ref().filter(classic).find(|octets| octets[0] & 0xf0 != 0) {
        None => Judgement::holds([], ""),
        Some(octets) => Judgement::broken([], "0 in the upper four bits", hex(octets)),
    }
}

fn stranger(runs: &Runs) -> Judgement {
    if runs.lossy {
        return Judgement::not_judged("the relay hands on what comes from the server only");
    }
    let run = runs.of("stranger");
    match run.stdout.contains(&DECOY.to_string()) {
        false => Judgement::holds([], run.came()),
        true => Judgement::broken(
            run.answered[..1].to_vec(),
            format!("{DECOY}, from another port, not printed"),
            run.came(),
        )
        .because(Advice::new(
            "whoever sends to its port is believed: no connect, and the source of the reply is not looked at",
            "connect() the socket to the server, then the kernel drops what others send.",
        )),
    }
}

fn survives(runs: &Runs) -> Judgement {
    match runs.all().find(|run| run.crashed()) {
        None => Judgement::holds([], ""),
        Some(run) => Judgement::broken(run.answered.clone(), "an end of its own", run.came()).because(Advice::new(
            "a length that is not checked before it is used",
            "Compile with -fsanitize=address,undefined, and run it again.",
        )),
    }
}

fn repeats(runs: &Runs) -> Judgement {
    let run = runs.of("repeats");
    let Some((_, first)) = run.requests.first() else { return Judgement::not_judged("it sent nothing") };
    if run.requests.len() < 2 {
        let advice = match run.status {
            None => Advice::new(
                "no time-out: recv waits for ever",
                "SO_RCVTIMEO or poll in C, settimeout in Python, setSoTimeout in Java; then send again.",
            ),
            Some(_) => Advice::new(
                "it gives up after the first time-out",
                "A loop around send and recv: the same request again, some three times.",
            ),
        };
        let came = format!("one request; it {}{}", run.end(), run.complaint());
        return Judgement::broken([], "the same request again", came).because(advice);
    }
    let Some((_, other)) = run.requests.iter().find(|(_, octets)| octets != first) else {
        return runs.prints("repeats");
    };
    let swapped: Vec<u8> =
        other[..1].iter().copied().chain(other[1..].chunks(4).flat_map(|word| word.iter().rev().copied())).collect();
    let advice = match swapped == *first {
        true => Advice::new(
            "the operands of the repeat are in the other byte order: htonl is applied to the same array again",
            "Build the request once, before the loop, and send the same octets each time.",
        ),
        false => Advice::new("the repeat is another request", "Build the request once, before the loop."),
    };
    Judgement::broken([], hex(first), hex(other)).because(advice)
}

/// The reply to the first request comes when the second has been sent.
fn late(runs: &Runs) -> Judgement {
    let run = runs.of("late");
    let judgement = runs.prints("late");
    let several = run.ports.iter().any(|port| Some(port) != run.ports.first());
    match judgement.is_good() {
        true => judgement,
        false if several => judgement.because(Advice::new(
            "a new socket for each try: the reply to an earlier one goes to a port that is closed",
            "One socket for all tries, made and connected before the loop.",
        )),
        false => judgement.because(Advice::new("the time-out is too short", "Wait a second at first.")),
    }
}

fn gives_up(runs: &Runs) -> Judgement {
    let run = runs.of("silence");
    if run.status.is_none() {
        let came = format!("{} requests; it went on for {:.0} s", run.requests.len(), runs.patience.as_secs_f64());
        return Judgement::broken([], "an end, with an exit status other than 0", came).because(Advice::new(
            "it repeats without end: it went on and on",
            "Count the tries, and end after three or four.",
        ));
    }
    first_broken([runs.prints_none("silence"), runs.fails("silence")])
}

fn timer(runs: &Runs) -> Judgement {
    let (silence, run) = (runs.of("silence"), runs.of("timer"));
    let usual = silence.requests.get(1).map_or(silence.took, |(time, _)| *time);
    if run.requests.len() > 1 || run.status.is_some() {
        return Judgement::holds([], "");
    }
    let expected = format!("the request again, or an end, after {:.1} s as when nothing comes", usual.as_secs_f64());
    let came = format!("neither within {:.1} s", run.took.as_secs_f64());
    Judgement::broken(run.answered.clone(), expected, came).because(Advice::new(
        "the whole time-out begins again after each datagram that does not count",
        "Take a deadline once, after sending; wait for what is left until that deadline.",
    ))
}

fn retransmission(runs: &Runs) -> Judgement {
    let run = runs.of("silence");
    let times = run.requests.iter().map(|(time, _)| format!("{:.1} s", time.as_secs_f64()));
    let times = times.collect::<Vec<_>>().join(", ");
    let end = match run.status {
        Some(status) => format!("ends with {}", describe(status)),
        None => format!("still runs after {} s", runs.patience.as_secs_f64()),
    };
    Judgement::noted([], format!("asks at {times}, and {end}"))
}

/// What was sent for operands that the form cannot carry, and how it ended.
fn told(runs: &Runs, name: &str) -> Judgement {
    let run = runs.of(name);
    let sent = match run.requests.first() {
        Some((_, octets)) => format!("sends {} octets, {}", octets.len(), hex(&octets[..octets.len().min(24)])),
        None => "sends nothing".into(),
    };
    Judgement::noted([], format!("{sent}; {}", run.came()))
}
