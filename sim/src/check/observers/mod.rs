//! Observers and the commit listener: their reports against the states before and after each
//! commit.

mod differ;

use super::compare::Stop;
use super::failing::is_poisoned;
use super::objects::bench::Bench;
use super::objects::bridge;
use super::objects::compare::mistake;
use super::objects::course::{self, Course};
use super::objects::ear::Ear;
use super::promises::{B1, B9, C2, C3, C5, C11, C12, C13, W1, W2, W3};
use super::{Check, Recipe, Violation};
use differ::{changed, differ};
use fastness::CommitId;
use fastness::object::{Changes, ElementId, ObjectRef, Operation, Subscription, View};
use fastness_models::object_schema::Alter;
use fastness_models::objects::{Id, Key, ListEdit, State, Value};
use fastness_models::{Kind, Op};

/// Maximum number of observers.
const OBSERVERS_MAX: usize = 3;

pub(super) const CHECK: Check = Check {
    name: "observers",
    about: "what observers and the listener are told, against the states before and after",
    invariants: &[W1, W2, W3, B1, B9, C2, C3, C5, C11, C12, C13],
    marks: &[
        "told a commit",
        "told several commits one after the other",
        "a commit that changed no object was left out",
        "an object modified",
        "an object deleted",
        "an object made again where one was deleted",
        "elements moved",
        "operations replayed",
        "classes changed",
        "objects that changed their keys",
        "nothing told of a transaction that was undone",
        "what the listener wrote came with its commit",
        "what the listener wrote went with its commit",
        "began with an older observer still behind",
        "told nothing of a commit that failed",
        "told nothing of a commit that may be there",
        "an observer could not begin",
        "failed commit was there after all",
        "failed commit was not there",
    ],
    recipe: Recipe {
        mix: &[
            (Kind::Create, 10),
            (Kind::Upsert, 10),
            (Kind::Set, 24),
            (Kind::Update, 8),
            (Kind::Add, 4),
            (Kind::Delete, 6),
            (Kind::ListInsert, 16),
            (Kind::ListEdit, 16),
            (Kind::Alter, 4),
            (Kind::Commit, 14),
            (Kind::Abort, 2),
            (Kind::Observe, 12),
            (Kind::Inject, 5),
            (Kind::Heal, 1),
            (Kind::Reopen, 1),
            (Kind::PowerLoss, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body: course::run::<Watches>,
};

/// An observer, with the states since its last report; the first state is the one it knows.
struct Watch {
    observer: Subscription,
    states: Vec<State>,
    last: CommitId,
}

/// The observers of a run.
struct Watches(Vec<Watch>);

impl Course for Watches {
    const INVARIANT: &'static str = B1.id;

    fn begin(bench: &mut Bench<'_>) -> Result<Self, Stop> {
        bench.close();
        bench.ear = Some(Ear::new(&bench.committed));
        bench.open()?;
        Ok(Self(vec![begin(bench)?]))
    }

    fn act(&mut self, bench: &mut Bench<'_>, op: Op) -> Result<(), Stop> {
        drop(take_heard(bench));
        if matches!(op.kind, Kind::Reopen | Kind::Kill | Kind::PowerLoss) {
            self.let_go(bench)?;
        }
        let Self(watches) = self;
        if op.kind == Kind::Observe {
            bench.probe.count(op.kind.name(), 1);
            return observe(bench, watches, op);
        }
        let was_writing = bench.is_writing();
        let before = bench.committed.clone();
        let changed = change(bench, op);
        // Also if a step after the commit failed.
        if before != bench.committed {
            watches.iter_mut().for_each(|watch| watch.states.push(bench.committed.clone()));
        }
        if let Err(stop) = changed {
            return Err(failed(bench, watches, (op, stop))?);
        }
        heard(bench, &before, was_writing && op.kind == Kind::Abort)?;
        if watches.is_empty() && !bench.is_writing() {
            let begun = begin(bench);
            if matches!(begun, Err(Stop::Refused(_))) {
                bench.probe.mark("an observer could not begin");
            }
            watches.push(begun?);
        }
        Ok(())
    }

    fn let_go(&mut self, bench: &mut Bench<'_>) -> Result<(), Stop> {
        for mut watch in self.0.drain(..) {
            match poll(bench, &mut watch, usize::MAX) {
                // The catalog was unreadable.
                Ok(()) | Err(Stop::Refused(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn end(self, bench: &mut Bench<'_>) -> Result<(), Stop> {
        self.0.into_iter().try_for_each(|mut watch| poll(bench, &mut watch, usize::MAX))
    }
}

/// Runs an operation of the harness, or changes a class. States identify classes by name, so
/// classes are not renamed, and a class is removed in a transaction of its own.
fn change(bench: &mut Bench<'_>, op: Op) -> Result<(), Stop> {
    if op.kind != Kind::Alter {
        return bench.act(op);
    }
    match bench.domain.alter([op.a, op.b, op.c], bench.seen()) {
        Alter::RenameClass(..) => Ok(()),
        // A removed class whose commit fails cannot be described.
        Alter::RemoveClass(_) if bench.is_writing() || bench.fs.fails() => Ok(()),
        Alter::RemoveClass(_) => {
            super::schema::alter(bench, op)?;
            bench.commit()
        }
        _ => super::schema::alter(bench, op),
    }
}

/// After a failed operation, observers receive earlier commits and nothing of the failed one.
fn failed(
    bench: &mut Bench<'_>,
    watches: &mut [Watch],
    (op, stop): (Op, Stop),
) -> Result<Stop, Stop> {
    // The listener ran before, and its writes were rolled back.
    drop(take_heard(bench));
    if matches!(stop, Stop::Broken(_)) {
        return Ok(stop);
    }
    let mut asked = 0;
    for watch in watches {
        match poll(bench, watch, usize::MAX) {
            Ok(()) => asked += 1,
            // The catalog was unreadable.
            Err(Stop::Refused(_)) => {}
            Err(broken) => return Err(broken),
        }
    }
    if op.kind == Kind::Commit && asked > 0 {
        bench.probe.mark(match is_poisoned(bench.database().store()) {
            true => "told nothing of a commit that may be there",
            false => "told nothing of a commit that failed",
        });
    }
    Ok(stop)
}

/// Subscribes at the committed state.
fn begin(bench: &Bench<'_>) -> Result<Watch, Stop> {
    let (snapshot, observer) = bench.database().subscribe()?;
    super::objects::compare::all(&snapshot.view(), &bench.committed)?;
    let states = vec![bench.committed.clone()];
    Ok(Watch { observer, states, last: snapshot.commit() })
}

/// Subscribes, drops an observer, or polls one.
fn observe(bench: &mut Bench<'_>, watches: &mut Vec<Watch>, op: Op) -> Result<(), Stop> {
    match op.a % 8 {
        // A writing thread would wait for itself.
        0..2 if !bench.is_writing() && watches.len() < OBSERVERS_MAX => {
            if watches.iter().any(|watch| watch.states.len() > 1) {
                bench.probe.mark("began with an older observer still behind");
            }
            watches.push(begin(bench)?);
        }
        2 if !watches.is_empty() => {
            watches.remove(usize::from(op.b) % watches.len());
        }
        _ if !watches.is_empty() => {
            let at = usize::from(op.b) % watches.len();
            poll(bench, &mut watches[at], usize::from(op.c % 3) + 1)?;
        }
        _ => {}
    }
    Ok(())
}

/// Polls an observer, and compares its reports with the states.
fn poll(bench: &mut Bench<'_>, watch: &mut Watch, count: usize) -> Result<(), Stop> {
    let snapshot = bench.database().snapshot()?;
    for round in 0..count {
        let changes = watch.observer.try_recv();
        // Commits without changed objects are not reported.
        while let [before, after, ..] = &watch.states[..]
            && changed(before, after).is_empty()
        {
            bench.probe.mark("a commit that changed no object was left out");
            watch.states.remove(0);
        }
        let (changes, before, after) = match (changes, &watch.states[..]) {
            (Some(changes), [before, after, ..]) => (changes, before, after),
            (None, [_, _, ..]) => {
                return Err(Violation::new(W2.id, "a commit was not told").into());
            }
            (Some(more), _) => {
                return Err(Violation::new(W2.id, format!("told {more:?} of nothing")).into());
            }
            (None, _) => return Ok(()),
        };
        if changes.commit <= watch.last || changes.commit > snapshot.commit() {
            let text = format!("told commit {} after {}", changes.commit, watch.last);
            return Err(Violation::new(W2.id, text).into());
        }
        differ((before, after), &changes)?;
        watch.last = changes.commit;
        let states = [watch.states.remove(0), watch.states[0].clone()];
        mark(bench, round, (&states, &changes));
    }
    Ok(())
}

fn mark(bench: &mut Bench<'_>, round: usize, ([before, after], changes): (&[State; 2], &Changes)) {
    let key = |state: &State, class: &str| state.classes.get(class).map(|class| class.key.clone());
    let mut rekeyed =
        changes.classes.iter().filter(|(name, _)| key(before, name) != key(after, name));
    let modified = || changes.classes.values().flat_map(|class| &class.modified);
    let mut lists = modified().flat_map(|(_, found)| found).filter_map(|one| one.list.as_ref());
    for (met, mark) in [
        (true, "told a commit"),
        (round > 0, "told several commits one after the other"),
        (modified().next().is_some(), "an object modified"),
        (changes.classes.values().any(|class| !class.deleted.is_empty()), "an object deleted"),
        (lists.any(|list| !list.moved.is_empty()), "elements moved"),
        (
            rekeyed.any(|(_, class)| !class.inserted.is_empty() && !class.deleted.is_empty()),
            "objects that changed their keys",
        ),
    ] {
        if met {
            bench.probe.mark(mark);
        }
    }
}

/// Takes the operations that the listener received.
fn take_heard(bench: &Bench<'_>) -> Vec<Vec<Operation>> {
    bench.ear.as_ref().map(Ear::take).unwrap_or_default()
}

/// Replays the operations of one commit.
fn heard(bench: &mut Bench<'_>, before: &State, aborted: bool) -> Result<(), Stop> {
    let heard = take_heard(bench);
    let broken = |text: String| Stop::from(Violation::new(W3.id, text));
    if aborted {
        bench.probe.mark("nothing told of a transaction that was undone");
    }
    if heard.len() > 1 {
        return Err(broken(format!("a commit was told {} times", heard.len())));
    }
    if heard.iter().flatten().any(|operation| *operation == Operation::SchemaChange) {
        // The operation carries no details: a replica reads the catalog.
        bench.probe.mark("classes changed");
        return Ok(());
    }
    let mut state = before.clone();
    // The catalog may be unreadable.
    let Ok(snapshot) = bench.database().snapshot() else { return Ok(()) };
    for operation in heard.iter().flatten() {
        replay(&snapshot.view(), &mut state, operation)?;
    }
    if state != bench.committed {
        return Err(broken(format!("{heard:?} do not lead to what was committed")));
    }
    let made_again = heard.iter().flatten().any(|operation| match operation {
        Operation::Create(target) => heard
            .iter()
            .flatten()
            .any(|other| matches!(other, Operation::Delete(erased) if erased == target)),
        _ => false,
    });
    if made_again {
        bench.probe.mark("an object made again where one was deleted");
    }
    if !heard.is_empty() {
        bench.probe.mark("operations replayed");
    }
    Ok(())
}

/// Applies an operation to a state of the model.
fn replay(view: &View<'_>, state: &mut State, operation: &Operation) -> Result<(), Stop> {
    let id = |target: &ObjectRef| -> Id { (target.class.clone(), bridge::key(&target.key)) };
    let done = match operation {
        Operation::Create(target) => {
            let made = match bridge::key(&target.key) {
                Key::Row(_) => state.create(&target.class).map(|made| (made, true)),
                Key::Int(value) => state.get_or_create(&target.class, &Value::Int(value)),
                Key::Text(text) => state.get_or_create(&target.class, &Value::Text(text)),
                Key::Null => state.get_or_create(&target.class, &Value::Null),
            };
            made.map(|made| made == (id(target), true))
        }
        Operation::Delete(target) => state.delete(&id(target)).map(|()| true),
        Operation::Set { target, property, value } => {
            state.set(&id(target), property, &bridge::value(view, value)?).map(|()| true)
        }
        Operation::Increment { target, property, by } => {
            state.add(&id(target), property, *by).map(|_| true)
        }
        Operation::ListInsert { target, property, element, after } => {
            let at = behind(&elements(state, target, property), *after);
            let edit = ListEdit::Insert(at, bridge::value(view, &element.value)?);
            let done = state.edit_list(&id(target), property, &edit);
            let made = elements(state, target, property);
            done.map(|()| made.get(at).is_some_and(|made| *made == element.id.number))
        }
        Operation::ListSet { target, property, element } => {
            let at = behind(&elements(state, target, property), Some(element.id)) - 1;
            let edit = ListEdit::Set(at, bridge::value(view, &element.value)?);
            state.edit_list(&id(target), property, &edit).map(|()| true)
        }
        Operation::ListRemove { target, property, element } => {
            let at = behind(&elements(state, target, property), Some(*element)) - 1;
            state.edit_list(&id(target), property, &ListEdit::Remove(at)).map(|()| true)
        }
        Operation::ListMove { target, property, element, after } => {
            let mut held = elements(state, target, property);
            let from = behind(&held, Some(*element)) - 1;
            held.retain(|number| *number != element.number);
            let edit = ListEdit::Move(from, behind(&held, *after));
            state.edit_list(&id(target), property, &edit).map(|()| true)
        }
        other => return Err(mistake(other)),
    };
    if done == Ok(true) {
        return Ok(());
    }
    let text = format!("{operation:?} cannot be done where it is told: {done:?}");
    Err(Violation::new(W3.id, text).into())
}

fn elements(state: &State, target: &ObjectRef, property: &str) -> Vec<u64> {
    let object = state.object(&(target.class.clone(), bridge::key(&target.key)));
    let list = object.and_then(|object| object.lists.get(property));
    list.into_iter().flatten().map(|held| held.0).collect()
}

/// Returns the index after an element; an unknown element counts as the last.
fn behind(held: &[u64], after: Option<ElementId>) -> usize {
    after.map_or(0, |after| {
        held.iter().position(|number| *number == after.number).unwrap_or(held.len()) + 1
    })
}
