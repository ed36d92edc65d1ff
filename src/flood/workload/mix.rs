//! Which commands are sent how often (`--mix 108B=3,1081=1`). Pure.

use crate::workload::values::key;

/// Most of one weight.
pub const WEIGHT_MAX: u32 = 1000;
/// Longest sequence of requests before it repeats; 4 bytes each, per kind of FSU.
pub const SEQUENCE_MAX: u64 = 100_000;

/// Why a mix cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// Nothing in it.
    #[error("no command (write 108B=3,1081=1)")]
    Empty,
    /// A weight that is none.
    #[error("{0}: a weight is a whole number from 1 to {WEIGHT_MAX}")]
    Weight(String),
    /// A weight without a command.
    #[error("{0}: no command (write 108B=3,1081=1)")]
    NoCommand(String),
    /// A command that was named before.
    #[error("{part}: {name} is named twice")]
    Twice {
        /// As it is written.
        part: String,
        /// The command.
        name: String,
    },
}

/// Weights by command key; none: every command the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mix(pub Vec<(String, u32)>);

impl Mix {
    /// Reads `KEY=WEIGHT,KEY`; a weight that is not given is 1.
    ///
    /// # Errors
    /// What is wrong with a part of it.
    pub fn parse(text: &str) -> Result<Self, MixError> {
        let mut out: Vec<(String, u32)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let weight = weight.trim().parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
            let weight = weight.ok_or_else(|| MixError::Weight(part.to_owned()))?;
            let name = key(name);
            if name.is_empty() {
                return Err(MixError::NoCommand(part.to_owned()));
            }
            if out.iter().any(|(there, _)| *there == name) {
                return Err(MixError::Twice { part: part.to_owned(), name });
            }
            out.push((name, weight));
        }
        if out.is_empty() { Err(MixError::Empty) } else { Ok(Self(out)) }
    }

    /// The weight of a command, if it is named; without any names there is none.
    pub fn weight(&self, key_text: &str) -> Option<u32> {
        self.0.iter().find(|(name, _)| name == key_text).map(|(_, weight)| *weight)
    }
}

/// The order in which weighted things take turns: each as often as its weight says, spread as evenly as can be.
/// Weights with a sum above [`SEQUENCE_MAX`] are scaled down, to 1 at least.
pub fn sequence(weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    let scaled = |weight: u32| {
        if sum <= SEQUENCE_MAX { i64::from(weight) } else { (u64::from(weight) * SEQUENCE_MAX / sum).max(1) as i64 }
    };
    let weights: Vec<i64> = weights.iter().map(|&weight| scaled(weight)).collect();
    let total: i64 = weights.iter().sum();
    if weights.iter().all(|weight| *weight == 1) {
        return (0..weights.len() as u32).collect();
    }
    let mut credit = vec![0_i64; weights.len()];
    let mut out = Vec::with_capacity(total as usize);
    for _ in 0..total {
        credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
        // The first of those with most credit.
        let Some(turn) = (0..credit.len()).rev().max_by_key(|&index| credit[index]) else { break };
        credit[turn] -= total;
        out.push(turn as u32);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_weight_max_mixes() {
        let check = |text: &str, expected: Result<&[(&str, u32)], &str>| {
            let got = Mix::parse(text).map(|mix| mix.0).map_err(|error| error.to_string());
            let expected = expected.map(|all| all.iter().map(|&(name, weight)| (name.to_owned(), weight)).collect());
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        };
        check("108B=3,1081=1", Ok(&[("108B", 3), ("1081", 1)]));
        check("48_f0_e1, 0x10=1000", Ok(&[("48F0E1", 1), ("10", 1000)]));
        check("", Err("no command (write 108B=3,1081=1)"));
        check("10=0", Err("10=0: a weight is a whole number from 1 to 1000"));
        check("10=x", Err("10=x: a weight is a whole number from 1 to 1000"));
        check("=2", Err("=2: no command (write 108B=3,1081=1)"));
        check("10,10=2", Err("10=2: 10 is named twice"));
    }

    #[test]
    fn turns() {
        let check = |weights: &[u32], expected: &[u32]| assert_eq!(sequence(weights), expected, "{weights:?}");
        check(&[1, 1, 1], &[0, 1, 2]);
        check(&[3, 1], &[0, 0, 1, 0]);
        check(&[1, 2], &[1, 0, 1]);
        check(&[5], &[0, 0, 0, 0, 0]);
        check(&[], &[]);
    }

    #[test]
    fn limit_sequence_max_a_sequence_is_bounded() {
        let weights = vec![1000; 500];
        assert!(sequence(&weights).len() as u64 <= SEQUENCE_MAX);
    }
}
