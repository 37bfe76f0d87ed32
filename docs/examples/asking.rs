//! Asking a server: one question, an expression, many questions at once, and what can go wrong.
//!
//!     cargo run --example asking            # asks a server of its own
//!     cargo run --example asking ::1 10000  # asks yours

use std::error::Error;
use std::net::ToSocketAddrs;
use std::time::Duration;

use calc6::arithmetic::Number;
use calc6::client::{Config, ErrorKind};
use calc6::wire::Operator;
use calc6::{Client, Server, server};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [host, port] = &arguments[..] {
        return ask((host.as_str(), port.parse::<u16>()?));
    }
    // A server inside this program, on a port that the system chooses.
    let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = std::thread::spawn(|| server.run());
    let asked = ask(address);
    handle.stop();
    serving.join().expect("the server does not panic")?;
    asked
}

fn ask(server: impl ToSocketAddrs) -> Result<(), Box<dyn Error>> {
    let config = Config::default().with_timeout(Duration::from_millis(500)).with_deadline(Duration::from_secs(10));
    let mut client = Client::connect_with(server, config)?;

    // One question.
    let sum = client.evaluate(Operator::Sum, [1, 3, 5, 7, 9])?;
    println!("1 + 3 + 5 + 7 + 9 = {sum}");

    // An expression: independent parts are asked for at the same time.
    let value = client.evaluate_expression("(1+3)*5 - 2^10".parse()?)?;
    println!("(1+3)*5 - 2^10 = {} ({} requests)", value.result, value.requests);

    // Many questions, as fast as the path and the server can bear; the answers come in any order.
    let squares = (0..1000).map(|n| (Operator::Power, vec![Number::from(n), Number::from(2)]));
    let mut total = Number::ZERO;
    for answer in client.evaluate_stream(squares) {
        total = calc6::arithmetic::evaluate(Operator::Sum, &[total, answer.result?], 1024)?;
    }
    println!("0^2 + 1^2 + ... + 999^2 = {total}");

    // What goes wrong has a kind, a sentence, and causes.
    let error = client.evaluate(Operator::Quotient, [1, 0]).expect_err("a division by zero");
    assert_eq!(error.kind(), ErrorKind::Status);
    println!("1 / 0: {error}");
    Ok(())
}
