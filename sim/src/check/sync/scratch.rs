//! Local objects of a client's file, and their model.
//!
//! Every third transaction of an app writes them too, and every fifth writes nothing else. The
//! model is a map for each commit that a crash may have left.
//!
//! - SY22 Only the app changes local objects.

use super::super::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::SY22;
use fastness::object::Transaction;
use fastness::schema::{Class, Property, Scalar};
use fastness::table::{ObjectKey, ObjectRef, Tables, Value};
use std::collections::BTreeMap;

/// The class.
const SCRATCH: &str = "Scratch";
const TEXT: &str = "text";
/// Most objects.
const KEYS: i64 = 3;

/// Returns the class.
pub(super) fn class() -> Result<Class, fastness::Error> {
    let key = Property::new("id", Scalar::Int)?.required().primary_key();
    let text = Property::new(TEXT, Scalar::Int)?.indexed();
    Ok(Class::new(SCRATCH)?.local().with(key).with(text))
}

/// The local objects: their values by their keys.
type Scratch = BTreeMap<i64, i64>;

/// The local objects of a file after each of its last commits, the durable one first.
#[derive(Clone, Debug)]
pub(super) struct ScratchModel {
    states: Vec<Scratch>,
    commits: i64,
    /// The file may have any of the states: the process has restarted.
    is_uncertain: bool,
}

/// A transaction of local objects: an object that gets a value, or is deleted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScratchEdit {
    key: i64,
    value: Option<i64>,
}

impl Default for ScratchModel {
    fn default() -> Self {
        Self { states: vec![Scratch::new()], commits: 0, is_uncertain: false }
    }
}

impl ScratchModel {
    /// Returns the edit of the next transaction, if it has one.
    pub(super) fn next(&mut self) -> Option<ScratchEdit> {
        self.commits += 1;
        let (commits, key) = (self.commits, self.commits % KEYS);
        let value = (commits % 4 != 0).then_some(commits);
        (commits % 3 == 0 || self.is_alone()).then_some(ScratchEdit { key, value })
    }

    /// Tells whether the transaction has no other edits.
    pub(super) const fn is_alone(&self) -> bool {
        self.commits % 5 == 0
    }

    /// Notes that a commit has ended.
    pub(super) fn commit(&mut self, edit: Option<ScratchEdit>, is_durable: bool) {
        let mut state = self.states.last().cloned().unwrap_or_default();
        match edit {
            Some(ScratchEdit { key, value: Some(value) }) => drop(state.insert(key, value)),
            Some(ScratchEdit { key, value: None }) => drop(state.remove(&key)),
            None => {}
        }
        if is_durable {
            self.states.clear();
        }
        self.states.push(state);
    }

    /// Notes that the process has restarted, or that the file was copied.
    pub(super) const fn restart(&mut self) {
        self.is_uncertain = true;
    }

    /// Compares a file; tells whether it has local objects.
    pub(super) fn compare(&mut self, tables: &Tables) -> Result<bool, CheckError> {
        let found = read(tables)?;
        let last = self.states.len() - 1;
        let at = self.states.iter().rposition(|state| *state == found);
        match at.filter(|at| *at == last || self.is_uncertain) {
            Some(at) => self.states.truncate(at + 1),
            None => {
                let text = format!("local objects are {found:?}, not {:?}", self.states);
                return Err(Violation::new(SY22.id, text).into());
            }
        }
        self.is_uncertain = false;
        Ok(!found.is_empty())
    }

    /// Compares the local objects beside the canonical state, which are those of the app too.
    pub(super) fn compare_canonical(&self, tables: &Tables) -> Result<(), CheckError> {
        let found = read(tables)?;
        if self.states.last() == Some(&found) {
            return Ok(());
        }
        let text = format!("undo left {found:?} of the local objects {:?}", self.states.last());
        Err(Violation::new(SY22.id, text).into())
    }
}

impl ScratchEdit {
    /// Does the edit as an app does.
    pub(super) fn write(self, txn: &mut Transaction) -> Result<(), CheckError> {
        let (id, _) = txn.get_or_create(SCRATCH, self.key)?;
        match self.value {
            Some(value) => txn.set(&id, TEXT, value)?,
            None => txn.delete(&id)?,
        }
        Ok(())
    }
}

fn read(tables: &Tables) -> Result<Scratch, fastness::Error> {
    let mut found = Scratch::new();
    for key in tables.object_keys(SCRATCH, None)? {
        let target = ObjectRef { class: SCRATCH.to_owned(), key };
        let value = tables.value(&target, TEXT)?;
        if let (ObjectKey::Int(key), Some(Value::Int(value))) = (&target.key, value) {
            found.insert(*key, value);
        }
    }
    Ok(found)
}
