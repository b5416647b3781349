//! Interleavings of everything in core that locks, counts or pins, and of the waits of synced
//! files.
//!
//! The concurrent modules of core and of the client are included as they are, beside a `conc` made
//! of loom's primitives: what is explored is the code that ships. Every model states how many
//! executions it must at least have explored, because one that explores nothing would pass.
//!
//! Plain `cargo test` explores at a small preemption bound; `LOOM_MAX_PREEMPTIONS=6` explores more.

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

mod conc;
mod explore;
mod marks;

#[path = "../../core/src/codec.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod codec;
#[path = "../../core/src/fault/catalogue.rs"]
#[expect(dead_code, unreachable_pub, reason = "core's; nothing is planted here")]
mod fault;
#[path = "../../core/src/sorted.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod sorted;
#[path = "../../core/src/space/mod.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod space;
#[path = "../../core/src/unit.rs"]
#[expect(dead_code, unreachable_pub, reason = "core's; the models use a part")]
mod unit;
#[path = "../../core/src/vfs/mod.rs"]
#[expect(dead_code, unreachable_pub, unused_imports, reason = "core's; the models use a part")]
mod vfs;

#[path = "../../client/src/sync/marks.rs"]
#[expect(dead_code, reason = "the client's; the models use a part")]
mod client_marks;
#[path = "../../client/src/sync/watched.rs"]
#[expect(dead_code, reason = "the client's; the models use a part")]
mod client_watched;
#[path = "../../core/src/txn/group_commit.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod core_group_commit;
#[path = "../../core/src/txn/pins.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod core_pins;
#[path = "../../core/src/object/queues.rs"]
mod core_queues;
#[path = "../../core/src/object/signal.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod core_signal;
#[path = "../../core/src/txn/writer_lock.rs"]
#[expect(dead_code, reason = "core's; the models use a part")]
mod core_writer_lock;
#[path = "../../core/src/txn/wait_graph.rs"]
mod wait_graph;

/// Core's table of handles, without the opening of files.
#[path = "."]
mod core_instance {
    #[path = "../../core/src/instance/handle_table.rs"]
    #[expect(dead_code, reason = "core's; the models use a part")]
    pub(crate) mod handle_table;
    #[path = "../../core/src/instance/holder.rs"]
    #[expect(unreachable_pub, reason = "core's; the models use a part")]
    pub(crate) mod holder;
    #[path = "../../core/src/instance/pending.rs"]
    #[expect(dead_code, reason = "core's; the models use a part")]
    pub(crate) mod pending;
}

mod group_commit;
mod instances;
mod merges;
mod observers;
mod pins;
mod signals;
mod two_openers;
mod writer_lock;
