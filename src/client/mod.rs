//! The client: it asks a calculator server over UDP and waits for the answer.
//!
//! Main type: [`Client`]. May call `exchange`, `expression`, `view`, `arithmetic` and `net`.
//!
//! [`Client`] blocks; [`tokio::Client`](self::tokio), with the Cargo feature `tokio`, is for programs on Tokio. Both
//! ask as their [`Config`] says, and return the same [`Error`]s.

#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod accumulator;
mod addresses;
mod ahead;
mod batch;
mod cancel;
mod chunk;
mod config;
mod congestion;
mod error;
mod evaluation;
mod many;
mod pipeline;
mod random;
mod stream;
pub mod text;
#[cfg(feature = "tokio")]
pub mod tokio;
mod transport;

pub use crate::exchange::{Forms, PlanError};
pub use cancel::Canceller;
pub use config::Config;
pub use error::{Error, ErrorKind, NoAnswer, Peer, ResultTooLong, Unanswered, UnansweredReason};
pub use evaluation::{Description, Evaluation, ExpressionValue, Progress, ServerShare};
pub use many::{Answer, Answers};
pub use text::{OperandError, OperandErrorKind};
pub use transport::{Event, Watch};

use std::io::{self, Read};
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use crate::arithmetic::Number;
use crate::exchange::Question;
use crate::exchange::plan::{describing, plan};
use crate::expression::{Evaluator, Expression, Operation};
use crate::net::wait::AsFd;
use crate::wire::Operator;
use addresses::{mapped, no_address, to_front};
use ahead::reading_ahead;
use batch::BatchDriver;
use cancel::Cancellation;
use evaluation::{Plans, combine, description, requests};
use random::Random;
use stream::{Stream, TextOperands, WaitableText};
use transport::{AskContext, PeerAnswer};

/// A blocking client of one server, which may have several addresses, and of others that share its work.
///
/// ```
/// use calc6::wire::Operator;
/// use calc6::{Client, Server};
///
/// // A server of this program's own, on a port that the kernel chooses.
/// let server = Server::bind("[::1]:0".parse()?, calc6::server::Config::default())?;
/// let (address, handle) = (server.local_addr(), server.handle());
/// let serving = std::thread::spawn(|| server.run());
///
/// let mut client = Client::connect(address)?;
/// let result = client.evaluate(Operator::Sum, [1, 3, 5, 7, 9])?;
/// assert_eq!(result.to_string(), "25");
///
/// handle.stop();
/// serving.join().expect("the server does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    peers: Vec<SocketAddrV6>,
    /// Servers that share the work of many requests, with their addresses.
    others: Vec<Vec<SocketAddrV6>>,
    config: Config,
    random: Random,
    cancellation: Arc<Cancellation>,
}

/// What one call works under.
#[derive(Clone, Copy)]
struct Call {
    /// When it began: its deadline counts from here.
    start: Instant,
    forms: Forms,
    max_result: u64,
}

impl Client {
    /// A client with the default [`Config`]. Names are looked up; nothing is sent yet.
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address.
    pub fn connect(server: impl ToSocketAddrs) -> io::Result<Client> {
        Client::connect_with(server, Config::default())
    }

    /// As [`connect`](Self::connect), with a [`Config`].
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address.
    pub fn connect_with(server: impl ToSocketAddrs, config: Config) -> io::Result<Client> {
        let client = Client::new(server.to_socket_addrs()?, config);
        if client.peers.is_empty() { Err(no_address()) } else { Ok(client) }
    }

    /// A client of a server with these addresses, IPv6 or IPv4, which are tried in turn.
    pub fn new<A: Into<SocketAddr>>(addresses: impl IntoIterator<Item = A>, config: Config) -> Client {
        Client {
            peers: mapped(addresses),
            others: Vec::new(),
            config,
            random: Random::new(),
            cancellation: Arc::default(),
        }
    }

    /// Adds a server that shares the work of many requests, and takes over where another stops answering. Its
    /// addresses are tried in turn.
    pub fn add_server<A: Into<SocketAddr>>(&mut self, addresses: impl IntoIterator<Item = A>) {
        self.others.push(mapped(addresses));
    }

    /// How it asks.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is to ask from now on.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// What ends a call of this client from another thread.
    ///
    /// # Errors
    /// Too many files are open.
    pub fn canceller(&self) -> io::Result<Canceller> {
        self.cancellation.canceller()
    }

    /// Asks for `operator` over `operands`. More operands than one datagram holds are split into several requests where
    /// the operator is associative, a difference or a quotient, and the partial results combined here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate<N: Into<Number>>(
        &mut self,
        operator: Operator,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Number, Error> {
        self.evaluate_detailed(operator, operands).map(|evaluation| evaluation.result)
    }

    /// As [`evaluate`](Self::evaluate), and returns how the result came: by whom, in how many requests, in what time.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate_detailed<N: Into<Number>>(
        &mut self,
        operator: Operator,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Evaluation, Error> {
        let operands: Vec<Number> = operands.into_iter().map(Into::into).collect();
        self.evaluate_watched(operator, &operands, &mut |_, _| {})
    }

    /// As [`evaluate`](Self::evaluate), and returns how the result came. `watch` is called for every datagram and wait,
    /// with the time since the start of its request.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate_watched(
        &mut self,
        operator: Operator,
        operands: &[Number],
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        self.evaluate_in(self.call(), operator, operands, watch)
    }

    /// Asks several questions, a few at the same time, each on a socket of its own and so in whichever form can express
    /// it. Each has its own evaluation or error, in the order of the questions.
    ///
    /// # Errors
    /// What concerns no question alone: a cancellation, that the system refuses what every exchange needs, or that one
    /// of several questions is answered by no address.
    pub fn evaluate_each(
        &mut self,
        questions: &[(Operator, Vec<Number>)],
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        self.evaluate_each_watched(questions, &mut |_, _| {})
    }

    /// As [`evaluate_each`](Self::evaluate_each); `watch` is called for every datagram and wait.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_each_watched(
        &mut self,
        questions: &[(Operator, Vec<Number>)],
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        self.each_in(self.call(), questions, watch)
    }

    /// Asks for what an expression takes, independent parts at the same time.
    ///
    /// ```no_run
    /// # use calc6::{Client, expression::Expression};
    /// # let mut client = Client::connect(("::1", 10000))?;
    /// let value = client.evaluate_expression("(1+3)*5 - 2^10".parse()?)?;
    /// assert_eq!(value.result.to_string(), "-1004");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. Operands have at most 255 octets, also those that are results.
    pub fn evaluate_expression(&mut self, expression: Expression) -> Result<ExpressionValue, Error> {
        self.evaluate_expression_watched(expression, &mut |_, _| {})
    }

    /// As [`evaluate_expression`](Self::evaluate_expression); `watch` is called for every datagram and wait.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_expression_watched(
        &mut self,
        expression: Expression,
        watch: &mut Watch<'_>,
    ) -> Result<ExpressionValue, Error> {
        let call = self.call();
        let mut evaluator = Evaluator::new(expression);
        let mut value = ExpressionValue::new();
        loop {
            let (mut nodes, mut questions) = (Vec::new(), Vec::new());
            while let Some(Operation { node, operator, operands, .. }) = evaluator.next_operation() {
                nodes.push(node);
                questions.push((operator, operands));
            }
            for (node, evaluation) in nodes.iter().zip(self.each_in(call, &questions, watch)?) {
                let evaluation = evaluation.map_err(|error| error.at(evaluator.column(*node)))?;
                evaluator.answer(*node, evaluation.result.clone());
                value.add(evaluation);
            }
            if let Some(result) = evaluator.result() {
                value.result = result.clone();
                return Ok(value);
            }
        }
    }

    /// Asks for an operator over all integers of a text, which are separated by white space or commas; many requests
    /// are in flight at once, and memory does not grow with the text. The operator is associative, a difference or a
    /// quotient; others may have as many operands as one datagram holds.
    ///
    /// A cancellation or a deadline ends the wait for input too, so the text has to be something that can be waited for:
    /// [`Input`](crate::net::wait::Input) on every system, any descriptor on Unix, any socket on Windows. It is `Send`
    /// because a second thread reads what is longer than a datagram holds; that thread ends with the call.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn evaluate_text(&mut self, operator: Operator, text: impl Read + AsFd + Send) -> Result<Evaluation, Error> {
        self.evaluate_text_watched(operator, text, &mut |_| {}, &mut |_, _| {})
    }

    /// As [`evaluate_text`](Self::evaluate_text). `tell` is called often with the progress, `watch` for every datagram
    /// and wait.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_text_watched(
        &mut self,
        operator: Operator,
        text: impl Read + AsFd + Send,
        tell: &mut dyn FnMut(Progress),
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        let call = self.call();
        let cancellation = Arc::clone(&self.cancellation);
        let until = self.config.retransmission.deadline.and_then(|deadline| call.start.checked_add(deadline));
        let mut text = TextOperands::new(WaitableText(text));
        let mut stream = Stream::new(operator, &self.config, tell);
        let head = stream.wait_for_head(&mut text, &cancellation, until)?;
        if !head.more {
            return self.evaluate_in(call, operator, &head.operands, watch);
        }
        let operands = stream.begin(head.operands)?;
        // A peer that knows only classic is recognised by an exchange on a socket of its own. Partial results are not
        // limited: the whole is.
        let classic = call.forms == Forms::Classic;
        let forms = if classic { Forms::Classic } else { Forms::Extended };
        let part = Call { forms, max_result: u64::MAX, ..call };
        let mut evaluation = self.evaluate_in(part, stream.operator(), &operands, watch)?;
        stream.add(evaluation.result.clone())?;
        if classic {
            loop {
                let head = stream.wait_for_head(&mut text, &cancellation, until)?;
                if head.operands.is_empty() {
                    return stream.finish(evaluation);
                }
                evaluation.follow(self.evaluate_in(part, stream.operator(), &head.operands, watch)?);
                stream.add(evaluation.result.clone())?;
            }
        }
        // Its sockets first: without descriptors for the second thread there is none.
        let mut driver = BatchDriver::new(&self.servers(), &self.config, call.start)?;
        reading_ahead(&mut text, |operands| {
            driver.run(&mut self.random, &cancellation, &mut stream.requests(operands), watch)
        })?;
        let report = driver.report();
        evaluation.continued(&report.counts, report.servers);
        stream.finish(evaluation)
    }

    /// Asks many questions at once, over a socket that they share, and so in the extended form unless the [`Config`]
    /// demands the classic one. The answers have the order of the questions; each has its own error where the server
    /// answers with one. [`evaluate_stream`](Self::evaluate_stream) does the same without keeping them.
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
        many::in_order(self.evaluate_stream(questions))
    }

    /// Asks many questions at once, as [`evaluate_many`](Self::evaluate_many) does, and returns the answers one by one,
    /// as they come: each with its place among the questions. Questions are taken as they can be asked, so memory does
    /// not grow with their number.
    ///
    /// A question that fails does not end the others. If no server answers any more, each question that was taken has
    /// an error, and the answers end.
    ///
    /// ```no_run
    /// # use calc6::{Client, arithmetic::Number, wire::Operator};
    /// # let mut client = Client::connect(("::1", 10000))?;
    /// let squares = (0..1_000_000).map(|n| (Operator::Power, vec![Number::from(n), Number::from(2)]));
    /// for answer in client.evaluate_stream(squares) {
    ///     println!("{} squared is {}", answer.place, answer.result?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate_stream<I>(&mut self, questions: I) -> Answers<'_, I::IntoIter>
    where
        I: IntoIterator<Item = (Operator, Vec<Number>)>,
    {
        Answers::new(self, questions.into_iter())
    }

    /// Asks what the server is and can do: its name and version, then `key=value` lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe(&mut self) -> Result<String, Error> {
        self.describe_detailed().map(|description| description.text)
    }

    /// As [`describe`](Self::describe), and returns how the answer came.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe_detailed(&mut self) -> Result<Description, Error> {
        self.describe_watched(&mut |_, _| {})
    }

    /// As [`describe`](Self::describe), and returns how the answer came; `watch` is called for every datagram and wait.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn describe_watched(&mut self, watch: &mut Watch<'_>) -> Result<Description, Error> {
        self.ask(describing(), Instant::now(), watch).and_then(description)
    }

    fn call(&self) -> Call {
        Call { start: Instant::now(), forms: self.config.forms, max_result: self.config.max_result }
    }

    fn evaluate_in(
        &mut self,
        call: Call,
        operator: Operator,
        operands: &[Number],
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, Error> {
        let format = self.config.format;
        let plan = plan(operator, format, call.forms, operands)?;
        let replies = self.ask_all(requests(&plan, format, operands), call.start, watch)?;
        combine(operator, operands.len(), plan, replies, call.max_result)
    }

    fn each_in(
        &mut self,
        call: Call,
        questions: &[(Operator, Vec<Number>)],
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        let plans = Plans::new(questions, &self.config);
        let replies = self.ask_all(plans.questions(), call.start, watch)?;
        Ok(plans.combine(replies))
    }

    fn ask(&mut self, question: Question, start: Instant, watch: &mut Watch<'_>) -> Result<PeerAnswer, Error> {
        self.ask_all(vec![question], start, watch)?.pop().unwrap_or_else(|| Err(Error::unanswered(Vec::new())))
    }

    /// Exchanges of a whole that began at `start`. Where there are several addresses the first goes alone, and the
    /// address that answers it is asked first from then on.
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
        let (random, cancellation) = (&mut self.random, &*self.cancellation);
        let mut context = AskContext { peers, retransmission: &retransmission, random, cancellation };
        transport::ask_all(questions, &mut context, watch)
    }

    /// Puts a server, and of its addresses the one that answers, in front.
    fn prefer(&mut self, peer: SocketAddrV6) {
        if let Some(other) = self.others.iter_mut().find(|addresses| addresses.contains(&peer)) {
            std::mem::swap(&mut self.peers, other);
        }
        to_front(&mut self.peers, peer);
    }

    /// Every server with its addresses.
    fn servers(&self) -> Vec<Vec<SocketAddrV6>> {
        let mut servers = vec![self.peers.clone()];
        servers.extend_from_slice(&self.others);
        servers
    }
}
