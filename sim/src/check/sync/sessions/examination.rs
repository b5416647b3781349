//! The resets of a client as the check `reset` examines them: their policy, and the backup of each.

use crate::Rng;
use fastness::Key;
use fastness_sync::client::{ResetMode, SessionFile};
use fastness_sync::session::ClientOutput;
use std::path::PathBuf;

/// Treatment of own operations, as an app chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Recover,
    Discard,
    /// The app makes a backup of the file, and begins with a new one.
    Manual,
}

/// The resets of a client.
#[derive(Clone, Debug)]
pub(super) struct Examination {
    pub(super) policy: Policy,
    /// Mode of the reset that has begun last.
    pub(super) used: ResetMode,
    /// Path of its backup.
    pub(super) backup: Option<PathBuf>,
    /// Number of backups.
    backups: u32,
}

/// Options of a file that may reset.
pub(super) struct ResetOptions {
    pub(super) mode: ResetMode,
    pub(super) backup: Option<PathBuf>,
    pub(super) key: Option<Key>,
}

/// A step of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResetStep {
    None,
    Begin,
    Part,
}

impl Examination {
    /// Draws the policy.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let policy = *rng.pick(&[
            Policy::Recover,
            Policy::Recover,
            Policy::Discard,
            Policy::Discard,
            Policy::Manual,
        ]);
        Self { policy, used: ResetMode::Recover, backup: None, backups: 0 }
    }

    /// Returns the path of the next backup.
    pub(super) fn next_backup(&mut self) -> PathBuf {
        self.backups += 1;
        let path: PathBuf = format!("/sim/reset-{}.fast", self.backups).into();
        self.backup = Some(path.clone());
        path
    }
}

impl ResetStep {
    pub(super) const fn of(output: &ClientOutput<'_>) -> Self {
        match output {
            ClientOutput::Reset(_) | ClientOutput::NewIdentity => Self::Begin,
            ClientOutput::Snapshot(_) => Self::Part,
            _ => Self::None,
        }
    }
}

impl ResetOptions {
    pub(super) fn set(self, file: &mut SessionFile) {
        (file.mode, file.backup, file.key) = (self.mode, self.backup, self.key);
    }
}
