//! Pending entries, and their way back.
//!
//! - SY20 Putting the pre-images of the pending entries back, newest first, gives the canonical
//!   state.
//!
//! Format: docs/sync.md#client-file.

use super::layout::{PENDING, UNDO, number_key, read_number, undo_key};
use crate::codec::{Reader, put_binary};
use fastness::Error;
use fastness::table::{ObjectId, PreImage, PreImages, SideKey, Tables};

/// An entry of the client that the history does not contain yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingEntry {
    pub(super) client_seq: u64,
    pub(super) entry: Vec<u8>,
}

/// A pre-image as it is stored.
struct StoredImage {
    tree: String,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// Parts of a pre-image: what it is of, and its value.
const PLACE: u8 = 0;
const VALUE: u8 = 1;

/// Returns the pending entries, oldest first.
pub(super) fn entries(tables: &mut Tables) -> Result<Vec<PendingEntry>, Error> {
    let mut found = Vec::new();
    tables.side_each(SideKey { tree: PENDING, key: &[] }, &mut |tables, key, entry| {
        let client_seq = read_number(key).ok_or_else(|| tables.damaged())?;
        found.push(PendingEntry { client_seq, entry: entry.to_vec() });
        Ok(())
    })?;
    Ok(found)
}

pub(super) fn put(tables: &mut Tables, pending: &PendingEntry) -> Result<(), Error> {
    let mut tree = tables.txn_mut().tree(PENDING)?;
    tree.insert(&number_key(pending.client_seq), &pending.entry).map(drop)
}

/// Stores the pre-images of an entry.
pub(super) fn put_images(
    tables: &mut Tables,
    client_seq: u64,
    images: &PreImages,
) -> Result<(), Error> {
    let mut undo = tables.txn_mut().tree(UNDO)?;
    for (index, PreImage { tree, key, value }) in (0..).zip(images.iter()) {
        let mut place = vec![value.is_some().into()];
        put_binary(&mut place, tree.as_bytes());
        put_binary(&mut place, key);
        undo.insert(&undo_key(client_seq, index, PLACE), &place)?;
        if let Some(value) = value {
            undo.insert(&undo_key(client_seq, index, VALUE), value)?;
        }
    }
    Ok(())
}

/// Puts the pre-images of all pending entries back, newest first, and forgets them. Returns the
/// objects that they belong to.
pub(super) fn undo(tables: &mut Tables, pending: &[PendingEntry]) -> Result<Vec<ObjectId>, Error> {
    let mut touched = Vec::new();
    for PendingEntry { client_seq, .. } in pending.iter().rev() {
        let images = take_images(tables, *client_seq)?;
        touched.extend(images.iter().filter_map(|image| tables.object_of(&image.tree, &image.key)));
        tables.restore(images.iter().map(|StoredImage { tree, key, value }| PreImage {
            tree,
            key,
            value: value.as_deref(),
        }))?;
    }
    Ok(touched)
}

fn take_images(tables: &mut Tables, client_seq: u64) -> Result<Vec<StoredImage>, Error> {
    let prefix = number_key(client_seq);
    let (mut images, mut keys): (Vec<StoredImage>, _) = (Vec::new(), Vec::new());
    tables.side_each(SideKey { tree: UNDO, key: &prefix }, &mut |tables, key, bytes| {
        keys.push(key.to_vec());
        match (key.last(), images.last_mut()) {
            (Some(&VALUE), Some(image)) => image.value = Some(bytes.to_vec()),
            _ => images.push(read_place(bytes).ok_or_else(|| tables.damaged())?),
        }
        Ok(())
    })?;
    let mut undo = tables.txn_mut().tree(UNDO)?;
    keys.iter().try_for_each(|key| undo.remove(key).map(drop))?;
    Ok(images)
}

fn read_place(bytes: &[u8]) -> Option<StoredImage> {
    let mut rest = Reader::new(bytes);
    let has_value = rest.u8().ok()? != 0;
    let tree = String::from_utf8(rest.binary().ok()?.to_vec()).ok()?;
    let key = rest.binary().ok()?.to_vec();
    rest.is_empty().then_some(StoredImage { tree, key, value: has_value.then(Vec::new) })
}
