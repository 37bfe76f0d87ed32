//! A blocking client: it asks a calculator server over UDP and waits for the answer.
//!
//! [`Client`] is the library's face; [`program`] is the command-line program, a user of it.

mod error;
mod plan;
#[cfg(feature = "programs")]
pub mod program;
mod random;
mod transport;

pub use error::{Error, NoAnswer, Peer, Unanswered};
pub use plan::{Forms, PlanError};
pub use transport::Event;

use std::io;
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::arithmetic::{Number, evaluate};
use crate::exchange::{self, Answer, Question};
use crate::wire::{AMPLIFICATION, Form, Format, MAX_REPLY, Operator, extended};
use plan::Part;
use random::Random;
use transport::Reply;

/// How a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long it waits and how often it repeats. By default: 1 s times 1 to 1.5 for the first reply, 3 repeats, each
    /// wait twice as long as the one before, no deadline; a peer that leaves an extended request unanswered is asked
    /// once whether it knows the classic form.
    pub patience: exchange::Config,
    /// Which form it may use. By default classic where request and result can be expressed in it, else extended.
    pub forms: Forms,
    /// How results travel: as integers (the default), or as decimal text.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Config {
        Config { patience: exchange::Config::default(), forms: Forms::default(), format: Format::Integer }
    }
}

/// A client of one server, which may have several addresses.
///
/// ```no_run
/// use calc6::Client;
/// use calc6::wire::Operator;
///
/// let mut client = Client::connect(("::1", 10000))?;
/// let result = client.evaluate(Operator::Sum, [1, 3, 5, 7, 9])?;
/// assert_eq!(result.to_string(), "25");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    peers: Vec<SocketAddrV6>,
    config: Config,
    random: Random,
}

/// A result and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The result.
    pub result: Number,
    /// The form of the requests.
    pub form: Form,
    /// Who answered, the last request if there were several.
    pub peer: SocketAddrV6,
    /// How many requests it took.
    pub requests: usize,
    /// How many datagrams were sent for them, repeats included.
    pub transmissions: u64,
    /// The time from the sending of the last request to its reply.
    pub rtt: Option<Duration>,
    /// Whether a classic server sent a string with a terminating NUL, against the course's format.
    pub trailing_nul: bool,
}

impl Client {
    /// A client with the default [`Config`]. Names are looked up; nothing is sent yet.
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address.
    pub fn connect(server: impl ToSocketAddrs) -> io::Result<Client> {
        let mut peers = Vec::new();
        for address in server.to_socket_addrs()? {
            let address = mapped(address);
            if !peers.contains(&address) {
                peers.push(address);
            }
        }
        if peers.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the server has no address"));
        }
        Ok(Client::new(peers, Config::default()))
    }

    /// A client of these addresses, which are tried in turn; IPv4 addresses are mapped (RFC 4291, section 2.5.5.2).
    pub fn new(peers: Vec<SocketAddrV6>, config: Config) -> Client {
        Client { peers, config, random: Random::new() }
    }

    /// How it asks.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is to ask from now on.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Asks for `operator` over `operands`. More operands than one datagram holds are split into several requests
    /// where the operator is associative, and the partial results combined here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate<N: Into<Number>>(
        &mut self,
        operator: Operator,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Number, Error> {
        let operands: Vec<Number> = operands.into_iter().map(Into::into).collect();
        self.evaluate_watched(operator, &operands, &mut |_, _| {}).map(|evaluation| evaluation.result)
    }

    /// As [`evaluate`](Self::evaluate), and says how the result came. `watch` is told of every datagram, with the time
    /// since the start of its request.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate_watched(
        &mut self,
        operator: Operator,
        operands: &[Number],
        watch: &mut dyn FnMut(Duration, Event<'_>),
    ) -> Result<Evaluation, Error> {
        let format = self.config.format;
        let parts = plan::plan(operator, format, self.config.forms, operands)?;
        let start = Instant::now();
        let mut results = Vec::with_capacity(parts.len());
        let mut last = None;
        let mut transmissions = 0;
        for part in &parts {
            let (reply, result) = self.ask_part(part, operator, operands, start, watch)?;
            transmissions += u64::from(reply.statistics.transmissions);
            results.push(result);
            last = Some((part.form, reply));
        }
        let (form, reply) = last.ok_or(PlanError::OperandCount { operator, found: 0 })?;
        let result = match results.len() {
            1 => results.swap_remove(0),
            _ => evaluate(operator, &results, u64::MAX).map_err(Error::Combine)?,
        };
        Ok(Evaluation {
            result,
            form,
            peer: reply.peer,
            requests: parts.len(),
            transmissions,
            rtt: reply.statistics.rtt,
            trailing_nul: matches!(reply.answer, Answer::Decimal { trailing_nul: true, .. }),
        })
    }

    /// Asks what the server is and can do: its name and version, then `key=value` lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe(&mut self) -> Result<String, Error> {
        self.describe_watched(&mut |_, _| {})
    }

    /// As [`describe`](Self::describe); `watch` is told of every datagram.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe_watched(&mut self, watch: &mut dyn FnMut(Duration, Event<'_>)) -> Result<String, Error> {
        // Padding that pays for the longest reply that servers send by default.
        let padding = vec![0; MAX_REPLY.div_ceil(AMPLIFICATION) - extended::HEADER];
        let question =
            Question::extended(Operator::Describe, Format::Text, 1, padding).expect("describe takes any operands");
        let reply = self.ask(&question, Instant::now(), watch)?;
        match reply.answer {
            Answer::Description(text) => Ok(text),
            other => Err(Error::NotANumber { peer: reply.peer, text: format!("{other:?}") }),
        }
    }

    fn ask_part(
        &mut self,
        part: &Part,
        operator: Operator,
        operands: &[Number],
        start: Instant,
        watch: &mut dyn FnMut(Duration, Event<'_>),
    ) -> Result<(Reply, Number), Error> {
        let question = part.question(operator, self.config.format, operands);
        let reply = self.ask(&question, start, watch)?;
        let result = match &reply.answer {
            Answer::Integer(octets) => Number::from_octets(octets),
            Answer::Decimal { digits, .. } => {
                let refused = |_| Error::NotANumber { peer: reply.peer, text: digits.clone() };
                digits.parse().map_err(refused)?
            }
            Answer::NotDecimal(text) | Answer::Description(text) => {
                return Err(Error::NotANumber { peer: reply.peer, text: text.clone() });
            }
        };
        Ok((reply, result))
    }

    /// One exchange, of those that began at `start`. Who has answered is asked first from then on.
    fn ask(
        &mut self,
        question: &Question,
        start: Instant,
        watch: &mut dyn FnMut(Duration, Event<'_>),
    ) -> Result<Reply, Error> {
        let mut patience = self.config.patience;
        patience.deadline = patience.deadline.map(|deadline| deadline.saturating_sub(start.elapsed()));
        let reply = transport::ask(question, &self.peers, &patience, &mut self.random, watch)?;
        if let Some(place) = self.peers.iter().position(|peer| *peer == reply.peer) {
            self.peers[..=place].rotate_right(1);
        }
        Ok(reply)
    }
}

fn mapped(address: SocketAddr) -> SocketAddrV6 {
    match address {
        SocketAddr::V6(address) => address,
        SocketAddr::V4(address) => SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0),
    }
}
