//! The snapshots that a database gives out, by number, so that several clients share one and each
//! can continue after its connection broke.
//!
//! - SV8 A client that resets gets a snapshot that contains all entries of its user.

use super::error::ServerResult;
use super::replica::ServerReplica;
use super::snapshot::{SnapshotReader, SnapshotSlice};
use crate::fault;

/// Most entries of the history behind a snapshot that is still given to a new client.
const LAG_MAX: u64 = 1000;
/// Bytes that are measured in one step.
const MEASURED_BYTES: u64 = 4 << 20;

/// The snapshots of one database.
#[derive(Debug)]
pub struct SnapshotPool {
    snapshots_max: usize,
    last_number: u64,
    /// In the order of their numbers.
    open: Vec<(u64, SnapshotReader)>,
}

/// A part of a snapshot that a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct WantedPart<'w> {
    /// Number of the snapshot; 0 for a recent one.
    pub number: u64,
    /// Offset of the part.
    pub offset: u64,
    /// Most bytes of the part.
    pub bytes_max: usize,
    /// User of the client.
    pub user: &'w str,
}

/// A part of a snapshot of the pool.
#[derive(Debug)]
pub struct PooledPart<'p> {
    /// Number of the snapshot.
    pub number: u64,
    /// The snapshot, whose length is known.
    pub reader: &'p SnapshotReader,
    /// Offset of the part: 0 if it is of another snapshot than the one that was asked for.
    pub offset: u64,
    /// The part.
    pub slice: SnapshotSlice,
}

impl SnapshotPool {
    /// Begins without snapshots; at most so many are kept, at least one.
    #[must_use]
    pub const fn new(snapshots_max: usize) -> Self {
        Self { snapshots_max, last_number: 0, open: Vec::new() }
    }

    /// Numbers the snapshots from a random number on, so that a client that continues after a
    /// restart of the server never gets a part of another snapshot.
    #[must_use]
    pub const fn numbered_from(mut self, random: u64) -> Self {
        // Numbers never reach their end.
        self.last_number = random >> 1;
        self
    }

    /// Reads a part of a snapshot. Without a snapshot of that number, the part is the first of a
    /// recent one that contains all entries of the user: a client that resets writes those again
    /// that are missing (SV8).
    ///
    /// # Errors
    /// If the offset is behind the end of the snapshot; if the file cannot be read or is damaged.
    pub fn part(
        &mut self,
        replica: &ServerReplica,
        wanted: &WantedPart<'_>,
    ) -> ServerResult<PooledPart<'_>> {
        let WantedPart { number, offset, bytes_max, user } = *wanted;
        let found = self.open.iter().position(|(open, _)| *open == number);
        let (at, offset) = match found {
            Some(at) => (at, offset),
            None => (self.newest(replica, user)?, 0),
        };
        let (number, reader) = &mut self.open[at];
        while !reader.measure(MEASURED_BYTES)? {}
        let slice = reader.part(offset, bytes_max)?;
        Ok(PooledPart { number: *number, reader, offset, slice })
    }

    /// Drops all snapshots: their space in the file can be used again.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// Returns the index of a snapshot for a new client.
    fn newest(&mut self, replica: &ServerReplica, user: &str) -> ServerResult<usize> {
        let status = replica.status()?;
        let newest = self.open.last().and_then(|(_, reader)| reader.server().seq_of(status.epoch));
        let is_recent = |seq: &u64| *seq >= status.horizon && status.head - seq <= LAG_MAX;
        let is_recent = match newest.filter(is_recent) {
            Some(seq) => fault::planted("NR-03") || !replica.has_entries_of(user, seq)?,
            None => false,
        };
        if !is_recent {
            if self.open.len() >= self.snapshots_max.max(1) {
                self.open.remove(0);
            }
            self.last_number += 1;
            self.open.push((self.last_number, replica.snapshot()?));
        }
        Ok(self.open.len() - 1)
    }
}
