//! Limits of a user: the bytes of its databases, and the bytes that it uploads in a second.
//!
//! - H36 Uploads to databases of a user beyond its bytes are not taken, and its client learns why
//!   after it has all downloads. A user uploads no faster than its rate: beyond it, its connections
//!   are not read for a while.

use super::database_files::{file_of, paths_below};
use crate::fault;
use fastness_auth::server::DatabasePath;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Age up to which a measurement counts.
const FRESH: Duration = Duration::from_secs(2);

/// Seconds of its rate that a user may upload at once.
const BURST_SECONDS: u64 = 10;

/// Longest pause of a connection, so that it does not count as silent.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Users whose rate is noted before those without recent uploads are forgotten.
const USERS_MAX: usize = 1024;

/// Sizes of the databases of users, as far as a worker has asked.
pub(super) struct Storage {
    folder: PathBuf,
    bytes_max: Option<u64>,
    /// Time and size by the folder of a user.
    measured: BTreeMap<PathBuf, (Instant, u64)>,
}

impl Storage {
    pub(super) const fn new(folder: PathBuf, bytes_max: Option<u64>) -> Self {
        Self { folder, bytes_max, measured: BTreeMap::new() }
    }

    /// Tells whether the databases of the owner of a path have as many bytes as permitted. If not,
    /// counts an upload.
    pub(super) fn is_full(&mut self, path: &DatabasePath, upload_bytes: usize) -> bool {
        let Some((bytes_max, folder)) = self.bytes_max.zip(self.folder_of(path)) else {
            return false;
        };
        let now = Instant::now();
        self.measured.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
        let measure = |folder: &PathBuf| (now, size_below(folder));
        let (_, bytes) = self.measured.entry(folder).or_insert_with_key(measure);
        let is_full = *bytes >= bytes_max && !fault::on("NS-16");
        *bytes = bytes.saturating_add(u64::try_from(upload_bytes).unwrap_or(u64::MAX));
        is_full
    }

    /// Returns the folder of the databases of the owner of a path.
    fn folder_of(&self, path: &DatabasePath) -> Option<PathBuf> {
        let file = file_of(&self.folder, path)?;
        let first = file.strip_prefix(&self.folder).ok()?.components().next()?;
        Some(self.folder.join(first))
    }
}

/// Returns the size of the databases below a folder.
fn size_below(folder: &Path) -> u64 {
    let paths = paths_below(folder).unwrap_or_default();
    let files = paths.iter().filter_map(|path| fs::metadata(file_of(folder, path)?).ok());
    files.map(|file| file.len()).sum()
}

/// Rates of uploads.
pub(super) struct UploadRates {
    bytes_per_second: Option<u64>,
    /// Time at which a user has no upload left to wait for.
    settled: Mutex<BTreeMap<Arc<str>, Instant>>,
}

impl UploadRates {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, settled: Mutex::default() }
    }

    /// Counts bytes of a user; returns the time for which its connection is not read.
    pub(super) fn pause(&self, user: &Arc<str>, bytes: usize, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let cost = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
        let mut users = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS_MAX {
            users.retain(|_, settled| *settled > now);
        }
        let settled = users.entry(Arc::clone(user)).or_insert(now);
        *settled = (*settled).max(now) + cost;
        let burst = Duration::from_secs(BURST_SECONDS);
        settled.duration_since(now).saturating_sub(burst).min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_beyond_its_rate_pauses_and_others_do_not() {
        let rates = UploadRates::new(Some(1000));
        let (alice, bob): (Arc<str>, Arc<str>) = ("alice".into(), "bob".into());
        let begun = Instant::now();
        assert_eq!(rates.pause(&alice, 10_000, begun), Duration::ZERO, "H36: a burst");
        assert_eq!(rates.pause(&alice, 2000, begun), Duration::from_secs(2), "H36");
        assert_eq!(rates.pause(&bob, 2000, begun), Duration::ZERO, "H36");
        let later = begun + Duration::from_secs(4);
        assert_eq!(rates.pause(&alice, 2000, later), Duration::ZERO, "H36");
        assert_eq!(rates.pause(&alice, usize::MAX, later), PAUSE_MAX, "H36");
        assert_eq!(UploadRates::new(None).pause(&alice, usize::MAX, begun), Duration::ZERO);
    }

    #[test]
    fn databases_of_one_owner_are_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = |path| DatabasePath::resolve(path, "").unwrap();
        for (name, bytes) in [("/a/one", 600), ("/a/b/two", 500), ("/c/three", 900)] {
            let file = file_of(folder.path(), &path(name)).unwrap();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![0; bytes]).unwrap();
        }
        let is_full = |bytes_max, name| {
            Storage::new(folder.path().to_path_buf(), bytes_max).is_full(&path(name), 0)
        };
        assert!(is_full(Some(1100), "/a/one") && is_full(Some(1100), "/a/new"), "H36");
        assert!(!is_full(Some(1101), "/a/one") && !is_full(Some(1100), "/c/three"), "H36");
        assert!(!is_full(None, "/a/one"), "H36");
        let mut storage = Storage::new(folder.path().to_path_buf(), Some(1200));
        let uploads = [100, 1, 1].map(|bytes| storage.is_full(&path("/a/one"), bytes));
        assert_eq!(uploads, [false, true, true], "H36: uploads count at once");
    }
}
