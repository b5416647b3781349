//! Schema changes: in transactions, and by migrations with a crash at every call.

use super::compare::CheckError;
use super::definition::{Check, Distribution, Violation};
use super::objects::driver;
use super::objects::harness::ObjectHarness;
use super::objects::object_check::ObjectCheck;
use super::objects::own_error::OwnError;
use super::objects::{bridge, compare};
use super::promises::{A4, B1, B2, B4, B5, B6, B8, B13, B16, C2, C8, C11, C13, M6, M7, Q2};
use super::world::file;
use crate::Rng;
use crate::fs::{Disk, Fault, Injection, SimFs};
use fastness::Error;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Class, SchemaError, SchemaMode};
use fastness_models::object_schema::SchemaChange;
use fastness_models::objects::{DatabaseState, Key, ObjectRefusal, Value};
use fastness_models::{Op, OpKind};
use std::cell::Cell;

/// Maximum number of changes in a migration.
const CHANGES_MAX: u8 = 6;
/// Limit of the sweep over failing calls of an opening.
const CALLS_MAX: u32 = 60;

pub(super) const CHECK: Check = Check {
    name: "schema",
    about: "schema changes with existing objects, and migrations with a crash at every call",
    invariants: &[M6, M7, B1, B2, B4, B16, C2, C8, C11, C13, B5, B6, B8, B13, Q2, A4],
    marks: &[
        "wrote through another database over the store",
        "primary key added to existing objects",
        "primary key removed",
        "duplicate keys refused",
        "new property refused as primary key",
        "null key became zero",
        "removed a property with links",
        "renamed the target class of links",
        "changed a chunked list",
        "migration failed without changes",
        "migration crashed, and ran again",
        "migration crashed after its commit",
        "file emptied",
        "opening changed the type of a primary key",
        "keys of another type were not unique",
        "migrated with another database open",
        "disk error during a migration",
        "synced schema extended",
        "synced schema change refused",
        "synced primary key change refused",
        "opening extended a synced schema",
        "opening ignored extra synced classes",
        "older app version opened a synced file",
        "invalid synced classes refused",
        "operation of a transaction failed",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 8),
            (OpKind::Upsert, 6),
            (OpKind::Set, 16),
            (OpKind::Delete, 3),
            (OpKind::ListInsert, 10),
            (OpKind::ListEdit, 3),
            (OpKind::ChangeSchema, 16),
            (OpKind::Migrate, 3),
            (OpKind::ReadAllObjects, 3),
            (OpKind::Commit, 5),
            (OpKind::Abort, 1),
            (OpKind::Reopen, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 1),
            (OpKind::Inject, 2),
            (OpKind::ClearFault, 1),
        ],
        ops_min: 30,
        ops_max: 120,
    },
    body: driver::run::<SchemaCheck>,
};

/// Schema changes between object operations.
struct SchemaCheck;

impl ObjectCheck for SchemaCheck {
    const INVARIANT: &'static str = B1.id;

    fn begin(_harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError> {
        Ok(Self)
    }

    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::ChangeSchema => change_schema(harness, op),
            OpKind::Migrate => migrate(harness, op),
            _ => harness.act(op),
        }
    }
}

/// Applies a schema change in a transaction of the core.
fn apply(txn: &mut Transaction, change_schema: &SchemaChange) -> Result<(), Error> {
    match change_schema {
        SchemaChange::AddClass(name) => txn.add_class(&Class::new(name.as_str())?),
        SchemaChange::RemoveClass(name) => txn.remove_class(name),
        SchemaChange::RenameClass(name, to) => txn.rename_class(name, to),
        SchemaChange::AddProperty(class, name, held) => {
            txn.add_property(class, &bridge::property(name, held, false)?)
        }
        SchemaChange::AddKey(class, name, held) => {
            txn.add_property(class, &bridge::property(name, held, true)?)
        }
        SchemaChange::RemoveProperty(class, name) => txn.remove_property(class, name),
        SchemaChange::RenameProperty(class, name, to) => txn.rename_property(class, name, to),
        SchemaChange::SetNullable(class, name, nullable) => {
            txn.set_nullable(class, name, *nullable)
        }
        SchemaChange::SetKey(class, name) => txn.set_primary_key(class, name.as_deref()),
        SchemaChange::SetIndexed(class, name, indexed) => txn.set_indexed(class, name, *indexed),
    }
}

/// Makes the schema change that an operation draws.
pub(super) fn change_schema(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    let change = harness.domain.change_schema([op.a, op.b, op.c], harness.seen());
    make_change(harness, &change)
}

/// Makes a schema change, in the core and in the model.
pub(super) fn make_change(
    harness: &mut ObjectHarness<'_>,
    change: &SchemaChange,
) -> Result<(), CheckError> {
    mark(harness, change);
    let synced = harness.domain.is_synced();
    let (txn, state) = harness.write()?;
    let found = apply(txn, change);
    let expected = match synced {
        true => state.change_synced_schema(change),
        false => state.change_schema(change),
    };
    harness.same(change, found, expected)?;
    match expected {
        Ok(()) if synced => harness.probe.mark("synced schema extended"),
        Err(ObjectRefusal::SyncedChange) => harness.probe.mark("synced schema change refused"),
        Err(ObjectRefusal::SyncedKey) => harness.probe.mark("synced primary key change refused"),
        _ => {}
    }
    harness.probe.count(OpKind::ChangeSchema.name(), 1);
    Ok(())
}

/// Counts the mark of a change before the model applies it.
fn mark(harness: &mut ObjectHarness<'_>, change: &SchemaChange) {
    let state = harness.seen();
    let held = |class: &str| state.classes.get(class).filter(|class| !class.objects.is_empty());
    let outcome = match harness.domain.is_synced() {
        true => return,
        false => state.clone().change_schema(change),
    };
    let marked = match (change, outcome) {
        (SchemaChange::SetKey(..), Err(ObjectRefusal::KeysNotUnique)) => "duplicate keys refused",
        (SchemaChange::AddKey(..), Err(ObjectRefusal::KeysNotUnique)) => {
            "new property refused as primary key"
        }
        (SchemaChange::SetKey(class, Some(_)), Ok(())) if held(class).is_some() => {
            "primary key added to existing objects"
        }
        (SchemaChange::SetKey(class, None), Ok(()))
            if held(class).is_some_and(|c| c.key.is_some()) =>
        {
            "primary key removed"
        }
        (SchemaChange::SetNullable(class, name, false), Ok(()))
            if held(class).is_some_and(|class| {
                class.key.as_ref() == Some(name) && class.objects.contains_key(&Key::Null)
            }) =>
        {
            "null key became zero"
        }
        (SchemaChange::RemoveProperty(class, name), Ok(())) => {
            let links = held(class).is_some_and(|class| {
                class
                    .objects
                    .values()
                    .any(|object| matches!(object.values.get(name), Some(Value::Link(_))))
            });
            if !links {
                return;
            }
            "removed a property with links"
        }
        (SchemaChange::RenameClass(class, _), Ok(())) => {
            let mut others = state.classes.values().flat_map(|class| class.objects.values());
            let to = |value: &Value| matches!(value, Value::Link((to, _)) if to == class);
            if !others.any(|object| object.values.values().any(to)) {
                return;
            }
            "renamed the target class of links"
        }
        _ => return,
    };
    harness.probe.mark(marked);
}

/// A migration: its changes, the wanted schema, and the expected result.
struct Migration {
    changes: Vec<SchemaChange>,
    /// The migration fails with an error of the app.
    fails: bool,
    number: u8,
    mode: SchemaMode,
    wanted: DatabaseState,
    /// None if the opening is refused.
    after: Option<DatabaseState>,
    runs: Cell<usize>,
}

impl Migration {
    /// Opens with `body` and the options of the migration.
    fn open_by(
        &self,
        body: impl FnOnce(DatabaseOptions<'_>) -> Result<Database, Error>,
    ) -> Result<Database, Error> {
        let run = |migration: &mut fastness::object::Migration<'_>| {
            self.runs.set(self.runs.get() + 1);
            for change in &self.changes {
                apply(migration.new_txn(), change)?;
            }
            if self.fails {
                return Err(Error::app(OwnError::Number(self.number)));
            }
            Ok(())
        };
        let schema = bridge::schema(&self.wanted)?;
        let version = self.wanted.version.unwrap_or_default();
        let wanted = DatabaseOptions::schema(schema, version).migration(&run);
        body(match self.mode {
            SchemaMode::Additive => wanted.synced().mode(self.mode),
            mode => wanted.mode(mode),
        })
    }

    /// Opens the file of a machine.
    fn open(&self, harness: &ObjectHarness<'_>, fs: &SimFs) -> Result<Database, Error> {
        self.open_by(|wanted| Database::open(&harness.world.options(fs), file(), &wanted))
    }

    /// Whether an error is the expected refusal: the callback's error, or a mismatch of classes.
    fn refuses(&self, error: &Error) -> bool {
        match self.mode {
            SchemaMode::Additive => matches!(error, Error::Schema(SchemaError::Mismatch { .. })),
            _ if self.fails => error.as_app() == Some(&OwnError::Number(self.number)),
            _ => matches!(error, Error::Object(_)),
        }
    }
}

/// Draws a migration from the committed state.
fn plan(harness: &ObjectHarness<'_>, op: Op) -> Migration {
    let mut rng = Rng::new(harness.world.rng(Rng::next));
    let mut wanted = harness.committed.clone();
    let mut changes = Vec::new();
    for _ in 0..op.c % CHANGES_MAX {
        let change = harness.domain.change_schema([rng.byte(), rng.byte(), rng.byte()], &wanted);
        if wanted.change_schema(&change).is_ok() {
            changes.push(change);
        }
    }
    let (runs, number) = (Cell::new(0), op.b);
    if harness.domain.is_synced() {
        let mode = SchemaMode::Additive;
        wanted.version = wanted.version.map(|version| (version + u64::from(op.b % 4)).max(1) - 1);
        let after = harness.committed.added(&wanted);
        return Migration { changes, fails: false, number, mode, wanted, after, runs };
    }
    wanted.version = wanted.version.map(|version| version + 1 + u64::from(op.b % 3));
    if op.a % 8 == 1 {
        // The file is emptied instead, with the same classes.
        wanted.classes.values_mut().for_each(|class| class.objects.clear());
        wanted.numbers = harness.committed.numbers;
        let (mode, after) = (SchemaMode::ResetFile, Some(wanted.clone()));
        return Migration { changes: Vec::new(), fails: false, number, mode, wanted, after, runs };
    }
    if op.a % 8 == 3 {
        let classes: Vec<String> = wanted.classes.keys().cloned().collect();
        if rng.one_in(2) {
            wanted.retype_key(&classes[rng.below(classes.len())]);
        }
        let (mode, after) = (SchemaMode::Automatic, harness.committed.automatic(&wanted).ok());
        return Migration { changes: Vec::new(), fails: false, number, mode, wanted, after, runs };
    }
    let fails = op.a.is_multiple_of(4);
    let after = (!fails).then(|| wanted.clone());
    Migration { changes, fails, number, mode: SchemaMode::Manual, wanted, after, runs }
}

/// Opens the file with other classes, with a crash at every call.
fn migrate(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    harness.commit()?;
    let before = harness.committed.clone();
    let migration = plan(harness, op);
    let is_beside = op.c.is_multiple_of(2);
    let store = harness.database().store().clone();
    if !is_beside {
        harness.close();
    }
    let disk = harness.fs.disk();
    drop(harness.fs.take_forks());
    let opened = match is_beside {
        true => migration.open_by(|wanted| Database::from_store(store, &wanted)),
        false => {
            drop(store);
            migration.open(harness, &harness.fs.clone())
        }
    };
    match (&opened, &migration.after) {
        (Ok(_), Some(after)) => harness.committed = after.clone(),
        (Err(error), None) if migration.refuses(error) => {}
        (Err(error), None) if migration.fails => {
            let text = format!("a migration that fails with an error of the app gives {error}");
            return Err(Violation::new(B16.id, text).into());
        }
        (outcome, after) => {
            let text = format!("a migration to {after:?}; opening gives {outcome:?}");
            return Err(Violation::new(M6.id, text).into());
        }
    }
    let opened = opened.ok();
    mark_migration(harness, &migration, &before);
    let forks = harness.fs.take_forks();
    if let Some(opened) = opened {
        open_again(harness, &migration, opened)?;
    }
    if is_beside {
        // Another handle to the file sees the migration.
        harness.look_all()?;
        harness.probe.mark("migrated with another database open");
    } else {
        harness.open()?;
    }
    let states = [before, harness.committed.clone()];
    let mut rng = Rng::new(harness.world.rng(Rng::next));
    if rng.one_in(4) {
        interrupt(harness, &migration, (disk, &states))?;
    }
    for fork in forks {
        let disk = if rng.one_in(4) { fork.disk } else { fork.disk.power_loss(&mut rng) };
        let landed = harness.recover(disk.clone(), &states)?;
        if migration.after.is_some() && rng.one_in(4) {
            reopen_after_crash(harness, &migration, (disk, landed == 0))?;
        }
    }
    harness.probe.count(op.kind.name(), 1);
    Ok(())
}

/// Opens the file with the same classes again, which changes nothing.
fn open_again(
    harness: &ObjectHarness<'_>,
    migration: &Migration,
    opened: Database,
) -> Result<(), CheckError> {
    let (commit, store) = (opened.snapshot()?.commit(), opened.store().clone());
    let runs = migration.runs.get();
    let again = match harness.is_open() {
        true => migration.open_by(|wanted| Database::from_store(store, &wanted)),
        false => {
            drop((store, opened));
            migration.open(harness, &harness.fs.clone())
        }
    };
    let found = again.and_then(|again| Ok(again.snapshot()?.commit()));
    if found.as_ref() == Ok(&commit) && migration.runs.get() == runs {
        return Ok(());
    }
    let text = format!(
        "after commit {commit}, the same opening in the mode {:?} gives {found:?}",
        migration.mode
    );
    Err(Violation::new(M7.id, text).into())
}

/// Counts the marks of an opening with other classes.
fn mark_migration(harness: &mut ObjectHarness<'_>, migration: &Migration, before: &DatabaseState) {
    let Migration { mode, wanted, after, .. } = migration;
    let hides = |after: &DatabaseState| {
        let removed = |(name, class): (&String, &fastness_models::objects::Class)| {
            let wanted = wanted.classes.get(name).map(|class| &class.properties);
            class.properties.keys().any(|name| wanted.is_none_or(|held| !held.contains_key(name)))
        };
        after.classes.iter().any(removed)
    };
    let is_synced = *mode == SchemaMode::Additive;
    let retyped = || {
        let kind = |state: &DatabaseState, name: &str| {
            let class = state.classes.get(name)?;
            class.properties.get(class.key.as_ref()?).map(|key| key.kind.clone())
        };
        let mut names = before.classes.keys();
        names.any(|name| kind(before, name).is_some() && kind(before, name) != kind(wanted, name))
    };
    let is_retyped = *mode == SchemaMode::Automatic && retyped();
    for (met, mark) in [
        (*mode == SchemaMode::Manual && after.is_none(), "migration failed without changes"),
        (*mode == SchemaMode::ResetFile && before.classes != wanted.classes, "file emptied"),
        (is_retyped && after.is_some(), "opening changed the type of a primary key"),
        (is_retyped && after.is_none(), "keys of another type were not unique"),
        (is_synced && after.is_none(), "invalid synced classes refused"),
        (
            is_synced && after.as_ref().is_some_and(|after| after.classes != before.classes),
            "opening extended a synced schema",
        ),
        (is_synced && after.as_ref().is_some_and(hides), "opening ignored extra synced classes"),
        (
            is_synced && after.is_some() && wanted.version < before.version,
            "older app version opened a synced file",
        ),
    ] {
        if met {
            harness.probe.mark(mark);
        }
    }
}

/// Opens the file on a disk that fails at one call or permanently from there, then on a good disk.
fn interrupt(
    harness: &mut ObjectHarness<'_>,
    migration: &Migration,
    (disk, states): (Disk, &[DatabaseState; 2]),
) -> Result<(), CheckError> {
    let mut rng = Rng::new(harness.world.rng(Rng::next));
    let fault = [Fault::NoSpace, Fault::Io, Fault::SyncIo][rng.below(3)];
    let lasting = rng.one_in(2);
    let mut after = 0;
    while after < CALLS_MAX {
        let fs = harness.world.boot(disk.clone());
        fs.inject(Injection { fault, after, lasting });
        let opened = migration.open(harness, &fs).map(drop);
        let failed = fs.take_failure().is_some();
        let possible = match opened {
            Ok(()) => &states[1..],
            Err(error) if migration.after.is_none() && migration.refuses(&error) => &states[..1],
            Err(_) if failed => &states[..],
            Err(error) => {
                let text = format!("opening fails without an injected fault: {error}");
                return Err(Violation::new(C11.id, text).into());
            }
        };
        let disk = if rng.one_in(2) { fs.disk() } else { fs.disk().power_loss(&mut rng) };
        harness.recover(disk, possible)?;
        if !failed {
            return Ok(());
        }
        harness.probe.mark("disk error during a migration");
        after += 1 + u32::from(rng.byte() % 6);
    }
    Ok(())
}

/// Reopens the file after a crash during a migration, as the app does.
fn reopen_after_crash(
    harness: &mut ObjectHarness<'_>,
    migration: &Migration,
    (disk, is_before): (Disk, bool),
) -> Result<(), CheckError> {
    let Some(after) = &migration.after else { return Ok(()) };
    migration.runs.set(0);
    let fs = harness.world.boot(disk);
    let database = migration.open(harness, &fs)?;
    compare::all(&database.snapshot()?.view(), after)?;
    let migrates = matches!(migration.mode, SchemaMode::Manual | SchemaMode::Automatic);
    let runs = usize::from(is_before && migrates);
    if migration.runs.get() != runs {
        let text = format!("the migration ran {} times, expected {runs}", migration.runs.get());
        return Err(Violation::new(M6.id, text).into());
    }
    harness.probe.mark(match is_before {
        true => "migration crashed, and ran again",
        false => "migration crashed after its commit",
    });
    Ok(())
}
