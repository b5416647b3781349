//! The cost of draining many pending entries, by counts of calls and bytes.
//!
//! - SY21 The acknowledgement of an own entry that keeps its stamp costs as much however many are
//!   pending.

use super::histories::{Client, Server};
use fastness_testkit::Counting;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Own entries in one download.
const AT_ONCE: usize = 1000;

/// Acknowledges pending entries of different objects; returns the bytes written for each, and the
/// pages read for a hundred.
fn drain(count: u32) -> [u64; 2] {
    let vfs = Counting::default();
    // The entries do not fit into memory.
    let store = vfs.options().cache_bytes(1 << 20).create("store").unwrap();
    let client = Client::of_file(store, Arc::new(AtomicU64::new(1000)));
    client.replica.identify(1, 7).unwrap();
    for key in 0..count {
        let mut txn = client.replica.database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", i64::from(key)).unwrap();
        txn.set(&node, "name", "offline").unwrap();
        txn.commit().unwrap();
    }
    let mut server = Server::new();
    let pending = client.replica.upload_after(0, usize::MAX).unwrap().entries;
    assert!(pending.len() >= usize::try_from(count).unwrap());
    pending.iter().for_each(|(_, entry)| server.submit(1, entry));
    let (mut written, mut read) = (0, 0);
    while client.replica.first_pending().unwrap().is_some() {
        read += vfs.pages_of(|| {
            let [_, _, bytes, _] = vfs.of(|| {
                server.with_download(1, (&client, AT_ONCE), |download| {
                    client.replica.download(download).unwrap();
                });
            });
            written += bytes;
        });
    }
    [written / u64::from(count), read / u64::from(count / 100)]
}

#[test]
fn an_acknowledgement_costs_as_much_however_many_entries_are_pending() {
    let [few, many] = [3000, 12_000].map(drain);
    assert!(many[0] <= few[0] * 3 / 2, "SY21: {many:?} after {few:?}");
    assert!(many[1] <= few[1] * 2 + 100, "SY21: {many:?} after {few:?}");
}
