//! What the process gives up for good before it reads the first datagram: files (Landlock, landlock(7)), privileges
//! that an executed program could gain (no_new_privs, PR_SET_NO_NEW_PRIVS(2const)), and, in each thread, the system
//! calls that its work does not need (seccomp(2)).
//!
//! A system call that is not on its thread's list ends the whole process (SIGSYS): half a server is worse than none,
//! and a service manager starts it again.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use thiserror::Error;

/// The kinds of threads, each with the system calls of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Receives and sends datagrams.
    Worker,
    /// Waits for signals and for the end of the workers, writes the log, feeds the watchdog.
    Main,
    /// Answers HTTP requests for the metrics.
    Metrics,
}

/// The filters of all roles, compiled before any is applied.
pub struct Filters {
    worker: BpfProgram,
    main: BpfProgram,
    metrics: BpfProgram,
}

/// How much of the file rules the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// No file can be opened, no TCP connection made or accepted on a new socket, no other process signalled.
    Closed,
    /// The kernel knows only some of these rules: at least, no file can be opened for reading or writing.
    PartlyClosed,
    /// The kernel has no Landlock (Linux 5.13), or it is switched off.
    Open,
}

/// Why the sandbox cannot be built.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// Landlock failed where the kernel has it.
    #[error("cannot close the file system (Landlock)")]
    Landlock(#[from] RulesetError),
    /// A filter cannot be compiled for this processor, or is refused.
    #[error("cannot filter system calls (seccomp): {0}")]
    Seccomp(String),
    /// A part is missing that was required.
    #[error("the kernel does not enforce all of Landlock's rules, and --require-sandbox is given")]
    Incomplete,
}

/// Closes the file system, TCP and signals to other processes, for this thread and all that it will start; sets
/// no_new_privs. Takes what the kernel offers.
///
/// # Errors
///
/// [`SandboxError::Landlock`] if the kernel has Landlock and refuses.
pub fn close_files() -> Result<Files, SandboxError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::from_all(RULES))?
        .create()?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => Files::Closed,
        (RulesetStatus::PartiallyEnforced, LandlockStatus::Available { .. }) => Files::PartlyClosed,
        _ => Files::Open,
    })
}

impl Filters {
    /// Compiles the filters for this processor.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Seccomp`] on a processor that the compiler does not know.
    pub fn new() -> Result<Filters, SandboxError> {
        Ok(Filters { worker: compile(Role::Worker)?, main: compile(Role::Main)?, metrics: compile(Role::Metrics)? })
    }

    /// Confines the calling thread to the system calls of its role, for ever. Sets no_new_privs.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Seccomp`] if the kernel refuses.
    pub fn confine(&self, role: Role) -> Result<(), SandboxError> {
        let filter = match role {
            Role::Worker => &self.worker,
            Role::Main => &self.main,
            Role::Metrics => &self.metrics,
        };
        seccompiler::apply_filter(filter).map_err(|error| SandboxError::Seccomp(error.to_string()))
    }
}

/// The rules known in Landlock's sixth version: files and devices (5), TCP (4), signals and abstract sockets (6). Later
/// ones are not asked for before it is known that none of them touches UDP sockets that are open.
const RULES: ABI = ABI::V6;

fn compile(role: Role) -> Result<BpfProgram, SandboxError> {
    let failed = |error: seccompiler::BackendError| SandboxError::Seccomp(error.to_string());
    let processor = TargetArch::try_from(std::env::consts::ARCH).map_err(failed)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let own = match role {
        Role::Worker => WORKER,
        Role::Main => MAIN,
        Role::Metrics => METRICS,
    };
    for call in COMMON.iter().chain(own) {
        rules.insert(*call, Vec::new());
    }
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![not_executable().map_err(failed)?]);
    }
    for call in [libc::SYS_write, libc::SYS_writev] {
        // The metrics thread's connections have any number; the others write to their terminal or log only.
        let conditions = if role == Role::Metrics { Vec::new() } else { standard_output().map_err(failed)? };
        rules.insert(call, conditions);
    }
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, processor);
    filter.and_then(BpfProgram::try_from).map_err(failed)
}

/// mmap(2) and mprotect(2) of memory that cannot be executed: their third argument has no PROT_EXEC.
fn not_executable() -> Result<SeccompRule, seccompiler::BackendError> {
    let exec = libc::PROT_EXEC as u64;
    SeccompRule::new(vec![SeccompCondition::new(2, Dword, SeccompCmpOp::MaskedEq(exec), 0)?])
}

/// write(2) to stdout or stderr.
fn standard_output() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let to = |fd: i32| SeccompRule::new(vec![SeccompCondition::new(0, Dword, SeccompCmpOp::Eq, fd as u64)?]);
    Ok(vec![to(libc::STDOUT_FILENO)?, to(libc::STDERR_FILENO)?])
}

/// Memory, locks, clocks and sleep, signal handlers, and the ways to end, orderly or by a panic. Clocks are read
/// without a system call where the kernel has a vDSO for them (vdso(7)).
const COMMON: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// A worker's two calls, and those that stand in for them for a single datagram.
const WORKER: &[i64] = &[
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// The pipe on which signals arrive, the service manager's socket, and closing the workers' sockets to new datagrams.
const MAIN: &[i64] = &[
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Connections that somebody else opened.
const METRICS: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

#[cfg(test)]
mod tests;
