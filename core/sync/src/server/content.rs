//! Checks of an entry's operations before it has a seq.
//!
//! - MR6 An entry with a conflicting definition is refused.
//! - MR8 An element id is never used twice, and its author is no client of another user. Nor is the
//!   author of a generated key of a new object.
//! - SV2 The authors of elements and generated keys are noted: no later client gets their number.

use super::error::{EntryRefusal, RefusalCode, ServerResult};
use super::layout::{ClientRecord, LastElement, client_key};
use super::state::StateTxn;
use super::trees::{ReadTrees as _, put};
use crate::entry::{
    Change, EntryError, Key, ObjectRef, Operation, Operations, PrimaryKey, PropertyType,
};
use crate::fault::{self, Fault};
use crate::merge::VisibleState as _;
use crate::table_state::TableState;
use std::collections::BTreeMap;

/// The author of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryAuthor<'a> {
    pub(super) client: u32,
    pub(super) user: &'a str,
}

/// Greatest number of an element of each author, after an entry.
#[derive(Debug, Default)]
pub(super) struct LastElements(BTreeMap<u32, u64>);

impl LastElements {
    pub(super) fn write(&self, txn: &mut StateTxn) -> ServerResult<()> {
        for (author, last) in &self.0 {
            put(txn.trees(), &client_key(*author), &LastElement(*last))?;
        }
        Ok(())
    }
}

/// The new elements of an entry.
struct Elements<'a> {
    author: EntryAuthor<'a>,
    last: LastElements,
}

impl Elements<'_> {
    /// Notes the author of a new element or of a generated key; tells whether the client may use
    /// the id: the author is one of its user, and the number of an element is above its last one.
    fn note(&mut self, txn: &mut StateTxn, operation: &Operation<'_>) -> ServerResult<bool> {
        if let Operation::Create(ObjectRef { key: Key::Generated(id), .. }) = *operation {
            let author = self.resolved(id.author);
            if !self.is_author(txn, author)? {
                return Ok(false);
            }
            let held = self.last(txn, author)?;
            self.last.0.insert(author, held);
        }
        let Operation::Change { change: Change::ListInsert { element, .. }, .. } = *operation
        else {
            return Ok(true);
        };
        let author = self.resolved(element.author);
        if !self.is_author(txn, author)? {
            return Ok(false);
        }
        let held = self.last(txn, author)?;
        self.last.0.insert(author, held.max(element.number));
        Ok(element.number > held || fault::on(Fault::Sn36))
    }

    const fn resolved(&self, author: u32) -> u32 {
        if author == 0 { self.author.client } else { author }
    }

    /// Returns the greatest number of an element of an author; 0 if it has none.
    fn last(&self, txn: &mut StateTxn, author: u32) -> ServerResult<u64> {
        if let Some(last) = self.last.0.get(&author) {
            return Ok(*last);
        }
        let last: Option<LastElement> = txn.trees().record(&client_key(author))?;
        Ok(last.unwrap_or_default().0)
    }

    /// Tells whether the client may use ids of an author: of itself, of an earlier identity
    /// of its user, or of a number that this file does not know. A restored backup may not know an
    /// earlier identity; no later client gets its number (SV2).
    fn is_author(&self, txn: &mut StateTxn, author: u32) -> ServerResult<bool> {
        let EntryAuthor { client, user } = self.author;
        if author == client {
            return Ok(true);
        }
        let record: Option<ClientRecord> = txn.trees().record(&client_key(author))?;
        Ok(record.is_none_or(|record| record.user == user))
    }
}

/// Definitions of an entry that the state does not have.
#[derive(Default)]
struct Definitions<'a> {
    classes: BTreeMap<&'a str, Option<PrimaryKey<'a>>>,
    properties: BTreeMap<(&'a str, &'a str), PropertyType<'a>>,
}

impl<'a> Definitions<'a> {
    /// Tells whether an operation contradicts the schema or an earlier definition of the entry.
    fn conflict(
        &mut self,
        state: &TableState<'_>,
        operation: &Operation<'a>,
    ) -> ServerResult<bool> {
        match *operation {
            Operation::AddClass { class, primary_key } => {
                let earlier = *self.classes.entry(class).or_insert(primary_key);
                Ok(earlier != primary_key || state.class_conflicts(class, primary_key)?)
            }
            Operation::AddProperty { class, property, kind } => {
                self.property_conflicts(state, (class, property), kind)
            }
            Operation::Create(_) | Operation::Delete(_) | Operation::Change { .. } => Ok(false),
        }
    }

    fn property_conflicts(
        &mut self,
        state: &TableState<'_>,
        (class, property): (&'a str, &'a str),
        kind: PropertyType<'a>,
    ) -> ServerResult<bool> {
        let is_known = state.tables().class_id(class).is_some();
        let key = match self.classes.get(class) {
            Some(key) => *key,
            None if is_known => None,
            // Without its class the operation is without effect.
            None => return Ok(false),
        };
        if key.is_some_and(|key| key.property == property) {
            return Ok(true);
        }
        let earlier = *self.properties.entry((class, property)).or_insert(kind);
        Ok(earlier != kind || state.property_conflicts(class, property, kind)?)
    }
}

/// Checks the operations of an entry; returns the authors' last elements after it.
pub(super) fn check_content(
    txn: &mut StateTxn,
    author: EntryAuthor<'_>,
    bytes: &[u8],
) -> ServerResult<Result<LastElements, EntryRefusal>> {
    let mut definitions = Definitions::default();
    let mut elements = Elements { author, last: LastElements::default() };
    let (mut conflict, mut reuse) = (None, None);
    let operations = match Operations::new(bytes) {
        Ok(operations) => operations,
        Err(error) => return Ok(Err(malformed(error, None))),
    };
    for (index, operation) in (0_u32..).zip(operations) {
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => return Ok(Err(malformed(error, Some(index)))),
        };
        let conflicts = definitions.conflict(&txn.state(), &operation)?;
        if conflict.is_none() && conflicts && !fault::on(Fault::Sn12) {
            conflict = Some(index);
        }
        if !elements.note(txn, &operation)? && reuse.is_none() {
            reuse = Some(index);
        }
    }
    let refused = |code, operation: Option<u32>| {
        operation.map(|index| EntryRefusal { code, operation: Some(index) })
    };
    let refusal = refused(RefusalCode::Schema, conflict);
    let refusal = refusal.or_else(|| refused(RefusalCode::Element, reuse));
    Ok(refusal.map_or(Ok(elements.last), Err))
}

const fn malformed(error: EntryError, operation: Option<u32>) -> EntryRefusal {
    let code = match error {
        EntryError::Limit(_) => RefusalCode::Limit,
        EntryError::Malformed { .. } => RefusalCode::Malformed,
    };
    EntryRefusal { code, operation }
}
