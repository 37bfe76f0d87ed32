//! Resolves the words HOST and PORT to socket addresses.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use calc6::net::mapped;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use thiserror::Error;

use crate::common::usage::{Port, Typed};

/// A host and a port as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Port,
}

/// Why a word is not a port or not a host with a port.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadEndpoint {
    /// The port is not one.
    #[error("port {}: expected a number from 1 to 65535 or the name of a service", Typed(.0))]
    Port(String),
    /// No colon separates host and port, or several colons could.
    #[error("{}: expected HOST:PORT, with an IPv6 address in brackets: [ADDRESS]:PORT", Typed(.0))]
    NoColon(String),
}

/// Why no address was found.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The name service does not know the host, or does not answer.
    #[error("host {}: {reason}", Typed(host))]
    Host {
        /// The host as typed.
        host: String,
        /// The error of getaddrinfo(3).
        reason: LookupError,
    },
    /// The name service answers without an address.
    #[error("host {}: it has no address", Typed(.0))]
    NoAddress(String),
    /// A link-local address needs its interface (RFC 4007, section 6).
    #[error("host {}: a link-local address needs a zone, such as {host}%eth0", Typed(host))]
    NoZone {
        /// The host as typed.
        host: String,
    },
    /// The zone is not one of this machine's interfaces.
    #[error("host {}: no interface {zone} here", Typed(host))]
    Zone {
        /// The host as typed.
        host: String,
        /// The text after the percent sign.
        zone: String,
    },
    /// An IPv6 address and a port in one word, without the brackets that tell one from the other.
    #[error("host \"{address}:{port}\": an IPv6 address before a port needs brackets: [{address}]:{port}")]
    NoBrackets {
        /// The text before the last colon.
        address: String,
        /// The text after it.
        port: String,
    },
    /// No text at all.
    #[error("host \"\": expected an address or a name")]
    Empty,
    /// The service is not known.
    #[error("port {}: no UDP service of that name is known (see services(5))", Typed(port))]
    Service {
        /// The port as typed.
        port: String,
    },
}

impl Endpoint {
    /// Parses a host as typed, an IPv6 address in brackets too, and a port.
    ///
    /// # Errors
    /// The port is empty, 0, or a number over 65535.
    pub fn new(host: &str, port: &str) -> Result<Endpoint, BadEndpoint> {
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let port = Port::to_ask(port).map_err(|_| BadEndpoint::Port(port.to_owned()))?;
        Ok(Endpoint { host: host.to_owned(), port })
    }

    /// Parses a host and a port with a colon between them, an IPv6 address in brackets.
    ///
    /// # Errors
    /// No such colon, or an error of [`new`](Self::new).
    pub fn from_word(word: &str) -> Result<Endpoint, BadEndpoint> {
        let unclear = || BadEndpoint::NoColon(word.to_owned());
        let (host, port) = word.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(unclear)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.contains(':') && !bracketed { Err(unclear()) } else { Endpoint::new(host, port) }
    }

    /// The addresses to try, in the order to try them in; IPv4 addresses mapped into IPv6 (RFC 4291, section 2.5.5.2).
    ///
    /// Asks the resolver only if the words are not an address and a number.
    ///
    /// # Errors
    /// The error of getaddrinfo(3).
    pub fn resolve(&self) -> Result<Vec<SocketAddrV6>, ResolveError> {
        let address: Result<IpAddr, _> = self.host.parse();
        if matches!(address, Ok(IpAddr::V6(address)) if address.is_unicast_link_local()) {
            return Err(ResolveError::NoZone { host: self.host.clone() });
        }
        if let (Ok(address), &Port::Number(port)) = (address, &self.port) {
            return Ok(vec![mapped(SocketAddr::new(address, port))]);
        }
        let hints = AddrInfoHints { socktype: SockType::DGram.into(), ..AddrInfoHints::default() };
        let answers = dns_lookup::getaddrinfo(Some(&self.host), Some(&self.port.to_string()), Some(hints));
        let mut addresses: Vec<SocketAddrV6> = Vec::new();
        for answer in answers.map_err(|reason| self.failure(reason))?.flatten() {
            let address = mapped(answer.sockaddr);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err(ResolveError::NoAddress(self.host.clone())) } else { Ok(addresses) }
    }

    fn failure(&self, reason: LookupError) -> ResolveError {
        match (&self.port, reason.kind()) {
            (Port::Service(port), LookupErrorKind::Service) => ResolveError::Service { port: port.clone() },
            _ => match self.host.split_once('%') {
                Some((address, zone)) if address.parse::<Ipv6Addr>().is_ok() => {
                    ResolveError::Zone { host: self.host.clone(), zone: zone.to_owned() }
                }
                _ if self.host.is_empty() => ResolveError::Empty,
                _ => match self.host.rsplit_once(':') {
                    Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => {
                        ResolveError::NoBrackets { address: address.to_owned(), port: port.to_owned() }
                    }
                    _ => ResolveError::Host { host: self.host.clone(), reason },
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(host: &str, port: &str) -> Vec<String> {
        let addresses = Endpoint::new(host, port).unwrap().resolve().unwrap();
        addresses.into_iter().map(|address| address.to_string()).collect()
    }

    #[test]
    fn literal_addresses() {
        assert_eq!(resolved("::1", "10000"), ["[::1]:10000"]);
        assert_eq!(resolved("[::1]", "1"), ["[::1]:1"]);
        assert_eq!(resolved("192.0.2.1", "65535"), ["[::ffff:192.0.2.1]:65535"]);
        assert_eq!(resolved("fe80::1%lo", "7"), ["[fe80::1%1]:7"]);
        assert_eq!(resolved("::1", "domain"), ["[::1]:53"]);
    }

    #[test]
    fn words_that_are_not_ports() {
        for port in ["", "0", "65536", "99999999999999999999", "-1", "+1", "1 2"] {
            let error = Endpoint::new("::1", port).unwrap_err();
            assert_eq!(error, BadEndpoint::Port(port.to_owned()));
        }
    }

    #[test]
    fn hosts_and_ports_in_one_word() {
        for (word, host, port) in [("[::1]:7", "::1", "7"), ("192.0.2.1:7", "192.0.2.1", "7"), ("a.b:c", "a.b", "c")] {
            assert_eq!(Endpoint::from_word(word), Endpoint::new(host, port), "{word}");
        }
        for word in ["", "a", ":7", "::1:7", "[::1]", "::1"] {
            assert_eq!(Endpoint::from_word(word), Err(BadEndpoint::NoColon(word.to_owned())), "{word}");
        }
        assert_eq!(Endpoint::from_word("a:0"), Err(BadEndpoint::Port("0".to_owned())));
    }

    #[test]
    fn errors_quote_the_words_as_typed() {
        let failure = |host, port| Endpoint::new(host, port).unwrap().resolve().unwrap_err().to_string();
        assert_eq!(failure("fe80::1%nowhere", "7"), "host \"fe80::1%nowhere\": no interface nowhere here");
        assert_eq!(
            failure("fe80::1", "7"),
            "host \"fe80::1\": a link-local address needs a zone, such as fe80::1%eth0"
        );
        assert_eq!(
            failure("::1:10000", "7"),
            "host \"::1:10000\": an IPv6 address before a port needs brackets: [::1]:10000"
        );
        assert_eq!(failure("", "7"), "host \"\": expected an address or a name");
        assert!(failure("::1", "no-such-service").starts_with("port \"no-such-service\": no UDP service"));
    }
}
