//! Observers and the commit hook: their reports against the states before and after each
//! commit.

mod diff;

use super::compare::CheckError;
use super::io_faults::is_poisoned;
use super::objects::bridge;
use super::objects::commit_hook::RecordingHook;
use super::objects::compare::check_bug;
use super::objects::driver;
use super::objects::harness::ObjectHarness;
use super::objects::object_check::ObjectCheck;
use super::promises::{
    A4, B1, B2, B4, B5, B6, B8, B9, B13, C2, C3, C5, C11, C12, C13, Q2, W1, W2, W3, W4,
};
use crate::check::definition::{Check, Distribution, Violation};
use diff::{changed, differ};
use fastness::CommitId;
use fastness::object::{Changes, ElementId, ObjectRef, Operation, Subscription, View};
use fastness_models::object_schema::SchemaChange;
use fastness_models::objects::{DatabaseState, Id, Key, ListEdit, Value};
use fastness_models::{Op, OpKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of observers.
const OBSERVERS_MAX: usize = 3;

pub(super) const CHECK: Check = Check {
    name: "observers",
    about: "reports to observers and the commit hook, compared with the states before and after",
    invariants: &[
        W1, W2, W3, W4, B1, B9, C2, C3, C5, C11, C12, C13, B2, B4, B5, B6, B8, B13, Q2, A4,
    ],
    marks: &[
        "wrote through another database over the store",
        "reported a commit",
        "reported several commits in order",
        "skipped a commit without changes",
        "an object modified",
        "an object deleted",
        "an object recreated with a deleted key",
        "elements moved",
        "operations replayed",
        "classes changed",
        "objects that changed their keys",
        "reported nothing for an aborted transaction",
        "writes of the commit hook kept with its commit",
        "writes of the commit hook lost with its commit",
        "subscribed while an older observer was behind",
        "woke several observers",
        "reported nothing for a failed commit",
        "reported nothing for a commit in doubt",
        "a subscription failed",
        "failed commit present after a crash",
        "failed commit absent after a crash",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 10),
            (OpKind::Upsert, 10),
            (OpKind::Set, 24),
            (OpKind::Update, 8),
            (OpKind::Add, 4),
            (OpKind::Delete, 6),
            (OpKind::ListInsert, 16),
            (OpKind::ListEdit, 16),
            (OpKind::ChangeSchema, 4),
            (OpKind::Commit, 14),
            (OpKind::Abort, 2),
            (OpKind::Observe, 12),
            (OpKind::Inject, 5),
            (OpKind::ClearFault, 1),
            (OpKind::Reopen, 1),
            (OpKind::PowerLoss, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body: driver::run::<ObserverCheck>,
};

/// An observer, with the states since its last report; the first state is the one it knows.
struct ObserverState {
    observer: Subscription,
    states: Vec<DatabaseState>,
    last: CommitId,
    /// How often it was woken since it was last looked at.
    woken: Arc<AtomicUsize>,
}

/// The observers of a run.
struct ObserverCheck(Vec<ObserverState>);

impl ObjectCheck for ObserverCheck {
    const INVARIANT: &'static str = B1.id;

    fn begin(harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError> {
        harness.close();
        harness.hook = Some(RecordingHook::new(&harness.committed));
        harness.open()?;
        Ok(Self(vec![begin(harness)?]))
    }

    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        drop(take_heard(harness));
        if matches!(op.kind, OpKind::Reopen | OpKind::Kill | OpKind::PowerLoss) {
            self.release(harness)?;
        }
        let Self(observer_states) = self;
        if op.kind == OpKind::Observe {
            harness.probe.count(op.kind.name(), 1);
            return observe(harness, observer_states, op);
        }
        let was_writing = harness.is_writing();
        let before = harness.committed.clone();
        let changed = change(harness, op);
        // Also if a step after the commit failed.
        if before != harness.committed {
            observer_states
                .iter_mut()
                .for_each(|observer_state| observer_state.states.push(harness.committed.clone()));
            wakes(harness, &before, observer_states)?;
        }
        if let Err(error) = changed {
            return Err(failed(harness, observer_states, (op, error))?);
        }
        operations(harness, &before, was_writing && op.kind == OpKind::Abort)?;
        if observer_states.is_empty() && !harness.is_writing() {
            let begun = begin(harness);
            if matches!(begun, Err(CheckError::Store(_))) {
                harness.probe.mark("a subscription failed");
            }
            observer_states.push(begun?);
        }
        Ok(())
    }

    fn release(&mut self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        for mut observer_state in self.0.drain(..) {
            match poll(harness, &mut observer_state, usize::MAX) {
                // The catalog was unreadable.
                Ok(()) | Err(CheckError::Store(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn end(self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        self.0
            .into_iter()
            .try_for_each(|mut observer_state| poll(harness, &mut observer_state, usize::MAX))
    }
}

/// Runs an operation of the harness, or changes a class. States identify classes by name, so
/// classes are not renamed, and a class is removed in a transaction of its own.
fn change(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    if op.kind != OpKind::ChangeSchema {
        return harness.act(op);
    }
    match harness.domain.change_schema([op.a, op.b, op.c], harness.seen()) {
        SchemaChange::RenameClass(..) => Ok(()),
        // A removed class whose commit fails cannot be described.
        SchemaChange::RemoveClass(_) if harness.is_writing() || harness.fs.fails() => Ok(()),
        SchemaChange::RemoveClass(_) => {
            super::schema::change_schema(harness, op)?;
            harness.commit()
        }
        _ => super::schema::change_schema(harness, op),
    }
}

/// After a failed operation, observers receive earlier commits and nothing of the failed one.
fn failed(
    harness: &mut ObjectHarness<'_>,
    observer_states: &mut [ObserverState],
    (op, error): (Op, CheckError),
) -> Result<CheckError, CheckError> {
    // The hook ran before, and its writes were rolled back.
    drop(take_heard(harness));
    if matches!(error, CheckError::Violation(_)) {
        return Ok(error);
    }
    let mut asked = 0;
    for observer_state in observer_states {
        match poll(harness, observer_state, usize::MAX) {
            Ok(()) => asked += 1,
            // The catalog was unreadable.
            Err(CheckError::Store(_)) => {}
            Err(unexpected_error) => return Err(unexpected_error),
        }
    }
    if op.kind == OpKind::Commit && asked > 0 {
        harness.probe.mark(match is_poisoned(harness.database().store()) {
            true => "reported nothing for a commit in doubt",
            false => "reported nothing for a failed commit",
        });
    }
    Ok(error)
}

/// Subscribes at the committed state.
fn begin(harness: &ObjectHarness<'_>) -> Result<ObserverState, CheckError> {
    let (snapshot, observer) = harness.database().subscribe()?;
    super::objects::compare::all(&snapshot.view(), &harness.committed)?;
    let states = vec![harness.committed.clone()];
    let woken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&woken);
    observer.on_commit(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    Ok(ObserverState { observer, states, last: snapshot.commit(), woken })
}

/// Every commit that changed objects has woken every observer by the time it returns.
fn wakes(
    harness: &mut ObjectHarness<'_>,
    before: &DatabaseState,
    observer_states: &[ObserverState],
) -> Result<(), CheckError> {
    let is_reported = !changed(before, &harness.committed).is_empty();
    for observer_state in observer_states {
        let woken = observer_state.woken.swap(0, Ordering::Relaxed);
        if is_reported && woken == 0 {
            return Err(Violation::new(W4.id, "a commit woke an observer not at all").into());
        }
    }
    if is_reported && observer_states.len() > 1 {
        harness.probe.mark("woke several observers");
    }
    Ok(())
}

/// Subscribes, drops an observer, or polls one.
fn observe(
    harness: &mut ObjectHarness<'_>,
    observer_states: &mut Vec<ObserverState>,
    op: Op,
) -> Result<(), CheckError> {
    match op.a % 8 {
        // A writing thread would wait for itself.
        0..2 if !harness.is_writing() && observer_states.len() < OBSERVERS_MAX => {
            if observer_states.iter().any(|observer_state| observer_state.states.len() > 1) {
                harness.probe.mark("subscribed while an older observer was behind");
            }
            observer_states.push(begin(harness)?);
        }
        2 if !observer_states.is_empty() => {
            observer_states.remove(usize::from(op.b) % observer_states.len());
        }
        _ if !observer_states.is_empty() => {
            let at = usize::from(op.b) % observer_states.len();
            poll(harness, &mut observer_states[at], usize::from(op.c % 3) + 1)?;
        }
        _ => {}
    }
    Ok(())
}

/// Polls an observer, and compares its reports with the states.
fn poll(
    harness: &mut ObjectHarness<'_>,
    observer_state: &mut ObserverState,
    count: usize,
) -> Result<(), CheckError> {
    let snapshot = harness.database().snapshot()?;
    for round in 0..count {
        let changes = observer_state.observer.try_recv();
        // Commits without changed objects are not reported.
        while let [before, after, ..] = &observer_state.states[..]
            && changed(before, after).is_empty()
        {
            harness.probe.mark("skipped a commit without changes");
            observer_state.states.remove(0);
        }
        let (changes, before, after) = match (changes, &observer_state.states[..]) {
            (Some(changes), [before, after, ..]) => (changes, before, after),
            (None, [_, _, ..]) => {
                return Err(Violation::new(W2.id, "a commit was not reported").into());
            }
            (Some(more), _) => {
                return Err(
                    Violation::new(W2.id, format!("reported {more:?} without a commit")).into()
                );
            }
            (None, _) => return Ok(()),
        };
        if changes.commit <= observer_state.last || changes.commit > snapshot.commit() {
            let text = format!("reported commit {} after {}", changes.commit, observer_state.last);
            return Err(Violation::new(W2.id, text).into());
        }
        differ((before, after), &changes)?;
        observer_state.last = changes.commit;
        let states = [observer_state.states.remove(0), observer_state.states[0].clone()];
        mark(harness, round, (&states, &changes));
    }
    Ok(())
}

fn mark(
    harness: &mut ObjectHarness<'_>,
    round: usize,
    ([before, after], changes): (&[DatabaseState; 2], &Changes),
) {
    let key = |state: &DatabaseState, class: &str| {
        state.classes.get(class).map(|class| class.key.clone())
    };
    let mut rekeyed =
        changes.classes.iter().filter(|(name, _)| key(before, name) != key(after, name));
    let modified = || changes.classes.values().flat_map(|class| &class.modified);
    let mut lists = modified().flat_map(|(_, found)| found).filter_map(|one| one.list.as_ref());
    for (met, mark) in [
        (true, "reported a commit"),
        (round > 0, "reported several commits in order"),
        (modified().next().is_some(), "an object modified"),
        (changes.classes.values().any(|class| !class.deleted.is_empty()), "an object deleted"),
        (lists.any(|list| !list.moved.is_empty()), "elements moved"),
        (
            rekeyed.any(|(_, class)| !class.inserted.is_empty() && !class.deleted.is_empty()),
            "objects that changed their keys",
        ),
    ] {
        if met {
            harness.probe.mark(mark);
        }
    }
}

/// Takes the operations that the hook received.
fn take_heard(harness: &ObjectHarness<'_>) -> Vec<Vec<Operation>> {
    harness.hook.as_ref().map(RecordingHook::take).unwrap_or_default()
}

/// Replays the operations of one commit.
fn operations(
    harness: &mut ObjectHarness<'_>,
    before: &DatabaseState,
    aborted: bool,
) -> Result<(), CheckError> {
    let operations = take_heard(harness);
    let unexpected_error = |text: String| CheckError::from(Violation::new(W3.id, text));
    if aborted {
        harness.probe.mark("reported nothing for an aborted transaction");
    }
    if operations.len() > 1 {
        return Err(unexpected_error(format!("a commit was reported {} times", operations.len())));
    }
    if operations.iter().flatten().any(|operation| matches!(operation, Operation::SchemaChange(_)))
    {
        // The operation carries no details: a replica reads the catalog.
        harness.probe.mark("classes changed");
        return Ok(());
    }
    let mut state = before.clone();
    // The catalog may be unreadable.
    let Ok(snapshot) = harness.database().snapshot() else { return Ok(()) };
    for operation in operations.iter().flatten() {
        replay(&snapshot.view(), &mut state, operation)?;
    }
    if state != harness.committed {
        return Err(unexpected_error(format!(
            "the operations {operations:?} do not lead to the committed state"
        )));
    }
    let made_again = operations.iter().flatten().any(|operation| match operation {
        Operation::Create(target) => operations
            .iter()
            .flatten()
            .any(|other| matches!(other, Operation::Delete(erased) if erased == target)),
        _ => false,
    });
    if made_again {
        harness.probe.mark("an object recreated with a deleted key");
    }
    if !operations.is_empty() {
        harness.probe.mark("operations replayed");
    }
    Ok(())
}

/// Applies an operation to a state of the model.
fn replay(
    view: &View<'_>,
    state: &mut DatabaseState,
    operation: &Operation,
) -> Result<(), CheckError> {
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
        other => return Err(check_bug(other)),
    };
    if done == Ok(true) {
        return Ok(());
    }
    let text = format!("{operation:?} does not apply to the reported state: {done:?}");
    Err(Violation::new(W3.id, text).into())
}

fn elements(state: &DatabaseState, target: &ObjectRef, property: &str) -> Vec<u64> {
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
