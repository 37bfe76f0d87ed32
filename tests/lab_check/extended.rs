//! Mistakes in the extended form, each with the checks that it breaks.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use calc6::responder::{Limits, Verdict, respond};

use crate::receiving::receive_from;
use crate::{namespace, run};

/// A mistake in the extended form: what it does to a reply, and the checks that it breaks.
type Mistake = (&'static str, fn(&[u8], &mut Vec<u8>), &'static [&'static str]);

/// Whether a reply is an extended one, and a success.
fn succeeds(reply: &[u8]) -> bool {
    reply.len() > 12 && reply[0] == 0xff && reply[1] == 0
}

/// Whether a request is of the extended form.
fn is_extended(request: &[u8]) -> bool {
    request.len() >= 12 && request[0] & 0xfe == 0x1e
}

/// Whether it is one for this operator.
fn asks(request: &[u8], operator: u8) -> bool {
    is_extended(request) && request[1] == operator
}

const MISTAKES: &[Mistake] = &[
    ("none", |_, _| {}, &[]),
    (
        "knows only classic",
        |request, reply| {
            if is_extended(request) {
                *reply = vec![0x7f]
            }
        },
        &["x-golden"],
    ),
    (
        "identifier in the wrong order",
        |request, reply| {
            if is_extended(request) {
                reply[4..12].reverse()
            }
        },
        &["x-golden"],
    ),
    (
        "identifier cut to 32 bits",
        |request, reply| {
            if is_extended(request) && reply[4] != 1 {
                reply[4..8].fill(0)
            }
        },
        &["x-identifier"],
    ),
    (
        "Reserved set in errors",
        |_, reply| {
            if reply.len() >= 12 && reply[0] == 0x7f {
                reply[3] = 1
            }
        },
        &["x-header"],
    ),
    (
        "errors say the format asked for",
        |request, reply| {
            if reply.len() >= 12 && reply[0] == 0x7f {
                reply[2] = request[0] & 1;
            }
        },
        &["x-format"],
    ),
    (
        "results of four octets",
        |_, reply| {
            while succeeds(reply) && reply[2] == 0 && reply.len() < 16 && reply.len() != 13 {
                let sign = if reply[12] & 0x80 == 0 { 0 } else { 0xff };
                reply.insert(12, sign);
            }
        },
        &["x-least-width"],
    ),
    (
        "a plus before positive text",
        |_, reply| {
            if succeeds(reply) && reply[2] == 1 && reply[12] == b'1' && reply.len() > 18 {
                reply.insert(12, b'+');
            }
        },
        &["x-text"],
    ),
    (
        "min is max",
        |request, reply| {
            if asks(request, b'<') && reply.len() == 13 {
                reply[12] = 5
            }
        },
        &["x-min"],
    ),
    (
        "division by zero is malformed",
        |_, reply| {
            if reply.len() > 12 && reply[1] == 3 {
                reply[1] = 1
            }
        },
        &["x-division", "x-error-text"],
    ),
    (
        "no answer where the reply does not fit",
        |_, reply| {
            if reply.len() > 12 && reply[1] == 4 {
                reply.clear()
            }
        },
        &["x-describe", "x-too-large"],
    ),
    (
        "a count that is too small",
        |_, reply| {
            if reply.len() > 16 && reply[1] == 4 {
                reply[12..16].fill(0)
            }
        },
        &["x-too-large"],
    ),
    (
        "an error text that repeats the request",
        |request, reply| {
            if reply.len() > 20 && reply[1] == 1 {
                reply.truncate(12);
                reply.extend(&request[..8]);
            }
        },
        &["x-error-text"],
    ),
    (
        "a description without its operators",
        |request, reply| {
            if asks(request, b'?') && succeeds(reply) {
                reply.truncate(20);
            }
        },
        &["x-describe"],
    ),
    (
        "later versions are not answered",
        |request, reply| {
            if request.len() >= 12 && request[0] == 0x2f {
                reply.clear()
            }
        },
        &["x-escape"],
    ),
    (
        "replies are answered",
        |request, reply| {
            if request.first() == Some(&0x7f) {
                *reply = vec![0x7f]
            }
        },
        &["silent-replies", "x-replies"],
    ),
];

#[test]
fn each_mistake_in_the_extended_form_has_its_exact_findings() {
    let mistakes = Mutex::new(MISTAKES.iter());
    let next = || mistakes.lock().unwrap().next();
    std::thread::scope(|scope| {
        // Each mostly waits.
        for _ in 0..16 {
            scope.spawn(|| {
                namespace::enter();
                while let Some((name, mistake, broken)) = next() {
                    let server = Mistaken::start(*mistake);
                    let port = server.port.to_string();
                    let found = run(&["server", "--json", "--extended", "::1", &port]);
                    assert_eq!(found.broken, *broken, "{name}: {found:?}");
                }
            });
        }
    });
}

/// Our responder with a mistake, on a socket of its own; it ends with the value.
struct Mistaken {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mistaken {
    fn start(mistake: fn(&[u8], &mut Vec<u8>)) -> Self {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut request = [0; 2048];
            while !seen.load(Ordering::Relaxed) {
                let Ok((length, source)) = receive_from(&socket, &mut request) else { continue };
                let mut buffer = [0; 4096];
                let mut reply = match respond(&request[..length], &mut buffer, &Limits::default()) {
                    Verdict::Reply(verdict) => buffer[..verdict.len].to_vec(),
                    Verdict::Silence(_) => Vec::new(),
                };
                mistake(&request[..length], &mut reply);
                if !reply.is_empty() {
                    socket.send_to(&reply, source).unwrap();
                }
            }
        });
        Self { port, stop, thread: Some(thread) }
    }
}

impl Drop for Mistaken {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
