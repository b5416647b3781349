//! File actions, and the store that records them until they are executed.
//!
//! - R1 A recorded action is executed exactly once: its record is removed only when its effect is
//!   durable, and no new file takes the path before that.
//! - R3 A failed action is reported and stays recorded.
//!
//! The record is a plain store of its own, opened for each use. It contains paths, never a key.

use super::digest::Digest;
use super::file_opener::FileOpener;
use crate::codec::{Reader, Writer, u32_len};
use crate::error::{Damage, Error, Result};
use crate::error_kind::FileErrorKind;
use crate::txn::{Store, StoreOptions, WriteTxn};
use crate::unit::PageId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Directory of sync below the directory for files.
const SYNC: &str = "realm-object-server";
/// The record below that directory.
const RECORD: &str = "io.realm.object-server-utility/metadata/file-actions";
/// The directory of moved files below that directory.
const RECOVERED: &str = "io.realm.object-server-recovered-realms";

/// The tree of actions, by the path of the file.
const ACTIONS: &str = "file-actions";
/// The tree of digests of copies, by the path of the file.
const COPIES: &str = "copies";

/// An operation on a file that waits until no handle is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAction {
    /// The file.
    pub path: PathBuf,
    /// The operation.
    pub kind: ActionKind,
    /// URL of the file on its server.
    pub url: String,
    /// Identity of its user.
    pub identity: String,
}

/// An operation on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Delete it.
    Delete,
    /// Move it, byte for byte.
    BackUp {
        /// The new path, which is unused.
        target: PathBuf,
    },
}

/// The outcome of an executed action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionOutcome {
    /// The action.
    pub action: FileAction,
    /// Whether the file existed, or the error of an action that stays recorded.
    pub outcome: Result<bool>,
}

impl FileAction {
    fn encode(&self) -> Vec<u8> {
        let target = match &self.kind {
            ActionKind::Delete => None,
            ActionKind::BackUp { target } => Some(target),
        };
        let mut writer = Writer::default();
        writer.u8(u8::from(target.is_some()));
        let target = target.map_or(&[][..], |path| path.as_os_str().as_bytes());
        for text in [target, self.url.as_bytes(), self.identity.as_bytes()] {
            writer.u32(u32_len(text.len()));
            writer.put(text);
        }
        writer.into_bytes()
    }

    fn decode(path: &[u8], value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let number = reader.u8()?;
        let target = bytes(&mut reader)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let (url, identity) = (text(bytes(&mut reader)?)?, text(bytes(&mut reader)?)?);
        let kind = match number {
            0 => ActionKind::Delete,
            1 => ActionKind::BackUp { target: to_path(target) },
            _ => return None,
        };
        Some(Self { path: to_path(path), kind, url, identity })
    }
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let count = usize::try_from(reader.u32()?).ok()?;
    reader.take(count)
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// The record of actions.
#[derive(Debug)]
pub(super) struct ActionStore {
    /// Path of the record.
    pub(super) path: PathBuf,
    /// Directory of backups and of files that were moved away.
    pub(super) recovered: PathBuf,
}

impl ActionStore {
    /// Locates the record below the directory for files.
    pub(super) fn below(files: &Path) -> Self {
        let sync = files.join(SYNC);
        Self { path: sync.join(RECORD), recovered: sync.join(RECOVERED) }
    }

    fn options(opener: &FileOpener) -> StoreOptions {
        let mut options = opener.options.clone();
        options.key = None;
        options
    }

    /// Returns every action in the order of paths.
    pub(super) fn all(&self, opener: &FileOpener) -> Result<Vec<FileAction>> {
        let store = match Self::options(opener).open(&self.path) {
            Err(error) if error.file_kind() == Some(FileErrorKind::NotFound) => return Ok(vec![]),
            outcome => outcome?,
        };
        let snapshot = store.snapshot();
        let mut actions = Vec::new();
        for entry in snapshot.tree(ACTIONS).range(..)? {
            let (path, value) = entry?;
            let action = FileAction::decode(&path, &value);
            // A faulty or hostile program wrote a sealed page with this entry.
            let malformed = || Error::damaged(&self.path, PageId(0), Damage::Content);
            actions.push(action.ok_or_else(malformed)?);
        }
        Ok(actions)
    }

    /// Records an action durably, in the place of the one for the same file.
    pub(super) fn put(&self, opener: &FileOpener, action: &FileAction) -> Result<()> {
        let store = Self::options(opener).open_or_create(&self.path)?;
        let path = action.path.as_os_str().as_bytes();
        edit(&store, |txn| {
            txn.tree(COPIES)?.remove(path)?;
            txn.tree(ACTIONS)?.insert(path, &action.encode()).map(drop)
        })
    }

    /// Removes the action for a file, durably.
    pub(super) fn remove(&self, opener: &FileOpener, path: &Path) -> Result<()> {
        let store = Self::options(opener).open(&self.path)?;
        edit(&store, |txn| {
            txn.tree(COPIES)?.remove(path.as_os_str().as_bytes())?;
            txn.tree(ACTIONS)?.remove(path.as_os_str().as_bytes()).map(drop)
        })
    }

    /// Records durably the digest of the copy that a file is about to get.
    pub(super) fn put_copy(&self, opener: &FileOpener, path: &Path, digest: Digest) -> Result<()> {
        let store = Self::options(opener).open(&self.path)?;
        edit(&store, |txn| {
            txn.tree(COPIES)?.insert(path.as_os_str().as_bytes(), &digest.0).map(drop)
        })
    }

    /// Returns whether the digest is that of a copy of this file.
    pub(super) fn is_copy(&self, opener: &FileOpener, path: &Path, digest: Digest) -> Result<bool> {
        let store = Self::options(opener).open(&self.path)?;
        let found = store.snapshot().tree(COPIES).get(path.as_os_str().as_bytes())?;
        Ok(found.is_some_and(|found| *found == digest.0))
    }
}

fn edit(store: &Store, change: impl FnOnce(&mut WriteTxn) -> Result<()>) -> Result<()> {
    let mut txn = store.write()?;
    change(&mut txn)?;
    txn.commit().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_actions_decode_and_truncated_ones_do_not() {
        let backup = ActionKind::BackUp { target: "backups/a".into() };
        for kind in [ActionKind::Delete, backup] {
            let (path, url) = (PathBuf::from("files/a"), "realm://host/a".to_owned());
            let action = FileAction { path, kind, url, identity: "id".to_owned() };
            let bytes = action.encode();
            assert_eq!(FileAction::decode(b"files/a", &bytes), Some(action));
            for len in 0..bytes.len() {
                assert_eq!(FileAction::decode(b"files/a", &bytes[..len]), None, "{len}");
            }
        }
        assert_eq!(FileAction::decode(b"a", &[2; 40]), None);
    }
}
