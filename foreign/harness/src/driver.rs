//! One plan: operations on the store and on the model, crashes, comparisons.

use crate::engine::{Answer, Database, Edit, End, Engine, Snapshot};
use crate::report::{Finding, Kind};
use crate::same::difference;
use fastness_crashkit::crash::{Effort, Explorer, Program, Recovery};
use fastness_crashkit::oracle::{Prefix, landed};
use fastness_crashkit::{Call, Disk, Failure, Fault, Injection, Rng, SimFs};
use fastness_models::domain::{Bytes, Domain};
use fastness_models::store::{Store as Model, StoreOutcome, StoreState};
use fastness_models::{Op, OpKind};
use fastness_sim::check::Plan;
use std::convert::Infallible;

/// The checks whose plans are run, in turns.
pub const CHECKS: [&str; 4] = ["crash", "unsynced", "io-errors", "compaction"];

/// Longest value; larger ones are cut, as they cost time.
const VALUE_BYTES_MAX: usize = 20_000;
/// Most snapshots held at once.
const SNAPSHOTS_MAX: usize = 4;
/// Crashes of one batch of calls.
const EFFORT: Effort = Effort { forks_max: 6, depth_max: 3 };

type Result<T> = std::result::Result<T, Finding>;

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    pub(crate) crashes: u64,
}

pub(crate) struct Driver<'e> {
    engine: &'e dyn Engine,
    domain: Domain,
    /// Whether some commits are unsynced.
    defers: bool,
    rng: Rng,
    explorer: Explorer,
    fs: SimFs,
    snapshots: Vec<(Box<dyn Snapshot>, StoreState)>,
    db: Option<Box<dyn Database>>,
    model: Model,
    prefix: Prefix<StoreState>,
    edits: Vec<(Edit, Answer)>,
    operations: u64,
}

/// A store that recovers: opens, reads, compares, and now and then verifies.
struct Opener<'e> {
    engine: &'e dyn Engine,
    verifies: bool,
}

impl Program for Opener<'_> {
    type State = StoreState;

    fn recover(
        &mut self,
        recovery: &mut Recovery<'_, StoreState>,
    ) -> std::result::Result<(), String> {
        let mut db = self.engine.open(recovery.fs).map_err(|error| format!("open: {error}"))?;
        let contents = db.contents().map_err(|error| format!("read: {error}"))?;
        recovery.compare(|state| difference(&contents, state));
        if self.verifies {
            db.verify().map_err(|error| format!("verify: {error}"))?;
        }
        Ok(())
    }
}

impl<'e> Driver<'e> {
    pub(crate) fn create(engine: &'e dyn Engine, check: &str, plan: &Plan) -> Result<Self> {
        let mut rng = Rng::new(u64::from(plan.salt) << 8 | 0xf0);
        let fs = SimFs::boot(Disk::default(), rng.next());
        let db = engine.open(&fs).map_err(|error| Finding::new(Kind::Refused, error))?;
        fs.record_forks();
        let model = Model::default();
        Ok(Self {
            engine,
            domain: Domain::new(plan.salt),
            defers: check == "unsynced",
            explorer: Explorer::new(rng.next(), EFFORT),
            rng,
            fs,
            snapshots: Vec::new(),
            db: Some(db),
            prefix: Prefix::durable(model.committed().clone()),
            model,
            edits: Vec::new(),
            operations: 0,
        })
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { operations: self.operations, crashes: self.explorer.crashes() }
    }

    /// Runs one operation; kinds that the store has no word for do nothing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the alphabet has kinds for other machines")]
    pub(crate) fn act(&mut self, op: Op, step: usize) -> Result<()> {
        self.operations += 1;
        match op.kind {
            OpKind::Insert => self.insert(op, (step, 0)),
            OpKind::Remove => self.remove(op, 0),
            OpKind::Fill => {
                (0..self.domain.run_len(op.c)).for_each(|index| self.insert(op, (step, index)));
            }
            OpKind::Prune => {
                (0..self.domain.run_len(op.c)).for_each(|index| self.remove(op, index));
            }
            OpKind::Clear => self.clear(op),
            OpKind::Get => self.get(op),
            OpKind::Commit if self.defers && !op.a.is_multiple_of(4) => {
                self.end(End::CommitUnsynced)?;
            }
            OpKind::Commit => self.end(End::Commit)?,
            OpKind::Abort => self.end(End::Abort)?,
            OpKind::TakeSnapshot => self.take_snapshot()?,
            OpKind::ScanSnapshot => self.scan_snapshots()?,
            OpKind::DropSnapshot => drop(self.snapshots.pop()),
            OpKind::Reopen => self.reopen()?,
            OpKind::Kill | OpKind::PowerLoss => self.restart(op.kind == OpKind::PowerLoss)?,
            OpKind::Compact => self.maintain(Kind::Refused, |db| db.compact())?,
            OpKind::Verify => self.maintain(Kind::Damaged, |db| db.verify())?,
            OpKind::Inject => self.inject(op),
            OpKind::ClearFault => self.clear_fault()?,
            _ => {}
        }
        self.test_forks()
    }

    fn tree(&self, operand: u8) -> String {
        self.domain.tree(operand).to_owned()
    }

    fn insert(&mut self, op: Op, (step, index): (usize, u8)) {
        let tree = self.tree(op.a);
        let key = self.domain.run(op.b, index);
        let stamp = u32::try_from(step).unwrap_or(0) << 8 | u32::from(index);
        let len = self.domain.value_len(op.c.wrapping_add(index)).min(VALUE_BYTES_MAX);
        let value = self.domain.value_of(len, stamp);
        let answer = answer(&self.model.insert(&tree, &key, &value));
        self.edits.push((Edit::Insert(tree, key, value), answer));
    }

    fn remove(&mut self, op: Op, index: u8) {
        let tree = self.tree(op.a);
        let key = self.domain.run(op.b, index);
        let answer = answer(&self.model.remove(&tree, &key));
        self.edits.push((Edit::Remove(tree, key), answer));
    }

    fn clear(&mut self, op: Op) {
        let tree = self.tree(op.a);
        self.model.clear(&tree);
        self.edits.push((Edit::Clear(tree), Answer::Done));
    }

    fn get(&mut self, op: Op) {
        let (tree, key): (String, Bytes) = (self.tree(op.a), self.domain.key(op.b));
        let value = self.model.visible().get(&tree, &key).map(<[u8]>::to_vec);
        self.edits.push((Edit::Get(tree, key), Answer::Value(value)));
    }

    fn db(&mut self) -> &mut dyn Database {
        self.db.as_deref_mut().expect("a database is open between operations")
    }

    /// Runs the buffered edits and ends their transaction.
    fn end(&mut self, end: End) -> Result<()> {
        let (edits, expected): (Vec<Edit>, Vec<Answer>) = self.edits.drain(..).unzip();
        let state = self.model.visible().clone();
        if end != End::Abort {
            self.prefix.begin(state.clone());
        }
        self.model.abort();
        match self.db().transact(&edits, end) {
            Ok(answers) => {
                if let Some(index) = (0..edits.len()).find(|i| answers[*i] != expected[*i]) {
                    let (found, expected) = (&answers[index], &expected[index]);
                    let text = format!("{:?}: {found:?}, not {expected:?}", edits[index]);
                    return Err(Finding::new(Kind::Wrong, shorten(&text)));
                }
            }
            Err(error) => return self.failed(&error),
        }
        if end != End::Abort {
            self.model = Model::at(state);
        }
        self.test_forks()?;
        if end == End::Commit {
            self.prefix.acknowledge();
            self.power_loss()?;
        }
        Ok(())
    }

    /// An error needs an injected fault; then the program closes and opens, or dies.
    fn failed(&mut self, error: &str) -> Result<()> {
        let Some(failure) = self.fs.failed() else {
            return Err(Finding::new(Kind::Refused, shorten(error)));
        };
        match self.rng.below(3) {
            _ if is_sync(failure) => self.restart(true),
            0 => self.reopen(),
            1 => self.restart(false),
            _ => self.restart(true),
        }
    }

    /// Ends the fault. If it was met, a later error may be its consequence, so the program closes
    /// and opens.
    fn clear_fault(&mut self) -> Result<()> {
        self.fs.clear_fault();
        match self.fs.failed() {
            Some(_) => self.reopen(),
            None => Ok(()),
        }
    }

    fn take_snapshot(&mut self) -> Result<()> {
        if self.snapshots.len() == SNAPSHOTS_MAX {
            self.snapshots.remove(0);
        }
        match self.db().snapshot() {
            Ok(snapshot) => self.snapshots.push((snapshot, self.model.committed().clone())),
            Err(error) => self.failed(&error)?,
        }
        Ok(())
    }

    fn scan_snapshots(&mut self) -> Result<()> {
        for index in 0..self.snapshots.len() {
            let (snapshot, state) = &self.snapshots[index];
            match snapshot.contents() {
                Ok(contents) => {
                    if let Some(text) = difference(&contents, state) {
                        let text = format!("a snapshot changed: {text}");
                        return Err(Finding::new(Kind::Wrong, text));
                    }
                }
                Err(error) => return self.failed(&error),
            }
        }
        Ok(())
    }

    /// Runs a call that needs the database alone.
    fn maintain(
        &mut self,
        kind: Kind,
        call: impl FnOnce(&mut dyn Database) -> std::result::Result<(), String>,
    ) -> Result<()> {
        self.forget();
        match call(self.db()) {
            Ok(()) => self.read(),
            Err(error) if self.fs.failed().is_some() => self.failed(&error),
            Err(error) => Err(Finding::new(kind, shorten(&error))),
        }
    }

    /// Drops snapshots and the open transaction.
    fn forget(&mut self) {
        self.snapshots.clear();
        self.edits.clear();
        self.model.abort();
    }

    /// Compares everything with the committed state.
    fn read(&mut self) -> Result<()> {
        match self.db().contents() {
            Ok(contents) => match difference(&contents, self.model.committed()) {
                Some(text) => Err(Finding::new(Kind::Wrong, text)),
                None => Ok(()),
            },
            Err(error) => self.failed(&error),
        }
    }

    /// Closes and opens.
    fn reopen(&mut self) -> Result<()> {
        self.forget();
        self.db = None;
        self.test_forks()?;
        if self.fs.failed().is_some_and(is_sync) {
            return self.restart(true);
        }
        self.open()
    }

    /// The process dies; a new one opens the disk, after a power loss or not.
    fn restart(&mut self, cuts_power: bool) -> Result<()> {
        let disk = self.fs.disk();
        self.fs.disconnect();
        self.forget();
        self.db = None;
        let disk = if cuts_power { disk.power_loss(&mut self.rng) } else { disk };
        self.fs = SimFs::boot(disk, self.rng.next());
        self.fs.record_forks();
        self.open()
    }

    /// Opens; an injected fault may prevent that once.
    fn open(&mut self) -> Result<()> {
        match self.open_once() {
            Err(Finding { kind: Kind::Unusable | Kind::Damaged, .. })
                if self.fs.failed().is_some() =>
            {
                let cuts_power = self.fs.failed().is_some_and(is_sync);
                self.restart(cuts_power)
            }
            opened => {
                // The failure is over: later errors need causes of their own.
                if self.fs.failed().is_some() {
                    let _over = self.fs.take_failure();
                }
                opened
            }
        }
    }

    /// Opens after a crash or a close, and takes the state that it finds as durable.
    fn open_once(&mut self) -> Result<()> {
        let opened = self.engine.open(&self.fs);
        let mut db = opened.map_err(|error| Finding::new(Kind::Unusable, shorten(&error)))?;
        if self.rng.one_in(4) {
            db.verify().map_err(|error| Finding::new(Kind::Damaged, shorten(&error)))?;
        }
        let contents = db.contents();
        let contents = contents.map_err(|error| Finding::new(Kind::Unusable, shorten(&error)))?;
        let compare = |state: &StoreState| Ok(difference(&contents, state));
        let Ok::<_, Infallible>(landed) = landed(self.prefix.states(), compare);
        let landed = landed.map_err(|lost| Finding::new(Kind::Lost, lost.to_string()))?;
        self.test_forks()?;
        self.prefix.land(landed);
        self.model = Model::at(self.prefix.newest().clone());
        self.db = Some(db);
        Ok(())
    }

    fn inject(&mut self, op: Op) {
        // A backend fills its buffers itself, so there are no short reads.
        let fault = [Fault::NoSpace, Fault::Io, Fault::SyncIo][usize::from(op.a) % 3];
        let lasting = op.c & 1 == 1;
        self.fs.inject(Injection { fault, after: u32::from(op.b % 24), lasting });
    }

    /// Crashes at the calls since the last test.
    fn test_forks(&mut self) -> Result<()> {
        let forks = self.fs.take_forks();
        let mut opener = Opener { engine: self.engine, verifies: self.rng.one_in(4) };
        let tested = self.explorer.at_forks(&mut opener, &forks, self.prefix.states());
        tested.map_err(|lost| Finding::lost(&lost))
    }

    fn power_loss(&mut self) -> Result<()> {
        let mut opener = Opener { engine: self.engine, verifies: self.rng.one_in(4) };
        let tested = self.explorer.power_loss(&mut opener, &self.fs.disk(), self.prefix.states());
        tested.map_err(|lost| Finding::lost(&lost))
    }
}

/// After a failed sync the page cache holds writes that the disk may lack, and a new process would
/// read them. Few stores promise to survive that, so the machine is restarted, too.
fn is_sync(failure: Failure) -> bool {
    failure.call == Call::Sync
}

fn answer(outcome: &StoreOutcome<'_>) -> Answer {
    match outcome {
        StoreOutcome::Existed(existed) => Answer::Existed(*existed),
        StoreOutcome::Done
        | StoreOutcome::Count(_)
        | StoreOutcome::Value(_)
        | StoreOutcome::Ends(..)
        | StoreOutcome::Refused(_) => Answer::Done,
    }
}

/// Cuts a text that names long keys or values.
fn shorten(text: &str) -> String {
    text.chars().take(600).collect()
}
