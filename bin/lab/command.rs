//! The commands of programs under test, as they are typed, and calc6's own programs.

use std::path::PathBuf;

use crate::Failure;

/// A command line, split into words as the shell does.
#[derive(Clone, Debug)]
pub struct Words(pub Vec<String>);

/// Splits a command, for clap.
///
/// # Errors
/// A message that says what is expected.
pub fn words(text: &str) -> Result<Words, String> {
    match shell_words::split(text) {
        Ok(words) if !words.is_empty() => Ok(Words(words)),
        Ok(_) => Err("expected a command of at least one word".into()),
        Err(error) => Err(format!("expected a command, quoted as in the shell: {error}")),
    }
}

/// calc6's own `server` or `client`: the program beside this one, by its plain or its installed name.
///
/// # Errors
/// The program is not there.
pub fn own(program: &str) -> Result<Words, Failure> {
    let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
    let names = [program.to_owned(), format!("calc6-{program}")];
    let beside = names.iter().map(|name| this.with_file_name(name)).find(|path: &PathBuf| path.is_file());
    match beside {
        Some(path) => Ok(Words(vec![path.to_string_lossy().into_owned()])),
        None => Err(Failure::Run(format!(
            "calc6's own {program} is not in {}: expected {} or {} there, or --{program} COMMAND",
            this.parent().unwrap_or(&this).display(),
            names[0],
            names[1]
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_in_the_shell() {
        assert_eq!(words("python3 'my server.py'").unwrap().0, ["python3", "my server.py"]);
        assert!(words("").is_err() && words("'").is_err());
    }
}
