//! A client's file: the real replica of a client, on a simulated machine of its own.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY14 A crash leaves the file as before a call, or as after it.

use super::super::compare::CheckError;
use super::super::world::World;
use super::app::{do_edit, schema};
use super::domain::EXTRA;
use super::edit::{Edit, number_of};
use super::incident::Needs;
use super::scratch::ScratchModel;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SY1, SY4, SY8, SY19};
use crate::fs::{Disk, SimFs};
use fastness::Durability;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::SchemaMode;
use fastness_models::merge::Schema as ModelSchema;
use fastness_sync::client::{
    ClientError, ClientMeta, ClientReplica, DeadLetter, Download, DownloadItem, Merged, Refusal,
    ReplicaClock,
};
use fastness_sync::entry::Operations;
use fastness_sync::server::{ClientIdentity, HistoryItem, HistoryPart};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tree of the pending entries, which is read without making them durable.
const PENDING: &str = "sync/pending";
const FILE: &str = "/sim/client.fast";

/// The file of a client.
pub(super) struct ClientFile<'w> {
    pub(super) world: &'w World,
    pub(super) fs: SimFs,
    local_ms: Arc<AtomicU64>,
    replica: Option<ClientReplica>,
    has_restarted: bool,
    /// Its window began with the state of a server that had dropped a part of its own.
    began_purged: bool,
    /// Number of the last entry that cannot be lost: its commit waited for the disk.
    durable: u64,
    /// The app is of a newer version, which has more classes and properties.
    is_newer: bool,
    /// The next call that changes the file is interrupted by a crash.
    pub(super) crashes: bool,
    /// The disk is full during the next download.
    pub(super) is_full: bool,
    pub(super) scratch: ScratchModel,
    /// The file has had local objects when it was compared last.
    pub(super) has_scratch: bool,
}

/// Returns the entry of a pending record: its first bytes, after their length.
fn entry_of(record: &[u8]) -> Option<Vec<u8>> {
    let (mut len, mut at) = (0, 0);
    loop {
        let byte = usize::from(*record.get(at)?);
        len |= (byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            return Some(record.get(at..at + len)?.to_vec());
        }
    }
}

/// Wraps errors that no plan allows.
pub(super) fn failed(error: ClientError) -> CheckError {
    match error {
        ClientError::File(error) => CheckError::Store(error),
        other => Violation::new(SY1.id, format!("a download fails: {other}")).into(),
    }
}

impl<'w> ClientFile<'w> {
    /// Creates a file with the classes of the app.
    pub(super) fn create(world: &'w World, local_ms: u64) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let local_ms = Arc::new(AtomicU64::new(local_ms));
        let mut file = Self {
            world,
            fs,
            local_ms,
            replica: None,
            has_restarted: false,
            began_purged: false,
            durable: 0,
            is_newer: false,
            crashes: false,
            is_full: false,
            scratch: ScratchModel::default(),
            has_scratch: false,
        };
        file.open()?;
        Ok(file)
    }

    /// Copies the file as it is on the disk, to a machine of its own.
    pub(super) fn copy(&self) -> Result<Self, CheckError> {
        let fs = self.world.boot(self.fs.disk());
        let local_ms = Arc::new(AtomicU64::new(self.local_ms.load(Ordering::Relaxed)));
        let Self { world, began_purged, durable, is_newer, .. } = *self;
        let (replica, has_restarted) = (None, false);
        let (crashes, is_full, has_scratch) = (false, false, false);
        let mut scratch = self.scratch.clone();
        scratch.restart();
        let mut copy = Self {
            world,
            fs,
            local_ms,
            replica,
            has_restarted,
            began_purged,
            durable,
            is_newer,
            crashes,
            is_full,
            scratch,
            has_scratch,
        };
        copy.open()?;
        Ok(copy)
    }

    /// Opens the file with a newer version of the app. The older one continues if the file has
    /// other definitions of what is new.
    pub(super) fn upgrade(&mut self) -> Result<bool, CheckError> {
        self.is_newer = true;
        self.reboot(self.fs.disk())?;
        Ok(self.is_newer)
    }

    /// Tells whether the app shows classes and properties that its version does not have.
    pub(super) fn shows_unknown(&self, schema: &ModelSchema) -> bool {
        let has_extra = schema
            .get(&0)
            .is_some_and(|(_, properties)| properties.contains_key(&number_of(EXTRA)));
        !self.is_newer && (has_extra || schema.contains_key(&2))
    }

    fn open(&mut self) -> Result<(), CheckError> {
        match self.open_as(self.is_newer) {
            Err(CheckError::Store(fastness::Error::Schema(_))) if self.is_newer => {
                self.is_newer = false;
                self.open_as(false)
            }
            opened => opened,
        }
    }

    fn open_as(&mut self, is_newer: bool) -> Result<(), CheckError> {
        let local_ms = Arc::clone(&self.local_ms);
        let clock = ReplicaClock::new(Box::new(move || local_ms.load(Ordering::Relaxed)));
        let wanted = DatabaseOptions::schema(schema(is_newer)?, 1).mode(SchemaMode::Additive);
        let wanted = wanted.synced().replica_hook(clock.hook());
        let options = self.world.options(&self.fs);
        let database = Database::open(&options, Path::new(FILE), &wanted)?;
        self.replica = Some(ClientReplica::new(database, clock).map_err(failed)?);
        Ok(())
    }

    pub(super) fn replica(&self) -> &ClientReplica {
        self.replica.as_ref().expect("the file is open")
    }

    pub(super) fn set_time(&self, local_ms: u64) {
        self.local_ms.store(local_ms, Ordering::Relaxed);
    }

    /// Opens the file again after a crash, with a disk.
    pub(super) fn reboot(&mut self, disk: Disk) -> Result<(), CheckError> {
        self.fs.disconnect();
        self.replica = None;
        self.fs = self.world.boot(disk);
        self.has_restarted = true;
        self.scratch.restart();
        self.open()
    }

    /// Tells whether the process has restarted since the last call.
    pub(super) const fn take_restart(&mut self) -> bool {
        std::mem::replace(&mut self.has_restarted, false)
    }

    /// Kills the process, or cuts the power, and opens the file again.
    pub(super) fn restart(&mut self, power_loss: bool) -> Result<(), CheckError> {
        let disk = self.fs.disk();
        let disk = if power_loss { self.world.rng(|rng| disk.power_loss(rng)) } else { disk };
        self.reboot(disk)
    }

    /// Changes the file, sometimes with a crash at one of the calls; tells whether it crashed.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&ClientReplica) -> Result<T, CheckError>,
        probe: &mut Probe,
    ) -> Result<(T, bool), CheckError> {
        if !std::mem::take(&mut self.crashes) {
            return Ok((change(self.replica())?, false));
        }
        self.fs.record_forks();
        let changed = change(self.replica())?;
        let mut forks = self.fs.take_forks();
        if forks.is_empty() {
            return Ok((changed, false));
        }
        let index = self.world.rng(|rng| rng.below(forks.len()));
        let fork = forks.swap_remove(index);
        let disk = match self.world.rng(|rng| rng.one_in(2)) {
            true => self.world.rng(|rng| fork.disk.power_loss(rng)),
            false => fork.disk,
        };
        probe.crash(fork.at.name());
        self.reboot(disk)?;
        Ok((changed, true))
    }

    pub(super) fn identify(&self, identity: ClientIdentity) -> Result<(), CheckError> {
        self.replica().identify(identity.client, identity.salt).map_err(failed)
    }

    /// Returns the pending entries after a number, durable or not.
    pub(super) fn entries_after(&self, number: u64) -> Result<Vec<Vec<u8>>, CheckError> {
        let snapshot = self.replica().database().store().snapshot();
        let first = number.saturating_add(1).to_be_bytes();
        let entries = snapshot.tree(PENDING).range(&first[..]..)?;
        let damaged = || Violation::new(SY4.id, "a pending entry cannot be read");
        entries.map(|entry| Ok(entry_of(&entry?.1).ok_or_else(damaged)?)).collect()
    }

    /// Returns the numbers of the pending entries.
    pub(super) fn pending_numbers(&self) -> Result<BTreeSet<u64>, CheckError> {
        let snapshot = self.replica().database().store().snapshot();
        let damaged = || Violation::new(SY4.id, "a pending entry has no number");
        let number = |key: &[u8]| key.try_into().map(u64::from_be_bytes);
        let entries = snapshot.tree(PENDING).range(..)?;
        entries.map(|entry| Ok(number(&entry?.0).map_err(|_| damaged())?)).collect()
    }

    /// Returns the first pending entries after a number, to send them.
    pub(super) fn upload_after(
        &self,
        number: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, CheckError> {
        let upload = self.replica().upload_after(number, usize::MAX).map_err(failed)?;
        let entries = upload.entries.into_iter().map(|(_, entry)| entry);
        Ok(entries.take(count).collect())
    }

    pub(super) fn meta(&self) -> Result<ClientMeta, CheckError> {
        self.replica().meta().map_err(failed)
    }

    /// Returns the number of the last entry that the file has written.
    pub(super) fn last_client_seq(&self) -> Result<u64, CheckError> {
        Ok(self.meta()?.last_client_seq)
    }

    /// Tells the file the server's time.
    pub(super) fn synchronize(&self, server_ms: u64) {
        self.replica().clock().synchronize(server_ms);
    }

    pub(super) fn is_resetting(&self) -> Result<bool, CheckError> {
        Ok(self.replica().reset_in_progress().map_err(failed)?.is_some())
    }

    /// Returns the refused entries of a client.
    pub(super) fn dead_letters(&self, client: u32) -> Result<Vec<DeadLetter>, CheckError> {
        let mut letters = self.replica().dead_letters().map_err(failed)?;
        letters.retain(|letter| letter.client == client);
        Ok(letters)
    }

    /// Returns what the file needs of the history.
    pub(super) fn needs(&self) -> Result<Needs, CheckError> {
        let ClientMeta { client, epoch, cursor, .. } = self.meta()?;
        let mut from = cursor;
        for entry in self.entries_after(0)? {
            let operations = Operations::new(&entry);
            from = operations.map_or(from, |operations| from.min(operations.header().base));
        }
        Ok(Needs { client, epoch, from })
    }

    /// Tells whether a part of the window may be missing: the file has dropped it, or began with
    /// the state of a server that had.
    pub(super) fn has_purged(&self) -> Result<bool, CheckError> {
        Ok(self.began_purged || self.meta()?.purged > 0)
    }

    /// Notes that a reset has given the file another identity, and the state of a server with this
    /// horizon.
    pub(super) const fn note_reset(&mut self, horizon: u64) {
        (self.began_purged, self.durable) = (horizon > 0, 0);
    }

    /// Returns the number of the last entry after a restart of the file. An entry stays if its
    /// commit waited for the disk, or if it was sent.
    pub(super) fn last_after_restart(&self, sent: u64) -> Result<u64, CheckError> {
        let ClientMeta { client, last_client_seq: last, .. } = self.meta()?;
        let least = sent.max(self.durable);
        if last >= least {
            return Ok(last);
        }
        let text = format!("client {client} has {last} entries; {sent} were sent, and the commits");
        let text = format!("{text} of {} waited for the disk", self.durable);
        Err(Violation::new(SY19.id, text).into())
    }

    /// Returns the number of the last entry whose commit waited for the disk.
    pub(super) const fn durable(&self) -> u64 {
        self.durable
    }

    /// Notes that the commit of the last entry has returned.
    fn note_committed(&mut self, durability: Durability) -> Result<(), CheckError> {
        if durability == Durability::Immediate {
            self.durable = self.last_client_seq()?;
        }
        Ok(())
    }

    /// Commits a transaction of an app, which has these edits; tells whether it crashed.
    pub(super) fn commit(
        &mut self,
        edit: impl FnOnce(&mut Transaction) -> Result<(), CheckError>,
        is_deferred: bool,
        probe: &mut Probe,
    ) -> Result<bool, CheckError> {
        let durability = if is_deferred { Durability::None } else { Durability::Immediate };
        let (scratch, is_alone) = (self.scratch.next(), self.scratch.is_alone());
        let write = |replica: &ClientReplica| {
            if let Some(scratch) = scratch.filter(|_| is_alone) {
                let mut txn = replica.database().write()?;
                scratch.write(&mut txn)?;
                txn.commit_with(durability)?;
            }
            let mut txn = replica.database().write()?;
            edit(&mut txn)?;
            scratch.filter(|_| !is_alone).map_or(Ok(()), |scratch| scratch.write(&mut txn))?;
            txn.commit_with(durability)?;
            Ok(())
        };
        let ((), has_crashed) = self.change(write, probe)?;
        self.scratch.commit(scratch, !has_crashed && !is_deferred);
        if !has_crashed {
            self.note_committed(durability)?;
        }
        Ok(has_crashed)
    }

    /// Writes a transaction of an app; returns its entry. None is left if a crash took it.
    pub(super) fn write(
        &mut self,
        (edits, is_deferred): (&[Edit], bool),
        last: u64,
        probe: &mut Probe,
    ) -> Result<Option<Vec<u8>>, CheckError> {
        let edit = |txn: &mut Transaction| edits.iter().try_for_each(|edit| do_edit(txn, edit));
        let has_crashed = self.commit(edit, is_deferred, probe)?;
        let mut entries = self.entries_after(last)?;
        if entries.len() > 1 {
            return Err(Violation::new(SY4.id, "a transaction became several entries").into());
        }
        if has_crashed {
            probe.mark(match entries.len() {
                0 => "client: crash during a commit: rolled back",
                _ => "client: crash during a commit: committed",
            });
        }
        Ok(entries.pop())
    }

    /// Applies a part of the history that comes twice or late, which changes nothing.
    pub(super) fn download_late(
        &self,
        (from, part): (u64, &HistoryPart),
    ) -> Result<(), CheckError> {
        let items: Vec<DownloadItem<'_>> = part.items.iter().map(item).collect();
        let is_applied = part.to <= self.meta()?.cursor;
        match self.replica().download(&download(from, part, &items)) {
            Err(ClientError::File(error)) => Err(CheckError::Store(error)),
            // It begins or ends elsewhere, after a crash.
            Err(_) if !is_applied => Ok(()),
            Err(error) => {
                let text = format!("a file refuses a part from {from} that it has: {error}");
                Err(Violation::new(SY8.id, text).into())
            }
            Ok(merged) if merged.own.is_empty() && merged.foreign == 0 => Ok(()),
            Ok(merged) => {
                let text = format!("a file applied a part from {from} again: {merged:?}");
                Err(Violation::new(SY8.id, text).into())
            }
        }
    }

    /// Applies a part of the history; tells whether it is in the file.
    pub(super) fn download(
        &mut self,
        (from, part): (u64, &HistoryPart),
        probe: &mut Probe,
    ) -> Result<bool, CheckError> {
        let items: Vec<DownloadItem<'_>> = part.items.iter().map(item).collect();
        let download = download(from, part, &items);
        self.fail_first(&download, probe)?;
        let waiting = self.waiting()?;
        let apply = |replica: &ClientReplica| replica.download(&download).map_err(failed);
        let (merged, has_crashed) = self.change(apply, probe)?;
        if !has_crashed {
            self.compare_ended(&waiting, named(&merged))?;
            for _ in &merged.refused {
                probe.mark("a download showed that an entry was refused");
            }
        }
        let is_applied = self.replica().meta().map_err(failed)?.cursor == part.to;
        if has_crashed && !items.is_empty() {
            probe.mark(match is_applied {
                false => "client: crash during a download: rolled back",
                true => "client: crash during a download: committed",
            });
        }
        Ok(is_applied)
    }

    /// Notes that an entry was refused.
    pub(super) fn refuse(
        &mut self,
        (number, refusal): (u64, Refusal),
        probe: &mut Probe,
    ) -> Result<(), CheckError> {
        let waiting = self.waiting()?;
        let refuse = |replica: &ClientReplica| replica.refuse(number, refusal).map_err(failed);
        let (is_new, has_crashed) = self.change(refuse, probe)?;
        if !has_crashed {
            self.compare_ended(&waiting, if is_new { vec![number] } else { Vec::new() })?;
        } else {
            // The answer comes again, as it may with any lost one.
            self.replica().refuse(number, refusal).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn compact(&mut self, probe: &mut Probe) -> Result<(), CheckError> {
        let compact = |replica: &ClientReplica| replica.compact().map_err(failed);
        self.change(compact, probe).map(drop)
    }
}

/// Returns the numbers of the entries that a download has ended.
pub(super) fn named(merged: &Merged) -> Vec<u64> {
    let ordered = merged.own.iter().map(|own| own.client_seq);
    ordered.chain(merged.refused.iter().copied()).collect()
}

fn download<'d>(from: u64, part: &HistoryPart, items: &'d [DownloadItem<'d>]) -> Download<'d> {
    let HistoryPart { server, salt, .. } = part;
    Download {
        epoch: server.epoch,
        from,
        salt: *salt,
        horizon: server.horizon,
        durable_seq: server.durable_seq,
        items,
    }
}

fn item(item: &HistoryItem) -> DownloadItem<'_> {
    match item {
        HistoryItem::Entry { client, entry } => DownloadItem::Entry { client: *client, entry },
        HistoryItem::Own { client_seq, stamp } => {
            DownloadItem::Own { client_seq: *client_seq, stamp: *stamp }
        }
    }
}
