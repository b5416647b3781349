//! One body for each fuzz target: total over any bytes, panics when a promise is broken.
//!
//! The checks come in twins, of which the first byte picks one, so that what the fuzzer learns
//! about a plan serves both.

mod auth;
mod file;
mod http;
mod page;
mod seal;
mod server;
mod sparse;

pub use auth::{auth, auth_seeds};
pub use file::{Mutate, file, file_bytes, file_key, file_seeds, mutate_file};
pub use http::{http, http_seeds};
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
    Body { name: "unsynced", run: unsynced },
    Body { name: "writers", run: writers },
    Body { name: "objects", run: objects },
    Body { name: "schema", run: schema },
    Body { name: "queries", run: queries },
    Body { name: "instances", run: instances },
    Body { name: "file_actions", run: file_actions },
    Body { name: "observers", run: observers },
    Body { name: "auth", run: auth },
    Body { name: "auth_users", run: auth_users },
    Body { name: "server", run: server },
    Body { name: "http", run: http },
];

fn twins(bytes: &[u8], plain: fn(&[u8]), encrypted: fn(&[u8])) {
    match bytes.split_first() {
        Some((first, plan)) if first % 2 == 0 => plain(plan),
        Some((_, plan)) => encrypted(plan),
        None => {}
    }
}

macro_rules! plans {
    ($($(#[$doc:meta])* $name:ident => $encrypted:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(bytes: &[u8]) {
            twins(bytes, check::$name, check::$encrypted);
        }
    )*};
}

plans! {
    /// The store does what its model does.
    store => store_encrypted;
    /// A crash lands on a commit, and an acknowledged commit survives.
    crash => crash_encrypted;
    /// A failing call fails what asked for it, and nothing else.
    io_errors => io_errors_encrypted;
    /// Damage is detected or harmless.
    damage => damage_encrypted;
    /// Who holds old copies of the file cannot mix them.
    adversary => adversary_encrypted;
    /// No key and nonce seal two contents.
    nonces => nonces_encrypted;
    /// A snapshot never changes, whatever is committed and reused.
    pins => pins_encrypted;
    /// Compaction and copies keep the content, also when they are interrupted.
    compaction => compaction_encrypted;
    /// Commits that need not be durable are lost from the end only.
    unsynced => unsynced_encrypted;
    /// Writers that share a sync lose nothing that was acknowledged, and keep their order.
    writers => writers_encrypted;
    /// Users, sessions and accounts are as their models say, whatever network, clocks and crashes
    /// do.
    auth_users => auth_users_encrypted;
    /// Objects, links and lists are as their model says, across crashes.
    objects => objects_encrypted;
    /// Classes change as their model says, also when a migration is interrupted.
    schema => schema_encrypted;
    /// A query answers the same whichever way it finds the objects.
    queries => queries_encrypted;
    /// Who has which file open is as the model says.
    instances => instances_encrypted;
    /// What is recorded to be done to a file is done once.
    file_actions => file_actions_encrypted;
    /// Observers are told what the commits changed, and nothing else.
    observers => observers_encrypted;
}
