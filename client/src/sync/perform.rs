//! The outputs of the session of a file: performed on the file, and reported to the app.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the outputs it is about and treats all others alike"
)]

use super::event::SyncEvent;
use super::progress::UploadCounts;
use super::reset::{CompletedReset, ResetPolicy};
use super::status::Uploads;
use super::worker::{FileWorker, SessionEnd, Step, now};
use crate::fault;
use fastness::config::Configuration;
use fastness::instance::SyncError;
use fastness_sync::client::{
    ClientError, ClientResult, FileEvent, Merged, Refusal, ResetMode, StoredReport,
};
use fastness_sync::frame::{Code, Item};
use fastness_sync::reset::ReportedRefusal;
use fastness_sync::session::{ClientInput, ClientOutput};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Outputs that no frame borrows.
type Later = VecDeque<ClientOutput<'static>>;

impl FileWorker {
    pub(super) fn input(&mut self, input: ClientInput<'_>) -> Step {
        let mut outputs = Vec::new();
        self.session.handle(self.clock.now_ms(), input, &mut outputs);
        let mut later = Later::new();
        for output in outputs {
            self.perform(output, &mut later)?;
        }
        while let Some(output) = later.pop_front() {
            self.perform(output, &mut later)?;
        }
        Step::Continue(())
    }

    fn perform(&mut self, output: ClientOutput<'_>, later: &mut Later) -> Step {
        self.before(&output)?;
        let effect = Effect::of(&output);
        let (session, now_ms) = (&mut self.session, self.clock.now_ms());
        let mut is_cloned = false;
        let performed = self.file.perform(output, &mut |input| {
            is_cloned |= matches!(input, ClientInput::Cloned);
            let mut outputs = Vec::new();
            session.handle(now_ms, input, &mut outputs);
            later.extend(outputs.into_iter().filter_map(detached));
        });
        let event = match performed {
            Err(ClientError::ResetFailed(_)) => return self.require_reset(),
            performed => self.check(performed)?,
        };
        let event = match event {
            // Before a wait for the uploads ends.
            Some(FileEvent::Refused(refused)) => {
                refused.into_iter().for_each(|(client_seq, it)| self.refused(client_seq, it));
                None
            }
            event => event,
        };
        if !is_cloned {
            self.after(effect)?;
        }
        event.map_or(Step::Continue(()), |event| self.notice(event, later))
    }

    /// Prepares what an output begins: a reset.
    fn before(&mut self, output: &ClientOutput<'_>) -> Step {
        let code = match output {
            ClientOutput::Reset(code) => *code,
            ClientOutput::NewIdentity => Code::CLONED,
            _ => return Step::Continue(()),
        };
        let policy = self.policy_of(code.0);
        if self.check(policy)? == ResetPolicy::Manual {
            return self.require_reset();
        }
        let progress = self.file.replica().reset_in_progress();
        if self.check(progress)?.is_some() {
            return Step::Continue(());
        }
        if let Some(before) = &self.parts.options.before {
            let snapshot = self.file.replica().database().snapshot();
            let snapshot = self.check(snapshot.map_err(ClientError::File))?;
            self.call_hook("before_reset", || before(&snapshot));
        }
        let path = self.parts.registry.draw_backup(now()).map_err(ClientError::File);
        let path = self.check(path)?;
        (self.backup, self.file.backup) = (Some(path.clone()), Some(path));
        self.file.mode = self.mode(code.0);
        self.parts.entry.listeners.notify(&SyncEvent::ResetBegun { code: code.0 });
        Step::Continue(())
    }

    /// Returns the policy of a reset with a code. A copied file keeps its own operations in any
    /// case, and so does a file without history: it begins with a snapshot if the server has
    /// dropped the history before that, and nothing of the app is outdated.
    fn policy_of(&self, code: u16) -> ClientResult<ResetPolicy> {
        let is_new = self.file.replica().meta()?.epoch == 0 && !fault::on("NR-85");
        let is_kept = code == Code::CLONED.0 || is_new;
        Ok(if is_kept { ResetPolicy::Recover } else { self.parts.options.policy })
    }

    /// Returns the treatment of own operations by a reset with a code, which keeps them if that is
    /// not known.
    pub(super) fn mode(&self, code: u16) -> ResetMode {
        match self.policy_of(code) {
            Ok(ResetPolicy::Discard) => ResetMode::Discard,
            Ok(ResetPolicy::Recover | ResetPolicy::Manual) | Err(_) => ResetMode::Recover,
        }
    }

    /// Leaves the reset to the app.
    fn require_reset(&self) -> Step {
        Step::Break(SessionEnd::Reset)
    }

    /// Notes what an output has done.
    fn after(&mut self, effect: Effect) -> Step {
        match effect {
            Effect::None => {}
            Effect::Acknowledged(client_seq) => {
                self.note_uploads()?;
                self.parts.entry.status.change(|status| {
                    status.uploads.uploaded = status.uploads.uploaded.max(client_seq);
                });
                self.progress.acknowledged(client_seq);
                self.simulate()?;
            }
            Effect::Identified => self.note_uploads()?,
            Effect::Downloaded { bytes, left } => {
                fault::keep_writers_away(self.file.replica().database());
                self.progress.downloaded(bytes, left);
            }
        }
        Step::Continue(())
    }

    /// Notes the identity of the file; a new one after a reset numbers entries from 1.
    fn note_uploads(&self) -> Step {
        let meta = self.file.replica().meta();
        let client = self.check(meta)?.client;
        self.parts.entry.status.change(|status| status.uploads.client = client);
        Step::Continue(())
    }

    fn notice(&mut self, event: FileEvent<'_>, later: &mut Later) -> Step {
        match event {
            FileEvent::Other(output) => self.other(output, later),
            FileEvent::Merged(merged) => self.merged(merged),
            FileEvent::Refused(refused) => {
                refused.into_iter().for_each(|(client_seq, it)| self.refused(client_seq, it));
            }
            FileEvent::Concluded(refused) => refused.into_iter().for_each(|it| self.concluded(it)),
            FileEvent::Reset(_) => return self.has_reset(),
        }
        Step::Continue(())
    }

    /// Names the own entries that a download has ended, in their order.
    fn merged(&self, merged: Merged) {
        let mut refused = merged.refused.into_iter().peekable();
        for outcome in merged.own {
            while let Some(client_seq) = refused.next_if(|it| *it < outcome.client_seq) {
                self.concluded(client_seq);
            }
            self.parts.entry.listeners.notify(&SyncEvent::Ordered(outcome));
        }
    }

    /// Names an entry that was refused, as the history shows.
    fn concluded(&self, client_seq: u64) {
        self.refused(client_seq, Refusal { code: 0, operation: None });
    }

    fn refused(&self, client_seq: u64, refusal: Refusal) {
        self.parts.entry.listeners.notify(&SyncEvent::Refused { client_seq, refusal });
    }

    fn other(&mut self, output: ClientOutput<'_>, later: &mut Later) {
        match output {
            ClientOutput::Send(bytes) => self.send(bytes),
            ClientOutput::WantNumber => self.want_number(),
            ClientOutput::DownloadComplete { number } => {
                self.progress.marked(number);
                self.parts.entry.status.change(|status| status.marked = number);
                if let Some(number) = self.marks.complete() {
                    let wanted = ClientInput::WantDownloadCompletion { number };
                    let mut outputs = Vec::new();
                    self.session.handle(self.clock.now_ms(), wanted, &mut outputs);
                    later.extend(outputs.into_iter().filter_map(detached));
                }
            }
            ClientOutput::Report(report) => {
                let (code, message) = (i64::from(report.code.0), report.message);
                self.report(SyncError::Session { code, message });
            }
            // The file performs all others.
            other => later.extend(detached(other)),
        }
    }

    /// Calls a hook of the app. One that panics is reported, and the reset continues.
    fn call_hook(&self, name: &str, hook: impl FnOnce()) {
        if fault::on("NC-06") {
            return hook();
        }
        if catch_unwind(AssertUnwindSafe(hook)).is_err() {
            let message = format!("the hook {name} of the app has panicked");
            self.report(SyncError::Session { code: 0, message });
        }
    }

    fn has_reset(&mut self) -> Step {
        let configuration = &self.parts.configuration;
        let backup = self.backup.take().map(|path| configuration.recovery_of(path));
        self.file.backup = None;
        let meta = self.file.replica().meta();
        let meta = self.check(meta)?;
        let uploads = Uploads { client: meta.client, uploaded: 0 };
        self.parts.entry.status.change(|status| status.uploads = uploads);
        self.progress.renumbered(UploadCounts::after(0), meta.last_client_seq);
        self.count_uploads()?;
        self.deliver_reports(backup)
    }

    /// Gives the app the reports of resets that the file keeps, and then drops them.
    pub(super) fn deliver_reports(&mut self, mut backup: Option<Configuration>) -> Step {
        loop {
            let kept = self.file.replica().stored_report();
            let Some(StoredReport { number, report }) = self.check(kept)? else { break };
            for ReportedRefusal { client_seq, code, operation } in report.refused().iter().copied()
            {
                self.refused(client_seq, Refusal { code, operation });
            }
            let completed = Arc::new(CompletedReset { report, backup: backup.take() });
            if let Some(after) = &self.parts.options.after {
                let snapshot = self.file.replica().database().snapshot();
                let snapshot = self.check(snapshot.map_err(ClientError::File))?;
                self.call_hook("after_reset", || after(&snapshot, &completed));
            }
            self.parts.entry.listeners.notify(&SyncEvent::ResetCompleted(completed));
            let acknowledged = self.file.replica().acknowledge_report(number);
            self.check(acknowledged)?;
        }
        Step::Continue(())
    }
}

/// Effect of an output on what the app sees of transfers.
#[derive(Clone, Copy, Debug)]
enum Effect {
    None,
    Acknowledged(u64),
    Identified,
    Downloaded { bytes: u64, left: u64 },
}

impl Effect {
    fn of(output: &ClientOutput<'_>) -> Self {
        match output {
            ClientOutput::Acknowledge { last_client_seq, .. } => {
                Self::Acknowledged(*last_client_seq)
            }
            ClientOutput::StoreIdentity(_) => Self::Identified,
            ClientOutput::Apply(apply) => {
                let bytes = apply.items.iter().map(|item| match item {
                    Item::Entry { entry, .. } => entry.len() as u64,
                    Item::Own { .. } => 0,
                });
                Self::Downloaded { bytes: bytes.sum(), left: apply.bytes_left }
            }
            ClientOutput::Snapshot(part) => {
                let bytes = part.part.len() as u64;
                let left = part.total.saturating_sub(part.offset + bytes);
                Self::Downloaded { bytes, left }
            }
            _ => Self::None,
        }
    }
}

/// Detaches an output of an answer, which borrows no frame.
fn detached(output: ClientOutput<'_>) -> Option<ClientOutput<'static>> {
    Some(match output {
        ClientOutput::Send(bytes) => ClientOutput::Send(bytes),
        ClientOutput::WantNumber => ClientOutput::WantNumber,
        ClientOutput::ReadState { ticket } => ClientOutput::ReadState { ticket },
        ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max } => {
            ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max }
        }
        ClientOutput::StoreIdentity(identity) => ClientOutput::StoreIdentity(identity),
        ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused } => {
            ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused }
        }
        ClientOutput::Answered { last_client_seq, chain_hash } => {
            ClientOutput::Answered { last_client_seq, chain_hash }
        }
        ClientOutput::Reset(code) => ClientOutput::Reset(code),
        ClientOutput::NewIdentity => ClientOutput::NewIdentity,
        ClientOutput::DownloadComplete { number } => ClientOutput::DownloadComplete { number },
        ClientOutput::Report(report) => ClientOutput::Report(report),
        // A frame brings these, and none is an answer.
        ClientOutput::Apply(_) | ClientOutput::Snapshot(_) => return None,
    })
}
