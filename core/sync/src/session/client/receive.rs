//! Frames of the server that arrive at a client's session.

use super::download::Arrival;
use super::io::{Apply, ClientOutput, Report, SnapshotBytes};
use super::{AnsweredEntries, ClientPhase, ClientSession, Outputs};
use crate::fault;
use crate::frame::{
    Ack, Action, Code, Download, Empty, Failed, Message, Packet, Resumed, SnapshotPart,
};

impl ClientSession {
    pub(super) fn received<'a>(
        &mut self,
        now_ms: u64,
        packet: &'a Packet<'_>,
        out: &mut Outputs<'a>,
    ) {
        if !self.is_bound || packet.session() != self.number {
            return;
        }
        let frame = match packet.frame() {
            Ok(frame) if frame.extensions.is_empty() => frame,
            Ok(_) => return self.violated(now_ms, Code::BAD_ORDER, out),
            Err(error) => return self.violated(now_ms, error.code(), out),
        };
        self.owe(now_ms);
        match (self.phase, frame.message) {
            (_, Message::Failed(failed)) => self.failed(now_ms, &failed, out),
            (_, Message::Unbound(Empty)) => self.wait(now_ms, 0),
            (ClientPhase::Binding, Message::Identity(identity)) => {
                out.push(ClientOutput::StoreIdentity(identity));
                self.read_file(out);
            }
            (ClientPhase::Fetching, Message::Identity(identity)) => {
                out.push(ClientOutput::StoreIdentity(identity));
            }
            (ClientPhase::Resuming, Message::Resumed(resumed)) => {
                self.resumed(now_ms, &resumed, out);
            }
            (ClientPhase::Resuming | ClientPhase::Live, Message::Reject(reject)) => {
                if !self.reject(&reject) {
                    self.violated(now_ms, Code::BAD_ORDER, out);
                }
            }
            (ClientPhase::Live, Message::Ack(ack)) => self.acknowledged(now_ms, &ack, out),
            (ClientPhase::Live, Message::Download(download)) => {
                self.downloaded(now_ms, download, packet.body_bytes(), out);
            }
            (ClientPhase::Live, Message::Mark(mark)) => self.answered(mark.number, out),
            (ClientPhase::Fetching, Message::SnapshotPart(part)) => {
                self.snapshot_part(now_ms, &part, out);
            }
            _ => self.violated(now_ms, Code::BAD_ORDER, out),
        }
    }

    pub(super) fn resumed(&mut self, now_ms: u64, resumed: &Resumed, out: &mut Outputs<'_>) {
        let state = self.state;
        let is_other_epoch = state.epoch != 0 && state.epoch != resumed.epoch;
        let code = if is_other_epoch || resumed.last_client_seq < state.last_client_seq {
            Code::DIVERGED
        } else if resumed.head < state.cursor {
            Code::BAD_CURSOR
        } else if resumed.horizon > state.cursor {
            Code::EXPIRED
        } else if resumed.last_client_seq > state.durable_client_seq {
            self.unbind(out);
            return self.recover(ClientOutput::NewIdentity, out);
        } else {
            return self.go_live(now_ms, resumed, out);
        };
        self.unbind(out);
        self.recover(ClientOutput::Reset(code), out);
    }

    pub(super) fn go_live(&mut self, now_ms: u64, resumed: &Resumed, out: &mut Outputs<'_>) {
        self.phase = ClientPhase::Live;
        self.live_ms = now_ms;
        self.state.epoch = resumed.epoch;
        self.download.resume(self.state.cursor, self.state.oldest_base);
        self.upload.resume(resumed.last_client_seq, self.state.durable_client_seq);
        let Resumed { last_client_seq, chain_hash, durable_seq, head, .. } = *resumed;
        let refused = self.take_rejected(last_client_seq);
        self.rejected.clear();
        out.push(ClientOutput::Acknowledge {
            last_client_seq,
            durable_seq,
            chain_hash: Some(chain_hash),
            refused,
        });
        let is_new = last_client_seq > self.state.last_client_seq;
        self.answered = is_new.then_some(AnsweredEntries { last_client_seq, chain_hash, head });
        self.conclude(out);
        self.send_marks(out);
        self.read_pending(out);
    }

    /// Concludes which own entries were refused, once the history up to the head is applied.
    pub(super) fn conclude(&mut self, out: &mut Outputs<'_>) {
        let applied = fault::client::everything_applied(self.download.applied());
        if let Some(answered) = self.answered.take_if(|answered| answered.head <= applied) {
            let AnsweredEntries { last_client_seq, chain_hash, .. } = answered;
            out.push(ClientOutput::Answered { last_client_seq, chain_hash });
        }
    }

    pub(super) fn failed(&mut self, now_ms: u64, failed: &Failed<'_>, out: &mut Outputs<'_>) {
        // The server has ended the session.
        self.is_bound = false;
        let report = Report { code: failed.code, message: failed.message.to_owned() };
        match failed.action {
            Action::Retry => self.wait(now_ms, failed.retry_after_ms),
            Action::Resume => self.rebind(now_ms, out),
            Action::NewIdentity if !self.is_recovering => {
                self.recover(ClientOutput::NewIdentity, out);
            }
            Action::Reset if !self.is_recovering => {
                self.recover(ClientOutput::Reset(failed.code), out);
            }
            Action::RefreshToken | Action::NewIdentity | Action::Reset => {
                out.push(ClientOutput::Report(report));
                self.wait(now_ms, failed.retry_after_ms);
            }
            Action::Stop => {
                out.push(ClientOutput::Report(report));
                let delay = self.backoff.longest_ms();
                self.wait(now_ms, delay);
            }
        }
    }

    /// The server sent what it must not send.
    pub(super) fn violated(&mut self, now_ms: u64, code: Code, out: &mut Outputs<'_>) {
        let message = "the server sent an invalid frame".to_owned();
        out.push(ClientOutput::Report(Report { code, message }));
        self.unbind(out);
        self.wait(now_ms, 0);
    }

    pub(super) fn snapshot_part<'a>(
        &mut self,
        now_ms: u64,
        of: &SnapshotPart<'a>,
        out: &mut Outputs<'a>,
    ) {
        let Some((snapshot, offset)) = self.snapshot.filter(|_| self.is_part_owed) else {
            return self.violated(now_ms, Code::BAD_ORDER, out);
        };
        // A part without bytes would be asked for again and again.
        let is_empty = of.part.is_empty() && of.root.is_none() && !fault::planted("NR-83");
        let is_next = of.snapshot == snapshot && of.offset == offset;
        let is_other = of.snapshot != snapshot && of.offset == 0;
        if is_empty || !(is_next || is_other) {
            return self.violated(now_ms, Code::BAD_ORDER, out);
        }
        self.is_part_owed = false;
        self.snapshot = Some((of.snapshot, of.offset + of.part.len() as u64));
        if fault::planted("NR-72") {
            self.backoff.reset();
        }
        let SnapshotPart { snapshot, epoch, seq, salt, horizon, total, offset, part, root } = *of;
        let bytes =
            SnapshotBytes { snapshot, epoch, seq, salt, horizon, total, offset, part, root };
        out.push(ClientOutput::Snapshot(bytes));
    }

    pub(super) fn acknowledged(&mut self, now_ms: u64, ack: &Ack, out: &mut Outputs<'_>) {
        let before = self.upload.acknowledged();
        if !self.upload.acknowledge(ack.last_client_seq) {
            return self.violated(now_ms, Code::BAD_ORDER, out);
        }
        if self.upload.acknowledged() > before {
            self.backoff.reset();
        }
        let last_client_seq = self.upload.acknowledged();
        out.push(ClientOutput::Acknowledge {
            last_client_seq,
            durable_seq: ack.durable_seq,
            chain_hash: None,
            refused: self.take_rejected(last_client_seq),
        });
        self.read_pending(out);
        self.report(now_ms, out);
    }

    pub(super) fn downloaded<'a>(
        &mut self,
        now_ms: u64,
        download: Download<'a>,
        bytes: usize,
        out: &mut Outputs<'a>,
    ) {
        let to = download.to();
        match self.download.arrive(download.from, to) {
            Arrival::Repeated => {}
            Arrival::Misplaced => self.bad_download(now_ms, out),
            Arrival::Next => {
                let ticket = self.next_ticket();
                self.download.push(ticket, to, bytes);
                let Download { from, salt, horizon, durable_seq, bytes_left, items, .. } = download;
                out.push(ClientOutput::Apply(Apply {
                    ticket,
                    epoch: self.state.epoch,
                    from,
                    to,
                    salt,
                    horizon,
                    durable_seq,
                    bytes_left,
                    items,
                }));
            }
        }
    }

    /// Asks for the download again, once; a second bad one in a row means a reset.
    pub(super) fn bad_download(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        self.unbind(out);
        self.bad_downloads += 1;
        if self.bad_downloads > 1 {
            self.bad_downloads = 0;
            return self.recover(ClientOutput::Reset(Code::BAD_DOWNLOAD), out);
        }
        self.rebind(now_ms, out);
    }

    pub(super) fn answered(&mut self, number: u64, out: &mut Outputs<'_>) {
        let received = self.download.received();
        for mark in &mut self.marks {
            if mark.number == number && mark.is_sent && mark.after.is_none() {
                mark.after = Some(received);
            }
        }
        self.complete_marks(out);
    }
}
