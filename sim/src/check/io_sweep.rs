//! One failing call in one run: a store is opened, acts and is closed, with an error at the k-th
//! call. Afterwards memory equals a fresh start, and the store goes on or is poisoned.

use super::compare::{CheckError, Order, Reading, read_all};
use super::definition::Violation;
use super::io_faults::{commit_mark, is_poisoned, judge_commit};
use super::probe::Probe;
use super::promises::{C2, C3, C10, C11, C12, D4, S5};
use super::store_harness::{check_books, unexpected, verify};
use super::world::{World, file};
use crate::Rng;
use crate::fs::{Call, Disk, Fault, Injection, SimFs};
use fastness::inspect::{ledger, writable};
use fastness::{Durability, Error, Store, WriteTxn};
use fastness_models::OpKind;
use fastness_models::store::{Store as Model, StoreState};

/// Without older readers, every free page must be writable.
fn pages_returned(store: &Store) -> Result<(), Violation> {
    let books = ledger(&store.snapshot()).and_then(|books| Ok((books.free, writable(store)?)));
    if let Err(CheckError::Violation(violation)) = check_books(store) {
        return Err(violation);
    }
    match books {
        // The allocator may be empty before the first commit.
        Ok((free, given)) if given.is_empty() || free == given => Ok(()),
        outcome => {
            let text = format!(
                "after a failed commit, pages returned and store writable: \
                 {outcome:?}"
            );
            Err(Violation::new(S5.id, text))
        }
    }
}

/// An act of a sweep on an open store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SweptAct {
    Commits,
    Scan,
    Verify,
    Info,
    Deferred,
    Close,
}

impl SweptAct {
    /// Draws an act; most are commits.
    pub(super) fn draw(world: &World) -> Self {
        let acts = [Self::Scan, Self::Verify, Self::Info, Self::Deferred, Self::Close];
        world.rng(|rng| if rng.one_in(2) { Self::Commits } else { *rng.pick(&acts) })
    }

    /// Returns the mark of a failure.
    const fn failed(self) -> &'static str {
        match self {
            Self::Commits => "commit failed and the store stayed usable",
            Self::Scan => "scan failed and the store went on",
            Self::Verify => "verification failed and the store went on",
            Self::Info => "summary failed and the store went on",
            Self::Deferred => "deferred commit or its sync failed and the store went on",
            Self::Close => "explicit close failed",
        }
    }
}

/// One run of a store with one failure, on its own disk.
pub(super) struct SweepRun<'a> {
    pub(super) world: &'a World,
    pub(super) probe: &'a mut Probe,
    pub(super) injection: Injection,
    pub(super) act: SweptAct,
}

impl SweepRun<'_> {
    /// Returns whether the failure occurred.
    pub(super) fn run(&mut self, disk: &Disk, state: &StoreState) -> Result<bool, Violation> {
        let fs = self.world.boot(disk.clone());
        fs.inject(self.injection);
        let states = match self.world.options(&fs).open(file()) {
            Ok(store) if self.act == SweptAct::Commits => self.live(&fs, store, state)?,
            Ok(store) => self.act_once(&fs, store, state)?,
            Err(error) => {
                self.refused_opening(&fs, disk, &error)?;
                vec![state.clone()]
            }
        };
        let failed = fs.take_failure();
        let again = match self.world.rng(|rng| (rng.one_in(3), Rng::new(rng.next()))) {
            (true, mut rng) => fs.disk().power_loss(&mut rng),
            (false, _) => fs.disk(),
        };
        self.recovered(again, &states)?;
        Ok(failed.is_some())
    }

    fn short(&self, error: &Error) -> Result<(), Violation> {
        match self.injection.fault {
            Fault::Short => {
                Err(Violation::new(C12.id, format!("a short read or write caused: {error}")))
            }
            Fault::NoSpace | Fault::Io | Fault::SyncIo => Ok(()),
        }
    }

    fn refused_opening(
        &mut self,
        fs: &SimFs,
        before: &Disk,
        error: &Error,
    ) -> Result<(), Violation> {
        self.short(error)?;
        let Some(failure) = fs.failed() else {
            return Err(Violation::new(
                C11.id,
                format!("opening failed without an injected fault: {error}"),
            ));
        };
        if fs.disk().same_file(before, file()) {
            self.probe.mark("opening failed without changes");
            return Ok(());
        }
        self.probe.mark("recovery failed midway");
        match failure.call {
            Call::Write | Call::Sync | Call::SetLen => Ok(()),
            call => {
                Err(Violation::new(C10.id, format!("a failing {} changed the file", call.name())))
            }
        }
    }

    /// Reads, commits twice, and closes; returns the possible states.
    fn live(
        &mut self,
        fs: &SimFs,
        store: Store,
        state: &StoreState,
    ) -> Result<Vec<StoreState>, Violation> {
        // In half of the runs the cache is empty when the transaction begins.
        let read = self.world.rng(|rng| rng.one_in(2));
        if read
            && let Reading::Differs { text, .. } =
                read_all(&store.snapshot(), state, Order::Forward)
        {
            return Err(Violation::new(C11.id, text));
        }
        let mut states = vec![state.clone()];
        for round in 0..2 {
            let mut model = Model::at(states[0].clone());
            let written = self.write_some(&store, &mut model);
            let after = model.visible().clone();
            match written.and_then(WriteTxn::commit) {
                Ok(_) if states.len() > 1 => {
                    return Err(Violation::new(C3.id, "a poisoned store acknowledged a commit"));
                }
                Ok(_) => states = vec![after],
                Err(Error::Poisoned { .. }) if states.len() > 1 => {}
                Err(error) => {
                    self.short(&error)?;
                    let failure = fs.failed();
                    let poisoned = is_poisoned(&store);
                    judge_commit((failure, self.injection.lasting), poisoned)?;
                    self.probe.mark(commit_mark(poisoned));
                    if !poisoned && round == 0 {
                        fs.clear_fault();
                        pages_returned(&store)?;
                    }
                    states.extend(poisoned.then_some(after));
                }
            }
            self.probe.count(OpKind::Commit.name(), 1);
        }
        if !is_poisoned(&store) {
            fs.clear_fault();
            self.compare_memory(fs, &store, &states[0])?;
        }
        Ok(states)
    }

    /// Acts once, and goes on without the fault; returns the possible states.
    fn act_once(
        &mut self,
        fs: &SimFs,
        store: Store,
        state: &StoreState,
    ) -> Result<Vec<StoreState>, Violation> {
        let (mut model, mut attempted) = (Model::at(state.clone()), state.clone());
        let outcome = match self.act {
            SweptAct::Close => {
                let outcome = store.close();
                self.judge_act(fs, outcome.as_ref().err())?;
                return Ok(vec![state.clone()]);
            }
            SweptAct::Deferred => self.defer(&store, &mut model, &mut attempted),
            SweptAct::Verify => store.snapshot().verify().map(drop),
            SweptAct::Info => store.info().map(drop),
            SweptAct::Commits | SweptAct::Scan => {
                match read_all(&store.snapshot(), state, Order::Backward) {
                    Reading::Same(_) => Ok(()),
                    Reading::Failed(error) => Err(error),
                    Reading::Differs { text, owner } => {
                        return Err(Violation::new(owner.unwrap_or(C11.id), text));
                    }
                }
            }
        };
        self.judge_act(fs, outcome.as_ref().err())?;
        fs.clear_fault();
        let states = vec![state.clone(), attempted];
        if is_poisoned(&store) {
            return match self.act {
                SweptAct::Deferred => Ok(states),
                act => Err(Violation::new(C11.id, format!("{act:?} poisoned the store"))),
            };
        }
        // The store goes on where it was.
        let mut model = Model::at(model.committed().clone());
        let committed = self.write_some(&store, &mut model).and_then(WriteTxn::commit);
        committed.map_err(|error| {
            Violation::new(C11.id, format!("a commit after {:?}: {error}", self.act))
        })?;
        model.commit();
        self.compare_memory(fs, &store, model.committed())?;
        Ok(vec![model.committed().clone()])
    }

    /// Commits without a sync, and syncs. A commit that fails is in `attempted`: if it poisoned the
    /// store, a crash may leave it.
    fn defer(
        &mut self,
        store: &Store,
        model: &mut Model,
        attempted: &mut StoreState,
    ) -> Result<(), Error> {
        let before = model.committed().clone();
        let committed = self.write_some(store, model);
        attempted.clone_from(model.visible());
        match committed.and_then(|txn| txn.commit_with(Durability::None)) {
            Ok(_) => model.commit(),
            Err(error) => {
                *model = Model::at(before);
                return Err(error);
            }
        }
        store.sync().map(drop)
    }

    /// An error needs an injected failure.
    fn judge_act(&mut self, fs: &SimFs, error: Option<&Error>) -> Result<(), Violation> {
        let Some(error) = error else { return Ok(()) };
        self.short(error)?;
        if fs.failed().is_none() {
            let text = format!("{:?} failed without an injected fault: {error}", self.act);
            return Err(Violation::new(C11.id, text));
        }
        self.probe.mark(self.act.failed());
        Ok(())
    }

    /// The memory of an open store after a failure equals a fresh start.
    fn compare_memory(
        &mut self,
        fs: &SimFs,
        store: &Store,
        state: &StoreState,
    ) -> Result<(), Violation> {
        check_books(store).map_err(|error| unexpected(error, C11.id))?;
        let fresh = self.world.boot(fs.disk());
        let fresh = self.world.options(&fresh).open(file());
        let fresh = fresh.map_err(|error| unexpected(error.into(), C2.id))?;
        for snapshot in [store.snapshot(), fresh.snapshot()] {
            let reading = read_all(&snapshot, state, Order::Forward).same(C11.id);
            reading.map_err(|error| unexpected(error, C11.id))?;
        }
        let [held, found] = [store, &fresh].map(|store| store.snapshot().commit());
        if held == found {
            return Ok(());
        }
        let text = format!("after a failure commit {held} is in memory, and {found} in the file");
        Err(Violation::new(C11.id, text))
    }

    fn write_some(&mut self, store: &Store, model: &mut Model) -> Result<WriteTxn, Error> {
        let domain = &self.world.domain;
        let mut txn = store.write()?;
        for _ in 0..4 {
            let [tree, key, value] = self.world.rng(|rng| [(); 3].map(|()| rng.byte()));
            let (tree, key) = (domain.tree(tree), domain.key(key));
            let value = self.world.value(value, u32::from(value) | 0xe000);
            // The state of a failed transaction does not matter.
            model.insert(tree, &key, &value);
            txn.tree(tree)?.insert(&key, &value)?;
            self.probe.count(OpKind::Insert.name(), 1);
        }
        Ok(txn)
    }

    fn recovered(&mut self, disk: Disk, states: &[StoreState]) -> Result<(), Violation> {
        let fs = self.world.boot(disk);
        let store = self.world.options(&fs).open(file());
        let store = store.map_err(|error| unexpected(error.into(), C2.id))?;
        let snapshot = store.snapshot();
        let mut texts = Vec::new();
        for state in states {
            match read_all(&snapshot, state, Order::Forward) {
                Reading::Same(operations) => {
                    self.probe.count(OpKind::Scan.name(), operations);
                    return verify(&snapshot, D4.id).map_err(|error| unexpected(error, D4.id));
                }
                Reading::Differs { text, .. } => texts.push(text),
                Reading::Failed(error) => texts.push(error.to_string()),
            }
        }
        Err(Violation::new(C2.id, texts.join("; or: ")))
    }
}
