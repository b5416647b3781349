//! Checks of an entry's operations before it has a seq.
//!
//! - MR6 An entry with a conflicting definition is refused.
//! - MR8 An element id is never used twice.

use super::error::{EntryRefusal, RefusalCode, ServerResult};
use super::layout::{LastElement, client_key};
use super::state::StateTxn;
use super::trees::{ReadTrees as _, put};
use crate::entry::{Change, EntryError, Operation, Operations, PrimaryKey, PropertyType};
use crate::merge::VisibleState as _;
use crate::table_state::TableState;
use std::collections::BTreeMap;

/// Greatest number of an element of each author, after an entry.
#[derive(Debug)]
pub(super) struct Elements {
    client: u32,
    last: BTreeMap<u32, u64>,
}

impl Elements {
    /// Notes a new element; tells whether its number is above its author's last one.
    fn note(&mut self, txn: &mut StateTxn, operation: &Operation<'_>) -> ServerResult<bool> {
        let Operation::Change { change: Change::ListInsert { element, .. }, .. } = operation else {
            return Ok(true);
        };
        let author = if element.author == 0 { self.client } else { element.author };
        let held = match self.last.get(&author) {
            Some(last) => *last,
            None => {
                let last: Option<LastElement> = txn.trees().record(&client_key(author))?;
                last.unwrap_or_default().0
            }
        };
        self.last.insert(author, held.max(element.number));
        Ok(element.number > held)
    }

    pub(super) fn write(&self, txn: &mut StateTxn) -> ServerResult<()> {
        for (author, last) in &self.last {
            put(txn.trees(), &client_key(*author), &LastElement(*last))?;
        }
        Ok(())
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
    client: u32,
    bytes: &[u8],
) -> ServerResult<Result<Elements, EntryRefusal>> {
    let mut definitions = Definitions::default();
    let mut elements = Elements { client, last: BTreeMap::new() };
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
        if conflict.is_none() && definitions.conflict(&txn.state(), &operation)? {
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
    Ok(refusal.map_or(Ok(elements), Err))
}

const fn malformed(error: EntryError, operation: Option<u32>) -> EntryRefusal {
    let code = match error {
        EntryError::Limit(_) => RefusalCode::Limit,
        EntryError::Malformed { .. } => RefusalCode::Malformed,
    };
    EntryRefusal { code, operation }
}
