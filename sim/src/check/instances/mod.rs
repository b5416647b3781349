//! Instances: handles of several threads and kinds to two files, with different configurations,
//! compared with `models::instances`. The threads are simulated; loom explores waiting.

mod io_errors;
mod waiting;

use super::catch_panic::catch_panic;
use super::fixtures::{model_outcome, notes_module, read_notes, refusals, unexpected_error};
use super::promises::{A1, C2, C3, C11, J1, J2, J3, J4, J5, J6, J7};
use super::world::World;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::fs::{Disk, SimFs};
use fastness::config::{App, Callback, Configuration, MemoryFileEnv};
use fastness::instance::{FileRegistry, Instance, ThreadNumber, Threads};
use fastness::{Error, InstanceError};
use fastness_models::instances::{self as model, InstanceOutcome, InstanceRefusal, Migration};
use fastness_models::{Op, OpKind};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) const CHECK: Check = Check {
    name: "instances",
    about: "open handles of several threads and kinds: configurations, disk errors, deletion",
    invariants: &[J1, J2, J3, J4, J5, J6, J7, A1, C2, C3, C11],
    marks: &[
        "open on two threads",
        "open typed and dynamic",
        "refused: other key",
        "refused: other migration",
        "refused: other configuration",
        "opened after another configuration",
        "refused: wrong key",
        "migration failed",
        "migration panicked",
        "migration opened its own file",
        "UI thread refused instead of waiting for an opening",
        "UI thread refused instead of waiting for a transaction",
        "migrated with a dynamic instance open",
        "dropped on another thread",
        "used on another thread",
        "used after close",
        "closed twice",
        "nested transaction refused",
        "deletion refused",
        "deleted",
        "compaction refused",
        "copied",
        "copy refused",
        "disk error during an opening",
        "opening failed, file created without classes",
        "opening failed, classes written",
        "disk error during a deletion",
        "disk error during a compaction",
        "note failed and the file stayed usable",
        "failed note present",
        "failed note absent",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::OpenInstance, 24),
            (OpKind::CloseInstance, 16),
            (OpKind::UseInstance, 12),
            (OpKind::DeleteFile, 3),
            (OpKind::Compact, 2),
            (OpKind::Copy, 1),
            (OpKind::Inject, 8),
        ],
        ops_min: 20,
        ops_max: 60,
    },
    body,
};

const FILES: usize = 2;
const THREADS: usize = 3;
/// A thread that must not block.
const UI: usize = THREADS;
/// Names of migrations. Two of them have equal hashes, which must not make configurations equal.
const MIGRATIONS: [&str; 4] = ["Aa", "BB", "fails", "panics"];

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut run = InstanceHarness::new(&world, probe)?;
    for (step, op) in plan.ops.iter().enumerate() {
        run.probe.line(|| format!("{step:4} {op}"));
        let outcome = run.act(*op).and_then(|()| run.compare());
        outcome.map_err(|violation| violation.at(step))?;
    }
    run.end()
}

/// The simulated current thread.
#[derive(Debug, Default)]
struct SimulatedThread(AtomicUsize);

impl Threads for SimulatedThread {
    fn current(&self) -> ThreadNumber {
        ThreadNumber(self.0.load(Ordering::Relaxed))
    }
}

impl SimulatedThread {
    fn on<T>(&self, thread: usize, body: impl FnOnce() -> T) -> T {
        let before = self.0.swap(thread, Ordering::Relaxed);
        let outcome = body();
        self.0.store(before, Ordering::Relaxed);
        outcome
    }
}

/// Owned by a callback of the app; detects a drop while the registry lock is held.
struct DropProbe {
    instances: FileRegistry,
    locked: Arc<AtomicBool>,
}

impl Drop for DropProbe {
    fn drop(&mut self) {
        if self.instances.is_locked() {
            self.locked.store(true, Ordering::Relaxed);
        }
    }
}

/// The registry that runs a migration, and its configuration.
type MigrationContext = Arc<Mutex<Option<(FileRegistry, Configuration)>>>;

struct InstanceHarness<'a> {
    world: &'a World,
    probe: &'a mut Probe,
    app: App,
    fs: SimFs,
    threads: Arc<SimulatedThread>,
    instances: FileRegistry,
    reach: MigrationContext,
    met: Arc<Mutex<Vec<Error>>>,
    /// Whether a callback was dropped while the registry lock was held.
    locked: Arc<AtomicBool>,
    handles: Vec<Instance>,
    model: model::Instances,
    /// The last configuration of each file.
    last: [Option<u8>; FILES],
}

impl<'a> InstanceHarness<'a> {
    fn new(world: &'a World, probe: &'a mut Probe) -> Result<Self, Violation> {
        let fs = world.boot(Disk::default());
        let app = App::new("/sim").file_env(Arc::new(MemoryFileEnv::default()));
        let app = app.default_module(notes_module());
        let threads = Arc::new(SimulatedThread::default());
        let options = world.options_without_key(&fs);
        let instances = FileRegistry::open_with(&app, options, Arc::clone(&threads) as _);
        let instances = instances.map_err(unexpected_error)?;
        let (reach, met, locked) = (MigrationContext::default(), Arc::default(), Arc::default());
        let (handles, model) = (Vec::new(), model::Instances::new(FILES));
        let last = [None; FILES];
        Ok(Self {
            world,
            probe,
            app,
            fs,
            threads,
            instances,
            reach,
            met,
            locked,
            handles,
            model,
            last,
        })
    }

    fn act(&mut self, op: Op) -> Result<(), Violation> {
        self.probe.count(op.kind.name(), 1);
        let handle = usize::from(op.a).checked_rem(self.handles.len());
        match (op.kind, handle) {
            (OpKind::OpenInstance, _) => self.open(op),
            (OpKind::CloseInstance, Some(handle)) => self.close(handle, op),
            (OpKind::UseInstance, Some(handle)) => self.make_use(handle, op),
            (OpKind::Copy, Some(handle)) => self.copy(handle, op),
            (OpKind::DeleteFile, _) => self.delete(op),
            (OpKind::Compact, _) => self.compact(op),
            (OpKind::Inject, _) => self.fail(op),
            _ => Ok(()),
        }
    }

    /// Configurations are built for every use; equality depends on their fields only.
    fn configuration(&self, number: u8) -> model::Configuration {
        let base = u8::from(self.world.twin == Twin::Encrypted);
        let migration = |number: u8| Some(Migration { number, fails: number >= 2 });
        let of = |version, migration| model::Configuration { key: base, version, migration };
        match number % 8 {
            0 | 1 => of(1, None),
            2 => model::Configuration { key: 2, ..of(1, None) },
            3 => of(2, None),
            4 => of(2, migration(0)),
            5 => of(2, migration(1)),
            6 => of(3, migration(2)),
            _ => of(3, migration(3)),
        }
    }

    fn build(&self, file: usize, wanted: model::Configuration) -> Result<Configuration, Violation> {
        let build = || {
            let builder = Configuration::builder(&self.app).name(["a", "b"][file])?;
            let builder = builder.schema_version(i64::from(wanted.version))?;
            let builder = match wanted.key {
                0 => builder,
                number => builder.encryption_key(&[number; 64])?,
            };
            match wanted.migration {
                Some(migration) => builder.migration(self.migration(migration)).build(),
                None => builder.build(),
            }
        };
        build().map_err(unexpected_error)
    }

    /// A migration that tries blocking calls, then succeeds, fails or panics.
    fn migration(&self, migration: Migration) -> Callback {
        let name = MIGRATIONS[usize::from(migration.number) % MIGRATIONS.len()];
        let (reach, met) = (Arc::clone(&self.reach), Arc::clone(&self.met));
        let threads = Arc::clone(&self.threads);
        let drop_probe =
            DropProbe { instances: self.instances.clone(), locked: Arc::clone(&self.locked) };
        Callback::migration(name, move |_| {
            // The callback owns this value.
            let _held = &drop_probe;
            let reached = lock(&reach).clone();
            if let Some((instances, configuration)) = reached {
                let mut met = lock(&met);
                met.extend(instances.open_instance(&configuration).err());
                met.extend(threads.on(UI, || instances.open_dynamic(&configuration)).err());
                met.extend(threads.on(UI, || instances.delete(&configuration)).err());
            }
            match name {
                "fails" => Err(Error::TransactionFailed),
                "panics" => panic!("as planned"),
                _ => Ok(()),
            }
        })
    }

    fn open(&mut self, op: Op) -> Result<(), Violation> {
        let (file, thread) = (usize::from(op.c) % FILES, usize::from(op.a) % THREADS);
        let kind = [model::InstanceKind::Typed, model::InstanceKind::Dynamic]
            [usize::from(op.a) / THREADS % 2];
        let wanted = self.configuration(op.b);
        let configuration = self.build(file, wanted)?;
        let migrates = self.model.migrates(file, kind, wanted);
        let beside = self.model.global_count(file) > 0;
        *lock(&self.reach) = Some((self.instances.clone(), configuration.clone()));
        let ui = self.threads.on(UI, || self.instances.forbid_blocking());
        let opened = catch_panic(|| {
            self.threads.on(thread, || match kind {
                model::InstanceKind::Typed => self.instances.open_instance(&configuration),
                model::InstanceKind::Dynamic => self.instances.open_dynamic(&configuration),
            })
        });
        self.threads.0.store(0, Ordering::Relaxed);
        drop(ui);
        *lock(&self.reach) = None;
        self.waited(migrates)?;
        let opened = match opened {
            Ok(opened) => model_outcome(opened)?,
            Err(said) if said.contains("as planned") => {
                self.probe.mark("migration panicked");
                Err(InstanceRefusal::Migration)
            }
            Err(said) => return Err(Violation::new(super::NO_PANIC.id, said)),
        };
        let expected = self.model.open(file, model::Holder { thread, kind }, wanted);
        let outcome = opened.as_ref().map(drop).map_err(|refusal| *refusal);
        let line = || format!("     {kind:?}, file {file}, thread {thread}: {outcome:?}");
        self.probe.line(line);
        same(if expected.is_err() { J2.id } else { J3.id }, &outcome, &expected)?;
        self.mark_opened((file, op.b % 8), outcome, migrates && beside);
        self.handles.extend(opened);
        Ok(())
    }

    fn mark_opened(&mut self, opened: (usize, u8), outcome: InstanceOutcome<()>, beside: bool) {
        let ((file, by), probe) = (opened, &mut *self.probe);
        match outcome {
            Err(InstanceRefusal::OtherKey) => probe.mark("refused: other key"),
            Err(InstanceRefusal::OtherMigration) => probe.mark("refused: other migration"),
            Err(InstanceRefusal::Other) => probe.mark("refused: other configuration"),
            Err(InstanceRefusal::Key | InstanceRefusal::VersionLower) => {
                probe.mark("refused: wrong key")
            }
            Err(InstanceRefusal::Migration) => probe.mark("migration failed"),
            Err(_) => {}
            Ok(()) => {
                if beside {
                    probe.mark("migrated with a dynamic instance open");
                }
                if self.last[file].is_some_and(|last| last / 2 != by / 2) {
                    probe.mark("opened after another configuration");
                }
                self.last[file] = Some(by);
            }
        }
        let open = self.model.handles().iter().filter(|it| it.open && it.file == file);
        let (threads, kinds): (BTreeSet<_>, BTreeSet<_>) =
            open.map(|handle| (handle.thread, handle.kind)).unzip();
        if threads.len() > 1 {
            probe.mark("open on two threads");
        }
        if kinds.len() > 1 {
            probe.mark("open typed and dynamic");
        }
    }

    fn close(&mut self, handle: usize, op: Op) -> Result<(), Violation> {
        let own = self.model.handles()[handle].thread;
        let other = (own + 1) % THREADS;
        let open = self.model.handles()[handle].open;
        if op.b % 4 == 3 {
            let dropped = self.handles.remove(handle);
            self.threads.on(other, || drop(dropped));
            self.model.drop_handle(handle);
            if open {
                self.probe.mark("dropped on another thread");
            }
            return Ok(());
        }
        let thread = if op.b % 4 == 2 { other } else { own };
        let closed = model_outcome(self.threads.on(thread, || self.handles[handle].close()))?;
        same(J6.id, &closed, &self.model.close(handle, thread))?;
        if closed == Ok(false) {
            self.probe.mark("closed twice");
        }
        Ok(())
    }

    fn make_use(&mut self, handle: usize, op: Op) -> Result<(), Violation> {
        let own = self.model.handles()[handle].thread;
        let thread = if op.b % 8 == 7 { (own + 1) % THREADS } else { own };
        let used = &self.handles[handle];
        let found = if op.b.is_multiple_of(2) {
            let outcome = self.threads.on(thread, || read_notes(used));
            let expected = self.model.file_of(handle, thread).map(|file| file.notes.clone());
            let found = model_outcome(outcome)?;
            same(A1.id, &found, &expected)?;
            found.map(drop)
        } else {
            let (mut nested, mut waited) = (None, None);
            let is_ui = self.threads.on(UI, || self.instances.forbid_blocking());
            let can = self.model.handles()[handle].open && thread == own;
            let beside = can
                .then(|| self.threads.on(UI, || self.instances.open_dynamic(used.configuration())));
            let beside = beside.transpose().map_err(unexpected_error)?;
            let outcome = self.threads.on(thread, || {
                used.transact(|txn| {
                    nested = Some((used.transact(|_| Ok(())), used.close()));
                    waited = self.threads.on(UI, || beside.as_ref().map(refusals));
                    txn.get_or_create("Note", i64::from(op.c)).map(drop)
                })
            });
            let found = model_outcome(outcome)?;
            same(A1.id, &found, &self.model.add_note(handle, thread, op.c))?;
            self.nested(nested)?;
            self.threads.on(UI, || drop((beside, is_ui)));
            self.did_not_wait(waited)?;
            found
        };
        match found {
            Err(InstanceRefusal::OtherThread) => self.probe.mark("used on another thread"),
            Err(InstanceRefusal::Closed) => self.probe.mark("used after close"),
            _ => {}
        }
        Ok(())
    }

    /// Within a transaction, neither another transaction nor closing is possible.
    fn nested(
        &mut self,
        nested: Option<(Result<(), Error>, Result<bool, Error>)>,
    ) -> Result<(), Violation> {
        let Some((transaction, closed)) = nested else { return Ok(()) };
        let refused = |error: Option<Error>| {
            matches!(error, Some(Error::Instance(InstanceError::InTransaction { .. })))
        };
        if refused(transaction.err()) && refused(closed.err()) {
            self.probe.mark("nested transaction refused");
            return Ok(());
        }
        Err(Violation::new(J6.id, "a nested transaction was allowed"))
    }

    fn copy(&mut self, handle: usize, op: Op) -> Result<(), Violation> {
        let held = self.model.handles()[handle];
        let thread = if op.b % 8 == 7 { (held.thread + 1) % THREADS } else { held.thread };
        let target = ["/sim/copy-a", "/sim/copy-b"][held.file];
        let copied = self.threads.on(thread, || self.handles[handle].write_copy(target));
        let copied = model_outcome(copied)?;
        same(A1.id, &copied, &self.model.copy(handle, thread))?;
        match copied {
            Ok(()) => self.probe.mark("copied"),
            Err(InstanceRefusal::Exists) => self.probe.mark("copy refused"),
            Err(_) => {}
        }
        Ok(())
    }

    fn delete(&mut self, op: Op) -> Result<(), Violation> {
        let (file, thread) = (usize::from(op.b) % FILES, usize::from(op.a) % THREADS);
        let configuration = self.build(file, self.configuration(op.c))?;
        let deleted = self.threads.on(thread, || self.instances.delete(&configuration));
        let deleted = model_outcome(deleted)?;
        same(J4.id, &deleted, &self.model.delete(file))?;
        match deleted {
            Ok(true) => self.probe.mark("deleted"),
            Err(_) => self.probe.mark("deletion refused"),
            Ok(false) => {}
        }
        Ok(())
    }

    fn compact(&mut self, op: Op) -> Result<(), Violation> {
        let (file, wanted) = (usize::from(op.b) % FILES, self.configuration(op.c));
        let configuration = self.build(file, wanted)?;
        let compacted = model_outcome(self.instances.compact(&configuration))?;
        same(J4.id, &compacted, &self.model.compact(file, wanted.key))?;
        if compacted == Ok(false) {
            self.probe.mark("compaction refused");
        }
        Ok(())
    }

    /// Compares the counts of every file and thread, and the files on the disk, with the model.
    fn compare(&self) -> Result<(), Violation> {
        if self.locked.load(Ordering::Relaxed) {
            let text = "a migration was dropped while the lock was held";
            return Err(Violation::new(J5.id, text));
        }
        for file in 0..FILES {
            let configuration = self.build(file, self.configuration(0))?;
            let found = self.instances.global_count(&configuration);
            same(J1.id, &found, &self.model.global_count(file))?;
            for thread in 0..=UI {
                let found = self.threads.on(thread, || self.instances.local_count(&configuration));
                same(J1.id, &found, &self.model.local_count(file, thread))?;
            }
            let there = self.fs.disk().len(configuration.path()).is_some();
            same(J4.id, &there, &self.model.file(file).is_some())?;
        }
        for (one, other) in self.handles.iter().zip(self.handles.iter().skip(1)).take(4) {
            let at =
                |handle: &Instance| self.handles.iter().position(|it| std::ptr::eq(it, handle));
            let (Some(one_at), Some(other_at)) = (at(one), at(other)) else { continue };
            let (a, b) = (self.model.handles()[one_at], self.model.handles()[other_at]);
            let alike = (a.file, a.thread, a.kind) == (b.file, b.thread, b.kind);
            same(J1.id, &one.is_same(other), &(alike && a.open && b.open))?;
        }
        Ok(())
    }

    /// Drops all handles: every file is closed, and opens with its key.
    fn end(mut self) -> Result<(), Violation> {
        while let Some(handle) = self.handles.pop() {
            self.threads.on(UI, || drop(handle));
            self.model.drop_handle(self.handles.len());
        }
        self.compare()?;
        for file in 0..FILES {
            let Some(there) = self.model.file(file) else { continue };
            let wanted = model::Configuration { key: there.key, version: 9, migration: None };
            let instance = self.instances.open_dynamic(&self.build(file, wanted)?);
            let found = instance.and_then(|instance| read_notes(&instance));
            let found = found.map_err(|error| Violation::new(J7.id, error.to_string()))?;
            same(J7.id, &found, &there.notes)?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn same<T: PartialEq + std::fmt::Debug>(
    invariant: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("expected {expected:?}, found {found:?}")))
}
