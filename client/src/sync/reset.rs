//! Client resets as an app sees them.

use fastness::config::Configuration;
use fastness::object::Snapshot;
use fastness_sync::client::SNAPSHOT_BYTES_MAX;
use fastness_sync::entry::{Change, Key, ObjectRef, Operation};
use fastness_sync::outcome::{Outcome, Writer};
use fastness_sync::reset::{Reported, ReportedRefusal, ResetReport};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Treatment of the app's own writes by a client reset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ResetPolicy {
    /// They are written again, as far as the server's state permits.
    #[default]
    Recover,
    /// They are dropped; the backup has them. Those that the app makes during the reset are written
    /// again.
    Discard,
    /// The session stops, and the error handler gets a [`fastness::instance::ClientReset`]. Nothing
    /// changes before the app executes it, or starts again.
    Manual,
}

/// A client reset that was carried out.
#[derive(Clone, Debug)]
pub struct CompletedReset {
    /// One outcome for each own operation.
    pub report: ResetReport,
    /// Opens the file as it was before; none if the reset had begun before the last start.
    pub backup: Option<Configuration>,
}

type BeforeReset = dyn Fn(&Snapshot) + Send + Sync;
type AfterReset = dyn Fn(&Snapshot, &CompletedReset) + Send + Sync;

/// Options of a synced file.
#[derive(Clone)]
pub struct SyncOptions {
    pub(crate) policy: ResetPolicy,
    pub(crate) initial_data_timeout: Duration,
    pub(crate) snapshot_bytes_max: u64,
    pub(crate) before: Option<Arc<BeforeReset>>,
    pub(crate) after: Option<Arc<AfterReset>>,
}

impl SyncOptions {
    /// Returns the defaults: [`ResetPolicy::Recover`], no hooks, and 30 s for initial data.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the first opening of a configuration that waits for initial data waits for a
    /// server that cannot be reached. It then fails with [`crate::SyncCallError::TimedOut`], and
    /// the next opening waits again.
    #[must_use]
    pub const fn initial_data_timeout(mut self, timeout: Duration) -> Self {
        self.initial_data_timeout = timeout;
        self
    }

    /// Sets how many bytes a snapshot of the server may have that the file receives in a client
    /// reset, 16 GiB without this. The server says how many a snapshot has. One with more is not
    /// received: the session ends with [`crate::SessionState::Error`].
    #[must_use]
    pub const fn snapshot_bytes_max(mut self, bytes_max: u64) -> Self {
        self.snapshot_bytes_max = bytes_max;
        self
    }

    /// Sets the treatment of own writes by a client reset.
    #[must_use]
    pub const fn reset(mut self, policy: ResetPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Calls `before` with the objects when a reset begins, on the thread of the file.
    #[must_use]
    pub fn before_reset(mut self, before: impl Fn(&Snapshot) + Send + Sync + 'static) -> Self {
        self.before = Some(Arc::new(before));
        self
    }

    /// Calls `after` with the objects and the report when a reset is complete, on the thread of
    /// the file. If the app was stopped before that, `after` is called when the file is opened
    /// again.
    #[must_use]
    pub fn after_reset(
        mut self,
        after: impl Fn(&Snapshot, &CompletedReset) + Send + Sync + 'static,
    ) -> Self {
        self.after = Some(Arc::new(after));
        self
    }
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            policy: ResetPolicy::default(),
            initial_data_timeout: Duration::from_secs(30),
            snapshot_bytes_max: SNAPSHOT_BYTES_MAX,
            before: None,
            after: None,
        }
    }
}

impl fmt::Debug for SyncOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncOptions").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl CompletedReset {
    /// Returns the report as JSON: the code, the client, counts by outcome, and each operation with
    /// its outcome.
    #[must_use]
    pub fn to_json(&self) -> String {
        let operations: Vec<_> = self.report.operations().map(|reported| json(&reported)).collect();
        let refused: Vec<_> = self.report.refused().iter().map(json_of_refused).collect();
        let report = serde_json::json!({
            "code": self.report.cause.code(),
            "client": self.report.client,
            "counts": self.report.counts(),
            "operations": operations,
            "refused": refused,
            "backup": self.backup.as_ref().map(|backup| backup.path().display().to_string()),
        });
        report.to_string()
    }
}

/// The report for people, and the path of the backup.
impl fmt::Display for CompletedReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)?;
        self.backup.as_ref().map_or(Ok(()), |backup| {
            writeln!(f, "the file as it was before: {}", backup.path().display())
        })
    }
}

fn json_of_refused(entry: &ReportedRefusal) -> serde_json::Value {
    let ReportedRefusal { client_seq, code, operation } = *entry;
    serde_json::json!({ "entry": client_seq, "code": code, "operation": operation })
}

fn json(reported: &Reported<'_>) -> serde_json::Value {
    let (verb, target, property) = match reported.operation {
        Operation::AddClass { class, .. } => ("add class", class.to_owned(), None),
        Operation::AddProperty { class, property, .. } => {
            ("add property", class.to_owned(), Some(property))
        }
        Operation::Create(target) => ("create", name(target), None),
        Operation::Delete(target) => ("delete", name(target), None),
        Operation::Change { target, property, change } => {
            (verb(change), name(target), Some(property))
        }
        // The text has an operation of a later version.
        _ => ("other", String::new(), None),
    };
    let winner = match reported.outcome {
        Outcome::Conflict(writer) | Outcome::Deleted(writer) => writer,
        Outcome::Applied
        | Outcome::Adjusted
        | Outcome::NoOperation
        | Outcome::Schema
        | Outcome::Discarded => None,
    };
    let winner =
        winner.map(|Writer { client, seq }| serde_json::json!({ "client": client, "entry": seq }));
    serde_json::json!({
        "entry": reported.client_seq,
        "operation": verb,
        "target": target,
        "property": property,
        "text": reported.to_string(),
        "outcome": reported.outcome.name(),
        "winner": winner,
    })
}

fn name(target: ObjectRef<'_>) -> String {
    let class = target.class;
    match target.key {
        Key::Null => format!("{class}(null)"),
        Key::Int(key) => format!("{class}({key})"),
        Key::String(key) => format!("{class}({key:?})"),
        Key::Generated(id) => format!("{class}({}/{})", id.author, id.number),
    }
}

const fn verb(change: Change<'_>) -> &'static str {
    match change {
        Change::Set(_) => "set",
        Change::Increment(_) => "increment",
        Change::ListInsert { .. } => "list insert",
        Change::ListSet { .. } => "list set",
        Change::ListRemove { .. } => "list remove",
        Change::ListMove { .. } => "list move",
        _ => "change",
    }
}
