//! The oracle of client resets: what the model says that a client writes again and reports.
//!
//! - SY4, SY13 Every entry that a client wrote is in the history, refused, or in a report.
//! - SY12 A reset decides as the model does.

use super::oracle::{
    ClientKey, ClientModel, ClientPosition, Oracle, WrittenEntry, identity, violation,
};
use super::replica::OwnEntry;
use crate::check::definition::Violation;
use crate::check::promises::{SY1, SY12};
use fastness_models::merge::fold::State;
use fastness_models::merge::recover::{Recovered, Reset};
use fastness_models::merge::{Anchor, Element, ListOperation, Operation, PENDING, SyncEntry};
use fastness_sync::reset::{Cause, Reported, ResetReport};
use std::collections::BTreeSet;

/// A client after a reset.
pub(super) struct AfterReset<'a> {
    /// The new identity, and the snapshot.
    pub(super) position: ClientPosition,
    /// The entries of the new identity.
    pub(super) own: Vec<OwnEntry>,
    pub(super) report: &'a ResetReport,
    /// The file had dropped a part of its window before.
    pub(super) has_purged: bool,
    /// The seq up to which the client had forgotten its entries, because a backup has them.
    pub(super) durable_seq: u64,
}

/// The entries and outcomes of a reset, as they are compared.
struct Rewritten<'r, 'i> {
    identity: u32,
    base: u64,
    reported: &'i mut dyn Iterator<Item = Reported<'r>>,
    written: std::slice::Iter<'i, OwnEntry>,
    /// The file has dropped removed elements, which lead to the new anchor of another one.
    has_purged: bool,
}

impl Oracle {
    /// Compares a reset of a client, whose identity was `old`. `fresh` is the state of the snapshot
    /// in the model. Returns the number of entries that were lost.
    pub(super) fn reset(
        &mut self,
        old: ClientKey,
        (after, fresh): (&AfterReset<'_>, State),
    ) -> Result<usize, Violation> {
        let before = self.clients[&old].clone();
        let is_copy = after.report.cause == Cause::Cloned;
        let mut lost = self.lost((&before, old, is_copy), after.position)?;
        lost.retain(|(_, entry)| entry.seq == PENDING || entry.seq > after.durable_seq);
        let working = before.working();
        let canonical = &before.canonical;
        let created = BTreeSet::new();
        let mut reset = Reset { fresh, canonical, working: &working, created, mutant: None };
        let ClientPosition { client: new, epoch, cursor: base } = after.position;
        let reported = &mut after.report.operations();
        let has_purged = after.has_purged;
        let written = after.own.iter();
        let mut again = Rewritten { identity: identity(new), base, reported, written, has_purged };
        for (client, entry) in &lost {
            self.reset_entry(&mut reset, entry, &mut again)?;
            let client = self.clients.get_mut(client).expect("the client exists");
            client.written.get_mut(&entry.client_seq).expect("it was written").is_reported = true;
        }
        if again.reported.next().is_some() || again.written.next().is_some() {
            return violation(SY12.id, "more was written again or reported");
        }
        self.begin(new, (epoch, base))?;
        let model = self.clients.get_mut(&new).expect("it was inserted");
        model.earlier = before.earlier;
        model.earlier.push(old);
        after.own.iter().try_for_each(|own| self.wrote(new, own))?;
        Ok(lost.len())
    }

    /// Returns the entries of a client that the history of its new replica does not contain.
    fn lost(
        &self,
        (before, old, is_copy): (&ClientModel, ClientKey, bool),
        ClientPosition { epoch, cursor, .. }: ClientPosition,
    ) -> Result<Vec<(ClientKey, SyncEntry)>, Violation> {
        let server = &self.history_of(epoch).server;
        let end = usize::try_from(cursor).unwrap_or(usize::MAX);
        let Some(history) = server.history.get(..end) else {
            return violation(SY1.id, "a snapshot is ahead of the server");
        };
        let known: BTreeSet<(u32, u64)> =
            history.iter().map(|entry| (entry.client, entry.client_seq)).collect();
        let mut lost = Vec::new();
        for client in before.earlier.iter().chain([&old]) {
            let model = &self.clients[client];
            for (number, WrittenEntry { entry, is_reported }) in &model.written {
                // Another copy of the file has used the numbers of pending entries.
                let is_new = is_copy && *client == old && entry.seq == PENDING;
                let is_known = known.contains(&(identity(*client), *number)) && !is_new;
                if !is_known && !is_reported && !model.refused.contains(number) {
                    lost.push((*client, entry.clone()));
                }
            }
        }
        Ok(lost)
    }

    fn reset_entry(
        &mut self,
        reset: &mut Reset<'_>,
        entry: &SyncEntry,
        rewritten: &mut Rewritten<'_, '_>,
    ) -> Result<(), Violation> {
        let identity = rewritten.identity;
        let mut again = SyncEntry {
            seq: PENDING,
            client: identity,
            client_seq: 0,
            base: rewritten.base,
            stamp: PENDING,
            operations: Vec::new(),
        };
        let described = |text: String| {
            let number = (entry.client, entry.client_seq);
            violation(SY12.id, format!("entry {number:?} of client {identity}: {text}"))
        };
        let mut shown = Vec::new();
        for operation in &entry.operations {
            let one = SyncEntry { operations: vec![*operation], ..entry.clone() };
            let elements = elements_of(&reset.fresh, operation);
            for expected in reset.recover(&one, &mut again) {
                let found =
                    rewritten.reported.next().map_or("missing", |reported| reported.outcome.name());
                if found != recovered(expected) {
                    return described(format!("{found}, not {expected:?}"));
                }
                if matches!(expected, Recovered::Applied | Recovered::Adjusted) {
                    let may_differ = expected == Recovered::Adjusted && rewritten.has_purged;
                    shown.push(may_differ.then(|| elements.clone()));
                }
            }
        }
        if again.operations.is_empty() {
            return Ok(());
        }
        let own =
            rewritten.written.next().map(|own| self.names.entry((identity, PENDING), &own.bytes));
        let operations = own.and_then(Result::ok).map(|entry| entry.operations);
        let operations = operations.unwrap_or_default();
        let mut pairs = operations.iter().zip(&again.operations).zip(&shown);
        let is_equal = pairs.all(|((found, expected), shown)| {
            let is_adjusted = |shown: &Vec<Element>| {
                is_anchored(found, shown) && without_anchor(found) == without_anchor(expected)
            };
            found == expected || shown.as_ref().is_some_and(is_adjusted)
        });
        if operations.len() != again.operations.len() || !is_equal {
            return described(format!("wrote {operations:?}, not {:?}", again.operations));
        }
        Ok(())
    }
}

/// Returns the visible elements of the list that an operation changes.
fn elements_of(state: &State, operation: &Operation) -> Vec<Element> {
    let Operation::List(object, property, _) = *operation else { return Vec::new() };
    state.elements(object, property).into_iter().map(|(element, _)| element).collect()
}

/// Tells whether the new anchor of an operation is the head, or another visible element.
fn is_anchored(operation: &Operation, shown: &[Element]) -> bool {
    let Operation::List(_, _, change) = *operation else { return false };
    let (ListOperation::Insert(element, anchor, _) | ListOperation::Move(element, anchor)) = change
    else {
        return false;
    };
    match anchor {
        Anchor::Head => true,
        Anchor::After(to) => to != element && shown.contains(&to),
        Anchor::Before(_) => false,
    }
}

/// Returns an operation with its anchor replaced by the head.
fn without_anchor(operation: &Operation) -> Operation {
    let Operation::List(object, property, change) = *operation else { return *operation };
    let change = match change {
        ListOperation::Insert(element, _, value) => {
            ListOperation::Insert(element, Anchor::Head, value)
        }
        ListOperation::Move(element, _) => ListOperation::Move(element, Anchor::Head),
        ListOperation::Set(..) | ListOperation::Remove(_) => change,
    };
    Operation::List(object, property, change)
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
