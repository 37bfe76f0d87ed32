//! `lab grade --pairs`: every client against every server, against calc6's own too; who is at fault if they fail.

mod exchange;
mod fault;
mod output;

use std::fs;
use std::io::{self, Write};

pub use exchange::{PairArguments, run_pair};
use exchange::{PairPlan, Party};

use super::isolation::Confinement;
use super::job::{Course, Workplace};
use super::outcome::Grade;
use super::step::Place;
use crate::Failure;
use crate::command::{Words, own};
use crate::parallel;
use crate::process::{ResourceLimits, shown};

/// calc6's own programs among the others.
const OWN: &str = "calc6's own";

/// Every server with every client.
#[derive(Debug, serde::Serialize)]
pub struct Matrix {
    /// The names of the servers; calc6's own is the last.
    pub servers: Vec<String>,
    /// The names of the clients; calc6's own is the last.
    pub clients: Vec<String>,
    /// For each server, in their order, each client, in their order.
    pub pairs: Vec<Pair>,
    /// Submissions that were not built, and why.
    #[serde(skip)]
    not_built: Vec<(String, String)>,
}

/// A server with a client.
#[derive(Debug, serde::Serialize)]
pub struct Pair {
    /// The name of the server.
    pub server: String,
    /// The name of the client.
    pub client: String,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: PairOutcome,
}

/// The outcome of a pair.
#[derive(Debug, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum PairOutcome {
    /// One of them was not built.
    NotBuilt,
    /// The exchanges could not be made.
    Failed { words: String },
    /// They were made.
    Done { exchanges: Vec<PairExchange> },
}

/// The outcome of one question of the client.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct PairExchange {
    /// What was asked.
    pub asked: String,
    /// Whether the client printed the right result.
    pub works: bool,
    /// Which clauses were broken, and by which side; may be empty even if the exchange fails.
    pub faults: Vec<PairFault>,
    /// What happened, if no side breaks a clause.
    pub remark: String,
}

/// A clause that is broken.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct PairFault {
    /// The side that breaks it.
    pub side: PairSide,
    /// The clause of docs/protocol.md.
    pub clause: String,
    /// What is required.
    pub title: String,
    /// The datagrams that show it, in hex: what was sent to the side at fault.
    pub sent: Vec<String>,
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub found: String,
    /// The mistake that explains it best, if one is known.
    pub likely: String,
    /// One thing to try.
    #[serde(rename = "try")]
    pub hint: String,
}

impl PairFault {
    /// Whether two faults are one mistake: by the same side, and with the same explanation or of the same clause.
    fn is_the_same_mistake(&self, other: &Self) -> bool {
        let explained = !self.likely.is_empty() && self.likely == other.likely;
        self.side == other.side && (explained || self.clause == other.clause)
    }
}

/// A side of a pair.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairSide {
    /// The server.
    Server,
    /// The client.
    Client,
}

/// A program that can be started.
struct Built<'a> {
    name: String,
    command: &'a [String],
    /// `None` if it was not built.
    workplace: Option<&'a Workplace>,
}

impl Matrix {
    /// Runs all pairs, several at once.
    pub fn of(course: &Course<'_>, grades: &[Grade], built: &[Option<Workplace>]) -> Result<Self, Failure> {
        let (own_server, own_client) = (own("server")?, own("client")?);
        let own_place = Workplace::new(|copy| fs::create_dir(copy))
            .map_err(|error| Failure::run("cannot create a temporary folder", error))?;
        let side = |command: &'_ Option<Words>, own: &'_ Words| {
            let submitted = command.iter().flat_map(|Words(command)| {
                let built = grades.iter().zip(built);
                built.map(|(grade, workplace)| (grade.name.clone(), command.clone(), workplace.as_ref()))
            });
            let all = submitted.chain([(OWN.to_owned(), own.0.clone(), Some(&own_place))]);
            all.collect::<Vec<_>>()
        };
        let (servers, clients) =
            (side(&course.arguments.server, &own_server), side(&course.arguments.client, &own_client));
        fn as_built<'a>(all: &'a [(String, Vec<String>, Option<&'a Workplace>)]) -> Vec<Built<'a>> {
            let built = |(name, command, workplace): &'a (String, Vec<String>, Option<&'a Workplace>)| Built {
                name: name.clone(),
                command,
                workplace: *workplace,
            };
            all.iter().map(built).collect()
        }
        let (servers, clients) = (as_built(&servers), as_built(&clients));
        let pairs: Vec<(&Built<'_>, &Built<'_>)> =
            servers.iter().flat_map(|server| clients.iter().map(move |client| (server, client))).collect();
        let _ = writeln!(io::stderr(), "running {} pairs", pairs.len());
        let outcomes = parallel::map(course.jobs(), &pairs, |(server, client)| course.run_pair(server, client))?;
        let pairs = pairs.iter().zip(outcomes).map(|((server, client), outcome)| Pair {
            server: server.name.clone(),
            client: client.name.clone(),
            outcome,
        });
        let pairs = pairs.collect();
        let not_built = grades.iter().filter_map(|grade| Some((grade.name.clone(), grade.build.remark()?))).collect();
        let names = |all: &[Built<'_>]| all.iter().map(|program| program.name.clone()).collect();
        Ok(Self { servers: names(&servers), clients: names(&clients), pairs, not_built })
    }

    /// Whether every pair works, and no side breaks a clause.
    pub fn works(&self) -> bool {
        self.pairs.iter().all(|pair| pair.outcome.works())
    }
}

impl PairOutcome {
    /// Whether everything was answered correctly, and no side breaks a clause.
    pub fn works(&self) -> bool {
        match self {
            Self::Done { exchanges } => exchanges.iter().all(|exchange| exchange.works && exchange.faults.is_empty()),
            Self::NotBuilt | Self::Failed { .. } => false,
        }
    }
}

impl Course<'_> {
    fn run_pair(&self, server: &Built<'_>, client: &Built<'_>) -> Result<PairOutcome, Failure> {
        let (Some(server_place), Some(client_place)) = (server.workplace, client.workplace) else {
            return Ok(PairOutcome::NotBuilt);
        };
        let party = |program: &Built<'_>, place: &Workplace| Party {
            copy: place.copy.clone(),
            temporary: place.temporary.clone(),
            command: program.command.to_vec(),
        };
        let ResourceLimits { cpu, memory, descriptors, .. } = self.arguments.limits;
        let plan = PairPlan {
            server: party(server, server_place),
            client: party(client, client_place),
            timeout: self.arguments.pairs_timeout,
            start_time: self.arguments.start_time,
            result_prefix: self.arguments.result_prefix.clone(),
            apart: self.confinement != Confinement::None,
            cpu,
            memory,
            descriptors,
        };
        let plan = serde_json::to_string(&plan).map_err(|error| Failure::run("cannot describe a pair", error))?;
        let place = Place {
            measured: &[server_place.path(), client_place.path()],
            copy: &server_place.copy,
            temporary: &server_place.temporary,
        };
        let ended = self.run(&["pair".to_owned(), plan], &place)?;
        Ok(match serde_json::from_str(&ended.stdout) {
            Ok(exchanges) if ended.how.is_success() => PairOutcome::Done { exchanges },
            _ => PairOutcome::Failed { words: shown(&ended.words()) },
        })
    }
}
