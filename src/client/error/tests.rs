use super::*;

#[test]
fn silence_is_counted() {
    for ((transmissions, refused, ignored), sentence) in [
        ((1, 0, 0), "no reply to 1 datagram"),
        ((4, 3, 0), "no reply to 4 datagrams, 3 of them refused"),
        ((4, 1, 2), "no reply to 4 datagrams, 1 of them refused (2 datagrams ignored)"),
    ] {
        assert_eq!(UnansweredReason::Silent { transmissions, refused, ignored }.to_string(), sentence);
    }
}

/// Every line of an error and its causes.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn causes_are_complete_and_printed_once() {
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    let address = |port| SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, port, 0, 0);
    let io = |port| Unanswered::new(address(port), UnansweredReason::Io(refused()));
    let silent = Unanswered::new(address(9), UnansweredReason::Stopped);
    for (error, expected) in [
        (Error::Read(refused()), &["cannot read the operands", "permission denied"][..]),
        (Error::random(refused()), &["cannot draw random numbers", "permission denied"]),
        (
            Error::Combine(arithmetic::Error::DivisionByZero),
            &["cannot combine the partial results", "division by zero"],
        ),
        (Error::unanswered(vec![io(7)]), &["::1 port 7: cannot be reached", "permission denied"]),
        (
            Error::unanswered(vec![io(7), silent]),
            &["::1 port 7: cannot be reached (permission denied); ::1 port 9: does not answer"],
        ),
        (Error::unanswered(vec![]), &["there is no address to ask"]),
        (PlanError::Describe.into(), &["describe returns a text, not a number"]),
    ] {
        assert_eq!(chain(&error), expected);
        let kind = error.kind();
        let error = io::Error::from(error);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).unwrap();
        assert_eq!(inner.kind(), kind, "nothing is lost as an io::Error");
    }
}

#[test]
fn kinds_of_unanswered() {
    let kind = |reasons: Vec<UnansweredReason>| {
        let address = "[::1]:7".parse().unwrap();
        Error::unanswered(reasons.into_iter().map(|reason| Unanswered::new(address, reason)).collect()).kind()
    };
    let io = || UnansweredReason::Io(io::ErrorKind::NetworkUnreachable.into());
    assert_eq!(kind(vec![UnansweredReason::Refused, UnansweredReason::Refused]), ErrorKind::Refused);
    assert_eq!(kind(vec![UnansweredReason::Refused, UnansweredReason::Stopped]), ErrorKind::Timeout);
    assert_eq!(kind(vec![io(), io()]), ErrorKind::Unreachable);
    assert_eq!(kind(vec![io(), UnansweredReason::Deadline { ignored: 0 }]), ErrorKind::Timeout);
}

#[test]
fn addresses_as_people_read_them() {
    for (address, shown) in [
        ("[::1]:10000", "::1 port 10000"),
        ("[::ffff:192.0.2.1]:7", "192.0.2.1 port 7"),
        ("[fe80::1%3]:7", "fe80::1%3 port 7"),
    ] {
        assert_eq!(Peer(address.parse().unwrap()).to_string(), shown);
    }
}
