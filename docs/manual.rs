//! Writes the man pages of the three programs and their completions for bash, zsh and fish, under the names by which they
//! are installed and under the plain ones: `make docs`, or `cargo run --example manual FOLDER`.
//!
//! Everything comes from the options themselves: those of `server` and `lab` as clap knows them, those of `client` from
//! the table that its getopts parser is made of.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use calc6::client::program::options as client;
use calc6::wire::Operator;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, CommandFactory, ValueHint};
use clap_complete::{Generator, Shell};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

#[allow(dead_code, reason = "only its options are wanted here")]
#[path = "../bin/server.rs"]
mod server;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: manual FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: {}: {error}", Path::new(&folder).display());
            ExitCode::FAILURE
        }
    }
}

/// Writes `man1`, `bash`, `zsh` and `fish` into a folder.
///
/// # Errors
/// What the file system refuses.
pub fn write(folder: &Path) -> io::Result<()> {
    let man = folder.join("man1");
    fs::create_dir_all(&man)?;
    for program in programs() {
        for page in pages(&program) {
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
                let script = if program.plain == "client" { with_single_dash(shell, &script) } else { script };
                fs::write(folder.join(shell.file_name(name)), script)?;
            }
        }
    }
    Ok(())
}

/// A program, and what only its man page says.
struct Program {
    plain: &'static str,
    /// Its name once it is installed.
    installed: &'static str,
    command: Command,
    exit_status: &'static str,
}

fn programs() -> [Program; 3] {
    [
        Program {
            plain: "server",
            installed: "calc6-server",
            command: server::Arguments::command(),
            exit_status: "0 after SIGINT or SIGTERM, or with --check-config if all is well; 1 if the system refuses \
                          something; 2 if the command line cannot be read.",
        },
        Program {
            plain: "client",
            installed: "calc6-client",
            command: client_command(),
            exit_status: "0 if there is a result; 1 if the server or the network gives none; 2 if the command line or \
                          an operand cannot be read. Ctrl-C ends it as SIGINT does; --repeat then sums up what was \
                          answered, if anything was, and ends with 0.",
        },
        Program {
            plain: "lab",
            installed: "calc6-lab",
            command: calc6::lab::command(),
            exit_status: "0 for success; 1 for anything that was refused, failed, or was found wrong; 2 if the command \
                          line cannot be read.",
        },
    ]
}

/// The client's table as clap would have it. The client itself reads its options with getopts.
fn client_command() -> Command {
    let help = client::help();
    let mut blocks = help.split("\n\n");
    let usage = blocks.next().unwrap_or_default().trim_start_matches("Usage:");
    let about = blocks.next().unwrap_or_default();
    let examples = blocks.find(|block| block.starts_with("Examples:")).unwrap_or_default();
    let mut command = Command::new("client")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Asks a calculator server over UDP and prints the result")
        .long_about(about.to_owned())
        .override_usage(usage.to_owned())
        .after_help(examples.to_owned())
        .disable_help_flag(true)
        .disable_version_flag(true);
    for group in client::GROUPS {
        for spec in group.options {
            command = command.arg(client_option(spec).help_heading(group.title));
        }
    }
    let positional = |name: &'static str| Arg::new(name).value_name(name);
    command
        .arg(positional("HOST").value_hint(ValueHint::Hostname).help("The server's name or address"))
        .arg(positional("PORT").help("The server's port: a number, or the name of a service"))
        .arg(positional("INTEGER").num_args(0..).help("Operands"))
}

fn client_option(spec: &'static client::Spec) -> Arg {
    let mut option = Arg::new(spec.long).long(spec.long).help(spec.help);
    if let Some(short) = spec.short.chars().next() {
        option = option.short(short);
    }
    let Some(value) = spec.value else { return option.action(ArgAction::SetTrue) };
    let placeholder = value.placeholder();
    let action = if spec.many { ArgAction::Append } else { ArgAction::Set };
    let option = option.value_name(placeholder).action(action);
    match placeholder {
        "OPERATOR" => option.value_parser(PossibleValuesParser::new(words())).hide_possible_values(true),
        "FILE" => option.value_hint(ValueHint::FilePath),
        "HOST:PORT" => option.value_hint(ValueHint::Hostname),
        _ => option,
    }
}

/// Words, as no shell keeps them for itself; describe is an option of its own.
fn words() -> impl Iterator<Item = &'static str> {
    Operator::ALL
        .into_iter()
        .filter(|operator| *operator != Operator::Describe)
        .flat_map(|operator| operator.words())
        .copied()
}

/// What a shell shows beside an option: the beginning of its help.
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

/// The client takes long names behind one dash too, which clap does not know; `-op` is how the world writes it.
fn with_single_dash(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => script.replace("--op)", "-op|--op)").replace(" --op ", " -op --op "),
        Shell::Zsh => {
            // Without -s, which takes everything behind one dash for single letters.
            let script = script.replace("_arguments_options=(-s ", "_arguments_options=(");
            let lines = script.lines().flat_map(|line| {
                let single = line.strip_prefix("'--op=").map(|rest| format!("'-op{rest}"));
                [Some(line.to_owned()), single].into_iter().flatten()
            });
            lines.map(|line| line + "\n").collect()
        }
        Shell::Fish => script.replace(" -l op ", " -o op -l op "),
        _ => script.to_owned(),
    }
}

struct Page {
    name: String,
    text: Vec<u8>,
}

/// A page for the program, and one for each of its subcommands.
fn pages(program: &Program) -> Vec<Page> {
    let mut command = program.command.clone().name(program.installed).bin_name(program.installed);
    command.build();
    let others = programs().map(|other| other.installed.to_owned());
    let others: Vec<String> = others.into_iter().filter(|other| other != program.installed).collect();
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

fn page(command: &Command, program: &Program, also: &[String]) -> Page {
    let name = page_name(command);
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    // What clap_mangen would add at the end, with its lines run together, is written below.
    let bare = rename_usage(command.clone(), program).after_help("").after_long_help("");
    let man =
        Man::new(bare).title(name.to_uppercase()).manual("calc6").source(concat!("calc6 ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    let mut render = |section: &dyn Fn(&Man, &mut dyn io::Write) -> io::Result<()>| {
        section(&man, &mut text).expect("a Vec takes everything");
    };
    render(&Man::render_title);
    // No word is cut at the end of a line: half an option is none.
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
    Page { name, text }
}

/// The client's usage says `client`, its page is called otherwise.
fn rename_usage(command: Command, program: &Program) -> Command {
    match command.get_overridden_usage().map(ToString::to_string) {
        Some(usage) => {
            let lines: Vec<String> = usage.lines().map(|line| renamed(line, program)).collect();
            command.override_usage(lines.join("\n"))
        }
        None => command,
    }
}

/// Paragraphs, and lines that are indented: commands, kept as they are but for the program's name.
fn prose(roff: &mut Roff, text: &str, program: &Program) {
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

/// Puts the installed name where a command begins.
fn renamed(line: &str, program: &Program) -> String {
    let plain = format!("{} ", program.plain);
    let installed = format!("{} ", program.installed);
    let trimmed = line.trim_start();
    let line = match trimmed.strip_prefix(&plain) {
        Some(rest) => format!("{installed}{rest}"),
        None => trimmed.to_owned(),
    };
    line.replace(&format!("| {plain}"), &format!("| {installed}"))
}
