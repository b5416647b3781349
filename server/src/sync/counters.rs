//! Counters of sync, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters since the start.
#[derive(Default)]
pub(crate) struct SyncCounters {
    pub(super) connections: Counter,
    pub(super) frames_received: Counter,
    pub(super) bytes_received: Counter,
    pub(super) frames_sent: Counter,
    pub(super) bytes_sent: Counter,
    pub(super) entries: Counter,
    pub(super) refused_entries: Counter,
    pub(super) failures: Counter,
    pub(super) upkeep_failures: Counter,
}

/// Values at the time of a report.
#[derive(Clone, Copy, Default)]
pub(crate) struct SyncGauges {
    pub(crate) connections: usize,
    /// `None` if a worker did not answer.
    pub(crate) open: Option<OpenGauges>,
}

/// Databases that are open, and their sessions.
#[derive(Clone, Copy, Default)]
pub(crate) struct OpenGauges {
    pub(crate) sessions: usize,
    pub(crate) databases: usize,
    /// Entries that the slowest session has not been sent yet.
    pub(crate) behind: usize,
}

impl SyncCounters {
    /// Returns the metrics: name, kind, meaning and value.
    pub(crate) fn metrics(&self, gauges: SyncGauges) -> Vec<SyncMetric> {
        let counter = |name, about, counter: &Counter| SyncMetric {
            name,
            kind: "counter",
            about,
            value: counter.get(),
        };
        let gauge = |name, about, value: usize| SyncMetric {
            name,
            kind: "gauge",
            about,
            value: u64::try_from(value).unwrap_or(u64::MAX),
        };
        let open = gauges.open.map(|OpenGauges { sessions, databases, behind }| {
            [
                gauge("sync_sessions", "Sessions of sync.", sessions),
                gauge("sync_databases", "Databases with sessions or snapshots.", databases),
                gauge("sync_behind_entries", "Entries that the slowest session lacks.", behind),
            ]
        });
        let mut metrics =
            vec![gauge("sync_connections", "Connections of sync.", gauges.connections)];
        metrics.extend(open.into_iter().flatten());
        metrics.extend([
            counter("sync_connections_total", "Connections since the start.", &self.connections),
            counter("sync_received_frames_total", "Frames of clients.", &self.frames_received),
            counter("sync_received_bytes_total", "Bytes of their frames.", &self.bytes_received),
            counter("sync_sent_frames_total", "Frames of the server.", &self.frames_sent),
            counter("sync_sent_bytes_total", "Bytes of its frames.", &self.bytes_sent),
            counter("sync_entries_total", "Entries that were answered.", &self.entries),
            counter("sync_refused_entries_total", "Refused among them.", &self.refused_entries),
            counter("sync_failures_total", "Failures of databases.", &self.failures),
            counter("sync_upkeep_failures_total", "Failures of the upkeep.", &self.upkeep_failures),
        ]);
        metrics
    }
}

/// A metric.
pub(crate) struct SyncMetric {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) about: &'static str,
    pub(crate) value: u64,
}
