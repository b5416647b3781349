//! Purging the window at the horizon.
//!
//! - MR9 A purge drops what an entry with a base of at least the horizon cannot meet.

use super::links::LinkOwner;
use super::record::{ElementMemory, OwnerKey, PURGED_STAMP, ValueRecord, WindowKey, WindowRecord};
use super::{FileResult, TableState};
use crate::fault::{self, Fault};
use crate::merge::{Deletion, Register};
use fastness::table::{ElementId, ObjectKey, ObjectRef, SideKey};

/// Records that a purge visits before it writes what it found.
const KEYS_AT_ONCE: usize = 4096;

/// A purge that is not at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeCursor {
    /// The purge forgets all that entries with a base of at least this seq cannot meet.
    pub horizon: u64,
    /// The next key of the window.
    pub from: Vec<u8>,
}

impl PurgeCursor {
    /// Begins a purge.
    #[must_use]
    pub const fn new(horizon: u64) -> Self {
        Self { horizon, from: Vec::new() }
    }
}

impl TableState<'_> {
    /// Forgets what entries with a base of at least `horizon` cannot meet (MR9).
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn purge(&mut self, horizon: u64) -> FileResult<()> {
        let mut next = Some(PurgeCursor::new(horizon));
        while let Some(cursor) = next {
            next = self.purge_step(&cursor, KEYS_AT_ONCE)?;
        }
        Ok(())
    }

    /// Does a part of a purge: visits some records of the window, at least one. Returns the place
    /// to continue from; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn purge_step(
        &mut self,
        cursor: &PurgeCursor,
        count: usize,
    ) -> FileResult<Option<PurgeCursor>> {
        let horizon = fault::tables::one_further(cursor.horizon);
        let (from, count) = (&cursor.from, count.max(1));
        let held = self.number_at(PURGED_STAMP)?;
        let mut purged = held;
        let keys = self.tables.side_keys(SideKey { tree: self.window, key: from }, count)?;
        for key in &keys {
            let parsed = WindowKey::read(key).ok_or_else(|| self.tables.damaged())?;
            let dropped = match parsed {
                WindowKey::Deletion => self.purge_deletion(key, horizon).map(|()| None)?,
                WindowKey::Value(_) => self.purge_value(key, horizon)?,
                WindowKey::Element(owner, id) => self.purge_element(owner, id, horizon)?,
                WindowKey::Head(_) | WindowKey::Derived => None,
            };
            purged = purged.max(dropped.map(|register| register.stamp.time));
        }
        if let Some(stamp) = purged.filter(|_| purged != held) {
            self.insert(PURGED_STAMP, &stamp.to_le_bytes())?;
        }
        // The least key after the last one.
        let last = keys.last().filter(|_| keys.len() == count);
        let from = last.map(|last| [&last[..], &[0]].concat());
        Ok(from.map(|from| PurgeCursor { horizon: cursor.horizon, from }))
    }

    fn purge_deletion(&mut self, key: &[u8], horizon: u64) -> FileResult<()> {
        let mut deletion: Deletion = self.read(key)?;
        if deletion.seq <= horizon {
            return self.remove(key);
        }
        if (1..=horizon).contains(&deletion.seq_of_others) {
            deletion.seq_of_others = 0;
            return self.put(key, &deletion);
        }
        Ok(())
    }

    /// Returns the last write that is forgotten.
    fn purge_value(&mut self, key: &[u8], horizon: u64) -> FileResult<Option<Register>> {
        let held: ValueRecord = self.read(key)?;
        let register = held.register.filter(|register| is_recent(register, horizon));
        let link = held.link.clone().filter(|_| !fault::on(Fault::Sn29));
        self.replace(key, &held, &ValueRecord { register, link })?;
        Ok(if register.is_none() { held.register } else { None })
    }

    /// Returns the last write of the value that is forgotten.
    fn purge_element(
        &mut self,
        owner: OwnerKey<'_>,
        id: ElementId,
        horizon: u64,
    ) -> FileResult<Option<Register>> {
        let class = self.tables.class_name(owner.class).map(str::to_owned);
        let property = self.tables.property_numbered(owner.class, owner.column);
        let (property, key) = (property.map(str::to_owned), ObjectKey::from_slice(owner.key));
        let (Some(class), Some(property), Some(key)) = (class, property, key) else {
            return Err(self.tables.damaged());
        };
        let target = ObjectRef { class, key };
        let list = self.list(LinkOwner { target: &target, property: &property })?;
        let held = self.memory(&list, id)?;
        let at = list.prefix.element(list.column, id);
        if held.removed.is_some_and(|seq| seq <= horizon) {
            self.take_hidden(&list, id)?;
            self.remove(&at)?;
            return Ok(held.value.filter(|register| !is_recent(register, horizon)));
        }
        let recent = |register: &Register| is_recent(register, horizon);
        let newer = ElementMemory {
            value: held.value.filter(recent),
            place: held.place.filter(recent),
            followed: held.followed.filter(|seq| *seq > horizon),
            ..held.clone()
        };
        self.replace(&at, &held, &newer)?;
        Ok(if newer.value.is_none() { held.value } else { None })
    }

    /// Writes a record that differs from the one held.
    fn replace<R: WindowRecord>(&mut self, key: &[u8], held: &R, newer: &R) -> FileResult<()> {
        if held == newer { Ok(()) } else { self.put(key, newer) }
    }
}

const fn is_recent(register: &Register, horizon: u64) -> bool {
    register.seq > horizon
}
