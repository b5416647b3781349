//! Queries: every query plan gives the answer of the model.

use super::compare::CheckError;
use super::core_query::{asked_of, core_query, parts};
use super::definition::{Check, Distribution, Violation};
use super::live_results::LiveResults;
use super::objects::bridge;
use super::objects::driver;
use super::objects::harness::ObjectHarness;
use super::objects::object_check::ObjectCheck;
use super::promises::{A4, B1, B2, B4, B5, B6, B8, B13, Q1, Q2, Q3, Q4, Q5, W4, W6, W7};
use super::query_groups::{GroupedQuery, compare_groups, mean_bits, nan, same};
use super::schema::{change_schema, make_change};
use fastness::Error;
use fastness::inspect::{limits, visits};
use fastness::object::{PropertyValue, Query, QueryPlan, View};
use fastness_models::object_query::{
    CompareOp as ModelComparison, Filter as ModelFilter, Query as ModelQuery,
    StringOp as ModelTextTest,
};
use fastness_models::objects::{DatabaseState, Key, ObjectRefusal, Value as ModelValue};
use fastness_models::query_domain::QueryGenerator;
use fastness_models::{Op, OpKind};

pub(super) const CHECK: Check = Check {
    name: "queries",
    about: "queries with and without an index, compared with a full scan, and live results",
    invariants: &[Q1, Q2, Q3, Q4, Q5, W4, W6, W7, B1, B2, B4, B5, B6, B8, B13, A4],
    marks: &[
        "wrote through another database over the store",
        "found by the primary key",
        "found by an index",
        "found by the links to an object",
        "found by several plans",
        "walked in the order of an index",
        "walked an index and all in turns",
        "index named too many",
        "looked up null in an index",
        "looked up a prefix in an index",
        "looked up a long text in an index",
        "looked up a range in an index",
        "path over a link",
        "path through a list",
        "sorted",
        "distinct removed results",
        "limit cut",
        "offset left out results",
        "found what comes behind a position",
        "walked an index from a position on",
        "a position was that of a deleted object",
        "grouped",
        "deleted what a query found",
        "updated what a query found",
        "index look-up without results",
        "query refused",
        "queried within a transaction",
        "a live result changed",
        "objects of a live result moved",
        "a late live result was collapsed",
        "a live result looked at what changed",
        "the first of a live result changed",
        "a live result of distinct objects",
        "a live result followed links",
        "a live result was refused by other classes",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 10),
            (OpKind::Upsert, 8),
            (OpKind::Fill, 1),
            (OpKind::Set, 36),
            (OpKind::Add, 2),
            (OpKind::Delete, 4),
            (OpKind::ListInsert, 8),
            (OpKind::ListEdit, 2),
            (OpKind::ChangeSchema, 2),
            (OpKind::Query, 40),
            (OpKind::Observe, 24),
            (OpKind::Commit, 5),
            (OpKind::Abort, 1),
            (OpKind::Reopen, 1),
            (OpKind::Inject, 1),
            (OpKind::ClearFault, 1),
        ],
        ops_min: 60,
        ops_max: 160,
    },
    body: driver::run::<QueryCheck>,
};

/// Visits that a query may make beside one and a half times those of a full scan, and those by
/// which it finds out that an index is no help.
const VISITS_FREE: usize = 16;

/// Most visits for each entry of an index that such a query walks: the entry is walked for the
/// order and for the condition, and its object is looked at.
const VISITS_OF_ENTRY: usize = 6;

/// Objects that are created together: enough for an index to name more than a query walks.
const FILL: u8 = 60;

/// Queries between changes, and live results.
#[derive(Default)]
struct QueryCheck {
    live: LiveResults,
    /// A page that was asked for, whose position is that of an object in an older state.
    page: Option<ModelQuery>,
}

impl ObjectCheck for QueryCheck {
    const INVARIANT: &'static str = Q1.id;

    fn begin(_harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError> {
        Ok(Self::default())
    }

    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        if matches!(op.kind, OpKind::Reopen | OpKind::Kill | OpKind::PowerLoss) {
            self.release(harness)?;
        }
        let before = harness.committed.clone();
        let acted = match op.kind {
            OpKind::Query => self.query(harness, op),
            OpKind::Observe => self.live.act(harness, op),
            OpKind::Fill => fill(harness, op),
            OpKind::Set => match self.live.place(op, harness.seen()) {
                Some((id, name)) => {
                    harness.probe.count(op.kind.name(), 1);
                    harness.set_property((&id, &name), op.c)
                }
                None => harness.act(op),
            },
            OpKind::ChangeSchema => match self.live.removal(op) {
                Some(change) => make_change(harness, &change),
                None => change_schema(harness, op),
            },
            _ => harness.act(op),
        };
        // Also if a step after the commit failed.
        if before != harness.committed {
            self.live.committed(&before, &harness.committed)?;
        }
        acted
    }

    fn release(&mut self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        self.live.release(harness)
    }

    fn end(mut self, harness: &mut ObjectHarness<'_>) -> Result<(), CheckError> {
        self.release(harness)
    }
}

impl QueryCheck {
    /// Runs one query with every plan.
    fn query(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        let operands = [op.a, op.b, op.c];
        let mut draw = QueryGenerator::new(harness.domain, harness.seen(), operands);
        let (mut asked, state) = (draw.query(), harness.seen().clone());
        if op.c.is_multiple_of(3) {
            asked = self.page(draw.page(asked), (op, &state));
        }
        let names = [draw.property(&asked.class), draw.property(&asked.class)];
        if op.b.is_multiple_of(16) {
            return write_found(harness, (&asked, &names[0]), op);
        }
        let snapshot = harness.database().snapshot()?;
        let marks = if harness.is_writing() {
            let mut marks = ask(&harness.txn_view(), &state, (&asked, &names))?;
            marks.push("queried within a transaction");
            marks
        } else {
            ask(&snapshot.view(), &state, (&asked, &names))?
        };
        marks.into_iter().for_each(|mark| harness.probe.mark(mark));
        harness.probe.count(op.kind.name(), 1);
        Ok(())
    }

    /// Returns a page, or one that was asked for before.
    fn page(&mut self, new: ModelQuery, (op, state): (Op, &DatabaseState)) -> ModelQuery {
        let is_known = |page: &ModelQuery| state.classes.contains_key(&page.class);
        match self.page.take().filter(is_known) {
            Some(page) if !op.a.is_multiple_of(4) => {
                self.page = Some(page.clone());
                page
            }
            _ => {
                let new = ModelQuery { filter: None, ..new };
                let values = new.after.iter().flat_map(|after| &after.values);
                let is_link = |value: &ModelValue| matches!(value, ModelValue::Link(_));
                self.page = Some(new.clone()).filter(|_| !values.clone().any(is_link));
                new
            }
        }
    }
}

/// Creates many objects of a class.
fn fill(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    for number in 0..FILL {
        let key = op.b.wrapping_add(number);
        harness.act(Op::new(OpKind::Create, [op.a, key, op.c]))?;
    }
    Ok(())
}

/// Deletes the objects that a query finds, or updates a property of them.
fn write_found(
    harness: &mut ObjectHarness<'_>,
    (asked, name): (&ModelQuery, &str),
    op: Op,
) -> Result<(), CheckError> {
    let value = harness.value_for((&asked.class, name), op.c);
    let is_update = op.b.is_multiple_of(32) && value.is_some();
    let (txn, state) = harness.write()?;
    let found = state.find(asked);
    let ids = found.clone().unwrap_or_default().into_iter().map(|key| (asked.class.clone(), key));
    let parts = parts(&txn.view(), asked)?;
    let (done, expected) = match value.filter(|_| is_update) {
        Some(value) => {
            let core = bridge::core_value(&txn.view(), &value)?;
            let properties = [(name, PropertyValue::Value(core))];
            let done =
                txn.update_found(&asked.class, |it| asked_of(&it, asked, parts), &properties);
            let set = ids.map(|id| state.set(&id, name, &value)).collect::<Result<Vec<_>, _>>();
            (done, set.map(drop))
        }
        None => {
            let done = txn.delete_found(&asked.class, |it| asked_of(&it, asked, parts));
            (done, ids.map(|id| state.delete(&id)).collect::<Result<Vec<_>, _>>().map(drop))
        }
    };
    let expected = found.and_then(|found| expected.map(|()| found.len() as u64));
    same(("writing what is found", asked), done, &expected)?;
    if expected.is_ok_and(|count| count > 1) {
        let mark =
            if is_update { "updated what a query found" } else { "deleted what a query found" };
        harness.probe.mark(mark);
    }
    harness.probe.count(op.kind.name(), 1);
    Ok(())
}

/// Compares the answers; returns the marks.
fn ask(
    view: &View<'_>,
    state: &DatabaseState,
    (asked, [property, by]): (&ModelQuery, &[String; 2]),
) -> Result<Vec<&'static str>, CheckError> {
    let (property, by) = (property.as_str(), by.as_str());
    let query = core_query(view, asked)?;
    let scan = query.clone().without_index();
    let expected = state.find(asked);
    visits_are_bounded((&query, &scan), (asked, property))?;
    for (way, query) in [("any way", &query), ("the full scan", &scan)] {
        let keys = |found: Vec<fastness::object::ObjectId>| {
            found.iter().map(|id| bridge::key(&id.key)).collect::<Vec<_>>()
        };
        same((way, asked), query.find().map(keys), &expected)?;
        let count = expected.clone().map(|keys| keys.len() as u64);
        same((way, asked), query.count(), &count)?;
        let first = expected.clone().map(|keys| keys.into_iter().next());
        same((way, asked), query.first().map(|id| id.map(|id| bridge::key(&id.key))), &first)?;
        let average = query.average(property).map(|mean| mean.map(mean_bits));
        let sums = query.sum(property).and_then(|sum| Ok((bridge::value(view, &sum)?, average?)));
        let expected = state
            .sums(asked, property)
            .map(|sums| (nan(sums.sum), sums.average.map(|mean| mean_bits(f64::from_bits(mean)))));
        same((way, asked), sums.map(|(sum, mean)| (nan(sum), mean)), &expected)?;
        let extremes = query.min(property).and_then(|min| Ok([min, query.max(property)?]));
        let extremes = extremes
            .and_then(|[min, max]| Ok([bridge::value(view, &min)?, bridge::value(view, &max)?]));
        same((way, asked), extremes, &state.extremes(asked, property))?;
    }
    let mut marks = marks(asked, state, (&expected, query.explain().ok()));
    let grouped = GroupedQuery { state, asked, groups: query.group_by(by), by, property };
    if compare_groups(view, &grouped)? > 1 {
        marks.push("grouped");
    }
    Ok(marks)
}

/// Compares the visits of a query with those of a full scan.
fn visits_are_bounded(
    (query, scan): (&Query<'_>, &Query<'_>),
    (asked, property): (&ModelQuery, &str),
) -> Result<(), CheckError> {
    type Ask<'f> = &'f dyn Fn(&Query<'_>) -> Result<(), Error>;
    let asks: [(&str, Ask<'_>); 5] = [
        ("find", &|query| query.find().map(drop)),
        ("first", &|query| query.first().map(drop)),
        ("count", &|query| query.count().map(drop)),
        ("min", &|query| query.min(property).map(drop)),
        ("max", &|query| query.max(property).map(drop)),
    ];
    let free = VISITS_FREE + VISITS_OF_ENTRY * limits().index_entries;
    for (name, ask) in asks {
        let visits_of = |query: &Query<'_>| {
            let before = visits();
            // Refusals are compared elsewhere.
            ask(query).is_ok().then(|| visits() - before)
        };
        if let (Some(found), Some(scan)) = (visits_of(query), visits_of(scan))
            && found > scan + scan / 2 + free
        {
            let text = format!("{name} of {asked:?} costs {found} visits, a full scan {scan}");
            return Err(Violation::new(Q4.id, text).into());
        }
    }
    Ok(())
}

/// Returns the marks of a query and its answer.
fn marks(
    asked: &ModelQuery,
    state: &DatabaseState,
    (answer, access): (&Result<Vec<Key>, ObjectRefusal>, Option<QueryPlan>),
) -> Vec<&'static str> {
    let Ok(found) = answer else { return vec!["query refused"] };
    let mut marks = Vec::new();
    match access {
        Some(QueryPlan::PrimaryKey { .. }) => marks.push("found by the primary key"),
        Some(QueryPlan::Order { .. }) => marks.push("walked in the order of an index"),
        Some(QueryPlan::OrderAfter { .. }) if !found.is_empty() => {
            marks.push("walked an index from a position on");
        }
        Some(QueryPlan::AnyOf { .. }) => marks.push("found by several plans"),
        Some(QueryPlan::AllOfMany { .. }) => marks.push("index named too many"),
        Some(QueryPlan::IndexOrAll { .. }) => marks.push("walked an index and all in turns"),
        Some(QueryPlan::Links { .. }) if !found.is_empty() => {
            marks.push("found by the links to an object");
        }
        Some(QueryPlan::Index { property }) => {
            marks.push("found by an index");
            if found.is_empty() {
                marks.push("index look-up without results");
            }
            if let Some(filter) = &asked.filter {
                of_index(filter, &property, &mut marks);
            }
        }
        _ => {}
    }
    let paths = asked.filter.iter().flat_map(paths);
    for path in paths.filter(|path| path.contains('.')) {
        let first = path
            .split('.')
            .next()
            .and_then(|name| state.classes.get(&asked.class)?.properties.get(name));
        marks.push(match first.is_some_and(|first| first.kind.is_list()) {
            true => "path through a list",
            false => "path over a link",
        });
    }
    if !asked.sort.is_empty() && found.len() > 1 {
        marks.push("sorted");
    }
    let without = |query: ModelQuery| state.find(&query).map_or(0, |found| found.len());
    if without(ModelQuery { distinct: Vec::new(), limit: None, ..asked.clone() })
        > without(ModelQuery { limit: None, ..asked.clone() })
    {
        marks.push("distinct removed results");
    }
    if without(ModelQuery { limit: None, ..asked.clone() }) > found.len() {
        marks.push("limit cut");
    }
    of_window(asked, (state, found), &mut marks);
    marks
}

/// Adds the marks of a page.
fn of_window(
    asked: &ModelQuery,
    (state, found): (&DatabaseState, &[Key]),
    marks: &mut Vec<&'static str>,
) {
    let all = state.find(&ModelQuery { offset: 0, limit: None, ..asked.clone() });
    if asked.offset > 0 && all.is_ok_and(|all| all.first() != found.first()) {
        marks.push("offset left out results");
    }
    let Some(after) = &asked.after else { return };
    if !found.is_empty() {
        marks.push("found what comes behind a position");
    }
    if state.classes.get(&asked.class).is_some_and(|it| !it.objects.contains_key(&after.key)) {
        marks.push("a position was that of a deleted object");
    }
}

fn paths(filter: &ModelFilter) -> Vec<&str> {
    match filter {
        ModelFilter::Compare(path, ..) | ModelFilter::Text(path, ..) => vec![path],
        ModelFilter::And(parts) | ModelFilter::Or(parts) => parts.iter().flat_map(paths).collect(),
        ModelFilter::Not(part) => paths(part),
    }
}

/// Adds the marks of index lookups.
fn of_index(filter: &ModelFilter, property: &str, marks: &mut Vec<&'static str>) {
    match filter {
        ModelFilter::And(parts) => {
            parts.iter().for_each(|part| of_index(part, property, marks));
        }
        ModelFilter::Compare(path, how, value) if path == property => {
            marks.push(match value {
                ModelValue::Null => "looked up null in an index",
                ModelValue::Text(text) if text.len() > 200 => "looked up a long text in an index",
                _ if *how != ModelComparison::Equal => "looked up a range in an index",
                _ => return,
            });
        }
        ModelFilter::Text(path, ModelTextTest::Begins, _, false) if path == property => {
            marks.push("looked up a prefix in an index");
        }
        _ => {}
    }
}
