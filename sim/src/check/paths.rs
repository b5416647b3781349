//! Compaction, copying and creation where links, several names and leftovers are in the way.

use super::compare::{CheckError, Order, read_all};
use super::definition::Violation;
use super::probe::Probe;
use super::promises::{F4, V5, V6};
use super::world::{COPY, World, file};
use crate::fs::{Disk, NAME_BYTES_MAX, SimFs};
use fastness::{Error, FileErrorCause, Store};
use fastness_models::store::StoreState;
use std::path::Path;

/// A symbolic link to the file of the store.
const LINK: &str = "/sim/link.fast";
/// Another name of the file of the store.
const OTHER_NAME: &str = "/sim/other.fast";
/// A file that no operation may touch.
const BYSTANDER: &str = "/sim/bystander";
/// The name under which a copy grows.
const TEMPORARY: &str = "/sim/copy.fast.fastness-tmp";
/// The permissions of the file of the store, unlike those of a new file.
const MODE: u32 = 0o640;
/// The permissions of a file that only its owner may read.
const OWN_MODE: u32 = 0o600;

/// A closed store on a disk of its own, and its contents.
pub(super) struct PathChecker<'a> {
    pub(super) world: &'a World,
    pub(super) probe: &'a mut Probe,
    pub(super) disk: &'a Disk,
    pub(super) state: &'a StoreState,
}

impl PathChecker<'_> {
    pub(super) fn check(&mut self) -> Result<(), CheckError> {
        match self.world.rng(|rng| rng.below(5)) {
            0 => self.compact_through_link(),
            1 => self.compact_with_two_names(),
            2 => self.copy_to_long_name(),
            _ => self.copy_over_leftover(),
        }
    }

    /// Boots a machine whose disk has more names than the check knows.
    fn boot(&self, prepare: impl FnOnce(&mut Disk)) -> SimFs {
        let mut disk = self.disk.clone();
        prepare(&mut disk);
        self.world.boot(disk)
    }

    fn open(&self, fs: &SimFs, path: &Path) -> Result<Store, Error> {
        self.world.options(fs).open(path)
    }

    fn holds(&mut self, store: &Store, invariant: &'static str) -> Result<(), Violation> {
        let reading = read_all(&store.snapshot(), self.state, Order::Forward).same(invariant);
        let operations =
            reading.map_err(|error| super::store_harness::unexpected(error, invariant))?;
        self.probe.count("scan", operations);
        Ok(())
    }

    /// Through a symbolic link, the file that it leads to is compacted.
    fn compact_through_link(&mut self) -> Result<(), CheckError> {
        let fs = self.boot(|disk| {
            disk.symlink(LINK.as_ref(), file());
            disk.set_mode(file(), MODE);
        });
        let store = self.open(&fs, LINK.as_ref())?;
        store.compact()?;
        self.holds(&store, F4.id)?;
        drop(store);
        let disk = self.world.rng(|rng| fs.disk().power_loss(rng));
        let is_kept = disk.is_symlink(LINK.as_ref()) && !disk.is_symlink(file());
        let mode = disk.mode(file());
        if !is_kept || mode != Some(MODE) {
            let text = format!("the link is kept: {is_kept}, the file has mode {mode:?}");
            return Err(Violation::new(F4.id, text).into());
        }
        let store = self.open(&self.world.boot(disk), file())?;
        self.holds(&store, F4.id)?;
        self.probe.mark("compacted through a symbolic link");
        Ok(())
    }

    /// A file with two names is not compacted: one of them would keep the old content.
    fn compact_with_two_names(&mut self) -> Result<(), CheckError> {
        let fs = self.boot(|disk| disk.hard_link(OTHER_NAME.as_ref(), file()));
        let store = self.open(&fs, file())?;
        let refused = store.compact();
        let is_refused = matches!(
            refused,
            Err(Error::File { cause: FileErrorCause::SeveralNames { names: 2 }, .. })
        );
        self.holds(&store, F4.id)?;
        drop(store);
        let disk = fs.disk();
        if !is_refused || disk.number(file()) != disk.number(OTHER_NAME.as_ref()) {
            let text = format!("a file with two names was compacted: {refused:?}");
            return Err(Violation::new(F4.id, text).into());
        }
        self.probe.mark("compaction refused, two names");
        Ok(())
    }

    /// A copy may have any name that the file system takes.
    fn copy_to_long_name(&mut self) -> Result<(), CheckError> {
        let bytes = NAME_BYTES_MAX - self.world.rng(|rng| rng.below(20));
        let path = Path::new("/sim").join("n".repeat(bytes));
        let fs = self.boot(|_| {});
        let store = self.open(&fs, file())?;
        let copied = store.copy(&path, self.world.key().as_ref());
        if let Err(error) = copied {
            let text = format!("a copy to a name of {bytes} bytes: {error}");
            return Err(Violation::new(V6.id, text).into());
        }
        drop(store);
        let names = fs.disk().names().count();
        let disk = self.world.rng(|rng| fs.disk().power_loss(rng));
        let store = self.open(&self.world.boot(disk), &path)?;
        self.holds(&store, V6.id)?;
        if names != self.disk.names().count() + 1 {
            return Err(Violation::new(V6.id, "a temporary file is left").into());
        }
        if bytes > 242 {
            self.probe.mark("copied to a name of more than 242 bytes");
        }
        Ok(())
    }

    /// A copy is a file of its own, whatever is at its temporary name.
    fn copy_over_leftover(&mut self) -> Result<(), CheckError> {
        let kind = self.world.rng(|rng| rng.below(3));
        let fs = self.boot(|disk| {
            disk.copy_from(&self.disk.clone(), (file(), BYSTANDER.as_ref()));
            disk.set_mode(BYSTANDER.as_ref(), MODE);
            match kind {
                0 => disk.copy_from(&self.disk.clone(), (file(), TEMPORARY.as_ref())),
                1 => disk.symlink(TEMPORARY.as_ref(), BYSTANDER.as_ref()),
                _ => disk.hard_link(TEMPORARY.as_ref(), BYSTANDER.as_ref()),
            }
            disk.set_mode(TEMPORARY.as_ref(), MODE);
        });
        let before = fs.disk();
        let store = self.open(&fs, file())?;
        let key = self.world.key();
        store.copy(COPY, key.as_ref())?;
        drop(store);
        let disk = fs.disk();
        let is_same = disk.same_file(&before, BYSTANDER.as_ref());
        let mode = disk.mode(COPY.as_ref());
        if !is_same || mode != Some(OWN_MODE) || disk.is_symlink(COPY.as_ref()) {
            let text = format!(
                "another file is unchanged: {is_same}, the copy has mode {mode:?}, and is a link: \
                 {}",
                disk.is_symlink(COPY.as_ref())
            );
            return Err(Violation::new(V5.id, text).into());
        }
        let store = self.open(&self.world.boot(disk), COPY.as_ref())?;
        self.holds(&store, V5.id)?;
        self.probe.mark(match kind {
            0 => "copied over a leftover",
            1 => "copied over a symbolic link",
            _ => "copied over a hard link",
        });
        Ok(())
    }
}
