//! Backups on another file system, with disk errors and power losses.

use fastness::StoreOptions;
use fastness::Time;
use fastness::config::{App, Configuration, MemoryFileEnv, User};
use fastness::instance::FileRegistry;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness_sim::Rng;
use fastness_sim::fs::{Disk, Fault, Injection, SimFs};
use std::path::Path;
use std::sync::Arc;

/// An app with one synced file, whose backups go to another file system.
struct BackupFixture {
    app: App,
    file: Configuration,
}

impl BackupFixture {
    fn new(encrypted: bool) -> Self {
        let number = Property::new("number", Scalar::Int).unwrap().required().primary_key();
        let class = Class::new("Note").map(|class| class.with(number));
        let app = App::new("/sim").file_env(Arc::new(MemoryFileEnv::default()));
        let app = app.default_module(Module::new("notes", class));
        let user = User::new("user", "http://host/auth").unwrap();
        let file = Configuration::sync_builder(&app, &user, "/~/a").unwrap();
        let file = if encrypted { file.encryption_key(&[7; 64]).unwrap() } else { file };
        Self { app, file: file.build().unwrap() }
    }

    fn start(&self, disk: Disk) -> (SimFs, FileRegistry) {
        let fs = SimFs::boot(disk, 1);
        fs.separate_devices();
        fs.record_forks();
        let options = StoreOptions::new().vfs(Arc::new(fs.clone()));
        let instances = FileRegistry::open(&self.app, options).unwrap();
        (fs, instances)
    }

    fn add(&self, instances: &FileRegistry, number: i64) {
        let notes = instances.open_instance(&self.file).unwrap();
        notes.transact(|txn| txn.get_or_create("Note", number).map(drop)).unwrap();
    }

    /// Checks that the action is done and that the backup holds so many notes.
    fn assert_backed_up(&self, (fs, instances): &(SimFs, FileRegistry), backup: &Path, notes: u64) {
        let outcomes: Vec<_> = instances.executed_at_start().iter().map(|it| &it.outcome).collect();
        assert!(instances.pending_actions().is_empty(), "R1: {outcomes:?}");
        assert!(fs.disk().len(self.file.path()).is_none(), "R1: the file still exists");
        let backup = instances.open_dynamic(&self.file.recovery_of(backup)).unwrap();
        let count = backup.snapshot().unwrap().objects("Note").unwrap().len();
        assert_eq!(count, notes, "R2");
    }
}

/// R1, R2: an error at any call of the first attempt, then a power loss at any call of the second.
#[test]
fn a_backup_is_made_after_an_error_and_a_loss_of_power() {
    for encrypted in [false, true] {
        let fixture = BackupFixture::new(encrypted);
        for after in 0.. {
            let (fs, instances) = fixture.start(Disk::default());
            fixture.add(&instances, 1);
            let reset = instances.require_reset(&fixture.file, Time(0)).unwrap();
            fs.inject(Injection { fault: Fault::Io, after, lasting: true });
            let outcome = instances.execute(&fixture.file);
            if fs.take_failure().is_none() {
                assert_eq!(outcome, Ok(true));
                break;
            }
            drop(instances);
            let (second, _) = fixture.start(fs.disk());
            let mut rng = Rng::new(after.into());
            for fork in second.take_forks() {
                let third = fixture.start(fork.disk.power_loss(&mut rng));
                fixture.assert_backed_up(&third, reset.backup_file(), 1);
            }
        }
    }
}

/// R1, R2: a file that changed after it was copied is copied again, and the first copy stays.
#[test]
fn a_file_that_was_copied_and_then_changed_is_backed_up_as_it_is() {
    for encrypted in [false, true] {
        let fixture = BackupFixture::new(encrypted);
        let mut copied = 0;
        for after in 0.. {
            let (fs, instances) = fixture.start(Disk::default());
            fixture.add(&instances, 1);
            let reset = instances.require_reset(&fixture.file, Time(0)).unwrap();
            let backup = reset.backup_file().to_path_buf();
            fs.inject(Injection { fault: Fault::Io, after, lasting: true });
            let outcome = instances.execute(&fixture.file);
            if fs.take_failure().is_none() {
                assert_eq!(outcome, Ok(true));
                break;
            }
            let there = |fs: &SimFs, path: &Path| fs.disk().len(path).is_some();
            if !there(&fs, fixture.file.path()) {
                continue;
            }
            let is_copied = there(&fs, &backup);
            fixture.add(&instances, 2);
            drop((reset, instances));
            let started = fixture.start(fs.disk());
            fixture.assert_backed_up(&started, &backup, 2);
            let mut first = backup.into_os_string();
            first.push(".1");
            assert_eq!(there(&started.0, Path::new(&first)), is_copied, "R2: nothing is replaced");
            copied += usize::from(is_copied);
        }
        assert!(copied > 0, "it stopped between copy and deletion");
    }
}
