//! The third way: a thread for each client. They share the memory; the scheduler shares out the processors.
use std::io;
use std::net::TcpListener;
use std::thread;

pub fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let client = super::accept(&listener);
        let started = thread::Builder::new().spawn(move || {
            if let Err(error) = super::echo(&client) {
                eprintln!("client: {error}");
            }
        });
        // The closure, and the socket in it, is gone then: the client sees the connection closed.
        if let Err(error) = started {
            eprintln!("client: {error}");
        }
    }
}
