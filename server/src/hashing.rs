//! Passwords under argon2id, in turn: as many at once as there are cores, and so many may wait.
//!
//! - H10 What is stored is argon2id with a salt of its own.
//! - H11 Memory is that of as many hashes as there are cores, and kept; waiting has bounds.

use crate::config::HashCosts;
use crate::error::StartError;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use fastness_auth::Secret;
use fastness_auth::server::{HashFailed, HashJob, PasswordHasher, Step};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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
pub(crate) struct Turns {
    hasher: Arc<dyn PasswordHasher>,
    /// Nothing if whoever asks hashes, too.
    jobs: Option<Sender<Turn>>,
    places: Arc<Semaphore>,
}

/// A password to hash, and who waits for what follows.
struct Turn {
    job: HashJob,
    reply: oneshot::Sender<Step>,
    /// Taken until it is done, also if nobody waits any more: so what is queued has bounds.
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new(
        hasher: Arc<dyn PasswordHasher>,
        threads: usize,
        waiting: usize,
    ) -> io::Result<Self> {
        let (jobs, taken) = channel::<Turn>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..threads {
            let (hasher, taken) = (Arc::clone(&hasher), Arc::clone(&taken));
            let name = "fastness-hashing".to_owned();
            thread::Builder::new().name(name).spawn(move || work(&*hasher, &taken))?;
        }
        let jobs = (threads > 0).then_some(jobs);
        let places = waiting.saturating_add(threads.max(1)).min(Semaphore::MAX_PERMITS);
        Ok(Self { hasher, jobs, places: Arc::new(Semaphore::new(places)) })
    }

    /// Waits for a turn and hashes; `None` if too many wait, or hashing panicked.
    pub(crate) async fn run(&self, job: HashJob) -> Option<Step> {
        let _place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let Some(jobs) = &self.jobs else { return Some(job.run(&*self.hasher)) };
        let (reply, step) = oneshot::channel();
        jobs.send(Turn { job, reply, _place }).ok()?;
        step.await.ok()
    }
}

/// Hashes until the server ends.
fn work(hasher: &dyn PasswordHasher, jobs: &Mutex<Receiver<Turn>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Turn { job, reply, _place }) = next else { return };
        // Whoever has gone meanwhile needs no hash.
        if reply.is_closed() {
            continue;
        }
        // The thread goes on, whatever a password does to the library: who waits is told.
        if let Ok(step) = catch_unwind(AssertUnwindSafe(|| job.run(hasher))) {
            drop(reply.send(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness::Time;
    use fastness_auth::server::{Accounts, Call, Policy};

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

    /// Stops until it is let go on, and cannot stand one password.
    struct Odd(Mutex<Receiver<()>>);

    impl PasswordHasher for Odd {
        fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashFailed> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
            assert_ne!(password.expose(), "odd");
            Ok(String::new())
        }

        fn fits(&self, _: &Secret, _: &str) -> bool {
            false
        }
    }

    fn job(accounts: &Accounts, password: &str) -> HashJob {
        let (name, password) = ("nobody".into(), password.into());
        let Step::Hash(job) = accounts.begin(Time(0), Call::LogIn { name, password }) else {
            panic!("an attempt costs a hash")
        };
        job
    }

    #[test]
    fn what_waits_has_bounds_also_when_who_asked_has_gone_and_panics_cost_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = fastness::StoreOptions::new().in_memory().unwrap();
        let accounts =
            Accounts::open(store, Arc::new(fastness::OsRandom), Policy::default()).unwrap();
        let (go_on, waits) = channel();
        let turns = Turns::new(Arc::new(Odd(Mutex::new(waits))), 1, 1).unwrap();
        runtime.block_on(async {
            let mut one = Box::pin(turns.run(job(&accounts, "odd")));
            let mut two = Box::pin(turns.run(job(&accounts, "x")));
            for turn in [&mut one, &mut two] {
                let waits = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(turn.as_mut().poll(context).is_pending())
                });
                assert!(waits.await);
            }
            drop(two);
            assert!(turns.run(job(&accounts, "x")).await.is_none(), "its place is still taken");
            go_on.send(()).unwrap();
            assert!(one.await.is_none(), "it panicked");
            let places = Arc::clone(&turns.places);
            // Both are given back once they are done with.
            drop(places.acquire_many(2).await.unwrap());
            go_on.send(()).unwrap();
            assert!(turns.run(job(&accounts, "x")).await.is_some(), "the thread goes on");
        });
    }
}
