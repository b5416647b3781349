//! Record of actions on files, which run at the next start.
//!
//! - R1 A recorded action is carried out exactly once: it leaves the record only when its effect is
//!   durable, and no new file takes the path before.
//! - R3 A failed action stays recorded and is reported.
//!
//! The record is a plain store of its own, opened for each use; it names paths, never a key.

use super::contents::Sum;
use super::file::FileOpener;

use crate::codec::{Reader, Writer, u32_len};
use crate::error::{Damage, Error, Result};
use crate::error_kind::FileErrorKind;
use crate::txn::{Store, StoreOptions, WriteTxn};
use crate::unit::PageId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Directory of sync, below that of files.
pub(super) const SYNC_DIRECTORY: &str = "realm-object-server";
/// Path of the record, below that directory.
const RECORD: &str = "io.realm.object-server-utility/metadata/file-actions";
const TREE: &str = "file-actions";
/// Checksums of copies, by the path of the file.
const COPIES: &str = "copies";

/// An action on a closed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAction {
    /// The file.
    pub path: PathBuf,
    /// The action.
    pub kind: ActionKind,
    /// URL of the file on its server.
    pub url: String,
    /// Identity of its user.
    pub identity: String,
}

/// Kind of an action on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Delete it.
    Delete,
    /// Copy it there, byte for byte, then delete it.
    BackUp {
        /// Path of the copy, which does not exist yet.
        target: PathBuf,
    },
}

/// Outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionOutcome {
    /// The action.
    pub action: FileAction,
    /// Whether there was a file, or why the action failed and stays recorded.
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
pub(super) struct ActionRecord {
    pub(super) path: PathBuf,
}

impl ActionRecord {
    /// Returns the record of an app with this directory of files.
    pub(super) fn below(files: &Path) -> Self {
        Self { path: files.join(SYNC_DIRECTORY).join(RECORD) }
    }

    fn options(opener: &FileOpener) -> StoreOptions {
        let mut options = opener.options.clone();
        options.key = None;
        options
    }

    /// Returns every action in the order of its path.
    pub(super) fn all(&self, opener: &FileOpener) -> Result<Vec<FileAction>> {
        let store = match Self::options(opener).open(&self.path) {
            Err(error) if error.file_kind() == Some(FileErrorKind::NotFound) => return Ok(vec![]),
            outcome => outcome?,
        };
        let snapshot = store.snapshot();
        let mut actions = Vec::new();
        for entry in snapshot.tree(TREE).range(..)? {
            let (path, value) = entry?;
            let action = FileAction::decode(&path, &value);
            // A sealed page with such an entry was written by a faulty or hostile program.
            let malformed = || Error::damaged(&self.path, PageId(0), Damage::Content);
            actions.push(action.ok_or_else(malformed)?);
        }
        Ok(actions)
    }

    /// Records an action durably, in place of one for the same file.
    pub(super) fn put(&self, opener: &FileOpener, action: &FileAction) -> Result<()> {
        let store = Self::options(opener).open_or_create(&self.path)?;
        let path = action.path.as_os_str().as_bytes();
        edit(&store, |txn| {
            txn.tree(COPIES)?.remove(path)?;
            txn.tree(TREE)?.insert(path, &action.encode()).map(drop)
        })
    }

    /// Removes the action for a file, durably.
    pub(super) fn remove(&self, opener: &FileOpener, path: &Path) -> Result<()> {
        let store = Self::options(opener).open(&self.path)?;
        edit(&store, |txn| {
            txn.tree(COPIES)?.remove(path.as_os_str().as_bytes())?;
            txn.tree(TREE)?.remove(path.as_os_str().as_bytes()).map(drop)
        })
    }

    /// Records durably what the copy is that a file is about to get.
    pub(super) fn put_copy(&self, opener: &FileOpener, path: &Path, sum: Sum) -> Result<()> {
        let store = Self::options(opener).open(&self.path)?;
        edit(&store, |txn| txn.tree(COPIES)?.insert(path.as_os_str().as_bytes(), &sum.0).map(drop))
    }

    /// Tells whether this is the copy that a file got, or was about to get.
    pub(super) fn is_copy(&self, opener: &FileOpener, path: &Path, sum: Sum) -> Result<bool> {
        let store = Self::options(opener).open(&self.path)?;
        let found = store.snapshot().tree(COPIES).get(path.as_os_str().as_bytes())?;
        Ok(found.is_some_and(|found| *found == sum.0))
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
    fn actions_survive_their_bytes_and_others_are_none() {
        let backed_up = ActionKind::BackUp { target: "backups/a".into() };
        for kind in [ActionKind::Delete, backed_up] {
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
