//! The client's and the server's state machines without a socket, over a link in memory that loses the first datagram.
//! Time is a number that this program advances: nothing sleeps.
//!
//!     cargo run --example sans_io

use std::error::Error;
use std::time::Duration;

use calc6::exchange::{Exchange, Forms, PortSharing, Question, Retransmission};
use calc6::responder::{Limits, Verdict, respond};
use calc6::wire::{Format, MAX_REPLY, Operator};

/// The time that a datagram takes, either way.
const DELAY: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let question = Question::from_numbers(Operator::Product, Format::Text, Forms::Either, [-6, 7])?;
    // Request identifiers and the random factor of the waits come from here; over a network, from a cryptographic
    // generator.
    let mut draws = [0x0102_0304_0506_0708, 0x1112_1314_1516_1718, 0].into_iter().cycle();
    let mut random = || draws.next().unwrap_or_default();

    let mut now = Duration::ZERO;
    let mut exchange = Exchange::new(question, PortSharing::Exclusive, &Retransmission::default(), now, &mut random);
    let mut lost = 1;
    while exchange.outcome().is_none() {
        // Send what is due.
        let mut replies = Vec::new();
        while let Some(request) = exchange.transmit(now) {
            println!("{now:>8?}  request of {} octets", request.len());
            if lost > 0 {
                println!("{now:>8?}  lost");
                lost -= 1;
            } else {
                replies.extend(serve(request));
            }
        }
        // What arrives.
        for reply in replies {
            let then = now + 2 * DELAY;
            println!("{then:>8?}  reply of {} octets", reply.len());
            exchange.receive(then, true, &reply);
        }
        // Then wait, as long as the exchange wants to.
        now = exchange.wake_at().unwrap_or(now);
    }
    let number = exchange.into_outcome().and_then(|outcome| outcome.into_number().ok()).ok_or("no number")?;
    println!("-6 * 7 = {number}");
    Ok(())
}

/// The server: a datagram in, a datagram out or silence.
fn serve(request: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = [0; MAX_REPLY];
    match respond(request, &mut buffer, &Limits::default()) {
        Verdict::Reply(reply) => Some(buffer[..reply.len].to_vec()),
        _ => None,
    }
}
