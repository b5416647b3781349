//! Engines, sizes and settings of a round.

use crate::bench::Clock;
use crate::engine::Engine;
use crate::selection::Selection;
use std::path::Path;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Rows loaded.
    pub(crate) rows: usize,
    /// Durable single-row commits of each engine.
    pub(crate) commits: usize,
    /// Those of each engine on an aged file whose slowest are of interest.
    pub(crate) latencies: usize,
    /// Into how many turns of each engine they are cut.
    pub(crate) turns: usize,
    /// Rows updated in transactions of a hundred.
    pub(crate) updates: usize,
    /// Rows updated to age a file.
    pub(crate) ageing: usize,
    /// Commits without durability.
    pub(crate) unsynced: usize,
    /// The usual cache.
    pub(crate) cache_bytes: usize,
    /// The small one.
    pub(crate) small_cache_bytes: usize,
}

/// Engines and settings of a round.
pub(crate) struct World<'a> {
    /// The engines.
    pub(crate) engines: &'a [&'a dyn Engine],
    /// How much of everything.
    pub(crate) sizes: Sizes,
    /// Which workloads run.
    pub(crate) selection: &'a Selection,
    /// Where files go.
    pub(crate) dir: &'a Path,
    /// The clock of measurements that do not wait for the disk.
    pub(crate) clock: Clock,
}
