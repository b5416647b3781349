//! Loads a sync server, which is a process of its own, over loopback, and prints what it measured.
//!
//!     cargo build --release --package fastness-cli
//!     cargo run --release --package fastness-server --example sync_load -- \
//!         target/release/fastness [PART..]
//!
//! | part | measures |
//! |---|---|
//! | `writers` | entries/s of 100 clients that wait for every answer: of one database, and of 100 |
//! | `latency` | time from a commit on one device to the observer on another one |
//! | `idle` | resident memory of the server with 1,000 idle clients |
//! | `first` | a first sync over TLS; and the same, killed half-way and started again |
//! | `offline` | memory of a device with many local writes, and the time to upload them |
//!
//! `FASTNESS_LOAD_SCALE` divides the sizes of the last two. benches/network/postgresql.sh measures
//! `PostgreSQL` with the rows of `writers`.

#![expect(clippy::print_stdout, reason = "the result goes to the terminal")]

mod devices;
mod host;
mod latency;
mod wire;
mod writers;

use host::Host;
use std::env;
use std::error::Error;
use std::path::PathBuf;

/// Result of a measurement.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Returns the percentile of times, which it sorts.
pub(crate) fn percentile(times: &mut [u64], part: f64) -> u64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = (last as f64 * part) as usize;
    times.get(at).copied().unwrap_or_default()
}

/// Returns the resident memory of a process, in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn main() -> Outcome<()> {
    let mut args = env::args().skip(1);
    let first = args.next().ok_or("the first argument is the path of the command fastness")?;
    if first == "device" {
        return devices::run(&args.collect::<Vec<_>>());
    }
    let (command, mut parts) = (PathBuf::from(first), args.collect::<Vec<_>>());
    if parts.is_empty() {
        parts = ["writers", "latency", "idle", "first", "offline"].map(str::to_owned).to_vec();
    }
    for part in &parts {
        match part.as_str() {
            "writers" => writers::measure(&Host::start(&command, false)?)?,
            "idle" => writers::measure_idle(&Host::start(&command, false)?)?,
            "latency" => latency::measure(&Host::start(&command, true)?)?,
            "first" => devices::measure_first(&Host::start(&command, true)?)?,
            "offline" => devices::measure_offline(&Host::start(&command, true)?)?,
            other => return Err(format!("no such part: {other}").into()),
        }
    }
    Ok(())
}
