//! Looking at a file that somebody changed: whatever is read is right, or an error.

use super::compare::{Order, Reading, read_all, same_value};
use super::rig::problems;
use super::world::{World, file};
use super::{Probe, Violation};
use crate::fs::{Disk, SimFs};
use fastness::{CommitId, Error, FileErrorCause, Recovery, Snapshot, Store};
use fastness_models::Kind;
use fastness_models::store::State;

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
    let (which, whole) = read(&snapshot, genuine, promises, probe)?;
    let clean = problems(&snapshot).map_or(false, |problems| problems.is_empty());
    probe.count(Kind::Verify.name(), 1);
    if clean && !whole {
        let text = "a read fails, and the whole-file check finds nothing";
        return Err(Violation::new(promises.noticed, text));
    }
    sample(world, (&snapshot, &genuine[which].state), promises)?;
    let (commit, recovery) = (snapshot.commit(), store.recovery());
    drop(snapshot);
    let opened = Opened { fs, store, commit, which, whole, clean, recovery };
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

/// Finds the one genuine commit that everything readable belongs to.
fn read(
    snapshot: &Snapshot,
    genuine: &[Genuine],
    promises: Promises,
    probe: &mut Probe,
) -> Result<(usize, bool), Violation> {
    let mut texts = Vec::new();
    let ours = |genuine: &&Genuine| genuine.commit == snapshot.commit();
    for (index, candidate) in genuine.iter().enumerate().filter(|(_, genuine)| ours(genuine)) {
        let readings = [Order::Forward, Order::Backward]
            .map(|order| read_all(snapshot, &candidate.state, order));
        match readings {
            [Reading::Differs(text), _] | [_, Reading::Differs(text)] => texts.push(text),
            [Reading::Same(one), Reading::Same(two)] => {
                probe.count(Kind::Scan.name(), one + two);
                return Ok((index, true));
            }
            [Reading::Failed(error), _] | [_, Reading::Failed(error)] => {
                probe.count(Kind::Scan.name(), 2);
                refused(error, promises)?;
                return Ok((index, false));
            }
        }
    }
    let commit = snapshot.commit();
    let text = match texts.is_empty() {
        true => format!("commit {commit} was never made"),
        false => format!("commit {commit} is read wrongly: {}", texts.join("; or: ")),
    };
    Err(Violation::new(promises.never_wrong, text))
}

/// Reads some keys, which takes another way through the file than reading ranges.
fn sample(
    world: &World,
    (snapshot, state): (&Snapshot, &State),
    promises: Promises,
) -> Result<(), Violation> {
    for _ in 0..2 {
        let [tree, key] = world.rng(|rng| [rng.byte(), rng.byte()]);
        let (tree, key) = (world.domain.tree(tree), world.domain.key(key));
        if let Ok(found) = snapshot.tree(tree).get(&key) {
            same_value(found.as_ref(), state.get(tree, &key), promises.never_wrong)
                .map_err(|stop| super::rig::unexpected(stop, promises.never_wrong))?;
        }
    }
    Ok(())
}
