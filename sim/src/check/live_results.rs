//! Live results: reports of positions against the answers of the model.

use super::compare::CheckError;
use super::core_query::core_query;
use super::definition::Violation;
use super::objects::bridge;
use super::objects::harness::ObjectHarness;
use super::promises::{W4, W6, W7};
use fastness::object::{ClassId, LivePlan, LiveQuery, ObjectId, ResultChanges, View};
use fastness_models::Op;
use fastness_models::live_results::Report;
use fastness_models::object_query::{Filter as ModelFilter, Query as ModelQuery};
use fastness_models::object_schema::SchemaChange;
use fastness_models::objects::{DatabaseState, Id, Key, Value};
use fastness_models::query_domain::QueryGenerator;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum number of live results.
const LIVE_MAX: usize = 4;

/// The live results of a run.
#[derive(Default)]
pub(super) struct LiveResults(Vec<LiveState>);

/// A live result, and what its subscriber knows.
struct LiveState {
    live: LiveQuery,
    plan: LivePlan,
    asked: ModelQuery,
    /// The classes of the objects that the condition compares links with. The core knows them by
    /// their numbers, so they stay the same when they are renamed.
    compared: BTreeMap<String, ClassId>,
    rows: Vec<Key>,
    /// Objects of the class that commits have changed since the last report.
    touched: BTreeSet<Key>,
    /// How often it was woken since the last commit.
    woken: Arc<AtomicUsize>,
}

impl LiveResults {
    /// Subscribes, in place of another live result if there are many, or asks one.
    pub(super) fn act(
        &mut self,
        harness: &mut ObjectHarness<'_>,
        op: Op,
    ) -> Result<(), CheckError> {
        let Self(states) = self;
        match op.a % 8 {
            // A writing thread would wait for itself.
            0..3 if harness.is_writing() => harness.commit()?,
            0..3 => {
                if states.len() == LIVE_MAX {
                    states.remove(usize::from(op.b) % LIVE_MAX);
                }
                states.extend(begin(harness, op)?);
            }
            _ if !states.is_empty() => {
                let at = usize::from(op.b) % states.len();
                poll(harness, &mut states[at])?;
            }
            _ => {}
        }
        harness.probe.count(op.kind.name(), 1);
        Ok(())
    }

    /// Returns the removal of a property that a live result asks about, for half of the operations:
    /// a property that is drawn from all is rarely one.
    pub(super) fn removal(&self, op: Op) -> Option<SchemaChange> {
        let (state, name) = self.asked(op)?;
        Some(SchemaChange::RemoveProperty(state.asked.class.clone(), name))
    }

    /// Returns an object of a live result, if its class is still there, and a property that the
    /// result asks about, for half of the operations.
    pub(super) fn place(&self, op: Op, seen: &DatabaseState) -> Option<(Id, String)> {
        let (state, name) = self.asked(op)?;
        let key = state.rows.get(usize::from(op.a) % state.rows.len().max(1))?;
        let class = state.asked.class.clone();
        seen.classes.contains_key(&class).then(|| ((class, key.clone()), name))
    }

    fn asked(&self, op: Op) -> Option<(&LiveState, String)> {
        if op.c.is_multiple_of(2) {
            return None;
        }
        let state = self.0.get(usize::from(op.b) % self.0.len().max(1))?;
        let sorted = state.asked.sort.iter().map(|(path, _)| path);
        let path = sorted.chain(&state.asked.distinct).next()?;
        Some((state, path.split('.').next()?.to_owned()))
    }

    /// Notes what a commit changed, and that it woke the results that it concerns.
    pub(super) fn committed(
        &mut self,
        before: &DatabaseState,
        after: &DatabaseState,
    ) -> Result<(), CheckError> {
        for state in &mut self.0 {
            let found = touched(before, after, &state.asked.class);
            let woken = state.woken.swap(0, Ordering::Relaxed);
            if woken == 0 && !found.is_empty() {
                let text = format!("a commit that changed {found:?} did not wake a live result");
                return Err(Violation::new(W4.id, text).into());
            }
            state.touched.extend(found);
        }
        Ok(())
    }

    /// Asks all live results a last time, and drops them.
    pub(super) fn release(&mut self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        for mut state in self.0.drain(..) {
            match poll(harness, &mut state) {
                // A page was unreadable.
                Ok(()) | Err(CheckError::Store(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns the objects of a class that differ.
fn touched(before: &DatabaseState, after: &DatabaseState, class: &str) -> BTreeSet<Key> {
    let objects = |state: &DatabaseState| {
        state.classes.get(class).map(|class| class.objects.clone()).unwrap_or_default()
    };
    let (older, newer) = (objects(before), objects(after));
    let all = older.keys().chain(newer.keys());
    all.filter(|key| older.get(key) != newer.get(key)).cloned().collect()
}

/// Subscribes to a query; none if it is refused.
fn begin(harness: &mut ObjectHarness<'_>, op: Op) -> Result<Option<LiveState>, CheckError> {
    let mut draw = QueryGenerator::new(harness.domain, &harness.committed, [op.a, op.b, op.c]);
    let mut asked = draw.query();
    // Often all objects in an order that changes, so that they move, and some with few results.
    if op.c.is_multiple_of(2) {
        let property = match op.c % 16 {
            0 | 2 => draw.linked_path(&asked.class),
            _ => draw.property(&asked.class),
        };
        let distinct = if op.c % 8 == 6 { vec![property.clone()] } else { Vec::new() };
        let limit = (op.c % 8 == 4).then(|| 1 + usize::from(op.b % 4));
        let sort = vec![(property, op.c.is_multiple_of(4))];
        asked = ModelQuery { filter: None, sort, distinct, limit, ..asked };
    }
    let Ok(rows) = harness.committed.find(&asked) else { return Ok(None) };
    let database = harness.database().clone();
    let snapshot = database.snapshot()?;
    let query = core_query(&snapshot.view(), &asked)?;
    let plan = query.explain_live()?;
    let (_, live) = query.subscribe(&database)?;
    let woken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&woken);
    live.on_commit(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut compared = BTreeMap::new();
    for name in link_classes(&mut asked).into_iter().map(|name| name.clone()) {
        compared.insert(name.clone(), snapshot.objects(&name)?.class());
    }
    let touched = BTreeSet::new();
    let state = LiveState { live, plan, asked, compared, rows, touched, woken };
    agrees(&state)?;
    Ok(Some(state))
}

/// Compares the result that the subscription knows with that of the model.
fn agrees(state: &LiveState) -> Result<(), CheckError> {
    let found = keys(state.live.ids().iter());
    if found == state.rows {
        return Ok(());
    }
    let text = format!("{:?} knows {found:?}, expected {:?}", state.asked, state.rows);
    Err(Violation::new(W6.id, text).into())
}

fn keys<'i>(ids: impl Iterator<Item = &'i ObjectId>) -> Vec<Key> {
    ids.map(|id| bridge::key(&id.key)).collect()
}

fn violation(id: &'static str, text: String) -> CheckError {
    Violation::new(id, text).into()
}

/// Returns the classes of the objects that the condition of a query compares links with.
fn link_classes(query: &mut ModelQuery) -> Vec<&mut String> {
    let (mut left, mut found): (Vec<_>, _) = (query.filter.iter_mut().collect(), Vec::new());
    while let Some(part) = left.pop() {
        match part {
            ModelFilter::Compare(_, _, Value::Link((class, _))) => found.push(class),
            ModelFilter::Compare(..) | ModelFilter::Text(..) => {}
            ModelFilter::And(parts) | ModelFilter::Or(parts) => left.extend(parts),
            ModelFilter::Not(part) => left.push(part),
        }
    }
    found
}

/// Gives the classes in the condition the names that they have now; one that was removed gets a
/// name that no class has, also if another class has its name again.
fn follow_renames(state: &mut LiveState, view: &View<'_>) {
    let mut named = BTreeMap::new();
    for name in link_classes(&mut state.asked) {
        let Some(class) = state.compared.get(name) else { continue };
        let now =
            view.class_name(*class).map_or_else(|_| format!("class {class:?}"), str::to_owned);
        named.insert(now.clone(), *class);
        *name = now;
    }
    state.compared = named;
}

/// Asks a live result, and applies its report.
fn poll(harness: &mut ObjectHarness<'_>, state: &mut LiveState) -> Result<(), CheckError> {
    follow_renames(state, &harness.database().snapshot()?.view());
    let expected = harness.committed.find(&state.asked);
    let (found, expected) = match (state.live.try_recv(), expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(error), Err(expected)) if bridge::refusal(&error) == Some(expected) => {
            harness.probe.mark("a live result was refused by other classes");
            return Ok(());
        }
        (Err(error), _) => return Err(error.into()),
        (Ok(found), Err(expected)) => {
            let text = format!("{:?} reports {found:?}, expected {expected:?}", state.asked);
            return Err(violation(W6.id, text));
        }
    };
    let stayed = |key: &Key| state.rows.contains(key) && expected.contains(key);
    let modified: BTreeSet<Key> = state.touched.iter().filter(|key| stayed(key)).cloned().collect();
    match found {
        None if expected == state.rows && modified.is_empty() => {}
        None => {
            let text = format!("{:?} reports nothing, expected {expected:?}", state.asked);
            return Err(violation(W6.id, text));
        }
        Some((snapshot, changes)) => {
            if changes.commit != snapshot.commit() {
                let text = format!("{changes:?} on the snapshot {}", snapshot.commit());
                return Err(violation(W6.id, text));
            }
            applies(state, &changes, &expected)?;
            is_modified(&changes, (&modified, &expected))?;
            marks(harness, state, &changes);
            state.rows = expected;
        }
    }
    state.touched.clear();
    agrees(state)
}

/// Applies a report to what the subscriber knew, as the model does and as the core does.
fn applies(state: &LiveState, changes: &ResultChanges, expected: &[Key]) -> Result<(), CheckError> {
    let report = Report {
        deleted: changes.deleted.iter().map(|(at, _)| *at).collect(),
        moved: changes.moved.iter().map(|(from, to, _)| (*from, *to)).collect(),
        inserted: changes.inserted.iter().map(|(at, id)| (*at, bridge::key(&id.key))).collect(),
    };
    let found = report.apply(&state.rows);
    let mut rows = state.rows.clone();
    let load = |id: &ObjectId| Ok::<_, CheckError>(bridge::key(&id.key));
    changes.apply(&mut rows, load)?;
    let named = |(at, id): &(usize, ObjectId)| expected.get(*at) == Some(&bridge::key(&id.key));
    let deleted = |(at, id): &(usize, ObjectId)| state.rows[*at] == bridge::key(&id.key);
    let are_named = changes.inserted.iter().chain(&changes.modified).all(named)
        && changes.deleted.iter().all(deleted)
        && changes.moved.iter().all(|(_, to, id)| named(&(*to, id.clone())));
    if found.as_deref() == Some(expected) && rows == expected && are_named {
        return Ok(());
    }
    let text = format!(
        "{changes:?} turns {:?} into {found:?}, expected {expected:?} of {:?}",
        state.rows, state.asked
    );
    Err(violation(W6.id, text))
}

/// Compares the objects that are reported as modified with those that commits changed.
fn is_modified(
    changes: &ResultChanges,
    (modified, expected): (&BTreeSet<Key>, &[Key]),
) -> Result<(), CheckError> {
    let found: BTreeSet<Key> =
        keys(changes.modified.iter().map(|(_, id)| id)).into_iter().collect();
    let inserted = keys(changes.inserted.iter().map(|(_, id)| id));
    let all = expected.iter().filter(|key| !inserted.contains(key)).cloned().collect();
    let wanted = if changes.is_collapsed { &all } else { modified };
    if found == *wanted && found.len() == changes.modified.len() {
        return Ok(());
    }
    let text = format!("{changes:?}: modified are {wanted:?}");
    Err(violation(W7.id, text))
}

fn marks(harness: &mut ObjectHarness<'_>, state: &LiveState, changes: &ResultChanges) {
    let is_followed = !changes.is_collapsed;
    for (met, mark) in [
        (true, "a live result changed"),
        (!changes.moved.is_empty(), "objects of a live result moved"),
        (changes.is_collapsed, "a late live result was collapsed"),
        (is_followed && state.plan == LivePlan::Changed, "a live result looked at what changed"),
        (is_followed && state.plan == LivePlan::First, "the first of a live result changed"),
        (is_followed && state.plan == LivePlan::Distinct, "a live result of distinct objects"),
        (
            is_followed && matches!(state.plan, LivePlan::Linked { .. }),
            "a live result followed links",
        ),
    ] {
        if met {
            harness.probe.mark(mark);
        }
    }
}
