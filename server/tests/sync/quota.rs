//! Quotas of a user.

use super::support::{SyncUser, entry};
use crate::login::support::Host;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

#[test]
fn a_client_beyond_the_bytes_of_the_owner_gets_all_downloads_and_then_the_reason() {
    let host = Host::with(|config| config.sync.user_bytes_max = Some(1 << 20));
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let text = "x".repeat(100_000);
    let mut sent = 0;
    let outcome = loop {
        sent += 1;
        assert!(sent < 20, "H36: no limit");
        wire.upload(1, &[entry(sent, &text)]);
        let line = wire.line();
        if line.starts_with("ERROR") {
            break line;
        }
        assert_eq!(line, format!("ACK {sent}"));
        assert!(wire.line().starts_with("DOWNLOAD"));
    };
    assert_eq!(outcome, "ERROR 237 of 1", "H36");
    let head = sent - 1;
    assert!(head > 3, "H36: the limit is 1 MiB");
    // Another client has nothing yet, and uploads at once.
    let mut other = user.connect(&host);
    other.begin(1, "/~/notes");
    other.upload(1, &[entry(1, "b")]);
    assert_eq!(other.line(), format!("RESUMED head {head} last 0"));
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.starts_with("ERROR")) {
        lines.push(other.line());
    }
    assert_eq!(lines.pop().unwrap(), "ERROR 237 of 1", "H36");
    let last = lines.last().unwrap();
    assert!(last.contains(&format!(" to {head},")), "H36: all downloads came before: {lines:?}");
    // Databases of others are not concerned.
    let bob = SyncUser::register(&host, "bob");
    let mut wire = bob.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    wire.upload(1, &[entry(1, "c")]);
    assert_eq!(wire.line(), "ACK 1", "H36");
}

#[test]
fn a_user_beyond_its_rate_is_served_later() {
    const RATE: u64 = 30_000;
    let host = Host::with(|config| config.sync.upload_rate = Some(RATE));
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let begun = Instant::now();
    for client_seq in 1..=8 {
        let text: String = (0..60_000_u32).map(|at| char::from(noise(at, client_seq))).collect();
        wire.upload(1, &[entry(client_seq.into(), &text)]);
    }
    while wire.line() != "ACK 8" {}
    let metrics = host.get("/metrics");
    let name = "
fastness_sync_received_bytes_total ";
    let (_, bytes) = metrics.split_once(name).unwrap();
    let bytes: u64 = bytes.lines().next().unwrap().parse().unwrap();
    // Ten seconds are free, and the last frame is read before it counts.
    let least = Duration::from_secs_f64((bytes * 7 / 8 - 2000) as f64 / RATE as f64);
    let least = least.checked_sub(Duration::from_secs(10)).unwrap();
    assert!(begun.elapsed() >= least, "H36: {bytes} bytes in {:?}", begun.elapsed());
}

/// A letter that is hard to compress.
fn noise(at: u32, client_seq: u32) -> u8 {
    let mut hasher = DefaultHasher::new();
    (at, client_seq).hash(&mut hasher);
    b'0' + u8::try_from(hasher.finish() >> 58).unwrap()
}
