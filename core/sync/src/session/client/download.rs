//! The downloads of a binding: what has arrived, what is applied, what the server may send.
//!
//! - SY8 A download that the file has is ignored, and one that does not follow is refused.

use std::collections::VecDeque;

/// Applied bytes after which the server gets credit for them.
const CREDIT_STEP: u64 = 1 << 20;
/// Shortest time between two reports of the cursor.
const REPORT_MS: u64 = 1000;

/// Progress of the download.
#[derive(Clone, Debug, Default)]
pub(super) struct DownloadProgress {
    /// Seq up to which entries have arrived.
    received: u64,
    /// Seq up to which they are applied.
    applied: u64,
    /// Least base of the pending entries.
    oldest_base: u64,
    /// Downloads that are not applied yet.
    applying: VecDeque<Applying>,
    /// Bytes that are applied and not credited.
    uncredited: u64,
    /// Cursor of the last report, and the earliest time of the next.
    reported: u64,
    report_ms: u64,
}

/// A download that the driver applies.
#[derive(Clone, Copy, Debug)]
struct Applying {
    ticket: u64,
    to: u64,
    bytes: u64,
}

/// Decision on a download that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Repeated,
    Misplaced,
    Next,
}

impl DownloadProgress {
    /// Begins again behind the cursor of the file.
    pub(super) fn resume(&mut self, cursor: u64, oldest_base: u64) {
        let report_ms = self.report_ms;
        *self = Self {
            received: cursor,
            applied: cursor,
            oldest_base,
            reported: cursor,
            report_ms,
            ..Self::default()
        };
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) const fn applied(&self) -> u64 {
        self.applied
    }

    /// Decides on a download of the entries from + 1 to `to`.
    pub(super) const fn arrive(&self, from: u64, to: u64) -> Arrival {
        if to <= self.received {
            Arrival::Repeated
        } else if from == self.received {
            Arrival::Next
        } else {
            Arrival::Misplaced
        }
    }

    /// Notes the next download, which the driver applies.
    pub(super) fn push(&mut self, ticket: u64, to: u64, bytes: usize) {
        self.received = to;
        self.applying.push_back(Applying { ticket, to, bytes: bytes as u64 });
    }

    /// Notes that the oldest of them is applied. False for another ticket.
    pub(super) fn apply(&mut self, ticket: u64, oldest_base: u64) -> bool {
        let Some(oldest) = self.applying.front().copied().filter(|oldest| oldest.ticket == ticket)
        else {
            return false;
        };
        self.applying.pop_front();
        self.applied = oldest.to;
        self.oldest_base = oldest_base;
        self.uncredited += oldest.bytes;
        true
    }

    pub(super) fn is_applying(&self, ticket: u64) -> bool {
        self.applying.iter().any(|applying| applying.ticket == ticket)
    }

    /// The credit to send, if it is worth a frame.
    pub(super) fn take_credit(&mut self) -> Option<u64> {
        let credit = self.uncredited;
        if credit < CREDIT_STEP {
            return None;
        }
        self.uncredited = 0;
        Some(credit)
    }

    /// The time at which the cursor may be reported, if it has moved.
    pub(super) const fn report_due(&self) -> Option<u64> {
        if self.applied > self.reported { Some(self.report_ms) } else { None }
    }

    /// The cursor and oldest base to report.
    pub(super) fn report(&mut self, now_ms: u64) -> (u64, u64) {
        self.reported = self.applied;
        self.report_ms = now_ms.saturating_add(REPORT_MS);
        (self.applied, self.oldest_base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_are_applied_once_and_in_order() {
        let mut progress = DownloadProgress::default();
        progress.resume(10, 10);
        assert_eq!(progress.arrive(5, 10), Arrival::Repeated);
        assert_eq!(progress.arrive(9, 11), Arrival::Misplaced);
        assert_eq!(progress.arrive(11, 12), Arrival::Misplaced);
        assert_eq!(progress.arrive(10, 12), Arrival::Next);
        progress.push(1, 12, 700_000);
        progress.push(2, 13, 700_000);
        assert_eq!(progress.arrive(10, 12), Arrival::Repeated);
        assert!(!progress.apply(2, 12), "the first one is not applied");
        assert!(progress.apply(1, 12) && progress.take_credit().is_none());
        assert!(progress.apply(2, 13) && !progress.apply(2, 13));
        assert_eq!(progress.take_credit(), Some(1_400_000));
        assert_eq!((progress.received(), progress.applied()), (13, 13));
    }

    #[test]
    fn the_cursor_is_reported_once_a_second() {
        let mut progress = DownloadProgress::default();
        progress.resume(0, 0);
        assert_eq!(progress.report_due(), None);
        progress.push(1, 5, 1);
        progress.apply(1, 3);
        assert_eq!(progress.report_due(), Some(0));
        assert_eq!(progress.report(500), (5, 3));
        progress.push(2, 6, 1);
        progress.apply(2, 6);
        assert_eq!(progress.report_due(), Some(1500));
    }
}
