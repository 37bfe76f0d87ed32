//! A processor for which no filter of system calls can be compiled.

use super::SandboxError;
use crate::hardening::ThreadRole;

/// The filters of one role, of which there are none.
pub struct Filters;

impl Filters {
    /// Says so.
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
