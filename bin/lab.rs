//! `lab`: measures, checks and disturbs datagram calculators.

fn main() -> std::process::ExitCode {
    calc6::lab::main()
}
