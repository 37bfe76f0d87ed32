//! Which system calls each kind of thread may make, as filters for the kernel (seccomp(2)).

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::SandboxError;
use crate::hardening::ThreadRole;

/// The filters of one role, compiled before any is applied.
pub struct Filters {
    /// Makes the calls fail that the C library may try. Applied first, because the other filter does not allow
    /// seccomp(2).
    refuse: BpfProgram,
    /// Ends the process at every other call that is not allowed.
    allow: BpfProgram,
}

impl Filters {
    /// Compiles the filters of a role for this processor. `reads`: it also opens files for reading, where Landlock
    /// allows it.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Seccomp`] on a processor that the compiler does not know.
    pub fn new(role: ThreadRole, reads: bool) -> Result<Filters, SandboxError> {
        let refusal = SeccompAction::Errno(libc::EACCES as u32);
        let compiled = || -> Result<Filters, BackendError> {
            Ok(Filters {
                refuse: compile(refused(reads)?, SeccompAction::Allow, refusal)?,
                allow: compile(allowed(role, reads)?, SeccompAction::KillProcess, SeccompAction::Allow)?,
            })
        };
        compiled().map_err(|error| SandboxError::Seccomp(error.to_string()))
    }

    /// Confines the calling thread permanently to the system calls of its role. Sets no_new_privs.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Seccomp`] if the kernel refuses.
    pub fn confine(&self) -> Result<(), SandboxError> {
        let apply = |filter| seccompiler::apply_filter(filter);
        apply(&self.refuse).and_then(|()| apply(&self.allow)).map_err(|error| SandboxError::Seccomp(error.to_string()))
    }
}

/// The filter that does `listed` for the calls of these rules, and `other` for all others.
fn compile(rules: SyscallRules, other: SeccompAction, listed: SeccompAction) -> Result<BpfProgram, BackendError> {
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    #[allow(clippy::useless_conversion, reason = "a c_long has 32 bits on other processors")]
    let rules = rules.into_iter().map(|(call, rules)| (i64::from(call), rules)).collect();
    SeccompFilter::new(rules, other, listed, processor)?.try_into()
}

/// System calls, each with conditions on its arguments. One of them must hold; without any, all arguments are allowed.
type SyscallRules = BTreeMap<c_long, Vec<SeccompRule>>;

/// The calls that a thread may make. Those that fail with EACCES must be listed too: the kernel applies the stricter
/// of both filters.
fn allowed(role: ThreadRole, reads: bool) -> Result<SyscallRules, BackendError> {
    let mut rules = refused(reads)?;
    let own = match role {
        ThreadRole::Worker => WORKER,
        ThreadRole::Main => MAIN,
        ThreadRole::Supervisor => SUPERVISOR,
        ThreadRole::Metrics => METRICS,
    };
    rules.extend(COMMON.iter().chain(own).map(|call| (*call, Vec::new())));
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![argument(2, Bits(libc::PROT_EXEC), 0)?]);
    }
    // abort(3), after a panic.
    let this = i32::try_from(std::process::id()).unwrap_or(0);
    rules.insert(libc::SYS_tgkill, vec![argument(0, All, this)?]);
    if cfg!(debug_assertions) {
        // The standard library checks every descriptor that it closes.
        rules.insert(libc::SYS_fcntl, vec![argument(1, All, libc::F_GETFD)?]);
    }
    for call in [libc::SYS_write, libc::SYS_writev] {
        // The metrics thread's connections have any number; the others write only to their terminal or log.
        let to = |fd| argument(0, All, fd);
        let to_log = vec![to(libc::STDOUT_FILENO)?, to(libc::STDERR_FILENO)?];
        rules.insert(call, if role == ThreadRole::Metrics { Vec::new() } else { to_log });
    }
    if matches!(role, ThreadRole::Main | ThreadRole::Supervisor) {
        // Closes the workers' sockets to new datagrams.
        let level = condition(1, All, libc::SOL_SOCKET)?;
        let filter = SeccompRule::new(vec![level, condition(2, All, libc::SO_ATTACH_FILTER)?])?;
        rules.insert(libc::SYS_setsockopt, vec![filter]);
    }
    if reads {
        let harmless = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_LARGEFILE;
        rules.insert(libc::SYS_openat, vec![argument(2, Bits(!harmless), libc::O_RDONLY)?]);
    }
    Ok(rules)
}

/// Calls that fail instead of ending the process: glibc asks how the kernel overcommits memory before it returns some
/// (malloc/arena.c), how many processors there are, and what a file is before it reads it. It also names its memory.
fn refused(reads: bool) -> Result<SyscallRules, BackendError> {
    let mut rules: SyscallRules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    if reads {
        rules.remove(&libc::SYS_openat);
    }
    rules.insert(libc::SYS_prctl, vec![argument(0, All, libc::PR_SET_VMA)?]);
    Ok(rules)
}

use Part::{All, Bits};

/// Which part of an argument is compared.
#[derive(Clone, Copy)]
enum Part {
    /// All of its lower 32 bits.
    All,
    /// These bits.
    Bits(i32),
}

/// The condition that the argument with this index, from 0, is `value`.
fn argument(place: u8, part: Part, value: i32) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(place, part, value)?])
}

fn condition(place: u8, part: Part, value: i32) -> Result<SeccompCondition, BackendError> {
    let compare = match part {
        All => SeccompCmpOp::Eq,
        Bits(mask) => SeccompCmpOp::MaskedEq((mask as u32).into()),
    };
    SeccompCondition::new(place, Dword, compare, (value as u32).into())
}

/// Memory, locks, clocks and sleep, signal handlers, and the calls that end a thread, normally or by a panic. Clocks
/// are read without a system call if the kernel has a vDSO for them (vdso(7)). The signal handler calls sendto(2), and
/// any thread may have to run it.
const COMMON: &[c_long] = &[
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
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that fail with EACCES in every thread.
const REFUSED: &[c_long] = &[
    libc::SYS_openat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_pointer_width = "64")]
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    libc::SYS_sched_getaffinity,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
];

/// A worker's two calls, and their replacements for a single datagram.
const WORKER: &[c_long] = &[libc::SYS_recvmmsg, libc::SYS_sendmmsg, libc::SYS_recvmsg, libc::SYS_sendmsg];

/// Waking the workers at shutdown.
const MAIN: &[c_long] = &[libc::SYS_shutdown];

/// The pipe on which signals arrive, and waking the workers at shutdown.
const SUPERVISOR: &[c_long] = &[libc::SYS_read, libc::SYS_recvfrom, libc::SYS_shutdown];

/// Connections that other processes opened.
const METRICS: &[c_long] = &[libc::SYS_accept4, libc::SYS_read, libc::SYS_recvfrom, libc::SYS_shutdown];
