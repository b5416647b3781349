//! A store and its model on one simulated machine, driven operation by operation.

use super::compare::{Order, Reads, Stop, read_all, read_range, refusal, same, same_value};
use super::world::{World, file};
use super::{Probe, Violation};
use crate::fs::{Disk, SimFs};
use crate::rng::Rng;
use fastness::{CommitId, Error, Snapshot, Store, WriteTxn};
use fastness_models::store::{Bounds, Outcome, State, Store as Model};
use fastness_models::{Kind, Op};
use std::ops::Bound;

/// Snapshots that are held at most.
const SNAPSHOTS_MAX: usize = 4;

/// A store and its model.
pub(super) struct Rig<'w> {
    pub(super) world: &'w World,
    pub(super) probe: &'w mut Probe,
    pub(super) fs: SimFs,
    pub(super) model: Model,
    pub(super) snapshots: Vec<(Snapshot, State)>,
    pub(super) commit: CommitId,
    pub(super) step: usize,
    pub(super) records: bool,
    txn: Option<WriteTxn>,
    touched: bool,
    store: Option<Store>,
}

impl<'w> Rig<'w> {
    /// Creates a store on an empty disk.
    pub(super) fn create(world: &'w World, probe: &'w mut Probe) -> Result<Self, Stop> {
        let fs = world.boot(Disk::default());
        Self::create_on(world, probe, fs)
    }

    /// Creates a store on a machine.
    pub(super) fn create_on(
        world: &'w World,
        probe: &'w mut Probe,
        fs: SimFs,
    ) -> Result<Self, Stop> {
        let store = world.options(&fs).create(file())?;
        let commit = store.snapshot().commit();
        Ok(Self {
            world,
            probe,
            fs,
            model: Model::default(),
            snapshots: Vec::new(),
            commit,
            step: 0,
            records: false,
            txn: None,
            touched: false,
            store: Some(store),
        })
    }

    /// Returns the open store.
    ///
    /// # Panics
    /// Between closing and opening, which is a mistake of the check.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("the check uses the store while it is open")
    }

    /// Runs one operation that any store understands; others do nothing.
    pub(super) fn act(&mut self, op: Op) -> Result<(), Stop> {
        match op.kind {
            Kind::Insert => self.insert(op, 0),
            Kind::Remove => self.remove(op, 0),
            Kind::Clear => self.clear(op),
            Kind::Fill => self.run(op, Self::insert),
            Kind::Prune => self.run(op, Self::remove),
            Kind::Get => self.get(op),
            Kind::Range => self.range(op),
            Kind::Ends | Kind::Len => self.ends(op),
            Kind::Commit => self.commit(),
            Kind::Abort => {
                self.abort();
                Ok(())
            }
            Kind::TakeSnapshot
            | Kind::CloneSnapshot
            | Kind::DropSnapshot
            | Kind::ReadSnapshot
            | Kind::ScanSnapshot => self.snapshot(op),
            Kind::Scan => self.scan(op),
            Kind::Verify => self.verify(),
            Kind::Info => self.info(),
            Kind::Oversize => self.oversize(op),
            Kind::Reopen => self.reopen(),
            Kind::Misopen => self.misopen(op),
            Kind::Kill
            | Kind::PowerLoss
            | Kind::Compact
            | Kind::Copy
            | Kind::Inject
            | Kind::Heal
            | Kind::Damage
            | Kind::Keep => Ok(()),
        }
    }

    /// Runs one operation where nothing gives the store a reason to refuse.
    pub(super) fn must(&mut self, op: Op) -> Result<(), Violation> {
        self.act(op).map_err(|stop| unexpected(stop, "S1"))
    }

    fn note(&mut self, op: Op, outcome: &Outcome<'_>) {
        self.probe.count(op.kind.name(), 1);
        let step = self.step;
        self.probe.line(|| format!("{step:4} {op}: {outcome}"));
    }

    fn write(&mut self) -> Result<&mut WriteTxn, Error> {
        if self.txn.is_none() {
            self.txn = Some(self.store().write()?);
            self.touched = false;
            self.model.begin();
        }
        Ok(self.txn.as_mut().expect("it was just begun"))
    }

    fn run(&mut self, op: Op, each: fn(&mut Self, Op, u8) -> Result<(), Stop>) -> Result<(), Stop> {
        (0..self.world.domain.run_len(op.c)).try_for_each(|index| each(self, op, index))
    }

    fn insert(&mut self, op: Op, index: u8) -> Result<(), Stop> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        let key = world.domain.run(op.b, index);
        let stamp = u32::try_from(self.step).unwrap_or(0) << 8 | u32::from(index);
        let value = world.domain.value(op.c.wrapping_add(index), stamp);
        let was = self.write()?.tree(tree)?.insert(&key, &value)?;
        let outcome = Outcome::Was(was);
        same(&outcome, &self.model.insert(tree, &key, &value), "S1")?;
        self.touched = true;
        self.note(op, &outcome);
        Ok(())
    }

    fn remove(&mut self, op: Op, index: u8) -> Result<(), Stop> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        let key = world.domain.run(op.b, index);
        let was = self.write()?.tree(tree)?.remove(&key)?;
        let outcome = Outcome::Was(was);
        same(&outcome, &self.model.remove(tree, &key), "S1")?;
        self.touched |= was;
        self.note(op, &outcome);
        Ok(())
    }

    fn clear(&mut self, op: Op) -> Result<(), Stop> {
        let world = self.world;
        let tree = world.domain.tree(op.a);
        self.write()?.tree(tree)?.clear()?;
        self.touched |= self.model.seen().len(tree) > 0;
        let outcome = self.model.clear(tree);
        self.note(op, &outcome);
        Ok(())
    }

    /// Reads a tree as the writer sees it; without a writer, as it is committed.
    fn read<T>(
        &mut self,
        operand: u8,
        read: impl FnOnce(&dyn Reads, &State, &str) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let world = self.world;
        let tree = world.domain.tree(operand);
        match &mut self.txn {
            Some(txn) => read(&txn.tree(tree)?, self.model.seen(), tree),
            None => read(&self.store().snapshot().tree(tree), self.model.committed(), tree),
        }
    }

    fn get(&mut self, op: Op) -> Result<(), Stop> {
        let key = self.world.domain.key(op.b);
        let found = self.read(op.a, |reader, state, tree| {
            let found = reader.get(&key)?;
            same_value(found.as_ref(), state.get(tree, &key), "S1")?;
            Ok(found)
        })?;
        self.note(op, &Outcome::Value(found.as_deref()));
        Ok(())
    }

    fn range(&mut self, op: Op) -> Result<(), Stop> {
        let (from, to) = (self.world.domain.key(op.b), self.world.domain.key(op.c));
        let bounds: Bounds<'_> = (bound(op.a >> 2, &from), bound(op.a >> 4, &to));
        let order = order(op.a >> 6, op.b ^ op.c);
        let count = self.read(op.a, |reader, state, tree| {
            let reading = read_range(reader.range(bounds), state.range(tree, bounds), order);
            reading.same("S1")
        })?;
        if from > to && count == 0 {
            self.probe.mark("range with inverted bounds");
        }
        self.note(op, &Outcome::Count(count));
        Ok(())
    }

    fn ends(&mut self, op: Op) -> Result<(), Stop> {
        let len = self.read(op.a, |reader, state, tree| {
            let [first, last] = reader.ends()?;
            let found = Outcome::Ends(
                first.as_ref().map(|(key, value)| (&**key, &**value)),
                last.as_ref().map(|(key, value)| (&**key, &**value)),
            );
            let (first, last) = state.ends(tree);
            same(&found, &Outcome::Ends(first, last), "S1")?;
            let counted = Outcome::Count(reader.count());
            same(&counted, &Outcome::Count(state.len(tree)), "S1")?;
            Ok(reader.count())
        })?;
        self.note(op, &Outcome::Count(len));
        Ok(())
    }
    fn commit(&mut self) -> Result<(), Stop> {
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let changed = self.model.changed();
        let commit = match txn.commit() {
            Ok(commit) => commit,
            Err(error) => {
                self.model.abort();
                return Err(error.into());
            }
        };
        self.model.commit();
        let fits = match (changed, self.touched) {
            (true, _) => commit > self.commit,
            (false, true) => commit >= self.commit,
            (false, false) => commit == self.commit,
        };
        if !fits || self.store().snapshot().commit() != commit {
            let text = format!("commit {commit} follows {}, changed {changed}", self.commit);
            return Err(Violation::new("S1", text).into());
        }
        self.commit = commit;
        self.note(Op::new(Kind::Commit, [0; 3]), &Outcome::Done);
        Ok(())
    }

    /// Forgets what the writer has in hand.
    pub(super) fn abort(&mut self) {
        if let Some(txn) = self.txn.take() {
            txn.abort();
            self.model.abort();
            self.note(Op::new(Kind::Abort, [0; 3]), &Outcome::Done);
        }
    }

    fn snapshot(&mut self, op: Op) -> Result<(), Stop> {
        if op.kind == Kind::TakeSnapshot {
            if self.snapshots.len() == SNAPSHOTS_MAX {
                self.snapshots.remove(0);
            }
            let taken = (self.store().snapshot(), self.model.committed().clone());
            self.snapshots.push(taken);
            self.note(op, &Outcome::Done);
        }
        if self.snapshots.is_empty() {
            return Ok(());
        }
        let which = usize::from(op.a) % self.snapshots.len();
        let (snapshot, state) = &self.snapshots[which];
        let old = *state != *self.model.committed();
        match op.kind {
            Kind::CloneSnapshot if self.snapshots.len() < SNAPSHOTS_MAX => {
                let cloned = (snapshot.clone(), state.clone());
                self.snapshots.push(cloned);
            }
            Kind::DropSnapshot => drop(self.snapshots.remove(which)),
            Kind::ReadSnapshot => {
                let (tree, key) = (self.world.domain.tree(op.b), self.world.domain.key(op.c));
                let found = snapshot.tree(tree).get(&key)?;
                same_value(found.as_ref(), state.get(tree, &key), "S2")?;
                self.note(op, &Outcome::Value(found.as_deref()));
            }
            Kind::ScanSnapshot => {
                let operations = read_all(snapshot, state, Order::Both(op.b)).same("S2")?;
                self.probe.count(op.kind.name(), operations);
                if old {
                    self.probe.mark("snapshot older than the last commit read");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares everything every snapshot holds.
    pub(super) fn scan_snapshots(&mut self) -> Result<(), Stop> {
        for (snapshot, state) in &self.snapshots {
            let operations = read_all(snapshot, state, Order::Forward).same("S2")?;
            self.probe.count(Kind::ScanSnapshot.name(), operations);
        }
        Ok(())
    }

    fn scan(&mut self, op: Op) -> Result<(), Stop> {
        self.scan_committed(order(op.a, op.b))?;
        for tree in 0..4 {
            self.range(Op::new(Kind::Range, [tree | op.a & 0xc0 | 0x3c, 0, 0]))?;
        }
        Ok(())
    }

    /// Compares everything that is committed.
    pub(super) fn scan_committed(&mut self, order: Order) -> Result<(), Stop> {
        let snapshot = self.store().snapshot();
        let operations = read_all(&snapshot, self.model.committed(), order).same("S1")?;
        self.probe.count(Kind::Scan.name(), operations);
        Ok(())
    }

    fn verify(&mut self) -> Result<(), Stop> {
        verify(&self.store().snapshot(), "S4")?;
        self.note(Op::new(Kind::Verify, [0; 3]), &Outcome::Done);
        Ok(())
    }

    fn info(&mut self) -> Result<(), Stop> {
        let info = self.store().info()?;
        let trees: Vec<_> = info.trees.iter().map(|tree| (&*tree.name, tree.len)).collect();
        let state = self.model.committed();
        let expected: Vec<_> = state.names().map(|name| (name, state.len(name))).collect();
        let encrypted = self.world.key().is_some();
        if trees != expected || info.encrypted != encrypted || info.commit != self.commit {
            let text = format!("info says {info:?}, expected {expected:?} at {}", self.commit);
            return Err(Violation::new("S1", text).into());
        }
        self.note(Op::new(Kind::Info, [0; 3]), &Outcome::Count(trees.len() as u64));
        Ok(())
    }

    /// Offers arguments just out of bounds, which change nothing, also to later operations.
    fn oversize(&mut self, op: Op) -> Result<(), Stop> {
        use fastness_models::domain::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
        let long_key = vec![op.b; KEY_BYTES_MAX + 1 + usize::from(op.c)].into();
        let key = self.world.domain.key(op.b);
        let short = self.world.domain.value(0, 0);
        let long_name = "n".repeat(NAME_BYTES_MAX + 1 + usize::from(op.c));
        let tree = self.world.domain.tree(op.b);
        let (tree, key, value) = match op.a {
            0 => (tree, key, vec![0; VALUE_BYTES_MAX + 1].into()),
            // The longest value there may be is taken.
            255 => (tree, key, vec![op.c; VALUE_BYTES_MAX].into()),
            1..80 => (tree, long_key, short),
            80..160 => ("", key, short),
            _ => (&*long_name, key, short),
        };
        let outcome = match self.write()?.tree(tree).and_then(|mut tree| tree.insert(&key, &value))
        {
            Ok(was) => Outcome::Was(was),
            Err(error) => match refusal(&error) {
                Some(refusal) => Outcome::Refused(refusal),
                None => return Err(error.into()),
            },
        };
        same(&outcome, &self.model.insert(tree, &key, &value), "S5")?;
        if value.len() == VALUE_BYTES_MAX {
            let found = self.write()?.tree(tree)?.get(&key)?;
            same_value(found.as_ref(), self.model.seen().get(tree, &key), "S1")?;
            self.abort();
            self.probe.mark("longest value");
        }
        self.note(op, &outcome);
        Ok(())
    }

    /// Drops every handle.
    pub(super) fn close(&mut self) {
        self.abort();
        self.snapshots.clear();
        self.store = None;
    }

    /// Opens the store and compares everything it holds.
    pub(super) fn open(&mut self) -> Result<(), Stop> {
        let store = self.world.options(&self.fs).open(file())?;
        self.commit = store.snapshot().commit();
        self.store = Some(store);
        self.scan_committed(Order::Forward)
    }

    /// Opens the store, which must hold one of the states, wholly; tells which.
    pub(super) fn open_among(
        &mut self,
        states: &[State],
        invariant: &'static str,
    ) -> Result<usize, Violation> {
        let mut texts = Vec::new();
        for (index, state) in states.iter().enumerate() {
            self.model = Model::at(state.clone());
            match self.open() {
                Ok(()) => return Ok(index),
                Err(Stop::Broken(violation)) => texts.push(violation.text),
                Err(Stop::Refused(error)) => texts.push(error.to_string()),
            }
            // Looks again at the same store, not at one that was opened twice.
            if self.store.is_some() {
                self.close();
            }
        }
        Err(Violation::new(invariant, texts.join("; or: ")))
    }

    fn reopen(&mut self) -> Result<(), Stop> {
        let commit = self.commit;
        self.close();
        self.open()?;
        if self.store().recovery().is_some() || self.commit != commit {
            let (found, recovery) = (self.commit, self.store().recovery());
            let text = format!("closed at commit {commit}, opened at {found} with {recovery:?}");
            return Err(Violation::new("S3", text).into());
        }
        self.note(Op::new(Kind::Reopen, [0; 3]), &Outcome::Done);
        Ok(())
    }

    /// Goes on with another disk, as after a crash; the handles of the dead process write nowhere.
    pub(super) fn crash_to(&mut self, disk: Disk) {
        self.fs.fall_silent();
        self.close();
        self.fs = self.world.boot(disk);
        if self.records {
            self.fs.record();
        }
    }

    /// Kills the process or cuts the power between two calls, and opens again.
    pub(super) fn crash(&mut self, op: Op) -> Result<(), Stop> {
        let mut disk = self.fs.disk();
        if op.kind == Kind::PowerLoss {
            let mut rng = Rng::new(self.world.rng(Rng::next));
            disk = disk.power_loss(&mut rng);
        }
        self.crash_to(disk);
        self.open()?;
        self.probe.crash("between calls");
        self.note(op, &Outcome::Done);
        Ok(())
    }
}

/// Which order of reading two operands stand for.
fn order(operand: u8, bits: u8) -> Order {
    match operand % 4 {
        0 | 1 => Order::Forward,
        2 => Order::Backward,
        _ => Order::Both(bits),
    }
}

fn bound(operand: u8, key: &[u8]) -> Bound<&[u8]> {
    match operand % 4 {
        0 | 1 => Bound::Included(key),
        2 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    }
}

/// Checks the whole file and returns what is wrong with it.
pub(super) fn problems(snapshot: &Snapshot) -> Result<Vec<String>, Error> {
    let verification = snapshot.verify()?;
    Ok(verification.problems.iter().map(ToString::to_string).collect())
}

/// Checks the whole file, where nothing can be wrong with it.
pub(super) fn verify(snapshot: &Snapshot, invariant: &'static str) -> Result<(), Stop> {
    let problems = problems(snapshot)?;
    if problems.is_empty() {
        return Ok(());
    }
    Err(Violation::new(invariant, format!("verify finds {}", problems.join("; "))).into())
}

/// An error where nothing gives the store a reason for one.
pub(super) fn unexpected(stop: Stop, invariant: &'static str) -> Violation {
    match stop {
        Stop::Broken(violation) => violation,
        Stop::Refused(error) => {
            Violation::new(invariant, format!("refused without a reason: {error}"))
        }
    }
}
