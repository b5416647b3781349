//! Statistics of a run, for reports; they do not influence the run.

use std::collections::BTreeMap;

/// Statistics of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Operations whose outcome was compared with the model.
    pub operations: u64,
    /// Simulated crashes with a checked recovery.
    pub crash_points: u64,
    /// The same, by interrupted call and recursion depth.
    pub crash_points_by: BTreeMap<&'static str, u64>,
    /// Operations by kind.
    pub mix: BTreeMap<&'static str, u64>,
    /// Hits of each mark.
    pub marks: BTreeMap<&'static str, u64>,
    /// If present, receives a line for each operation and its outcome.
    pub trace: Option<Vec<String>>,
}

impl Probe {
    /// Returns a probe that records the trace.
    #[must_use]
    pub fn tracing() -> Self {
        Self { trace: Some(Vec::new()), ..Self::default() }
    }

    /// Adds the statistics of another run.
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

    /// Counts a hit of a mark.
    pub fn mark(&mut self, mark: &'static str) {
        *self.marks.entry(mark).or_default() += 1;
    }

    /// Counts a crash with a checked recovery.
    pub fn crash(&mut self, at: &'static str) {
        self.crash_points += 1;
        *self.crash_points_by.entry(at).or_default() += 1;
    }

    /// Adds a line to the trace, if there is one.
    pub fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}
