//! Looking at a file that somebody changed: whatever is read is right, or an error.

use super::compare::{ALL, Order, Reading, read_all};
use super::promises::D6;
use super::rig::problems;
use super::world::{World, file};
use super::{Probe, Violation};
use crate::fs::{Disk, SimFs};
use fastness::{CommitId, Error, FileErrorCause, Recovery, Snapshot, Store};
use fastness_models::Kind;
use fastness_models::store::{Shown, State};
use std::collections::BTreeSet;

/// A commit that was really made.
#[derive(Clone, Debug)]
pub(super) struct Genuine {
    pub(super) commit: CommitId,
    pub(super) state: State,
}

/// Which promises are at stake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promises {
    /// Nothing wrong is read.
    pub(super) never_wrong: &'static str,
    /// The whole-file check notices what a read would.
    pub(super) noticed: &'static str,
    /// A file that cannot be opened stays as it is.
    pub(super) untouched: &'static str,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// The file could not be opened.
    Refused(FileErrorCause),
    /// It was opened.
    Opened(Box<Opened>),
}

/// A file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fs: SimFs,
    pub(super) store: Store,
    pub(super) commit: CommitId,
    /// Which of the genuine commits it holds, as far as it can be read.
    pub(super) which: usize,
    /// Whether all of it could be read.
    pub(super) whole: bool,
    /// Whether some of it could be read though some could not, in one tree.
    pub(super) around: bool,
    /// Whether the whole-file check found nothing.
    pub(super) clean: bool,
    pub(super) recovery: Option<Recovery>,
}

/// Opens a file, reads every tree both ways, and checks all of it.
pub(super) fn examine(
    (world, probe): (&World, &mut Probe),
    disk: Disk,
    genuine: &[Genuine],
    promises: Promises,
) -> Result<Found, Violation> {
    let fs = world.boot(disk.clone());
    probe.count(Kind::Misopen.name(), 1);
    let store = match world.options(&fs).open(file()) {
        Ok(store) => store,
        Err(error) => {
            if !fs.disk().same_file(&disk, file()) {
                let text = format!("the file was changed and then refused: {error}");
                return Err(Violation::new(promises.untouched, text));
            }
            return refused(error, promises).map(Found::Refused);
        }
    };
    let snapshot = store.snapshot();
    let read = Reader { world, snapshot: &snapshot, promises }.read(genuine, probe)?;
    let (which, whole, around) = read;
    let clean = problems(&snapshot).is_ok_and(|problems| problems.is_empty());
    probe.count(Kind::Verify.name(), 1);
    if clean && !whole {
        let text = "a read fails, and the whole-file check finds nothing";
        return Err(Violation::new(promises.noticed, text));
    }
    let (commit, recovery) = (snapshot.commit(), store.recovery());
    drop(snapshot);
    let opened = Opened { fs, store, commit, which, whole, around, clean, recovery };
    Ok(Found::Opened(Box::new(opened)))
}

/// An altered file may be refused as such, and not as if the system had failed.
fn refused(error: Error, promises: Promises) -> Result<FileErrorCause, Violation> {
    if let Error::File { cause, .. } = &error
        && !matches!(
            cause,
            FileErrorCause::NotFound
                | FileErrorCause::Exists
                | FileErrorCause::PermissionDenied
                | FileErrorCause::InUse
                | FileErrorCause::NoSpace
                | FileErrorCause::Io(_)
        )
    {
        return Ok(cause.clone());
    }
    let text = format!("an altered file is refused as: {error}");
    Err(Violation::new(promises.noticed, text))
}

/// Reads all there is.
struct Reader<'a> {
    world: &'a World,
    snapshot: &'a Snapshot,
    promises: Promises,
}

impl Reader<'_> {
    /// Finds the one genuine commit that everything readable belongs to, and tells whether all is
    /// readable, and whether something was read around what is not.
    fn read(
        &self,
        genuine: &[Genuine],
        probe: &mut Probe,
    ) -> Result<(usize, bool, bool), Violation> {
        let commit = self.snapshot.commit();
        let keys = [(); 2].map(|()| self.world.rng(|rng| [rng.byte(), rng.byte()]));
        let mut texts = Vec::new();
        for (index, candidate) in genuine.iter().enumerate() {
            if candidate.commit != commit {
                continue;
            }
            match self.compare(&candidate.state, keys) {
                Reading::Differs(text) => texts.push(text),
                Reading::Same(operations) => {
                    probe.count(Kind::Scan.name(), operations);
                    return Ok((index, true, false));
                }
                Reading::Failed(error) => {
                    probe.count(Kind::Scan.name(), 2);
                    refused(error, self.promises)?;
                    match self.read_around(&candidate.state)? {
                        Ok(around) => return Ok((index, false, around)),
                        Err(text) => texts.push(text),
                    }
                }
            }
        }
        let text = match texts.is_empty() {
            true => format!("commit {commit} was never made"),
            false => format!("commit {commit} is read wrongly: {}", texts.join("; or: ")),
        };
        Err(Violation::new(self.promises.never_wrong, text))
    }

    /// Reads every tree both ways and some keys, which takes other ways through the file.
    fn compare(&self, state: &State, keys: [[u8; 2]; 2]) -> Reading {
        let mut worst = read_all(self.snapshot, state, Order::Forward);
        for reading in [read_all(self.snapshot, state, Order::Backward)]
            .into_iter()
            .chain(keys.map(|key| self.get(state, key)))
        {
            worst = match (worst, reading) {
                (Reading::Differs(text), _) | (_, Reading::Differs(text)) => Reading::Differs(text),
                (Reading::Failed(error), _) | (_, Reading::Failed(error)) => Reading::Failed(error),
                (Reading::Same(one), Reading::Same(two)) => Reading::Same(one + two),
            };
        }
        worst
    }

    /// Walks what can be read of each tree: every entry is right, else a text says which is not,
    /// and none that can be read by its key is left out. Tells whether that was part of a tree.
    fn read_around(&self, state: &State) -> Result<Result<bool, String>, Violation> {
        let mut around = false;
        for name in self.snapshot.tree_names() {
            let tree = self.snapshot.tree(name);
            let (mut found, mut failed) = (BTreeSet::new(), false);
            for entry in tree.salvage() {
                match entry {
                    Ok((key, value)) if state.get(name, &key) == Some(&*value) => {
                        found.insert(key.to_vec());
                    }
                    Ok((key, _)) => {
                        let text = format!("key {} is wrong around damage", Shown(&key));
                        return Ok(Err(text));
                    }
                    Err(error) => {
                        failed = true;
                        refused(error, self.promises)?;
                    }
                }
            }
            around |= failed && !found.is_empty();
            for (key, _) in state.range(name, ALL) {
                if !found.contains(key) && (!failed || tree.get(key).is_ok()) {
                    let text = format!("key {} can be read and is left out", Shown(key));
                    return Err(Violation::new(D6.id, text));
                }
            }
        }
        Ok(Ok(around))
    }

    fn get(&self, state: &State, [tree, key]: [u8; 2]) -> Reading {
        let domain = &self.world.domain;
        let (tree, key) = (domain.tree(tree), domain.key(key));
        match self.snapshot.tree(tree).get(&key) {
            Err(error) => Reading::Failed(error),
            Ok(found) if found.as_deref() == state.get(tree, &key) => Reading::Same(1),
            Ok(found) => {
                let found = found.as_deref().map(|value| Shown(value).to_string());
                let text = format!("key {} of tree {tree:?} reads {found:?}", Shown(&key));
                Reading::Differs(text)
            }
        }
    }
}
