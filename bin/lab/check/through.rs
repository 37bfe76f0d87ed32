//! A relay between lab and what is checked: the same verdicts under a bad network.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::process::{Program, ResourceLimits};

/// How long the relay may take to listen.
const START_TIME: Duration = Duration::from_secs(10);

/// Between looks at whether it does.
const POLL: Duration = Duration::from_millis(3);

/// What the relay itself may use.
const LIMITS: ResourceLimits =
    ResourceLimits { cpu: 3600, memory: 1024, descriptors: 4096, time: 86_400, confined: false };

/// The options of `lab relay`, as typed after --through.
#[derive(Clone, Debug)]
pub struct Through {
    words: Vec<String>,
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_words::join(&self.words))
    }
}

/// A relay that runs. It ends with the value.
#[derive(Debug)]
pub struct LossyRelay {
    /// Where it is asked.
    pub address: SocketAddr,
    _program: Program,
}

impl Through {
    /// Reads the options, for clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        match shell_words::split(text) {
            Ok(words) if !words.is_empty() => Ok(Self { words }),
            Ok(_) => Err("expected options of lab relay, such as \"--loss 30% --seed 3\"".into()),
            Err(error) => Err(format!("expected options of lab relay: {error}")),
        }
    }

    /// Starts a relay to `to`. With a seed, each `number` has another fate, and the same one in every run.
    pub fn start(&self, to: SocketAddr, number: u64) -> Result<LossyRelay, Failure> {
        let this = std::env::current_exe().map_err(|error| Failure::run("cannot find this program's file", error))?;
        let (host, port) = (to.ip().to_string(), to.port().to_string());
        let mut command = vec![this.to_string_lossy().into_owned()];
        // It takes a free port and says which: one that lab looked for could be somebody else's by then.
        command.extend(["relay", "--quiet", &host, "0", &host, &port].map(str::to_owned));
        command.extend(self.seeded(number));
        let mut program = Program::start(&command, &LIMITS)?;
        let deadline = Instant::now() + START_TIME;
        loop {
            if let Some(address) = listening_at(&program.stderr()) {
                return Ok(LossyRelay { address, _program: program });
            }
            if program.ended().is_some() || Instant::now() >= deadline {
                let words = program.last_words();
                return Err(Failure::Usage(format!("--through: {}", words.trim_start_matches("lab: "))));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The options, with `number` added to the seed.
    fn seeded(&self, number: u64) -> Vec<String> {
        let add =
            |seed: &str| seed.parse::<u64>().map_or(seed.to_owned(), |seed| seed.wrapping_add(number).to_string());
        let mut follows = false;
        let seeded = |word: &String| {
            let is_seed = std::mem::replace(&mut follows, word == "--seed");
            match word.strip_prefix("--seed=") {
                Some(seed) => format!("--seed={}", add(seed)),
                None if is_seed => add(word),
                None => word.clone(),
            }
        };
        self.words.iter().map(seeded).collect()
    }
}

/// Where a relay listens, from the line that it writes first.
fn listening_at(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_in_the_first_line() {
        let line = "lab relay: listening on [::1]:4711, sending to [::1]:10000, seed 3\n";
        assert_eq!(listening_at(line), Some("[::1]:4711".parse().unwrap()));
        assert_eq!(listening_at("lab relay: listening on [::1]:47"), None);
    }

    #[test]
    fn each_run_has_a_seed_of_its_own() {
        let seeded = |text: &str| Through::parse(text).unwrap().seeded(7).join(" ");
        assert_eq!(seeded("--loss 30% --seed 3"), "--loss 30% --seed 10");
        assert_eq!(seeded("--seed=3 --delay 5ms"), "--seed=10 --delay 5ms");
        assert_eq!(seeded("--loss 3"), "--loss 3");
        assert!(Through::parse("").is_err() && Through::parse("'").is_err());
    }
}
