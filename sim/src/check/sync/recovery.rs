//! The oracle of client resets: what the model says that a client writes again and reports.
//!
//! - SY4, SY13 Every entry that a client wrote is in the history, refused, or in a report.
//! - SY12 A reset decides as the model does.

use super::oracle::{
    ClientKey, ClientModel, ClientPosition, Oracle, Original, identity, violation,
};
use super::replica::OwnEntry;
use crate::check::definition::Violation;
use crate::check::promises::{SY1, SY12};
use fastness_models::merge::fold::State;
use fastness_models::merge::recover::{Recovered, Reset};
use fastness_models::merge::{Anchor, Element, ListOperation, Operation, PENDING, SyncEntry};
use fastness_sync::reset::{Cause, Reported, ResetReport};
use std::collections::{BTreeMap, BTreeSet};

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
    /// In mode Discard, number of the last entry that the backup has: those up to it are dropped.
    pub(super) discarded: Option<u64>,
    /// The app has opened the file since then, which may have written the classes that it lacks.
    pub(super) has_restarted: bool,
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
        let ClientPosition { epoch, cursor, .. } = after.position;
        let history = self.history_of(epoch);
        let is_copied = after.report.cause == Cause::Cloned
            || history.is_copied(identity(old), &before, cursor);
        let mut lost = self.lost((&before, old, is_copied), after.position)?;
        lost.retain(|(_, entry)| entry.seq == PENDING || entry.seq > after.durable_seq);
        // The file still has the effect of entries whose refusal this reset makes known.
        let unknown = after.report.refused().iter().map(|refusal| refusal.client_seq).collect();
        let working = before.working_with(&unknown);
        let canonical = &before.canonical;
        let created = BTreeSet::new();
        let mut reset = Reset { fresh, canonical, working: &working, created, mutant: None };
        let ClientPosition { client: new, epoch, cursor: base } = after.position;
        let reported = &mut after.report.operations();
        let has_purged = after.has_purged;
        let written = after.own.iter();
        let mut again = Rewritten { identity: identity(new), base, reported, written, has_purged };
        let mut originals = BTreeMap::new();
        for (client, entry) in &lost {
            if after.discarded.is_some_and(|last| *client != old || entry.client_seq <= last) {
                again.discard(entry)?;
            } else if let Some(number) = self.reset_entry(&mut reset, entry, &mut again)? {
                originals.insert(number, self.originals(*client, entry));
            }
            let client = self.clients.get_mut(client).expect("the client exists");
            client.written.get_mut(&entry.client_seq).expect("it was written").is_reported = true;
        }
        let has_more = again.written.next().is_some() && !after.has_restarted;
        if again.reported.next().is_some() || has_more {
            return violation(SY12.id, "more was written again or reported");
        }
        self.begin(new, (epoch, base))?;
        let model = self.clients.get_mut(&new).expect("it was inserted");
        model.earlier = before.earlier;
        model.earlier.push(old);
        after.own.iter().try_for_each(|own| self.wrote(new, own))?;
        let model = self.clients.get_mut(&new).expect("it was inserted");
        for (number, written) in &mut model.written {
            written.originals = originals.remove(number).unwrap_or_default();
        }
        self.order_contained(new, after.position);
        Ok(lost.len())
    }

    /// Returns the working state that a client had when it had written so many entries, and did not
    /// know yet that some of them are refused.
    pub(super) fn working_up_to(
        &self,
        client: ClientKey,
        (last, unknown): (u64, &BTreeSet<u64>),
    ) -> State {
        let mut model = self.clients[&client].clone();
        model.written.retain(|number, _| *number <= last);
        model.working_with(unknown)
    }

    /// Notes that an app has replaced the file of a client: a backup has all of it.
    pub(super) fn abandon(&mut self, client: ClientKey) {
        for client in self.clients[&client].earlier.clone().into_iter().chain([client]) {
            let model = self.clients.get_mut(&client).expect("the client exists");
            model.written.values_mut().for_each(|written| written.is_reported = true);
        }
    }

    /// Returns the originals of what is written for an entry. One that was not ordered is none.
    fn originals(&self, client: ClientKey, entry: &SyncEntry) -> Vec<Original> {
        let written = &self.clients[&client].written[&entry.client_seq];
        let mut originals = written.originals.clone();
        if entry.seq != PENDING {
            originals.push((identity(client), entry.client_seq, written.bytes.clone()));
        }
        originals
    }

    /// Notes that pending entries of earlier identities are ordered that a snapshot contains.
    fn order_contained(&mut self, client: ClientKey, position: ClientPosition) {
        let ClientPosition { epoch, cursor, .. } = position;
        for earlier in self.clients[&client].earlier.clone() {
            let Some(mut model) = self.clients.remove(&earlier) else { continue };
            let history = self.history_of(epoch);
            for written in model.written.values_mut().filter(|it| it.entry.seq == PENDING) {
                if history.has(identity(earlier), written, cursor) {
                    written.entry.seq = cursor;
                }
            }
            self.clients.insert(earlier, model);
        }
    }

    /// Returns the entries of a client that the history of its new replica does not contain.
    fn lost(
        &self,
        (before, old, is_copied): (&ClientModel, ClientKey, bool),
        ClientPosition { epoch, cursor, .. }: ClientPosition,
    ) -> Result<Vec<(ClientKey, SyncEntry)>, Violation> {
        let history = self.history_of(epoch);
        if history.server.head() < cursor {
            return violation(SY1.id, "a snapshot is ahead of the server");
        }
        let mut lost = Vec::new();
        for client in before.earlier.iter().chain([&old]) {
            let model = &self.clients[client];
            for (number, written) in &model.written {
                // A copied file takes none of its pending entries as contained.
                let is_new = is_copied && client == &old && written.entry.seq == PENDING;
                let is_known = match is_new {
                    true => history.has_original(written, cursor),
                    false => history.has(identity(*client), written, cursor),
                };
                if !is_known && !written.is_reported && !model.refused.contains(number) {
                    lost.push((*client, written.entry.clone()));
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
    ) -> Result<Option<u64>, Violation> {
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
            return Ok(None);
        }
        let own = rewritten.written.next();
        let number = own.map(|own| own.header.client_seq);
        let own = own.map(|own| self.names.entry((identity, PENDING), &own.bytes));
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
        Ok(number)
    }
}

impl Rewritten<'_, '_> {
    /// Compares the outcomes of an entry that is dropped.
    fn discard(&mut self, entry: &SyncEntry) -> Result<(), Violation> {
        for _ in &entry.operations {
            let found = self.reported.next().map_or("missing", |it| it.outcome.name());
            if found != "discarded" {
                let number = (entry.client, entry.client_seq);
                return violation(SY12.id, format!("entry {number:?} is {found}, not discarded"));
            }
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
