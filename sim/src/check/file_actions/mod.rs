//! Recorded file actions with crashes at every step and disk errors: carried out once, nothing
//! lost, nothing replaced.
//!
//! An interrupted action is retried at the next start; the result equals a completed action, or
//! none.

use super::fixtures::{notes_module, unexpected_error};
use super::promises::{A1, O1, R1, R2, R3, R4, R5};
use super::world::World;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::fs::{Disk, Fault, Injection, SimFs};
use fastness::Time;
use fastness::config::{App, Configuration, MemoryFileEnv, User};
use fastness::instance::FileRegistry;
use fastness::object::Transaction;
use fastness::vfs::{Access, Vfs as _};
use fastness::{Error, FileErrorCause, InstanceError};
use fastness_models::file_actions::{
    Action, ActionOutcome, Backup, FileActions, FileContent, TargetOccupied,
};
use fastness_models::{Op, OpKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod crash;

pub(super) const CHECK: Check = Check {
    name: "file-actions",
    about: "backups and deletions of files, under crashes and errors at every step",
    invariants: &[R1, R2, R3, R4, R5, O1, A1],
    marks: &[
        "backed up immediately",
        "backed up to another file system",
        "backed up at the start",
        "deleted at the start",
        "file of an action missing",
        "backup path occupied",
        "complete backup recognized after a crash",
        "action refused while the file is open",
        "no action recorded",
        "crash during recording",
        "crash during execution",
        "crash during start",
        "failed, executed later",
        "action replaced between two attempts",
        "new file survived a recorded action",
        "older file renamed",
        "older file renamed to its recorded backup path",
        "crash during the rename of an older file",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::UseInstance, 12),
            (OpKind::RecordAction, 8),
            (OpKind::ExecuteAction, 6),
            (OpKind::BlockBackup, 4),
            (OpKind::Inject, 3),
            (OpKind::Reopen, 3),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 2),
        ],
        ops_min: 10,
        ops_max: 40,
    },
    body,
};

const FILES: usize = 2;
/// A file of an older generation.
const OLDER: [u8; 600] = {
    let mut bytes = [0x6f; 600];
    let mark = *b"T-DB";
    let mut at = 0;
    while at < mark.len() {
        bytes[16 + at] = mark[at];
        at += 1;
    }
    bytes
};
/// A foreign file at the path of a backup.
const FOREIGN: &[u8] = b"none of ours";
/// More forks than this are sampled.
const FORKS_MAX: usize = 3;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let environment = Environment::new(&world)?;
    let fs = environment.boot(Disk::default());
    let instances = environment.start(&fs).map_err(unexpected_error)?;
    let mut run = FileActionHarness {
        environment: &environment,
        probe,
        fs,
        instances,
        state: FileActions::default(),
        targets: Vec::new(),
        acted: [false; FILES],
    };
    for (step, op) in plan.ops.iter().enumerate() {
        run.probe.line(|| format!("{step:4} {op}"));
        run.act(*op).map_err(|violation| violation.at(step))?;
    }
    run.restart(run.fs.disk())
}

/// The configuration shared by all machines of a run.
struct Environment<'w> {
    world: &'w World,
    app: App,
    files: Vec<Configuration>,
}

impl<'w> Environment<'w> {
    fn new(world: &'w World) -> Result<Self, Violation> {
        let app = App::new("/sim").file_env(Arc::new(MemoryFileEnv::default()));
        let app = app.default_module(notes_module());
        let build = |file: usize| {
            let user = User::new("user", "http://host/auth")?;
            let builder = Configuration::sync_builder(&app, &user, ["/~/a", "/~/b"][file])?;
            match world.twin {
                Twin::Plain => builder.build(),
                Twin::Encrypted => builder.encryption_key(&[0x4b; 64])?.build(),
            }
        };
        let files =
            (0..FILES).map(build).collect::<Result<_, Error>>().map_err(unexpected_error)?;
        Ok(Self { world, app, files })
    }

    /// Boots a machine. In half of the plans backups go to another file system.
    fn boot(&self, disk: Disk) -> SimFs {
        let fs = self.world.boot(disk);
        if self.world.salt & 1 == 0 {
            fs.separate_devices();
        }
        fs
    }

    fn start(&self, fs: &SimFs) -> Result<FileRegistry, Error> {
        FileRegistry::open(&self.app, self.world.options_without_key(fs))
    }

    /// Returns the configuration of a backup; two builds of it must be equal.
    fn backup(&self, target: &Path) -> Result<Configuration, Violation> {
        let [one, other] = [(); 2].map(|()| self.files[0].recovery_of(target));
        if one != other || one.stable_hash() != other.stable_hash() || one == self.files[0] {
            let text = format!("the configuration of {} differs from itself", target.display());
            return Err(Violation::new(O1.id, text));
        }
        Ok(one)
    }

    fn number(&self, path: &Path) -> Option<usize> {
        self.files.iter().position(|file| file.path() == path)
    }
}

struct FileActionHarness<'g> {
    environment: &'g Environment<'g>,
    probe: &'g mut Probe,
    fs: SimFs,
    instances: FileRegistry,
    state: FileActions,
    /// Paths of backups, by number.
    targets: Vec<PathBuf>,
    /// Files with a completed action.
    acted: [bool; FILES],
}

impl FileActionHarness<'_> {
    fn act(&mut self, op: Op) -> Result<(), Violation> {
        self.probe.count(op.kind.name(), 1);
        let file = usize::from(op.a) % FILES;
        match op.kind {
            OpKind::UseInstance => self.add_note(file, op),
            OpKind::RecordAction => self.require(file, op),
            OpKind::ExecuteAction => self.execute(file, op),
            OpKind::BlockBackup => self.obstruct(file, op),
            OpKind::Inject => self.fail(file, op),
            OpKind::Reopen | OpKind::Kill => self.restart(self.fs.disk()),
            OpKind::PowerLoss => {
                let disk = self.environment.world.rng(|rng| self.fs.disk().power_loss(rng));
                self.restart(disk)
            }
            _ => Ok(()),
        }
    }

    /// Opens a file and adds a note, or finds that it was renamed.
    fn add_note(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let configuration = &self.environment.files[file];
        let before = self.state.clone();
        let expected = self.state.add_note(file, op.c, self.targets.len());
        if expected.is_some() {
            self.fs.record_forks();
        }
        let opened = self.instances.open_instance(configuration);
        match expected {
            None => {
                let note =
                    |txn: &mut Transaction| txn.get_or_create("Note", i64::from(op.c)).map(drop);
                let opened = opened.map_err(unexpected_error)?;
                opened.transact(note).map_err(unexpected_error)?;
                if self.instances.execute(configuration).is_ok() {
                    return Err(Violation::new(R1.id, "an action ran while the file was open"));
                }
            }
            Some(expected) => return self.check_renamed_older(opened.map(drop), expected, before),
        }
        if self.state.pending.contains_key(&file) {
            self.probe.mark("action refused while the file is open");
        }
        if self.acted[file] {
            self.probe.mark("new file survived a recorded action");
        }
        Ok(())
    }

    /// A file of an older generation is at the reported path, also after a crash at every call.
    fn check_renamed_older(
        &mut self,
        opened: Result<(), Error>,
        expected: Result<usize, TargetOccupied>,
        before: FileActions,
    ) -> Result<(), Violation> {
        match (opened, expected) {
            (
                Err(Error::File { cause: FileErrorCause::IncompatibleSync { moved_to }, .. }),
                Ok(to),
            ) => {
                self.probe.mark(match to < self.targets.len() {
                    true => "older file renamed to its recorded backup path",
                    false => "older file renamed",
                });
                if to == self.targets.len() {
                    self.targets.push(moved_to);
                } else if self.targets[to] != moved_to {
                    let text = format!("renamed to {}, expected {to}", moved_to.display());
                    return Err(Violation::new(R5.id, text));
                }
            }
            (Err(Error::File { cause: FileErrorCause::Exists, .. }), Err(TargetOccupied)) => {
                self.probe.mark("backup path occupied");
            }
            (opened, expected) => {
                let text = format!("expected {expected:?}, found {opened:?}");
                return Err(Violation::new(R5.id, text));
            }
        }
        self.compare(&self.instances, &self.fs, &self.state)?;
        let after = self.state.clone();
        self.crashes("crash during the rename of an older file", &[before, after.clone()])?;
        let disk = self.environment.world.rng(|rng| self.fs.disk().power_loss(rng));
        self.lands(disk, &[after])
    }

    /// Records an action, with a crash at every call.
    fn require(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let before = self.state.clone();
        let configuration = &self.environment.files[file];
        self.fs.record_forks();
        if op.b.is_multiple_of(4) {
            self.instances.require_deletion(configuration).map_err(unexpected_error)?;
            self.state.require(file, Action::Delete);
        } else {
            let reset =
                self.instances.require_reset(configuration, Time(0)).map_err(unexpected_error)?;
            self.state.require(file, Action::BackUp(self.targets.len()));
            self.targets.push(reset.backup_file().to_path_buf());
        }
        let after = self.state.clone();
        if op.c.is_multiple_of(4) {
            self.crashes("crash during recording", &[before, after.clone()])?;
        }
        // An acknowledged record is durable.
        let disk = self.environment.world.rng(|rng| self.fs.disk().power_loss(rng));
        self.lands(disk, &[after])
    }

    /// Executes an action, with a crash at every call.
    fn execute(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let before = self.state.clone();
        self.fs.record_forks();
        let found = action_outcome(self.instances.execute(&self.environment.files[file]))?;
        let expected = self.state.execute(file);
        if found != expected {
            let text = format!("expected {expected:?}, found {found:?}");
            return Err(Violation::new(R1.id, text));
        }
        self.probe.mark(match found {
            None => "no action recorded",
            Some(Ok(true)) => "backed up immediately",
            Some(Ok(false)) => "file of an action missing",
            Some(Err(TargetOccupied)) => "backup path occupied",
        });
        self.acted[file] |= found == Some(Ok(true));
        let backed_up = self.state.backups.len() > before.backups.len();
        if backed_up && self.environment.world.salt & 1 == 0 {
            self.probe.mark("backed up to another file system");
        }
        self.compare(&self.instances, &self.fs, &self.state)?;
        if op.b.is_multiple_of(2) {
            let after = self.state.clone();
            self.crashes("crash during execution", &[before, after.clone()])?;
            let disk = self.environment.world.rng(|rng| self.fs.disk().power_loss(rng));
            self.lands(disk, &[after])?;
        }
        Ok(())
    }

    /// Creates an obstacle: an older file at the path of a file; a foreign file or a finished copy
    /// at the path of its backup.
    fn obstruct(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let path = self.environment.files[file].path();
        if op.b.is_multiple_of(2) {
            if !self.state.files.contains_key(&file) {
                self.place(path, &OLDER)?;
                self.state.files.insert(file, FileContent::Older);
            }
            return Ok(());
        }
        let Some(Action::BackUp(number)) = self.state.pending.get(&file).copied() else {
            return Ok(());
        };
        if self.state.backups.contains_key(&number) {
            return Ok(());
        }
        let target = &self.targets[number];
        if op.b % 4 == 1 {
            self.place(target, FOREIGN)?;
            self.state.backups.insert(number, Backup::Foreign);
        } else if self.state.files.contains_key(&file) {
            let disk = self.fs.disk();
            // The interrupted attempt synced the file first.
            self.fs.tamper(|own| {
                own.copy_from(&disk, (path, path));
                own.copy_from(&disk, (path, target));
            });
            self.probe.mark("complete backup recognized after a crash");
            // Restart before the file changes.
            return self.restart(self.fs.disk());
        }
        Ok(())
    }

    /// Creates a foreign file.
    fn place(&self, path: &Path, bytes: &[u8]) -> Result<(), Violation> {
        let placed = self.fs.open(path, Access::CreateNew).and_then(|file| {
            file.write_at(bytes, 0)?;
            file.sync()?;
            self.fs.sync_dir(path)
        });
        placed.map_err(|error| Violation::new(A1.id, error.to_string()))
    }

    /// Executes an action while calls fail, then again without failures.
    fn fail(&mut self, file: usize, op: Op) -> Result<(), Violation> {
        let fault = [Fault::NoSpace, Fault::Io, Fault::SyncIo, Fault::Short][usize::from(op.b % 4)];
        let injection =
            Injection { fault, after: u32::from(op.c) % 16, lasting: (op.b / 4).is_multiple_of(4) };
        let before = self.state.clone();
        let mut after = before.clone();
        let expected = after.execute(file);
        self.fs.inject(injection);
        let outcome = self.instances.execute(&self.environment.files[file]);
        let met = self.fs.take_failure().is_some();
        match (&outcome, expected) {
            (Ok(exists), Some(Ok(expected))) if *exists == expected => {
                self.state = after;
                self.acted[file] |= *exists;
                // A reported success is durable.
                self.compare(&self.instances, &self.fs, &self.state)?;
                let disk = self.environment.world.rng(|rng| self.fs.disk().power_loss(rng));
                let landed = [self.state.clone()];
                return self.lands(disk, &landed);
            }
            (Err(_), Some(_)) if met => {}
            (Err(error), _) if action_outcome::<bool>(Err(error.clone()))?.is_none() => {
                return Ok(());
            }
            (Err(Error::File { cause: FileErrorCause::Exists, .. }), Some(Err(TargetOccupied))) => {
                return Ok(());
            }
            _ => {
                let text = format!("expected {expected:?}, found {outcome:?}");
                return Err(Violation::new(R3.id, text));
            }
        }
        let pending = self
            .instances
            .pending_actions()
            .iter()
            .any(|action| action.path == self.environment.files[file].path());
        if !pending {
            return Err(Violation::new(R3.id, "a failed action is no longer recorded"));
        }
        let mut done = before;
        let configuration = &self.environment.files[file];
        let exists = self.fs.disk().len(configuration.path()).is_some();
        if op.c & 4 == 4 && exists && matches!(done.files.get(&file), Some(FileContent::Current(_)))
        {
            let opened = self.instances.open_instance(configuration).map_err(unexpected_error)?;
            let note = |txn: &mut Transaction| txn.get_or_create("Note", i64::from(op.c)).map(drop);
            opened.transact(note).map_err(unexpected_error)?;
            done.add_note(file, op.c, self.targets.len());
            self.probe.mark("action replaced between two attempts");
        }
        // The next start completes an interrupted action.
        let outcomes = done.start();
        self.probe.mark("failed, executed later");
        let disk = match op.c.is_multiple_of(2) {
            true => self.fs.disk(),
            false => self.environment.world.rng(|rng| self.fs.disk().power_loss(rng)),
        };
        self.lands(disk.clone(), std::slice::from_ref(&done))?;
        outcomes.iter().for_each(|(file, outcome)| self.acted[*file] |= *outcome == Ok(true));
        self.state = done;
        self.boot(disk)
    }

    /// Restarts the process on this disk, with a crash at every call.
    fn restart(&mut self, disk: Disk) -> Result<(), Violation> {
        let before = self.state.clone();
        let fs = self.environment.boot(disk);
        fs.record_forks();
        let instances = self.environment.start(&fs).map_err(unexpected_error)?;
        let expected = self.state.start();
        let mut found = Vec::new();
        for executed in instances.executed_at_start() {
            let Some(file) = self.environment.number(&executed.action.path) else {
                return Err(Violation::new(R4.id, format!("unknown file: {executed:?}")));
            };
            let outcome = action_outcome(executed.outcome.clone())?;
            found.push((file, outcome.unwrap_or(Ok(false))));
        }
        if found != expected {
            let text = format!("expected {expected:?}, found {found:?}");
            return Err(Violation::new(R4.id, text));
        }
        for (file, outcome) in expected {
            self.acted[file] |= outcome == Ok(true);
            let action = before.pending.get(&file);
            self.probe.mark(match (outcome, action) {
                (Err(TargetOccupied), _) => "backup path occupied",
                (Ok(false), _) => "file of an action missing",
                (Ok(true), Some(Action::Delete)) => "deleted at the start",
                (Ok(true), _) => "backed up at the start",
            });
        }
        self.fs = fs;
        self.instances = instances;
        self.compare(&self.instances, &self.fs, &self.state)?;
        if before.pending.is_empty() {
            return Ok(());
        }
        let after = self.state.clone();
        self.crashes("crash during start", &[before, after])
    }

    /// Restarts on a disk with a known state.
    fn boot(&mut self, disk: Disk) -> Result<(), Violation> {
        self.fs = self.environment.boot(disk);
        self.instances = self.environment.start(&self.fs).map_err(unexpected_error)?;
        self.compare(&self.instances, &self.fs, &self.state)
    }
}

/// Translates an outcome into the model's; none if no action is recorded.
fn action_outcome<T: Into<bool>>(
    outcome: Result<T, Error>,
) -> Result<Option<ActionOutcome>, Violation> {
    match outcome {
        Ok(exists) => Ok(Some(Ok(exists.into()))),
        Err(Error::Instance(InstanceError::NoAction { .. })) => Ok(None),
        Err(Error::File { cause: FileErrorCause::Exists, .. }) => Ok(Some(Err(TargetOccupied))),
        Err(error) => Err(unexpected_error(error)),
    }
}
