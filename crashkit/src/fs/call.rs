//! Calls on paths: opening, renaming, removing, looking up, syncing names.

use super::fault::Call;
use super::{Access, SimFile, SimFs};
use std::io;
use std::path::{Path, PathBuf};

impl SimFs {
    /// Opens a file. The name of a new one may not be a link.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` or `InvalidFilename` (for [`Access::CreateNew`]), or an injected
    /// error.
    pub fn open(&self, path: &Path, access: Access) -> io::Result<SimFile> {
        self.happen(match access {
            Access::CreateNew => Call::Create,
            Access::Read | Access::ReadWrite => Call::Open,
        });
        let inode = self.state().open(path, access)?;
        let writable = !matches!(access, Access::Read);
        Ok(SimFile::new(self.clone(), inode, writable))
    }

    /// Renames a file; a file with the new name is replaced.
    ///
    /// # Errors
    /// `NotFound`, `CrossesDevices` after [`SimFs::separate_devices`], or an injected error; no
    /// name has changed then.
    pub fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.happen(Call::Rename);
        let mut state = self.state();
        state.meet(Call::Rename).map_err(|fault| fault.error())?;
        if state.apart && source.parent() != target.parent() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        if !state.disk.rename(source, target) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.fork(Call::Rename);
        Ok(())
    }

    /// Removes a name. The file remains usable while it is open.
    ///
    /// # Errors
    /// `NotFound`, or an injected error.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.happen(Call::Remove);
        let mut state = self.state();
        state.meet(Call::Remove).map_err(|fault| fault.error())?;
        if !state.disk.remove(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.fork(Call::Remove);
        Ok(())
    }

    /// Returns whether a name exists, be it a link that leads nowhere.
    ///
    /// # Errors
    /// An injected error.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        self.happen(Call::Exists);
        let mut state = self.state();
        state.meet(Call::Exists).map_err(|fault| fault.error())?;
        Ok(state.disk.is_taken(path))
    }

    /// Returns the path that a path leads to through symbolic links.
    ///
    /// # Errors
    /// `NotFound`, or an injected error.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.happen(Call::Exists);
        let mut state = self.state();
        state.meet(Call::Exists).map_err(|fault| fault.error())?;
        state.disk.resolve(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Makes the names of all directories durable.
    ///
    /// # Errors
    /// An injected error; no name has become durable then.
    pub fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        self.happen(Call::SyncDir);
        let mut state = self.state();
        state.fork(Call::SyncDir);
        state.meet(Call::SyncDir).map_err(|fault| fault.error())?;
        state.disk.sync_names();
        Ok(())
    }
}
