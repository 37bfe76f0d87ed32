//! A client for programs on [Tokio](https://tokio.rs), with the Cargo feature `tokio`: many tasks ask at the same time.
//! It can do what the blocking [`Client`](super::Client) can: single questions, expressions, operands from a text, many
//! questions at once, streams of answers, several servers, watching. Two things differ: a call is cancelled by dropping
//! its future, and a watcher is given to the client, not to a call ([`Client::watched`]).
//!
//! ```
//! use calc6::client::tokio::Client;
//! use calc6::server::{self, Server};
//! use calc6::wire::Operator;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server of this program's own, on a port that the kernel chooses.
//! let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
//! let (address, handle) = (server.local_addr(), server.handle());
//! let serving = std::thread::spawn(|| server.run());
//!
//! let client = Client::connect(address).await?;
//! let (sum, power) = tokio::join!(
//!     client.evaluate(Operator::Sum, [1, 3, 5, 7, 9]),
//!     client.evaluate(Operator::Power, [2, 100]),
//! );
//! assert_eq!(sum?.to_string(), "25");
//! assert_eq!(power?.to_string(), "1267650600228229401496703205376");
//!
//! handle.stop();
//! serving.join().expect("the server does not panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! It asks as the blocking [`Client`](super::Client) does, with the same [`Config`] and the same [`Error`]s.
//!
//! # Sockets
//! A classic exchange has a socket of its own. So have extended exchanges until the server has answered one; from then
//! on they share one socket, and only request identifiers tell whose a reply is. A server that stops answering is asked
//! on sockets of their own again, where it is recognised if it knows only the classic form.
//!
//! # How many at a time
//! A client and its clones have 8 questions under way at first, one more for each round of answers, half as many after
//! a loss, and 2 to 64 in all (RFC 8085, section 3.1); others wait in the order in which they came, at no more cost
//! than their operands. When all exchanges end in silence, the questions that wait for a place fail at once.
//!
//! # The task
//! Sockets and timers belong to one task, which ends with the last clone of its client. Callers only wait for what it
//! sends them, so one that is not polled for a while, in a `select!` or a buffered stream, delays no other. It runs on
//! the runtime on which the client was made; when that ends, every question is an [`Error::System`].

mod answers;
mod driver;
mod pipeline;
mod queue;
mod text;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncRead;
use tokio::net::{ToSocketAddrs, lookup_host};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::addresses::{mapped, no_address, to_front};
use super::batch::Turn;
use super::evaluation::{Description, ExpressionValue, Plans, Progress, combine, description, requests};
use super::many::in_order_so_far;
use super::transport::{Event, PeerAnswer};
use super::{Config, Error, Evaluation};
use crate::arithmetic::Number;
use crate::exchange::plan::{describing, plan};
use crate::exchange::{Forms, Question};
use crate::expression::{Evaluator, Expression, Operation};
use crate::wire::Operator;
pub use answers::Answers;
use driver::{Driver, DriverCommand};
use pipeline::AsyncBatchDriver;
use text::AsyncText;
use watch::SharedWatch;

/// A client of one server, which may have several addresses. Clones share sockets and places.
///
/// Every future can be dropped at any time: its question is forgotten, with its identifier and its socket.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<ClientInner>,
}

#[derive(Debug)]
struct ClientInner {
    commands: UnboundedSender<DriverCommand>,
    /// Each server with its addresses.
    servers: Vec<Vec<SocketAddrV6>>,
    config: Config,
    watch: SharedWatch,
    /// The number of the next question.
    next: AtomicU64,
}

impl Client {
    /// A client with the default [`Config`]. Names are looked up; nothing is sent yet.
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address; or those of [`new`](Self::new).
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O and time are enabled.
    pub async fn connect(server: impl ToSocketAddrs) -> io::Result<Client> {
        Client::connect_with(server, Config::default()).await
    }

    /// As [`connect`](Self::connect), with a [`Config`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn connect_with(server: impl ToSocketAddrs, config: Config) -> io::Result<Client> {
        let addresses = mapped(lookup_host(server).await?);
        if addresses.is_empty() { Err(no_address()) } else { Client::new(addresses, config) }
    }

    /// A client of a server with these addresses, IPv6 or IPv4, which are tried in turn.
    ///
    /// # Errors
    /// Those of epoll_create1(2): too many files are open.
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O is enabled. It needs time, too.
    pub fn new<A: Into<SocketAddr>>(addresses: impl IntoIterator<Item = A>, config: Config) -> io::Result<Client> {
        Client::with_servers([addresses], config)
    }

    /// A client of several servers, each with its addresses, that share the work of many requests and take over from
    /// one another. Single questions go to the first that answers.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    ///
    /// # Panics
    /// As there.
    pub fn with_servers<A: Into<SocketAddr>>(
        servers: impl IntoIterator<Item = impl IntoIterator<Item = A>>,
        config: Config,
    ) -> io::Result<Client> {
        Client::start(servers.into_iter().map(mapped).collect(), config, SharedWatch::default())
    }

    /// As [`with_servers`](Self::with_servers); `watch` is called for every datagram and wait of this client and its
    /// clones, with the time since the start of the request. It is called between datagrams, so it must not block.
    ///
    /// ```no_run
    /// # use calc6::client::{Config, tokio::Client};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let servers = tokio::net::lookup_host(("::1", 10000)).await?;
    /// let client = Client::watched([servers], Config::default(), |time, event| println!("{time:?} {event:?}"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    ///
    /// # Panics
    /// As there.
    pub fn watched<A: Into<SocketAddr>>(
        servers: impl IntoIterator<Item = impl IntoIterator<Item = A>>,
        config: Config,
        watch: impl Fn(Duration, Event<'_>) + Send + Sync + 'static,
    ) -> io::Result<Client> {
        Client::start(servers.into_iter().map(mapped).collect(), config, SharedWatch::new(watch))
    }

    fn start(servers: Vec<Vec<SocketAddrV6>>, config: Config, watch: SharedWatch) -> io::Result<Client> {
        let (commands, inbox) = unbounded_channel();
        tokio::spawn(Driver::new(inbox, &servers.concat(), config.retransmission, watch.clone())?.run());
        Ok(Client { shared: Arc::new(ClientInner { commands, servers, config, watch, next: AtomicU64::new(0) }) })
    }

    /// How it asks.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Asks for `operator` over `operands`. More operands than one datagram holds are split into several requests
    /// where the operator is associative, and the partial results combined here.
    ///
    /// The deadline of the [`Config`] counts from the first poll.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn evaluate<N: Into<Number>>(
        &self,
        operator: Operator,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Number, Error> {
        self.evaluate_detailed(operator, operands).await.map(|evaluation| evaluation.result)
    }

    /// As [`evaluate`](Self::evaluate), and returns how the result came: by whom, in how many requests, in what time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn evaluate_detailed<N: Into<Number>>(
        &self,
        operator: Operator,
        operands: impl IntoIterator<Item = N>,
    ) -> Result<Evaluation, Error> {
        let operands: Vec<Number> = operands.into_iter().map(Into::into).collect();
        self.evaluate_since(Instant::now(), operator, &operands, &self.shared.config).await
    }

    /// Asks several questions, a few at the same time, each in whichever form can express it. Each has its own
    /// evaluation or error, in the order of the questions.
    ///
    /// # Errors
    /// What concerns no question alone: one of several questions is answered by no address.
    pub async fn evaluate_each(
        &self,
        questions: &[(Operator, Vec<Number>)],
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        self.each_since(Instant::now(), questions).await
    }

    /// Asks for an operator over all integers of a text, which are separated by white space or commas; many requests
    /// are in flight at once, and memory does not grow with the text. The operator is associative, a difference or a
    /// quotient; others may have as many operands as one datagram holds.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn evaluate_text(&self, operator: Operator, text: impl AsyncRead + Unpin) -> Result<Evaluation, Error> {
        self.evaluate_text_with_progress(operator, text, |_| {}).await
    }

    /// As [`evaluate_text`](Self::evaluate_text); `tell` is called often with the progress.
    ///
    /// # Errors
    /// As there.
    pub async fn evaluate_text_with_progress(
        &self,
        operator: Operator,
        text: impl AsyncRead + Unpin,
        tell: impl FnMut(Progress),
    ) -> Result<Evaluation, Error> {
        let start = Instant::now();
        let config = &self.shared.config;
        let until = config.retransmission.deadline.and_then(|deadline| start.checked_add(deadline));
        let mut text = AsyncText::new(text, operator, config, tell);
        let head = text.head(until).await?;
        if !head.more {
            return self.evaluate_since(start, operator, &head.operands, config).await;
        }
        let operands = text.stream.begin(head.operands)?;
        // A peer that knows only classic is recognised by an exchange on a socket of its own. Partial results are not
        // limited: the whole is.
        let classic = config.forms == Forms::Classic;
        let forms = if classic { Forms::Classic } else { Forms::Extended };
        let part = config.clone().with_forms(forms).with_max_result(u64::MAX);
        let mut evaluation = self.evaluate_since(start, text.stream.operator(), &operands, &part).await?;
        text.stream.add(evaluation.result.clone())?;
        if classic {
            loop {
                let head = text.head(until).await?;
                if head.operands.is_empty() {
                    return text.stream.finish(evaluation);
                }
                evaluation.follow(self.evaluate_since(start, text.stream.operator(), &head.operands, &part).await?);
                text.stream.add(evaluation.result.clone())?;
            }
        }
        let mut driver = self.pipeline(Some(evaluation.peer), start)?;
        loop {
            match driver.turn(&mut text.requests())? {
                Turn::Done => break,
                Turn::Again => tokio::task::yield_now().await,
                Turn::Wait { later: true } => text.read_or(driver.wait()).await?,
                Turn::Wait { later: false } => driver.wait().await?,
            }
        }
        let report = driver.report();
        evaluation.continued(&report.counts, report.servers);
        text.stream.finish(evaluation)
    }

    /// Asks many questions at once, over a socket that they share, and so in the extended form unless the [`Config`]
    /// demands the classic one; a window of requests is in flight, which follows what the path and the server can bear,
    /// up to 256. The answers have the order of the questions; each has its own error where the server answers with
    /// one.
    ///
    /// ```
    /// # use calc6::{arithmetic::Number, client::tokio::Client, server::{self, Server}, wire::Operator};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
    /// # let (address, handle) = (server.local_addr(), server.handle());
    /// # let serving = std::thread::spawn(|| server.run());
    /// let client = Client::connect(address).await?;
    /// let squares = (1..=1000).map(|n| (Operator::Power, vec![Number::from(n), Number::from(2)]));
    /// let mut total = Number::ZERO;
    /// for square in client.evaluate_many(squares).await? {
    ///     total = client.evaluate(Operator::Sum, [total, square?]).await?;
    /// }
    /// assert_eq!(total.to_string(), "333833500");
    /// # handle.stop();
    /// # serving.join().expect("the server does not panic")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No server answers.
    pub async fn evaluate_many(
        &self,
        questions: impl IntoIterator<Item = (Operator, Vec<Number>)>,
    ) -> Result<Vec<Result<Number, Error>>, Error> {
        let mut answers = self.evaluate_stream(questions);
        let mut all = Vec::new();
        while let Some(answer) = answers.next().await {
            in_order_so_far(&mut all, answer)?;
        }
        Ok(all.into_iter().flatten().collect())
    }

    /// Asks many questions at once, as [`evaluate_many`](Self::evaluate_many) does; the answers are taken one by one,
    /// as they come ([`Answers::next`]). Questions are taken as they can be asked, so memory does not grow with their
    /// number.
    ///
    /// A question that fails does not end the others. If no server answers any more, each question that was taken has
    /// an error, and the answers end.
    pub fn evaluate_stream<I>(&self, questions: I) -> Answers<I::IntoIter>
    where
        I: IntoIterator<Item = (Operator, Vec<Number>)>,
    {
        Answers::new(self.clone(), questions.into_iter())
    }

    /// Asks for what an expression takes, independent parts at the same time.
    ///
    /// # Errors
    /// See [`Error`]. Operands have at most 255 octets, also those that are results.
    pub async fn evaluate_expression(&self, expression: Expression) -> Result<ExpressionValue, Error> {
        let start = Instant::now();
        let mut evaluator = Evaluator::new(expression);
        let mut value = ExpressionValue::new();
        loop {
            let (mut nodes, mut questions) = (Vec::new(), Vec::new());
            while let Some(Operation { node, operator, operands, .. }) = evaluator.next_operation() {
                nodes.push(node);
                questions.push((operator, operands));
            }
            for (node, evaluation) in nodes.iter().zip(self.each_since(start, &questions).await?) {
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

    /// Asks what the server is and can do: its name and version, then `key=value` lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe(&self) -> Result<String, Error> {
        self.describe_detailed().await.map(|description| description.text)
    }

    /// As [`describe`](Self::describe), and returns how the answer came.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe_detailed(&self) -> Result<Description, Error> {
        description(self.ask(describing(), Instant::now()).await?)
    }

    async fn evaluate_since(
        &self,
        start: Instant,
        operator: Operator,
        operands: &[Number],
        config: &Config,
    ) -> Result<Evaluation, Error> {
        let plan = plan(operator, config.format, config.forms, operands)?;
        let replies = self.ask_all(requests(&plan, config.format, operands), start).await?;
        combine(operator, operands.len(), plan, replies, config.max_result)
    }

    /// A pipeline to all servers, which asks this address of its server first.
    fn pipeline(&self, first: Option<SocketAddrV6>, start: Instant) -> Result<AsyncBatchDriver, Error> {
        let ClientInner { servers, config, watch, .. } = &*self.shared;
        let mut servers = servers.clone();
        if let Some(first) = first {
            servers.iter_mut().for_each(|addresses| to_front(addresses, first));
        }
        AsyncBatchDriver::new(&servers, config, start, watch.clone())
    }

    async fn each_since(
        &self,
        start: Instant,
        questions: &[(Operator, Vec<Number>)],
    ) -> Result<Vec<Result<Evaluation, Error>>, Error> {
        let plans = Plans::new(questions, &self.shared.config);
        let replies = self.ask_all(plans.questions(), start).await?;
        Ok(plans.combine(replies))
    }

    async fn ask(&self, question: Question, start: Instant) -> Result<PeerAnswer, Error> {
        self.submit(question, start).answer().await
    }

    /// Asks as many at the same time as there may be places.
    async fn ask_all(&self, questions: Vec<Question>, start: Instant) -> Result<Vec<Result<PeerAnswer, Error>>, Error> {
        let several = questions.len() > 1;
        let mut replies = Vec::with_capacity(questions.len());
        let mut questions = questions.into_iter();
        let mut tickets = VecDeque::new();
        loop {
            let ahead = driver::MOST - tickets.len();
            tickets.extend(questions.by_ref().take(ahead).map(|question| self.submit(question, start)));
            let Some(ticket) = tickets.pop_front() else { return Ok(replies) };
            match ticket.answer().await {
                // The others would be silent too.
                Err(error @ Error::Unanswered(_)) if several => return Err(error),
                reply => replies.push(reply),
            }
        }
    }

    fn submit(&self, question: Question, start: Instant) -> Ticket<'_> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (answer, awaited) = oneshot::channel();
        let commands = &self.shared.commands;
        // Where the task has ended, so has the channel of the answer.
        let _ = commands.send(DriverCommand::Ask { number, question, start, answer });
        Ticket { number, awaited, commands, answered: false }
    }
}

/// A question that is asked, until it is dropped.
struct Ticket<'a> {
    number: u64,
    awaited: oneshot::Receiver<Result<PeerAnswer, Error>>,
    commands: &'a UnboundedSender<DriverCommand>,
    answered: bool,
}

impl Ticket<'_> {
    async fn answer(mut self) -> Result<PeerAnswer, Error> {
        let answer = (&mut self.awaited).await;
        self.answered = true;
        let ended = |_| Error::System {
            what: "the client's task has ended",
            source: io::Error::other("its runtime has ended"),
        };
        answer.map_err(ended)?
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.commands.send(DriverCommand::Forget(self.number));
        }
    }
}

/// The same time for the runtime's timers, which could overflow on one that is very far: at most a day ahead.
fn bounded(at: Option<Instant>) -> tokio::time::Instant {
    let farthest = Instant::now() + Duration::from_secs(24 * 60 * 60);
    at.map_or(farthest, |at| at.min(farthest)).into()
}
