//! Many tasks on Tokio ask one server; clones of a client share its sockets.
//!
//!     cargo run --features tokio --example tasks

use std::error::Error;

use calc6::client::tokio::Client;
use calc6::wire::Operator;
use calc6::{Server, server};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = std::thread::spawn(|| server.run());

    let client = Client::connect(address).await?;
    let mut tasks = JoinSet::new();
    for number in 1..=100 {
        let client = client.clone();
        tasks.spawn(async move { client.evaluate(Operator::Power, [number, 2]).await });
    }
    let mut squares = Vec::new();
    while let Some(square) = tasks.join_next().await {
        squares.push(square??);
    }
    println!("the sum of 100 squares is {}", client.evaluate(Operator::Sum, squares).await?);

    // Many questions of one task: a stream of answers through one window of requests.
    let mut answers = client.evaluate_stream((1..=1000).map(|n| (Operator::Gcd, vec![n.into(), 12.into()])));
    let mut coprime = 0;
    while let Some(answer) = answers.next().await {
        coprime += u32::from(answer.result? == 1);
    }
    println!("{coprime} of the first 1000 numbers have no divisor in common with 12");

    handle.stop();
    serving.join().expect("the server does not panic")?;
    Ok(())
}
