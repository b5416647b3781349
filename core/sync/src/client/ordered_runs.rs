//! Own entries that were ordered while later ones were pending: pre-images of the later ones may
//! name them by their numbers.
//!
//! Runs of entries in a row with seqs in a row are one record each. An entry that is written after
//! another one was ordered names it by its seq. So a run is dropped once all entries that were
//! pending when it was ordered have their places too.
//!
//! - SY20 Undo replaces each number in a pre-image by the seq that its entry has now.
//!
//! Format: docs/sync.md#client-file.

use super::layout::{ORDERED, number_key, read_number};
use crate::fault;
use fastness::Error;
use fastness::table::{SideEntry, SideKey, Tables};

/// Own entries in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderedRun {
    /// Numbers of the first entry and of the last one.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Seq of the first.
    pub(super) seq: u64,
    /// Number of the last entry of the file when they were ordered.
    pub(super) newest: u64,
}

impl OrderedRun {
    fn read((key, value): &SideEntry) -> Option<Self> {
        if value.len() == 8 {
            // An earlier version wrote each entry with its seq alone.
            let (first, seq) = (read_number(key)?, read_number(value)?);
            return Some(Self { first, last: first, seq, newest: u64::MAX });
        }
        let (last, rest) = value.split_first_chunk::<8>()?;
        let (seq, newest) = rest.split_first_chunk::<8>()?;
        let run = Self {
            first: read_number(key)?,
            last: u64::from_be_bytes(*last),
            seq: u64::from_be_bytes(*seq),
            newest: read_number(newest)?,
        };
        (run.first <= run.last).then_some(run)
    }

    fn encode(self) -> Vec<u8> {
        [self.last, self.seq, self.newest].map(number_key).concat()
    }

    fn put(self, tables: &mut Tables) -> Result<(), Error> {
        let mut tree = tables.txn_mut().tree(ORDERED)?;
        tree.insert(&number_key(self.first), &self.encode()).map(drop)
    }

    /// Returns the seq that an entry from the first one on has, if it belongs to the run.
    const fn seq_of(self, client_seq: u64) -> Option<u64> {
        self.seq.checked_add(client_seq - self.first)
    }

    /// Tells whether another run follows without a gap.
    fn continues(self, next: Self) -> bool {
        self.newest == next.newest
            && self.last.checked_add(1) == Some(next.first)
            && self.seq_of(next.first) == Some(next.seq)
    }
}

/// The runs of a file, which its pre-images name.
pub(super) struct OrderedRuns(Vec<OrderedRun>);

impl OrderedRuns {
    /// Takes the runs of a file, whose entries are all undone.
    pub(super) fn take(tables: &mut Tables) -> Result<Self, Error> {
        let runs = Self::read(tables)?;
        if !runs.0.is_empty() {
            clear_ordered(tables)?;
        }
        Ok(runs)
    }

    /// Reads the runs of a file.
    pub(super) fn read(tables: &mut Tables) -> Result<Self, Error> {
        let mut runs = Vec::new();
        tables.side_each(SideKey { tree: ORDERED, key: &[] }, &mut |tables, key, value| {
            let run = OrderedRun::read(&(key.to_vec(), value.to_vec()));
            runs.push(run.ok_or_else(|| tables.damaged())?);
            Ok(())
        })?;
        Ok(Self(runs))
    }

    /// Returns the seq of an entry by its number; none if it is pending.
    pub(super) fn seq_of(&self, client_seq: u64) -> Option<u64> {
        let after = self.0.partition_point(|run| run.first <= client_seq);
        let run = self.0.get(after.checked_sub(1)?)?;
        if client_seq <= run.last { run.seq_of(client_seq) } else { None }
    }
}

/// Forgets all runs: no pre-image is left.
pub(super) fn clear_ordered(tables: &mut Tables) -> Result<(), Error> {
    tables.txn_mut().tree(ORDERED)?.clear()
}

/// Notes an entry that was ordered, which is a run of one. `oldest` is the number of the oldest
/// pending entry.
pub(super) fn note_ordered(tables: &mut Tables, run: OrderedRun, oldest: u64) -> Result<(), Error> {
    if let Some(last) = tables.side_last(ORDERED)? {
        let last = OrderedRun::read(&last).ok_or_else(|| tables.damaged())?;
        if last.continues(run) {
            return OrderedRun { last: run.last, ..last }.put(tables);
        }
    }
    run.put(tables)?;
    while let Some(first) = tables.side_next(SideKey { tree: ORDERED, key: &[] }, &[])? {
        let first = OrderedRun::read(&first).ok_or_else(|| tables.damaged())?;
        if first.newest >= oldest && !fault::planted("NR-61") {
            break;
        }
        tables.txn_mut().tree(ORDERED)?.remove(&number_key(first.first))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_survive_their_bytes_and_name_each_entry() {
        let run = OrderedRun { first: 3, last: 5, seq: 70, newest: 9 };
        let stored = (number_key(3).to_vec(), run.encode());
        assert_eq!(OrderedRun::read(&stored), Some(run));
        assert_eq!(OrderedRun::read(&(number_key(6).to_vec(), run.encode())), None, "6 to 5");
        assert_eq!(OrderedRun::read(&(stored.0, run.encode()[1..].to_vec())), None);
        let later = OrderedRun { first: 8, last: 8, seq: 80, newest: 9 };
        let runs = OrderedRuns(vec![run, later]);
        let seqs = [2, 3, 5, 6, 8, 9].map(|number| runs.seq_of(number));
        assert_eq!(seqs, [None, Some(70), Some(72), None, Some(80), None]);
        let next = |first, seq, newest| OrderedRun { first, last: first, seq, newest };
        assert!(run.continues(next(6, 73, 9)));
        for other in [next(7, 74, 9), next(6, 74, 9), next(6, 73, 10)] {
            assert!(!run.continues(other), "{other:?}");
        }
    }
}
