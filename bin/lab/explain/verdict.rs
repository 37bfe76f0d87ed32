//! Whether a reply says what its request asked for: the request is evaluated again.

use calc6::arithmetic::Number;
use calc6::responder::{Limits, ReplyLimit, Verdict, WrittenReply, respond};
use calc6::view::{Fault, Field, Name, View, abridged_with_length};
use calc6::wire::{Form, Kind, MAX_REPLY, MAX_REPLY_CEILING, Operator, Status};

/// The most characters of a result in a message.
const DIGITS: usize = 60;

/// What is wrong with a reply as the answer to its request; `None` if it is right, or if that cannot be judged.
pub fn verdict(request: &[u8], reply: &View<'_>) -> Option<Fault> {
    // What does not count as a reply is not judged further, and a server chooses its own description.
    if reply.is_wrong() || reply.operator() == Some(Operator::Describe) {
        return None;
    }
    let mut buffer = [0; MAX_REPLY_CEILING];
    let limits = Limits::default().with_max_reply(ReplyLimit::MAX);
    let expected = match respond(request, &mut buffer, &limits) {
        Verdict::Reply(expected) => expected,
        Verdict::Silence(_) => return Some(unasked_for(request)),
    };
    let expected_view = View::reply(&buffer[..expected.len], Some(request));
    match (result(reply), result(&expected_view)) {
        (Some(found), Some(wanted)) => wrong_result(reply, found, wanted),
        (Some(found), None) => instead_of_an_error(request, reply, found, &expected),
        (None, Some(wanted)) => instead_of_a_result(reply, wanted, expected.len),
        (None, None) => other_status(reply, expected.status),
    }
}

fn unasked_for(request: &[u8]) -> Fault {
    match Kind::of(request) {
        Kind::Reply => Fault::wrong("4.1", "an answer to a datagram that is a reply: this is how loops begin"),
        Kind::Escape { .. } => Fault::remark("4.4", "an answer where the protocol requires none"),
        _ => Fault::remark("2.7", "an answer to a malformed request: it could have been the error of another server"),
    }
}

fn wrong_result(reply: &View<'_>, found: &Field, wanted: &Field) -> Option<Fault> {
    if number(found)? == number(wanted)? {
        return None;
    }
    let clause = if reply.form() == Form::Classic { "2.3" } else { "3.4" };
    let text = format!("the right result is {}", abridged_with_length(&wanted.value, DIGITS));
    Some(Fault::wrong(clause, text).at(found.bits.clone()))
}

/// The usual case is a C program that computes in 32 bits.
fn instead_of_an_error(request: &[u8], reply: &View<'_>, found: &Field, expected: &WrittenReply) -> Option<Fault> {
    if reply.form() == Form::Classic && expected.status == Status::TooLarge {
        let mut buffer = [0; MAX_REPLY];
        let wrap = Limits::default().with_wrap(true);
        let Verdict::Reply(wrapped) = respond(request, &mut buffer, &wrap) else { return None };
        let wrapped = View::reply(&buffer[..wrapped.len], Some(request));
        let fault = match result(&wrapped) {
            Some(wrapped) if number(wrapped) == number(found) => {
                Fault::remark("2.9", "the result modulo 2^32: a wrong number without an error")
            }
            Some(_) => Fault::wrong("2.9", "the result does not fit 32 bits: expected an error"),
            None => Fault::wrong("2.10", "the result has over 256 digits: expected an error"),
        };
        return Some(fault.at(found.bits.clone()));
    }
    let (clause, text) = match (reply.form(), expected.status) {
        (Form::Classic, _) => ("2.6", "a result in answer to an unknown opcode, instead of an error".to_owned()),
        (Form::Extended, status) => {
            ("3.9", format!("a result instead of status {}, {}", status.octet(), status.text()))
        }
    };
    Some(Fault::wrong(clause, text).at(found.bits.clone()))
}

/// `len` is the length of the right reply, in octets.
fn instead_of_a_result(reply: &View<'_>, wanted: &Field, len: usize) -> Option<Fault> {
    let too_large = status(reply) == Some(Status::TooLarge);
    // Its limit is the server's own choice above 1232 octets.
    if too_large && len > MAX_REPLY {
        return None;
    }
    let known_to_classic_only = reply.faults().iter().any(|fault| fault.clause == "3.12");
    if known_to_classic_only {
        return None;
    }
    let clause = if reply.form() == Form::Classic { "2.6" } else { "3.9" };
    let wanted = abridged_with_length(&wanted.value, DIGITS);
    Some(Fault::wrong(clause, format!("an error instead of the result {wanted}")))
}

fn other_status(reply: &View<'_>, wanted: Status) -> Option<Fault> {
    let found = status(reply)?;
    let text = format!("status {} instead of {}, {}", found.octet(), wanted.octet(), wanted.text());
    (found != wanted).then(|| Fault::wrong("3.9", text))
}

fn result<'a>(view: &'a View<'_>) -> Option<&'a Field> {
    view.fields().iter().find(|field| field.name == Name::Result)
}

fn number(result: &Field) -> Option<Number> {
    result.value.parse().ok()
}

/// Of an extended reply.
fn status(view: &View<'_>) -> Option<Status> {
    let field = view.fields().iter().find(|field| field.name == Name::Status)?;
    Status::from_octet(field.value.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use calc6::view::Severity;

    use super::*;

    fn said(request: &[u8], reply: &[u8]) -> Option<(&'static str, Severity)> {
        verdict(request, &View::reply(reply, Some(request))).map(|fault| (fault.clause, fault.severity))
    }

    #[test]
    fn classic_verdicts() {
        use Severity::{Remark, Wrong};
        let sum = [0x00, 0, 0, 0, 1, 0, 0, 0, 2];
        let overflow = [0x00, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3];
        let text = [0x01, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3];
        for (request, reply, expected) in [
            (&sum[..], &b"\xff\0\0\0\x03"[..], None),
            (&sum, b"\x80\0\0\0\x03", None),
            (&sum, b"\xff\0\0\0\x04", Some(("2.3", Wrong))),
            (&sum, b"\x03\0\0\0", Some(("2.6", Wrong))),
            (&overflow, b"\xff\0\0\0\x02", Some(("2.9", Remark))),
            (&overflow, b"\xff\xff\xff\xff\xff", Some(("2.9", Wrong))),
            (&overflow, b"\x7f", None),
            (&text, b"\xff4294967298", None),
            (&text, b"\xff2", Some(("2.3", Wrong))),
            (&[0x44, 0, 0, 0, 1], b"\x80\0\0\0\x01", Some(("2.6", Wrong))),
            (&[0x00, 0, 0], b"\x00", Some(("2.7", Remark))),
            (&[0xff, 0, 0, 0, 1], b"\x00", Some(("4.1", Wrong))),
        ] {
            assert_eq!(said(request, reply), expected, "{request:02x?} {reply:02x?}");
        }
    }

    #[test]
    fn extended_verdicts() {
        use Severity::Wrong;
        let sum = b"\x1f+\x01\x0012345678\x05\xfe";
        let quotient = b"\x1e/\x01\x0012345678\x05\x00";
        for (request, reply, expected) in [
            (&sum[..], &b"\xff\0\x01\x00123456783"[..], None),
            (sum, b"\xff\0\x01\x00123456784", Some(("3.4", Wrong))),
            (sum, b"\x7f\x01\x01\x0012345678", Some(("3.9", Wrong))),
            (sum, b"\x7fno", None),
            (quotient, b"\x7f\x03\x01\x0012345678", None),
            (quotient, b"\x7f\x01\x01\x0012345678", Some(("3.9", Wrong))),
            (quotient, b"\xff\0\0\x0012345678\x05", Some(("3.9", Wrong))),
            (b"\x1f?\x01\x0012345678", b"\xff\0\x01\x0012345678any text", None),
        ] {
            assert_eq!(said(request, reply), expected, "{request:02x?} {reply:02x?}");
        }
    }
}
