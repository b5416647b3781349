//! Passwords under argon2id, in turn: as many at once as there are cores, and so many may wait.
//!
//! - H10 What is stored is argon2id with a salt of its own.
//! - H11 Memory is that of as many hashes as there are cores, and kept; waiting has bounds.

use crate::config::HashCosts;
use crate::error::StartError;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use fastness::auth::Secret;
use fastness::auth::server::{HashFailed, HashJob, PasswordHasher, Step};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{Semaphore, oneshot};

/// Hashes passwords with argon2id. Clones share the memory that hashing takes, which is kept.
#[derive(Clone, Debug)]
pub struct Argon2id {
    params: Params,
    /// Memory of hashes that are done: at most as many as there were at once.
    spare: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Argon2id {
    /// Takes the costs of new hashes. Hashes that were made before are checked with theirs.
    ///
    /// # Errors
    /// [`StartError::HashCosts`] if argon2id has no such costs.
    pub fn new(costs: HashCosts) -> Result<Self, StartError> {
        let params = Params::new(costs.memory_kib, costs.passes, 1, None);
        let params = params.map_err(|_| StartError::HashCosts)?;
        Ok(Self { params, spare: Arc::default() })
    }

    /// Computes a hash.
    fn output(&self, password: &Secret, salt: &[u8], params: &Params) -> Option<Output> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = spare().pop().unwrap_or_default();
        memory.resize(params.block_count(), Block::new());
        let mut bytes = [0; Output::MAX_LENGTH];
        let bytes = bytes.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
        let password = password.expose().as_bytes();
        let hashed = argon2.hash_password_into_with_memory(password, salt, bytes, &mut memory);
        spare().push(memory);
        hashed.ok()?;
        Output::new(bytes).ok()
    }

    fn phc(&self, password: &Secret, salt: &[u8]) -> Option<PasswordHash> {
        let hash = Some(self.output(password, salt, &self.params)?);
        Some(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash,
        })
    }
}

impl PasswordHasher for Argon2id {
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashFailed> {
        self.phc(password, salt).map(|hash| hash.to_string()).ok_or(HashFailed)
    }

    fn fits(&self, password: &Secret, hash: &str) -> bool {
        let Ok(stored) = PasswordHash::new(hash) else { return false };
        let is_known = stored.algorithm == Algorithm::Argon2id.ident()
            && stored.version == Some(Version::V0x13.into());
        let (Ok(params), Some(salt), true) = (Params::try_from(&stored), stored.salt, is_known)
        else {
            return false;
        };
        // Outputs are compared in constant time, by the library.
        let found = self.output(password, &salt, &params);
        found.is_some() && found == stored.hash
    }
}

/// The threads that hash. They are few and their own: each keeps the memory of one hash, and a pool
/// of many threads would keep it many times.
#[derive(Debug)]
pub(crate) struct Turns {
    jobs: Sender<Turn>,
    places: Semaphore,
}

/// A password to hash, and who waits for what follows.
type Turn = (HashJob, oneshot::Sender<Step>);

impl Turns {
    pub(crate) fn new(hasher: &Argon2id, waiting: usize) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (jobs, taken) = channel::<Turn>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..cores {
            let (hasher, taken) = (hasher.clone(), Arc::clone(&taken));
            let name = "fastness-hashing".to_owned();
            thread::Builder::new().name(name).spawn(move || work(&hasher, &taken))?;
        }
        let places = Semaphore::new(waiting.min(Semaphore::MAX_PERMITS - cores) + cores);
        Ok(Self { jobs, places })
    }

    /// Waits for a turn and hashes; `None` if too many wait, or the thread was lost.
    pub(crate) async fn run(&self, job: HashJob) -> Option<Step> {
        let _place = self.places.try_acquire().ok()?;
        let (reply, step) = oneshot::channel();
        self.jobs.send((job, reply)).ok()?;
        step.await.ok()
    }
}

/// Hashes until the server ends.
fn work(hasher: &Argon2id, jobs: &Mutex<Receiver<Turn>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, reply)) = next else { return };
        // Whoever has gone meanwhile needs no hash.
        if !reply.is_closed() {
            drop(reply.send(job.run(hasher)));
        }
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
        assert!(quick.fits(&"p".into(), &later.hash(&"p".into(), &[3; 16]).unwrap()));
        let (other, old) = (hash.replace("argon2id", "argon2i"), hash.replace("v=19", "v=16"));
        for (password, hash) in
            [("q", &*hash), ("", &hash), ("p", ""), ("p", "$argon2id$"), ("p", &other), ("p", &old)]
        {
            assert!(!later.fits(&password.into(), hash));
        }
        assert!(Argon2id::new(HashCosts { memory_kib: 7, passes: 1 }).is_err());
    }
}
