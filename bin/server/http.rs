//! Metrics over HTTP/1.1 (RFC 9112): one thread, a fixed number of connections, fixed room and time for each.
//!
//! A connection whose request has arrived goes before one that is silent: when all [`CONNECTIONS`] places are taken,
//! the silent connection that came first makes room for the next one, or else the first whose answer is sent. A client
//! that does not read its answer costs a place for at most [`TIME_LIMIT`]. Memory use is constant, independent of what
//! clients do: each place keeps its buffers for a request head and an answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::hardening;

/// Connections served at the same time.
pub const CONNECTIONS: usize = 16;

/// How long one connection may take, from accept(2) to its last octet.
pub const TIME_LIMIT: Duration = Duration::from_secs(3);

/// The longest request head, in octets.
const HEAD: usize = 4096;

/// Room for an answer, in octets: a page of metrics has some 12,000.
const ANSWER: usize = 32 << 10;

/// The most header fields in a request.
const FIELDS: usize = 64;

/// What is served at `/metrics`.
pub trait Content {
    /// Its media type.
    fn media_type(&self) -> &str;
    /// Appends its text at this moment.
    fn write(&self, to: &mut String);
}

/// Makes a listener non-blocking, and lets more connections wait than the usual 128 (at most net.core.somaxconn): a
/// client that finds no room among them tries again only after a second.
///
/// # Errors
///
/// Those of ioctl(2) and listen(2).
pub fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    socket2::SockRef::from(listener).listen(BACKLOG)
}

const BACKLOG: i32 = 4096;

/// Serves without end. The listener must be [prepared](prepare).
///
/// # Errors
///
/// Those of poll(2), which would return at once if it were called again.
pub fn serve(listener: &TcpListener, content: &dyn Content) -> io::Result<()> {
    let mut places: Vec<ConnectionSlot> = (0..CONNECTIONS).map(|_| ConnectionSlot::new()).collect();
    let mut page = StatusPage { content, body: String::with_capacity(ANSWER) };
    // After a failed accept(2) (no descriptors, no memory) the listener pauses, to avoid a busy loop.
    let mut paused_until = Instant::now();
    loop {
        let now = Instant::now();
        let listens = now >= paused_until && room(&places).is_some();
        let ends = places.iter().filter_map(|place| place.connection.as_ref().map(|connection| connection.until));
        let wake = ends.chain((now < paused_until).then_some(paused_until)).min();
        let acceptable = wait(listener, listens, &mut places, wake.map(|wake| wake.saturating_duration_since(now)))?;

        let now = Instant::now();
        for place in &mut places {
            place.proceed(&mut page, now);
        }
        if acceptable && !accept(listener, &mut places, &mut page, now) {
            paused_until = now + Duration::from_millis(100);
        }
    }
}

/// Waits until the listener (if it listens) or a connection can proceed, marks the connections that can, and returns
/// whether the listener can.
fn wait(
    listener: &TcpListener,
    listens: bool,
    places: &mut [ConnectionSlot],
    limit: Option<Duration>,
) -> io::Result<bool> {
    // A millisecond more, so that a deadline has passed when it wakes us.
    let limit = limit.map(|limit| Timespec::try_from(limit + Duration::from_millis(1)).unwrap_or_default());
    let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(1 + CONNECTIONS);
    fds.push(PollFd::new(listener, if listens { PollFlags::IN } else { PollFlags::empty() }));
    let connections = places.iter().filter_map(|place| place.connection.as_ref());
    fds.extend(connections.map(|connection| PollFd::new(&connection.stream, connection.interest())));
    match poll(&mut fds, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = [false; 1 + CONNECTIONS];
    ready.iter_mut().zip(&fds).for_each(|(ready, fd)| *ready = !fd.revents().is_empty());
    drop(fds);
    let connections = places.iter_mut().filter_map(|place| place.connection.as_mut());
    connections.zip(&ready[1..]).for_each(|(connection, ready)| connection.ready = *ready);
    Ok(listens && ready[0])
}

/// Takes connections that wait, as many as there are places at most. False if that failed for a reason that may last.
fn accept(listener: &TcpListener, places: &mut [ConnectionSlot], page: &mut StatusPage<'_>, now: Instant) -> bool {
    for _ in 0..CONNECTIONS {
        let Some(free) = room(places) else { break };
        match hardening::accept(listener) {
            Ok(stream) => {
                places[free].connect(stream, now + TIME_LIMIT);
                // Often the request is there already.
                places[free].proceed(page, now);
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => break,
                // The client has gone again.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                _ => return false,
            },
        }
    }
    true
}

/// The place for the next connection: a free one, else that of the silent connection that came first, else that of
/// the first one whose answer is being sent.
fn room(places: &[ConnectionSlot]) -> Option<usize> {
    if let Some(free) = places.iter().position(|place| place.connection.is_none()) {
        return Some(free);
    }
    let rank = |connection: &Connection| match connection.stage {
        Stage::Reading => Some((0, connection.until)),
        Stage::Closing => Some((1, connection.until)),
        Stage::Writing(_) => None,
    };
    let ranks = places.iter().enumerate().filter_map(|(at, place)| Some((rank(place.connection.as_ref()?)?, at)));
    ranks.min().map(|(_, at)| at)
}

/// Room for a connection.
struct ConnectionSlot {
    connection: Option<Connection>,
    /// Its request head, as far as it has arrived.
    head: Vec<u8>,
    answer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    until: Instant,
    stage: Stage,
    /// Whether it can proceed.
    ready: bool,
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its request head is not complete.
    Reading,
    /// So many octets of the answer are sent.
    Writing(usize),
    /// The answer is sent and our side closed. What the client still sends is read and discarded until it closes its
    /// own: closed with octets unread, the connection would be reset and the answer perhaps lost (RFC 9112, 9.6).
    Closing,
}

impl Connection {
    fn interest(&self) -> PollFlags {
        if matches!(self.stage, Stage::Writing(_)) { PollFlags::OUT } else { PollFlags::IN }
    }
}

impl ConnectionSlot {
    fn new() -> ConnectionSlot {
        ConnectionSlot { connection: None, head: Vec::with_capacity(HEAD), answer: Vec::with_capacity(ANSWER) }
    }

    /// Takes a connection, which replaces the earlier one.
    fn connect(&mut self, stream: TcpStream, until: Instant) {
        self.head.clear();
        self.connection = Some(Connection { stream, until, stage: Stage::Reading, ready: true });
    }

    /// Reads or writes what is possible now, and drops a connection that is done or too slow.
    fn proceed(&mut self, page: &mut StatusPage<'_>, now: Instant) {
        let ConnectionSlot { connection: Some(connection), head, answer } = self else { return };
        let stage = match connection.ready {
            true => connection.step(head, answer, page),
            false => Ok(Some(connection.stage)),
        };
        connection.ready = false;
        match stage {
            Ok(Some(stage)) if now < connection.until => connection.stage = stage,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) && now < connection.until => {
            }
            _ => self.connection = None,
        }
    }
}

impl Connection {
    /// The stage that follows, `None` at the end.
    fn step(
        &mut self,
        head: &mut Vec<u8>,
        answer: &mut Vec<u8>,
        page: &mut StatusPage<'_>,
    ) -> io::Result<Option<Stage>> {
        match self.stage {
            Stage::Reading => self.read(head, answer, page),
            Stage::Writing(sent) => self.write(answer, sent),
            Stage::Closing => {
                let count = self.stream.read(&mut [0; HEAD])?;
                Ok((count > 0).then_some(Stage::Closing))
            }
        }
    }

    fn read(
        &mut self,
        head: &mut Vec<u8>,
        answer: &mut Vec<u8>,
        page: &mut StatusPage<'_>,
    ) -> io::Result<Option<Stage>> {
        let mut octets = [0; HEAD];
        let count = self.stream.read(&mut octets[..HEAD - head.len()])?;
        if count == 0 {
            return Ok(None);
        }
        head.extend_from_slice(&octets[..count]);
        match reply(head, page, answer) {
            true => self.write(answer, 0),
            false => Ok(Some(Stage::Reading)),
        }
    }

    fn write(&mut self, answer: &[u8], sent: usize) -> io::Result<Option<Stage>> {
        let sent = match self.stream.write(&answer[sent..]) {
            Ok(count) => sent + count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => sent,
            Err(error) => return Err(error),
        };
        if sent < answer.len() {
            return Ok(Some(Stage::Writing(sent)));
        }
        self.stream.shutdown(Shutdown::Write)?;
        Ok(Some(Stage::Closing))
    }
}

/// The content, and room to write it.
struct StatusPage<'a> {
    content: &'a dyn Content,
    body: String,
}

/// Writes the answer to a request head. False if the head is not complete yet.
fn reply(head: &[u8], page: &mut StatusPage<'_>, to: &mut Vec<u8>) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    to.clear();
    match request.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < HEAD => return false,
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            write_error(to, "431 Request Header Fields Too Large", "");
            return true;
        }
        Err(_) => {
            write_error(to, "400 Bad Request", "");
            return true;
        }
    }
    match (request.method.unwrap_or_default(), path(request.path.unwrap_or_default())) {
        ("GET", "/metrics") => page.write(to, true),
        ("HEAD", "/metrics") => page.write(to, false),
        ("GET" | "HEAD", _) => write_error(to, "404 Not Found", ""),
        _ => write_error(to, "405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
    }
    true
}

/// The path of a request target: in origin form, as clients send it to a server, or in absolute form, which a server
/// must accept too (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let scheme = |scheme: &str| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let origin = match ["http://", "https://"].into_iter().find(|name| scheme(name)) {
        Some(scheme) => target[scheme.len()..].find('/').map_or("/", |slash| &target[scheme.len() + slash..]),
        None => target,
    };
    origin.split('?').next().unwrap_or_default()
}

impl StatusPage<'_> {
    fn write(&mut self, to: &mut Vec<u8>, with_body: bool) {
        self.body.clear();
        self.content.write(&mut self.body);
        let (media_type, length) = (self.content.media_type(), self.body.len());
        let fields = format_args!("Content-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n");
        // Writing to a Vec cannot fail.
        let _ = write!(to, "HTTP/1.1 200 OK\r\n{fields}\r\n");
        if with_body {
            to.extend_from_slice(self.body.as_bytes());
        }
    }
}

fn write_error(to: &mut Vec<u8>, status: &str, field: &str) {
    let length = status.len() + 1;
    let fields = format_args!("{field}Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n");
    let _ = write!(to, "HTTP/1.1 {status}\r\n{fields}\r\n{status}\n");
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

        fn write(&self, to: &mut String) {
            to.push_str(&"0123456789abcdef".repeat(1 << 16));
        }
    }

    fn answered(head: &str) -> Option<String> {
        let mut answer = Vec::new();
        let complete = reply(head.as_bytes(), &mut StatusPage { content: &Long, body: String::new() }, &mut answer);
        complete.then(|| String::from_utf8(answer[..answer.len().min(200)].to_vec()).unwrap())
    }

    fn started() -> SocketAddr {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        prepare(&listener).unwrap();
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
        for target in ["http://[::1]:9469/metrics", "HTTP://host/metrics?a=b", "https://host/metrics"] {
            assert!(starts(&format!("GET {target} HTTP/1.1\r\n\r\n"), "200"), "{target}");
        }
        for target in ["/", "http://host", "http://host/", "http://host/x/metrics", "http:/metrics", "ftp://h/metrics"]
        {
            assert!(starts(&format!("GET {target} HTTP/1.1\r\n\r\n"), "404"), "{target}");
        }
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
    fn silent_connections_delay_nobody() {
        let address = started();
        let silent: Vec<TcpStream> = (0..145).map(|_| TcpStream::connect(address).unwrap()).collect();
        let begun = Instant::now();
        assert!(fetched(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(begun.elapsed() < TIME_LIMIT, "a silent connection makes room at once");
        drop(silent);
    }

    #[test]
    fn connections_that_do_not_read_their_answers_keep_their_places_for_a_limited_time() {
        let address = started();
        let slow: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
                stream
            })
            .collect();
        let begun = Instant::now();
        assert!(fetched(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(begun.elapsed() < 2 * TIME_LIMIT);
        drop(slow);
    }
}
