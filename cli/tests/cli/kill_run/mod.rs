//! Real processes that are killed: `fastness serve`, four devices, and a proxy between them that
//! cuts, delays and truncates connections.
//!
//! The devices are this test binary again. Three times - before the server is replaced by a backup,
//! after its disk was full, and after another replacement - nothing is killed for a moment. All
//! devices then have the same state; nothing that was committed is missing; a counter has counted
//! every commit once; and the reported outcomes of what the devices write at that time explain the
//! state, so that every override is reported.
//!
//! The test runs for a few seconds; `FASTNESS_KILL_RUN_SECONDS` sets another time, and
//! `FASTNESS_KILL_RUN_SEED` the random numbers. docs/verification.md has the figures of a long run.

mod chaos;
mod check;
mod device;
mod namespaces;
mod proxy;
mod roles;

use chaos::Chaos;
use std::time::{Duration, Instant};

/// Length of the run without a variable.
const SECONDS: u64 = 4;

/// Random numbers of a seed.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below a bound (splitmix64).
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % bound
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn devices_and_a_server_that_are_killed_lose_nothing() {
    let seconds = number("FASTNESS_KILL_RUN_SECONDS").unwrap_or(SECONDS);
    let seed = number("FASTNESS_KILL_RUN_SEED").unwrap_or_else(|| std::process::id().into());
    println!("kill run: {seconds} s, FASTNESS_KILL_RUN_SEED={seed}");
    let mut chaos = Chaos::begin(seed);
    let (begun, length) = (Instant::now(), Duration::from_secs(seconds));
    for (part, milestone) in chaos::MILESTONES {
        while begun.elapsed() < length.mul_f64(part) {
            chaos.step();
        }
        chaos.reach(milestone);
    }
    println!("{}", chaos.end());
}

/// A process of the run; without a role this is no test.
#[test]
fn process() {
    if let Ok(role) = std::env::var(roles::ROLE) {
        roles::run(&role);
    }
}
