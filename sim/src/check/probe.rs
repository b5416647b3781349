//! What a run did, for the report: nothing here decides anything.

use std::collections::BTreeMap;

/// Counts what a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Operations executed on the store whose outcome was compared with the model.
    pub operations: u64,
    /// Simulated crashes that were recovered from and compared.
    pub crash_points: u64,
    /// The same by the kind of I/O they happened at, and by depth.
    pub crash_points_by: BTreeMap<&'static str, u64>,
    /// Operations by kind.
    pub mix: BTreeMap<&'static str, u64>,
    /// Rare events that happened.
    pub marks: BTreeMap<&'static str, u64>,
    /// When there, takes a line for each operation and its outcome.
    pub trace: Option<Vec<String>>,
}

impl Probe {
    /// Makes a probe that also keeps the trace.
    #[must_use]
    pub fn tracing() -> Self {
        Self { trace: Some(Vec::new()), ..Self::default() }
    }

    /// Adds what another run did.
    pub fn merge(&mut self, other: Self) {
        self.operations += other.operations;
        self.crash_points += other.crash_points;
        for (ours, theirs) in [
            (&mut self.crash_points_by, other.crash_points_by),
            (&mut self.mix, other.mix),
            (&mut self.marks, other.marks),
        ] {
            for (name, count) in theirs {
                *ours.entry(name).or_default() += count;
            }
        }
        if let (Some(ours), Some(theirs)) = (&mut self.trace, other.trace) {
            ours.extend(theirs);
        }
    }

    /// Counts operations of a kind.
    pub fn count(&mut self, kind: &'static str, operations: u64) {
        self.operations += operations;
        *self.mix.entry(kind).or_default() += operations;
    }

    /// Counts a rare event.
    pub fn mark(&mut self, mark: &'static str) {
        *self.marks.entry(mark).or_default() += 1;
    }

    /// Counts a crash that was recovered from.
    pub fn crash(&mut self, at: &'static str) {
        self.crash_points += 1;
        *self.crash_points_by.entry(at).or_default() += 1;
    }

    /// Adds a line to the trace, if one is kept.
    pub fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}
