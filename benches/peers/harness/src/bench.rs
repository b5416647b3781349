//! One engine on its file, and the timed loops.

use crate::data::{Change, Data, Key};
use crate::disk::evict;
use crate::engine::{Db, Engine, Place, Result, Session, Snapshots};
use crate::fast::is_ours;
use crate::samples::quantile;
use crate::sum::Sum;
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread::scope;
use std::time::{Duration, Instant};

/// Rows a process changes before it is killed.
pub(crate) const HELD_ROWS: usize = 10;

/// The clock of measurements that do not wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clock {
    /// The wall's.
    Wall,
    /// The thread's on a core: what others do in between does not count, nor what other threads of
    /// the engine do.
    Core,
}

impl Clock {
    /// Returns the time now.
    pub(crate) fn now(self) -> Duration {
        let id = match self {
            Self::Wall => ClockId::Monotonic,
            Self::Core => ClockId::ThreadCPUTime,
        };
        Duration::try_from(clock_gettime(id)).unwrap_or_default()
    }

    /// Returns the time since then.
    pub(crate) fn since(self, begun: Duration) -> Duration {
        self.now().saturating_sub(begun)
    }
}

/// An engine and its open store.
pub(crate) struct Bench<'a> {
    /// The kind of store.
    pub(crate) engine: &'a dyn Engine,
    /// Where its files are.
    pub(crate) dir: PathBuf,
    db: Option<Box<dyn Db>>,
}

impl<'a> Bench<'a> {
    /// Makes an empty directory below `parent`; nothing is opened yet.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn new(engine: &'a dyn Engine, dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self { engine, dir, db: None })
    }

    /// Closes the store if it is open, and opens it again.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn reopen(&mut self, cache_bytes: usize, synced: bool) -> Result<()> {
        self.close();
        self.db = Some(self.engine.open(&Place { dir: &self.dir, cache_bytes, synced })?);
        Ok(())
    }

    /// Closes the store.
    pub(crate) fn close(&mut self) {
        self.db = None;
    }

    /// Closes the store and removes its files.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.close();
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }

    /// Closes the store and makes the system forget its files.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn close_and_evict(&mut self) -> Result<()> {
        self.close();
        evict(&self.dir)
    }

    /// Makes the store small and closes it.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn compact(&mut self) -> Result<Duration> {
        let db = self.db.take().ok_or("the store is closed")?;
        let begun = Instant::now();
        db.compact()?;
        Ok(begun.elapsed())
    }

    fn db(&self) -> Result<&dyn Db> {
        Ok(&**self.db.as_ref().ok_or("the store is closed")?)
    }

    /// Starts what this thread works with.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn session(&self) -> Result<Box<dyn Session + '_>> {
        self.db()?.session()
    }

    /// Commits changes, `rows` to a transaction, and returns how long each commit took.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn commit(&self, changes: &[Change], rows: usize) -> Result<Vec<Duration>> {
        let mut session = self.session()?;
        let mut times = Vec::with_capacity(changes.len().div_ceil(rows));
        for changes in changes.chunks(rows) {
            let begun = Instant::now();
            session.commit(changes)?;
            times.push(begun.elapsed());
        }
        Ok(times)
    }

    /// Commits single rows from `threads` threads at once and returns how long all took.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn commit_at_once(&self, changes: &[Change], threads: usize) -> Result<Duration> {
        let parts: Vec<&[Change]> = changes.chunks(changes.len().div_ceil(threads)).collect();
        self.at_once(threads, Clock::Wall, |session, thread| {
            parts
                .get(thread)
                .copied()
                .unwrap_or_default()
                .iter()
                .try_for_each(|change| session.commit(std::slice::from_ref(change)))
        })
        .map(|(elapsed, _)| elapsed)
    }

    /// Reads all keys on every one of `threads` threads. If a peer's threads read different rows,
    /// that is no sum of any.
    ///
    /// # Errors
    /// As the engine says, and if ours do.
    pub(crate) fn get_at_once(
        &self,
        keys: &[Vec<Key>],
        snapshots: Snapshots,
        clock: Clock,
    ) -> Result<(Duration, Sum)> {
        let get = |session: &mut dyn Session, thread: usize| session.get(&keys[thread], snapshots);
        let (elapsed, sums) = self.at_once(keys.len(), clock, get)?;
        let first = sums.first().copied().unwrap_or_default();
        if sums.iter().all(|sum| *sum == first) {
            return Ok((elapsed, first));
        }
        match self.engine.name() {
            name if is_ours(name) => Err(format!("{name}: threads read different rows").into()),
            _ => Ok((elapsed, Sum::default())),
        }
    }

    /// Runs `body` on threads that begin together; returns the longest time that one took.
    fn at_once<T: Send>(
        &self,
        threads: usize,
        clock: Clock,
        body: impl Fn(&mut dyn Session, usize) -> Result<T> + Sync,
    ) -> Result<(Duration, Vec<T>)> {
        let db = self.db()?;
        let start = &Barrier::new(threads);
        let body = &body;
        let run = |thread| {
            move || -> Result<(Duration, T)> {
                let session = db.session();
                start.wait();
                let begun = clock.now();
                let result = body(&mut *session?, thread)?;
                Ok((clock.since(begun), result))
            }
        };
        let results: Vec<_> = scope(|scope| {
            let all: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
            all.into_iter().map(|thread| thread.join()).collect()
        });
        let mut longest = Duration::ZERO;
        let mut values = Vec::new();
        for result in results {
            let (elapsed, value) = result.map_err(|_| "a thread panicked")??;
            longest = longest.max(elapsed);
            values.push(value);
        }
        Ok((longest, values))
    }

    /// Opens the closed store, its files evicted, and reads one row.
    ///
    /// # Errors
    /// As the engine says.
    pub(crate) fn open_and_read(
        &mut self,
        cache_bytes: usize,
        key: Key,
    ) -> Result<(Duration, Sum)> {
        self.close_and_evict()?;
        let begun = Instant::now();
        self.reopen(cache_bytes, true)?;
        let sum = self.session()?.get(&[key], Snapshots::One)?;
        Ok((begun.elapsed(), sum))
    }

    /// Lets another process commit to the store and kills it while the store is open.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) fn be_killed(&mut self, data_of: (usize, u64)) -> Result<()> {
        self.close();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--hold")
            .arg(self.engine.name())
            .arg("--dir")
            .arg(&self.dir)
            .args(["--rows", &data_of.0.to_string(), "--round", &data_of.1.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        child.kill()?;
        child.wait()?;
        match line.trim() {
            "held" => Ok(()),
            said => Err(format!("{}: a process to be killed said {said:?}", self.engine.name()))?,
        }
    }
}

/// Opens a store, commits to it, says so, and waits to be killed.
///
/// # Errors
/// As the engine says.
pub(crate) fn hold(engine: &dyn Engine, place: &Place<'_>, data: &Data) -> Result<()> {
    let db = engine.open(place)?;
    let mut session = db.session()?;
    for change in data.updates(HELD_ROWS, 5) {
        session.commit(&[change])?;
    }
    writeln!(std::io::stdout(), "held")?;
    // Ends also when the parent, which should kill this process, has ended.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Returns thousands per second.
#[must_use]
pub(crate) fn thousands_per_second(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9) / 1000.0
}

/// Returns a quantile in microseconds.
#[must_use]
pub(crate) fn micros(times: &[Duration], share: f64) -> f64 {
    let mut micros: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    micros.sort_by(f64::total_cmp);
    quantile(&micros, share)
}
