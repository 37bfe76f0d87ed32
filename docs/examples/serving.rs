//! A server inside a program: started, asked, counted, stopped.
//!
//!     cargo run --example serving

use std::error::Error;
use std::num::NonZeroUsize;

use calc6::wire::Operator;
use calc6::{Client, Server, server};

fn main() -> Result<(), Box<dyn Error>> {
    let config = server::Config::default().with_workers(NonZeroUsize::MIN);
    // Port 0: the system chooses one.
    let server = Server::bind("[::1]:0".parse()?, config)?;
    let address = server.local_addr();
    // The handle stops the server and reads its counters, from any thread; `run` returns after the stop.
    let handle = server.handle();
    let serving = std::thread::spawn(move || server.run());

    let mut client = Client::connect(address)?;
    for operands in [[1, 2], [3, 4], [5, 6]] {
        println!("{operands:?}: {}", client.evaluate(Operator::Product, operands)?);
    }

    handle.stop();
    let totals = serving.join().expect("the server does not panic")?;
    println!("answered {} requests", totals.served());
    Ok(())
}
