//! `client`: asks a calculator server and prints the result.

mod arguments;
mod command;
#[path = "../common/mod.rs"]
mod common;
mod failure;
mod generate;
mod host;
mod lines;
mod local;
mod options;
mod output;
mod program;
mod progress;
mod prompt;
mod repeat;
mod report;
mod session;
mod terminal;
mod trace;
mod verify;

fn main() -> std::process::ExitCode {
    match common::generate::requested() {
        Some(folder) => common::generate::run(&generate::program(), &folder),
        None => program::main(std::env::args_os()),
    }
}
