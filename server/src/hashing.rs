//! Passwords under argon2id, in turn: as many at once as there are cores, and so many may wait.
//!
//! - H10 What is stored is argon2id with a salt of its own.
//! - H11 Memory is bounded by the turns, waiting by the queue.

use crate::config::HashCosts;
use crate::error::StartError;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use fastness::auth::Secret;
use fastness::auth::server::{HashFailed, HashJob, PasswordHasher, Step};
use std::sync::Arc;
use std::thread;
use tokio::sync::Semaphore;
use tokio::task;

/// Hashes passwords with argon2id.
#[derive(Clone, Debug)]
pub struct Argon2id {
    argon2: Argon2<'static>,
}

impl Argon2id {
    /// Takes the costs of new hashes. Hashes that were made before are checked with theirs.
    ///
    /// # Errors
    /// [`StartError::HashCosts`] if argon2id has no such costs.
    pub fn new(costs: HashCosts) -> Result<Self, StartError> {
        let params = Params::new(costs.memory_kib, costs.passes, 1, None);
        let params = params.map_err(|_| StartError::HashCosts)?;
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params) })
    }
}

impl PasswordHasher for Argon2id {
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashFailed> {
        let hash = self.argon2.hash_password_with_salt(password.expose().as_bytes(), salt);
        hash.map(|hash| hash.to_string()).map_err(|_| HashFailed)
    }

    fn fits(&self, password: &Secret, hash: &str) -> bool {
        self.argon2.verify_password(password.expose().as_bytes(), hash).is_ok()
    }
}

/// The turns to hash.
#[derive(Debug)]
pub(crate) struct Turns {
    hasher: Arc<Argon2id>,
    places: Semaphore,
    cores: Semaphore,
}

impl Turns {
    pub(crate) fn new(hasher: Argon2id, waiting: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            hasher: Arc::new(hasher),
            places: Semaphore::new(waiting.min(Semaphore::MAX_PERMITS - cores) + cores),
            cores: Semaphore::new(cores),
        }
    }

    /// Waits for a turn and hashes; `None` if too many wait, or the thread was lost.
    pub(crate) async fn run(&self, job: HashJob) -> Option<Step> {
        let _place = self.places.try_acquire().ok()?;
        let _core = self.cores.acquire().await.ok()?;
        let hasher = Arc::clone(&self.hasher);
        task::spawn_blocking(move || job.run(&*hasher)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_say_how_they_were_made_and_fit_their_password_only() {
        let quick = Argon2id::new(HashCosts { memory_kib: 8, passes: 1 }).unwrap();
        let hash = quick.hash(&"p".into(), &[1; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hash, quick.hash(&"p".into(), &[2; 16]).unwrap());
        let later = Argon2id::new(HashCosts { memory_kib: 16, passes: 2 }).unwrap();
        assert!(later.fits(&"p".into(), &hash), "the costs were changed since");
        for (password, hash) in [("q", &*hash), ("", &hash), ("p", ""), ("p", "$argon2id$")] {
            assert!(!later.fits(&password.into(), hash));
        }
        assert!(Argon2id::new(HashCosts { memory_kib: 7, passes: 1 }).is_err());
    }
}
