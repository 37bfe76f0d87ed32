//! Making a datagram as small as it goes while it keeps a property.

/// How many candidates are tried at most, of each kind.
const BUDGET: usize = 120;

/// The smallest datagram found that still `fails`, beginning with one that does: octets are left out, in ever smaller
/// runs, and then what stays is set to 0 where it does not matter.
pub fn shrink(datagram: &[u8], mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = datagram.to_vec();
    for replacement in [Replacement::Nothing, Replacement::Zeros] {
        let mut budget = BUDGET;
        let mut try_one = |candidate: &[u8]| {
            budget = budget.saturating_sub(1);
            budget > 0 && fails(candidate)
        };
        let mut run = best.len();
        while run > 0 {
            // From the end: the octets after the ones that matter are removed first.
            let mut end = best.len();
            while end > 0 {
                let start = end.saturating_sub(run);
                let zeros = vec![0; if replacement == Replacement::Zeros { end - start } else { 0 }];
                let candidate = [&best[..start], &zeros, &best[end..]].concat();
                if candidate != best && try_one(&candidate) {
                    best = candidate;
                }
                end = start.min(best.len());
            }
            run /= 2;
        }
    }
    best
}

/// What is put in the place of octets.
#[derive(Clone, Copy, PartialEq)]
enum Replacement {
    Nothing,
    Zeros,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_left() {
        let datagram: Vec<u8> = (1..=200).collect();
        assert_eq!(shrink(&datagram, |candidate| candidate.contains(&77)), [77]);
        assert_eq!(shrink(&datagram, |candidate| candidate.len() >= 10), [0; 10]);
        let twice = |candidate: &[u8]| candidate.first() == Some(&1) && candidate.contains(&150);
        assert_eq!(shrink(&datagram, twice), [1, 150]);
        assert_eq!(shrink(&datagram, |_| true), [0; 0]);
    }

    #[test]
    fn what_fails_is_given_back_whatever_the_budget() {
        let datagram: Vec<u8> = (0..=255).cycle().take(60_000).collect();
        let odd = |candidate: &[u8]| candidate.iter().filter(|octet| **octet == 200).count() >= 200;
        assert!(odd(&shrink(&datagram, odd)));
    }
}
