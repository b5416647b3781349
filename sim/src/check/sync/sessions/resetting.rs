//! A client that resets, as the check `reset` examines it.
//!
//! - SY12 A backup shows what the file showed when the reset began.
//! - SY25 A reset drops only operations that its backup has.

use super::super::super::compare::CheckError;
use super::super::file::failed;
use super::super::oracle::Oracle;
use super::examination::{Examination, Policy, ResetOptions, ResetStep};
use super::peer::Peer;
use super::watcher::Watcher;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::SY25;
use fastness::object::{Database, DatabaseOptions};
use fastness_sync::client::{ClientReplica, ReplicaClock, ResetMode};
use fastness_sync::frame::Code;
use fastness_sync::reset::ResetReport;
use fastness_sync::session::ClientOutput;
use std::collections::BTreeSet;

/// Steps of resets of which one is interrupted by a crash.
const STEPS_PER_CRASH: usize = 12;

impl Peer<'_> {
    /// Returns the options with which an output is performed. A copied file and one without history
    /// keep their own operations in any case.
    pub(super) fn reset_options(
        &mut self,
        output: &ClientOutput<'_>,
    ) -> Result<ResetOptions, CheckError> {
        let (mode, backup, key) = (ResetMode::Recover, None, None);
        let Some(examination) = &mut self.examination else {
            return Ok(ResetOptions { mode, backup, key });
        };
        if ResetStep::of(output) != ResetStep::None
            && self.file.world.rng(|rng| rng.one_in(STEPS_PER_CRASH))
        {
            self.file.crashes = true;
        }
        let progress = self.file.replica().reset_in_progress().map_err(failed)?;
        let code = match output {
            _ if progress.is_some() => progress.map(|progress| progress.code),
            ClientOutput::Reset(code) => Some(code.0),
            ClientOutput::NewIdentity => Some(Code::CLONED.0),
            _ => None,
        };
        if progress.is_none() && ResetStep::of(output) == ResetStep::Begin {
            examination.next_backup();
        }
        let is_new = self.file.meta()?.epoch == 0;
        let is_kept = code == Some(Code::CLONED.0) || is_new;
        let discards = examination.policy == Policy::Discard && !is_kept;
        let mode = if discards { ResetMode::Discard } else { mode };
        examination.used = if code.is_some() { mode } else { examination.used };
        let (backup, key) = (examination.backup.clone(), self.file.world.key());
        Ok(ResetOptions { mode, backup, key })
    }

    /// Tells whether an output begins a reset that the app has to carry out. The file stays as it
    /// is.
    pub(super) fn leaves_reset(&mut self, output: &ClientOutput<'_>) -> Result<bool, CheckError> {
        let is_manual = self.examination.as_ref().is_some_and(|it| it.policy == Policy::Manual);
        let is_reset = matches!(output, ClientOutput::Reset(code) if *code != Code::CLONED);
        self.awaits_app =
            is_manual && is_reset && !self.file.is_resetting()? && self.file.meta()?.epoch != 0;
        Ok(self.awaits_app)
    }

    /// Makes a backup of the file, as an app does that carries out a reset.
    pub(super) fn keep_backup(&mut self, oracle: &mut Oracle) -> Result<(), CheckError> {
        let Some(examination) = &mut self.examination else { return Ok(()) };
        let (path, key) = (examination.next_backup(), self.file.world.key());
        self.file.replica().database().store().copy(&path, key.as_ref())?;
        let last = self.compare_backup(&BTreeSet::new(), oracle)?;
        if last == self.file.last_client_seq()? {
            return Ok(());
        }
        Err(Violation::new(SY25.id, format!("a backup has {last} entries")).into())
    }

    /// Marks the step that a crash has interrupted.
    pub(super) fn mark_crash(&self, step: ResetStep, probe: &mut Probe) -> Result<(), CheckError> {
        if self.examination.is_none() || step == ResetStep::None {
            return Ok(());
        }
        let is_in_progress = self.file.is_resetting()?;
        probe.mark(match (step, is_in_progress) {
            (ResetStep::Begin, false) => "reset: crash while it began: rolled back",
            (ResetStep::Begin, true) => "reset: crash while it began: committed",
            (_, true) => "reset: crash at a part of the snapshot",
            (_, false) => "reset: crash in the last step: committed",
        });
        Ok(())
    }

    /// Examines a reset that has ended. In mode Discard, returns the number of the last entry that
    /// the backup has.
    pub(super) fn examine(
        &mut self,
        report: &ResetReport,
        (oracle, probe): (&mut Oracle, &mut Probe),
    ) -> Result<Option<u64>, CheckError> {
        let Some(Examination { used, .. }) = self.examination else { return Ok(None) };
        let unknown = report.refused().iter().map(|refusal| refusal.client_seq).collect();
        let last = self.compare_backup(&unknown, oracle)?;
        probe.mark("reset: its backup was compared");
        for reported in report.operations() {
            probe.mark(match reported.outcome.name() {
                "no operation" => "outcome: no operation",
                "conflict" => "outcome: conflict",
                "deleted" => "outcome: deleted",
                "schema" => "outcome: schema",
                "discarded" => "outcome: discarded",
                _ => "outcome: applied",
            });
        }
        if used == ResetMode::Recover {
            return Ok(None);
        }
        let is_later = |operation: &fastness_sync::reset::Reported<'_>| {
            operation.outcome.name() != "discarded" && operation.client_seq > last
        };
        if report.operations().any(|operation| is_later(&operation)) {
            probe.mark("reset: kept what was written after its backup");
        }
        Ok(Some(last))
    }

    /// Compares the backup of a reset with the model; returns the number of the last entry that it
    /// has.
    fn compare_backup(
        &self,
        unknown: &BTreeSet<u64>,
        oracle: &mut Oracle,
    ) -> Result<u64, CheckError> {
        let path = self.examination.as_ref().and_then(|it| it.backup.as_ref());
        let path = path.ok_or_else(|| Violation::new(SY25.id, "a reset made no backup"))?;
        let options = self.file.world.options(&self.file.fs);
        let database = Database::open(&options, path, &DatabaseOptions::dynamic())?;
        let replica = ClientReplica::new(database, ReplicaClock::new(Box::new(|| 0)));
        let replica = replica.map_err(failed)?;
        let last = replica.meta().map_err(failed)?.last_client_seq;
        let expected = oracle.working_up_to(self.key, (last, unknown));
        let mut txn = replica.database().write()?;
        let shown = oracle.names.visible_in(txn.tables(), expected.schema())?;
        if shown == expected.visible() {
            return Ok(last);
        }
        let text = format!("a backup shows {shown:?}, not {:?}", expected.visible());
        Err(Violation::new(SY25.id, text).into())
    }

    /// Compares what the observer of the file has heard.
    pub(super) fn watch(&mut self, has_reset: bool, probe: &mut Probe) -> Result<(), CheckError> {
        if self.examination.is_none() {
            return Ok(());
        }
        let database = self.file.replica().database().clone();
        match &mut self.watcher {
            None => self.watcher = Some(Watcher::begin(&database)?),
            Some(watcher) => {
                if watcher.compare(&database)? && has_reset {
                    probe.mark("reset: an observer saw its changes");
                }
            }
        }
        Ok(())
    }
}
