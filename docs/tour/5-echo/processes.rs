//! The second way: a process for each client. In C this is fork(2). Here the program starts itself again, with the
//! accepted socket as standard input, as inetd(8) does: fork in a program with threads is unsafe, this is not.
use std::env;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;

use super::QUIET;

pub fn serve(listener: TcpListener) -> io::Result<()> {
    let program = env::current_exe()?;
    let children = Arc::new(Mutex::new(Vec::new()));
    reap(Arc::clone(&children))?;
    loop {
        let client = super::accept(&listener);
        // Locked while the child starts: if it ends at once, the reaper waits until it is in the list.
        let mut children = children.lock().unwrap_or_else(PoisonError::into_inner);
        // The socket moves into the command and is closed with it. All other descriptors have FD_CLOEXEC set.
        let quiet = QUIET.load(Ordering::Relaxed).then_some("-q");
        match Command::new(&program).args(quiet).arg("child").stdin(OwnedFd::from(client)).spawn() {
            Ok(child) => children.push(child),
            Err(error) => eprintln!("client: {error}"),
        }
    }
}

/// What the child does.
pub fn child() -> io::Result<()> {
    let client = TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    super::echo(&client)
}

/// Collects the exit status of every child that has ended, so that none stays a zombie (wait(2)).
fn reap(children: Arc<Mutex<Vec<Child>>>) -> io::Result<()> {
    let mut signals = Signals::new([SIGCHLD])?;
    thread::spawn(move || {
        // Several pending SIGCHLD count as one, so each asks for all children.
        for _ in signals.forever() {
            let mut children = children.lock().unwrap_or_else(PoisonError::into_inner);
            children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        }
    });
    Ok(())
}
