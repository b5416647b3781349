//! The writer lock: one writer at a time, the others wait in a queue.
//!
//! - N2 At most one writer holds the lock, and it sees every write of the one before it.
//! - N4 Writers get the lock in the order in which they ask for it.
//! - N5 A thread that would wait for itself, directly or through other threads, is refused.
//!
//! Model: loom-tests, `writer_lock`.

use super::wait_graph::{LockHolder, ThreadId, WaitGraph};
use crate::conc::{Arc, Condvar, Guard, Mutex, YIELDS, yield_now};
use crate::fault::{self, Fault};

/// Condition variables of a lock: an unlock wakes a fraction of the sleeping writers.
const LANES: usize = 4;

/// A first-in, first-out lock whose holder owns the guarded value until it unlocks.
#[derive(Debug)]
pub(crate) struct WriterLock<W> {
    queue: Mutex<WriterQueue<W>>,
    /// The writer of a ticket sleeps on the lane of the ticket.
    lanes: [Condvar; LANES],
    holder: Arc<LockHolder>,
}

/// The value, and the queue of writers, who hold consecutive tickets.
#[derive(Debug)]
struct WriterQueue<W> {
    /// `None` while the lock is held.
    value: Option<W>,
    /// The ticket of the writer that holds the lock, or gets it next.
    serving: u64,
    /// The ticket of the next writer that comes.
    next: u64,
    /// Threads that sleep: a wake-up costs a system call even without sleepers.
    sleepers: usize,
}

/// The reason why a thread is refused the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LockRefused {
    /// The thread holds the lock.
    HeldByCaller,
    /// The holder waits, directly or through other threads, for a lock that this thread holds.
    Deadlock,
    /// Another thread holds the lock, or waits for it.
    Busy,
}

fn lane(ticket: u64) -> usize {
    usize::try_from(ticket % LANES as u64).unwrap_or_default()
}

impl<W> WriterQueue<W> {
    /// Takes the value if no writer holds the lock or waits for it.
    fn take_free(&mut self) -> Option<W> {
        assert!(self.serving <= self.next, "N4: {} is served before it waits", self.serving);
        let is_free = self.next == self.serving;
        let value = self.value.take_if(|_| is_free)?;
        self.next += 1;
        Some(value)
    }
}

impl<W> WriterLock<W> {
    pub(crate) fn new(value: W) -> Self {
        let queue = WriterQueue { value: Some(value), serving: 0, next: 0, sleepers: 0 };
        let lanes = std::array::from_fn(|_| Condvar::new());
        Self { queue: Mutex::new(queue), lanes, holder: Arc::new(LockHolder::default()) }
    }

    /// Waits for the lock and takes the value.
    ///
    /// # Errors
    /// [`LockRefused`] if the thread would wait for itself.
    pub(crate) fn lock(&self, thread: ThreadId, graph: &WaitGraph) -> Result<W, LockRefused> {
        if let Ok(value) = self.try_lock(thread) {
            return Ok(value);
        }
        if self.holder.is(thread) {
            return Err(LockRefused::HeldByCaller);
        }
        if !graph.begin_wait(thread, &self.holder) {
            return Err(LockRefused::Deadlock);
        }
        let value = self.wait(thread);
        graph.end_wait(thread);
        Ok(value)
    }

    /// Takes a ticket, waits until it is served, and takes the value.
    fn wait(&self, thread: ThreadId) -> W {
        let mut queue = self.queue.lock();
        let ticket = queue.next;
        queue.next += 1;
        drop(queue);
        let is_served = |queue: &mut Guard<'_, WriterQueue<W>>| {
            assert!(queue.serving <= ticket, "N4: ticket {ticket} was passed over");
            let is_next = queue.serving == ticket || fault::on(Fault::Fs39);
            let value = queue.value.take_if(|_| is_next)?;
            self.holder.set(thread);
            Some(value)
        };
        // Most transactions are shorter than a wake-up takes.
        for _ in 0..YIELDS {
            if let Some(value) = is_served(&mut self.queue.lock()) {
                return value;
            }
            yield_now();
        }
        let mut queue = self.queue.lock();
        loop {
            if let Some(value) = is_served(&mut queue) {
                return value;
            }
            queue.sleepers += 1;
            queue = self.lanes[lane(ticket)].wait(queue);
            queue.sleepers -= 1;
        }
    }

    /// Takes the value if the lock is free and no writer waits for it.
    ///
    /// # Errors
    /// [`LockRefused::Busy`].
    pub(crate) fn try_lock(&self, thread: ThreadId) -> Result<W, LockRefused> {
        let value = self.queue.lock().take_free().ok_or(LockRefused::Busy)?;
        self.holder.set(thread);
        Ok(value)
    }

    /// Returns the value and wakes the next writer.
    ///
    /// # Panics
    /// N2: if the lock is not held.
    pub(crate) fn unlock(&self, value: W) {
        let mut queue = self.queue.lock();
        self.holder.clear();
        let before = queue.value.replace(value);
        assert!(before.is_none(), "N2: two writers held the lock");
        queue.serving += 1;
        let (next, wakes) = (queue.serving, queue.sleepers > 0);
        drop(queue);
        if wakes {
            self.lanes[lane(next)].notify_all();
        }
    }

    /// Records that a thread uses what the lock guards: a transaction may change threads.
    pub(crate) fn used_by(&self, thread: ThreadId) {
        self.holder.move_to(thread);
    }

    /// Returns the number of writers that wait.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn waiting(&self) -> u64 {
        let queue = self.queue.lock();
        queue.next - queue.serving - u64::from(queue.value.is_none())
    }
}
