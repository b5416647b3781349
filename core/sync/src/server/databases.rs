//! Many databases under a budget of open files.
//!
//! - SV4 At most so many databases are open at a time, and none that is in use is closed.

use super::error::{ServerError, ServerResult};
use super::replica::{Opening, ServerReplica};
use fastness::StoreOptions;
use std::path::{Path, PathBuf};

/// The open databases of a server. The one that was used longest ago is closed for another one.
#[derive(Debug)]
pub struct Databases {
    options: StoreOptions,
    open_max: usize,
    /// In the order of their last use.
    open: Vec<(PathBuf, ServerReplica)>,
}

impl Databases {
    /// Begins without an open database. Each has files, key and cache as the options say.
    #[must_use]
    pub const fn new(options: StoreOptions, open_max: usize) -> Self {
        Self { options, open_max, open: Vec::new() }
    }

    /// Returns the number of open databases.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open.len()
    }

    /// Tells whether no database is open.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns the database of a file, and opens or creates it if it is not open. It is in use
    /// while a clone of it, or a snapshot, exists.
    ///
    /// # Errors
    /// [`ServerError::TooManyDatabases`] if all databases that may be open are in use; otherwise
    /// as [`ServerReplica::open`].
    pub fn get(&mut self, path: &Path, opening: &Opening) -> ServerResult<ServerReplica> {
        if let Some(at) = self.open.iter().position(|(open, _)| open == path) {
            let used = self.open.remove(at);
            let replica = used.1.clone();
            self.open.push(used);
            return Ok(replica);
        }
        while self.open.len() >= self.open_max {
            let idle = self.open.iter().position(|(_, replica)| !replica.is_in_use());
            self.open.remove(idle.ok_or(ServerError::TooManyDatabases)?);
        }
        let store = self.options.open_or_create(path)?;
        let replica = ServerReplica::open(store, opening)?;
        self.open.push((path.to_path_buf(), replica.clone()));
        Ok(replica)
    }

    /// Closes the databases that are not in use.
    pub fn close_idle(&mut self) {
        self.open.retain(|(_, replica)| replica.is_in_use());
    }
}
