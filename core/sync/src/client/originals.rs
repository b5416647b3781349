//! The originals of own entries: a reset writes an entry again, under another identity and number,
//! and notes the entries of earlier identities that had a place in a history and that it repeats.
//!
//! - SY13 An entry is not written again beside its original, which another history may have.
//!
//! Only an entry that was ordered counts as an original: the number of one that was not may have
//! been used by a copy of the file.
//!
//! Format: docs/sync.md#client-file.

use super::layout::{ORIGINALS, entry_key};
use crate::codec::{Reader, put_varint};
use fastness::Error;
use fastness::table::{SideKey, Tables};

/// An entry: its client and its number.
pub(super) type EntryName = (u32, u64);

/// Returns the originals of an entry, oldest first.
pub(super) fn originals(tables: &Tables, entry: EntryName) -> Result<Vec<EntryName>, Error> {
    let key = entry_key(entry.0, entry.1);
    match tables.side_get(SideKey { tree: ORIGINALS, key: &key })? {
        Some(bytes) => read(&bytes).ok_or_else(|| tables.damaged()),
        None => Ok(Vec::new()),
    }
}

fn read(bytes: &[u8]) -> Option<Vec<EntryName>> {
    let mut rest = Reader::new(bytes);
    let mut originals = Vec::new();
    while !rest.is_empty() {
        originals.push((rest.u32().ok()?, rest.varint().ok()?));
    }
    Some(originals)
}

/// Notes the originals of an entry.
pub(super) fn put_originals(
    tables: &mut Tables,
    entry: EntryName,
    originals: &[EntryName],
) -> Result<(), Error> {
    if originals.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::new();
    for (client, client_seq) in originals {
        put_varint(&mut bytes, (*client).into());
        put_varint(&mut bytes, *client_seq);
    }
    let mut tree = tables.txn_mut().tree(ORIGINALS)?;
    tree.insert(&entry_key(entry.0, entry.1), &bytes).map(drop)
}

/// Forgets the originals of an entry that is never written again.
pub(super) fn forget_originals(tables: &mut Tables, entry: EntryName) -> Result<(), Error> {
    tables.txn_mut().tree(ORIGINALS)?.remove(&entry_key(entry.0, entry.1)).map(drop)
}
