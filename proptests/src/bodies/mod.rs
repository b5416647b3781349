//! One body for each fuzz target: total over any bytes, panics when a promise is broken.
//!
//! The checks come in twins, of which the first byte picks one, so that what the fuzzer learns
//! about a plan serves both.

mod auth;
mod file;
mod page;
mod seal;
mod server;
mod sparse;

pub use auth::{auth, auth_seeds};
pub use file::{Mutate, file, file_bytes, file_key, file_seeds, mutate_file};
pub use page::{page, page_seeds};
pub use seal::{seal, seal_seeds};
pub use server::{server, server_seeds};

use fastness_sim::check;

/// A fuzz target by name.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// Name of the target, and of its corpus in `fuzz/corpus/`.
    pub name: &'static str,
    /// What it runs.
    pub run: fn(&[u8]),
}

/// The bodies of all fuzz targets.
pub const BODIES: &[Body] = &[
    Body { name: "file", run: file },
    Body { name: "page", run: page },
    Body { name: "seal", run: seal },
    Body { name: "store", run: store },
    Body { name: "crash", run: crash },
    Body { name: "io_errors", run: io_errors },
    Body { name: "damage", run: damage },
    Body { name: "adversary", run: adversary },
    Body { name: "nonces", run: nonces },
    Body { name: "pins", run: pins },
    Body { name: "compaction", run: compaction },
    Body { name: "auth", run: auth },
    Body { name: "auth_users", run: auth_users },
    Body { name: "server", run: server },
];

fn twins(bytes: &[u8], plain: fn(&[u8]), encrypted: fn(&[u8])) {
    match bytes.split_first() {
        Some((first, plan)) if first % 2 == 0 => plain(plan),
        Some((_, plan)) => encrypted(plan),
        None => {}
    }
}

/// The store does what its model does.
pub fn store(bytes: &[u8]) {
    twins(bytes, check::store, check::store_encrypted);
}

/// A crash lands on a commit, and an acknowledged commit survives.
pub fn crash(bytes: &[u8]) {
    twins(bytes, check::crash, check::crash_encrypted);
}

/// A failing call fails what asked for it, and nothing else.
pub fn io_errors(bytes: &[u8]) {
    twins(bytes, check::io_errors, check::io_errors_encrypted);
}

/// Damage is detected or harmless.
pub fn damage(bytes: &[u8]) {
    twins(bytes, check::damage, check::damage_encrypted);
}

/// Who holds old copies of the file cannot mix them.
pub fn adversary(bytes: &[u8]) {
    twins(bytes, check::adversary, check::adversary_encrypted);
}

/// No key and nonce seal two contents.
pub fn nonces(bytes: &[u8]) {
    twins(bytes, check::nonces, check::nonces_encrypted);
}

/// A snapshot never changes, whatever is committed and reused.
pub fn pins(bytes: &[u8]) {
    twins(bytes, check::pins, check::pins_encrypted);
}

/// Compaction and copies keep the content, also when they are interrupted.
pub fn compaction(bytes: &[u8]) {
    twins(bytes, check::compaction, check::compaction_encrypted);
}

/// Users, sessions and accounts are as their models say, whatever network, clocks and crashes do.
pub fn auth_users(bytes: &[u8]) {
    twins(bytes, check::auth_users, check::auth_users_encrypted);
}
