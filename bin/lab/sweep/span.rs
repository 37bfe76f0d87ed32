//! The quantity that a sweep varies: one value, or a range of values.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::common::usage::duration;
use crate::units::{HumanDuration, Probability, bandwidth};

/// The separator between the two ends of a range.
const TO: &str = "..";

/// A value, or a range of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first value, or the only one.
    pub from: f64,
    /// The last value, if it is a range.
    pub to: Option<f64>,
    unit: Unit,
}

/// The kind of quantity, and the unit of its numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// From 0 to 1.
    Probability,
    /// In seconds.
    Seconds,
    /// In bit/s.
    BitsPerSecond,
}

impl Span {
    /// Reads probabilities, for clap.
    pub fn probability(text: &str) -> Result<Self, String> {
        Self::parse(text, Unit::Probability, |text| Probability::from_str(text).map(Probability::value))
    }

    /// Reads durations, for clap.
    pub fn duration(text: &str) -> Result<Self, String> {
        Self::parse(text, Unit::Seconds, |text| duration(text).map(|duration| duration.as_secs_f64()))
    }

    /// Reads bandwidths, for clap.
    pub fn bandwidth(text: &str) -> Result<Self, String> {
        Self::parse(text, Unit::BitsPerSecond, |text| bandwidth(text).map(|rate| rate as f64))
    }

    fn parse(text: &str, unit: Unit, value: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let Some((from, to)) = text.split_once(TO) else {
            return Ok(Self { from: value(text)?, to: None, unit });
        };
        let (from, to) = (value(from)?, value(to)?);
        if from == to {
            return Err("expected a range between two different values".into());
        }
        Ok(Self { from, to: Some(to), unit })
    }

    /// The unit of its numbers.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// `steps` values from one end to the other, both included; with `logarithmic`, each is the same multiple of
    /// the one before.
    pub fn values(&self, steps: usize, logarithmic: bool) -> Vec<f64> {
        let to = self.to.unwrap_or(self.from);
        let value = |step: usize| {
            let part = step as f64 / (steps - 1).max(1) as f64;
            match logarithmic {
                true => self.from * (to / self.from).powf(part),
                false => self.from + (to - self.from) * part,
            }
        };
        (0..steps).map(value).collect()
    }
}

impl Unit {
    /// A value as text for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Probability => format!("{}%", short(value * 100.0)),
            Self::Seconds if value == 0.0 => "0 s".into(),
            Self::Seconds => HumanDuration(Duration::from_secs_f64(value)).to_string(),
            Self::BitsPerSecond => match value {
                rate if rate >= 1e6 => format!("{} Mbit/s", short(rate / 1e6)),
                rate if rate >= 1e3 => format!("{} kbit/s", short(rate / 1e3)),
                rate => format!("{} bit/s", short(rate)),
            },
        }
    }

    /// For an axis: its unit as text, and the size of that unit.
    pub fn axis(self) -> (&'static str, f64) {
        match self {
            Self::Probability => ("%", 0.01),
            Self::Seconds => ("ms", 0.001),
            Self::BitsPerSecond => ("kbit/s", 1000.0),
        }
    }
}

/// Without trailing zeros.
pub fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unit.shown(self.from))?;
        match self.to {
            Some(to) => write!(f, "{TO}{}", self.unit.shown(to)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_value_or_a_range() {
        let loss = Span::probability("0%..90%").unwrap();
        assert_eq!((loss.from, loss.to, loss.to_string().as_str()), (0.0, Some(0.9), "0%..90%"));
        let percent = |value: f64| (value * 100.0).round();
        assert_eq!(
            loss.values(10, false).into_iter().map(percent).collect::<Vec<_>>(),
            [0, 10, 20, 30, 40, 50, 60, 70, 80, 90].map(f64::from)
        );
        assert_eq!(Span::duration("20ms").unwrap().to, None);
        assert_eq!(Span::duration("0..1.5s").unwrap().to, Some(1.5));
        assert_eq!(
            Span::bandwidth("1kbit..1Mbit").unwrap().values(4, true).into_iter().map(f64::round).collect::<Vec<_>>(),
            [1e3, 1e4, 1e5, 1e6]
        );
        assert_eq!(loss.values(1, false), [0.0]);
        for wrong in ["", "..", "0..", "0..2", "10%..10%", "x..1"] {
            assert!(Span::probability(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_shown_with_their_units() {
        assert_eq!(Unit::Probability.shown(0.3), "30%");
        assert_eq!(Unit::Probability.shown(0.333_33), "33.33%");
        assert_eq!(Unit::Seconds.shown(0.25), "250 ms");
        assert_eq!(Unit::BitsPerSecond.shown(64_000.0), "64 kbit/s");
    }
}
