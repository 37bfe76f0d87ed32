//! Judging the run of a client whose server was not lab.

use super::checks;
use super::scenario::{ClientRun, Runs};
use crate::check::report::Judgement;
use crate::check::table::Check;

/// What there is to say of such a run, each with the check that it belongs to.
pub struct Judged {
    /// It sends a request: to be reported if it sent none.
    pub sends: (&'static Check, Judgement),
    /// Its first request.
    pub request: (&'static Check, Judgement),
    /// What it printed, and its exit status.
    pub result: (&'static Check, Judgement),
    /// It is not ended by a signal.
    pub survives: (&'static Check, Judgement),
}

/// Judges a run of the scenario `sum`, `product`, `text` or `text-product`, as `lab check client` does.
pub fn judge_run(run: ClientRun, prefix: Option<&str>) -> Judged {
    let name = run.scenario.name;
    let (request, result) = match name {
        "product" => ("product-request", "integer-reply"),
        "text" => ("text-request", "text-reply"),
        "text-product" => ("text-product-request", "text-reply"),
        _ => ("sum-request", "integer-reply"),
    };
    let found = run.found();
    let sent = match run.requests.is_empty() {
        true => Judgement::broken([], "a datagram to the given host and port", format!("none; {found}")),
        false => Judgement::holds([], ""),
    };
    let survived = match run.crashed() {
        true => Judgement::broken([], "the program ends by itself", found),
        false => Judgement::holds([], ""),
    };
    // A server may set the unused bits; who then reports an error does not ignore them.
    let unused = run.answered.first().and_then(|reply| reply.first()).is_some_and(|first| *first > 0x80);
    let refused = unused && run.status.is_some_and(|status| !status.success());
    let runs = Runs::of_one(run, prefix);
    let printed = runs.prints(name);
    let result = if refused { "reply-unused" } else { result };
    Judged {
        sends: (of("sends"), sent),
        request: (of(request), runs.first_request(name)),
        result: (of(result), printed),
        survives: (of("survives"), survived),
    }
}

/// The check of that name.
fn of(key: &str) -> &'static Check {
    let mut all = checks();
    let found = all.find(|check| check.key == key);
    found.unwrap_or_else(|| unreachable!("the name of a check: {key}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::client::scenario;

    #[test]
    fn every_check_that_is_named_exists() {
        for name in ["sum", "product", "text", "text-product"] {
            let run = ClientRun {
                scenario: scenario(name),
                requests: Vec::new(),
                ports: Vec::new(),
                answered: Vec::new(),
                stdout: String::new(),
                stderr: String::new(),
                status: None,
                port: 1,
                took: Duration::ZERO,
                limit: None,
                busy: false,
            };
            let judged = judge_run(run, None);
            assert!(!judged.sends.1.is_good() && !judged.request.1.is_good() && !judged.result.1.is_good(), "{name}");
        }
    }
}
