//! The plans of a campaign: pairs of check and twin, plan numbers, shards.
//!
//! - CA1 Plan `number` of a pair is a function of campaign seed, check, twin and number. So a seed
//!   gives the same plans for any number of jobs, and the shards `1/n` to `n/n` partition them.

use fastness_sim::check::{CANARY, CHECKS, Check, Plan, Twin};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// A check, run with or without encryption.
#[derive(Clone, Copy)]
pub struct Pair {
    /// The check.
    pub check: &'static Check,
    /// Plain or encrypted.
    pub twin: Twin,
}

impl Pair {
    /// Returns the argument of [`Check::plan`] for plan `number` of a campaign.
    #[must_use]
    pub fn plan_seed(&self, campaign_seed: u64, number: u64) -> u64 {
        let names = fnv(fnv(FNV_OFFSET, self.check.name.as_bytes()), self.twin.name().as_bytes());
        mix(mix(mix(campaign_seed) ^ names).wrapping_add(number))
    }

    /// Returns plan `number` of a campaign.
    #[must_use]
    pub fn plan(&self, campaign_seed: u64, number: u64) -> Plan {
        self.check.plan(self.plan_seed(campaign_seed, number))
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.check.name, self.twin.name())
    }
}

/// Returns every pair of `only`, or of all checks if `only` is empty.
///
/// The canary is included only by name, as a drill: it always ends with a finding.
#[must_use]
pub fn pairs(only: &[&'static Check]) -> Vec<Pair> {
    let chosen = |check: &&Check| only.iter().any(|chosen| chosen.name == check.name);
    let twins = |check: &'static Check| Twin::ALL.map(|twin| Pair { check, twin });
    if only.is_empty() {
        CHECKS.iter().flat_map(twins).collect()
    } else {
        CHECKS.iter().chain([&CANARY]).filter(chosen).flat_map(twins).collect()
    }
}

/// Returns the twin with this name.
#[must_use]
pub fn twin_by_name(name: &str) -> Option<Twin> {
    Twin::ALL.iter().copied().find(|twin| twin.name() == name)
}

/// Returns a random seed, short enough to read aloud.
#[must_use]
pub fn random_seed() -> u64 {
    RandomState::new().hash_one("seed") >> 32
}

/// Returns the seed of step `index` of a night.
#[must_use]
pub(crate) fn mixed_seed(seed: u64, index: u64) -> u64 {
    mix(mix(seed).wrapping_add(index))
}

/// One of `count` campaigns that partition the plans of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// All plans.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Returns the number of the `nth` plan of this shard: congruent to the index modulo the count.
    #[must_use]
    pub fn number(self, nth: u64) -> u64 {
        nth.wrapping_mul(self.count).wrapping_add(self.index % self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a shard; write i/n with i from 1 to n, like 2/4");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let index = index.parse().map_err(|_| wrong())?;
        let count = count.parse().map_err(|_| wrong())?;
        if count == 0 || index > count {
            return Err(wrong());
        }
        Ok(Self { index, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// Returns a short hash, for file names.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> String {
    format!("{:016x}", fnv(FNV_OFFSET, bytes))[..12].to_owned()
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of `SplitMix64`.
fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_out_every_plan_exactly_once() {
        let mut numbers: Vec<u64> = ["1/3", "2/3", "3/3"]
            .iter()
            .map(|text| text.parse::<Shard>().unwrap())
            .flat_map(|shard| (0..10).map(move |nth| shard.number(nth)))
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn malformed_shards_are_refused() {
        for text in ["", "1", "1/0", "3/2", "a/b", "-1/2", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_of_one_campaign_draw_different_plans() {
        let all = pairs(&[&CANARY]);
        let mut seeds: Vec<u64> = all.iter().map(|pair| pair.plan_seed(7, 0)).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all.len());
        assert_ne!(all[0].plan_seed(7, 0), all[0].plan_seed(8, 0));
    }
}
