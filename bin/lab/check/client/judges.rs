//! What judges each check of a client: by its requests, its standard output and its exit status.

use super::explanation::explain_result;
use super::request::diagnose;
use super::scenario::{DECOY, Runs, expected_result, planned_request};
use crate::check::report::{Advice, Judgement, hex};
use crate::process::{describe, shown};

impl Runs {
    pub(super) fn first_request(&self, name: &str) -> Judgement {
        let run = self.of(name);
        let expected = planned_request(run.scenario).unwrap_or_default();
        match run.requests.first() {
            Some((_, octets)) if same_but_unused(octets, &expected) => Judgement::holds([], hex(octets)),
            Some((_, octets)) => {
                Judgement::broken([], hex(&expected), hex(octets)).because(diagnose(&expected, octets, run))
            }
            None => Judgement::broken([], hex(&expected), format!("nothing; {}", run.found())),
        }
    }

    /// The result is printed once, and nothing else as a result, with exit status 0.
    pub(super) fn prints(&self, name: &str) -> Judgement {
        self.prints_this(name, &expected_result(self.of(name).scenario))
    }

    pub(super) fn prints_this(&self, name: &str, expected: &str) -> Judgement {
        let run = self.of(name);
        let results = self.printed.results(&run.stdout);
        if results == [expected] && run.succeeded() && !run.stdout.contains('\0') {
            return Judgement::holds([], shown(&run.stdout));
        }
        if run.crashed() {
            return Judgement::see("survives");
        }
        let expected_words = format!("\"{}{expected}\", and exit status 0", self.printed.prefix());
        Judgement::broken(run.answered.clone(), expected_words, run.found())
            .because(explain_result(run, &results, expected))
    }

    pub(super) fn all_print<const N: usize>(&self, names: [&str; N]) -> Judgement {
        first_broken(names.map(|name| self.prints(name)))
    }

    pub(super) fn prints_none(&self, name: &str) -> Judgement {
        let run = self.of(name);
        let results = self.printed.results(&run.stdout);
        let decoy = DECOY.to_string();
        let printed = run.succeeded() && !results.is_empty() || results.contains(&decoy);
        match printed {
            false => Judgement::holds([], run.found()),
            true => Judgement::broken(run.answered.clone(), "no result", run.found()).because(Advice::new(
                "S is 0, which says error, and the payload is printed nevertheless",
                "Test the reply's first octet: if (!(octet & 0x80)) it is an error.",
            )),
        }
    }

    pub(super) fn fails(&self, name: &str) -> Judgement {
        let run = self.of(name);
        match run.status {
            Some(status) if status.code().is_some_and(|code| code != 0) => Judgement::holds([], describe(status)),
            Some(status) if status.success() => {
                Judgement::broken(run.answered.clone(), "an exit status other than 0", run.found()).because(
                    Advice::new(
                        "the exit status 0 says that all went well",
                        "return 1 from main, exit(1), sys.exit(1), System.exit(1).",
                    ),
                )
            }
            _ if run.crashed() => Judgement::see("survives"),
            _ => Judgement::broken(run.answered.clone(), "an exit status other than 0", run.found()),
        }
    }
}

/// The first that does not hold, or the last.
pub(super) fn first_broken<const N: usize>(judgements: [Judgement; N]) -> Judgement {
    let broken = judgements.iter().find(|judgement| !judgement.is_good()).cloned();
    broken.or_else(|| judgements.last().cloned()).unwrap_or_else(|| Judgement::not_judged("nothing was run"))
}

fn same_but_unused(octets: &[u8], expected: &[u8]) -> bool {
    octets.len() == expected.len() && octets[1..] == expected[1..] && octets[0] & 0x0f == expected[0] & 0x0f
}

pub(super) fn sends(runs: &Runs) -> Judgement {
    let run = runs.of("sum");
    if !run.requests.is_empty() {
        return Judgement::holds([], "");
    }
    let advice = match run.stderr.to_lowercase() {
        words if words.contains("usage") => Advice::new(
            "it does not understand its command line, and prints its usage",
            "It is called as -op + ::1 PORT 1 3 5 7 9 (and with --op): getopt reads -op as -o p; use getopt_long_only, or \
             look at argv. Other words: lab check client -- COMMAND --operator {op} {string:--text} {host} {port} {operands}",
        ),
        words if words.contains("invalid argument") => Advice::new(
            "the system refuses the address: perhaps its length is that of an IPv4 address",
            "sizeof(struct sockaddr_in6), or what getaddrinfo returns, not sizeof(struct sockaddr).",
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
    Judgement::broken([], "a datagram to the given host and port", format!("none; {}", run.found())).because(advice)
}

pub(super) fn one_request(runs: &Runs) -> Judgement {
    if runs.lossy {
        return Judgement::not_judged("the reply may have been lost on the way");
    }
    // A busy machine may keep an answer from one client until it asks again, but not from each.
    let plain = ["sum", "product", "unsigned", "text"].map(|name| &runs.of(name).requests);
    let fewest = plain.into_iter().filter(|requests| !requests.is_empty()).min_by_key(|requests| requests.len());
    let all: Vec<String> = fewest.into_iter().flatten().map(|(_, octets)| hex(octets)).collect();
    match all.len() {
        0 | 1 => Judgement::holds([], all.concat()),
        _ => {
            Judgement::broken([], "one datagram, as it was answered at once", all.join(", then ")).because(Advice::new(
                "a request is sent again although it was answered, or it is sent in two parts",
                "Send once, and again only when no reply has come in time.",
            ))
        }
    }
}

pub(super) fn unused_zero(runs: &Runs) -> Judgement {
    // After opcode 7 the four bits are the version.
    let classic = |octets: &&Vec<u8>| octets.first().is_some_and(|first| calc6::wire::opcode(*first) != 7);
    // What a repeat changes is a finding of `repeats`.
    let mut first = runs.all().filter_map(|run| run.requests.first()).map(|(_, octets)| octets);
    match first.by_ref().filter(classic).find(|octets| octets[0] & 0xf0 != 0) {
        None => Judgement::holds([], ""),
        Some(octets) => Judgement::broken([], "0 in the upper four bits", hex(octets)),
    }
}

pub(super) fn stranger(runs: &Runs) -> Judgement {
    if runs.lossy {
        return Judgement::not_judged("the relay forwards only what comes from the server");
    }
    let run = runs.of("stranger");
    match run.stdout.contains(&DECOY.to_string()) {
        false => Judgement::holds([], run.found()),
        true => Judgement::broken(
            run.answered[..1].to_vec(),
            format!("{DECOY}, from another port, not printed"),
            run.found(),
        )
        .because(Advice::new(
            "replies from any source are accepted: no connect, and the source of the reply is not compared",
            "connect() the socket to the server, then the kernel drops what others send.",
        )),
    }
}

pub(super) fn survives(runs: &Runs) -> Judgement {
    match runs.all().find(|run| run.crashed()) {
        None => Judgement::holds([], ""),
        Some(run) => {
            Judgement::broken(run.answered.clone(), "the program ends by itself", run.found()).because(Advice::new(
                "a length that is not checked before it is used",
                "Compile with -fsanitize=address,undefined, and run it again.",
            ))
        }
    }
}

pub(super) fn repeats(runs: &Runs) -> Judgement {
    let run = runs.of("repeats");
    let Some((_, first)) = run.requests.first() else { return Judgement::not_judged("it sent nothing") };
    if run.requests.len() < 2 {
        let advice = match run.status {
            None => Advice::new(
                "no time-out: recv waits forever",
                "SO_RCVTIMEO or poll in C, settimeout in Python, setSoTimeout in Java; then send again.",
            ),
            Some(_) => Advice::new(
                "it gives up after the first time-out",
                "Put send and recv in a loop: send the same request again, about three times.",
            ),
        };
        let found = format!("one request; it {}{}", run.end(), run.complaint());
        return Judgement::broken([], "the same request again", found).because(advice);
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
pub(super) fn late(runs: &Runs) -> Judgement {
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

pub(super) fn gives_up(runs: &Runs) -> Judgement {
    let run = runs.of("silence");
    if run.status.is_none() {
        let found = format!("{} requests; it continued for {:.0} s", run.requests.len(), runs.patience.as_secs_f64());
        return Judgement::broken([], "an end, with an exit status other than 0", found)
            .because(Advice::new("it repeats forever", "Count the tries, and end after three or four."));
    }
    first_broken([runs.prints_none("silence"), runs.fails("silence")])
}

pub(super) fn timer(runs: &Runs) -> Judgement {
    let (silence, run) = (runs.of("silence"), runs.of("timer"));
    let usual = silence.requests.get(1).map_or(silence.took, |(time, _)| *time);
    if run.requests.len() > 1 || run.status.is_some() {
        return Judgement::holds([], "");
    }
    let expected = format!("the request again, or an end, after {:.1} s as when nothing comes", usual.as_secs_f64());
    let found = format!("neither within {:.1} s", run.took.as_secs_f64());
    Judgement::broken(run.answered.clone(), expected, found).because(Advice::new(
        "the whole time-out starts again after each ignored datagram",
        "Set one deadline after sending, and wait only for the rest of it.",
    ))
}

pub(super) fn retransmission(runs: &Runs) -> Judgement {
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
pub(super) fn told(runs: &Runs, name: &str) -> Judgement {
    let run = runs.of(name);
    let sent = match run.requests.first() {
        Some((_, octets)) => format!("sends {} octets, {}", octets.len(), hex(&octets[..octets.len().min(24)])),
        None => "sends nothing".into(),
    };
    Judgement::noted([], format!("{sent}; {}", run.found()))
}
