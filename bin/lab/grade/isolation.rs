//! Where a submission runs: in its own namespaces, or unprotected. What this machine allows is tested once.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::Failure;
use crate::process::{NAMESPACES, has_root};

/// What keeps submissions from disturbing each other, as typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Isolation {
    /// Network, process and mount namespaces for each step; needs Linux, and root or user namespaces
    Namespaces,
    /// Nothing but limits: for graders whose container holds one submission and is then discarded
    None,
    /// Namespaces where they can be created, otherwise nothing, with a warning
    Auto,
}

/// What there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confinement {
    /// Namespaces; in a user namespace too if lab has no right to the others without.
    Namespaces { user: bool },
    /// Nothing but limits.
    None,
}

/// The exit status of a shell for a command that it does not find.
const NOT_FOUND: i32 = 127;

impl Confinement {
    /// Makes namespaces once, as each step will.
    pub fn probe(isolation: Isolation) -> Result<Self, Failure> {
        if isolation == Isolation::None {
            return Ok(Self::None);
        }
        if !NAMESPACES {
            return Self::without("this system has none", isolation);
        }
        // Root in a container may lack CAP_SYS_ADMIN, but may still create a user namespace.
        let attempts: &[bool] = if has_root() { &[false, true] } else { &[true] };
        let mut needs = "needs root or user namespaces";
        for user in attempts {
            let mut unshare = Self::unshare(*user);
            unshare.args(["sh", "-c", "ip link set lo up"]).stdin(Stdio::null());
            match unshare.output() {
                Ok(output) if output.status.success() => return Ok(Self::Namespaces { user: *user }),
                Ok(output) if output.status.code() == Some(NOT_FOUND) => needs = "needs ip of the package iproute2",
                Ok(_) => {}
                Err(_) => needs = "needs unshare of the package util-linux",
            }
        }
        Self::without(needs, isolation)
    }

    /// Limits only, if the options allow that.
    fn without(reason: &str, isolation: Isolation) -> Result<Self, Failure> {
        match isolation {
            Isolation::Auto => {
                eprintln!("lab grade: cannot create namespaces here ({reason}): submissions run unprotected");
                Ok(Self::None)
            }
            _ => Err(Failure::Run(format!(
                "cannot create namespaces here ({reason}): nothing was graded; --isolation none runs submissions \
                 unprotected"
            ))),
        }
    }

    /// A command that runs `this` (the lab) with more arguments, confined.
    pub fn command(self, this: &Path, limits: &[String]) -> Command {
        // `limited` comes first: if lab ends, so does the command, and with unshare everything in its namespaces.
        let mut command = Command::new(this);
        command.arg("limited").args(limits).arg("--");
        if let Self::Namespaces { user } = self {
            let unshare = Self::unshare(user);
            command.arg(unshare.get_program()).args(unshare.get_args());
            command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        }
        command.arg(this);
        command
    }

    fn unshare(user: bool) -> Command {
        let mut unshare = Command::new("unshare");
        if user {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare
    }
}
