//! The checks of a server.

mod classic;
mod conditions;
mod diagnosis;
mod extended;
mod mistakes;
mod open;
mod session;

use std::time::{Duration, Instant};

use crate::Failure;
use crate::check::probe::Prober;
use crate::check::report::{Advice, CheckReport, Crash, Judgement, hex};
use crate::check::service::Recipe;
use crate::check::shrink::shrink;
use crate::check::table::Check;
pub use extended::request as extended_request;
use session::{Judge, ServerCheck, ServerSession};
pub use session::{exact, judge, request};

/// How long a datagram is made smaller; a server that hangs takes seconds for each try.
const SHRINK_TIME: Duration = Duration::from_secs(10);

/// All checks, those of the extended form last.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    tables(true).map(|check| &check.check)
}

/// Those of the classic form.
pub fn classic_checks() -> impl Iterator<Item = &'static Check> {
    tables(false).map(|check| &check.check)
}

fn tables(with_extended: bool) -> impl Iterator<Item = &'static ServerCheck> {
    let extended: &[ServerCheck] = if with_extended { extended::CHECKS } else { &[] };
    [classic::CHECKS, conditions::CHECKS, open::RECOMMENDED, open::NOTED].into_iter().flatten().chain(extended)
}

/// Runs every check of a server.
pub fn check(mut prober: Prober, recipe: Option<&Recipe>, with_extended: bool) -> Result<CheckReport, Failure> {
    let mut report = CheckReport { role: "server", ..CheckReport::default() };
    let mut session = ServerSession::new(&mut prober, recipe);
    for ServerCheck { check, judge } in tables(with_extended) {
        if let Judge::Now(judge) = judge {
            run(check, *judge, &mut session, &mut report)?;
        }
    }
    for ServerCheck { check, judge } in tables(with_extended) {
        if let Judge::AtEnd(judge) = judge {
            match report.unmet(check) {
                Some(see) => report.add(check, Judgement::see(see)),
                None => report.add(check, judge(&mut session)?),
            }
        }
    }
    let order = |key: &str| checks().position(|check| check.key == key);
    report.findings.sort_by_key(|finding| order(finding.check.key));
    report.crashes = crashes(&mut prober)?;
    Ok(report)
}

/// The report on a server that was started and does not listen.
pub fn not_listening(advice: Advice, with_extended: bool) -> CheckReport {
    let mut report = CheckReport { role: "server", ..CheckReport::default() };
    for ServerCheck { check, .. } in tables(with_extended) {
        report.add(
            check,
            match check.key {
                "answers" => {
                    Judgement::broken([], "a server at the given host and port", "nothing").because(advice.clone())
                }
                _ => Judgement::see("answers"),
            },
        );
    }
    report
}

fn run(
    check: &'static Check,
    judge: fn(&mut ServerSession<'_>) -> Result<Judgement, Failure>,
    session: &mut ServerSession<'_>,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    if let Some(see) = report.unmet(check) {
        report.add(check, Judgement::see(see));
        return Ok(());
    }
    if session.prober.gone() {
        report.add(check, Judgement::see("survives"));
        return Ok(());
    }
    let ends = session.prober.observed.ends.len();
    let judgement = judge(session)?;
    // That it ended is one finding, `survives`, and no other.
    if session.prober.observed.ends.len() > ends && check.key != "answers" {
        report.add(check, Judgement::see("survives"));
    } else {
        report.add(check, judgement);
    }
    Ok(())
}

/// Every datagram that ended the server, the first of them made as small as it goes.
fn crashes(prober: &mut Prober) -> Result<Vec<Crash>, Failure> {
    let ends = std::mem::take(&mut prober.observed.ends);
    let mut crashes: Vec<Crash> = Vec::new();
    for end in ends {
        let datagram = hex(&end.datagram);
        if crashes.iter().any(|crash| crash.datagram == datagram) {
            continue;
        }
        let shrunk = match prober.can_restart() && crashes.is_empty() {
            true => shrink_crash(prober, &end.datagram)?.map(|datagram| hex(&datagram)),
            false => None,
        };
        crashes.push(Crash { datagram, how: end.how, shrunk });
    }
    Ok(crashes)
}

/// The smallest datagram that still ends the server when it is the first one; `None` if the given one does not.
pub fn shrink_crash(prober: &mut Prober, datagram: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let deadline = Instant::now() + SHRINK_TIME;
    let mut failure = None;
    prober.believe_silence_at_once(true);
    let mut ends = |candidate: &[u8]| match prober.try_datagram(candidate) {
        Ok(_) if Instant::now() > deadline => false,
        Ok(asked) => asked.end.is_some(),
        Err(error) => {
            failure = Some(error);
            false
        }
    };
    let shrunk = if ends(datagram) { Some(shrink(datagram, &mut ends)) } else { None };
    prober.believe_silence_at_once(false);
    match failure {
        Some(error) => Err(error),
        None => Ok(shrunk),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::check::client;

    fn all() -> impl Iterator<Item = &'static Check> {
        checks().chain(client::checks())
    }

    #[test]
    fn every_clause_stands_in_the_specification() {
        let specification = include_str!("../../../../docs/protocol.md");
        for check in all() {
            let heading = [format!("**{}**", check.clause), format!("**{} ", check.clause)];
            let cited = specification.lines().any(|line| heading.iter().any(|text| line.starts_with(text.as_str())));
            assert!(cited, "{} cites clause {}, which docs/protocol.md does not have", check.key, check.clause);
        }
    }

    #[test]
    fn the_page_for_teachers_explains_every_finding() {
        let page = include_str!("../../../../docs/teaching.md");
        for check in all().filter(|check| !check.key.starts_with("x-")) {
            let named = page.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{}`", check.key)));
            assert!(named, "{}", check.key);
        }
    }

    #[test]
    fn keys_are_unique_and_needs_come_earlier() {
        for table in [checks().collect::<Vec<_>>(), client::checks().collect()] {
            let mut seen = HashSet::new();
            for check in table {
                assert!(check.needs.iter().all(|key| seen.contains(key)), "{}", check.key);
                assert!(seen.insert(check.key), "{}", check.key);
            }
        }
    }

    #[test]
    fn texts_are_sentences() {
        for check in all() {
            assert!(check.why.ends_with(['.', ')']), "{}", check.key);
            assert!(!check.title.ends_with('.'), "{}", check.key);
        }
    }
}
