//! Live queries: the result of a query, and then how each commit changed it.
//!
//! - W6 The result that a subscriber has applied equals the answer of its query on the snapshot of
//!   the report.
//! - W7 A live result reports every object that commits changed since the report before, and no
//!   other, unless the report says that it was collapsed.
//!
//! A query that neither limits nor compares its results with each other, and follows no links,
//! looks only at the objects that commits changed. Any other is asked again, on the thread of its
//! subscriber.
//!
//! Specification: docs/objects.md#live-results. Check: `sim::check::queries`.

use super::database::Database;
use super::feeds::{Interest, Touched};
use super::filter::Filter;
use super::follower::Follower;
use super::live_rows::Rows;
use super::query::{Query, ResultRange};
use super::query_plan::Order;
use super::result_changes::{ResultChanges, compare};
use super::shared::Snapshot;
use super::view::View;
use crate::conc::Arc;
use crate::error::Result;
use crate::table::{ClassId, ObjectId, ObjectKey};
use std::collections::BTreeSet;
use std::fmt;
#[cfg(feature = "stream")]
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How a live query finds what a commit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LivePlan {
    /// It looks at the objects that the commit changed.
    Changed,
    /// It looks at the objects that the commit changed, and asks again if one of them is, was or
    /// comes among the first.
    First,
    /// It asks again, because objects that are equal exclude each other.
    Distinct,
    /// It asks again, because the result begins within a longer one: behind an offset or a
    /// position.
    Within,
    /// It asks again, also after changes of these classes, to which it follows links.
    Linked {
        /// The classes.
        classes: Vec<String>,
    },
}

/// A query without the snapshot that it asks.
#[derive(Debug)]
struct Question {
    class: String,
    filter: Option<Arc<Filter>>,
    sort: Vec<(String, Order)>,
    distinct: Vec<String>,
    window: ResultRange,
    scan: bool,
}

/// The result of a query, which follows the commits; see [`Query::subscribe`].
///
/// Changes are not buffered but merged, so a subscriber that is late gets one report, and no commit
/// waits for it. It keeps the database open, and no snapshot.
#[derive(Debug)]
pub struct LiveQuery {
    follower: Follower,
    result: LiveResult,
}

/// The result that the subscriber knows.
#[derive(Debug)]
struct LiveResult {
    question: Question,
    class: ClassId,
    plan: LivePlan,
    rows: Rows,
}

impl Question {
    /// Asks a snapshot.
    fn on<'a>(&self, view: View<'a>) -> Result<Query<'a>> {
        Ok(Query {
            objects: view.objects(&self.class)?,
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            distinct: self.distinct.clone(),
            window: self.window.clone(),
            scan: self.scan,
        })
    }
}

impl Query<'_> {
    /// Subscribes to the result: returns the snapshot that it starts from and a [`LiveQuery`],
    /// which knows the result on that snapshot. The snapshot that this query was asked of does not
    /// matter. Waits for the current write transaction: a thread that holds one is refused.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions, Filter, ObjectId, Order};
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    /// use std::time::Duration;
    ///
    /// let note = Class::new("Note")?
    ///     .with(Property::new("title", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("stars", Scalar::Int)?.required());
    /// let options = DatabaseOptions::schema(Schema::new([note])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// let ids = database.transact(|txn| {
    ///     ["a", "b"].iter().map(|title| txn.create_with_key("Note", *title)).collect()
    /// })
    /// .map(|ids: Vec<ObjectId>| ids)?;
    ///
    /// let notes = database.snapshot()?;
    /// let best = notes.objects("Note")?.query().sort("stars", Order::Descending);
    /// let (_, mut live) = best.subscribe(&database)?;
    /// let mut rows = live.ids();
    /// assert_eq!(rows, ids);
    ///
    /// database.transact(|txn| txn.set(&ids[1], "stars", 5))?;
    /// let (snapshot, changes) = live.recv(Duration::from_secs(60))?.unwrap();
    /// assert_eq!(changes.moved, [(1, 0, ids[1].clone())]);
    /// changes.apply(&mut rows, |id| Ok::<_, fastness::Error>(id.clone()))?;
    /// assert_eq!(rows, [ids[1].clone(), ids[0].clone()]);
    /// assert_eq!(snapshot.object(&rows[0])?.unwrap().get("stars")?, 5.into());
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::find`] and [`Database::subscribe`].
    pub fn subscribe(&self, database: &Database) -> Result<(Snapshot, LiveQuery)> {
        let class = self.objects.table.name.clone();
        let is_linked = matches!(self.explain_live()?, LivePlan::Linked { .. });
        let interest = Interest { class: class.clone(), key: None, is_linked };
        let question = Question {
            class,
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            distinct: self.distinct.clone(),
            window: self.window.clone(),
            scan: self.scan,
        };
        let (snapshot, follower) = Follower::begin(database, interest)?;
        let query = question.on(snapshot.view())?;
        let plan = query.explain_live()?;
        let (rows, class) = (Rows::read(&query, plan == LivePlan::Changed)?, query.class());
        Ok((snapshot, LiveQuery { follower, result: LiveResult { question, class, plan, rows } }))
    }

    /// Tells how a live query of this finds what a commit changed.
    ///
    /// # Errors
    /// As [`Query::find`].
    pub fn explain_live(&self) -> Result<LivePlan> {
        let condition = self.condition()?;
        let tests = condition.iter().flat_map(|condition| &condition.tests);
        let distinct: Vec<_> =
            self.distinct.iter().map(|path| self.sortable(path)).collect::<Result<_>>()?;
        let sort = self.sort_paths()?;
        let paths = tests.map(|test| &test.path).chain(&distinct).chain(&sort);
        let hops = paths.flat_map(|path| path.iter().skip(1));
        let linked: BTreeSet<&str> = hops.map(|hop| hop.table.name.as_str()).collect();
        let ResultRange { limit, offset, after } = &self.window;
        let is_within = *offset > 0 || after.is_some();
        Ok(match (linked.is_empty(), self.distinct.is_empty(), limit) {
            (false, ..) => {
                LivePlan::Linked { classes: linked.into_iter().map(str::to_owned).collect() }
            }
            (_, false, _) => LivePlan::Distinct,
            _ if is_within => LivePlan::Within,
            (_, _, Some(_)) => LivePlan::First,
            (_, _, None) => LivePlan::Changed,
        })
    }

    fn class(&self) -> ClassId {
        self.objects.table.id
    }
}

impl LiveResult {
    /// Returns how the result differs on a snapshot; none if it does not.
    fn evaluate(
        &mut self,
        snapshot: &Snapshot,
        touched: &Touched,
    ) -> Result<Option<ResultChanges>> {
        let query = self.question.on(snapshot.view())?;
        let mut changes = ResultChanges::new(snapshot.commit(), touched.is_collapsed);
        if touched.is_collapsed {
            // The classes may be others.
            self.plan = query.explain_live()?;
        }
        match &self.plan {
            LivePlan::Linked { classes }
                if !touched.is_collapsed
                    && touched.keys.is_empty()
                    && !classes.iter().any(|class| touched.linked.contains(class)) => {}
            LivePlan::Changed if !touched.is_collapsed => {
                self.rows.change(&query, &touched.keys, &mut changes)?;
            }
            LivePlan::First if !touched.is_collapsed && !self.is_concerned(&query, touched)? => {}
            _ => {
                let rows = Rows::read(&query, self.plan == LivePlan::Changed)?;
                let (before, after) = (self.rows.keys(), rows.keys());
                compare(&mut changes, (&before, &after), &touched.keys);
                self.rows = rows;
            }
        }
        // A class that was created again has another number.
        self.class = query.class();
        let class = self.class;
        Ok((!changes.is_empty()).then(|| changes.map(|key| ObjectId { class, key })))
    }

    /// Tells whether one of the changed objects is among the first, or comes among them.
    fn is_concerned(&self, query: &Query<'_>, touched: &Touched) -> Result<bool> {
        let rows = self.rows.keys();
        if rows.iter().any(|key| touched.keys.contains(*key)) {
            return Ok(true);
        }
        let (condition, paths) = (query.condition()?, query.sort_paths()?);
        let is_full = query.window.limit.is_some_and(|limit| rows.len() >= limit);
        let last = match rows.last() {
            Some(last) if is_full => query.hit(condition.as_ref(), &paths, last)?,
            _ => None,
        };
        for key in &touched.keys {
            let Some(hit) = query.hit(condition.as_ref(), &paths, key)? else { continue };
            let is_before = |last| query.place(&hit, last).is_lt();
            if !is_full || last.as_ref().is_some_and(is_before) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl LiveQuery {
    /// Returns the result, as it was last reported.
    #[must_use]
    pub fn ids(&self) -> Vec<ObjectId> {
        let id = |key: &ObjectKey| ObjectId { class: self.result.class, key: key.clone() };
        self.result.rows.keys().into_iter().map(id).collect()
    }

    /// Returns the number of objects, as it was last reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.result.rows.len()
    }

    /// Tells whether there are no objects, as it was last reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how the result has changed since the last report, and the snapshot that has it; none
    /// if it has not.
    ///
    /// # Errors
    /// As [`Query::find`]: if the class or a property was removed, or a page cannot be read. The
    /// next call compares with the last report.
    pub fn try_recv(&mut self) -> Result<Option<(Snapshot, ResultChanges)>> {
        let Self { follower, result } = self;
        follower.next(&mut |snapshot, touched| result.evaluate(snapshot, touched))
    }

    /// Waits until the result has changed, as [`LiveQuery::try_recv`] reports it; none after
    /// `timeout`.
    ///
    /// # Errors
    /// As [`LiveQuery::try_recv`].
    pub fn recv(&mut self, timeout: Duration) -> Result<Option<(Snapshot, ResultChanges)>> {
        let Self { follower, result } = self;
        follower.wait(timeout, &mut |snapshot, touched| result.evaluate(snapshot, touched))
    }

    /// Returns how the result has changed, or registers the task to be woken. One task is
    /// registered at a time.
    ///
    /// # Errors
    /// As [`LiveQuery::try_recv`].
    pub fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(Snapshot, ResultChanges)>> {
        let Self { follower, result } = self;
        follower.poll(context, &mut |snapshot, touched| result.evaluate(snapshot, touched))
    }

    /// Calls `wake` after each commit that may have changed the result, as
    /// [`Subscription::on_commit`](super::Subscription::on_commit) does.
    pub fn on_commit(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.follower.feed().signal.set_callback(Some(Arc::new(wake)));
    }
}

/// The changes of the result, for tasks. It never ends. With the feature `stream`.
#[cfg(feature = "stream")]
impl futures_core::Stream for LiveQuery {
    type Item = Result<(Snapshot, ResultChanges)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(context).map(Some)
    }
}

impl fmt::Display for LivePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("looks at the objects that a commit changed"),
            Self::First => f.write_str(
                "looks at the objects that a commit changed, and asks again if one of them \
                 belongs or belonged to the first",
            ),
            Self::Distinct => f.write_str(
                "asks again after a commit that changed objects of the class: equal objects \
                 exclude each other",
            ),
            Self::Within => f.write_str(
                "asks again after a commit that changed objects of the class: the result begins \
                 within a longer one",
            ),
            Self::Linked { classes } => {
                let classes = classes.join("`, `");
                write!(
                    f,
                    "asks again after a commit that changed objects of the class or of \
                     `{classes}`: it follows links"
                )
            }
        }
    }
}
