//! The third way: a thread for each client. All threads share one memory.
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
        // Dropping the closure closes the socket in it: the client sees the end of the connection.
        if let Err(error) = started {
            eprintln!("client: {error}");
        }
    }
}
