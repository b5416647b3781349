//! Which workloads run, as `--only` says.

/// Which workloads run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Keys of rows, or the beginnings of some; empty for all.
    pub(crate) only: Vec<String>,
}

impl Wanted {
    /// Tells whether a workload runs whose rows' keys begin with `workload`.
    #[must_use]
    pub(crate) fn has(&self, workload: &str) -> bool {
        let mut only = self.only.iter();
        self.only.is_empty()
            || only.any(|only| only.starts_with(workload) || workload.starts_with(only))
    }

    /// Tells whether a row of this key was asked for.
    #[must_use]
    pub(crate) fn asks(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| key.starts_with(only))
    }

    /// Tells whether anything was asked for beside what these groups of rows hold.
    #[must_use]
    pub(crate) fn beside(&self, groups: &[&str]) -> bool {
        let in_group = |only: &String| groups.iter().any(|group| only.starts_with(group));
        self.only.is_empty() || !self.only.iter().all(in_group)
    }
}
