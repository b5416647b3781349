//! The face of a registry and its instances for sync. No promised interface.

use super::file_registry::FileRegistry;
use super::handle::Instance;
use super::replica_hooks::ReplicaHooks;
use crate::conc::Arc;
use crate::error::Result;
use crate::object::Database;

#[doc(hidden)]
impl FileRegistry {
    /// Sets what makes the hooks of the synced files that are opened from now on.
    pub fn set_replica_hooks(&self, hooks: Arc<ReplicaHooks>) {
        *self.state.opener.replicas.0.lock() = Some(hooks);
    }

    /// Returns whether the calling thread may block.
    #[must_use]
    pub fn may_block(&self) -> bool {
        self.state.caller().may_block
    }
}

#[doc(hidden)]
impl Instance {
    /// Returns the database, for any thread. It keeps the file open.
    ///
    /// # Errors
    /// [`crate::InstanceError::Closed`] and [`crate::InstanceError::OtherThread`].
    pub fn database(&self) -> Result<Database> {
        self.with(|file, _| Ok(file.whole_database()))
    }
}
