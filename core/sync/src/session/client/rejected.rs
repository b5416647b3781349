//! Refusals of own entries, kept until the answer that they belong to: the ACK, or the RESUMED
//! whose chain hash shows that the server refused entries of this file, and not those of a copy.
//!
//! - SV1 No entry is taken out for the refusal of one that a copy of the file wrote.
//! - SY24 The refusals of one answer are taken out together.
//! - FR4 A server cannot make the session keep more refusals than the file has entries.

use super::io::RejectedEntry;
use super::{ClientPhase, ClientSession};
use crate::fault;
use crate::frame::Reject;

impl ClientSession {
    /// Keeps a refusal. False if an honest server would not send it: it sends those of entries that
    /// are not answered yet, each once and in order.
    pub(super) fn reject(&mut self, reject: &Reject<'_>) -> bool {
        let Reject { client_seq, code, operation, .. } = *reject;
        let is_resuming = self.phase == ClientPhase::Resuming;
        let answered =
            if is_resuming { self.state.last_client_seq } else { self.upload.acknowledged() };
        let before = self.rejected.last().map_or(answered, |last| last.client_seq);
        let is_known = client_seq <= before;
        if is_resuming && !is_known && client_seq > self.state.durable_client_seq {
            // A copy of the file wrote it, and the RESUMED that follows says so.
            return true;
        }
        let is_sent = is_resuming || client_seq <= self.upload.sent();
        if (is_known || !is_sent) && !fault::planted("NR-73") {
            return false;
        }
        let operation = operation.checked_sub(1);
        self.rejected.push(RejectedEntry { client_seq, code, operation });
        true
    }

    /// Takes the refusals of the entries up to a number.
    pub(super) fn take_rejected(&mut self, last: u64) -> Vec<RejectedEntry> {
        let count = self.rejected.partition_point(|entry| entry.client_seq <= last);
        self.rejected.drain(..count).collect()
    }
}
