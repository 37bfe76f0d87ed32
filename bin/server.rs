//! `server HOST PORT`: answers requests until SIGINT or SIGTERM.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread;

use calc6::limit::Rules;
use calc6::limit::access::Prefix;
use calc6::limit::rate::{Policy, Setting};
use calc6::responder::Limits;
use calc6::server::{BindError, Config, Handle, Server};
use calc6::wire;
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A calculator that answers UDP datagrams over IPv6 and IPv4.
#[derive(Debug, Parser)]
#[command(name = "server", version, after_help = EXAMPLES)]
struct Arguments {
    /// Address to serve: IPv6, IPv4, or a name; :: is every address of this machine, of both families
    host: String,
    /// Port to serve; 0 lets the system choose one
    port: u16,
    /// Answer classic integer requests modulo 2^32, as the usual C servers do, instead of with an error
    #[arg(long)]
    wrap: bool,
    /// Longest reply in octets, 1232 to 3696; above 1232 replies may be fragmented
    #[arg(long, value_name = "OCTETS", default_value_t = wire::MAX_REPLY as u16, value_parser = reply_range())]
    max_reply: u16,
    /// Worker threads, each with its own socket [default: one for each processor]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Serve IPv6 only, not IPv4 through mapped addresses
    #[arg(long)]
    ipv6_only: bool,
    /// Share the port with other servers of this user that share it too
    #[arg(long)]
    share_port: bool,
    /// Answer source ports below 1024 too
    #[arg(long)]
    answer_low_ports: bool,
    /// Answer this prefix, such as 2001:db8::/32 or 192.0.2.0/24; with any of these, all others are denied. May be
    /// repeated; of all prefixes that contain a source the longest decides
    #[arg(long, value_name = "PREFIX")]
    allow: Vec<Prefix>,
    /// Do not answer this prefix; may be repeated
    #[arg(long, value_name = "PREFIX")]
    deny: Vec<Prefix>,
    /// Requests per second from one source prefix (/64 of IPv6, one IPv4 address), then ,burst=N at once and ,leak=N:
    /// one in N of what is over is answered all the same, 0 for none. `off`: no limit. Loopback has none
    #[arg(long, value_name = "N/s", default_value_t = Setting::On(Policy::default()))]
    rate_limit: Setting,
    /// Count what the rate limit would drop, and answer it
    #[arg(long)]
    rate_limit_dry_run: bool,
    /// Write a line for each dropped datagram, within a rate
    #[arg(short, long)]
    verbose: bool,
}

const EXAMPLES: &str = "Examples:
  server :: 10000           every address of this machine, port 10000
  server ::1 0              this machine only, any free port (the first line on stderr tells it)
  server 192.0.2.1 10000    one IPv4 address

SIGINT and SIGTERM end it after the replies in flight are sent, with a line of totals.";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(line)) => fail(2, &line),
        Err(Failure::System(line)) => fail(1, &line),
    }
}

/// Why the program ends without success.
enum Failure {
    /// What was typed cannot be meant.
    Usage(String),
    /// The system refuses.
    System(String),
}

fn serve(arguments: Arguments) -> Result<(), Failure> {
    let addresses = resolve(&arguments.host, arguments.port).map_err(Failure::System)?;
    let config = Config::try_from(arguments).map_err(Failure::Usage)?;
    let server = bind(&addresses, &config).map_err(|error| Failure::System(error.to_string()))?;
    stop_on_signals(server.handle()).map_err(|error| Failure::System(format!("cannot catch signals: {error}")))?;
    eprintln!("server: listening on {}", server.local_addr());
    let totals = server.run().map_err(|error| Failure::System(format!("a worker failed: {error}")))?;
    eprintln!("server: {totals}");
    Ok(())
}

impl TryFrom<Arguments> for Config {
    type Error = String;

    fn try_from(arguments: Arguments) -> Result<Config, String> {
        Ok(Config {
            workers: arguments.workers,
            limits: Limits { max_reply: arguments.max_reply.into(), wrap: arguments.wrap },
            ipv6_only: arguments.ipv6_only,
            share_port: arguments.share_port,
            access: Rules {
                allow: arguments.allow,
                deny: arguments.deny,
                answer_low_ports: arguments.answer_low_ports,
            },
            rate_limit: arguments.rate_limit,
            rate_limit_dry_run: arguments.rate_limit_dry_run,
            verbose: arguments.verbose,
            ..Config::default()
        })
    }
}

fn reply_range() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(wire::MAX_REPLY as i64..=wire::MAX_REPLY_CEILING as i64)
}

/// The addresses of a host, at least one.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
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

/// The first signal stops the server in order.
fn stop_on_signals(handle: Handle) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            handle.stop();
        }
    })?;
    Ok(())
}

/// Prints help on stdout, or what is wrong with the arguments in one line on stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed stdout is no error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.trim_start_matches("error: ").split_whitespace().collect();
    fail(2, &format!("{} (see --help)", words.join(" ")))
}

fn fail(status: u8, line: &str) -> ExitCode {
    eprintln!("server: {line}");
    ExitCode::from(status)
}
