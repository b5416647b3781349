//! Selection of workloads by `--only`.

/// Workloads to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Keys of rows, or the beginnings of some; empty for all.
    pub(crate) only: Vec<String>,
}

impl Selection {
    /// Returns whether a workload runs whose rows' keys begin with `workload`.
    #[must_use]
    pub(crate) fn has(&self, workload: &str) -> bool {
        let mut only = self.only.iter();
        self.only.is_empty()
            || only.any(|only| only.starts_with(workload) || workload.starts_with(only))
    }

    /// Returns whether a row of this key is selected.
    #[must_use]
    pub(crate) fn asks(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| key.starts_with(only))
    }

    /// Returns whether a row outside these groups is selected.
    #[must_use]
    pub(crate) fn beside(&self, groups: &[&str]) -> bool {
        let in_group = |only: &String| groups.iter().any(|group| only.starts_with(group));
        self.only.is_empty() || !self.only.iter().all(in_group)
    }
}
