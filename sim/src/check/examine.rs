//! Examination of an altered file: every read is right, or an error.

use super::compare::{ALL, Order, Reading, read_all};
use super::definition::Violation;
use super::probe::Probe;
use super::promises::D6;
use super::store_harness::problems;
use super::world::{World, file};
use crate::fs::{Disk, SimFs};
use fastness::{CommitId, Error, FileErrorCause, Recovery, Store, StoreSnapshot};
use fastness_models::OpKind;
use fastness_models::store::{ShortBytes, StoreState};
use std::collections::BTreeSet;

/// A genuine commit.
#[derive(Clone, Debug)]
pub(super) struct KnownCommit {
    pub(super) commit: CommitId,
    pub(super) state: StoreState,
}

/// The ids of the invariants to check.
#[derive(Clone, Copy, Debug)]
pub(super) struct InvariantIds {
    /// No wrong data is read.
    pub(super) never_wrong: &'static str,
    /// Verification reports what a read would.
    pub(super) noticed: &'static str,
    /// A refused file is unchanged.
    pub(super) untouched: &'static str,
}

/// The outcome of opening the file.
#[derive(Debug)]
pub(super) enum OpenOutcome {
    /// The file was refused.
    Refused(FileErrorCause),
    /// The file was opened.
    Opened(Box<Opened>),
}

/// An opened file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fs: SimFs,
    pub(super) store: Store,
    pub(super) commit: CommitId,
    /// The genuine commit that it holds, as far as it is readable.
    pub(super) which: usize,
    /// Whether everything is readable.
    pub(super) complete: bool,
    /// Whether salvage read entries of a tree that is only partly readable.
    pub(super) salvaged: bool,
    /// Whether verification found no problem.
    pub(super) clean: bool,
    pub(super) recovery: Option<Recovery>,
}

/// The known commits of a file, and the promises that altered copies of it must keep.
pub(super) struct Examiner<'a> {
    pub(super) world: &'a World,
    pub(super) known_commits: &'a [KnownCommit],
    pub(super) invariants: InvariantIds,
}

impl Examiner<'_> {
    /// Opens a file, reads every tree in both directions, and verifies it.
    pub(super) fn examine(&self, disk: Disk, probe: &mut Probe) -> Result<OpenOutcome, Violation> {
        let Self { world, known_commits, invariants: promises } = *self;
        let fs = world.boot(disk.clone());
        probe.count(OpKind::RefusedOpen.name(), 1);
        let store = match world.options(&fs).open(file()) {
            Ok(store) => store,
            Err(error) => {
                if !fs.disk().same_file(&disk, file()) {
                    let text = format!("a refused opening changed the file: {error}");
                    return Err(Violation::new(promises.untouched, text));
                }
                return refused(error, promises).map(OpenOutcome::Refused);
            }
        };
        let snapshot = store.snapshot();
        let read = Reader { world, snapshot: &snapshot, promises }.read(known_commits, probe)?;
        let (which, complete, salvaged) = read;
        let clean = problems(&snapshot).is_ok_and(|problems| problems.is_empty());
        probe.count(OpKind::Verify.name(), 1);
        if clean && !complete {
            let text = "a read fails, but verification finds no problem";
            return Err(Violation::new(promises.noticed, text));
        }
        let (commit, recovery) = (snapshot.commit(), store.recovery());
        drop(snapshot);
        let opened = Opened { fs, store, commit, which, complete, salvaged, clean, recovery };
        Ok(OpenOutcome::Opened(Box::new(opened)))
    }
}

/// An altered file may be refused as altered, but not with an error of the system.
fn refused(error: Error, promises: InvariantIds) -> Result<FileErrorCause, Violation> {
    if let Error::File { cause, .. } = &error
        && !matches!(
            cause,
            FileErrorCause::NotFound
                | FileErrorCause::Exists
                | FileErrorCause::PermissionDenied
                | FileErrorCause::InUse
                | FileErrorCause::OpenHere
                | FileErrorCause::NoSpace
                | FileErrorCause::Io(_)
        )
    {
        return Ok(cause.clone());
    }
    let text = format!("an altered file is refused with: {error}");
    Err(Violation::new(promises.noticed, text))
}

/// Reads everything in the file.
struct Reader<'a> {
    world: &'a World,
    snapshot: &'a StoreSnapshot,
    promises: InvariantIds,
}

impl Reader<'_> {
    /// Finds the genuine commit that all readable data belongs to; returns its index, whether
    /// everything was readable, and whether salvage read part of a tree.
    fn read(
        &self,
        known_commits: &[KnownCommit],
        probe: &mut Probe,
    ) -> Result<(usize, bool, bool), Violation> {
        let commit = self.snapshot.commit();
        let keys = [(); 2].map(|()| self.world.rng(|rng| [rng.byte(), rng.byte()]));
        let mut texts = Vec::new();
        for (index, candidate) in known_commits.iter().enumerate() {
            if candidate.commit != commit {
                continue;
            }
            match self.compare(&candidate.state, keys) {
                Reading::Differs { text, .. } => texts.push(text),
                Reading::Same(operations) => {
                    probe.count(OpKind::Scan.name(), operations);
                    return Ok((index, true, false));
                }
                Reading::Failed(error) => {
                    probe.count(OpKind::Scan.name(), 2);
                    refused(error, self.promises)?;
                    match self.read_salvaged(&candidate.state)? {
                        Ok(salvaged) => return Ok((index, false, salvaged)),
                        Err(text) => texts.push(text),
                    }
                }
            }
        }
        let text = match texts.is_empty() {
            true => format!("commit {commit} does not exist"),
            false => format!("commit {commit} has wrong contents: {}", texts.join("; or: ")),
        };
        Err(Violation::new(self.promises.never_wrong, text))
    }

    /// Reads every tree in both directions and some keys, which take different paths through the
    /// file.
    fn compare(&self, state: &StoreState, keys: [[u8; 2]; 2]) -> Reading {
        let mut worst = read_all(self.snapshot, state, Order::Forward);
        for reading in [read_all(self.snapshot, state, Order::Backward)]
            .into_iter()
            .chain(keys.map(|key| self.get(state, key)))
        {
            worst = match (worst, reading) {
                (differs @ Reading::Differs { .. }, _) | (_, differs @ Reading::Differs { .. }) => {
                    differs
                }
                (Reading::Failed(error), _) | (_, Reading::Failed(error)) => Reading::Failed(error),
                (Reading::Same(one), Reading::Same(two)) => Reading::Same(one + two),
            };
        }
        worst
    }

    /// Salvages each tree: every entry is right, and no entry that is readable by its key is
    /// missing. Returns whether part of a tree was salvaged, or a description of a wrong entry.
    fn read_salvaged(&self, state: &StoreState) -> Result<Result<bool, String>, Violation> {
        let mut salvaged = false;
        for name in self.snapshot.tree_names() {
            let tree = self.snapshot.tree(name);
            let (mut found, mut failed) = (BTreeSet::new(), false);
            for entry in tree.salvage() {
                match entry {
                    Ok((key, value)) if state.get(name, &key) == Some(&*value) => {
                        found.insert(key.to_vec());
                    }
                    Ok((key, _)) => {
                        let text =
                            format!("salvage returns a wrong value for key {}", ShortBytes(&key));
                        return Ok(Err(text));
                    }
                    Err(error) => {
                        failed = true;
                        refused(error, self.promises)?;
                    }
                }
            }
            salvaged |= failed && !found.is_empty();
            for (key, _) in state.range(name, ALL) {
                if !found.contains(key) && (!failed || tree.get(key).is_ok()) {
                    let text = format!("salvage omits the readable key {}", ShortBytes(key));
                    return Err(Violation::new(D6.id, text));
                }
            }
        }
        Ok(Ok(salvaged))
    }

    fn get(&self, state: &StoreState, [tree, key]: [u8; 2]) -> Reading {
        let domain = &self.world.domain;
        let (tree, key) = (domain.tree(tree), domain.key(key));
        match self.snapshot.tree(tree).get(&key) {
            Err(error) => Reading::Failed(error),
            Ok(found) if found.as_deref() == state.get(tree, &key) => Reading::Same(1),
            Ok(found) => {
                let found = found.as_deref().map(|value| ShortBytes(value).to_string());
                let text = format!("key {} of tree {tree:?} reads {found:?}", ShortBytes(&key));
                Reading::Differs { owner: None, text }
            }
        }
    }
}
