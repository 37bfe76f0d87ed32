//! The table of what is checked: each entry cites the clause of docs/protocol.md that it stands for.

/// How much a check weighs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Required: a broken one makes the run fail.
    Must,
    /// Recommended: reported, without effect on the exit status.
    Should,
    /// No judgement: what the subject does where the course leaves it open.
    Informative,
}

/// One thing that is checked.
#[derive(Debug, serde::Serialize)]
pub struct Check {
    /// Its name: unique within a run, stable across releases.
    pub key: &'static str,
    /// The clause of docs/protocol.md.
    pub clause: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What is demanded, in a sentence.
    pub title: &'static str,
    /// Why it matters to whoever wrote the subject.
    pub why: &'static str,
    /// Checks that must hold before this one can be judged.
    #[serde(skip)]
    pub needs: &'static [&'static str],
}

use Level::{Informative, Must, Should};

/// What a server of the classic form is checked for, in order.
pub const SERVER: &[Check] = &[
    Check {
        key: "answers",
        clause: "1.1",
        level: Must,
        title: "a request is answered",
        why: "Nothing else can be judged of a server that is silent.",
        needs: &[],
    },
    Check {
        key: "source-port",
        clause: "4.8",
        level: Must,
        title: "the reply comes from the port that was asked",
        why: "The kernel hands a connected client only what comes from the address and port it asked: it never sees \
              other replies. Answer with sendto on the socket that received.",
        needs: &["answers"],
    },
    Check {
        key: "success",
        clause: "2.5",
        level: Must,
        title: "a success starts with a header octet whose most significant bit, S, is 1",
        why: "By S alone a client tells a result from an error.",
        needs: &["answers"],
    },
    Check {
        key: "sum",
        clause: "2.3",
        level: Must,
        title: "opcode 0 is the sum, and with F = 0 one 32-bit integer in network byte order",
        why: "Both ends must read the same number whatever their own byte order: ntohl every operand, htonl the result.",
        needs: &["success"],
    },
    Check {
        key: "product",
        clause: "2.3",
        level: Must,
        title: "opcode 1 is the product",
        why: "The opcode is bits 4 to 6 of the first octet, (octet >> 1) & 7; the format is bit 7, octet & 1.",
        needs: &["sum"],
    },
    Check {
        key: "text-sum",
        clause: "2.4",
        level: Must,
        title: "with F = 1 the sum is ASCII decimal digits",
        why: "The client asked for text: digits from 0x30 to 0x39, nothing before or behind them.",
        needs: &["success"],
    },
    Check {
        key: "text-product",
        clause: "2.4",
        level: Must,
        title: "with F = 1 the product is ASCII decimal digits",
        why: "Operation and format are independent of each other.",
        needs: &["text-sum", "product"],
    },
    Check {
        key: "unused-bits",
        clause: "2.2",
        level: Must,
        title: "the four unused bits of a request are ignored",
        why: "Bits that have no meaning today get one tomorrow; a client may send anything there. Mask before comparing.",
        needs: &["sum", "text-sum"],
    },
    Check {
        key: "published",
        clause: "2.13",
        level: Must,
        title: "the golden octets are answered as the specification says",
        why: "They are the published cases of the course, and combine opcode, format and unused bits.",
        needs: &["product", "text-product", "unused-bits"],
    },
    Check {
        key: "unknown-opcode",
        clause: "2.6",
        level: Must,
        title: "opcodes 2 to 6 are answered by an error, S = 0",
        why: "A client that asks for what the server does not know must be told; silence looks like loss.",
        needs: &["answers"],
    },
    Check {
        key: "opcode-7",
        clause: "4.4",
        level: Must,
        title: "opcode 7 with classic lengths is answered by an error",
        why: "In the course it is an unknown opcode like the others; extended servers treat these lengths so too.",
        needs: &["answers"],
    },
    Check {
        key: "one-operand",
        clause: "2.1",
        level: Must,
        title: "a single operand is its own sum and product",
        why: "The least number of operands is 1; a loop that starts with the second must know what to begin with.",
        needs: &["sum", "product"],
    },
    Check {
        key: "64-operands",
        clause: "2.1",
        level: Must,
        title: "64 operands are computed",
        why: "That is the most that a request carries: 257 octets. A smaller buffer cuts the datagram silently.",
        needs: &["sum"],
    },
    Check {
        key: "unsigned",
        clause: "2.1",
        level: Must,
        title: "operands and results from 2^31 to 2^32 - 1 are right as integers",
        why: "Operands are unsigned 32-bit integers; the octets are the same if the program calls them int.",
        needs: &["sum"],
    },
    Check {
        key: "zero",
        clause: "2.4",
        level: Must,
        title: "zero as text is the one digit 0",
        why: "Conversions written by hand often make an empty string of it.",
        needs: &["text-sum"],
    },
    Check {
        key: "repeat",
        clause: "4.5",
        level: Must,
        title: "the same request has the same answer, whoever else asks in between",
        why: "Clients repeat a request when a datagram is lost; state left from one request must not reach the next.",
        needs: &["sum"],
    },
    Check {
        key: "one-reply",
        clause: "1.1",
        level: Must,
        title: "each request is answered by one datagram",
        why: "A client reads one datagram; a second one is taken for the answer to its next request.",
        needs: &["answers"],
    },
    Check {
        key: "reply-length",
        clause: "2.5",
        level: Must,
        title: "no reply to a classic request has more than 257 octets",
        why: "Clients have room for a header and 256 octets; what is longer is cut silently.",
        needs: &["answers"],
    },
    Check {
        key: "survives",
        clause: "4.9",
        level: Must,
        title: "it goes on serving whatever arrives",
        why: "Anybody can send anything to a UDP port. One datagram that ends the server ends it for everyone.",
        needs: &["answers"],
    },
    Check {
        key: "silent-empty",
        clause: "2.7",
        level: Should,
        title: "an empty datagram is not answered",
        why: "It has no header to answer to. (recvfrom returns 0 for it; in UDP that is no end of file.)",
        needs: &["answers"],
    },
    Check {
        key: "silent-header",
        clause: "2.7",
        level: Should,
        title: "a header without operands is not answered",
        why: "A header alone could be an error that another server sent: answering it can start an endless loop.",
        needs: &["answers"],
    },
    Check {
        key: "silent-ragged",
        clause: "2.7",
        level: Should,
        title: "operands that are not whole are not answered",
        why: "The last operand was cut on its way, or was never one: any result would be a guess.",
        needs: &["answers"],
    },
    Check {
        key: "silent-replies",
        clause: "4.1",
        level: Should,
        title: "datagrams that start as replies, 0xff or 0x7f, are not answered",
        why: "Two servers that answer each other's errors loop for ever, started by one datagram with a forged source \
              (CVE-2024-2169).",
        needs: &["answers"],
    },
    Check {
        key: "overflow",
        clause: "2.9",
        level: Should,
        title: "a result over 2^32 - 1 with F = 0 is refused",
        why: "A wrong number without a word is the worst answer: nobody can tell it from a right one.",
        needs: &["sum", "product"],
    },
    Check {
        key: "long-text",
        clause: "2.10",
        level: Should,
        title: "text results of up to 256 digits are exact; beyond, and where that is too hard, an error",
        why: "Text has no word size. What does not fit the machine's words can be computed by hand, or refused.",
        needs: &["text-product"],
    },
    Check {
        key: "amplification",
        clause: "4.2",
        level: Should,
        title: "no reply is longer than three times its request",
        why: "With a forged source, a server that answers more than it is asked is a weapon against others.",
        needs: &["answers"],
    },
    Check {
        key: "asked-address",
        clause: "4.8",
        level: Should,
        title: "on a wildcard address, the reply comes from the address that was asked",
        why: "A host has many addresses. Without IPV6_RECVPKTINFO the kernel picks one, and a connected client that \
              asked another never sees the reply.",
        needs: &["source-port"],
    },
    Check {
        key: "overflow-kind",
        clause: "2.9",
        level: Informative,
        title: "what becomes of a result over 2^32 - 1 with F = 0",
        why: "The course leaves it open.",
        needs: &["sum", "product"],
    },
    Check {
        key: "signed-text",
        clause: "2.11",
        level: Informative,
        title: "how a result from 2^31 to 2^32 - 1 is written as text",
        why: "printf's %d prints such a number as a negative one; %u prints what was meant.",
        needs: &["text-sum"],
    },
    Check {
        key: "trailing-nul",
        clause: "2.11",
        level: Informative,
        title: "whether text ends with a NUL",
        why: "The length of a datagram is known; strlen(s) + 1 sends one octet too many.",
        needs: &["text-sum"],
    },
    Check {
        key: "over-64",
        clause: "2.7",
        level: Informative,
        title: "what becomes of a request with 65 operands",
        why: "A buffer of 257 octets cuts it to 64 operands and gives a wrong sum; recvfrom with MSG_TRUNC tells.",
        needs: &["sum", "64-operands"],
    },
    Check {
        key: "ragged-read",
        clause: "2.7",
        level: Informative,
        title: "what is read where the last operand is cut",
        why: "A loop that counts operands by rounding up reads beyond what came: old octets of other clients.",
        needs: &["sum"],
    },
    Check {
        key: "reply-unused",
        clause: "2.5",
        level: Informative,
        title: "the value of the reply's seven unused bits",
        why: "Clients ignore them. All ones mark a reply as such, and no server need answer it.",
        needs: &["success"],
    },
    Check {
        key: "stray-octets",
        clause: "7.5",
        level: Informative,
        title: "whether replies to the same request differ in any octet",
        why: "Octets that nobody set carry what was in memory before: at best noise, at worst somebody's secret.",
        needs: &["success"],
    },
];

/// What a server of the extended form is checked for besides, in order. The operators follow the same pattern.
pub const EXTENDED: &[Check] = &[
    extended("x-golden", "3.13", "the golden request is answered by the golden reply", &["answers"]),
    operator("x-sum", "sum of signed operands"),
    operator("x-product", "product of signed operands"),
    operator("x-difference", "difference; one operand: its negation"),
    operator("x-quotient", "quotient, truncated towards zero"),
    operator("x-remainder", "remainder, with the dividend's sign"),
    operator("x-power", "power; 0^0 is 1"),
    operator("x-gcd", "greatest common divisor, never negative"),
    operator("x-lcm", "least common multiple, never negative"),
    operator("x-min", "the least operand"),
    operator("x-max", "the greatest operand"),
    operator("x-and", "bitwise and on two's complement of unlimited width"),
    operator("x-or", "bitwise or on two's complement of unlimited width"),
    operator("x-xor", "bitwise exclusive or on two's complement of unlimited width"),
    extended("x-describe", "3.4", "describe: name and version, then key=value lines, whole or status 4", X_GOLDEN),
    extended("x-identifier", "3.7", "the request identifier is copied", X_GOLDEN),
    extended("x-header", "3.7", "every reply has S = 1 if and only if Status is 0, and Reserved 0", X_GOLDEN),
    extended("x-format", "3.8", "Format is F, and 1 for errors and describe", X_GOLDEN),
    extended("x-least-width", "3.8", "an integer result has the least width, at least one octet", X_GOLDEN),
    extended("x-text", "3.8", "a result as text is 0 or -?[1-9][0-9]*", X_GOLDEN),
    extended("x-width", "3.6", "every width from 1 to 255 is read, sign extension included", X_GOLDEN),
    extended("x-reserved", "3.3", "Reserved other than 0 is status 5", X_GOLDEN),
    extended("x-unknown-operator", "3.9", "an unknown operator is status 2", X_GOLDEN),
    extended("x-malformed", "3.9", "wrong lengths and operand counts are status 1", X_GOLDEN),
    extended("x-domain", "3.9", "a negative exponent is status 6", X_GOLDEN),
    extended("x-division", "3.9", "any divisor that is zero is status 3", X_GOLDEN),
    extended("x-order", "3.9", "of several failures the first in the order of the checks decides", X_GOLDEN),
    extended(
        "x-too-large",
        "3.10",
        "a reply that does not fit is status 4 with a count, and with that room exact",
        X_GOLDEN,
    ),
    extended("x-oversize", "4.2", "a request over 1232 octets is status 5", X_GOLDEN),
    extended("x-bound", "4.2", "no reply is longer than three times its request", X_GOLDEN),
    extended("x-error-text", "7.5", "error texts are fixed printable ASCII", X_GOLDEN),
    extended(
        "x-escape",
        "4.4",
        "opcode 7 that is not version 1 gets a classic error or silence, by its length",
        X_GOLDEN,
    ),
    extended("x-replies", "4.1", "replies, 0xff and 0x7f, are not answered", X_GOLDEN),
    extended("x-pure", "4.5", "the same request has the same answer, octet for octet", X_GOLDEN),
    extended(
        "x-overflow",
        "2.9",
        "a classic integer result over 2^32 - 1 is refused or, with --wrap, modulo 2^32",
        &["sum"],
    ),
];

/// What a client is checked for, in order.
pub const CLIENT: &[Check] = &[
    Check {
        key: "sends",
        clause: "1.1",
        level: Must,
        title: "it sends a request",
        why: "Nothing else can be judged of a client that sends nothing.",
        needs: &[],
    },
    Check {
        key: "sum-request",
        clause: "2.1",
        level: Must,
        title: "a sum as integer is opcode 0, F = 0, with the operands in order, 4 octets each in network byte order",
        why: "The server reads what is on the wire: htonl every operand, and send as many octets as there are.",
        needs: &["sends"],
    },
    Check {
        key: "product-request",
        clause: "2.3",
        level: Must,
        title: "a product is opcode 1, in bits 4 to 6 of the first octet",
        why: "The opcode stands above the format bit: opcode << 1.",
        needs: &["sum-request"],
    },
    Check {
        key: "text-request",
        clause: "2.4",
        level: Must,
        title: "a result as text is asked for by F = 1, the least significant bit",
        why: "Without it the server sends an integer.",
        needs: &["sum-request"],
    },
    Check {
        key: "text-product-request",
        clause: "2.4",
        level: Must,
        title: "a product as text is opcode 1 and F = 1",
        why: "Operation and format are independent fields: opcode << 1 | format.",
        needs: &["product-request", "text-request"],
    },
    Check {
        key: "unused-zero",
        clause: "2.2",
        level: Must,
        title: "the four unused bits of a request are 0",
        why: "A later version may give them a meaning; set ones would then ask for it.",
        needs: &["sends"],
    },
    Check {
        key: "one-request",
        clause: "1.1",
        level: Must,
        title: "a request is one datagram",
        why: "Datagrams have bounds: a header and operands in two sends are two requests, both malformed.",
        needs: &["sends"],
    },
    Check {
        key: "unsigned-operand",
        clause: "2.1",
        level: Must,
        title: "operands up to 2^32 - 1 are sent",
        why: "Operands are unsigned: read them with strtoul, not atoi, which is undefined beyond 2^31 - 1.",
        needs: &["sum-request"],
    },
    Check {
        key: "integer-reply",
        clause: "2.5",
        level: Must,
        title: "an integer result is printed, and the exit status is 0",
        why: "It is what the user asked for: ntohl of the four octets behind the header.",
        needs: &["sends"],
    },
    Check {
        key: "unsigned-reply",
        clause: "2.4",
        level: Should,
        title: "a result from 2^31 to 2^32 - 1 is printed as it was sent: unsigned",
        why: "printf's %d prints it as a negative number.",
        needs: &["integer-reply"],
    },
    Check {
        key: "text-reply",
        clause: "2.4",
        level: Must,
        title: "a result as text is printed whole, and nothing behind it",
        why: "The text has no terminating NUL: its length is that of the datagram, less 1.",
        needs: &["integer-reply"],
    },
    Check {
        key: "reply-unused",
        clause: "2.5",
        level: Must,
        title: "the seven unused bits of a reply are ignored",
        why: "Servers differ in them: test S with octet & 0x80, never by octet == 0x80.",
        needs: &["integer-reply"],
    },
    Check {
        key: "error-reply",
        clause: "2.6",
        level: Must,
        title: "an error, S = 0, is not printed as a result, whatever its payload",
        why: "The payload of an error means nothing; a number made of it is a wrong result.",
        needs: &["integer-reply"],
    },
    Check {
        key: "error-status",
        clause: "2.6",
        level: Should,
        title: "an error ends with an exit status other than 0",
        why: "Scripts see only the exit status.",
        needs: &["error-reply"],
    },
    Check {
        key: "stranger",
        clause: "2.8",
        level: Must,
        title: "a reply from another port is not taken for the answer",
        why: "Anybody can send to the client's port. connect() the socket, or compare the source of what arrives.",
        needs: &["integer-reply"],
    },
    Check {
        key: "duplicate",
        clause: "2.8",
        level: Must,
        title: "a reply that comes twice is printed once",
        why: "Networks repeat datagrams.",
        needs: &["integer-reply"],
    },
    Check {
        key: "survives",
        clause: "4.9",
        level: Must,
        title: "no reply ends it by a signal",
        why: "Whatever arrives is data: a crash is a hole through which a server, or a forger, reaches its users.",
        needs: &["sends"],
    },
    Check {
        key: "repeats",
        clause: "5.1",
        level: Should,
        title: "when no reply comes, the request is repeated, every octet of it, and the answer then printed",
        why: "UDP loses requests and replies and tells nobody: recv without a timeout waits for ever.",
        needs: &["integer-reply"],
    },
    Check {
        key: "late",
        clause: "5.1",
        level: Should,
        title: "a reply that is late by 700 ms is printed",
        why: "A server may be far away, or busy.",
        needs: &["integer-reply"],
    },
    Check {
        key: "gives-up",
        clause: "5.1",
        level: Should,
        title: "without any reply it ends, with an exit status other than 0 and without a result",
        why: "A program that waits for ever must be killed by hand, and a script around it never goes on.",
        needs: &["sends"],
    },
    Check {
        key: "truncated",
        clause: "2.8",
        level: Should,
        title: "a success that is too short is ignored, and the right reply behind it printed",
        why: "recv says how much came; octets beyond that are whatever was in the buffer.",
        needs: &["integer-reply"],
    },
    Check {
        key: "oversized",
        clause: "2.8",
        level: Should,
        title: "a success that is too long is ignored, and the right reply behind it printed",
        why: "What does not have the length of an integer is none.",
        needs: &["integer-reply"],
    },
    Check {
        key: "oversized-text",
        clause: "2.8",
        level: Should,
        title: "text of more than 256 octets is ignored, and the right reply behind it printed",
        why: "What is longer than the buffer is cut: half a number is a wrong number.",
        needs: &["text-reply"],
    },
    Check {
        key: "empty-reply",
        clause: "2.8",
        level: Should,
        title: "an empty datagram is ignored, and the right reply behind it printed",
        why: "recv returns 0 for it; in UDP that is no end of file, and the buffer holds no header.",
        needs: &["integer-reply"],
    },
    Check {
        key: "not-decimal",
        clause: "2.8",
        level: Should,
        title: "text that is no decimal number is ignored, and the right reply behind it printed",
        why: "What is printed goes to a terminal or a script: it should be what it claims to be.",
        needs: &["text-reply"],
    },
    Check {
        key: "nul-reply",
        clause: "2.11",
        level: Should,
        title: "one NUL behind the digits is accepted and not printed",
        why: "Some servers send the string's terminator.",
        needs: &["text-reply"],
    },
    Check {
        key: "negative-reply",
        clause: "2.11",
        level: Should,
        title: "a - before the digits is accepted",
        why: "Some servers print unsigned numbers as signed ones.",
        needs: &["text-reply"],
    },
    Check {
        key: "retransmission",
        clause: "5.1",
        level: Informative,
        title: "how often and when it asks",
        why: "RFC 8085 recommends 1 s at first, then doubling waits, so that a crowd of clients does not crush a server.",
        needs: &["sends"],
    },
    Check {
        key: "operand-over",
        clause: "2.1",
        level: Informative,
        title: "what becomes of the operand 4294967296",
        why: "It does not fit 32 bits: refusing it, or another form of request, beats sending 0.",
        needs: &["sum-request"],
    },
    Check {
        key: "operand-negative",
        clause: "2.12",
        level: Informative,
        title: "what becomes of the operand -2",
        why: "Classic operands are unsigned: -2 would be sent as 4294967294.",
        needs: &["sum-request"],
    },
    Check {
        key: "operands-65",
        clause: "2.1",
        level: Informative,
        title: "what becomes of 65 operands",
        why: "A request carries at most 64.",
        needs: &["sum-request"],
    },
];

/// The check of that name for a `server` or a `client`.
pub fn find(role: &str, key: &str) -> Option<&'static Check> {
    let tables: &[&'static [Check]] = if role == "server" { &[SERVER, EXTENDED] } else { &[CLIENT] };
    tables.iter().flat_map(|table| table.iter()).find(|check| check.key == key)
}

const X_GOLDEN: &[&str] = &["x-golden"];

const fn extended(
    key: &'static str,
    clause: &'static str,
    title: &'static str,
    needs: &'static [&'static str],
) -> Check {
    let why = "A client of the extended form relies on it.";
    Check { key, clause, level: Must, title, why, needs }
}

const fn operator(key: &'static str, title: &'static str) -> Check {
    let why = "The same operation must give the same number on every server.";
    Check { key, clause: "3.4", level: Must, title, why, needs: X_GOLDEN }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_clause_stands_in_the_specification() {
        let specification = include_str!("../../../docs/protocol.md");
        for check in SERVER.iter().chain(EXTENDED).chain(CLIENT) {
            let heading = [format!("**{}**", check.clause), format!("**{} ", check.clause)];
            let cited = specification.lines().any(|line| heading.iter().any(|text| line.starts_with(text.as_str())));
            assert!(cited, "{} cites clause {}, which docs/protocol.md does not have", check.key, check.clause);
        }
    }

    #[test]
    fn the_page_for_teachers_explains_every_finding() {
        let page = include_str!("../../../docs/teaching.md");
        for check in SERVER.iter().chain(CLIENT) {
            let named = page.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{}`", check.key)));
            assert!(named, "{}", check.key);
        }
    }

    #[test]
    fn keys_are_unique_and_needs_come_earlier() {
        for table in [SERVER.iter().chain(EXTENDED).collect::<Vec<_>>(), CLIENT.iter().collect()] {
            let mut seen = HashSet::new();
            for check in table {
                assert!(check.needs.iter().all(|key| seen.contains(key)), "{}", check.key);
                assert!(seen.insert(check.key), "{}", check.key);
            }
        }
    }

    #[test]
    fn texts_are_sentences() {
        for check in SERVER.iter().chain(EXTENDED).chain(CLIENT) {
            assert!(check.why.ends_with(['.', ')']), "{}", check.key);
            assert!(!check.title.ends_with('.'), "{}", check.key);
        }
    }
}
