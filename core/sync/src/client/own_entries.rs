//! The own entries that a fresh state does not contain, and that a reset writes again.
//!
//! - SY4, SY13 Each is in the fresh state, or is written again or reported; none is both.

use super::error::ClientResult;
use super::layout::{FRESH, UNSAVED, entry_key, number_key, read_entry_key};
use super::originals::{EntryName, forget_originals, originals};
use super::pending::PendingEntry;
use crate::fault::{self, Fault};
use crate::table_state::last_entry_key;
use fastness::table::{SideKey, Tables};
use fastness::{Error, StoreSnapshot};

/// An own entry, of this identity or an earlier one.
pub(super) struct OwnEntry {
    pub(super) client: u32,
    pub(super) entry: PendingEntry,
    /// The ordered entries that one which is written for it repeats.
    pub(super) originals: Vec<EntryName>,
}

/// The pending entries before a reset.
pub(super) struct OldEntries<'p> {
    pub(super) client: u32,
    pub(super) pending: &'p [PendingEntry],
    /// Another copy of the file has used their numbers for other entries.
    pub(super) is_copied: bool,
    /// Seq of the fresh state.
    pub(super) seq: u64,
}

/// A fresh state, as far as it tells which entries it contains.
struct FreshEntries<'s> {
    snapshot: &'s StoreSnapshot,
    window: String,
}

impl FreshEntries<'_> {
    /// Tells whether the state contains an entry of this number.
    fn has(&self, (client, client_seq): EntryName) -> Result<bool, Error> {
        let held = self.snapshot.tree(&self.window).get(&last_entry_key(client))?;
        let last = held.and_then(|held| (*held).try_into().ok()).map_or(0, u64::from_le_bytes);
        Ok(client_seq <= last)
    }

    /// Tells whether the state contains one of the originals of an entry.
    fn has_any(&self, originals: &[EntryName]) -> Result<bool, Error> {
        for original in originals {
            if self.has(*original)? && !fault::on(Fault::Sn47) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes the own entries that the fresh state does not contain: those that no backup contained, and
/// the pending ones. Keeps the pending ones that it contains, until a backup contains them too.
pub(super) fn own_entries(
    tables: &mut Tables,
    old: &OldEntries<'_>,
    snapshot: &StoreSnapshot,
) -> ClientResult<Vec<OwnEntry>> {
    let fresh = FreshEntries { snapshot, window: format!("{FRESH}window") };
    let mut own = take_unsaved(tables, old.seq, &fresh)?;
    for pending in old.pending {
        let PendingEntry { client_seq, entry } = pending;
        let name = (old.client, *client_seq);
        let originals = originals(tables, name)?;
        let has_it = !old.is_copied && fresh.has(name)? && !fault::on(Fault::Rs03);
        if has_it || fresh.has_any(&originals)? {
            save(tables, name, (old.seq, entry))?;
        } else {
            forget_originals(tables, name)?;
            own.push(OwnEntry { client: old.client, entry: pending.clone(), originals });
        }
    }
    Ok(own)
}

/// Takes the ordered entries that the fresh state does not contain.
fn take_unsaved(
    tables: &mut Tables,
    seq: u64,
    fresh: &FreshEntries<'_>,
) -> ClientResult<Vec<OwnEntry>> {
    let (mut own, mut moved) = (Vec::new(), Vec::new());
    tables.side_each(SideKey { tree: UNSAVED, key: &[] }, &mut |tables, key, value| {
        let (name, entry) = (read_entry_key(key), value.get(8..));
        let (Some(name), Some(entry)) = (name, entry) else { return Err(tables.damaged()) };
        if fresh.has(name)? || fault::on(Fault::Sn33) {
            return Ok(());
        }
        let mut originals = originals(tables, name)?;
        let entry = PendingEntry { client_seq: name.1, entry: entry.to_vec() };
        if fresh.has_any(&originals)? {
            // The original has another seq, but one of the fresh state.
            moved.push((name, entry));
        } else {
            originals.push(name);
            own.push(OwnEntry { client: name.0, entry, originals });
        }
        Ok(())
    })?;
    for (name, PendingEntry { entry, .. }) in moved {
        save(tables, name, (seq, &entry))?;
    }
    for OwnEntry { client, entry, .. } in &own {
        let name = (*client, entry.client_seq);
        tables.txn_mut().tree(UNSAVED)?.remove(&entry_key(name.0, name.1))?;
        forget_originals(tables, name)?;
    }
    Ok(own)
}

/// Keeps an entry that the fresh state contains, whose seq is that of the state at most.
fn save(tables: &mut Tables, name: EntryName, (seq, entry): (u64, &[u8])) -> Result<(), Error> {
    let saved = [&number_key(seq)[..], entry].concat();
    tables.txn_mut().tree(UNSAVED)?.insert(&entry_key(name.0, name.1), &saved).map(drop)
}
