//! Man pages, and completions for bash, zsh and fish: `PROGRAM --generate FOLDER`, which `make docs` calls.
//!
//! Everything comes from clap's description of the options; the client describes its getopts table to clap for this.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use clap::{Arg, Command};
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

/// A program, and the parts of its man page that clap does not know.
pub struct ProgramPages {
    /// Its name as built.
    pub plain: &'static str,
    /// Its name as installed.
    pub installed: &'static str,
    /// Its options.
    pub command: Command,
    /// The section EXIT STATUS.
    pub exit_status: &'static str,
    /// Adds to a completion script what clap cannot express.
    pub edit_completions: fn(Shell, String) -> String,
}

/// Every installed name.
const INSTALLED: [&str; 3] = ["calc6-server", "calc6-client", "calc6-lab"];

/// The folder of `--generate FOLDER`, if that is the whole command line.
pub fn requested() -> Option<PathBuf> {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let [option, folder] = &words[..] else { return None };
    (option == OsStr::new("--generate")).then(|| PathBuf::from(folder))
}

/// Runs `--generate FOLDER`.
pub fn run(program: &ProgramPages, folder: &Path) -> ExitCode {
    match write(program, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: --generate: {}: {error}", program.plain, folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes into the folder's `man1`, `bash`, `zsh` and `fish`; completions under both names.
fn write(program: &ProgramPages, folder: &Path) -> io::Result<()> {
    let man = folder.join("man1");
    fs::create_dir_all(&man)?;
    for page in pages(program) {
        fs::write(man.join(format!("{}.1", page.name)), page.text)?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let folder = folder.join(shell.to_string());
        fs::create_dir_all(&folder)?;
        for name in [program.plain, program.installed] {
            let mut command = in_brief(program.command.clone());
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut script);
            let script = String::from_utf8(script).expect("clap_complete writes UTF-8");
            fs::write(folder.join(shell.file_name(name)), (program.edit_completions)(shell, script))?;
        }
    }
    Ok(())
}

/// The text that a shell shows beside an option: the beginning of its help.
fn in_brief(command: Command) -> Command {
    let brief = |arg: Arg| match arg.get_help().map(ToString::to_string) {
        Some(help) => {
            let end = [". ", ": ", "; ", " ("].iter().filter_map(|end| help.find(end)).min().unwrap_or(help.len());
            arg.help(help[..end].trim_end_matches('.').to_owned())
        }
        None => arg,
    };
    command.mut_args(brief).mut_subcommands(in_brief)
}

struct ManualPage {
    name: String,
    text: Vec<u8>,
}

/// A page for the program, and one for each of its subcommands.
fn pages(program: &ProgramPages) -> Vec<ManualPage> {
    let mut command = program.command.clone().name(program.installed).bin_name(program.installed);
    command.build();
    let others: Vec<String> =
        INSTALLED.into_iter().filter(|other| *other != program.installed).map(str::to_owned).collect();
    let mut pages = Vec::new();
    let subcommands: Vec<Command> = visible_subcommands(&command).cloned().collect();
    let family: Vec<String> = subcommands.iter().map(page_name).collect();
    let also = [family, others.clone()].concat();
    pages.push(page(&command, program, &also));
    for subcommand in &subcommands {
        let below: Vec<Command> = visible_subcommands(subcommand).cloned().collect();
        let names: Vec<String> = below.iter().map(page_name).collect();
        pages.push(page(subcommand, program, &[vec![program.installed.to_owned()], names].concat()));
        pages.extend(below.iter().map(|command| page(command, program, &[page_name(subcommand)])));
    }
    pages
}

fn visible_subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help")
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command, program: &ProgramPages, also: &[String]) -> ManualPage {
    let name = page_name(command);
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    // clap_mangen would join the lines of the examples; they are written below instead.
    let bare = rename_usage(command.clone(), program).after_help("").after_long_help("");
    let man =
        Man::new(bare).title(name.to_uppercase()).manual("calc6").source(concat!("calc6 ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    let mut render = |section: &dyn Fn(&Man, &mut dyn io::Write) -> io::Result<()>| {
        section(&man, &mut text).expect("a Vec takes everything");
    };
    render(&Man::render_title);
    // No hyphenation: a reader could not tell the hyphen from a part of an option.
    render(&|_, page| page.write_all(b".nh\n.ad l\n"));
    render(&Man::render_name_section);
    render(&Man::render_synopsis_section);
    render(&Man::render_description_section);
    render(&Man::render_options_section);
    if visible_subcommands(command).next().is_some() {
        render(&Man::render_subcommands_section);
    }
    let mut roff = Roff::new();
    if let Some(after) = after {
        roff.control("SH", ["EXAMPLES"]);
        prose(&mut roff, &after, program);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(program.exit_status)]);
    roff.control("SH", ["SEE ALSO"]);
    for (place, other) in also.iter().enumerate() {
        let comma = if place + 1 < also.len() { "," } else { "" };
        roff.text([bold(other.as_str()), roman(format!("(1){comma}"))]);
    }
    roff.control("PP", []);
    roff.text([roman("The protocol is specified in protocol.md, in the folder of calc6's documents.")]);
    roff.to_writer(&mut text).expect("a Vec takes everything");
    ManualPage { name, text }
}

/// The client's usage says `client`, but its page has the installed name.
fn rename_usage(command: Command, program: &ProgramPages) -> Command {
    match command.get_overridden_usage().map(ToString::to_string) {
        Some(usage) => {
            let lines: Vec<String> = usage.lines().map(|line| renamed(line, program)).collect();
            command.override_usage(lines.join("\n"))
        }
        None => command,
    }
}

/// Paragraphs, and indented lines: commands, unchanged except for the program's name.
fn prose(roff: &mut Roff, text: &str, program: &ProgramPages) {
    let text = text.trim().trim_start_matches("Examples:").trim_start_matches('\n');
    let mut verbatim = false;
    let mut paragraph = false;
    for line in text.lines() {
        let indented = line.starts_with("  ");
        if indented != verbatim {
            roff.control(if indented { "nf" } else { "fi" }, []);
            verbatim = indented;
        }
        match line.trim_start() {
            "" => paragraph = true,
            line => {
                if std::mem::take(&mut paragraph) {
                    roff.control("PP", []);
                }
                let line = if indented { renamed(line, program) } else { line.to_owned() };
                roff.text([roman(line)]);
            }
        }
    }
    if verbatim {
        roff.control("fi", []);
    }
}

/// Replaces the program's name at the start of a command with the installed name.
fn renamed(line: &str, program: &ProgramPages) -> String {
    let plain = format!("{} ", program.plain);
    let installed = format!("{} ", program.installed);
    let trimmed = line.trim_start();
    let line = match trimmed.strip_prefix(&plain) {
        Some(rest) => format!("{installed}{rest}"),
        None => trimmed.to_owned(),
    };
    line.replace(&format!("| {plain}"), &format!("| {installed}"))
}
