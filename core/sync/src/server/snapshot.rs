//! Snapshots for new clients: the entries of the state's trees at one seq, as a stream of bytes.
//!
//! - SV3 The bytes of a snapshot depend on the state and the answers to entries alone; a part can
//!   be read from any offset, and all parts, however they are cut, are the stream.
//! - SY10 A snapshot and the history after it are the full fold.
//!
//! Format: docs/protocol.md#snapshots.

use super::error::{ServerError, ServerResult};
use super::layout::{CLIENTS, DEAD_LETTERS, ROOT, UsedNumbers};
use super::replica::{ServerReplica, ServerStatus};
use super::trees::ReadTrees as _;
use crate::codec::put_binary;
use crate::fault::{self, Fault};
use crate::table_state::WINDOW_TREE;
use fastness::StoreSnapshot;
use ring::digest::{Context, SHA256};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// Distance of the offsets at which a reader can begin without reading what is before.
const INDEX_BYTES: u64 = 256 << 10;

/// Kinds of records in the stream.
const TREE: u8 = 1;
const ENTRY: u8 = 2;
const REFUSAL: u8 = 3;
const CLIENT: u8 = 4;

/// Returns the kind of the records of a tree's entries.
fn kind_of(tree: &str) -> u8 {
    match tree {
        DEAD_LETTERS => REFUSAL,
        CLIENTS => CLIENT,
        _ => ENTRY,
    }
}

/// A place between two records of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StreamPlace {
    /// Index of a tree.
    tree: usize,
    /// Key of the next entry; none before the record of the tree.
    key: Option<Vec<u8>>,
}

/// A snapshot that is given to clients. It stays as it is while the database goes on.
pub struct SnapshotReader {
    snapshot: StoreSnapshot,
    _user: Arc<()>,
    server: ServerStatus,
    trees: Vec<String>,
    /// Places at about every [`INDEX_BYTES`], with their offsets.
    index: Vec<(u64, StreamPlace)>,
    /// The place up to which the stream is measured; none at its end.
    next: Option<StreamPlace>,
    measured: u64,
    context: Context,
    root: Option<[u8; 32]>,
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SnapshotReader");
        debug.field("server", &self.server).field("measured", &self.measured);
        debug.finish_non_exhaustive()
    }
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSlice {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Hash of the whole stream, with the last part.
    pub root: Option<[u8; 32]>,
}

impl ServerReplica {
    /// Takes a snapshot for clients.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn snapshot(&self) -> ServerResult<SnapshotReader> {
        let snapshot = self.store.snapshot();
        let mut trees = &snapshot;
        let meta = trees.meta()?;
        let server = ServerStatus::new(&meta, &trees.head(&meta)?);
        let trees = state_trees(&snapshot);
        let next = Some(StreamPlace { tree: 0, key: None });
        let context = Context::new(&SHA256);
        let index = Vec::new();
        Ok(SnapshotReader {
            snapshot,
            _user: Arc::clone(&self.users),
            server,
            trees,
            index,
            next,
            measured: 0,
            context,
            root: None,
        })
    }
}

/// Returns the names of the state's trees, in order.
fn state_trees(snapshot: &StoreSnapshot) -> Vec<String> {
    let is_window = |name: &str| name == WINDOW_TREE && !fault::on(Fault::Sn30);
    let is_refusals = |name: &str| name == DEAD_LETTERS && !fault::on(Fault::Rs10);
    let is_answers = |name: &str| is_refusals(name) || name == CLIENTS;
    let is_state = |name: &&str| name.starts_with(ROOT) || is_window(name) || is_answers(name);
    snapshot.tree_names().filter(is_state).map(str::to_owned).collect()
}

/// Returns the name of a tree in the stream: below the root, or empty for the window.
fn stream_name(tree: &str) -> &str {
    tree.strip_prefix(ROOT).and_then(|name| name.strip_prefix('/')).unwrap_or_default()
}

impl SnapshotReader {
    /// Returns the state of the database at the snapshot.
    #[must_use]
    pub const fn server(&self) -> &ServerStatus {
        &self.server
    }

    /// Returns the length of the stream in bytes, if it is known.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.root.map(|_| self.measured)
    }

    /// Measures about so many bytes of the stream; tells whether its length is known now.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn measure(&mut self, bytes: u64) -> ServerResult<bool> {
        let Some(from) = self.next.clone() else { return Ok(true) };
        let Self { snapshot, trees, index, measured, context, .. } = self;
        let end = measured.saturating_add(bytes);
        let next = walk(snapshot, trees, &from, &mut |place, record| {
            if *measured >= end {
                return false;
            }
            if index.last().is_none_or(|(offset, _)| *measured - offset >= INDEX_BYTES) {
                index.push((*measured, place()));
            }
            context.update(record);
            *measured += record.len() as u64;
            true
        })?;
        self.next = next;
        if self.next.is_none() {
            let digest = self.context.clone().finish();
            self.root = digest.as_ref().try_into().ok();
        }
        Ok(self.next.is_none())
    }

    /// Reads a part of the stream, of at most so many bytes, from an offset on.
    ///
    /// # Errors
    /// [`ServerError::Offset`] if the offset is behind the end of the stream, or its length is not
    /// known yet; if the file cannot be read or is damaged.
    pub fn part(&self, offset: u64, bytes_max: usize) -> ServerResult<SnapshotSlice> {
        let total = self.total().filter(|total| offset <= *total);
        let total = total.ok_or(ServerError::Offset(offset))?;
        let before = self.index.partition_point(|(start, _)| *start <= offset);
        let mut bytes = Vec::new();
        if let Some((start, from)) = before.checked_sub(1).and_then(|at| self.index.get(at)) {
            let mut at = *start;
            walk(&self.snapshot, &self.trees, from, &mut |_, record| {
                let skipped = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
                let wanted = record.get(skipped..).unwrap_or_default();
                let count = wanted.len().min(bytes_max - bytes.len());
                bytes.extend_from_slice(&wanted[..count]);
                at += record.len() as u64;
                bytes.len() < bytes_max
            })?;
        }
        let is_last = offset + bytes.len() as u64 == total;
        Ok(SnapshotSlice { bytes, root: self.root.filter(|_| is_last) })
    }
}

/// A callback for each record of the stream: its place, and its bytes.
type VisitRecord<'v> = dyn FnMut(&dyn Fn() -> StreamPlace, &[u8]) -> bool + 'v;

/// Visits the records from a place on while the callback wants more. Returns the place of the one
/// that the callback refused.
fn walk(
    snapshot: &StoreSnapshot,
    trees: &[String],
    from: &StreamPlace,
    visit: &mut VisitRecord<'_>,
) -> ServerResult<Option<StreamPlace>> {
    let mut record = Vec::new();
    for (number, name) in trees.iter().enumerate().skip(from.tree) {
        let key = from.key.as_deref().filter(|_| number == from.tree);
        let kind = kind_of(name);
        if key.is_none() && kind == ENTRY {
            let place = StreamPlace { tree: number, key: None };
            put_record(&mut record, TREE, &[stream_name(name).as_bytes()]);
            if !visit(&|| place.clone(), &record) {
                return Ok(Some(place));
            }
        }
        let start = key.map_or(Bound::Unbounded, Bound::Included);
        for entry in snapshot.tree(name).range((start, Bound::Unbounded))? {
            let (key, value) = entry?;
            let numbers = if kind == CLIENT { UsedNumbers::of_record(&value)? } else { None };
            if kind == CLIENT && numbers.is_none() {
                continue;
            }
            let value = numbers.as_deref().unwrap_or(&value);
            let place = || StreamPlace { tree: number, key: Some(key.to_vec()) };
            put_record(&mut record, kind, &[&key, value]);
            if !visit(&place, &record) {
                return Ok(Some(place()));
            }
        }
    }
    Ok(None)
}

fn put_record(record: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    record.clear();
    record.push(kind);
    parts.iter().for_each(|part| put_binary(record, part));
}
