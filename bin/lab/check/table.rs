//! What a check is. The tables of checks stand with the functions that judge: server/ and client/.

/// How much a check weighs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Required: a broken one makes the run fail.
    Must,
    /// Recommended: reported, without effect on the exit status.
    Should,
    /// No judgement: what the subject does where the course leaves it open.
    Informative,
}

/// One thing that is checked.
#[derive(Debug, serde::Serialize)]
pub struct Check {
    /// Its name: unique within a run, stable across releases.
    pub key: &'static str,
    /// The clause of docs/protocol.md.
    pub clause: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What is required, in a sentence.
    pub title: &'static str,
    /// Why it matters to the author of the program.
    pub why: &'static str,
    /// Checks that must hold before this one can be judged: their mistakes would show here too.
    #[serde(skip)]
    pub needs: &'static [&'static str],
}
