//! Points: a rubric in TOML, or one point for each required check.

use std::collections::BTreeMap;
use std::path::Path;

use super::outcome::{Grade, Item, Score, ScoreLine};
use crate::Failure;
use crate::check::checks;
use crate::check::table::{Check, Level};

/// What a submission can earn, and the items that it requires.
#[derive(Clone, Debug)]
pub struct Rubric {
    /// If any of these is not met, the submission earns nothing.
    required: Vec<Item>,
    lines: Vec<Line>,
}

/// Points for something.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    points: f64,
    items: Vec<Item>,
    /// Only if all items are met; otherwise in proportion.
    all: bool,
    /// Not counted in the sum that makes 100%.
    bonus: bool,
}

/// The file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    points: BTreeMap<String, Points>,
    #[serde(default)]
    group: Vec<Group>,
}

/// `build = 2`, or `server.sum = 2`, which is a table in TOML.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Points {
    One(f64),
    OfRole(BTreeMap<String, f64>),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    points: f64,
    checks: Vec<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    bonus: bool,
}

impl Rubric {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::run(format_args!("cannot read {}", path.display()), error))?;
        Self::parse(&text).map_err(|what| Failure::Usage(format!("{}: {what}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
        let mut lines = Vec::new();
        for (name, points) in document.points {
            match points {
                Points::One(points) => lines.push(Line::of_items(name.clone(), points, &[name])?),
                Points::OfRole(keys) => {
                    for (key, points) in keys {
                        let name = format!("{name}.{key}");
                        lines.push(Line::of_items(name.clone(), points, &[name])?);
                    }
                }
            }
        }
        for Group { name, points, checks, all, bonus } in document.group {
            lines.push(Line { all, bonus, ..Line::of_items(name, points, &checks)? });
        }
        if lines.is_empty() {
            return Err("no points: expected a table [points] or [[group]]".into());
        }
        Ok(Self { required: items(&document.required)?, lines })
    }

    /// One point for each required check of the programs that are graded.
    pub fn plain(server: bool, client: bool) -> Self {
        let roles = [("server", server), ("client", client)].into_iter().filter(|(_, asked)| *asked);
        // Those of the extended form are an exercise of their own.
        let of_role =
            |role| checks(role, false).filter(|check| check.level == Level::Must).map(move |check| (role, check));
        let line = |(role, check): (&'static str, &'static Check)| Line {
            name: format!("{role}.{}", check.key),
            points: 1.0,
            items: vec![Item::Check { role, check }],
            all: true,
            bonus: false,
        };
        Self { required: Vec::new(), lines: roles.flat_map(|(role, _)| of_role(role)).map(line).collect() }
    }

    /// What a submission has earned.
    pub fn score(&self, grade: &Grade) -> Score {
        let unmet = |items: &[Item]| -> Vec<String> {
            items.iter().filter(|item| !item.is_met(grade)).map(Item::name).collect()
        };
        let missing = unmet(&self.required);
        let lines: Vec<ScoreLine> = self
            .lines
            .iter()
            .map(|line| {
                let lost = unmet(&line.items);
                let met = line.items.len() - lost.len();
                let share = match line.all {
                    true => f64::from(u8::from(lost.is_empty())),
                    false => met as f64 / line.items.len() as f64,
                };
                let points = if missing.is_empty() { line.points * share } else { 0.0 };
                let Line { name, points: max, bonus, items, .. } = line.clone();
                ScoreLine { name, points, max, bonus, lost, items }
            })
            .collect();
        let points = lines.iter().map(|line| line.points).sum();
        let max = lines.iter().filter(|line| !line.bonus).map(|line| line.max).sum();
        Score { points, max, missing, lines }
    }
}

impl Line {
    fn of_items(name: String, points: f64, checks: &[String]) -> Result<Self, String> {
        if !(0.0..=1e6).contains(&points) {
            return Err(format!("{name}: {points} points: expected a number from 0 to 1000000"));
        }
        let items = items(checks)?;
        if items.is_empty() {
            return Err(format!("{name}: no checks"));
        }
        Ok(Self { name, points, items, all: false, bonus: false })
    }
}

/// `build`, `fuzz`, `server.KEY`, `client.KEY`; `server.required` and `server.recommended` for all of these.
fn items(names: &[String]) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    for name in names {
        let unknown = || {
            format!(
                "{name:?} is not a check: expected build, fuzz, server.KEY or client.KEY (lab check shows \
                        keys)"
            )
        };
        let (role, key) = match (name.as_str(), name.split_once('.')) {
            ("build", _) => {
                items.push(Item::Build);
                continue;
            }
            ("fuzz", _) => {
                items.push(Item::Fuzz);
                continue;
            }
            (_, Some(("server", key))) => ("server", key),
            (_, Some(("client", key))) => ("client", key),
            _ => return Err(unknown()),
        };
        let wanted = |check: &&'static Check| match key {
            "required" => check.level == Level::Must,
            "recommended" => check.level == Level::Should,
            key => check.key == key,
        };
        let one = !matches!(key, "required" | "recommended");
        let before = items.len();
        for check in checks(role, one).filter(wanted) {
            if check.level == Level::Informative {
                return Err(format!("{name:?} is informative: it is neither met nor broken"));
            }
            items.push(Item::Check { role, check });
        }
        if items.len() == before {
            return Err(unknown());
        }
    }
    Ok(items)
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubrics_are_read() {
        let rubric = Rubric::parse(
            "required = ['build']\n[points]\nbuild = 2\nserver.sum = 1.5\n\
             [[group]]\nname = 'Robust'\npoints = 5\nchecks = ['server.recommended', 'fuzz']\nall = true\nbonus = true\n",
        )
        .unwrap();
        assert_eq!(rubric.lines.len(), 3);
        assert!(rubric.lines[2].items.len() > 5 && rubric.lines[2].bonus && rubric.lines[2].all);
        assert_eq!(Rubric::plain(true, false).lines[0].name, "server.answers");
    }

    #[test]
    fn what_is_wrong_in_a_rubric_is_said() {
        for (text, words) in [
            ("", "no points"),
            ("[points]\nserver.summ = 1", "\"server.summ\" is not a check"),
            ("[points]\nserver.signed-text = 1", "informative"),
            ("[points]\nbuild = -1", "from 0 to 1000000"),
            ("[[group]]\nname = 'a'\npoints = 1\nchecks = []", "no checks"),
            ("[[group]]\nname = 'a'\npoints = 1\ncheck = []", "unknown field"),
            ("points", "line 1"),
        ] {
            let error = Rubric::parse(text).unwrap_err();
            assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
