//! The checks of a client: lab is its server.

mod checks;
mod exchange;
mod explanation;
mod judges;
mod output;
mod request;
mod scenario;
mod template;

use crate::Failure;
use crate::check::report::{CheckReport, CheckVerdict, Judgement};
use crate::check::service::command_line;
use crate::check::table::Check;
use checks::{CHECKS, ClientCheck};
pub use exchange::judge_run;
pub use output::Printed;
pub use scenario::{ClientRun, ClientSubject, Scenario, expected_result, scenario};
use template::run_as_understood;

/// All checks.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().map(|check| &check.check)
}

/// Runs every check of a client.
pub fn check(subject: &ClientSubject) -> Result<CheckReport, Failure> {
    let (subject, mut runs) = run_as_understood(subject)?;
    let mut report = CheckReport { subject: command_line(&subject.template), role: "client", ..CheckReport::default() };
    for ClientCheck { check, judge } in CHECKS {
        if let Some(see) = report.unmet(check) {
            report.add(check, Judgement::see(see));
            continue;
        }
        let mut judgement = runs.judge(*judge);
        // On a busy machine a client, or lab, may have come too late: what is broken has to be so twice, or more often.
        while judgement.verdict == CheckVerdict::Broken && runs.again(&subject)? {
            judgement = runs.judge(*judge);
        }
        report.add(check, judgement);
    }
    Ok(report)
}
