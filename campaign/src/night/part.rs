//! The parts of a night, and which of them runs next.
//!
//! - CA14 Every part gets its share of the time: the part that is furthest behind runs next.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One kind of work of a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Every check, with plans from seeds.
    Checks,
    /// Every fuzz target, with libFuzzer.
    Fuzz,
    /// Every loom model, at rising bounds of preemptions.
    Loom,
    /// Planted faults, which the checks must catch.
    Faults,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Checks, Self::Fuzz, Self::Loom, Self::Faults];

    /// Returns the name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Fuzz => "fuzz",
            Self::Loom => "loom",
            Self::Faults => "faults",
        }
    }

    /// Returns the share of the time, relative to the other parts.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::Checks => 45,
            Self::Fuzz => 30,
            Self::Loom => 10,
            Self::Faults => 15,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let named = Self::ALL.into_iter().find(|part| part.name() == text);
        named.ok_or_else(|| format!("no such part; the parts are {}", names()))
    }
}

/// Returns the part that is furthest behind its share; `used` has the seconds of each part.
pub(crate) fn next_part(parts: &[Part], used: &BTreeMap<Part, f64>) -> Option<Part> {
    let share = |part: &Part| used.get(part).copied().unwrap_or(0.0) / f64::from(part.weight());
    parts.iter().copied().min_by(|one, other| share(one).total_cmp(&share(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_gets_its_share_of_the_time() {
        let mut used = BTreeMap::new();
        for step in 0..2000 {
            let part = next_part(&Part::ALL, &used).unwrap();
            *used.entry(part).or_default() += f64::from(step % 7 + 1);
        }
        let total: f64 = used.values().sum();
        for part in Part::ALL {
            let percent = used[&part] / total * 100.0;
            assert!((percent - f64::from(part.weight())).abs() < 1.0, "{part}: {percent}");
        }
    }
}
