//! The file of `--access-file`: rules that can be read again while the server runs.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use calc6::limit::access::Contradiction;
use calc6::limit::file::FileError;
use calc6::limit::{Access, Rules};
use thiserror::Error;

use crate::hardening::open_for_reading;

/// An access file, and the rules of the command line, which it extends.
#[derive(Clone, Debug)]
pub struct AccessFile {
    path: PathBuf,
    options: Rules,
}

/// Why the rules of an access file cannot be put into force.
#[derive(Debug, Error)]
pub enum AccessFileError {
    /// It cannot be read.
    #[error("cannot read the access file {0}")]
    Read(PathBuf, #[source] io::Error),
    /// It is too long to be one.
    #[error("the access file {0} is longer than {MAX_LEN} octets")]
    Long(PathBuf),
    /// A line is wrong.
    #[error("access file {0}, {1}")]
    Line(PathBuf, FileError),
    /// It contradicts an option.
    #[error("access file {0}: {1}: see --allow and --deny")]
    Contradiction(PathBuf, Contradiction),
}

/// Some hundred thousand rules.
const MAX_LEN: u64 = 8 << 20;

impl AccessFile {
    /// The file at `path`, which adds to the rules of the `options`.
    pub fn new(path: PathBuf, options: Rules) -> AccessFile {
        AccessFile { path, options }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it, and returns all rules that hold then.
    ///
    /// # Errors
    ///
    /// [`AccessFileError`]: keep the earlier rules.
    pub fn read(&self) -> Result<Rules, AccessFileError> {
        let text = self.text().map_err(|error| AccessFileError::Read(self.path.clone(), error))?;
        if text.len() as u64 > MAX_LEN {
            return Err(AccessFileError::Long(self.path.clone()));
        }
        let mut rules = self.options.clone();
        rules.extend(text.parse().map_err(|error| AccessFileError::Line(self.path.clone(), error))?);
        match Access::new(&rules, 0) {
            Ok(_) => Ok(rules),
            Err(contradiction) => Err(AccessFileError::Contradiction(self.path.clone(), contradiction)),
        }
    }

    fn text(&self) -> io::Result<String> {
        let file = open_for_reading(&self.path)?;
        let mut text = String::new();
        file.take(MAX_LEN + 1).read_to_string(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rules_add_to_the_options_and_errors_name_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access");
        let mut options = Rules::default();
        options.allow.push("::1".parse().unwrap());
        options.answer_low_ports = true;
        let file = AccessFile::new(path.clone(), options);
        assert!(matches!(file.read(), Err(AccessFileError::Read(..))));
        fs::write(&path, "allow 2001:db8::/32\nexempt ::1 # ours\n").unwrap();
        let rules = file.read().unwrap();
        assert_eq!((rules.allow.len(), rules.exempt.len(), rules.answer_low_ports), (2, 1, true));
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            file.read().unwrap_err().to_string()
        };
        assert!(error("\npermit ::1").contains("access, line 2: unknown rule \"permit\""));
        assert!(error("deny ::1").contains("is both allowed and denied: see --allow and --deny"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(file.read(), Err(AccessFileError::Read(..))), "a folder");
    }
}
