//! Metrics over HTTP/1.1 (RFC 9112): one thread, a fixed number of connections, a fixed buffer and time for each.
//!
//! A client that is slow, silent or wrong costs one of [`CONNECTIONS`] places for at most [`PATIENCE`]; further ones
//! wait in the kernel's backlog. Whatever clients do, memory is bounded by [`CONNECTIONS`] request buffers and pages.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Connections served at the same time.
pub const CONNECTIONS: usize = 16;

/// How long one connection may take, from accept(2) to its last octet.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The longest request head.
const HEAD: usize = 4096;

/// The most header fields in a request.
const FIELDS: usize = 64;

/// What is served at `/metrics`.
pub trait Content {
    /// Its media type.
    fn media_type(&self) -> &str;
    /// Its text at this moment.
    fn text(&self) -> String;
}

/// Serves for ever.
///
/// # Errors
///
/// Those that would return at once if tried again: of fcntl(2), of poll(2).
pub fn serve(listener: &TcpListener, content: &dyn Content) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut connections: Vec<Connection> = Vec::with_capacity(CONNECTIONS);
    // After a failed accept(2) (no descriptors, no memory) the listener rests, lest it be asked without end.
    let mut rest_until = Instant::now();
    loop {
        let now = Instant::now();
        let listens = connections.len() < CONNECTIONS && now >= rest_until;
        let wake = connections.iter().map(|c| c.until).chain((now < rest_until).then_some(rest_until)).min();
        let ready = wait(listener, listens, &connections, wake.map(|wake| wake.saturating_duration_since(now)))?;

        let now = Instant::now();
        let mut ready = ready.into_iter();
        let acceptable = listens && ready.next().unwrap_or(false);
        connections.retain_mut(|connection| {
            let may_go_on = !ready.next().unwrap_or(false) || connection.proceed(content);
            may_go_on && now < connection.until
        });
        if acceptable && !accept(listener, &mut connections, now) {
            rest_until = now + Duration::from_millis(100);
        }
    }
}

/// Which of the listener (if it listens) and the connections can proceed.
fn wait(
    listener: &TcpListener,
    listens: bool,
    connections: &[Connection],
    limit: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let mut fds: Vec<PollFd<'_>> = listens.then(|| PollFd::new(listener, PollFlags::IN)).into_iter().collect();
    fds.extend(connections.iter().map(|connection| PollFd::new(&connection.stream, connection.interest())));
    // A millisecond more, so that a deadline has passed when it wakes us.
    let limit = limit.map(|limit| Timespec::try_from(limit + Duration::from_millis(1)).unwrap_or_default());
    match poll(&mut fds, limit.as_ref()) {
        Ok(_) => Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; fds.len()]),
        Err(error) => Err(error.into()),
    }
}

/// Takes the connections that wait, as far as there is room. False if that failed for a reason that may last.
fn accept(listener: &TcpListener, connections: &mut Vec<Connection>, now: Instant) -> bool {
    while connections.len() < CONNECTIONS {
        match listener.accept() {
            Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
                connections.push(Connection::new(stream, now + PATIENCE));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The client has gone again.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(_) => return false,
        }
    }
    true
}

struct Connection {
    stream: TcpStream,
    until: Instant,
    stage: Stage,
}

/// What a connection is doing.
enum Stage {
    /// Its request head, as far as it has come.
    Reading(Vec<u8>),
    /// The answer, and how much of it is sent.
    Writing(Vec<u8>, usize),
    /// The answer is sent and our side closed. What the client still sends is read and thrown away until it closes its
    /// own: closed with octets unread, the connection would be reset and the answer perhaps lost (RFC 9112, 9.6).
    Closing,
}

impl Connection {
    fn new(stream: TcpStream, until: Instant) -> Connection {
        Connection { stream, until, stage: Stage::Reading(Vec::new()) }
    }

    fn interest(&self) -> PollFlags {
        if matches!(self.stage, Stage::Writing(..)) { PollFlags::OUT } else { PollFlags::IN }
    }

    /// Reads or writes what is possible now. False when the connection is done.
    fn proceed(&mut self, content: &dyn Content) -> bool {
        let result = match &mut self.stage {
            Stage::Reading(head) => read(&mut self.stream, head, content),
            Stage::Writing(answer, sent) => write(&mut self.stream, answer, sent),
            Stage::Closing => discard(&mut self.stream),
        };
        match result {
            Ok(Progress::More) => true,
            Ok(Progress::Next(stage)) => {
                self.stage = stage;
                true
            }
            Ok(Progress::Done) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// What became of one step.
enum Progress {
    /// The stage goes on.
    More,
    /// Another stage begins.
    Next(Stage),
    /// The connection ends.
    Done,
}

fn read(stream: &mut TcpStream, head: &mut Vec<u8>, content: &dyn Content) -> io::Result<Progress> {
    let mut octets = [0; HEAD];
    let count = stream.read(&mut octets[..HEAD - head.len()])?;
    if count == 0 {
        return Ok(Progress::Done);
    }
    head.extend_from_slice(&octets[..count]);
    Ok(answer(head, content).map_or(Progress::More, |answer| Progress::Next(Stage::Writing(answer, 0))))
}

fn write(stream: &mut TcpStream, answer: &[u8], sent: &mut usize) -> io::Result<Progress> {
    *sent += stream.write(&answer[*sent..])?;
    if *sent < answer.len() {
        return Ok(Progress::More);
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(Progress::Next(Stage::Closing))
}

fn discard(stream: &mut TcpStream) -> io::Result<Progress> {
    let count = stream.read(&mut [0; HEAD])?;
    Ok(if count == 0 { Progress::Done } else { Progress::More })
}

/// The answer to a request head, or `None` if it is not complete yet.
fn answer(head: &[u8], content: &dyn Content) -> Option<Vec<u8>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < HEAD => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Some(error("431 Request Header Fields Too Large", ""));
        }
        Err(_) => return Some(error("400 Bad Request", "")),
    }
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    Some(match (request.method.unwrap_or_default(), path) {
        ("GET", "/metrics") => page(content, true),
        ("HEAD", "/metrics") => page(content, false),
        ("GET" | "HEAD", _) => error("404 Not Found", ""),
        _ => error("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
    })
}

fn page(content: &dyn Content, with_body: bool) -> Vec<u8> {
    let text = content.text();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.media_type(),
        text.len()
    );
    if with_body { head + &text } else { head }.into_bytes()
}

fn error(status: &str, field: &str) -> Vec<u8> {
    let text = format!("{status}\n");
    let length = text.len();
    let fields = format!("{field}Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n");
    format!("HTTP/1.1 {status}\r\n{fields}\r\n{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr};
    use std::thread;

    use super::*;

    /// More than a socket's buffers hold, so that writing it takes several steps.
    struct Long;

    impl Content for Long {
        fn media_type(&self) -> &str {
            "text/plain"
        }

        fn text(&self) -> String {
            "0123456789abcdef".repeat(1 << 16)
        }
    }

    fn answered(head: &str) -> Option<String> {
        answer(head.as_bytes(), &Long)
            .map(|octets| String::from_utf8(octets[..octets.len().min(200)].to_vec()).unwrap())
    }

    fn started() -> SocketAddr {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, &Long).unwrap());
        address
    }

    fn fetched(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn requests_are_answered_by_method_and_path() {
        let starts = |head: &str, status: &str| answered(head).unwrap().starts_with(&format!("HTTP/1.1 {status}"));
        assert!(starts("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK\r\nContent-Type: text/plain\r\n"));
        assert!(starts("GET /metrics?a=b HTTP/1.0\r\n\r\n", "200"));
        assert!(starts("GET / HTTP/1.1\r\n\r\n", "404"));
        assert!(starts("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"));
        assert!(starts("\0\0\0\0", "400"));
        assert!(starts("GET /metrics HTTP/9\r\n\r\n", "400"));
        assert!(starts(&format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(FIELDS + 1)), "431"));
        assert!(starts(&format!("GET /{}", "x".repeat(HEAD)), "431"));
        let head = answered("HEAD /metrics HTTP/1.1\r\n\r\n").unwrap();
        assert!(head.contains("Content-Length: 1048576\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn incomplete_requests_wait_for_more() {
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!((0..request.len()).all(|length| answered(&request[..length]).is_none()));
    }

    #[test]
    fn an_answer_arrives_whole_though_the_client_sends_on() {
        let address = started();
        let request = "GET /metrics HTTP/1.1\r\n\r\n";
        for extra in ["", "POST /more HTTP/1.1\r\n\r\n"] {
            let text = fetched(address, &format!("{request}{extra}"));
            assert_eq!(text.len() - text.find("\r\n\r\n").unwrap() - 4, 1 << 20);
        }
    }

    #[test]
    fn silent_clients_take_every_place_but_not_for_long() {
        let address = started();
        let begun = Instant::now();
        let silent: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert!(fetched(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(begun.elapsed() >= PATIENCE, "no place was free at first");
        drop(silent);
    }
}
