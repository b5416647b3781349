//! The rules of a client reset against their model: every behaviour of a small domain, cut at every
//! place, and random entries.
//!
//! - SY12 A reset reports one outcome for each operation; applied ones are in the new entries.

use crate::merge::{EFFORT, author, compare, operation, typed};
use fastness_models::merge::behaviours::letters::{FOUNDER, INSERTS, LETTERS, MOVES};
use fastness_models::merge::behaviours::{Space, garbage};
use fastness_models::merge::fold::State;
use fastness_models::merge::recover::{Recovered, Reset as ModelReset, ResetMutant};
use fastness_models::merge::{PENDING, SyncEntry};
use fastness_sync::merge::{Memory, apply};
use fastness_sync::outcome::Outcome;
use fastness_sync::reset::{CreatedObjects, Reset};
use std::collections::BTreeSet;

/// The orders in which clients return; a client that returns twice has a copied file.
const ORDERS: [&[u32]; 3] = [&[FOUNDER, 1, 2, 3], &[3, 2, 1, FOUNDER], &[2, 1, 2, 3, 1]];

/// A state in the core and in the model.
#[derive(Clone)]
struct Pair {
    core: Memory,
    model: State,
}

impl Pair {
    fn new() -> Self {
        Self { core: Memory::default(), model: State::new(None) }
    }

    fn apply(&mut self, entry: &SyncEntry) {
        self.model.apply(entry);
        for of in &entry.operations {
            let Ok(_) = apply(&mut self.core, &author(entry), operation(of));
        }
    }

    fn of<'a>(history: impl IntoIterator<Item = &'a SyncEntry>) -> Self {
        let mut pair = Self::new();
        history.into_iter().for_each(|entry| pair.apply(entry));
        pair
    }
}

/// A server that lost the end of its history, and its clients.
struct Restore<'a> {
    history: &'a [SyncEntry],
    /// Number of entries that are left.
    cut: usize,
    /// Whether clients have downloaded all entries, and not only what they have written upon.
    has_all: bool,
    /// Whether states forget what is not needed any more.
    purges: bool,
    mutant: Option<ResetMutant>,
}

const fn recovered(outcome: Recovered) -> &'static str {
    match outcome {
        Recovered::Applied => "applied",
        Recovered::Adjusted => "adjusted",
        Recovered::NoOperation => "no operation",
        Recovered::Conflict => "conflict",
        Recovered::Deleted => "deleted",
        Recovered::Schema => "schema",
    }
}

impl Restore<'_> {
    /// All clients return in an order.
    fn run(&self, order: &[u32], seen: &mut BTreeSet<&'static str>) -> Result<(), String> {
        let mut history = self.history[..self.cut].to_vec();
        for (identity, client) in (10..).zip(order) {
            let entries = self.reset(*client, (identity, &history), seen)?;
            history.extend(entries);
        }
        Ok(())
    }

    /// Resets a client onto a history; returns its new entries, each with a seq.
    fn reset(
        &self,
        client: u32,
        (identity, history): (u32, &[SyncEntry]),
        seen: &mut BTreeSet<&'static str>,
    ) -> Result<Vec<SyncEntry>, String> {
        let own = |entry: &&SyncEntry| entry.client == client;
        let last_base = self.history.iter().filter(own).map(|entry| entry.base).max();
        let cursor = if self.has_all { u64::MAX } else { last_base.unwrap_or_default() };
        let canonical = Pair::of(self.history.iter().filter(|entry| entry.seq <= cursor));
        let mut working = canonical.clone();
        for entry in self.history.iter().filter(own).filter(|entry| entry.seq > cursor) {
            working.apply(&SyncEntry { seq: PENDING, ..entry.clone() });
        }
        let mut fresh = Pair::of(history);
        let head = history.len() as u64;
        if self.purges {
            fresh.core.purge(head);
            fresh.model.purge(head);
        }
        let mut resets = Resets {
            core: Reset {
                fresh: fresh.core,
                canonical: &canonical.core,
                working: &working.core,
                created: CreatedObjects::default(),
            },
            model: ModelReset {
                fresh: fresh.model,
                canonical: &canonical.model,
                working: &working.model,
                created: BTreeSet::new(),
                mutant: self.mutant,
            },
        };
        let mut stamp = history.iter().chain(self.history).map(|entry| entry.stamp).max();
        let mut written = Vec::new();
        for old in self.history[self.cut..].iter().filter(own) {
            stamp = stamp.map(|stamp| stamp + 1);
            let mut new = SyncEntry {
                seq: PENDING,
                client: identity,
                client_seq: written.len() as u64 + 1,
                base: head,
                stamp: stamp.unwrap_or_default(),
                operations: Vec::new(),
            };
            resets.recover(old, &mut new, seen)?;
            new.seq = head + written.len() as u64 + 1;
            if !new.operations.is_empty() {
                written.push(new);
            }
        }
        if self.mutant.is_none() {
            compare(&resets.core.fresh, &resets.model.fresh, self.purges);
        }
        Ok(written)
    }
}

/// A reset in the core and in the model.
struct Resets<'a> {
    core: Reset<'a, Memory, Memory, Memory>,
    model: ModelReset<'a>,
}

impl Resets<'_> {
    fn recover(
        &mut self,
        old: &SyncEntry,
        new: &mut SyncEntry,
        seen: &mut BTreeSet<&'static str>,
    ) -> Result<(), String> {
        let new_author = author(new);
        let expected = self.model.recover(old, new);
        let mut again = new.operations.iter();
        for (of, expected) in old.operations.iter().zip(expected) {
            let Ok((written, outcome)) =
                self.core.recover(&author(old), &new_author, operation(of));
            seen.insert(outcome.name());
            let is_written = matches!(expected, Recovered::Applied | Recovered::Adjusted);
            let same = if is_written { again.next() } else { None };
            if outcome.name() != recovered(expected) || written != same.map(operation) {
                let text = format!("{outcome:?} with {written:?}, not {expected:?} with {same:?}");
                return Err(format!("SY12: {of:?} is {text}"));
            }
            if let Outcome::Conflict(Some(writer)) = outcome {
                assert_ne!(writer.client, new.client, "SY12: in conflict with itself");
            }
        }
        Ok(())
    }
}

/// Cuts a history at every place.
fn run(
    history: &[SyncEntry],
    mutant: Option<ResetMutant>,
    seen: &mut BTreeSet<&'static str>,
) -> Result<(), String> {
    let history: Vec<SyncEntry> = history.iter().map(typed).collect();
    for cut in 0..history.len() {
        for (number, order) in ORDERS.iter().enumerate() {
            let (has_all, purges) = (number != 1, number == 2);
            let restore = Restore { history: &history, cut, has_all, purges, mutant };
            restore.run(order, seen)?;
        }
    }
    Ok(())
}

/// Runs a part of the enumeration and random entries; returns their number.
fn run_all(
    (mutant, sparse): (Option<ResetMutant>, u64),
    seen: &mut BTreeSet<&'static str>,
) -> Result<u64, String> {
    let mut count = 0;
    for seed in 1..=200 * *EFFORT / sparse {
        run(&garbage::run(seed, None).server.history, mutant, seen)?;
        count += 1;
    }
    for (steps, letters, stride) in
        [(2, MOVES, 3), (3, INSERTS, 31), (3, LETTERS, 30_011), (2, LETTERS, 23)]
    {
        let space = Space { steps, letters };
        let stride = usize::try_from((stride * sparse / *EFFORT).max(1)).unwrap();
        for index in (0..space.size()).step_by(stride) {
            if let (Some(behaviour), _) = space.run(index, None) {
                run(&behaviour.server.history, mutant, seen)
                    .map_err(|error| format!("{error} in {:#?}", behaviour.submitted))?;
                count += 1;
            }
        }
    }
    Ok(count)
}

#[test]
fn core_and_model_reset_alike() {
    let mut seen = BTreeSet::new();
    let count = run_all((None, 1), &mut seen).unwrap_or_else(|error| panic!("{error}"));
    println!("core and model agree on the resets of {count} histories");
    assert_eq!(seen.len(), 6, "{seen:?}");
}

#[test]
fn every_broken_rule_of_a_reset_is_found() {
    for mutant in ResetMutant::ALL {
        let result = run_all((Some(*mutant), 1), &mut BTreeSet::new());
        assert!(result.is_err(), "{mutant:?} is not found");
    }
}
