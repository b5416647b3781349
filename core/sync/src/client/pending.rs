//! Pending entries, and their way back.
//!
//! - SY20 Putting the pre-images of the pending entries back, newest first, gives the canonical
//!   state.
//!
//! Format: docs/sync.md#client-file.

use super::layout::{PENDING, UNDO, number_key, read_number, undo_key};
use super::ordered_runs::{OrderedRun, OrderedRuns, clear_ordered, note_ordered};
use super::outcome_bytes::{put_outcome, read_outcome};
use crate::codec::{Reader, put_binary};
use crate::fault::{self, Fault};
use crate::outcome::Outcome;
use crate::table_state::{WINDOW_TREE, ordered};
use fastness::Error;
use fastness::table::{ObjectId, PreImage, SideKey, Tables};
use std::borrow::Cow;

/// Most bytes of pre-images beside an entry; more have a tree of their own.
const INLINE_BYTES_MAX: usize = 4096;

/// Bytes of pre-images in one value of that tree, and at most one more.
const PART_BYTES: usize = 64 << 10;

/// Records of the pre-images.
const TREE: u8 = 1;
const ABSENT: u8 = 2;
const VALUE: u8 = 3;

/// An entry of the client that the history does not contain yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingEntry {
    pub(super) client_seq: u64,
    pub(super) entry: Vec<u8>,
}

/// The record of a pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingRecord {
    pub(super) client_seq: u64,
    pub(super) entry: Vec<u8>,
    /// Outcomes of its operations when it was applied last; none if all are applied.
    pub(super) outcomes: Vec<Outcome>,
    /// Its pre-images, unless they are in a tree of their own.
    inline: Option<Vec<u8>>,
}

impl PendingRecord {
    /// Returns the entry with its number.
    pub(super) fn into_entry(self) -> PendingEntry {
        PendingEntry { client_seq: self.client_seq, entry: self.entry }
    }

    fn read(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let client_seq = read_number(key)?;
        let mut rest = Reader::new(bytes);
        let entry = rest.binary().ok()?.to_vec();
        let mut list = Reader::new(rest.binary().ok()?);
        let mut outcomes = Vec::new();
        while !list.is_empty() {
            outcomes.push(read_outcome(&mut list)?);
        }
        let inline = match rest.u8().ok()? {
            0 => Some(bytes[rest.at()..].to_vec()),
            _ => None,
        };
        Some(Self { client_seq, entry, outcomes, inline })
    }
}

/// Returns the entry of a record.
pub(super) fn entry_of(record: &[u8]) -> Option<&[u8]> {
    Reader::new(record).binary().ok()
}

/// Returns the oldest pending entry.
pub(super) fn first(tables: &Tables) -> Result<Option<PendingRecord>, Error> {
    first_from(tables, 0)
}

/// Returns the oldest pending entry from a number on.
pub(super) fn first_from(tables: &Tables, number: u64) -> Result<Option<PendingRecord>, Error> {
    let found = tables.side_next(SideKey { tree: PENDING, key: &[] }, &number_key(number))?;
    let Some((key, bytes)) = found else { return Ok(None) };
    PendingRecord::read(&key, &bytes).map(Some).ok_or_else(|| tables.damaged())
}

/// Returns the number of the oldest pending entry.
pub(super) fn first_number(tables: &Tables) -> Result<Option<u64>, Error> {
    let first = tables.side_next(SideKey { tree: PENDING, key: &[] }, &[])?;
    let number = |(key, _): (Vec<u8>, Vec<u8>)| read_number(&key).ok_or_else(|| tables.damaged());
    first.map(number).transpose()
}

/// Returns the pending entries, oldest first.
pub(super) fn entries(tables: &Tables) -> Result<Vec<PendingEntry>, Error> {
    let (mut walk, mut found) = (PendingWalk::new(false), Vec::new());
    while let Some(record) = walk.next(tables)? {
        found.push(record.into_entry());
    }
    Ok(found)
}

/// A walk over the pending entries, one in memory at a time. They may be stored again meanwhile.
pub(super) struct PendingWalk {
    is_backward: bool,
    at: Option<[u8; 8]>,
}

impl PendingWalk {
    /// Begins with the oldest entry, or with the newest.
    pub(super) const fn new(is_backward: bool) -> Self {
        Self { is_backward, at: None }
    }

    /// Returns the next entry.
    pub(super) fn next(&mut self, tables: &Tables) -> Result<Option<PendingRecord>, Error> {
        let found = match self.at {
            None if self.is_backward => tables.side_last(PENDING)?,
            Some(at) if self.is_backward => {
                tables.side_before(SideKey { tree: PENDING, key: &at })?
            }
            at => {
                // A number with one byte more is greater, and less than the next number.
                let from = at.map_or_else(Vec::new, |at| [&at[..], &[0]].concat());
                tables.side_next(SideKey { tree: PENDING, key: &[] }, &from)?
            }
        };
        let Some((key, bytes)) = found else { return Ok(None) };
        let record = PendingRecord::read(&key, &bytes).ok_or_else(|| tables.damaged())?;
        self.at = Some(number_key(record.client_seq));
        Ok(Some(record))
    }
}

/// An entry as it was applied.
pub(super) struct AppliedEntry<'e> {
    pub(super) client_seq: u64,
    pub(super) entry: &'e [u8],
    pub(super) outcomes: &'e [Outcome],
}

/// Stores a pending entry with its pre-images.
pub(super) fn put<'p>(
    tables: &mut Tables,
    applied: &AppliedEntry<'_>,
    images: impl Iterator<Item = PreImage<'p>>,
) -> Result<(), Error> {
    let AppliedEntry { client_seq, entry, outcomes } = *applied;
    let mut bytes = Vec::with_capacity(entry.len() + 256);
    put_binary(&mut bytes, entry);
    let mut list = Vec::new();
    if outcomes.iter().any(|outcome| *outcome != Outcome::Applied) {
        outcomes.iter().for_each(|outcome| put_outcome(&mut list, *outcome));
    }
    put_binary(&mut bytes, &list);
    let is_local = |image: &PreImage<'_>| {
        tables.is_local_entry(image.tree, image.key) && !fault::on(Fault::Sn52)
    };
    let images = images.filter(|image| !is_local(image) && !fault::client::is_left_out(image));
    let images: Vec<PreImage<'_>> = images.collect();
    let mut parts = ImageParts::new(images.into_iter());
    let first = parts.next(INLINE_BYTES_MAX);
    if parts.is_done() {
        bytes.push(0);
        bytes.extend_from_slice(&first);
        return tables.txn_mut().tree(PENDING)?.insert(&number_key(client_seq), &bytes).map(drop);
    }
    bytes.push(1);
    tables.txn_mut().tree(PENDING)?.insert(&number_key(client_seq), &bytes)?;
    let mut undo = tables.txn_mut().tree(UNDO)?;
    undo.insert(&undo_key(client_seq, 0), &first)?;
    for index in 1.. {
        if parts.is_done() {
            break;
        }
        undo.insert(&undo_key(client_seq, index), &parts.next(PART_BYTES))?;
    }
    Ok(())
}

/// Pre-images as bytes, in parts of whole records.
struct ImageParts<'p, I> {
    images: I,
    next: Option<PreImage<'p>>,
    tree: &'p str,
}

impl<'p, I: Iterator<Item = PreImage<'p>>> ImageParts<'p, I> {
    fn new(mut images: I) -> Self {
        let next = images.next();
        Self { images, next, tree: "" }
    }

    const fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// Returns the next records, up to a number of bytes, and one at least.
    fn next(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(PreImage { tree, key, value }) = self.next {
            let len = key.len() + value.map_or(0, <[u8]>::len) + tree.len();
            if !bytes.is_empty() && bytes.len() + len > bytes_max {
                break;
            }
            if tree != self.tree {
                self.tree = tree;
                bytes.push(TREE);
                put_binary(&mut bytes, tree.as_bytes());
            }
            bytes.push(if value.is_some() { VALUE } else { ABSENT });
            put_binary(&mut bytes, key);
            value.into_iter().for_each(|value| put_binary(&mut bytes, value));
            self.next = self.images.next();
        }
        bytes
    }
}

/// A pre-image as it is stored.
struct StoredImage {
    tree: String,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn read_images(bytes: &[u8]) -> Option<Vec<StoredImage>> {
    let mut rest = Reader::new(bytes);
    let (mut images, mut tree) = (Vec::new(), String::new());
    while !rest.is_empty() {
        let kind = rest.u8().ok()?;
        let first = rest.binary().ok()?;
        match kind {
            TREE => tree = String::from_utf8(first.to_vec()).ok()?,
            ABSENT => {
                images.push(StoredImage { tree: tree.clone(), key: first.to_vec(), value: None });
            }
            VALUE => {
                let value = Some(rest.binary().ok()?.to_vec());
                images.push(StoredImage { tree: tree.clone(), key: first.to_vec(), value });
            }
            _ => return None,
        }
    }
    Some(images)
}

/// Returns the pre-images of an entry.
fn images(tables: &mut Tables, record: &PendingRecord) -> Result<Vec<StoredImage>, Error> {
    let bytes = match &record.inline {
        Some(bytes) => bytes.clone(),
        None => {
            let mut bytes = Vec::new();
            let prefix = number_key(record.client_seq);
            tables.side_each(SideKey { tree: UNDO, key: &prefix }, &mut |_, _, part| {
                bytes.extend_from_slice(part);
                Ok(())
            })?;
            bytes
        }
    };
    read_images(&bytes).ok_or_else(|| tables.damaged())
}

/// Forgets the pre-images of an entry that are in a tree of their own.
fn remove_images(tables: &mut Tables, record: &PendingRecord) -> Result<(), Error> {
    if record.inline.is_some() {
        return Ok(());
    }
    let mut keys = Vec::new();
    let prefix = number_key(record.client_seq);
    tables.side_each(SideKey { tree: UNDO, key: &prefix }, &mut |_, key, _| {
        keys.push(key.to_vec());
        Ok(())
    })?;
    let mut undo = tables.txn_mut().tree(UNDO)?;
    keys.iter().try_for_each(|key| undo.remove(key).map(drop))
}

/// Puts the pre-images of all pending entries back, newest first, and calls `touch` with the
/// objects that they belong to. The records stay, with pre-images that are of no use any longer.
pub(super) fn undo(tables: &mut Tables, touch: &mut dyn FnMut(ObjectId)) -> Result<(), Error> {
    let ordered_runs = OrderedRuns::take(tables)?;
    let mut walk = PendingWalk::new(!fault::on(Fault::Sn42));
    while let Some(record) = walk.next(tables)? {
        put_back(tables, (&record, &ordered_runs), touch)?;
    }
    Ok(())
}

/// Undoes one pending entry, which no later one meets, and takes it out. Its pre-images may name
/// ordered entries.
pub(super) fn take_out(
    tables: &mut Tables,
    (record, ordered_runs): (&PendingRecord, &OrderedRuns),
    touch: &mut dyn FnMut(ObjectId),
) -> Result<(), Error> {
    put_back(tables, (record, ordered_runs), touch)?;
    tables.txn_mut().tree(PENDING)?.remove(&number_key(record.client_seq))?;
    if first_number(tables)?.is_none() {
        clear_ordered(tables)?;
    }
    Ok(())
}

/// Puts the pre-images of an entry back, with the seqs that own entries have now.
fn put_back(
    tables: &mut Tables,
    (record, ordered_runs): (&PendingRecord, &OrderedRuns),
    touch: &mut dyn FnMut(ObjectId),
) -> Result<(), Error> {
    let seq_of = |client_seq: u64| ordered_runs.seq_of(client_seq);
    let mut images = images(tables, record)?;
    for StoredImage { tree, key, value } in &mut images {
        tables.object_of(tree, key).into_iter().for_each(&mut *touch);
        let Some(held) = value.as_mut().filter(|_| tree == WINDOW_TREE) else { continue };
        let newer = ordered(key, held, &seq_of).ok_or_else(|| tables.damaged())?;
        if let Cow::Owned(newer) = newer {
            *held = newer;
        }
    }
    tables.restore(images.iter().map(|StoredImage { tree, key, value }| PreImage {
        tree,
        key,
        value: value.as_deref(),
    }))?;
    remove_images(tables, record)
}

/// A callback for a pre-image: its tree and its key. Tells whether it takes the next one.
type VisitImage<'v> = dyn FnMut(&Tables, (&str, &[u8])) -> bool + 'v;

/// Calls `visit` with the tree and the key of each pre-image of an entry, until it returns false.
/// Tells whether it never did.
pub(super) fn all_images(
    tables: &mut Tables,
    record: &PendingRecord,
    visit: &mut VisitImage<'_>,
) -> Result<bool, Error> {
    let images = images(tables, record)?;
    Ok(images.iter().all(|StoredImage { tree, key, .. }| visit(tables, (tree, key))))
}

/// Gives the oldest pending entry a seq, without undoing the later ones, of which `newest` is the
/// last: the canonical state begins to contain what is in the working state already.
pub(super) fn order_first(
    tables: &mut Tables,
    record: &PendingRecord,
    (seq, newest): (u64, u64),
) -> Result<(), Error> {
    let seq_of = |client_seq: u64| (client_seq == record.client_seq).then_some(seq);
    for StoredImage { tree, key, .. } in images(tables, record)? {
        if tree != WINDOW_TREE {
            continue;
        }
        let at = SideKey { tree: WINDOW_TREE, key: &key };
        let Some(held) = tables.side_get(at)? else { continue };
        let newer = ordered(&key, &held, &seq_of).ok_or_else(|| tables.damaged())?;
        if let Cow::Owned(newer) = newer {
            tables.side_insert(at, &newer)?;
        }
    }
    remove_images(tables, record)?;
    let key = number_key(record.client_seq);
    tables.txn_mut().tree(PENDING)?.remove(&key)?;
    match first_number(tables)? {
        // Pre-images of later entries may name the entry by its number.
        Some(oldest) => {
            let run = OrderedRun { first: record.client_seq, last: record.client_seq, seq, newest };
            note_ordered(tables, run, oldest)
        }
        None => clear_ordered(tables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_images_survive_their_parts() {
        let (long, short) = (vec![7; 3000], vec![1]);
        let all = [
            PreImage { tree: "a", key: &[1], value: Some(&short) },
            PreImage { tree: "a", key: &[2], value: None },
            PreImage { tree: "b", key: &[1], value: Some(&long) },
            PreImage { tree: "b", key: &[2], value: Some(&long) },
            PreImage { tree: "c", key: &[], value: Some(&[]) },
        ];
        for bytes_max in [1, 3100, 1 << 20] {
            let mut parts = ImageParts::new(all.into_iter());
            let mut bytes = Vec::new();
            while !parts.is_done() {
                bytes.extend(parts.next(bytes_max));
            }
            let read = read_images(&bytes).map(|images| {
                let same = |(image, of): (&StoredImage, &PreImage<'_>)| {
                    (&*image.tree, &*image.key, image.value.as_deref())
                        == (of.tree, of.key, of.value)
                };
                images.len() == all.len() && images.iter().zip(&all).all(same)
            });
            assert_eq!(read, Some(true), "{bytes_max}");
        }
        assert!(read_images(&[9, 0]).is_none() && read_images(&[VALUE, 1]).is_none());
    }
}
