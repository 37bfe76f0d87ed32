//! What the process gives up permanently before it reads the first datagram: files (Landlock, landlock(7)), privileges
//! that an executed program could gain (no_new_privs, PR_SET_NO_NEW_PRIVS(2const)), and, in each thread, the system
//! calls that its work does not need (seccomp(2)).
//!
//! A system call that is not on its thread's list ends the whole process (SIGSYS): half a server is worse than none,
//! and a service manager restarts it. Calls that the C library itself may try, but does not need, fail with EACCES
//! instead: a list of system calls must not decide whether memory can be freed.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod filter;
// seccompiler knows no other processors.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
#[path = "sandbox/no_filter.rs"]
mod filter;

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use thiserror::Error;

pub use filter::Filters;

/// How much of the file rules the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// No file can be opened except those to be read again. No TCP connection can be made, or accepted on a new socket.
    /// No signal can be sent to another process.
    Closed,
    /// The kernel knows only some of these rules: at least, no file can be opened for reading or writing.
    PartlyClosed,
    /// The kernel has no Landlock (Linux 5.13), or it is switched off.
    Open,
}

/// Why the sandbox cannot be built.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// Landlock failed, although the kernel has it.
    #[error("cannot close the file system (Landlock)")]
    Landlock(#[from] RulesetError),
    /// A folder that must stay readable cannot be opened.
    #[error("cannot keep {0} readable (Landlock)")]
    Folder(PathBuf, #[source] PathFdError),
    /// A filter cannot be compiled for this processor, or the kernel rejects it.
    #[error("cannot filter system calls (seccomp): {0}")]
    Seccomp(String),
    /// A required part is missing.
    #[error("the kernel does not enforce all of Landlock's rules, and --require-sandbox is given")]
    Incomplete,
}

/// Closes the file system, TCP and signals to other processes, for this thread and all threads that it will start. Sets
/// no_new_privs. Uses what the kernel supports. Files in `readable` folders can still be opened for reading.
///
/// # Errors
///
/// [`SandboxError::Landlock`] if the kernel has Landlock but rejects the rules; [`SandboxError::Folder`] if there is no
/// such folder.
pub fn close_files(readable: &[PathBuf]) -> Result<Files, SandboxError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::from_all(RULES))?
        .create()?;
    for folder in readable {
        let opened = PathFd::new(folder).map_err(|error| SandboxError::Folder(folder.clone(), error))?;
        rules = rules.add_rule(PathBeneath::new(opened, AccessFs::ReadFile))?;
    }
    let status = rules.restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Files::Closed,
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { .. }) => Files::PartlyClosed,
        _ => Files::Open,
    })
}

/// The folders in which a file must stay readable so that it can be read again, also after it was replaced: its own,
/// and that of the target if it is a symbolic link.
pub fn folders_of(file: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(file).ok();
    let mut folders: Vec<PathBuf> = [absolute, file.canonicalize().ok()]
        .into_iter()
        .flatten()
        .filter_map(|path| path.parent().map(Path::to_owned))
        .collect();
    folders.dedup();
    folders
}

/// The rules known in Landlock's sixth version: files and devices (5), TCP (4), signals and abstract sockets (6). Later
/// rules are not used until it is known that none of them affects open UDP sockets.
const RULES: ABI = ABI::V6;

#[cfg(test)]
mod tests;
