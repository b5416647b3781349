//! Queues between a connection and the threads of its databases.
//!
//! - H25 Frames in work and answers that wait for the peer are counted in bytes. A connection does
//!   not read while one of them has reached its limit, and sessions hold back what they would read
//!   from a database for it.

use crate::fault;
use fastness_sync::frame::Code;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that count for a frame beside its own.
const FRAME_OVERHEAD: usize = 64;

/// Queues of a connection.
pub(super) struct Link {
    bytes_max: usize,
    queues: Mutex<Queues>,
    /// An answer has arrived, or the end of answers.
    answered: Notify,
    /// Something changed for the connection: an event, or room.
    changed: Notify,
}

#[derive(Default)]
struct Queues {
    answers: VecDeque<Vec<u8>>,
    /// Bytes of the answers, the one that is being written included.
    answer_bytes: usize,
    /// Bytes of frames that a worker has not handled.
    work_bytes: usize,
    events: Vec<LinkEvent>,
    /// A session waits for room.
    is_held: bool,
    /// No answer follows.
    is_complete: bool,
}

/// An answer that counts, and leaves once it is delivered.
pub(super) struct HeldAnswer {
    link: Arc<Link>,
    bytes: Vec<u8>,
}

impl HeldAnswer {
    /// Queues the answer.
    pub(super) fn deliver(mut self) {
        let mut queues = self.link.queues();
        if !queues.is_complete && !self.bytes.is_empty() {
            queues.answers.push_back(std::mem::take(&mut self.bytes));
        }
        drop(queues);
        self.link.answered.notify_one();
    }
}

impl Drop for HeldAnswer {
    /// Ends the count of an answer that was not delivered.
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            let bytes = self.bytes.len();
            if self.link.written(bytes) {
                self.link.notify(LinkEvent::Drained);
            }
        }
    }
}

/// A frame in work; its bytes are counted until it is dropped.
pub(super) struct Work {
    link: Arc<Link>,
    bytes: usize,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.link.queues().work_bytes -= self.bytes;
        self.link.changed.notify_one();
    }
}

/// Event of a worker for the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkEvent {
    /// A session has ended.
    Ended(u32),
    /// Answers were dropped, a session waits, and there is room now.
    Drained,
    /// The connection has to end.
    Close {
        /// Reason.
        code: Code,
        /// Delay before the client returns.
        retry_after_ms: u64,
    },
}

impl Link {
    pub(super) fn new(bytes_max: usize) -> Self {
        let (queues, answered, changed) = Default::default();
        Self { bytes_max, queues, answered, changed }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an answer.
    pub(super) fn answer(self: &Arc<Self>, bytes: Vec<u8>) {
        self.hold(bytes).deliver();
    }

    /// Counts an answer that is queued later.
    pub(super) fn hold(self: &Arc<Self>, bytes: Vec<u8>) -> HeldAnswer {
        self.queues().answer_bytes += bytes.len() + FRAME_OVERHEAD;
        HeldAnswer { link: Arc::clone(self), bytes }
    }

    /// Says that no answer follows.
    pub(super) fn complete(&self) {
        self.queues().is_complete = true;
        self.answered.notify_one();
    }

    /// Waits for the next answer; `None` after the last one.
    pub(super) async fn next_answer(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut queues = self.queues();
                if let Some(bytes) = queues.answers.pop_front() {
                    return Some(bytes);
                }
                if queues.is_complete {
                    return None;
                }
            }
            self.answered.notified().await;
        }
    }

    /// Notes that an answer of so many bytes was written, or dropped. Tells whether a session waits
    /// for room, which there is now.
    pub(super) fn written(&self, bytes: usize) -> bool {
        let mut queues = self.queues();
        queues.answer_bytes -= bytes + FRAME_OVERHEAD;
        let has_room = queues.answer_bytes <= self.bytes_max / 2;
        let is_due = has_room && std::mem::take(&mut queues.is_held);
        drop(queues);
        if has_room {
            self.changed.notify_one();
        }
        is_due
    }

    /// Tells whether a session has to hold back answers until there is room.
    pub(super) fn hold_back(&self) -> bool {
        let mut queues = self.queues();
        let is_full = queues.answer_bytes > self.bytes_max && !fault::on("NS-10");
        queues.is_held |= is_full;
        is_full
    }

    /// Counts a frame that a worker gets.
    pub(super) fn begin_work(self: &Arc<Self>, bytes: usize) -> Work {
        let bytes = bytes + FRAME_OVERHEAD;
        self.queues().work_bytes += bytes;
        Work { link: Arc::clone(self), bytes }
    }

    /// Tells whether the connection may read another frame.
    pub(super) fn may_read(&self) -> bool {
        let queues = self.queues();
        queues.work_bytes <= self.bytes_max && queues.answer_bytes <= self.bytes_max
    }

    /// Returns the bytes of the answers that wait for the peer.
    pub(super) fn answer_bytes(&self) -> usize {
        self.queues().answer_bytes
    }

    /// Tells whether no worker has a frame.
    pub(super) fn is_idle(&self) -> bool {
        self.queues().work_bytes == 0
    }

    /// Queues an event.
    pub(super) fn notify(&self, event: LinkEvent) {
        self.queues().events.push(event);
        self.changed.notify_one();
    }

    /// Takes the events.
    pub(super) fn take_events(&self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.queues().events)
    }

    /// Waits until something may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn a_connection_reads_only_within_its_bytes() {
        let link = Arc::new(Link::new(1000));
        assert!(link.may_read() && link.is_idle());
        let work = link.begin_work(2000);
        assert!(!link.may_read() && !link.is_idle(), "H25");
        drop(work);
        assert!(link.may_read() && link.is_idle());
        link.answer(vec![0; 2000]);
        assert!(!link.may_read() && link.hold_back(), "H25");
        assert!(link.written(2000), "a session waits");
        let held = link.hold(vec![0; 2000]);
        assert!(!link.may_read(), "H25");
        assert!(link.hold_back() && link.changed().now_or_never().is_some());
        drop(held);
        assert!(link.may_read() && !link.hold_back());
        assert_eq!(link.take_events(), [LinkEvent::Drained], "H25: a session waits");
        assert!(link.changed().now_or_never().is_some(), "H25: the connection is woken");
    }
}
