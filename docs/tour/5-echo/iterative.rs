//! The first way: one client after the other. While one is served, the others wait in the kernel's queue.
use std::io;
use std::net::TcpListener;

pub fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let client = super::accept(&listener);
        if let Err(error) = super::echo(&client) {
            eprintln!("client: {error}");
        }
    }
}
