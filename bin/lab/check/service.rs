//! The servers that lab starts, and starts again when they have ended.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::report::Advice;
use crate::Failure;
use crate::common::loopback;
use crate::process::{
    KNOWS_PROCESSES, KernelSocket, Program, ResourceLimits, Transport, describe, shown, socket_at, sockets,
};

/// How often it is looked at whether a server listens. Where the system does not tell, lab tries to bind the address
/// itself, which must seldom be in the server's way.
const POLL: Duration = Duration::from_millis(if KNOWS_PROCESSES { 5 } else { 20 });

/// How long the sockets of a server that starts may be other than they have to be.
const SETTLING: Duration = Duration::from_millis(400);

/// How long the port of a server that has been ended may stay taken.
const RELEASE: Duration = Duration::from_millis(300);

/// The exit status of `lab limited` for a command that cannot be started.
const NOT_STARTED: i32 = 127;

/// How many other ports are tried where one that was free is taken before the server binds it.
const PORTS_TRIED: usize = 3;

/// How servers are started.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The command: `{host}` and `{port}` are replaced; without a `{port}` both are appended.
    pub template: Vec<String>,
    /// What it may use.
    pub limits: ResourceLimits,
    /// How long it may take to listen.
    pub start_time: Duration,
}

/// Why there is no server.
#[derive(Debug)]
pub enum StartError {
    /// Lab could not start anything.
    Failure(Failure),
    /// It was started, and does not listen where it was told to.
    NotListening(Advice),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// A server that lab has started.
#[derive(Debug)]
pub struct Service {
    recipe: Recipe,
    address: SocketAddr,
    program: Program,
}

impl Service {
    /// Starts a server on a free port of `host` and waits until it listens there.
    pub fn start(recipe: &Recipe, host: IpAddr) -> Result<Self, StartError> {
        let mut attempts = 0..PORTS_TRIED;
        loop {
            let address = SocketAddr::new(host, free_port(host)?);
            match launch(recipe, address) {
                Ok(program) => return Ok(Self { recipe: recipe.clone(), address, program }),
                // Somebody else was faster.
                Err(StartError::NotListening(advice)) if in_use(&advice.found) && attempts.next().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The socket that gets what is sent to it.
    pub fn socket(&self) -> Option<KernelSocket> {
        socket_at(self.address)
    }

    /// How it ended, in words, if it has. One that went into the background has not, as long as its port is bound.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.program.ended()?;
        // The kernel's table may miss a socket while others come and go: one look proves only that it is there.
        for _ in 0..3 {
            if status.success() && self.socket().is_some() {
                return None;
            }
            std::thread::sleep(POLL);
        }
        let words = self.program.last_words();
        let status = describe(status);
        Some(if words.is_empty() { status } else { format!("{status}; its last line: {words}") })
    }

    /// Ends the rest of it and starts it again: on the same port, or on another one if that is taken.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.program.stop();
        let deadline = Instant::now() + RELEASE;
        while self.socket().is_some() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if self.socket().is_some() {
            self.address.set_port(free_port(self.address.ip())?);
        }
        self.program = launch(&self.recipe, self.address)?;
        Ok(())
    }
}

fn launch(recipe: &Recipe, address: SocketAddr) -> Result<Program, StartError> {
    match launch_once(recipe, address) {
        // Lab's own look at the address may have been in its way.
        Err(StartError::NotListening(_)) if !KNOWS_PROCESSES => launch_once(recipe, address),
        launched => launched,
    }
}

fn launch_once(recipe: &Recipe, address: SocketAddr) -> Result<Program, StartError> {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let command = fill(&recipe.template, &[("{host}", &host), ("{port}", &port)], &[&host, &port]);
    let mut program = Program::start(&command, &recipe.limits)?;
    let deadline = Instant::now() + recipe.start_time;
    let mut misplaced_since = None;
    loop {
        if socket_at(address).is_some() {
            return Ok(program);
        }
        if let Some(status) = program.ended() {
            if status.code() == Some(NOT_STARTED) {
                return Err(Failure::Run(program.last_words()).into());
            }
            // One that went into the background may be about to listen.
            if !status.success() || !program.family().runs() {
                let words = program.last_words();
                let end = if words.is_empty() { describe(status) } else { format!("{}: {words}", describe(status)) };
                return Err(StartError::NotListening(ended_early(&end, &words, address.ip())));
            }
        }
        if let Some(advice) = misplaced(&program, address) {
            let since = *misplaced_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= SETTLING {
                return Err(StartError::NotListening(advice));
            }
        }
        if Instant::now() >= deadline {
            return Err(StartError::NotListening(not_bound(&mut program, address, recipe.start_time)));
        }
        std::thread::sleep(POLL);
    }
}

/// Whether a server says that its port is taken.
fn in_use(words: &str) -> bool {
    words.contains("ddress already in use")
}

fn ended_early(end: &str, words: &str, asked: IpAddr) -> Advice {
    let hint = match words {
        words if in_use(words) => {
            "Another program, perhaps an earlier run of yours, has the port: end it, or choose another port."
        }
        words if words.contains("gaierror") || words.contains("family") => match asked {
            IpAddr::V6(_) => "The host is an IPv6 address: make the socket with AF_INET6.",
            IpAddr::V4(_) => {
                "The host is an IPv4 address: use the family that getaddrinfo gives for it, or check on a machine with IPv6."
            }
        },
        _ if asked.is_ipv4() => "Start it by hand with 127.0.0.1 and a port, and look at what it writes.",
        _ => "Start it by hand with ::1 and a port, and look at what it writes.",
    };
    Advice::new("it ended before it listened", hint).with_found(format!("nothing: {end}"))
}

/// Where it listens, if that is a place that a student's mistake leads to.
fn misplaced(program: &Program, asked: SocketAddr) -> Option<Advice> {
    // The cheap test first: usually none of these ports is taken.
    let ports = [asked.port(), asked.port().swap_bytes()];
    let taken = |socket: &KernelSocket| ports.contains(&socket.local.port());
    let (udp, tcp) = (sockets(Transport::Udp), sockets(Transport::Tcp));
    if !udp.iter().chain(&tcp).any(taken) {
        return None;
    }
    let found = |at: SocketAddr, transport| format!("nothing: it listens on {transport} {at}, not on {asked}");
    if let Some(socket) = program.family().sockets(Transport::Udp).into_iter().find(taken) {
        let advice = match socket.local {
            at if at.port() != asked.port() => {
                Advice::new("the port's octets are swapped: htons is missing", "Write sin6_port = htons(port).")
            }
            at if at.is_ipv4() && asked.is_ipv6() => Advice::new(
                "the socket is an IPv4 one, and the server was told to listen on an IPv6 address",
                "Use AF_INET6 and struct sockaddr_in6, and look at what inet_pton and bind return.",
            ),
            _ => {
                Advice::new("it is bound to another address", "Bind to the host that the command line names, or to ::.")
            }
        };
        return Some(advice.with_found(found(socket.local, "UDP")));
    }
    let socket = program.family().sockets(Transport::Tcp).into_iter().find(taken)?;
    let advice =
        Advice::new("it listens on TCP, not UDP", "Make the socket with SOCK_DGRAM; remove listen and accept.");
    Some(advice.with_found(found(socket.local, "TCP")))
}

/// It runs, and does not listen.
fn not_bound(program: &mut Program, asked: SocketAddr, start_time: Duration) -> Advice {
    let family = program.family();
    let words = |program: &mut Program| match program.last_words() {
        words if words.is_empty() => String::new(),
        words => format!("; its last line: {words}"),
    };
    let seconds = start_time.as_secs_f64();
    let elsewhere = |socket: &KernelSocket| !socket.serves(asked);
    let other = family.sockets(Transport::Udp).into_iter().find(elsewhere).map(|socket| socket.local);
    let listening = family.sockets(Transport::Tcp).first().map(|socket| socket.local);
    let (advice, place) = match (other, listening) {
        (Some(at), _) => (
            Advice::new("it listens on another port", "Bind to the port that the command line names."),
            format!("it listens on UDP {at}"),
        ),
        (None, Some(at)) => (
            Advice::new("it listens on TCP, not UDP", "Make the socket with SOCK_DGRAM."),
            format!("it listens on TCP {at}"),
        ),
        (None, None) if !KNOWS_PROCESSES => (
            Advice::new(
                "it does not reach bind, or bind fails",
                "Look at what socket and bind return; does it wait for input before it calls them?",
            ),
            "this system does not report what it does instead".to_owned(),
        ),
        (None, None) if family.has_sockets() => (
            Advice::new(
                "it has a socket that is bound to no port: bind is missing, or failed",
                "Call bind, and look at what it returns.",
            ),
            "its socket has no port".to_owned(),
        ),
        (None, None) => (
            Advice::new(
                "it has no socket yet",
                "Does it wait for input, or for anything else, before it makes its socket?",
            ),
            "it has no socket".to_owned(),
        ),
    };
    let found = format!("nothing: after {seconds} s it did not bind UDP {asked}; {place}{}", words(program));
    advice.with_found(found)
}

/// Replaces placeholders in every word; appends `default` if there is no `{port}`.
fn fill(template: &[String], values: &[(&str, &str)], default: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = template
        .iter()
        .map(|word| values.iter().fold(word.clone(), |word, (name, value)| word.replace(name, value)))
        .collect();
    if !template.iter().any(|word| word.contains("{port}")) {
        words.extend(default.iter().map(|word| (*word).to_owned()));
    }
    words
}

/// The loopback address that lab uses unless told otherwise: ::1, or 127.0.0.1 where IPv6 is off, which this says.
pub fn loopback() -> IpAddr {
    let address = loopback::address();
    if address.is_ipv4() {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "lab: note: IPv6 is off on this machine: using {address} instead of ::1");
    }
    address
}

/// A port that was free a moment ago, and whose octets do not read as a well-known port in the other order.
pub fn free_port(host: IpAddr) -> Result<u16, Failure> {
    let mut port = 0;
    for _ in 0..16 {
        port = UdpSocket::bind((host, 0))
            .and_then(|socket| socket.local_addr())
            .map(|address| address.port())
            .map_err(|error| Failure::run(format_args!("cannot use the address {host}"), error))?;
        if port.swap_bytes() >= 1024 && port.swap_bytes() != port {
            break;
        }
    }
    Ok(port)
}

/// A command as it is shown.
pub fn command_line(template: &[String]) -> String {
    shown(&template.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_without_a_port_gets_host_and_port_after_it() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let fill = |text| fill(&words(text), &[("{host}", "::1"), ("{port}", "7")], &["::1", "7"]).join(" ");
        assert_eq!(fill("./server"), "./server ::1 7");
        assert_eq!(fill("./server {port}"), "./server 7");
        assert_eq!(fill("./server --at=[{host}]:{port} -v"), "./server --at=[::1]:7 -v");
    }
}
