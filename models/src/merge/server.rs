//! The server's part: which entries enter the history, and with which effective stamp.
//!
//! - MR6 An entry with a conflicting definition is refused before it has a seq.
//! - MR7 Effective stamps are clamped and increase strictly along knowledge.
//! - MR8 Submission is idempotent; gaps, unknown bases and used element ids are refused.
//! - MR9 An entry with a base below the horizon is refused.
//! - SY16 Everything that these rules forbid stays out of the history.
//!
//! Written from docs/sync.md#merge-rules, not from code.

use super::fold::State;
use super::mutant::Mutant;
use super::{Client, Kind, ListOperation, Operation, Schema, SyncEntry};
use std::collections::BTreeMap;

/// Five minutes: the most that a stamp may be ahead of the server's time.
pub const AHEAD_MAX: u64 = 5 * 60 * 1000;

/// Answer to an entry that is not refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The entry has this seq now.
    Sequenced(u64),
    /// The history contained the entry already.
    Acknowledged,
}

/// Reason of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refusal {
    /// An earlier entry of the client is missing.
    Gap,
    /// The base is below the horizon.
    Expired,
    /// The base is above the head or below the client's last one.
    Base,
    /// A definition conflicts with the schema.
    Schema,
    /// An element's number is not above its author's last one.
    Element,
    /// The user may not write.
    Forbidden,
}

/// Last entry of a client.
#[derive(Clone, Copy, Default)]
struct LastEntry {
    client_seq: u64,
    stamp: u64,
    base: u64,
}

/// The server of one history.
#[derive(Clone, Default)]
pub struct Server {
    /// The history from its beginning; the part up to the horizon is for the checks.
    pub history: Vec<SyncEntry>,
    state: State,
    last: BTreeMap<Client, LastEntry>,
    /// Greatest effective stamp up to each seq, from 0.
    greatest: Vec<u64>,
    elements: BTreeMap<Client, u64>,
    rejected: BTreeMap<(Client, u64), Refusal>,
    horizon: u64,
    mutant: Option<Mutant>,
}

impl Server {
    /// Makes an empty history; a mutant breaks one rule.
    #[must_use]
    pub fn new(mutant: Option<Mutant>) -> Self {
        let state = State::new(mutant);
        Self { state, greatest: vec![0], mutant, ..Self::default() }
    }

    /// Returns the last seq.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.history.len() as u64
    }

    /// Returns the horizon.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Returns the fold of the history, purged at the horizon.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the number of a client's last entry.
    #[must_use]
    pub fn last_client_seq(&self, client: Client) -> u64 {
        self.last.get(&client).map_or(0, |last| last.client_seq)
    }

    /// Returns why the content of an entry was refused.
    #[must_use]
    pub fn refusal(&self, client: Client, client_seq: u64) -> Option<Refusal> {
        self.rejected.get(&(client, client_seq)).copied()
    }

    /// Moves the horizon, never back nor beyond the head.
    pub fn purge(&mut self, horizon: u64) {
        self.horizon = horizon.clamp(self.horizon, self.head().max(self.horizon));
        self.state.purge(self.horizon);
    }

    /// Takes an entry at the server's time `now`.
    ///
    /// # Errors
    /// The reason for which the entry stays out of the history. A refusal of its content is final:
    /// it uses up the entry's number, and is repeated.
    pub fn submit(&mut self, entry: &SyncEntry, now: u64) -> Result<Answer, Refusal> {
        self.submit_as(entry, now, true)
    }

    /// Takes an entry of a user who may write, or may not.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_as(
        &mut self,
        entry: &SyncEntry,
        now: u64,
        may_write: bool,
    ) -> Result<Answer, Refusal> {
        let last = self.last.get(&entry.client).copied().unwrap_or_default();
        let is_broken = |mutant| self.mutant == Some(mutant);
        if entry.client_seq <= last.client_seq && !is_broken(Mutant::NoDuplicateCheck) {
            let rejected = self.rejected.get(&(entry.client, entry.client_seq));
            return rejected.map_or(Ok(Answer::Acknowledged), |refusal| Err(*refusal));
        }
        if entry.client_seq > last.client_seq + 1 && !is_broken(Mutant::NoGapCheck) {
            return Err(Refusal::Gap);
        }
        if entry.base > self.head() || entry.base < last.base {
            return Err(Refusal::Base);
        }
        if entry.base < self.horizon && !is_broken(Mutant::NoBaseCheck) {
            return Err(Refusal::Expired);
        }
        let checked = if may_write { self.check_content(entry) } else { Err(Refusal::Forbidden) };
        match checked {
            Ok(elements) => self.elements = elements,
            Err(refusal) => {
                self.last.entry(entry.client).or_default().client_seq = entry.client_seq;
                self.rejected.insert((entry.client, entry.client_seq), refusal);
                return Err(refusal);
            }
        }
        Ok(Answer::Sequenced(self.append(entry, now)))
    }

    /// Checks definitions and element ids; returns the authors' last elements after the entry.
    fn check_content(&self, entry: &SyncEntry) -> Result<BTreeMap<Client, u64>, Refusal> {
        if self.conflicts(entry) && self.mutant != Some(Mutant::SchemaConflict) {
            return Err(Refusal::Schema);
        }
        let mut elements = self.elements.clone();
        for operation in &entry.operations {
            if let Operation::List(_, _, ListOperation::Insert(element, ..)) = operation {
                let last = elements.entry(element.author).or_default();
                if element.number <= *last && self.mutant != Some(Mutant::NoDuplicateCheck) {
                    return Err(Refusal::Element);
                }
                *last = element.number;
            }
        }
        Ok(elements)
    }

    fn append(&mut self, entry: &SyncEntry, now: u64) -> u64 {
        let last = self.last.entry(entry.client).or_default();
        let base = usize::try_from(entry.base).unwrap_or(usize::MAX);
        let known = self.greatest.get(base).copied().unwrap_or_default().max(last.stamp);
        let ahead = if self.mutant == Some(Mutant::NoUpperClamp) { u64::MAX } else { AHEAD_MAX };
        let clamped = entry.stamp.min(now.saturating_add(ahead));
        let stamp = match self.mutant {
            Some(Mutant::NoLowerClamp) => clamped,
            _ => clamped.max(known.saturating_add(1)),
        };
        *last = LastEntry { client_seq: entry.client_seq, stamp, base: entry.base };
        let seq = self.history.len() as u64 + 1;
        let sequenced = SyncEntry { seq, stamp, ..entry.clone() };
        self.state.apply(&sequenced);
        self.history.push(sequenced);
        self.greatest.push(stamp.max(self.greatest.last().copied().unwrap_or_default()));
        seq
    }

    /// Whether a definition differs from the one in the schema or from an earlier one in the entry.
    fn conflicts(&self, entry: &SyncEntry) -> bool {
        let defines = |operation: &Operation| {
            matches!(operation, Operation::AddClass(..) | Operation::AddProperty(..))
        };
        if !entry.operations.iter().any(defines) {
            return false;
        }
        let mut schema: Schema = self.state.schema().clone();
        entry.operations.iter().any(|operation| match *operation {
            Operation::AddClass(class, definition) => {
                schema.entry(class).or_insert((definition, BTreeMap::new())).0 != definition
            }
            Operation::AddProperty(class, property, kind) => {
                let properties = schema.get_mut(&class).map(|(_, properties)| properties);
                let held: Option<Kind> =
                    properties.map(|properties| *properties.entry(property).or_insert(kind));
                held.is_some_and(|held| held != kind)
            }
            Operation::Create(_)
            | Operation::Delete(_)
            | Operation::Set(..)
            | Operation::Increment(..)
            | Operation::List(..) => false,
        })
    }
}
