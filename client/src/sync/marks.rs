//! The download marks of a file: one at a time waits for its answer, and serves all waits that had
//! begun when it was asked for. So any number of waits costs a bounded number of bytes and frames.
//!
//! - CS5 A wait ends with the transfer, however many others there are or were.
//!
//! Explored with loom: loom-tests/tests/merges.rs.
//!
//! Marks are numbered in the order in which waits begin, so the answer to one answers all earlier
//! ones.

/// The marks of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DownloadMarks {
    /// The last mark that is wanted.
    wanted: u64,
    /// The mark that waits for its answer, or the last one that got it.
    asked: u64,
    is_waiting: bool,
}

impl DownloadMarks {
    /// Tells whether a mark waits for its answer.
    pub(super) const fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Notes that a mark is wanted; returns the one to ask for.
    pub(super) fn want(&mut self, number: u64) -> Option<u64> {
        self.wanted = self.wanted.max(number);
        self.next()
    }

    /// Notes the answer to the mark that was asked for; returns the next one to ask for.
    pub(super) fn complete(&mut self) -> Option<u64> {
        self.is_waiting = false;
        self.next()
    }

    fn next(&mut self) -> Option<u64> {
        if self.is_waiting || self.wanted <= self.asked {
            return None;
        }
        (self.asked, self.is_waiting) = (self.wanted, true);
        Some(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::DownloadMarks;

    #[test]
    fn one_mark_waits_at_a_time_and_serves_all_that_were_wanted() {
        let mut marks = DownloadMarks::default();
        assert_eq!(marks.want(1), Some(1));
        // They arrive in any order.
        assert_eq!([marks.want(3), marks.want(2)], [None, None], "CS5");
        assert_eq!(marks.complete(), Some(3), "CS5");
        assert_eq!(marks.complete(), None, "CS5");
        assert_eq!([marks.want(2), marks.want(4)], [None, Some(4)], "CS5");
    }
}
