//! The wire format alone: a request encoded, sent with a socket of the standard library, and the reply decoded and drawn.
//!
//!     cargo run --example wire_only

use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;

use calc6::view::{Drawing, View, dump};
use calc6::wire::{Format, MAX_REPLY, Operator, classic};
use calc6::{Server, server};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::bind("[::1]:0".parse()?, server::Config::default())?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = std::thread::spawn(|| server.run());

    let operands: Vec<u8> = [1u32, 3, 5, 7, 9].into_iter().flat_map(u32::to_be_bytes).collect();
    let mut buffer = [0; 64];
    let length = classic::Request::new(Operator::Sum, Format::Integer, &operands)?.encode(&mut buffer);
    let request = &buffer[..length];
    print!("{}", dump(&View::request(request), &Drawing::default()));

    let socket = UdpSocket::bind("[::]:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(address)?;
    socket.send(request)?;
    let mut reply = [0; MAX_REPLY];
    let length = socket.recv(&mut reply)?;
    print!("{}", dump(&View::reply(&reply[..length], Some(request)), &Drawing::default()));
    match classic::Reply::decode(&reply[..length], Format::Integer)? {
        classic::Reply::Integer(sum) => println!("the sum is {sum}"),
        other => println!("{other:?}"),
    }

    handle.stop();
    serving.join().expect("the server does not panic")?;
    Ok(())
}
