//! The hooks of the synced files that a registry opens. No promised interface.

use crate::conc::{Arc, Mutex};
use crate::config::Configuration;
use crate::object::ReplicaHook;
use std::fmt;

/// Makes the hook of a synced file that is being opened; none for a file that is not replicated.
pub type ReplicaHooks = dyn Fn(&Configuration) -> Option<Arc<ReplicaHook>> + Send + Sync;

/// The hooks of the files that a registry opens.
#[derive(Default)]
pub(super) struct Replicas(pub(super) Mutex<Option<Arc<ReplicaHooks>>>);

impl Replicas {
    /// Returns the hook of a file.
    pub(super) fn hook(&self, configuration: &Configuration) -> Option<Arc<ReplicaHook>> {
        let hooks = self.0.lock().clone();
        hooks.and_then(|hooks| hooks(configuration))
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replicas(..)")
    }
}
