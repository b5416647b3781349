//! The bodies of the fuzz targets: total functions of any bytes that panic on a violated promise.
//!
//! The inputs of checks are plans, in the bytes of a [`PlanInput`].

mod auth;
mod counted;
mod entry;
mod file;
mod frame;
mod hostile;
mod http;
mod object_file;
mod page;
mod plan;
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
pub use plan::PlanInput;
pub use seal::{seal, seal_seeds};
pub use server::{server, server_seeds};
pub use session::{session, session_seeds};
pub use snapshot::{snapshot, snapshot_seeds};
pub use sparse::file_key;

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
    Body { name: "sync_resets", run: sync_resets },
    Body { name: "auth", run: auth },
    Body { name: "auth_users", run: auth_users },
    Body { name: "server", run: server },
    Body { name: "http", run: http },
    Body { name: "entry", run: entry },
    Body { name: "frame", run: frame },
    Body { name: "session", run: session },
    Body { name: "snapshot", run: snapshot },
];

macro_rules! plans {
    ($($(#[$doc:meta])* $name:ident => $check:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// With the violated promise.
        pub fn $name(bytes: &[u8]) {
            if let Some(input) = PlanInput::from_bytes(bytes) {
                input.run($check);
            }
        }
    )*};
}

plans! {
    /// The store agrees with its model.
    store => "store";
    /// A crash leaves a commit, and acknowledged commits survive.
    crash => "crash";
    /// A failing call fails its operation only.
    io_errors => "io-errors";
    /// Damage is detected or harmless.
    damage => "damage";
    /// Old copies of a file cannot be mixed.
    adversary => "adversary";
    /// No nonce seals two different pages.
    nonces => "nonces";
    /// A snapshot never changes, for any commits and page reuse.
    pins => "pins";
    /// Compaction and copies preserve the contents, also when interrupted.
    compaction => "compaction";
    /// Deferred commits are lost from the end only.
    unsynced => "unsynced";
    /// Writers that share a sync lose no acknowledged commit, and keep their order.
    writers => "writers";
    /// Users, sessions and accounts agree with their models, for any network, clocks and crashes.
    auth_users => "auth";
    /// Objects, links and lists agree with their model, across crashes.
    objects => "objects";
    /// Schema changes agree with their model, also when a migration is interrupted.
    schema => "schema";
    /// Every query plan gives the same answer.
    queries => "queries";
    /// Open files agree with the model.
    instances => "instances";
    /// A recorded file action is carried out once.
    file_actions => "file-actions";
    /// Observers receive exactly the changes of commits.
    observers => "observers";
    /// A copy kept from operations equals the original.
    mirror => "mirror";
    /// Memory and the length of the file stay within their bounds.
    bounds => "bounds";
    /// Others that act during a long operation see and leave one commit after another.
    interleaved => "interleaved";
    /// Entries of clients that write at once merge as in the model.
    sync_merge => "merge";
    /// Replicas agree with their models, for any network, clocks and crashes.
    sync_replicas => "sync";
    /// Clients and a server agree with their models, whatever becomes of connections and frames.
    sync_sessions => "sessions";
    /// Client resets keep what apps wrote, whatever interrupts them.
    sync_resets => "reset";
}
