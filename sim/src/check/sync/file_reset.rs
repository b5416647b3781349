//! Client resets: of a file, step by step, and of the replica in memory; and downloads of a file to
//! a full disk.
//!
//! - SY10 A snapshot and the history after it are the full fold.
//! - SY12 A reset reports one outcome for each own operation; applied ones are pending.
//! - SY14 A crash leaves the file as before a step, or as after it.

use super::super::compare::CheckError;
use super::client::Client;
use super::file::{ClientFile, failed};
use super::message::{Fresh, Scene, Stream};
use super::oracle::ClientPosition;
use super::recovery::AfterReset;
use super::replica::{Decided, OwnEntry};
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SV1, SY4, SY12, SY14};
use crate::fs::{Fault, Injection};
use fastness_sync::client::{
    ClientReplica, Download, ResetMode, ResetStart, SnapshotPart, StoredReport,
};
use fastness_sync::outcome::Outcome;
use fastness_sync::reset::{Cause, ResetReport};
use fastness_sync::server::ClientIdentity;

/// Most calls of a reset: a crash repeats one of them.
const STEPS_MAX: usize = 10_000;

/// Incidents of a reset of a file.
struct Incidents {
    /// Index of the call that a crash interrupts.
    crash_at: Option<usize>,
    /// Number of parts of an older snapshot that come first.
    older: usize,
    /// Number of parts after which the reset begins again.
    again: Option<usize>,
}

impl Client<'_> {
    /// Resets the client onto a fresh state.
    pub(super) fn start_again(
        &mut self,
        fresh: Fresh,
        scene: &mut Scene<'_>,
    ) -> Result<(), CheckError> {
        let (Some(replica), Some(cause)) = (&mut self.replica, self.reset.take()) else {
            return Ok(());
        };
        let Fresh { identity, snapshot, stream, older, model, contained } = fresh;
        let old = replica.identity.client;
        self.sent = 0;
        let untold = replica.untold(&contained);
        let probe = &mut *scene.probe;
        // A replica without a file began with the state of a server that may have purged its own.
        let has_purged = self.file.as_ref().map_or(Ok(true), ClientFile::has_purged)?;
        let mut of_file = None;
        if let Some(file) = &mut self.file {
            let ClientIdentity { client, salt: ident_salt } = identity;
            let start = ResetStart { cause, client, ident_salt };
            of_file = Some(file.reset(&start, (&stream, older.as_deref()), probe)?);
            probe.mark("reset: of a file");
            file.compare_refused(&untold)?;
        }
        for (client, number) in untold {
            scene.oracle.refused(client.into(), number)?;
        }
        let decided = replica.reset(cause, (identity, snapshot), &contained);
        if let Some(report) = of_file {
            compare_reports(&report, &decided.report)?;
        }
        if let Some(file) = &self.file {
            let written = replica.take_entries(file.entries_after(0)?);
            written.map_err(|error| Violation::new(SY4.id, format!("{error:?}")))?;
            replica.number_drafts_apart();
        }
        if replica.own.iter().any(|own| own.client != identity.client) {
            probe.mark("reset: entries of an earlier identity were kept");
        }
        mark_outcomes(cause, &decided, probe)?;
        let lost = {
            let (client, epoch, cursor) = (identity.client, replica.epoch, replica.cursor);
            let position = ClientPosition { client: client.into(), epoch, cursor };
            let own = replica.own.iter().filter(|own| own.client == client).cloned();
            let own: Vec<OwnEntry> = own.collect();
            own.iter().for_each(|_| probe.mark("reset: an entry was recovered"));
            let after = AfterReset {
                position,
                own,
                report: &decided.report,
                has_purged,
                durable_seq: 0,
                discarded: None,
                has_restarted: false,
            };
            scene.oracle.reset(old.into(), (&after, model))?
        };
        if lost != decided.entries.len() {
            let text = format!("client {old} lost {lost} entries");
            return Err(Violation::new(SY12.id, text).into());
        }
        Ok(())
    }
}

impl ClientFile<'_> {
    /// Resets the file onto a snapshot; returns the report.
    fn reset(
        &mut self,
        start: &ResetStart,
        (stream, older): (&Stream, Option<&Stream>),
        probe: &mut Probe,
    ) -> Result<ResetReport, CheckError> {
        self.replica().database().store().sync()?;
        let incidents = self.draw_incidents(stream, older);
        let (mut older_left, mut again) = (incidents.older, incidents.again);
        for step in 0..STEPS_MAX {
            self.crashes = incidents.crash_at == Some(step);
            let Some(progress) = self.replica().reset_in_progress().map_err(failed)? else {
                self.begin(start, probe)?;
                continue;
            };
            if let Some(older) = older.filter(|_| older_left > 0) {
                older_left -= 1;
                self.receive((older, progress.offset), probe)?;
                probe.mark("reset: parts of an older snapshot came first");
            } else if again == Some(0) {
                again = None;
                self.begin(start, probe)?;
                probe.mark("reset: begun again");
            } else if progress.snapshot != stream.number || !progress.is_complete {
                let is_its = progress.snapshot == stream.number;
                let offset = if is_its { progress.offset } else { 0 };
                self.receive((stream, offset), probe)?;
                again = again.map(|parts| parts - 1);
            } else if let Some(report) = self.finish(probe)? {
                self.note_reset(stream.server.horizon);
                return Ok(report);
            }
        }
        Err(Violation::new(SY14.id, "a reset does not end").into())
    }

    /// Compares the refusals that only the snapshot named with the file's dead letters. They are
    /// rare here, where entries are refused for their schema only; `sessions` has the mark.
    fn compare_refused(&self, untold: &[(u32, u64)]) -> Result<(), CheckError> {
        for (client, number) in untold {
            let letters = self.dead_letters(*client)?;
            if !letters.iter().any(|letter| letter.client_seq == *number) {
                let text = format!("a reset lost the refusal of entry {number} of {client}");
                return Err(Violation::new(SY4.id, text).into());
            }
        }
        Ok(())
    }

    fn draw_incidents(&self, stream: &Stream, older: Option<&Stream>) -> Incidents {
        let parts = stream.parts.len();
        let crashes = self.crashes;
        self.world.rng(|rng| {
            let older = older.map_or(0, |older| older.parts.len() - 1);
            let older = if rng.one_in(2) { rng.below(older + 1) } else { 0 };
            let again = rng.one_in(4).then(|| rng.below(parts));
            let crashes = crashes || rng.one_in(2);
            let crash_at = crashes.then(|| rng.below(parts + older + 2));
            Incidents { crash_at, older, again }
        })
    }

    fn begin(&mut self, start: &ResetStart, probe: &mut Probe) -> Result<(), CheckError> {
        let begin = |replica: &ClientReplica| replica.begin_reset(start, None).map_err(failed);
        self.early_step(begin, probe)
    }

    /// Receives the part of a stream at an offset.
    fn receive(
        &mut self,
        (stream, offset): (&Stream, u64),
        probe: &mut Probe,
    ) -> Result<(), CheckError> {
        let Some(part) = stream.part(offset) else {
            let text = format!("a file asks for offset {offset}, where no part begins");
            return Err(Violation::new(SY14.id, text).into());
        };
        let receive =
            |replica: &ClientReplica| replica.receive_snapshot(&part).map(drop).map_err(failed);
        self.early_step(receive, probe)
    }

    /// Takes a step after which the app sees the objects from before.
    fn early_step(
        &mut self,
        step: impl FnOnce(&ClientReplica) -> Result<(), CheckError>,
        probe: &mut Probe,
    ) -> Result<(), CheckError> {
        let ((), has_crashed) = self.change(step, probe)?;
        if has_crashed {
            probe.mark("client: crash before the last step of a reset");
        }
        Ok(())
    }

    /// Takes the last step; returns the report, unless a crash took the step back.
    fn finish(&mut self, probe: &mut Probe) -> Result<Option<ResetReport>, CheckError> {
        let finish =
            |replica: &ClientReplica| replica.finish_reset(ResetMode::Recover).map_err(failed);
        let (_, has_crashed) = self.change(finish, probe)?;
        let is_rolled_back = self.replica().reset_in_progress().map_err(failed)?.is_some();
        if has_crashed {
            probe.mark(match is_rolled_back {
                true => "client: crash during a reset: rolled back",
                false => "client: crash during a reset: committed",
            });
        }
        if is_rolled_back { Ok(None) } else { self.take_report().map(Some) }
    }

    /// Applies a download to a full disk first, if it has to be. The app continues with what it has
    /// in memory, unless the store has to be opened again.
    pub(super) fn fail_first(
        &mut self,
        download: &Download<'_>,
        probe: &mut Probe,
    ) -> Result<(), CheckError> {
        if download.items.is_empty() || !std::mem::take(&mut self.is_full) {
            return Ok(());
        }
        let before = self.meta()?;
        let after = self.world.rng(|rng| if rng.one_in(2) { 0 } else { 1 });
        self.fs.inject(Injection { fault: Fault::NoSpace, after, lasting: true });
        let has_failed = self.replica().download(download).is_err();
        self.fs.clear_fault();
        if !has_failed {
            return Ok(());
        }
        if self.replica().database().write().is_err() {
            return self.reboot(self.fs.disk());
        }
        probe.mark("client: a full disk during a download");
        if self.meta()? == before {
            return Ok(());
        }
        Err(Violation::new(SY14.id, "a download that failed changed the file").into())
    }

    /// Takes the report of the reset that has just ended.
    pub(super) fn take_report(&self) -> Result<ResetReport, CheckError> {
        let kept = self.replica().stored_report().map_err(failed)?;
        let Some(StoredReport { number, report }) = kept else {
            return Err(Violation::new(SY12.id, "a reset left no report").into());
        };
        self.replica().acknowledge_report(number).map_err(failed)?;
        Ok(report)
    }
}

impl Stream {
    /// Returns the part that begins at an offset.
    fn part(&self, wanted: u64) -> Option<SnapshotPart<'_>> {
        let mut offset = 0;
        for slice in &self.parts {
            if offset == wanted {
                return Some(SnapshotPart {
                    snapshot: self.number,
                    epoch: self.server.epoch,
                    seq: self.server.head,
                    salt: self.server.salt,
                    horizon: self.server.horizon,
                    offset,
                    bytes: &slice.bytes,
                    root: slice.root,
                });
            }
            offset += slice.bytes.len() as u64;
        }
        None
    }
}

fn mark_outcomes(cause: Cause, decided: &Decided, probe: &mut Probe) -> Result<(), Violation> {
    probe.mark(match cause {
        Cause::Expired => "reset: expired",
        Cause::Diverged => "reset: diverged",
        Cause::UnknownClient => "reset: unknown client",
        Cause::Cloned | Cause::BadDownload => {
            // No file is copied, and the history is never damaged.
            let text = format!("a client resets for {cause:?}");
            return Err(Violation::new(SV1.id, text));
        }
    });
    for reported in decided.report.operations() {
        probe.mark(match reported.outcome.name() {
            "adjusted" => "outcome: adjusted",
            "no operation" => "outcome: no operation",
            "conflict" => "outcome: conflict",
            "deleted" => "outcome: deleted",
            "schema" => "outcome: schema",
            _ => "outcome: applied",
        });
    }
    Ok(())
}

/// Compares the report of a file with that of the replica in memory.
fn compare_reports(found: &ResetReport, expected: &ResetReport) -> Result<(), Violation> {
    let outcomes = |report: &ResetReport| -> Vec<(u64, Outcome)> {
        let operations = report.operations();
        operations.map(|reported| (reported.client_seq, reported.outcome)).collect()
    };
    let (found, expected) = (outcomes(found), outcomes(expected));
    if found == expected {
        return Ok(());
    }
    let text = format!("a file reports {found:?}, not {expected:?}");
    Err(Violation::new(SY12.id, text))
}
