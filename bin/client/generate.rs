//! Describes the client's options to clap, for man pages and completions. The client itself reads its options with
//! getopts.

use calc6::wire::Operator;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::Shell;

use crate::common::generate::ProgramPages;
use crate::options;

/// The description that `--generate` uses.
pub fn program() -> ProgramPages {
    ProgramPages {
        plain: "client",
        installed: "calc6-client",
        command: command(),
        exit_status: "0 if there is a result; 1 if the server or the network gives none; 2 if the command line or \
                      an operand cannot be parsed. Ctrl-C ends it as SIGINT does; --repeat then sums up what was \
                      answered, if anything was, and ends with 0.",
        edit_completions: with_single_dash,
    }
}

fn command() -> Command {
    let help = options::help();
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
    for group in options::GROUPS {
        for spec in group.options {
            command = command.arg(option(spec).help_heading(group.title));
        }
    }
    let positional = |name: &'static str| Arg::new(name).value_name(name);
    command
        .arg(positional("HOST").value_hint(ValueHint::Hostname).help("The server's name or address"))
        .arg(positional("PORT").help("The server's port: a number, or the name of a service"))
        .arg(positional("INTEGER").num_args(0..).help("Operands"))
}

fn option(spec: &'static options::Spec) -> Arg {
    let mut arg = Arg::new(spec.long).long(spec.long).help(spec.help);
    if let Some(short) = spec.short.chars().next() {
        arg = arg.short(short);
    }
    for group in EXCLUSIVE.iter().filter(|group| group.contains(&spec.long)) {
        arg = arg.conflicts_with_all(group.iter().filter(|other| **other != spec.long));
    }
    let Some(value) = spec.value else { return arg.action(ArgAction::SetTrue) };
    let placeholder = value.placeholder();
    let action = if spec.many { ArgAction::Append } else { ArgAction::Set };
    let arg = arg.value_name(placeholder).action(action);
    match placeholder {
        "OPERATOR" => arg.value_parser(PossibleValuesParser::new(words())).hide_possible_values(true),
        "BASE" => arg.value_parser(PossibleValuesParser::new(["2", "8", "10", "16"])).hide_possible_values(true),
        // Any duration is accepted; these are the usual ones.
        "DURATION" => arg.value_parser(PossibleValuesParser::new(DURATIONS)).hide_possible_values(true),
        "FILE" => arg.value_hint(ValueHint::FilePath),
        "HOST:PORT" => arg.value_hint(ValueHint::Hostname),
        _ => arg,
    }
}

const DURATIONS: [&str; 6] = ["100ms", "500ms", "1s", "2s", "10s", "60s"];

/// Options that cannot be combined.
const EXCLUSIVE: [&[&str]; 2] = [&["op", "expression", "interactive", "describe"], &["classic", "extended"]];

/// Words, because symbols may have a meaning in the shell; describe has its own option.
fn words() -> impl Iterator<Item = &'static str> {
    Operator::ALL
        .into_iter()
        .filter(|operator| *operator != Operator::Describe)
        .flat_map(|operator| operator.words())
        .copied()
}

/// The client also accepts long names after one dash, which clap does not know; `-op` is the usual form.
fn with_single_dash(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => script.replace("--op)", "-op|--op)").replace(" --op ", " -op --op "),
        Shell::Zsh => {
            // Without -s, which treats everything after one dash as single letters.
            let script = script.replace("_arguments_options=(-s ", "_arguments_options=(");
            let lines = script.lines().flat_map(|line| {
                let single = line.contains("--op=[").then(|| line.replacen("--op=[", "-op[", 1));
                [Some(line.to_owned()), single].into_iter().flatten()
            });
            lines.map(|line| line + "\n").collect()
        }
        Shell::Fish => script.replace(" -l op ", " -o op -l op "),
        _ => script,
    }
}
