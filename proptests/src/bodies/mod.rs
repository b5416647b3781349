//! The bodies of the fuzz targets: total functions of any bytes that panic on a violated promise.
//!
//! For a check, the first byte selects the twin, so that both twins share one corpus.

mod auth;
mod counted;
mod entry;
mod file;
mod frame;
mod hostile;
mod http;
mod object_file;
mod page;
mod seal;
mod server;
mod session;
mod snapshot;
mod sparse;

pub use auth::{auth, auth_seeds};
pub use entry::{entry, entry_seeds};
pub use file::{Mutate, file, file_bytes, file_seeds, mutate_file};
pub use frame::{frame, frame_seeds};
pub use http::{http, http_seeds};
pub use object_file::{object_file, object_file_seeds};
pub use page::{page, page_seeds};
pub use seal::{seal, seal_seeds};
pub use server::{server, server_seeds};
pub use session::{session, session_seeds};
pub use snapshot::{snapshot, snapshot_seeds};
pub use sparse::file_key;

use fastness_sim::check;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// Name of the target, and of its corpus in `fuzz/corpus/`.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
}

/// All fuzz targets.
pub const BODIES: &[Body] = &[
    Body { name: "file", run: file },
    Body { name: "object_file", run: object_file },
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
    Body { name: "mirror", run: mirror },
    Body { name: "bounds", run: bounds },
    Body { name: "interleaved", run: interleaved },
    Body { name: "sync_merge", run: sync_merge },
    Body { name: "sync_replicas", run: sync_replicas },
    Body { name: "sync_sessions", run: sync_sessions },
    Body { name: "auth", run: auth },
    Body { name: "auth_users", run: auth_users },
    Body { name: "server", run: server },
    Body { name: "http", run: http },
    Body { name: "entry", run: entry },
    Body { name: "frame", run: frame },
    Body { name: "session", run: session },
    Body { name: "snapshot", run: snapshot },
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
    /// The store agrees with its model.
    store => store_encrypted;
    /// A crash leaves a commit, and acknowledged commits survive.
    crash => crash_encrypted;
    /// A failing call fails its operation only.
    io_errors => io_errors_encrypted;
    /// Damage is detected or harmless.
    damage => damage_encrypted;
    /// Old copies of a file cannot be mixed.
    adversary => adversary_encrypted;
    /// No nonce seals two different pages.
    nonces => nonces_encrypted;
    /// A snapshot never changes, for any commits and page reuse.
    pins => pins_encrypted;
    /// Compaction and copies preserve the contents, also when interrupted.
    compaction => compaction_encrypted;
    /// Deferred commits are lost from the end only.
    unsynced => unsynced_encrypted;
    /// Writers that share a sync lose no acknowledged commit, and keep their order.
    writers => writers_encrypted;
    /// Users, sessions and accounts agree with their models, for any network, clocks and crashes.
    auth_users => auth_users_encrypted;
    /// Objects, links and lists agree with their model, across crashes.
    objects => objects_encrypted;
    /// Schema changes agree with their model, also when a migration is interrupted.
    schema => schema_encrypted;
    /// Every query plan gives the same answer.
    queries => queries_encrypted;
    /// Open files agree with the model.
    instances => instances_encrypted;
    /// A recorded file action is carried out once.
    file_actions => file_actions_encrypted;
    /// Observers receive exactly the changes of commits.
    observers => observers_encrypted;
    /// A copy kept from operations equals the original.
    mirror => mirror_encrypted;
    /// Memory and the length of the file stay within their bounds.
    bounds => bounds_encrypted;
    /// Others that act during a long operation see and leave one commit after another.
    interleaved => interleaved_encrypted;
    /// Entries of clients that write at once merge as in the model.
    sync_merge => sync_merge_encrypted;
    /// Replicas agree with their models, for any network, clocks and crashes.
    sync_replicas => sync_replicas_encrypted;
    /// Clients and a server agree with their models, whatever becomes of connections and frames.
    sync_sessions => sync_sessions_encrypted;
}
