//! `server HOST PORT`: answers requests until SIGINT or SIGTERM.
//!
//! `main` turns the command line and the environment into a `Config` and `Options`; [`daemon`] is what only a service
//! needs, and says which thread does what; [`hardening`] is what depends on the system.

mod access_file;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod hardening;
mod http;
mod log;
mod metrics;
mod options;
mod supervisor;

use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use calc6::net::Segmentation;
use calc6::responder::{Limits, ReplyLimit};
use calc6::server::{BindError, Config, Server};
use calc6::wire;
use clap::builder::BoolishValueParser;
use clap::{CommandFactory, Parser};

use crate::access_file::{AccessFile, AccessFileError};
use crate::common::generate::{self, ProgramPages};
use crate::common::loopback;
use crate::common::usage::{self, Port};
use crate::daemon::Daemon;
use crate::options::{AccessError, AccessOptions, Options};

/// A calculator that answers UDP datagrams over IPv6 and IPv4.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = after_help())]
pub struct Arguments {
    /// Address to serve: IPv6, IPv4, or a name; :: is every address of this machine, of both families
    #[arg(env = "CALC6_HOST")]
    host: Option<String>,
    /// Port to serve, a number or the name of a service; 0 lets the system choose one
    #[arg(env = "CALC6_PORT", value_parser = Port::to_serve)]
    port: Option<Port>,
    /// Answer classic integer requests modulo 2^32, as the usual C servers do, instead of with an error
    #[arg(long, env = "CALC6_WRAP", value_parser = BoolishValueParser::new())]
    wrap: bool,
    /// Longest reply in octets, 1232 to 3696; above 1232 replies may be fragmented
    #[arg(long, value_name = "OCTETS", env = "CALC6_MAX_REPLY")]
    #[arg(default_value_t = wire::MAX_REPLY as u16)]
    #[arg(value_parser = usage::whole::<u16>(wire::MAX_REPLY as u64..=wire::MAX_REPLY_CEILING as u64))]
    max_reply: u16,
    /// Worker threads, each with its own socket [default: one for each processor]
    #[arg(long, value_name = "N", env = "CALC6_WORKERS", value_parser = usage::whole::<NonZeroUsize>(1..=u64::MAX))]
    workers: Option<NonZeroUsize>,
    /// Datagrams of one peer as segments of one message (UDP_SEGMENT and UDP_GRO of udp(7)): `auto`, where the kernel can
    /// and as long as it does not refuse, or `off`
    #[arg(long, value_name = "WHEN", env = "CALC6_SEGMENTATION", default_value_t)]
    segmentation: Segmentation,
    /// Never pause under load to let requests gather, which takes less processor time for each and adds up to 50 us
    #[arg(long, env = "CALC6_NO_MODERATION", value_parser = BoolishValueParser::new())]
    no_moderation: bool,
    /// Serve IPv6 only, not IPv4 through mapped addresses
    #[arg(long, env = "CALC6_IPV6_ONLY", value_parser = BoolishValueParser::new())]
    ipv6_only: bool,
    /// Share the port with other servers of this user that share it too
    #[arg(long, env = "CALC6_SHARE_PORT", value_parser = BoolishValueParser::new())]
    share_port: bool,
    #[command(flatten)]
    access: AccessOptions,
    #[command(flatten)]
    service: Options,
}

const EXAMPLES: &str = "Examples:
  server :: 10000           every address of this machine, port 10000
  server ::1 0              this machine only, any free port (the first line on stderr tells it)
  server 192.0.2.1 10000    one IPv4 address

";

fn after_help() -> String {
    format!("{EXAMPLES}{}", hardening::HELP)
}

fn main() -> ExitCode {
    if let Some(folder) = generate::requested() {
        return generate::run(&program(), &folder);
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::answer(&Arguments::command(), error),
    };
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(line)) => fail(2, &line),
        Err(Failure::System(line)) => fail(1, &line),
    }
}

/// What `--generate` writes from.
fn program() -> ProgramPages {
    ProgramPages {
        plain: "server",
        installed: "calc6-server",
        command: Arguments::command(),
        exit_status: "0 after SIGINT or SIGTERM, or with --check-config if all is well; 1 if the system refuses \
                      something; 2 if the command line cannot be read.",
        edit_completions: |_, script| script,
    }
}

/// Why the program ends without success.
enum Failure {
    /// The command line, the environment or the access file cannot be parsed.
    Usage(String),
    /// The system refuses.
    System(String),
}

fn serve(arguments: Arguments) -> Result<(), Failure> {
    if let Some(line) = unknown_variable() {
        return Err(Failure::Usage(line));
    }
    let service = arguments.service.clone();
    let place = (arguments.host.clone(), arguments.port.clone());
    let (config, access_file) = arguments.configure()?;
    log::start(service.log_format);
    let inherited = hardening::inherited().map_err(Failure::system)?;
    let serving = if inherited.datagram.is_empty() { Some(host_and_port(place)?) } else { None };
    if service.check_config {
        return check(&config, &service, access_file.as_ref(), serving.as_ref());
    }
    let ipv6_only = config.ipv6_only;
    let server = match &serving {
        Some((host, port)) => bind(&resolve(host, port).map_err(Failure::System)?, &config),
        None => Server::adopt(inherited.datagram, config),
    };
    let server = server.map_err(Failure::bind)?;
    let warnings = without_ipv6(&server, ipv6_only).into_iter().collect();
    let daemon = Daemon::prepare(server, service, access_file, inherited.metrics, warnings).map_err(Failure::system)?;
    let totals = daemon.run().map_err(Failure::system)?;
    tracing::info!("{totals}");
    Ok(())
}

/// What is wrong with serving :: where IPv6 is off, and what to type instead.
fn without_ipv6(server: &Server, ipv6_only: bool) -> Option<String> {
    let address = server.local_addr();
    if !address.ip().is_unspecified() || !loopback::ipv6_is_off() {
        return None;
    }
    let effect = if ipv6_only { "nothing can arrive, because of --ipv6-only" } else { "only IPv4 can arrive" };
    let port = address.port();
    let line = format!("IPv6 is off on this machine: {effect} (type: server 0.0.0.0 {port}, or ");
    Some(line + "sysctl -w net.ipv6.conf.all.disable_ipv6=0)")
}

/// Reports a variable that looks like an option but is not one: its setting would be ignored.
fn unknown_variable() -> Option<String> {
    let command = Arguments::command();
    let known: Vec<String> =
        command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())).collect();
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown = variables.filter(|name| {
        name.starts_with("CALC6_") && !known.contains(name) && !OF_TESTS.iter().any(|test| name.starts_with(test))
    });
    let name = unknown.next()?;
    if ["CALC6_SERVICE_", "CALC6_PORT_"].iter().any(|start| name.starts_with(start)) {
        // The variables of a Service named calc6, as of a container's link.
        return Some(format!(
            "unknown environment variable {name} (of Kubernetes? enableServiceLinks: false unsets it)"
        ));
    }
    let similarity = |known: &String| (strsim::jaro_winkler(&name, known) * 1e6) as u32;
    let similar = known.iter().max_by_key(|known| similarity(known)).filter(|known| similarity(known) > 900_000);
    let similar = similar.map(|known| format!("; similar: {known}")).unwrap_or_default();
    Some(format!("unknown environment variable {name}{similar} (see --help)"))
}

/// Variables of this project's tests and benchmarks, which the servers that they start inherit.
const OF_TESTS: [&str; 5] = ["CALC6_TEST_", "CALC6_BENCH_", "CALC6_SOAK", "CALC6_SEED", "CALC6_BLESS"];

impl Arguments {
    fn configure(self) -> Result<(Config, Option<AccessFile>), Failure> {
        let max_reply = ReplyLimit::try_from(usize::from(self.max_reply)).map_err(Failure::usage)?;
        let mut config = Config::default()
            .with_processors(self.service.hardening.processors().iter().copied())
            .with_limits(Limits::default().with_max_reply(max_reply).with_wrap(self.wrap))
            .with_segmentation(self.segmentation)
            .with_moderation(!self.no_moderation)
            .with_ipv6_only(self.ipv6_only)
            .with_share_port(self.share_port)
            .with_verbose(self.service.verbose);
        config.workers = self.workers;
        let access_file = self.access.apply(&mut config).map_err(|error| match error {
            AccessError::File(error @ AccessFileError::Read(..)) => Failure::system(error),
            error => Failure::usage(error),
        })?;
        Ok((config, access_file))
    }
}

fn host_and_port(place: (Option<String>, Option<Port>)) -> Result<(String, Port), Failure> {
    match place {
        (Some(host), Some(port)) => Ok((host, port)),
        (None, _) => Err(Failure::Usage("HOST and PORT are missing (such as :: 10000; see --help)".to_owned())),
        (Some(_), None) => Err(Failure::Usage("PORT is missing after HOST (such as 10000; see --help)".to_owned())),
    }
}

/// Checks what can be checked without binding anything, and prints the resulting configuration.
fn check(
    config: &Config,
    service: &Options,
    access_file: Option<&AccessFile>,
    serving: Option<&(String, Port)>,
) -> Result<(), Failure> {
    if let Some((host, port)) = serving {
        resolve(host, port).map_err(Failure::System)?;
    }
    let lines = service.check(config, access_file).map_err(Failure::system)?;
    let place = serving.map_or("the sockets handed over".to_owned(), |(host, port)| format!("{host} port {port}"));
    let mut text = format!("serves: {place}\n");
    lines.iter().for_each(|line| text.extend([line, "\n"]));
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::system(error)),
        _ => Ok(()),
    }
}

impl Failure {
    fn usage(error: impl Error) -> Failure {
        Failure::Usage(in_full(&error))
    }

    fn system(error: impl Error) -> Failure {
        Failure::System(in_full(&error))
    }

    /// Adds the option that avoids the error.
    fn bind(error: BindError) -> Failure {
        match error {
            BindError::InUse(_) => {
                Failure::System(format!("{} (--share-port on both lets them share it)", in_full(&error)))
            }
            _ => Failure::system(error),
        }
    }
}

/// An error and its sources, in one line.
fn in_full(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// The addresses of a host, at least one.
fn resolve(host: &str, port: &Port) -> Result<Vec<SocketAddr>, String> {
    let port = port.number()?;
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| format!("cannot find the host {host:?}: {error}"))?.collect();
    if addresses.is_empty() { Err(format!("the host {host:?} has no address")) } else { Ok(addresses) }
}

/// Binds the first address that can be bound.
fn bind(addresses: &[SocketAddr], config: &Config) -> Result<Server, BindError> {
    let mut result = Server::bind(addresses[0], config.clone());
    for &address in &addresses[1..] {
        if result.is_ok() {
            break;
        }
        result = Server::bind(address, config.clone()).or(result);
    }
    result
}

fn fail(status: u8, line: &str) -> ExitCode {
    if log::is_started() {
        tracing::error!("{line}");
    } else {
        eprintln!("server: {line}");
    }
    ExitCode::from(status)
}
