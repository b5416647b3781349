//! The report of a reset: one outcome for each operation.

use crate::entry::{self, EntryError, Operation};
use crate::outcome::Outcome;
use std::collections::BTreeMap;
use std::fmt;

/// Cause of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server's history is another one, as after a restore of a backup.
    Diverged,
    /// The client needs entries below the horizon.
    Expired,
    /// The server does not know the client.
    UnknownClient,
    /// Another copy of the client's file has written.
    Cloned,
    /// The server's entries contradict each other.
    BadDownload,
}

impl Cause {
    /// Returns the cause of a code of the protocol.
    #[must_use]
    pub const fn of_code(code: u16) -> Option<Self> {
        Some(match code {
            112 => Self::BadDownload,
            208 => Self::UnknownClient,
            211 => Self::Diverged,
            222 => Self::Expired,
            235 => Self::Cloned,
            _ => return None,
        })
    }

    /// Returns the code of the protocol.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadDownload => 112,
            Self::UnknownClient => 208,
            Self::Diverged => 211,
            Self::Expired => 222,
            Self::Cloned => 235,
        }
    }
}

/// An entry that the server had refused, which the client learned from the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedRefusal {
    /// Its number among those of the client before the reset.
    pub client_seq: u64,
    /// Code of the protocol.
    pub code: u16,
    /// Index of the operation, if the refusal is about one.
    pub operation: Option<u32>,
}

/// An entry with the outcomes of its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReportedEntry {
    encoded: Box<[u8]>,
    outcomes: Box<[Outcome]>,
}

/// A report: every operation that a reset decided on, in order, with its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetReport {
    /// The cause.
    pub cause: Cause,
    /// The client's identity before the reset; author 0 of the operations is this client.
    pub client: u32,
    entries: Vec<ReportedEntry>,
    refused: Vec<ReportedRefusal>,
}

/// One operation of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reported<'a> {
    /// Number of its entry among those of the client before the reset.
    pub client_seq: u64,
    /// The operation as it was written first.
    pub operation: Operation<'a>,
    /// Its outcome.
    pub outcome: Outcome,
}

impl ResetReport {
    /// Begins a report.
    #[must_use]
    pub const fn new(cause: Cause, client: u32) -> Self {
        Self { cause, client, entries: Vec::new(), refused: Vec::new() }
    }

    /// Adds an entry as it was encoded first.
    ///
    /// # Errors
    /// [`EntryError`] if the bytes are no entry.
    ///
    /// # Panics
    /// SY12: if the entry has not one outcome for each operation.
    pub fn push(&mut self, encoded: &[u8], outcomes: Vec<Outcome>) -> Result<(), EntryError> {
        let count = entry::decode(encoded)?.operations.len();
        assert_eq!(count, outcomes.len(), "SY12: one outcome for each operation");
        let (encoded, outcomes) = (encoded.into(), outcomes.into());
        self.entries.push(ReportedEntry { encoded, outcomes });
        Ok(())
    }

    /// Adds an entry that had been refused.
    pub fn push_refused(&mut self, entry: ReportedRefusal) {
        self.refused.push(entry);
    }

    /// Returns the entries that the server had refused without the client's knowledge. They are
    /// among the client's dead letters, and none of their operations is among
    /// [`ResetReport::operations`].
    #[must_use]
    pub fn refused(&self) -> &[ReportedRefusal] {
        &self.refused
    }

    /// Returns the operations in order.
    ///
    /// # Panics
    /// Never: the entries were decoded before.
    pub fn operations(&self) -> impl Iterator<Item = Reported<'_>> {
        self.entries.iter().flat_map(|ReportedEntry { encoded, outcomes }| {
            let entry = entry::decode(encoded).expect("SY12: a report has entries only");
            let client_seq = entry.header.client_seq;
            let pairs = entry.operations.into_iter().zip(outcomes);
            pairs.map(move |(operation, outcome)| Reported {
                client_seq,
                operation,
                outcome: *outcome,
            })
        })
    }

    /// Returns the entries as they were encoded first, with the outcomes of their operations.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &[Outcome])> {
        self.entries.iter().map(|ReportedEntry { encoded, outcomes }| (&**encoded, &**outcomes))
    }

    /// Returns the number of operations by the name of their outcome.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for outcome in self.entries.iter().flat_map(|entry| &entry.outcomes) {
            *counts.entry(outcome.name()).or_default() += 1;
        }
        counts
    }
}

impl fmt::Display for ResetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.cause {
            Cause::Diverged => "the server's history is another one",
            Cause::Expired => "the client was away for too long",
            Cause::UnknownClient => "the server does not know the client",
            Cause::Cloned => "another copy of the file has written",
            Cause::BadDownload => "the server's entries contradict each other",
        };
        writeln!(f, "reset of client {}: {reason} (code {})", self.client, self.cause.code())?;
        for (name, count) in self.counts() {
            writeln!(f, "{count} {name}")?;
        }
        for ReportedRefusal { client_seq, code, .. } in &self.refused {
            writeln!(f, "entry {client_seq}: refused (code {code})")?;
        }
        self.operations().try_for_each(|reported| writeln!(f, "{reported}"))
    }
}

impl fmt::Display for Reported<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.client_seq, self.operation)?;
        write!(f, ": {}", self.outcome.name())?;
        match self.outcome {
            Outcome::Conflict(Some(writer)) | Outcome::Deleted(Some(writer)) => {
                write!(f, " with entry {} of client {}", writer.seq, writer.client)
            }
            Outcome::Applied
            | Outcome::Adjusted
            | Outcome::NoOperation
            | Outcome::Conflict(None)
            | Outcome::Deleted(None)
            | Outcome::Schema
            | Outcome::Discarded => Ok(()),
        }
    }
}
