//! Recovery after a crash: a start finds files, backups and recorded actions as in one of the model
//! states.

use super::super::fixtures::{read_notes, unexpected_error};
use super::super::promises::{R1, R2, R3, R5};
use super::{FOREIGN, FORKS_MAX, FileActionHarness, OLDER};
use crate::Rng;
use crate::check::definition::Violation;
use crate::fs::{Disk, Fork, SimFs};
use fastness::config::Configuration;
use fastness::instance::FileRegistry;
use fastness_models::file_actions::{Backup, FileActions, FileContent};
use std::path::Path;

impl FileActionHarness<'_> {
    /// After a crash at each recorded call, a start equals one of the states.
    pub(super) fn crashes(
        &mut self,
        mark: &'static str,
        states: &[FileActions],
    ) -> Result<(), Violation> {
        let forks = self.fs.take_forks();
        let world = self.environment.world;
        let one_in = forks.len().div_ceil(FORKS_MAX).max(1);
        for Fork { at, disk } in forks {
            if !world.rng(|rng| rng.one_in(one_in)) {
                continue;
            }
            let disk = world.rng(|rng| match rng.one_in(2) {
                true => disk.power_loss(rng),
                false => disk.clone(),
            });
            self.lands(disk, states)?;
            self.probe.crash(at.name());
            self.probe.mark(mark);
        }
        Ok(())
    }

    /// A start on this disk equals a start from one of the states, also when it is interrupted, and
    /// a second start changes nothing.
    pub(super) fn lands(
        &mut self,
        mut disk: Disk,
        states: &[FileActions],
    ) -> Result<(), Violation> {
        let world = self.environment.world;
        if world.rng(|rng| rng.one_in(3)) {
            let fs = self.environment.boot(disk.clone());
            fs.record_forks();
            drop(self.environment.start(&fs).map_err(unexpected_error)?);
            let mut forks = fs.take_forks();
            if !forks.is_empty() {
                let at = world.rng(|rng| rng.below(forks.len()));
                let mut rng = Rng::new(world.rng(Rng::next));
                disk = forks.swap_remove(at).disk.power_loss(&mut rng);
            }
        }
        for _ in 0..2 {
            let fs = self.environment.boot(disk);
            let instances = self.environment.start(&fs).map_err(unexpected_error)?;
            let mut violation = None;
            let landed = states.iter().any(|state| {
                let mut state = state.clone();
                state.start();
                let outcome = self.compare(&instances, &fs, &state);
                let same = outcome.is_ok();
                violation = violation.take().or(outcome.err());
                same
            });
            if !landed {
                return Err(
                    violation.unwrap_or_else(|| Violation::new(R1.id, "no permitted state"))
                );
            }
            drop(instances);
            disk = fs.disk();
        }
        Ok(())
    }

    /// Compares files, backups and recorded actions with the state.
    pub(super) fn compare(
        &self,
        instances: &FileRegistry,
        fs: &SimFs,
        state: &FileActions,
    ) -> Result<(), Violation> {
        let disk = fs.disk();
        for (file, configuration) in self.environment.files.iter().enumerate() {
            let exists = disk.len(configuration.path()).is_some();
            if exists != state.files.contains_key(&file) {
                let text = format!("file {file} exists: {exists}, expected the opposite");
                return Err(Violation::new(R1.id, text));
            }
            if let Some(expected) = state.files.get(&file) {
                self.holds((instances, &disk), configuration, expected)?;
            }
        }
        for (number, target) in self.targets.iter().enumerate() {
            let exists = disk.len(target).is_some();
            match state.backups.get(&number) {
                None if !exists => {}
                Some(Backup::Foreign) if bytes(&disk, target) == FOREIGN => {}
                Some(Backup::Of(expected)) if exists => {
                    let backup = self.environment.backup(target)?;
                    self.holds((instances, &disk), &backup, expected)?;
                }
                expected => {
                    let text = format!("backup {number}: {exists}, expected {expected:?}");
                    return Err(Violation::new(R2.id, text));
                }
            }
        }
        let found = instances.pending_actions();
        let found: Vec<_> = found.iter().map(|it| self.environment.number(&it.path)).collect();
        let expected: Vec<_> = state.pending.keys().map(|file| Some(*file)).collect();
        if found != expected {
            let text = format!("actions are recorded for {found:?}, expected {expected:?}");
            return Err(Violation::new(R3.id, text));
        }
        Ok(())
    }

    fn holds(
        &self,
        (instances, disk): (&FileRegistry, &Disk),
        configuration: &Configuration,
        expected: &FileContent,
    ) -> Result<(), Violation> {
        let path = configuration.path();
        let notes = match expected {
            FileContent::Current(notes) => notes,
            FileContent::Older if bytes(disk, path) == OLDER => return Ok(()),
            FileContent::Older => {
                let text = format!("{}: not the older file", path.display());
                return Err(Violation::new(R5.id, text));
            }
        };
        let found =
            instances.open_dynamic(configuration).and_then(|instance| read_notes(&instance));
        match found {
            Ok(found) if found == *notes => Ok(()),
            found => {
                let text = format!("{}: expected {notes:?}, found {found:?}", path.display());
                Err(Violation::new(R2.id, text))
            }
        }
    }
}

/// Returns the bytes of a file of at most one page.
fn bytes(disk: &Disk, path: &Path) -> Vec<u8> {
    let len = disk.len(path).and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    disk.page(path, 0).map_or(Vec::new(), |page| page.iter().take(len).copied().collect())
}
