//! A database and its model on one simulated machine, driven operation by operation.

use super::commit_hook::RecordingHook;
use super::{bridge, compare};
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{B1, B3, C6};
use crate::check::store_harness::verify;
use crate::check::world::{World, file};
use crate::fs::{Disk, SimFs};
use fastness::Error;
use fastness::object::{Database, DatabaseOptions, Snapshot, Transaction, View};
use fastness::schema::SchemaMode;
use fastness_models::object_domain::ObjectDomain;
use fastness_models::objects::{DatabaseState, Id, ListEdit, ObjectRefusal, Value};
use fastness_models::{Op, OpKind};

/// Maximum number of held snapshots.
const SNAPSHOTS_MAX: usize = 3;

/// A database and its model.
pub(in crate::check) struct ObjectHarness<'w> {
    pub(in crate::check) world: &'w World,
    pub(in crate::check) probe: &'w mut Probe,
    pub(in crate::check) domain: ObjectDomain,
    pub(in crate::check) committed: DatabaseState,
    pub(in crate::check) fs: SimFs,
    pub(super) working: Option<DatabaseState>,
    pub(super) snapshots: Vec<(Snapshot, DatabaseState)>,
    deleted: Vec<Id>,
    /// Transactions so far.
    begun: u32,
    /// Commits and recoveries so far.
    pub(super) sampled: u32,
    pub(super) txn: Option<Transaction>,
    pub(super) database: Option<Database>,
    /// The commit hook, if there is one.
    pub(in crate::check) hook: Option<RecordingHook>,
}

impl<'w> ObjectHarness<'w> {
    /// Creates a database with the classes of the domain.
    pub(in crate::check) fn create(
        world: &'w World,
        probe: &'w mut Probe,
    ) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let domain = ObjectDomain::new(world.salt);
        let committed = domain.state();
        let schema = bridge::schema(&committed).map_err(|error| compare::check_bug(&error))?;
        let wanted = synced(&domain, DatabaseOptions::schema(schema, 1));
        let database = Some(Database::open(&world.options(&fs), file(), &wanted)?);
        fs.record_forks();
        let (working, txn) = (None, None);
        let (snapshots, deleted) = (Vec::new(), Vec::new());
        let harness = Self {
            world,
            probe,
            domain,
            committed,
            fs,
            working,
            snapshots,
            deleted,
            begun: 0,
            sampled: 0,
            txn,
            database,
            hook: None,
        };
        Ok(harness)
    }

    /// Returns the state of the transaction; without one, the committed state.
    pub(in crate::check) fn seen(&self) -> &DatabaseState {
        self.working.as_ref().unwrap_or(&self.committed)
    }

    /// Returns whether a transaction is open.
    pub(in crate::check) fn is_writing(&self) -> bool {
        self.txn.is_some()
    }

    /// Returns the view of the transaction.
    ///
    /// # Panics
    /// If there is no transaction, which is a bug of the check.
    pub(in crate::check) fn txn_view(&self) -> View<'_> {
        self.txn.as_ref().expect("a transaction is open").view()
    }

    /// Returns whether the database is open.
    pub(in crate::check) fn is_open(&self) -> bool {
        self.database.is_some()
    }

    /// Returns the open database.
    ///
    /// # Panics
    /// Between close and open, which is a bug of the check.
    pub(in crate::check) fn database(&self) -> &Database {
        self.database.as_ref().expect("the database is open")
    }

    /// Returns the transaction, begun if necessary, and its model state.
    pub(in crate::check) fn write(
        &mut self,
    ) -> Result<(&mut Transaction, &mut DatabaseState), Error> {
        if self.txn.is_none() {
            self.begun = self.begun.wrapping_add(1);
            self.txn = Some(match self.begun.is_multiple_of(4) {
                true => {
                    self.probe.mark("wrote through another database over the store");
                    self.database_beside()?.write()?
                }
                false => self.database().write()?,
            });
            self.working = Some(self.committed.clone());
        }
        match (&mut self.txn, &mut self.working) {
            (Some(txn), Some(state)) => Ok((txn, state)),
            _ => unreachable!("keys were just created"),
        }
    }

    /// Runs one operation.
    pub(in crate::check) fn act(&mut self, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::Create | OpKind::Upsert => self.make(op)?,
            OpKind::Update => drop(self.write_struct(op)?),
            OpKind::Set => self.set(op)?,
            OpKind::Add => self.add(op)?,
            OpKind::Delete => self.delete(op)?,
            OpKind::ListInsert | OpKind::ListEdit => self.edit_list(op)?,
            OpKind::ReadObject => self.look(op)?,
            OpKind::ReadAllObjects => self.look_all()?,
            OpKind::Commit => self.commit()?,
            OpKind::Abort => self.abort(),
            OpKind::TakeSnapshot => self.take_snapshot()?,
            OpKind::ScanSnapshot => self.read_snapshot(op)?,
            OpKind::DropSnapshot if !self.snapshots.is_empty() => {
                self.snapshots.remove(usize::from(op.a) % self.snapshots.len());
            }
            OpKind::Verify => {
                self.commit()?;
                verify(self.database().snapshot()?.store(), "D4")?;
            }
            OpKind::Reopen => {
                self.commit()?;
                self.reopen(op)?;
            }
            OpKind::Compact => {
                self.commit()?;
                self.database().store().compact()?;
                self.look_all()?;
            }
            OpKind::Kill | OpKind::PowerLoss => self.crash(op.kind)?,
            _ => return Ok(()),
        }
        self.probe.count(op.kind.name(), 1);
        Ok(())
    }

    /// Compares the outcome of an operation with the model; refusals must be of the same kind.
    pub(in crate::check) fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &dyn std::fmt::Debug,
        found: Result<T, Error>,
        expected: Result<T, ObjectRefusal>,
    ) -> Result<Option<T>, CheckError> {
        let found = match found {
            Ok(found) => Ok(found),
            Err(error) => match bridge::refusal(&error) {
                Some(refusal) => Err(refusal),
                None => return Err(error.into()),
            },
        };
        if found != expected {
            let id = if expected.is_err() { B3.id } else { B1.id };
            let text = format!("{what:?} gives {found:?}, expected {expected:?}");
            return Err(Violation::new(id, text).into());
        }
        if found.is_err() {
            self.probe.mark("transaction continued after a refusal");
        }
        Ok(found.ok())
    }

    fn pick(&self, operand: u8) -> Id {
        let class = self.domain.class(operand, self.seen());
        let key = self.domain.pick(&class, operand / 4, self.seen());
        (class, key)
    }

    fn kind(&self, id: &Id, name: &str) -> Option<fastness_models::objects::ValueType> {
        let class = self.seen().classes.get(&id.0)?;
        class.properties.get(name).map(|held| held.kind.clone())
    }

    /// Returns a value of the type of a property; none for the primary key or without the property.
    pub(in crate::check) fn value_for(
        &self,
        (class, name): (&str, &str),
        operand: u8,
    ) -> Option<Value> {
        let held = self.seen().classes.get(class)?;
        let property = held.properties.get(name).filter(|_| held.key.as_deref() != Some(name))?;
        Some(self.domain.value(&property.kind, operand, self.seen()))
    }

    fn make(&mut self, op: Op) -> Result<(), CheckError> {
        if op.c % 4 == 3 && self.write_struct(op)? {
            return Ok(());
        }
        let class = &*self.domain.class(op.a, self.seen());
        let key = self.domain.key_value(class, op.b, self.seen());
        // Mostly with a key if the class has one, and without if it has none.
        let has_key = self.seen().classes.get(class).is_some_and(|held| held.key.is_some());
        let with_key = has_key == (op.a < 240);
        let is_upsert = op.kind == OpKind::Upsert;
        let (txn, state) = self.write()?;
        let core_key = bridge::core_value(&txn.view(), &key)?;
        let (found, expected) = match (with_key, is_upsert) {
            (false, _) => (txn.create(class).map(|id| (id, true)), {
                state.create(class).map(|id| (id, true))
            }),
            (true, true) => (txn.get_or_create(class, core_key), state.get_or_create(class, &key)),
            (true, false) => {
                let expected = state.get_or_create(class, &key);
                let expected = match expected {
                    Ok((_, false)) => Err(ObjectRefusal::KeyExists),
                    other => other,
                };
                (txn.create_with_key(class, core_key).map(|id| (id, true)), expected)
            }
        };
        let found = match found {
            Ok((id, created)) => Ok((bridge::id(&txn.view(), &id)?, created)),
            Err(error) => Err(error),
        };
        if let Some((id, true)) = self.same(&(class, &key), found, expected)?
            && self.deleted.contains(&id)
        {
            self.probe.mark("created an object with a deleted key");
        }
        Ok(())
    }

    fn set(&mut self, op: Op) -> Result<(), CheckError> {
        let id = self.pick(op.a);
        let name = self.domain.property(&id.0, op.b, self.seen());
        self.set_property((&id, &name), op.c)
    }

    /// Sets a property of an object to the value that an operand draws.
    pub(in crate::check) fn set_property(
        &mut self,
        (id, name): (&Id, &str),
        operand: u8,
    ) -> Result<(), CheckError> {
        let kind = self.kind(id, name);
        // Sometimes a value of another type.
        let kind =
            kind.filter(|_| operand != 251).unwrap_or(fastness_models::objects::ValueType::Text);
        let value = self.domain.value(&kind, operand, self.seen());
        if let Value::Text(text) = &value
            && text.len() > 1024
        {
            self.probe.mark("set an out-of-line value");
        }
        let (txn, state) = self.write()?;
        let core_id = bridge::object_id(&txn.view(), id)?;
        let core = bridge::core_value(&txn.view(), &value)?;
        let found = txn.set(&core_id, name, core);
        let expected = state.set(id, name, &value);
        self.same(&(id, name, &value), found, expected)?;
        Ok(())
    }

    fn add(&mut self, op: Op) -> Result<(), CheckError> {
        let id = self.pick(op.a);
        let name = match op.b % 8 {
            0 => self.domain.property(&id.0, op.b / 8, self.seen()),
            _ => "count".to_owned(),
        };
        let kind = fastness_models::objects::ValueType::Int;
        let Value::Int(by) = self.domain.value(&kind, op.c % 8, self.seen()) else {
            return Ok(());
        };
        let (txn, state) = self.write()?;
        let core_id = bridge::object_id(&txn.view(), &id)?;
        let found = txn.add(&core_id, &name, by);
        let expected = state.add(&id, &name, by);
        self.same(&(&id, &name, by), found, expected)?;
        Ok(())
    }

    fn delete_all(&mut self, op: Op) -> Result<(), CheckError> {
        let class = &*self.domain.class(op.a, self.seen());
        let (txn, state) = self.write()?;
        let found = txn.delete_all(class);
        let keys = state.classes.get(class).map(|held| held.objects.keys().cloned().collect());
        let keys: Result<Vec<_>, _> = keys.ok_or(ObjectRefusal::Class);
        let expected = keys.and_then(|keys| {
            let count = keys.len() as u64;
            keys.into_iter().try_for_each(|key| state.delete(&(class.to_owned(), key)))?;
            Ok(count)
        });
        if self.same(&class, found, expected)?.is_some_and(|count| count > 1) {
            self.probe.mark("deleted all objects of a class");
        }
        Ok(())
    }

    fn delete(&mut self, op: Op) -> Result<(), CheckError> {
        if op.c % 32 == 31 {
            return self.delete_all(op);
        }
        let id = self.pick(op.a);
        let link = Value::Link(id.clone());
        let others = self.seen().classes.values().flat_map(|class| class.objects.values());
        let (mut linked, mut listed) = (false, false);
        for object in others {
            linked |= object.values.values().any(|value| *value == link);
            listed |= object.lists.values().flatten().any(|(_, value)| *value == link);
        }
        let (txn, state) = self.write()?;
        let core_id = bridge::object_id(&txn.view(), &id)?;
        let found = txn.delete(&core_id);
        let expected = state.delete(&id);
        if self.same(&id, found, expected)?.is_some() {
            if linked {
                self.probe.mark("deleted the target of a link");
            }
            if listed {
                self.probe.mark("deleted an element of a list");
            }
            self.deleted.push(id);
        }
        Ok(())
    }

    fn edit_list(&mut self, op: Op) -> Result<(), CheckError> {
        // Few objects, so that lists grow long.
        let id = self.pick(op.a % 16);
        let lists: Vec<String> = match self.seen().classes.get(&id.0) {
            Some(class) if op.b < 250 => {
                let lists = class.properties.iter().filter(|(_, held)| held.kind.is_list());
                lists.map(|(name, _)| name.clone()).collect()
            }
            _ => vec!["int".to_owned()],
        };
        let Some(name) = lists.get(usize::from(op.b) % lists.len().max(1)).cloned() else {
            return Ok(());
        };
        let Some(kind) = self.kind(&id, &name) else { return Ok(()) };
        let len = self.seen().object(&id).and_then(|object| object.lists.get(&name));
        let len = len.map_or(0, Vec::len);
        // Sometimes an index out of bounds.
        let at = |operand: u8| match operand {
            31 => len + 1,
            _ => usize::from(operand) % len.max(1),
        };
        let value = self.domain.value(&kind, op.c, self.seen());
        let edit = match (op.kind, op.c % 8) {
            (OpKind::ListInsert, _) if op.b / 8 == 30 => ListEdit::Insert(len, value),
            (OpKind::ListInsert, _) => ListEdit::Insert(at(op.b / 8), value),
            (_, 0..2) => ListEdit::Set(at(op.b / 8), value),
            (_, 2..4) => ListEdit::Remove(at(op.b / 8)),
            (_, 4..7) => ListEdit::Move(at(op.b / 8), at(op.c / 8)),
            _ => ListEdit::Clear,
        };
        if let ListEdit::Move(from, to) = edit
            && from != to
            && from.max(to) < len
        {
            self.probe.mark("moved a list element");
        }
        let held = self.seen().object(&id).and_then(|object| object.lists.get(&name));
        if held.is_some_and(|held| is_chunked(held)) {
            self.probe.mark("changed a chunked list");
        }
        // Sometimes many elements at once, so that a short list becomes long.
        let times = if op.kind == OpKind::ListInsert && op.c % 128 == 7 { 60 } else { 1 };
        (0..times).try_for_each(|_| self.edit_once((&id, &name), &edit))
    }

    fn edit_once(&mut self, (id, name): (&Id, &str), edit: &ListEdit) -> Result<(), CheckError> {
        let (txn, state) = self.write()?;
        let core_id = bridge::object_id(&txn.view(), id)?;
        let core = match edit {
            ListEdit::Insert(_, value) | ListEdit::Set(_, value) => {
                bridge::core_value(&txn.view(), value)?
            }
            _ => fastness::object::Value::Null,
        };
        let found = txn.list(&core_id, name).and_then(|mut list| match *edit {
            ListEdit::Insert(at, _) => list.insert(at, core).map(drop),
            ListEdit::Set(at, _) => list.set(at, core),
            ListEdit::Remove(at) => list.remove(at).map(drop),
            ListEdit::Move(from, to) => list.move_to(from, to),
            ListEdit::Clear => list.clear(),
        });
        let expected = state.edit_list(id, name, edit);
        self.same(&(id, name, edit), found, expected)?;
        Ok(())
    }

    fn look(&mut self, op: Op) -> Result<(), CheckError> {
        let id = self.pick(op.a);
        // A new class has no committed objects yet.
        if op.b.is_multiple_of(4) && self.committed.classes.contains_key(&id.0) {
            let snapshot = self.database().snapshot()?;
            self.look_at((&snapshot.view(), &self.committed), &id)?;
        }
        let Some(txn) = &self.txn else { return Ok(()) };
        self.look_at((&txn.view(), self.seen()), &id)
    }

    fn look_at(
        &self,
        (view, state): (&View<'_>, &DatabaseState),
        id: &Id,
    ) -> Result<(), CheckError> {
        let object = view.object(&bridge::object_id(view, id)?)?;
        compare::one(view, state, (id, object.as_ref()))?;
        self.look_at_struct((view, state), id)
    }

    /// Reads the state of the transaction, and the committed state.
    pub(in crate::check) fn look_all(&mut self) -> Result<(), CheckError> {
        let mut reads = compare::all(&self.database().snapshot()?.view(), &self.committed)?;
        if let Some(txn) = &self.txn {
            reads += compare::all(&txn.view(), self.seen())?;
        }
        self.probe.count(OpKind::ReadAllObjects.name(), reads);
        Ok(())
    }

    fn take_snapshot(&mut self) -> Result<(), CheckError> {
        if self.snapshots.len() < SNAPSHOTS_MAX {
            self.snapshots.push((self.database().snapshot()?, self.committed.clone()));
        }
        Ok(())
    }

    fn read_snapshot(&mut self, op: Op) -> Result<(), CheckError> {
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let (snapshot, state) = &self.snapshots[usize::from(op.a) % self.snapshots.len()];
        compare::all(&snapshot.view(), state).map_err(|error| match error {
            CheckError::Violation(violation) => Violation::new(C6.id, violation.text).into(),
            refused @ CheckError::Store(_) => refused,
        })?;
        if *state != self.committed {
            self.probe.mark("read a snapshot of an older commit");
        }
        Ok(())
    }
}

/// Returns whether a list is long enough to be stored in chunks (docs/objects.md#lists).
fn is_chunked(list: &[(u64, Value)]) -> bool {
    let bytes = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Float(_) => 4,
        Value::Int(_) | Value::Double(_) => 8,
        Value::Time(..) => 12,
        Value::Text(text) => 4 + text.len(),
        Value::Bytes(bytes) => 4 + bytes.len(),
        // At least the tag of a key.
        Value::Link(_) => 4 + 1,
    };
    list.len() > 1 && list.iter().map(|(_, value)| 13 + bytes(value)).sum::<usize>() > 1024
}

/// Marks the options as synced if the file is synced.
pub(in crate::check) fn synced<'a>(
    domain: &ObjectDomain,
    wanted: DatabaseOptions<'a>,
) -> DatabaseOptions<'a> {
    match domain.is_synced() {
        true => wanted.mode(SchemaMode::Additive).synced(),
        false => wanted,
    }
}
