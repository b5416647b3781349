//! Thread pool for argon2id: one hash per core at once, with a bounded queue.
//!
//! - H10 Every password is hashed with argon2id and its own salt.
//! - H11 Memory is that of one hash per core, and the queue is bounded.
//! - H38 A password that had to wait is not hashed if its client has closed the connection
//!   meanwhile.

use crate::client_socket::ClientSocket;
use crate::config::HashCosts;
use crate::error::StartError;
use crate::fault;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use fastness_auth::Secret;
use fastness_auth::server::{HashError, HashJob, PasswordHasher, Step};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// argon2id password hash. Clones share a pool of working memory.
#[derive(Clone, Debug)]
pub struct Argon2id {
    params: Params,
    /// Working memory for reuse: at most one for each concurrent hash.
    spare: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Argon2id {
    /// Sets the costs of new hashes. Existing hashes verify with their own costs.
    ///
    /// # Errors
    /// [`StartError::HashCosts`] if argon2id does not accept the costs.
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
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashError> {
        self.phc(password, salt).map(|hash| hash.to_string()).ok_or(HashError)
    }

    fn verify(&self, password: &Secret, hash: &str) -> bool {
        let Ok(stored) = PasswordHash::new(hash) else { return false };
        let is_known = stored.algorithm == Algorithm::Argon2id.ident()
            && stored.version == Some(Version::V0x13.into());
        let (Ok(params), Some(salt), true) = (Params::try_from(&stored), stored.salt, is_known)
        else {
            return false;
        };
        // The library compares outputs in constant time.
        let found = self.output(password, &salt, &params);
        found.is_some() && found == stored.hash
    }
}

/// Thread pool for password hashes. Its few threads bound the memory: the allocator keeps the
/// working memory of one hash for each thread.
pub(crate) struct HashPool {
    hasher: Arc<dyn PasswordHasher>,
    /// `None` without threads: the caller hashes.
    jobs: Option<Sender<HashRequest>>,
    permits: Arc<Semaphore>,
    /// Number of permits.
    places: usize,
    threads: usize,
    skipped: Arc<AtomicU64>,
}

/// Password to hash, and the channel of the result.
struct HashRequest {
    job: HashJob,
    reply: oneshot::Sender<Step>,
    /// Client of a password that has to wait for others.
    client: Option<ClientSocket>,
    /// Place in the queue until the hash is done, even if the request was dropped.
    _permit: OwnedSemaphorePermit,
}

impl HashPool {
    pub(crate) fn new(
        hasher: Arc<dyn PasswordHasher>,
        threads: usize,
        waiting: usize,
    ) -> io::Result<Self> {
        let (jobs, taken) = channel::<HashRequest>();
        let (taken, skipped) = (Arc::new(Mutex::new(taken)), Arc::new(AtomicU64::new(0)));
        for _ in 0..threads {
            let (hasher, taken) = (Arc::clone(&hasher), Arc::clone(&taken));
            let skipped = Arc::clone(&skipped);
            let name = "fastness-hashing".to_owned();
            thread::Builder::new().name(name).spawn(move || work(&*hasher, &taken, &skipped))?;
        }
        let jobs = (threads > 0).then_some(jobs);
        let places = waiting.saturating_add(threads.max(1)).min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(places));
        Ok(Self { hasher, jobs, permits, places, threads, skipped })
    }

    /// Returns the number of passwords that were not hashed because their client had closed.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Returns the number of passwords that are hashed or wait.
    pub(crate) fn waiting(&self) -> usize {
        self.places.saturating_sub(self.permits.available_permits())
    }

    /// Queues a hash and waits for it; `None` if the queue is full, the hash panicked, or the
    /// client has closed the connection while others were in front.
    pub(crate) async fn run(&self, job: HashJob, client: Option<ClientSocket>) -> Option<Step> {
        let _permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let Some(jobs) = &self.jobs else { return Some(job.run(&*self.hasher)) };
        let (reply, step) = oneshot::channel();
        // A client that closes its sending half only may read the answer, so one whose turn comes
        // at once gets it.
        let client = client.filter(|_| self.waiting() > self.threads);
        jobs.send(HashRequest { job, reply, client, _permit }).ok()?;
        step.await.ok()
    }
}

/// Worker thread: hashes until the pool is dropped.
fn work(hasher: &dyn PasswordHasher, jobs: &Mutex<Receiver<HashRequest>>, skipped: &AtomicU64) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(HashRequest { job, reply, client, _permit }) = next else { return };
        // The request was dropped, or no client waits for its answer.
        let has_closed = client.is_some_and(|client| client.is_closed()) && !fault::on("NS-17");
        if reply.is_closed() || has_closed {
            skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // The thread survives a panic of the library; the request gets an error.
        if let Ok(step) = catch_unwind(AssertUnwindSafe(|| job.run(hasher))) {
            drop(reply.send(step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_socket::ClientStream;
    use fastness::Time;
    use fastness_auth::server::{Accounts, ApiRequest, Policy};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    #[test]
    fn hashes_say_how_they_were_made_and_fit_their_password_only() {
        let quick = Argon2id::new(HashCosts { memory_kib: 8, passes: 1 }).unwrap();
        let hash = quick.hash(&"p".into(), &[1; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hash, quick.hash(&"p".into(), &[2; 16]).unwrap());
        let later = Argon2id::new(HashCosts { memory_kib: 16, passes: 2 }).unwrap();
        assert!(later.verify(&"p".into(), &hash), "the costs were changed since");
        assert!(quick.verify(&"p".into(), &later.hash(&"p".into(), &[3; 16]).unwrap()));
        let (other, old) = (hash.replace("argon2id", "argon2i"), hash.replace("v=19", "v=16"));
        for (password, hash) in
            [("q", &*hash), ("", &hash), ("p", ""), ("p", "$argon2id$"), ("p", &other), ("p", &old)]
        {
            assert!(!later.verify(&password.into(), hash));
        }
        assert!(Argon2id::new(HashCosts { memory_kib: 7, passes: 1 }).is_err());
    }

    /// Hasher that waits for a signal and panics at one password.
    struct Odd(Mutex<Receiver<()>>);

    impl PasswordHasher for Odd {
        fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashError> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
            assert_ne!(password.expose(), "odd");
            Ok(String::new())
        }

        fn verify(&self, _: &Secret, _: &str) -> bool {
            false
        }
    }

    fn job(accounts: &Accounts, password: &str) -> HashJob {
        let (name, password) = ("nobody".into(), password.into());
        let Step::Hash(job) = accounts.start(Time(0), ApiRequest::LogIn { name, password }) else {
            panic!("an attempt costs a hash")
        };
        job
    }

    #[test]
    fn the_queue_is_bounded_for_dropped_requests_and_survives_panics() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = fastness::StoreOptions::new().in_memory().unwrap();
        let accounts =
            Accounts::open(store, Arc::new(fastness::OsRandom), Policy::default()).unwrap();
        let (go_on, waits) = channel();
        let hash_pool = HashPool::new(Arc::new(Odd(Mutex::new(waits))), 1, 1).unwrap();
        runtime.block_on(async {
            let mut one = Box::pin(hash_pool.run(job(&accounts, "odd"), None));
            let mut two = Box::pin(hash_pool.run(job(&accounts, "x"), None));
            for turn in [&mut one, &mut two] {
                let waits = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(turn.as_mut().poll(context).is_pending())
                });
                assert!(waits.await);
            }
            drop(two);
            assert!(
                hash_pool.run(job(&accounts, "x"), None).await.is_none(),
                "its place is still taken"
            );
            go_on.send(()).unwrap();
            assert!(one.await.is_none(), "it panicked");
            let permits = Arc::clone(&hash_pool.permits);
            // Both permits become free.
            drop(permits.acquire_many(2).await.unwrap());
            go_on.send(()).unwrap();
            assert!(hash_pool.run(job(&accounts, "x"), None).await.is_some(), "the thread goes on");
        });
    }

    /// A connection to a listener on this machine: the end of the server, and that of the client.
    async fn connection() -> (ClientStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ClientStream::new(listener.accept().await.unwrap().0), client)
    }

    async fn until_closed(socket: &ClientSocket) {
        while !socket.is_closed() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_password_that_waited_is_not_hashed_for_a_client_that_has_closed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let store = fastness::StoreOptions::new().in_memory().unwrap();
        let accounts =
            Accounts::open(store, Arc::new(fastness::OsRandom), Policy::default()).unwrap();
        let (go_on, waits) = channel();
        let pool = HashPool::new(Arc::new(Odd(Mutex::new(waits))), 1, 9).unwrap();
        runtime.block_on(async {
            let (first, one) = connection().await;
            let (closed, two) = connection().await;
            let (mut reset, three) = connection().await;
            let (stays, four) = connection().await;
            let run = |stream: &ClientStream| pool.run(job(&accounts, "x"), Some(stream.socket()));
            let all = [&first, &closed, &reset, &stays].map(|stream| Box::pin(run(stream)));
            let mut all: Vec<_> = all.into();
            for run in &mut all {
                let is_pending = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(run.as_mut().poll(context).is_pending())
                });
                assert!(is_pending.await);
            }
            // The first one is hashed at once, so its half-closed client still gets the answer.
            one.shutdown(std::net::Shutdown::Write).unwrap();
            two.shutdown(std::net::Shutdown::Write).unwrap();
            // A close with unread bytes is a reset.
            reset.write_all(b"unread").await.unwrap();
            three.peek(&mut [0]).unwrap();
            drop(three);
            for stream in [&first, &closed, &reset] {
                until_closed(&stream.socket()).await;
            }
            assert!(!stays.socket().is_closed());
            go_on.send(()).unwrap();
            go_on.send(()).unwrap();
            let mut answers = Vec::new();
            for run in all {
                answers.push(run.await.is_some());
            }
            assert_eq!(answers, [true, false, false, true]);
            assert_eq!(pool.skipped(), 2);
            drop(four);
        });
    }
}
