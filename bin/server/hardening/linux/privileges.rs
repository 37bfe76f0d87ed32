//! Dropping root: the process becomes another user permanently (credentials(7), setresuid(2)).

use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
use thiserror::Error;

/// A user that the process can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Why the process cannot become another user.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// The user database does not have this user.
    #[error("there is no user {0:?}")]
    NoSuchUser(String),
    /// The user database cannot be read.
    #[error("cannot look up the user {name:?}")]
    Lookup {
        /// The name or number asked for.
        name: String,
        /// The system's error.
        source: Errno,
    },
    /// The user is root.
    #[error("the user {0:?} is root: choose one with fewer rights")]
    Root(String),
    /// Only root may become another user.
    #[error("only root can become {0}: start the server as root, or without --user")]
    NotRoot(String),
    /// A system call failed.
    #[error("cannot become {name}: {call}")]
    Refused {
        /// The user.
        name: String,
        /// The system call.
        call: &'static str,
        /// Its error.
        source: Errno,
    },
    /// Capabilities cannot be given up.
    #[error("cannot drop all capabilities")]
    Capabilities(#[source] io::Error),
    /// The system calls succeeded, but privileges are left.
    #[error("still privileged after becoming {0}")]
    Kept(String),
}

impl Identity {
    /// Looks up a user by name, or by number if no user has that name. Its group is the user's own.
    ///
    /// # Errors
    ///
    /// [`PrivilegeError`] if there is no such user, or it is root.
    pub fn resolve(text: &str) -> Result<Identity, PrivilegeError> {
        let lookup = |source| PrivilegeError::Lookup { name: text.to_owned(), source };
        let mut user = User::from_name(text).map_err(lookup)?;
        if let (None, Ok(number)) = (&user, text.parse()) {
            user = User::from_uid(Uid::from_raw(number)).map_err(lookup)?;
        }
        let user = user.ok_or_else(|| PrivilegeError::NoSuchUser(text.to_owned()))?;
        if user.uid.is_root() {
            return Err(PrivilegeError::Root(text.to_owned()));
        }
        Ok(Identity { name: user.name, uid: user.uid, gid: user.gid })
    }

    /// Becomes the user, with no other group, and checks that this cannot be undone. Must be called before other
    /// threads exist.
    ///
    /// # Errors
    ///
    /// [`PrivilegeError`]; the process must then end.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        if !Uid::effective().is_root() {
            return if self.is_assumed() { Ok(()) } else { Err(PrivilegeError::NotRoot(self.name.clone())) };
        }
        let refused = |call| move |source| PrivilegeError::Refused { name: self.name.clone(), call, source };
        setgroups(&[]).map_err(refused("setgroups"))?;
        setresgid(self.gid, self.gid, self.gid).map_err(refused("setresgid"))?;
        setresuid(self.uid, self.uid, self.uid).map_err(refused("setresuid"))?;
        let root = Uid::from_raw(0);
        let alone = getgroups().is_ok_and(|groups| groups.iter().all(|group| *group == self.gid));
        if !self.is_assumed() || !alone || setresuid(root, root, root).is_ok() {
            return Err(PrivilegeError::Kept(self.name.clone()));
        }
        Ok(())
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether all six identities of the process are the user's.
    fn is_assumed(&self) -> bool {
        let users = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.uid; 3]);
        let groups = getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [self.gid; 3]);
        users && groups
    }
}

/// Drops all capabilities of the process, as `--user` does too, except those of the bounding set, which have no
/// effect with no_new_privs: a server that is started with ambient ones (capabilities(7)) would otherwise keep them.
/// Must be called before other threads exist.
///
/// # Errors
///
/// [`PrivilegeError::Capabilities`] if the kernel refuses.
pub fn drop_capabilities() -> Result<(), PrivilegeError> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // A kernel before 4.3 has no ambient set.
    let _ = clear_ambient_capability_set();
    set_capabilities(None, sets).map_err(|error| PrivilegeError::Capabilities(error.into()))
}

/// Whether the process runs as root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let nobody = Identity::resolve("nobody").unwrap();
        assert_eq!(nobody.name(), "nobody");
        assert_eq!(Identity::resolve(&nobody.uid.to_string()).unwrap(), nobody);
        for root in ["root", "0"] {
            assert!(matches!(Identity::resolve(root), Err(PrivilegeError::Root(name)) if name == root));
        }
        for text in ["", "no such user", "-1", "4294967294"] {
            assert!(matches!(Identity::resolve(text), Err(PrivilegeError::NoSuchUser(name)) if name == text));
        }
    }
}
