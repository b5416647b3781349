//! Openings that must be refused with a named reason, and read-only openings.

use super::compare::{CheckError, Order, read_all};
use super::definition::Violation;
use super::store_harness::StoreHarness;
use super::world::{COPY, file, other_key, wrong_key};
use crate::fs::SimFs;
use fastness::{Error, FileErrorCause, Result, Store, StoreOptions};
use fastness_models::{Op, OpKind};
use std::path::Path;

/// The invariant that these openings check.
pub(super) const REFUSED: &str = "C10";

impl StoreHarness<'_> {
    /// Tries the openings that operand a selects; the store is open before and after.
    pub(super) fn refused_open(&mut self, op: Op) -> std::result::Result<(), CheckError> {
        if op.a.is_multiple_of(3) {
            let disk = self.fs.disk();
            self.refuse_while_open()?;
            self.same_bytes(&disk)?;
            return self.read_unclean();
        }
        self.close();
        let disk = self.fs.disk();
        let plain = self.world.options_without_key(&self.fs);
        if op.a.is_multiple_of(2) {
            let options = self.world.options(&self.fs);
            self.read_only(&options)?;
            refused(options.open(COPY), &FileErrorCause::NotFound)?;
            refused(options.open_read_only(COPY), &FileErrorCause::NotFound)?;
        } else {
            let (other, none) = match self.world.key() {
                Some(_) => (FileErrorCause::WrongKey, Some(FileErrorCause::KeyMissing)),
                None => (FileErrorCause::KeyForPlainFile, None),
            };
            for key in [wrong_key(), other_key()] {
                let options = plain.clone().key(key);
                refused(options.open(file()), &other)?;
                refused(options.open_read_only(file()), &other)?;
                refused(options.open_or_create(file()), &other)?;
            }
            if let Some(missing) = none {
                refused(plain.open(file()), &missing)?;
                refused(plain.open_or_create(file()), &missing)?;
            }
        }
        self.same_bytes(&disk)?;
        self.probe.count(OpKind::RefusedOpen.name(), 1);
        self.open()
    }

    fn refuse_while_open(&mut self) -> std::result::Result<(), CheckError> {
        let options = self.world.options(&self.fs);
        refused(options.open(file()), &FileErrorCause::InUse)?;
        refused(options.open_read_only(file()), &FileErrorCause::InUse)?;
        refused(options.create(file()), &FileErrorCause::Exists)?;
        self.probe.count(OpKind::RefusedOpen.name(), 3);
        Ok(())
    }

    /// Two concurrent readers exclude a writer.
    fn read_only(&mut self, options: &StoreOptions) -> std::result::Result<(), CheckError> {
        let (one, two) = (options.open_read_only(file())?, options.open_read_only(file())?);
        for store in [&one, &two] {
            let reading = read_all(&store.snapshot(), self.model.committed(), Order::Forward);
            self.probe.count("scan", reading.same("A1")?);
        }
        refused(options.open(file()), &FileErrorCause::InUse)?;
        let path = file().to_path_buf();
        let expected = Error::ReadOnly { path };
        for outcome in [one.write().map(drop), two.compact().map(drop)] {
            if outcome != Err(expected.clone()) {
                let text = format!("a read-only store writes: {outcome:?}");
                return Err(Violation::new(REFUSED, text).into());
            }
        }
        Ok(())
    }

    /// A reader of an unclosed file recovers in memory and writes nothing.
    fn read_unclean(&mut self) -> std::result::Result<(), CheckError> {
        let disk = self.fs.disk();
        let fs: SimFs = self.world.boot(disk.clone());
        let store = self.world.options(&fs).open_read_only(file())?;
        let reading = read_all(&store.snapshot(), self.model.committed(), Order::Backward);
        self.probe.count("scan", reading.same("A1")?);
        drop(store);
        if fs.disk().same_file(&disk, file()) {
            return Ok(());
        }
        Err(Violation::new(REFUSED, "a read-only opening changed the file").into())
    }

    fn same_bytes(&self, before: &crate::fs::Disk) -> std::result::Result<(), CheckError> {
        let now = self.fs.disk();
        if now.same_file(before, file()) && now.len(Path::new(COPY)).is_none() {
            return Ok(());
        }
        Err(Violation::new(REFUSED, "a refused opening changed the file").into())
    }
}

/// Compares the reason of a refusal.
fn refused(
    outcome: Result<Store>,
    expected: &FileErrorCause,
) -> std::result::Result<(), CheckError> {
    match outcome {
        Err(Error::File { cause, .. }) if cause == *expected => Ok(()),
        Err(error) => {
            Err(Violation::new(REFUSED, format!("refused with {error}, expected {expected}"))
                .into())
        }
        Ok(_) => Err(Violation::new(REFUSED, format!("opened, expected {expected}")).into()),
    }
}
