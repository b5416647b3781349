//! Stop conditions of a campaign.

use std::time::Duration;

/// Stop conditions.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No plan starts after this time, unless marks were never hit.
    pub run: Duration,
    /// Further time, only for pairs with marks that were never hit.
    pub grace: Duration,
    /// Plans of each check and twin, over all shards; `None` for no limit.
    pub plans: Option<u64>,
    /// A plan that runs longer counts as hanging.
    pub hang: Duration,
    /// Time limit for shrinking one finding.
    pub shrink: Duration,
    /// Whether the first finding ends the run.
    pub stop_at_first: bool,
}

impl Limits {
    /// Returns the limits of a campaign of this length.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self {
            run: Duration::from_secs(seconds),
            grace: Duration::ZERO,
            plans: None,
            hang: Duration::from_secs(60),
            shrink: Duration::from_secs(15),
            stop_at_first: false,
        }
    }
}
