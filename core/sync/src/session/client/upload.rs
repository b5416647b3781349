//! The upload window of a session: which entries are sent, and which of them are acknowledged.
//!
//! - SY19 An entry is sent only if it is durable on the device.

use std::collections::VecDeque;

/// Numbers of own entries, in their order: acknowledged, sent, durable.
#[derive(Clone, Debug, Default)]
pub(super) struct UploadWindow {
    acknowledged: u64,
    sent: u64,
    durable: u64,
    /// Last number and bytes of each frame that is not acknowledged.
    frames: VecDeque<(u64, u64)>,
    bytes: u64,
    /// Ticket of the read that is not answered.
    reading: Option<u64>,
}

/// A range of entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingRange {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) bytes_max: usize,
}

impl UploadWindow {
    /// Begins again behind the acknowledged entry.
    pub(super) fn resume(&mut self, acknowledged: u64, durable: u64) {
        *self = Self {
            acknowledged,
            sent: acknowledged,
            durable: durable.max(self.durable),
            ..Self::default()
        };
    }

    /// Forgets everything, as after a reset, which numbers entries again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn set_durable(&mut self, client_seq: u64) {
        self.durable = self.durable.max(client_seq);
    }

    pub(super) const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Tells whether the server owes an acknowledgement.
    pub(super) fn is_waiting(&self) -> bool {
        self.sent > self.acknowledged
    }

    /// Tells whether everything durable is acknowledged.
    pub(super) const fn is_drained(&self) -> bool {
        self.acknowledged >= self.durable
    }

    /// The next entries to read, if the window has room.
    pub(super) fn next_read(
        &mut self,
        ticket: u64,
        window: u64,
        batch: usize,
    ) -> Option<PendingRange> {
        let room = window.saturating_sub(self.bytes);
        if self.reading.is_some() || self.sent >= self.durable || room == 0 {
            return None;
        }
        self.reading = Some(ticket);
        let bytes_max = usize::try_from(room).unwrap_or(batch).min(batch);
        Some(PendingRange { from: self.sent + 1, to: self.durable, bytes_max })
    }

    /// Takes the answer to a read: how many of the entries may be sent. None if it answers another
    /// question.
    pub(super) fn read(&mut self, ticket: u64, count: usize) -> Option<usize> {
        if self.reading != Some(ticket) {
            return None;
        }
        self.reading = None;
        let most = usize::try_from(self.durable.saturating_sub(self.sent)).unwrap_or(usize::MAX);
        if count == 0 {
            // The file has no such entry: ask again when it has a new one.
            self.durable = self.sent;
        }
        Some(count.min(most))
    }

    /// Notes a frame of entries that is sent.
    pub(super) fn push(&mut self, count: usize, bytes: usize) {
        self.sent += count as u64;
        assert!(self.sent <= self.durable, "SY19: entry {} is not durable", self.sent);
        self.frames.push_back((self.sent, bytes as u64));
        self.bytes += bytes as u64;
    }

    /// Notes an acknowledgement. False if the entry was never sent.
    pub(super) fn acknowledge(&mut self, client_seq: u64) -> bool {
        if client_seq > self.sent {
            return false;
        }
        self.acknowledged = self.acknowledged.max(client_seq);
        while let Some((last, bytes)) = self.frames.front().copied() {
            if last > self.acknowledged {
                break;
            }
            self.bytes -= bytes;
            self.frames.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_waits_for_an_acknowledgement() {
        let mut window = UploadWindow::default();
        window.set_durable(10);
        let range = window.next_read(1, 100, 60);
        assert_eq!(range, Some(PendingRange { from: 1, to: 10, bytes_max: 60 }));
        assert_eq!(window.next_read(2, 100, 60), None, "one read at a time");
        assert_eq!(window.read(2, 3), None, "the answer to another question");
        assert_eq!(window.read(1, 3), Some(3));
        window.push(3, 60);
        assert_eq!(window.next_read(3, 100, 60).map(|range| range.bytes_max), Some(40));
        assert_eq!(window.read(3, 2), Some(2));
        window.push(2, 40);
        assert_eq!(window.next_read(4, 100, 60), None);
        assert!(window.acknowledge(4) && window.is_waiting());
        assert_eq!(window.next_read(5, 100, 60).map(|range| range.from), Some(6));
        assert!(!window.acknowledge(6), "never sent");
    }

    #[test]
    fn no_entry_is_sent_before_it_is_durable() {
        let mut window = UploadWindow::default();
        window.set_durable(2);
        assert!(window.next_read(1, 100, 60).is_some());
        assert_eq!(window.read(1, 5), Some(2));
        window.push(2, 10);
        assert_eq!(window.next_read(2, 100, 60), None);
        window.set_durable(3);
        assert!(window.next_read(2, 100, 60).is_some());
        assert_eq!(window.read(2, 0), Some(0));
        assert_eq!(window.next_read(3, 100, 60), None, "no read loop over what is not there");
    }
}
