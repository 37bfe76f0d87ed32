//! A processor for which system call filters cannot be compiled.

use super::SandboxError;
use crate::hardening::ThreadRole;

/// The filters of one role; there are none.
pub struct Filters;

impl Filters {
    /// Always fails.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Seccomp`] always.
    pub fn new(_: ThreadRole, _: bool) -> Result<Filters, SandboxError> {
        Err(SandboxError::Seccomp(format!("no filter for the processor {}", std::env::consts::ARCH)))
    }

    /// Nothing to apply.
    ///
    /// # Errors
    ///
    /// None.
    pub fn confine(&self) -> Result<(), SandboxError> {
        Ok(())
    }
}
