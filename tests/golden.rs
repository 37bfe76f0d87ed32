//! Golden octets: every kind of message, in both directions, written out and annotated. They are the specification's
//! (docs/protocol.md), so a change here is a change of the wire.

use std::time::Duration;

use calc6::exchange::{
    ClassicOnly, Exchange, Outcome, Payload, PortSharing, Question, Received, Retransmission, TooLarge,
};
use calc6::responder::{Limits, Reason, Verdict, respond};
use calc6::wire::{Format, MAX_REPLY, Operator, Status};

/// Reads octets in hexadecimal; `#` starts a comment.
fn octets(text: &str) -> Vec<u8> {
    let digits: String = text.lines().flat_map(|line| line.split('#').next()).collect();
    let digits: Vec<u8> = digits.split_whitespace().flat_map(str::bytes).collect();
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair:?} in {text}"))).collect()
}

/// The reply of a server; `None` is silence.
fn served(request: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let mut reply = [0xa5; MAX_REPLY];
    match respond(request, &mut reply, limits) {
        Verdict::Reply(verdict) => Some(reply[..verdict.len].to_vec()),
        Verdict::Silence(_) => None,
    }
}

#[track_caller]
fn assert_served(request: &str, reply: &str) {
    assert_eq!(served(&octets(request), &Limits::default()), Some(octets(reply)), "to {request}");
}

#[track_caller]
fn assert_silent(request: &[u8], reason: Reason) {
    assert_eq!(respond(request, &mut [0; MAX_REPLY], &Limits::default()), Verdict::Silence(reason));
}

/// The request of a client, and its result from the reply. The identifier is always 0102030405060708.
#[track_caller]
fn assert_asked(question: Question, request: &str, reply: &str, outcome: &Outcome) {
    let mut random = || 0x0102_0304_0506_0708;
    let mut exchange =
        Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), Duration::ZERO, &mut random);
    assert_eq!(exchange.transmit(Duration::ZERO), Some(&octets(request)[..]));
    assert_eq!(exchange.receive(Duration::ZERO, true, &octets(reply)), Received::Accepted);
    assert_eq!(exchange.outcome(), Some(outcome));
}

fn decimal(digits: &str) -> Outcome {
    Outcome::Answer(Payload::Decimal { digits: digits.to_owned(), trailing_nul: false })
}

fn integer(octets: &[u8]) -> Outcome {
    Outcome::Answer(Payload::Integer(octets.to_vec()))
}

fn classic(operator: Operator, format: Format, operands: &[u32]) -> Question {
    Question::classic(operator, format, operands.iter().copied()).unwrap()
}

fn extended(operator: Operator, format: Format, width: u8, operands: &[u8]) -> Question {
    Question::extended(operator, format, width, operands.to_vec()).unwrap()
}

const SUM: &str = "
    00         # unused 0000, opcode 000 (sum), F 0
    00000001   # 1
    00000003   # 3
    00000005   # 5
    00000007   # 7
    00000009   # 9";
const SUM_REPLY: &str = "
    ff         # S 1, unused 1111111
    00000019   # 25";

const PRODUCT: &str = "
    03         # unused 0000, opcode 001 (multiplication), F 1
    00000001 00000003 00000005 00000007 00000009";
const PRODUCT_REPLY: &str = "
    ff         # S 1, unused 1111111
    39 34 35   # \"945\", no NUL";

const UNKNOWN: &str = "
    04         # unused 0000, opcode 010 (unknown), F 0
    00000001   # 1";
const UNKNOWN_REPLY: &str = "
    7f         # S 0, unused 1111111
    756e6b6e6f776e206f70636f6465   # \"unknown opcode\"";

const OVERFLOW: &str = "
    00         # sum, F 0
    ffffffff   # 2^32 - 1
    00000001   # 1";
const OVERFLOW_REPLY: &str = "
    7f         # S 0
    746f6f206c61726765   # \"too large\"";

#[test]
fn classic_messages_at_the_server() {
    for (request, reply) in
        [(SUM, SUM_REPLY), (PRODUCT, PRODUCT_REPLY), (UNKNOWN, UNKNOWN_REPLY), (OVERFLOW, OVERFLOW_REPLY)]
    {
        assert_served(request, reply);
    }
}

#[test]
fn classic_messages_at_the_client() {
    let odd = [1, 3, 5, 7, 9];
    assert_asked(classic(Operator::Sum, Format::Integer, &odd), SUM, SUM_REPLY, &integer(&[25]));
    assert_asked(classic(Operator::Product, Format::Text, &odd), PRODUCT, PRODUCT_REPLY, &decimal("945"));
    let error = Outcome::ClassicError { text: "too large".to_owned() };
    let operands = [u32::MAX, 1];
    assert_asked(classic(Operator::Sum, Format::Integer, &operands), OVERFLOW, OVERFLOW_REPLY, &error);
}

/// The cases that the course publishes, each over the operands 4, 2 and 3: the unused bits are set.
#[test]
fn the_cases_of_the_course() {
    for (first, reply) in [
        ("50 # unused 0101, sum, F 0", "ff 00000009"),
        ("71 # unused 0111, sum, F 1", "ff 39 # \"9\""),
        ("52 # unused 0101, multiplication, F 0", "ff 00000018 # 24"),
        ("83 # unused 1000, multiplication, F 1", "ff 3234 # \"24\""),
        ("45 # unused 0100, opcode 010, F 1", "7f 756e6b6e6f776e206f70636f6465 # \"unknown opcode\""),
    ] {
        assert_served(&format!("{first}\n 00000004 00000002 00000003"), reply);
    }
}

#[test]
fn wrapping_is_optional_and_only_for_integers() {
    let limits = Limits::default().with_wrap(true);
    let overflow = "ffffffff 00000002";
    assert_eq!(served(&octets(&format!("00 {overflow}")), &limits), Some(octets("ff 00000001 # modulo 2^32")));
    let text = "ff 34323934393637323937 # \"4294967297\"";
    assert_eq!(served(&octets(&format!("01 {overflow}")), &limits), Some(octets(text)));
}

#[test]
fn replies_of_other_servers() {
    let sum = |format| classic(Operator::Sum, format, &[1, 3, 5, 7, 9]);
    assert_asked(sum(Format::Integer), SUM, "80 00000019 # unused 0000000", &integer(&[25]));
    let request = SUM.replacen("00         #", "01         #", 1);
    let signed = Outcome::Answer(Payload::Decimal { digits: "-2".to_owned(), trailing_nul: true });
    assert_asked(sum(Format::Text), &request, "d5 2d32 00 # garbage in the unused bits, \"-2\", a NUL", &signed);
    assert_asked(sum(Format::Text), &request, "00 # nothing but S 0", &Outcome::ClassicError { text: String::new() });
}

const EXTENDED: &str = "
    1e                 # version 0001, opcode 111, F 0
    2b                 # operator '+'
    04                 # width
    00                 # reserved
    0102030405060708   # request identifier
    fffffffe           # -2
    00000005           # 5";
const EXTENDED_REPLY: &str = "
    ff                 # S 1, 1111111
    00                 # status 0, ok
    00                 # format 0, integer
    00                 # reserved
    0102030405060708   # request identifier
    03                 # 3, in the least width";

const EXTENDED_TEXT: &str = "
    1f                 # version 0001, opcode 111, F 1
    2d                 # operator '-'
    01                 # width
    00                 # reserved
    0102030405060708   # request identifier
    03                 # 3
    14                 # 20";
const EXTENDED_TEXT_REPLY: &str = "
    ff 00              # S 1, status 0
    01                 # format 1, text
    00                 # reserved
    0102030405060708   # request identifier
    2d3137             # \"-17\"";

#[test]
fn extended_messages() {
    assert_served(EXTENDED, EXTENDED_REPLY);
    let sum = extended(Operator::Sum, Format::Integer, 4, &[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5]);
    assert_asked(sum, EXTENDED, EXTENDED_REPLY, &integer(&[3]));
    assert_served(EXTENDED_TEXT, EXTENDED_TEXT_REPLY);
    let difference = extended(Operator::Difference, Format::Text, 1, &[3, 20]);
    assert_asked(difference, EXTENDED_TEXT, EXTENDED_TEXT_REPLY, &decimal("-17"));
}

/// Operator, operands of one octet, result.
#[test]
fn every_operator() {
    for (operator, operands, result) in [
        ("2b # '+'", "05 fe", "03         # 5 + -2 = 3"),
        ("2a # '*'", "10 f0", "ff00       # 16 * -16 = -256"),
        ("2d # '-'", "80", "0080       # -(-128) = 128 takes two octets"),
        ("2f # '/'", "f9 02", "fd         # -7 / 2 = -3, truncated towards zero"),
        ("25 # '%'", "f9 02", "ff         # -7 % 2 = -1, of the dividend's sign"),
        ("5e # '^'", "fd 03", "e5         # -3 ^ 3 = -27"),
        ("67 # 'g'", "f4 12", "06         # gcd(-12, 18) = 6"),
        ("6c # 'l'", "04 fa", "0c         # lcm(4, -6) = 12"),
        ("3c # '<'", "03 ff", "ff         # min(3, -1) = -1"),
        ("3e # '>'", "03 ff", "03         # max(3, -1) = 3"),
        ("26 # '&'", "ff 0c", "0c         # -1 & 12 = 12"),
        ("7c # '|'", "fc 01", "fd         # -4 | 1 = -3"),
        ("7e # '~'", "ff 05", "fa         # -1 ^ 5 = -6"),
    ] {
        let request = format!("1e\n{operator}\n 01 00 0102030405060708\n {operands}");
        assert_served(&request, &format!("ff 00 00 00 0102030405060708\n {result}"));
    }
}

#[test]
fn describe() {
    let request = format!("1e 3f # '?'\n 01 00 0102030405060708\n {}", "00".repeat(20));
    let reply = served(&octets(&request), &Limits::default()).unwrap();
    assert_eq!(reply[..12], octets("ff 00 01 00 0102030405060708 # format 1 although F is 0"));
    let text = format!("calc6 {}\noperators=+*-/%^gl<>&|~?\nlargest-reply=1232\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(str::from_utf8(&reply[12..]), Ok(&text[..]));
}

/// First, operator, width, reserved and operands of the request; status and text of the reply.
#[test]
fn every_error_status() {
    for (request, status, text) in [
        ("1e 2b 00 00 ID 01 # width 0 with an octet after the header", 1, "malformed request"),
        ("1e 2b 02 00 ID 01 # half an operand", 1, "malformed request"),
        ("1f 5e 01 00 ID 01 # one operand for a power", 1, "malformed request"),
        ("1e 21 01 00 ID 01 # operator '!'", 2, "unknown operator"),
        ("1e 2f 01 00 ID 07 00 # 7 / 0", 3, "division by zero"),
        ("1e 2b 01 01 ID 01 # reserved is 1", 5, "unsupported"),
        ("1e 5e 01 00 ID 02 ff # 2 ^ -1", 6, "outside the domain"),
    ] {
        let id = "0102030405060708";
        let request = octets(&request.replace("ID", id));
        let reply = served(&request, &Limits::default()).unwrap();
        let header = format!("7f # S 0\n {status:02x} # status\n 01 # format 1\n 00 {id}");
        assert_eq!(reply, [octets(&header), text.into()].concat());

        let (known, text) = (Status::from_octet(status), text.to_owned());
        let outcome = Outcome::Error { status, known, text, too_large: None };
        let mut random = || 0x0102_0304_0506_0708;
        let question = extended(Operator::Sum, Format::Integer, 1, &[1]);
        let mut exchange =
            Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), Duration::ZERO, &mut random);
        exchange.receive(Duration::ZERO, true, &reply);
        assert_eq!(exchange.outcome(), Some(&outcome));
    }
}

const POWER: &str = "
    1f                 # version 0001, opcode 111, F 1
    5e                 # operator '^'
    02                 # width
    00                 # reserved
    0102030405060708   # request identifier
    0002               # 2
    00c8               # 200: the result has 61 digits, the reply at most 3 * 16 octets";
const POWER_REPLY: &str = "
    7f                 # S 0
    04                 # status 4, result too large
    01                 # format 1
    00                 # reserved
    0102030405060708   # request identifier
    00000085           # at most 133 octets are needed: 12, and the digits of 200 * 2 bits
    726573756c7420746f6f206c61726765   # \"result too large\"";
const UNBOUNDED_REPLY: &str = "
    7f 04 01 00 0102030405060708
    ffffffff           # more than this server ever sends
    726573756c7420746f6f206c61726765";

#[test]
fn status_4_says_how_much_is_needed() {
    assert_served(POWER, POWER_REPLY);
    assert_served("1e 5e 04 00 0102030405060708 00000003 7fffffff # 3 ^ (2^31 - 1)", UNBOUNDED_REPLY);
    let question = extended(Operator::Power, Format::Text, 2, &[0, 2, 0, 200]);
    let outcome = Outcome::Error {
        status: 4,
        known: Some(Status::TooLarge),
        text: "result too large".to_owned(),
        too_large: Some(TooLarge::OverLimit),
    };
    assert_asked(question, POWER, UNBOUNDED_REPLY, &outcome);
}

/// The wider request: a Width of 17 makes 46 octets, which pay for 138.
#[test]
fn the_wider_request() {
    let mut draws = [0x0102_0304_0506_0708, 0x1112_1314_1516_1718, 0].into_iter();
    let question = extended(Operator::Power, Format::Text, 2, &[0, 2, 0, 200]);
    let config = Retransmission::default();
    let mut exchange =
        Exchange::new(question, PortSharing::Exclusive, &config, Duration::ZERO, &mut || draws.next().unwrap());
    assert_eq!(exchange.transmit(Duration::ZERO), Some(&octets(POWER)[..]));
    assert_eq!(exchange.receive(Duration::ZERO, true, &octets(POWER_REPLY)), Received::Widened);
    let wider = octets(
        "1f 5e
         11                 # width
         00                 # reserved
         1112131415161718   # a new identifier
         0000000000000000000000000000000002     # 2
         00000000000000000000000000000000c8     # 200",
    );
    assert_eq!(exchange.transmit(Duration::ZERO), Some(&wider[..]));
    let reply = served(&wider, &Limits::default()).unwrap();
    assert_eq!(exchange.receive(Duration::ZERO, true, &reply), Received::Accepted);
    let digits = "1606938044258990275541962092341162602522202993782792835301376";
    assert_eq!(exchange.outcome(), Some(&decimal(digits)));
}

#[test]
fn opcode_7_outside_of_version_1() {
    let unknown = "7f 756e6b6e6f776e206f70636f6465 # \"unknown opcode\"";
    assert_served("2e 2b 01 00 0102030405060708 05 # version 2", unknown);
    assert_served("2e 2b 01 00 0102030405060708 # version 2, 12 octets", unknown);
    assert_served("1e 00000001 00000002 # version 1, but 9 octets", unknown);
    let error = ClassicOnly::Error { text: "unknown opcode".to_owned() };
    let sum = extended(Operator::Sum, Format::Integer, 4, &[0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 5]);
    assert_asked(sum, EXTENDED, unknown, &Outcome::ClassicOnly(error));
}

#[test]
fn datagrams_without_an_answer() {
    for (request, reason) in [
        ("", Reason::Empty),
        ("ff 00000019 # our reply", Reason::IsReply),
        ("7f 746f6f206c61726765 # our error", Reason::IsReply),
        ("00 # no operands", Reason::NoOperands),
        ("00 0000000100 # 5 octets of operands", Reason::Ragged),
        ("1e 2b 04 00 01020304050607 # 11 octets", Reason::Escape),
    ] {
        assert_silent(&octets(request), reason);
    }
    assert_silent(&[0; 261], Reason::TooManyOperands);
    assert_silent(&[0; 1233], Reason::Oversize);
    let mut oversize = octets("1e 2b 01 00 0102030405060708");
    oversize.resize(1233, 0);
    let reply = served(&oversize, &Limits::default()).unwrap();
    assert_eq!(reply, octets("7f 05 01 00 0102030405060708 756e737570706f72746564 # \"unsupported\""));
}

#[test]
fn a_foreign_reply_is_a_valid_request() {
    assert_served("80 00000019 # its reply 25, or a request for the sum of 25", "ff 00000019");
}
