//! The client: it asks a calculator server over UDP and waits for the answer.
//!
//! [`Client`] blocks; `tokio::Client`, with the Cargo feature `tokio`, is the same for programs on Tokio.

mod accumulator;
mod batch;
mod chunk;
mod error;
mod many;
mod pipeline;
mod random;
mod stream;
pub mod text;
#[cfg(feature = "tokio")]
pub mod tokio;
mod transport;

pub use crate::exchange::plan::{Forms, PlanError};
pub use accumulator::ResultTooLong;
pub use error::{Error, Peer, Unanswered, UnansweredReason};
pub use stream::Progress;
pub use text::{OperandError, OperandErrorKind};
pub use transport::{Event, Watch};

use std::io::{self, Read};
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::arithmetic::{Number, evaluate};
use crate::exchange::plan::{self, PlannedRequest};
use crate::exchange::{Answer, Outcome, Question, Retransmission};
use crate::expression::{self, Expression};
use crate::net::Segmentation;
use crate::wire::{Form, Format, Operator, extended};
use batch::{BatchOptions, RequestSource};
use many::Many;
use pipeline::PipelineCounts;
use random::Random;
use stream::Stream;
use transport::{AskContext, PeerAnswer};

/// How a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How long it waits and how often it repeats. By default: 1 s times 1 to 1.5 for the first reply, 3 repeats, each
    /// wait twice as long as the one before, no deadline; a peer that leaves an extended request unanswered is asked
    /// once whether it knows the classic form.
    pub retransmission: Retransmission,
    /// Which form it may use. By default classic where request and result can be expressed in it, else extended.
    pub forms: Forms,
    /// How results travel: as integers (the default), or as decimal text.
    pub format: Format,
    /// Whether requests of a batch may travel as segments of one message. By default where the system can.
    pub segmentation: Segmentation,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            retransmission: Retransmission::default(),
            forms: Forms::default(),
            format: Format::Integer,
            segmentation: Segmentation::Auto,
        }
    }
}

/// A blocking client of one server, which may have several addresses.
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
    /// Servers that share the work of many requests, with their addresses.
    others: Vec<Vec<SocketAddrV6>>,
    config: Config,
    random: Random,
    interrupt: Arc<AtomicBool>,
}

/// A result and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The result.
    pub result: Number,
    /// How many operands there were.
    pub operands: u64,
    /// The form of the requests.
    pub form: Form,
    /// Who answered, the last request if there were several.
    pub peer: SocketAddrV6,
    /// How many requests it took.
    pub requests: u64,
    /// How many datagrams were sent for them, repeats included.
    pub transmissions: u64,
    /// The time from the sending of the last request to its reply; `None` where many were in flight at once.
    pub rtt: Option<Duration>,
    /// Whether a classic server sent a string with a terminating NUL, against the course's format.
    pub trailing_nul: bool,
}

/// The value of an expression, and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpressionValue {
    /// The value.
    pub result: Number,
    /// How many requests it took.
    pub requests: u64,
    /// How many datagrams were sent for them, repeats included.
    pub transmissions: u64,
    /// The evaluation that ended last; `None` if nothing had to be asked.
    pub last: Option<Evaluation>,
}

/// What a server says of itself, and how that came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name and version, then `key=value` lines.
    pub text: String,
    /// Who answered.
    pub peer: SocketAddrV6,
    /// How many datagrams were sent, repeats included.
    pub transmissions: u64,
    /// The time from the sending of the request to its reply.
    pub rtt: Option<Duration>,
}

impl Config {
    /// Whether requests of this configuration can express `operator` over `operands`; nothing is sent.
    ///
    /// # Errors
    /// IgnoredReason not.
    pub fn can_ask(&self, operator: Operator, operands: &[Number]) -> Result<(), PlanError> {
        plan::plan(operator, self.format, self.forms, operands).map(drop)
    }
}

impl Client {
    /// A client with the default [`Config`]. Names are looked up; nothing is sent yet.
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address.
    pub fn connect(server: impl ToSocketAddrs) -> io::Result<Client> {
        Ok(Client::new(mapped(server.to_socket_addrs()?)?, Config::default()))
    }

    /// A client of these addresses, which are tried in turn; IPv4 addresses are mapped (RFC 4291, section 2.5.5.2).
    pub fn new(peers: Vec<SocketAddrV6>, config: Config) -> Client {
        Client { peers, others: Vec::new(), config, random: Random::new(), interrupt: Arc::default() }
    }

    /// Adds a server that shares the work of many requests, and takes over where another stops answering. Its
    /// addresses are tried in turn.
    pub fn add_server(&mut self, peers: Vec<SocketAddrV6>) {
        self.others.push(peers);
    }

    /// How it asks.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is to ask from now on.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// A flag that ends whatever is going on with [`Error::Interrupted`], once it is set and a signal has interrupted
    /// the wait: for signal handlers.
    pub fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupt)
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
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        self.evaluate_since(Instant::now(), self.config.forms, operator, operands, watch)
    }

    /// Asks several questions, a few at the same time, each on a socket of its own and so in whichever form can express
    /// it. Each has its own evaluation or error, in the order of the questions.
    ///
    /// # Errors
    /// What concerns no question alone: an interruption, that the system refuses what every exchange needs, or that one
    /// of several questions has no answer from anybody.
    pub fn evaluate_each(
        &mut self,
        questions: &[(Operator, Vec<Number>)],
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        let start = Instant::now();
        let plans = Plans::new(questions, &self.config);
        let replies = self.ask_all(plans.questions(), start, watch)?;
        Ok(plans.combine(replies))
    }

    /// Asks for what an expression takes, independent parts at the same time. `watch` is told of every datagram.
    ///
    /// # Errors
    /// See [`Error`]. Operands have at most 255 octets, also those that are results.
    pub fn evaluate_expression(
        &mut self,
        expression: Expression,
        watch: &mut Watch<'_>,
    ) -> Result<ExpressionValue, Error> {
        let mut plan = expression::Evaluator::new(expression);
        let mut value = ExpressionValue { result: Number::ZERO, requests: 0, transmissions: 0, last: None };
        loop {
            let (mut nodes, mut questions) = (Vec::new(), Vec::new());
            while let Some(expression::Operation { node, operator, operands }) = plan.next_operation() {
                nodes.push(node);
                questions.push((operator, operands));
            }
            for (node, evaluation) in nodes.iter().zip(self.evaluate_each(&questions, watch)?) {
                let evaluation = evaluation?;
                plan.answer(*node, evaluation.result.clone());
                value.requests += evaluation.requests;
                value.transmissions += evaluation.transmissions;
                value.last = Some(evaluation);
            }
            if let Some(result) = plan.result() {
                value.result = result.clone();
                return Ok(value);
            }
        }
    }

    /// Asks for an associative operator over all integers of a text, which are separated by white space or commas; many
    /// requests are in flight at once, and memory does not grow with the text. Other operators may have as many operands
    /// as one datagram holds. Only products and least common multiples grow with the text: over `max_result` octets they
    /// are refused. `tell` is told often how far things are, `watch` of every datagram.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate_text(
        &mut self,
        operator: Operator,
        text: impl Read + AsFd,
        max_result: u64,
        tell: &mut dyn FnMut(Progress),
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        let (start, format) = (Instant::now(), self.config.format);
        let room = plan::room(operator, format);
        let interrupt = self.interrupt();
        let mut stream = Stream::new(text, operator, format, room, max_result, &interrupt, tell);
        let head = stream.head(room)?;
        if !head.more {
            return self.evaluate_since(start, self.config.forms, operator, &head.operands, watch);
        }
        stream.check(&head.operands)?;
        // A peer that knows only classic is recognised by an exchange on a socket of its own.
        let classic = self.config.forms == Forms::Classic;
        let forms = if classic { Forms::Classic } else { Forms::Extended };
        let mut evaluation = self.evaluate_since(start, forms, operator, &head.operands, watch)?;
        stream.add(evaluation.result.clone())?;
        if classic {
            loop {
                let head = stream.head(room)?;
                if head.operands.is_empty() {
                    return stream.finish(evaluation);
                }
                evaluation.follow(self.evaluate_since(start, forms, operator, &head.operands, watch)?);
                stream.add(evaluation.result.clone())?;
            }
        }
        let counts = self.run(&mut stream, start, watch)?;
        evaluation.requests += counts.answered;
        evaluation.transmissions += counts.transmissions;
        evaluation.rtt = None;
        stream.finish(evaluation)
    }

    /// Asks many questions at once, over a socket that they share, and so in the extended form unless the
    /// [`Config`] demands the classic one. The answers have the order of the questions; each has its own error where
    /// the server answers with one.
    ///
    /// ```no_run
    /// # use calc6::{Client, arithmetic::Number, wire::Operator};
    /// # let mut client = Client::connect(("::1", 10000))?;
    /// let squares = (1..=1000).map(|n| (Operator::Power, vec![Number::from(n), Number::from(2)]));
    /// for square in client.evaluate_many(squares)? {
    ///     println!("{}", square?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No server answers.
    pub fn evaluate_many(
        &mut self,
        questions: impl IntoIterator<Item = (Operator, Vec<Number>)>,
    ) -> Result<Vec<Result<Number, Error>>, Error> {
        let start = Instant::now();
        let watch: &mut Watch<'_> = &mut |_, _| {};
        if self.config.forms == Forms::Classic {
            let questions: Vec<_> = questions.into_iter().collect();
            let evaluations = self.evaluate_each(&questions, watch)?;
            return Ok(evaluations.into_iter().map(|each| each.map(|evaluation| evaluation.result)).collect());
        }
        let mut work = Many::new(questions, self.config.format);
        // The first goes alone: it finds the address that answers, and a peer that knows only classic.
        if let Some(question) = work.take_first() {
            let reply = self.ask(question, start, watch);
            work.answered_first(reply.and_then(|reply| number_of(reply.peer, &reply.answer)))?;
        }
        self.run(&mut work, start, watch)?;
        Ok(work.finish())
    }

    /// Asks what the server is and can do: its name and version, then `key=value` lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe(&mut self) -> Result<String, Error> {
        self.describe_watched(&mut |_, _| {}).map(|description| description.text)
    }

    /// As [`describe`](Self::describe), and says how the answer came; `watch` is told of every datagram.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe_watched(&mut self, watch: &mut Watch<'_>) -> Result<Description, Error> {
        self.ask(plan::describing(), Instant::now(), watch).and_then(description)
    }

    fn evaluate_since(
        &mut self,
        start: Instant,
        forms: Forms,
        operator: Operator,
        operands: &[Number],
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        let format = self.config.format;
        let parts = plan::plan(operator, format, forms, operands)?;
        let questions = parts.iter().map(|part| part.question(operator, format, operands)).collect();
        let replies = self.ask_all(questions, start, watch)?;
        combine(operator, operands, &parts, replies)
    }

    fn ask(&mut self, question: Question, start: Instant, watch: &mut Watch<'_>) -> Result<PeerAnswer, Error> {
        self.ask_all(vec![question], start, watch)?.pop().unwrap_or_else(|| Err(Error::Unanswered(Vec::new())))
    }

    /// Exchanges of a whole that began at `start`. Where there are several addresses the first goes alone, and whoever
    /// answers it is asked first from then on.
    fn ask_all(
        &mut self,
        mut questions: Vec<Question>,
        start: Instant,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Result<PeerAnswer, Error>>, Error> {
        if self.peers.len() == 1 && self.others.is_empty() {
            return self.exchange(questions, start, watch);
        }
        let others = questions.split_off(questions.len().min(1));
        let mut replies = self.exchange(questions, start, watch)?;
        match replies.pop() {
            Some(Err(error @ Error::Unanswered(_))) if !others.is_empty() => return Err(error),
            first => {
                if let Some(Ok(reply)) = &first {
                    self.prefer(reply.peer);
                }
                replies.extend(first);
            }
        }
        replies.extend(self.exchange(others, start, watch)?);
        Ok(replies)
    }

    fn exchange(
        &mut self,
        questions: Vec<Question>,
        start: Instant,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Result<PeerAnswer, Error>>, Error> {
        let peers = self.peers.iter().chain(self.others.iter().flatten()).copied().collect();
        let mut retransmission = self.config.retransmission;
        retransmission.deadline = retransmission.deadline.map(|deadline| deadline.saturating_sub(start.elapsed()));
        let (random, interrupt) = (&mut self.random, &*self.interrupt);
        transport::ask_all(
            questions,
            &mut AskContext { peers, retransmission: &retransmission, random, interrupt },
            watch,
        )
    }

    /// Puts a server, and of its addresses the one that answers, in front.
    fn prefer(&mut self, peer: SocketAddrV6) {
        if let Some(other) = self.others.iter_mut().find(|addresses| addresses.contains(&peer)) {
            std::mem::swap(&mut self.peers, other);
        }
        to_front(&mut self.peers, peer);
    }

    /// RequestSource for a pipeline to every server.
    fn run(
        &mut self,
        work: &mut dyn RequestSource,
        start: Instant,
        watch: &mut Watch<'_>,
    ) -> Result<PipelineCounts, Error> {
        let mut servers = vec![self.peers.clone()];
        servers.extend_from_slice(&self.others);
        let Config { retransmission, segmentation, .. } = self.config;
        let options = BatchOptions { retransmission, segmentation };
        batch::run(&servers, &options, start, &mut self.random, &self.interrupt, work, watch)
    }
}

/// What several questions take.
struct Plans<'a> {
    format: Format,
    questions: &'a [(Operator, Vec<Number>)],
    plans: Vec<Result<Vec<PlannedRequest>, PlanError>>,
}

impl<'a> Plans<'a> {
    fn new(questions: &'a [(Operator, Vec<Number>)], config: &Config) -> Plans<'a> {
        let Config { format, forms, .. } = *config;
        let plans = questions.iter().map(|(operator, operands)| plan::plan(*operator, format, forms, operands));
        Plans { format, questions, plans: plans.collect() }
    }

    /// The parts of all questions, in their order.
    fn questions(&self) -> Vec<Question> {
        let planned = self.plans.iter().zip(self.questions).flat_map(|(plan, (operator, operands))| {
            plan.iter().flatten().map(|part| part.question(*operator, self.format, operands))
        });
        planned.collect()
    }

    /// The evaluations that the replies to the parts make.
    fn combine(self, replies: Vec<Result<PeerAnswer, Error>>) -> Vec<Result<Evaluation, Error>> {
        let mut replies = replies.into_iter();
        let evaluations = self.plans.into_iter().zip(self.questions).map(|(plan, (operator, operands))| {
            let replies = replies.by_ref().take(plan.as_ref().map_or(0, Vec::len)).collect();
            combine(*operator, operands, &plan?, replies)
        });
        evaluations.collect()
    }
}

/// The evaluation that the replies to the parts of a question make.
fn combine(
    operator: Operator,
    operands: &[Number],
    parts: &[PlannedRequest],
    replies: Vec<Result<PeerAnswer, Error>>,
) -> Result<Evaluation, Error> {
    let mut results = Vec::with_capacity(parts.len());
    let mut transmissions = 0;
    let mut last = None;
    for reply in replies {
        let reply = reply?;
        results.push(number_of(reply.peer, &reply.answer)?);
        transmissions += u64::from(reply.statistics.transmissions);
        last = Some(reply);
    }
    let (Some(reply), Some(part)) = (last, parts.last()) else {
        return Err(PlanError::OperandCount { operator, found: operands.len() }.into());
    };
    let result = match results.len() {
        1 => results.swap_remove(0),
        _ => evaluate(operator, &results, u64::MAX).map_err(Error::Combine)?,
    };
    Ok(Evaluation {
        result,
        operands: operands.len() as u64,
        form: part.form,
        peer: reply.peer,
        requests: parts.len() as u64,
        transmissions,
        rtt: reply.statistics.rtt,
        trailing_nul: matches!(reply.answer, Answer::Decimal { trailing_nul: true, .. }),
    })
}

fn description(reply: PeerAnswer) -> Result<Description, Error> {
    let PeerAnswer { peer, answer, statistics } = reply;
    match answer {
        Answer::Description(text) => {
            let transmissions = u64::from(statistics.transmissions);
            Ok(Description { text, peer, transmissions, rtt: statistics.rtt })
        }
        other => Err(Error::NotANumber { peer, text: format!("{other:?}") }),
    }
}

impl Evaluation {
    /// Adds what a further request counted; the result is the later one.
    fn follow(&mut self, later: Evaluation) {
        let (operands, requests, transmissions) = (self.operands, self.requests, self.transmissions);
        *self = later;
        self.operands += operands;
        self.requests += requests;
        self.transmissions += transmissions;
    }
}

/// The number that an answer is.
fn number_of(peer: SocketAddrV6, answer: &Answer) -> Result<Number, Error> {
    match answer {
        Answer::Integer(octets) => Ok(Number::from_octets(octets)),
        Answer::Decimal { digits, .. } => digits.parse().map_err(|_| Error::NotANumber { peer, text: digits.clone() }),
        Answer::NotDecimal(text) | Answer::Description(text) => Err(Error::NotANumber { peer, text: text.clone() }),
    }
}

/// The number that an extended reply brings, or the error that it tells.
fn number_of_reply(peer: SocketAddrV6, operator: Operator, reply: &extended::Reply<'_>) -> Result<Number, Error> {
    if reply.is_success() && reply.format() == Format::Integer {
        return Ok(Number::from_octets(reply.result()));
    }
    match Outcome::of_extended(reply, operator) {
        Outcome::Answer(answer) => number_of(peer, &answer),
        outcome => Err(Error::of_outcome(peer, outcome).unwrap_or_else(|| Error::Unanswered(Vec::new()))),
    }
}

/// The addresses of a server, each once; IPv4 addresses are mapped (RFC 4291, section 2.5.5.2).
fn mapped(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddrV6>> {
    let mut peers = Vec::new();
    for address in addresses {
        let address = match address {
            SocketAddr::V6(address) => address,
            SocketAddr::V4(address) => SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0),
        };
        if !peers.contains(&address) {
            peers.push(address);
        }
    }
    if peers.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the server has no address"));
    }
    Ok(peers)
}

/// Who answered is asked first from then on.
fn to_front(peers: &mut [SocketAddrV6], peer: SocketAddrV6) {
    if let Some(place) = peers.iter().position(|address| *address == peer) {
        peers[..=place].rotate_right(1);
    }
}
