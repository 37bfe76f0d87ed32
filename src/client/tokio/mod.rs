//! A client for programs on [Tokio](https://tokio.rs), with the Cargo feature `tokio`: many tasks ask one server at the
//! same time.
//!
//! ```
//! use calc6::client::Config;
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
//! let client = Client::connect(address, Config::default()).await?;
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
//! It asks as the blocking [`Client`](super::Client) does, with the same [`Config`] and the same [`Error`]s: the same
//! plan of requests, the same [`exchange`](crate::exchange), the same pipeline.
//!
//! # Sockets
//! A classic exchange has a socket of its own. So have extended exchanges until the server has answered one; from then
//! on they share one socket, and only request identifiers tell whose a reply is. A server that stops answering is asked
//! on sockets of their own again, where it is recognised if it knows only the classic form.
//!
//! # How many at a time
//! A client and its clones have 8 questions under way at first, one more for each round of answers, half as many after a
//! loss, and 2 to 64 in all (RFC 8085, section 3.1); others wait in the order in which they came, at no more cost than
//! their operands. A question that waits when all who are asked have been silent to the end is told so at once.
//!
//! # The task behind it
//! Sockets and timers belong to one task, which ends with the last clone of its client. Callers only wait for what it
//! sends them, so one that is not polled for a while, in a `select!` or a buffered stream, holds up no other. It runs on
//! the runtime on which the client was made; when that ends, whatever is asked is [`Error::System`].

mod driver;
mod pipeline;
mod queue;
mod window;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddrV6;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{ToSocketAddrs, lookup_host};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::batch::BatchOptions;
use super::many::Many;
use super::transport::PeerAnswer;
use super::{Config, Description, Error, Plans, combine, description, mapped, number_of, to_front};
use crate::arithmetic::Number;
use crate::exchange::Question;
use crate::exchange::plan::{Forms, describing, plan};
use crate::wire::Operator;
use driver::{Command, Driver};

/// A client of one server, which may have several addresses. Clones share sockets and places.
///
/// Every future can be dropped at any time: its question is forgotten, with its identifier and its socket.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<ClientInner>,
}

#[derive(Debug)]
struct ClientInner {
    commands: UnboundedSender<Command>,
    peers: Vec<SocketAddrV6>,
    config: Config,
    /// The number of the next question.
    next: AtomicU64,
}

impl Client {
    /// A client that asks as `config` says. Names are looked up; nothing is sent yet.
    ///
    /// # Errors
    /// The name cannot be looked up, or has no address; or those of [`new`](Self::new).
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O and time are enabled.
    pub async fn connect(server: impl ToSocketAddrs, config: Config) -> io::Result<Client> {
        Client::new(mapped(lookup_host(server).await?)?, config)
    }

    /// A client of these addresses, which are tried in turn; IPv4 addresses are mapped (RFC 4291, section 2.5.5.2).
    ///
    /// # Errors
    /// Those of epoll_create1(2): too many files are open.
    ///
    /// # Panics
    /// Outside of a Tokio runtime whose I/O is enabled. It needs time, too.
    pub fn new(peers: Vec<SocketAddrV6>, config: Config) -> io::Result<Client> {
        let (commands, inbox) = unbounded_channel();
        tokio::spawn(Driver::new(inbox, &peers, config.retransmission)?.run());
        Ok(Client { shared: Arc::new(ClientInner { commands, peers, config, next: AtomicU64::new(0) }) })
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
        let operands: Vec<Number> = operands.into_iter().map(Into::into).collect();
        self.evaluate_all(operator, operands).await
    }

    /// Asks many questions at once, over a socket that they share, and so in the extended form unless the [`Config`]
    /// demands the classic one; a window of requests is in flight, which follows what the path and the server can bear,
    /// up to 256. The answers have the order of the questions; each has its own error where the server answers with one.
    ///
    /// ```
    /// # use calc6::{arithmetic::Number, client::{Config, tokio::Client}, server::{self, Server}, wire::Operator};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
    /// # let (address, handle) = (server.local_addr(), server.handle());
    /// # let serving = std::thread::spawn(|| server.run());
    /// let client = Client::connect(address, Config::default()).await?;
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
        let start = Instant::now();
        let Config { retransmission, forms, format, segmentation } = self.shared.config;
        if forms == Forms::Classic {
            let questions: Vec<_> = questions.into_iter().collect();
            let plans = Plans::new(&questions, &self.shared.config);
            let replies = self.ask_all(plans.questions(), start).await?;
            return Ok(plans.combine(replies).into_iter().map(|each| each.map(|one| one.result)).collect());
        }
        let mut work = Many::new(questions, format);
        let mut peers = self.shared.peers.clone();
        // The first goes alone: it finds the address that answers, and a peer that knows only classic.
        if let Some(question) = work.take_first() {
            let reply = self.ask(question, start).await;
            if let Ok(reply) = &reply {
                to_front(&mut peers, reply.peer);
            }
            work.answered_first(reply.and_then(|reply| number_of(reply.peer, &reply.answer)))?;
        }
        pipeline::run(peers, BatchOptions { retransmission, segmentation }, start, &mut work).await?;
        Ok(work.finish())
    }

    /// Asks what the server is and can do: its name and version, then `key=value` lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn describe(&self) -> Result<String, Error> {
        let reply = self.ask(describing(), Instant::now()).await?;
        description(reply).map(|Description { text, .. }| text)
    }

    async fn evaluate_all(&self, operator: Operator, operands: Vec<Number>) -> Result<Number, Error> {
        let Config { forms, format, .. } = self.shared.config;
        let parts = plan(operator, format, forms, &operands)?;
        let questions = parts.iter().map(|part| part.question(operator, format, &operands)).collect();
        let replies = self.ask_all(questions, Instant::now()).await?;
        combine(operator, &operands, &parts, replies).map(|evaluation| evaluation.result)
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
            let ahead = window::MOST - tickets.len();
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
        let _ = commands.send(Command::Ask { number, question, start, answer });
        Ticket { number, awaited, commands, answered: false }
    }
}

/// A question that is asked, until it is dropped.
struct Ticket<'a> {
    number: u64,
    awaited: oneshot::Receiver<Result<PeerAnswer, Error>>,
    commands: &'a UnboundedSender<Command>,
    answered: bool,
}

impl Ticket<'_> {
    async fn answer(mut self) -> Result<PeerAnswer, Error> {
        let answer = (&mut self.awaited).await;
        self.answered = true;
        let ended = |_| Error::System { what: "the client's task", error: io::Error::other("its runtime has ended") };
        answer.map_err(ended)?
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.commands.send(Command::Forget(self.number));
        }
    }
}

/// The same time for the runtime's timers, which could overflow on one that is very far: at most a day ahead.
fn bounded(at: Option<Instant>) -> tokio::time::Instant {
    let farthest = Instant::now() + Duration::from_secs(24 * 60 * 60);
    at.map_or(farthest, |at| at.min(farthest)).into()
}
