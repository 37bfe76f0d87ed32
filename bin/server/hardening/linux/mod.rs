//! Linux: Landlock, seccomp, users and capabilities, systemd, signals.

mod privileges;
mod sandbox;
mod signals;
mod systemd;

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use clap::Args;
use clap::builder::BoolishValueParser;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with};
use thiserror::Error;

use super::ThreadRole;
use crate::in_full;
use privileges::{Identity, PrivilegeError};
use sandbox::{Files, Filters, SandboxError};
pub use signals::Signals;
pub use systemd::{ServiceManager, inherited};

/// The text at the end of --help.
pub const HELP: &str = "  server :: 10000 --user nobody --metrics [::1]:9469 --access-file /etc/calc6/access

Sockets that a service manager hands over (sd_listen_fds(3)) are served instead of HOST and PORT, one worker each.
SIGINT and SIGTERM end it after the replies in flight are sent, with a line of totals; SIGUSR1 writes all totals; SIGHUP
reads --access-file again.";

/// The options of this system alone.
#[derive(Clone, Debug, Args)]
pub struct HardeningOptions {
    /// Processors to which the workers are pinned in turn, such as 0-3,6 [default: none]
    #[arg(long, value_name = "LIST", env = "CALC6_CPUS", default_value = "none", hide_default_value = true)]
    cpus: Processors,
    /// Become this user (a name or number, with its own group) once the sockets are bound
    #[arg(long, value_name = "USER", env = "CALC6_USER")]
    user: Option<String>,
    /// Run without the sandbox, for debuggers and tracers: files and all system calls stay accessible
    #[arg(long, env = "CALC6_NO_SANDBOX", value_parser = BoolishValueParser::new(), conflicts_with = "require_sandbox")]
    no_sandbox: bool,
    /// Do not start if the kernel cannot enforce the whole sandbox
    #[arg(long, env = "CALC6_REQUIRE_SANDBOX", value_parser = BoolishValueParser::new())]
    require_sandbox: bool,
}

/// Processors by number: `none`, or numbers and ranges such as `0-3,6` (the list format of cpuset(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Processors(Vec<usize>);

impl FromStr for Processors {
    type Err = String;

    fn from_str(text: &str) -> Result<Processors, String> {
        const EXPECTED: &str = "expected `none`, or processors such as 0-3,6";
        if text == "none" {
            return Ok(Processors::default());
        }
        let number = |text: &str| text.parse().ok().filter(|number| *number < MAX_PROCESSORS);
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => Some(number(first)?..=number(last)?),
            None => number(part).map(|number| number..=number),
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let processors: Vec<usize> = ranges.ok_or(EXPECTED)?.into_iter().flatten().collect();
        if processors.is_empty() { Err(EXPECTED.to_owned()) } else { Ok(Processors(processors)) }
    }
}

/// More than Linux can be built for (CONFIG_NR_CPUS is at most 8192).
const MAX_PROCESSORS: usize = 1 << 14;

/// Why the process cannot give up its rights.
#[derive(Debug, Error)]
pub enum HardeningError {
    /// Changing the user failed.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl HardeningOptions {
    /// The processors to which the workers are pinned in turn.
    pub fn processors(&self) -> &[usize] {
        &self.cpus.0
    }

    /// Looks up the names in the options, and describes the resulting protection, one line each.
    ///
    /// # Errors
    ///
    /// [`HardeningError`] if there is no such user.
    pub fn check(&self) -> Result<Vec<String>, HardeningError> {
        let identity = self.user.as_deref().map(Identity::resolve).transpose()?;
        let sandbox = match (self.no_sandbox, self.require_sandbox) {
            (true, _) => "none",
            (_, true) => "required",
            _ => "as far as the kernel supports it",
        };
        let user = identity.as_ref().map_or("unchanged", Identity::name);
        Ok(vec![format!("user: {user}"), format!("sandbox: {sandbox}")])
    }
}

/// What the process will give up.
pub struct Protection {
    options: HardeningOptions,
    identity: Option<Identity>,
}

impl Protection {
    /// Looks up what needs the user database.
    ///
    /// # Errors
    ///
    /// [`HardeningError`] if there is no such user.
    pub fn prepare(options: &HardeningOptions) -> Result<Protection, HardeningError> {
        let identity = options.user.as_deref().map(Identity::resolve).transpose()?;
        Ok(Protection { options: options.clone(), identity })
    }

    /// Closes the file system except the folders of `access_file`, and gives up root and all capabilities, for
    /// threads that are started later too.
    ///
    /// # Errors
    ///
    /// [`HardeningError`]; the process must then end.
    pub fn give_up(self, access_file: Option<&Path>) -> Result<ThreadConfinement, HardeningError> {
        let Protection { options, identity } = self;
        // Compiled before anything is applied.
        let (filters, unfiltered) = Threads::compile(&options, access_file.is_some())?;
        let readable = access_file.map_or(Vec::new(), sandbox::folders_of);
        let files = if options.no_sandbox { Files::Open } else { sandbox::close_files(&readable)? };
        if options.require_sandbox && files != Files::Closed {
            return Err(SandboxError::Incomplete.into());
        }
        identity.as_ref().map(Identity::assume).transpose()?;
        privileges::drop_capabilities()?;
        let running = identity.map(|identity| format!("running as {}", identity.name()));
        let root = (running.is_none() && privileges::is_root())
            .then(|| "running as root: choose a user to become with --user".to_owned());
        let files = match files {
            _ if options.no_sandbox => Some("no sandbox"),
            Files::Closed => None,
            Files::PartlyClosed => Some(
                "the kernel supports only a part of Landlock: files are inaccessible, but other rules are not \
                      enforced",
            ),
            Files::Open => Some("the kernel has no Landlock: files stay accessible"),
        };
        let unfiltered = unfiltered.map(|error| in_full(&error));
        let warnings = [root, files.map(str::to_owned), unfiltered].into_iter().flatten().collect();
        Ok(ThreadConfinement { filters, running, warnings })
    }
}

/// The state after the process has given up its rights, and the filters that each thread must still apply.
pub struct ThreadConfinement {
    filters: Threads,
    running: Option<String>,
    warnings: Vec<String>,
}

impl ThreadConfinement {
    /// Confines the calling thread permanently to the system calls of its role.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn confine(&self, role: ThreadRole) -> io::Result<()> {
        let filters = match role {
            ThreadRole::Worker => &self.filters.worker,
            ThreadRole::Main => &self.filters.main,
            ThreadRole::Supervisor => &self.filters.supervisor,
            ThreadRole::Metrics => &self.filters.metrics,
        };
        filters.as_ref().map_or(Ok(()), Filters::confine).map_err(|error| io::Error::other(in_full(&error)))
    }

    /// The user that the process has become, if it has changed.
    pub fn running(&self) -> Option<&str> {
        self.running.as_deref()
    }

    /// What is missing, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The filters of all threads; none without a sandbox.
#[derive(Default)]
struct Threads {
    worker: Option<Filters>,
    main: Option<Filters>,
    supervisor: Option<Filters>,
    metrics: Option<Filters>,
}

impl Threads {
    /// The filters. On a processor whose system calls the compiler does not know, there are none: then the reason is
    /// returned, and only the rest of the sandbox protects the server.
    fn compile(options: &HardeningOptions, reads: bool) -> Result<(Threads, Option<SandboxError>), SandboxError> {
        if options.no_sandbox {
            return Ok((Threads::default(), None));
        }
        let compiled = || -> Result<Threads, SandboxError> {
            Ok(Threads {
                worker: Some(Filters::new(ThreadRole::Worker, false)?),
                main: Some(Filters::new(ThreadRole::Main, false)?),
                supervisor: Some(Filters::new(ThreadRole::Supervisor, reads)?),
                metrics: Some(Filters::new(ThreadRole::Metrics, false)?),
            })
        };
        match compiled() {
            Ok(threads) => Ok((threads, None)),
            Err(error) if options.require_sandbox => Err(error),
            Err(error) => Ok((Threads::default(), Some(error))),
        }
    }
}

/// Accepts a connection, non-blocking from the start: the sandbox does not allow to change this later.
///
/// # Errors
///
/// Those of accept4(2).
pub fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    Ok(accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?.into())
}

/// Opens a file; if it is a pipe, the call does not wait for a writer.
///
/// # Errors
///
/// Those of open(2).
pub fn open_for_reading(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Whether stderr accepts a line without blocking: a pipe is writable if it accepts PIPE_BUF octets (4096, pipe(7)).
pub fn stderr_takes_a_line() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..)) && fds[0].revents().contains(PollFlags::OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_numbers_and_ranges() {
        let read = |text: &str| text.parse::<Processors>().map(|processors| processors.0);
        assert_eq!(read("none"), Ok(vec![]));
        assert_eq!(read("0"), Ok(vec![0]));
        assert_eq!(read("0-2,7,5-5"), Ok(vec![0, 1, 2, 7, 5]));
        for wrong in ["", "a", "1-", "-1", "3-1", "1,", "0-99999999999", "1 2", "0x1"] {
            assert_eq!(read(wrong), Err("expected `none`, or processors such as 0-3,6".to_owned()), "{wrong}");
        }
    }
}
