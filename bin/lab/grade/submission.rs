//! The folders to grade.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Arguments;
use crate::Failure;
use crate::process::copy_link;

/// A submission.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Different for different folders, in printable characters.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
}

/// The folders to grade, sorted by name. Hidden folders are skipped.
pub fn submissions(arguments: &Arguments) -> Result<Vec<Submission>, Failure> {
    let folder = &arguments.folder;
    let cannot = |error| Failure::run(format_args!("cannot read the folder {}", folder.display()), error);
    let submission = |folder: PathBuf| Submission {
        name: printable_name(folder.file_name().unwrap_or(OsStr::new("submission"))),
        folder,
    };
    if arguments.single {
        let folder = folder.canonicalize().map_err(cannot)?;
        fs::read_dir(&folder).map_err(cannot)?;
        return Ok(vec![submission(folder)]);
    }
    let entries = fs::read_dir(folder).map_err(cannot)?;
    let visible = |path: &PathBuf| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).filter(visible).collect();
    if folders.is_empty() {
        return Err(Failure::Run(format!("{} has no folder in it: a submission is a folder", folder.display())));
    }
    folders.sort();
    let names: HashSet<&OsStr> = folders.iter().filter_map(|folder| folder.file_name()).collect();
    if let Some(unknown) = arguments.only.iter().find(|only| !names.contains(only.as_os_str())) {
        return Err(Failure::Run(format!("{} has no folder {:?}", folder.display(), unknown)));
    }
    let only: HashSet<&OsStr> = arguments.only.iter().map(OsString::as_os_str).collect();
    let wanted = |folder: &PathBuf| only.is_empty() || folder.file_name().is_some_and(|name| only.contains(name));
    Ok(folders.into_iter().filter(wanted).map(submission).collect())
}

/// A file name in printable characters; different names stay different.
fn printable_name(name: &OsStr) -> String {
    let mut printable = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => printable.push_str("\\\\"),
                character if character.is_control() => printable.extend(character.escape_default()),
                character => printable.push(character),
            }
        }
        chunk.invalid().iter().for_each(|octet| printable.push_str(&format!("\\x{octet:02x}")));
    }
    printable
}

/// Copies a folder. Symbolic links stay links (Windows leaves them out). Anything but files, folders and links is left
/// out.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            copy_link(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn different_names_stay_different() {
        let names = [&b"ada"[..], b"a\nb", b"a\\nb", b"a\xffb", b"a\\xffb", "a\u{fffd}b".as_bytes(), "é".as_bytes()];
        let printed = names.map(|name| printable_name(OsStr::from_bytes(name)));
        assert_eq!(printed, ["ada", "a\\nb", "a\\\\nb", "a\\xffb", "a\\\\xffb", "a\u{fffd}b", "é"]);
    }
}
