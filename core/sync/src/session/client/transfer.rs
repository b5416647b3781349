//! Entries, marks, reports and requests that a client's session sends.

use super::io::{ClientOutput, Report};
use super::{ClientPhase, ClientSession, MARKS_MAX, Outputs, WantedMark};
use crate::frame::{BATCH_BYTES, Code, Credit, Mark, Message, Progress, SnapshotGet, Upload};

impl ClientSession {
    pub(super) fn read_pending(&mut self, out: &mut Outputs<'_>) {
        if self.phase != ClientPhase::Live {
            return;
        }
        let ticket = self.ticket + 1;
        if let Some(range) = self.upload.next_read(ticket, self.window_bytes, BATCH_BYTES) {
            self.ticket = ticket;
            out.push(ClientOutput::ReadPending {
                ticket,
                from_client_seq: range.from,
                to_client_seq: range.to,
                bytes_max: range.bytes_max,
            });
        }
    }

    pub(super) fn send_pending(
        &mut self,
        now_ms: u64,
        ticket: u64,
        mut upload: Upload<'_>,
        out: &mut Outputs<'_>,
    ) {
        if self.phase != ClientPhase::Live {
            return;
        }
        let Some(count) = self.upload.read(ticket, upload.entries.len()) else { return };
        upload.entries.truncate(count);
        let bytes = upload.entries.iter().map(|entry| entry.len()).sum();
        if count > 0 {
            if !self.send(Message::Upload(upload), out) {
                return self.violated(now_ms, Code::LIMIT_EXCEEDED, out);
            }
            self.upload.push(count, bytes);
            self.owe(now_ms);
        }
        self.read_pending(out);
    }

    pub(super) fn applied(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        self.bad_downloads = 0;
        if self.phase != ClientPhase::Live {
            return;
        }
        self.backoff.reset();
        if let Some(bytes) = self.download.take_credit() {
            self.send(Message::Credit(Credit { bytes }), out);
        }
        self.conclude(out);
        self.complete_marks(out);
        self.report(now_ms, out);
    }

    pub(super) fn report(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        if self.report_due().is_some_and(|due| now_ms >= due) {
            let (cursor, oldest_base) = self.download.report(now_ms);
            self.send(Message::Progress(Progress { cursor, oldest_base }), out);
        }
    }

    pub(super) fn report_due(&self) -> Option<u64> {
        let may_report = self.phase == ClientPhase::Live && self.upload.is_drained();
        if may_report { self.download.report_due() } else { None }
    }

    pub(super) fn want_mark(&mut self, number: u64, out: &mut Outputs<'_>) {
        if self.marks.iter().any(|mark| mark.number == number) {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            let message = "too many downloads are waited for".to_owned();
            return out.push(ClientOutput::Report(Report { code: Code::LIMIT_EXCEEDED, message }));
        }
        self.marks.push(WantedMark { number, is_sent: false, after: None });
        if self.phase == ClientPhase::Live {
            self.send_marks(out);
        }
    }

    pub(super) fn send_marks(&mut self, out: &mut Outputs<'_>) {
        let mut marks = std::mem::take(&mut self.marks);
        for mark in marks.iter_mut().filter(|mark| !mark.is_sent) {
            mark.is_sent = true;
            self.send(Message::Mark(Mark { number: mark.number }), out);
        }
        self.marks = marks;
    }

    pub(super) fn complete_marks(&mut self, out: &mut Outputs<'_>) {
        let applied = self.download.applied();
        self.marks.retain(|mark| {
            let is_complete = mark.after.is_some_and(|after| after <= applied);
            if is_complete {
                out.push(ClientOutput::DownloadComplete { number: mark.number });
            }
            !is_complete
        });
    }

    pub(super) fn fetch(&mut self, now_ms: u64, snapshot: u64, offset: u64, out: &mut Outputs<'_>) {
        if !self.is_recovering {
            return;
        }
        self.snapshot = Some((snapshot, offset));
        match self.phase {
            ClientPhase::Fetching => self.get_part(now_ms, out),
            ClientPhase::Idle if self.is_online => self.bind(out),
            ClientPhase::Idle
            | ClientPhase::Waiting { .. }
            | ClientPhase::Numbering
            | ClientPhase::Reading
            | ClientPhase::Binding
            | ClientPhase::Resuming
            | ClientPhase::Live => {}
        }
    }

    pub(super) fn get_part(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        let Some((snapshot, offset)) = self.snapshot else { return };
        self.phase = ClientPhase::Fetching;
        if !self.is_part_owed {
            self.is_part_owed = true;
            self.owe(now_ms);
            self.send(Message::SnapshotGet(SnapshotGet { snapshot, offset }), out);
        }
    }

    /// Tells whether the server owes an answer.
    pub(super) fn is_owed(&self) -> bool {
        match self.phase {
            ClientPhase::Binding | ClientPhase::Resuming => true,
            ClientPhase::Live => self.upload.is_waiting() || self.marks.iter().any(is_unanswered),
            ClientPhase::Fetching => self.is_part_owed,
            ClientPhase::Idle
            | ClientPhase::Waiting { .. }
            | ClientPhase::Numbering
            | ClientPhase::Reading => false,
        }
    }
}

const fn is_unanswered(mark: &WantedMark) -> bool {
    mark.is_sent && mark.after.is_none()
}
