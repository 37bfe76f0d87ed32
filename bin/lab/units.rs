//! Probabilities and bandwidths that people type, and durations that they read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A probability, 0 to 1; typed as `0.01` or `1%`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Probability(f64);

impl Probability {
    /// The probability, 0 to 1.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The probability nearest to a number.
    pub fn clamped(value: f64) -> Self {
        Self(value.clamp(0.0, 1.0))
    }
}

impl FromStr for Probability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent, 0.01),
            None => (text, 1.0),
        };
        match number.parse::<f64>().map(|value| value * scale) {
            Ok(value) if (0.0..=1.0).contains(&value) => Ok(Self(value)),
            _ => Err("expected a probability: a number from 0 to 1, or a percentage such as 2.5%".into()),
        }
    }
}

/// A bandwidth in bit/s: `64k`, `1.5M`, `10Mbit`, `8000`; decimal multiples, as in tc(8). At least 1 bit/s.
pub fn bandwidth(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let scale = match unit.to_ascii_lowercase().trim_end_matches("/s").trim_end_matches("bit") {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        _ => {
            return Err("expected a bandwidth: a number of bits per second, such as 64kbit or 10Mbit".into());
        }
    };
    match number.parse::<f64>().map(|value| value * scale) {
        Ok(value) if (1.0..=1e12).contains(&value) => Ok(value as u64),
        _ => Err("expected a bandwidth from 1 bit/s to 1000 Gbit/s, such as 64kbit or 10Mbit".into()),
    }
}

/// Shows a duration with three significant digits and a suitable unit.
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos() as f64;
        let (value, unit) = match nanoseconds {
            n if n < 1e3 => return f.pad(&format!("{n} ns")),
            n if n < 1e6 => (n / 1e3, "µs"),
            n if n < 1e9 => (n / 1e6, "ms"),
            n => (n / 1e9, "s"),
        };
        let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        f.pad(&format!("{value:.decimals$} {unit}"))
    }
}

/// Splits at the first character that cannot belong to a decimal number.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_numbers_or_percentages() {
        assert_eq!("0.25".parse(), Ok(Probability(0.25)));
        assert_eq!("2.5%".parse(), Ok(Probability(0.025)));
        for wrong in ["", "%", "1.5", "101%", "-1%", "x", "NaN"] {
            assert!(wrong.parse::<Probability>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bandwidths_are_decimal_bits_per_second() {
        assert_eq!(bandwidth("8000"), Ok(8000));
        assert_eq!(bandwidth("64k"), Ok(64_000));
        assert_eq!(bandwidth("1.5Mbit"), Ok(1_500_000));
        assert_eq!(bandwidth("1Gbit/s"), Ok(1_000_000_000));
        for wrong in ["", "0", "fast", "1MB", "1e30"] {
            assert!(bandwidth(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_shown_with_three_digits() {
        let shown = |nanoseconds| HumanDuration(Duration::from_nanos(nanoseconds)).to_string();
        assert_eq!(shown(0), "0 ns");
        assert_eq!(shown(1_234), "1.23 µs");
        assert_eq!(shown(12_345_678), "12.3 ms");
        assert_eq!(shown(123_456_789), "123 ms");
        assert_eq!(shown(1_500_000_000), "1.50 s");
    }
}
