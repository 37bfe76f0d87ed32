//! Chapter 4 of the tour: names and addresses, one message each way, and a host that greets its callers.
//! The page 4-streams.md explains it.
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dns_lookup::getnameinfo;
use signal_hook::consts::SIGPIPE;
use signal_hook::flag::register_conditional_default;

/// A server here reads at most this many octets of a message or of a caller's lines.
const MAX_MESSAGE: usize = 255;
/// How long `listen` waits for a client to close the connection.
const CLOSING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // As in C, the program ends when nobody reads its output (`| head -1`); Rust ignores SIGPIPE and panics instead.
    let _ = register_conditional_default(SIGPIPE, Arc::new(true.into()));
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (mode, option, rest) = match words[..] {
        [mode, option @ ("--once" | "--time-t"), ref rest @ ..] => (mode, option, rest),
        [mode, ref rest @ ..] => (mode, "", rest),
        _ => return usage(),
    };
    let [host, port, text @ ..] = rest else { return usage() };
    let Ok(port) = port.parse() else { return usage() };
    let outcome = match (mode, option, text) {
        ("lookup", "", []) => lookup(host, port),
        ("name", "", []) => match host.parse() {
            Ok(address) => name(address, port),
            Err(_) => return usage(),
        },
        ("listen", "" | "--once", []) => serve(host, port, option == "--once", take_message),
        ("say", "", []) => say(host, port, None),
        ("say", "", [message]) => say(host, port, Some(message)),
        ("host", "", []) => serve(host, port, false, |client| take_call(client, read_lines)),
        ("host", "--time-t", []) => serve(host, port, false, |client| take_call(client, read_time_t)),
        ("call", "", [greeting]) => call(host, port, format!("{}\n{greeting}\n", now()).as_bytes()),
        // As C's write(sock, &seconds, sizeof seconds): eight octets, in the order of this machine.
        ("call", "--time-t", []) => call(host, port, &now().to_ne_bytes()),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("messages: {error}");
            ExitCode::FAILURE
        }
    }
}

// Names and addresses.

/// Every address that getaddrinfo(3) finds for `host`, in the order in which to try them (RFC 6724).
fn lookup(host: &str, port: u16) -> io::Result<()> {
    for address in (host, port).to_socket_addrs()? {
        println!("{address}");
    }
    Ok(())
}

/// The opposite, by getnameinfo(3): the names of an address and of a port.
fn name(address: IpAddr, port: u16) -> io::Result<()> {
    let (host, service) = getnameinfo(&SocketAddr::from((address, port)), 0)?;
    println!("host {host}, service {service}");
    Ok(())
}

/// Serves one client after the other, or only one.
fn serve(host: &str, port: u16, once: bool, take: impl Fn(&mut TcpStream) -> io::Result<()>) -> io::Result<()> {
    let listener = TcpListener::bind((host, port))?;
    eprintln!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        let accepted = client.is_ok();
        match client.and_then(|mut client| take(&mut client)) {
            Err(error) if once && accepted => return Err(error),
            Err(error) => eprintln!("messages: {error}"),
            Ok(()) => {}
        }
        if once && accepted {
            break;
        }
        if !accepted {
            // The next accept may succeed; the pause avoids a busy loop when, for example, no descriptor is free.
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

// One message each way. One read is taken for the message.

fn take_message(client: &mut TcpStream) -> io::Result<()> {
    let mut message = [0; MAX_MESSAGE];
    let length = client.read(&mut message)?;
    let message = message[..length].strip_suffix(b"\n").unwrap_or(&message[..length]);
    println!("Here is the message: {}", String::from_utf8_lossy(message));
    client.write_all(b"I got your message")?;
    close(client)
}

/// Closes the connection so that the answer cannot be lost: close(2) with octets that nobody has read makes the kernel
/// send RST (RFC 9293, section 3.6.1), which may discard what the client has not read yet (RFC 9112, section 9.6).
fn close(client: &mut TcpStream) -> io::Result<()> {
    client.shutdown(Shutdown::Write)?;
    client.set_read_timeout(Some(CLOSING))?;
    let mut unread = [0; 1024];
    // At most 64 KiB: a client that sends without end is not read without end.
    for _ in 0..64 {
        if !matches!(client.read(&mut unread), Ok(1..)) {
            break;
        }
    }
    Ok(())
}

/// Sends one line and prints the answer. The server reads only once, so nothing else must mark the end.
fn say(host: &str, port: u16, message: Option<&str>) -> io::Result<()> {
    let mut server = TcpStream::connect((host, port))?;
    let mut line = String::new();
    match message {
        Some(message) => line = format!("{message}\n"),
        None => {
            print!("Please enter the message: ");
            io::stdout().flush()?;
            if io::stdin().read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
    }
    server.write_all(line.as_bytes())?;
    println!("{}", io::read_to_string(&mut server)?);
    Ok(())
}

// The host greets, waits for the caller's words, and says Bye.

fn call(host: &str, port: u16, words: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect((host, port))?;
    server.write_all(words)?;
    // Closes only our direction: the host sees the end of our words and can still answer.
    server.shutdown(Shutdown::Write)?;
    print!("{}", io::read_to_string(&mut server)?);
    Ok(())
}

fn take_call(client: &mut TcpStream, read: fn(&mut TcpStream) -> io::Result<(i64, String)>) -> io::Result<()> {
    let peer = client.peer_addr()?;
    client.write_all(format!("Hello {peer}, it is {}\n", clock(now())).as_bytes())?;
    let (time, greeting) = read(client)?;
    println!("{peer} called at {}{greeting}", clock(time));
    client.write_all(b"Bye\n")?;
    close(client)
}

/// Two lines: the time in seconds since 1970, and a greeting.
fn read_lines(client: &mut TcpStream) -> io::Result<(i64, String)> {
    let mut lines = BufReader::new(client.take(MAX_MESSAGE as u64)).lines();
    let mut line = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let (time, greeting) = (line()?, line()?);
    let time = time.parse().map_err(|_| io::Error::other(format!("\"{time}\" is not a time in seconds since 1970")))?;
    Ok((time, format!(" and says: {greeting}")))
}

/// A time_t as it lies in the memory of a 64-bit machine with the same octet order as ours.
fn read_time_t(client: &mut TcpStream) -> io::Result<(i64, String)> {
    let mut time = [0; 8];
    client.read_exact(&mut time)?;
    Ok((i64::from_ne_bytes(time), String::new()))
}

/// Seconds since 1970, as time(2) returns them.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn clock(time: i64) -> String {
    let second = time.rem_euclid(86400);
    format!("{:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

fn usage() -> ExitCode {
    eprintln!("usage: messages lookup HOST PORT");
    eprintln!("       messages name ADDRESS PORT");
    eprintln!("       messages listen [--once] HOST PORT");
    eprintln!("       messages say HOST PORT [TEXT]");
    eprintln!("       messages host [--time-t] HOST PORT");
    eprintln!("       messages call HOST PORT TEXT");
    eprintln!("       messages call --time-t HOST PORT");
    ExitCode::from(2)
}
