//! The server: one process with the replica of a database on a simulated machine.
//!
//! - SY14 A crash leaves the file as before a call, or as after it.

use super::super::compare::CheckError;
use super::super::world::World;
use super::message::{Fresh, NO_NUMBERS, Request, Response, Resume, Scene, Stream};
use super::oracle::{History, Oracle, Submitted};
use super::replica::{Contained, Snapshot};
use crate::Rng;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SY1, SY2, SY8, SY14, SY16};
use crate::fs::{Disk, Injection, SimFs};
use fastness::Store;
use fastness::table::Tables;
use fastness_sync::reset::Cause;
use fastness_sync::server::{
    Access, Answer, ClientIdentity, ClientProgress, ClientState, DownloadRequest, HistoryItem,
    Opening, ResumeRefusal, ServerError, ServerReplica, ServerStatus, Submission,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Silence after which the server forgets a client, in milliseconds.
pub(super) const EXPIRY_MS: u64 = 60_000;
/// Bytes of a part of a snapshot.
const SNAPSHOT_PART_BYTES: usize = 400;
/// User of all clients.
pub(super) const USER: &str = "ann";
/// Root of the state's tables.
const ROOT: &str = "main";
/// Most bytes of entries of a download: few, so that a client needs several.
const PART_BYTES_MAX: usize = 200;

/// A backup, with the history that it contains.
struct Backup {
    path: PathBuf,
    history: History,
}

/// A server.
pub(super) struct SyncServer<'w> {
    world: &'w World,
    fs: SimFs,
    path: PathBuf,
    replica: Option<ServerReplica>,
    store: Option<Store>,
    /// Clients by connection.
    connections: BTreeMap<u64, ClientIdentity>,
    /// Last contact of each client, in this epoch.
    contacts: BTreeMap<u32, u64>,
    backups: Vec<Backup>,
    /// The snapshot that was given out last.
    last_stream: Option<Rc<Stream>>,
    has_backups: bool,
    /// Seq of the newest backup that was noted, or of the one that was restored.
    backed_up: u64,
    files: u32,
    /// The next call that changes the file is interrupted by a crash.
    pub(super) crashes: bool,
    /// Error of the disk during the next submission.
    pub(super) injection: Option<Injection>,
}

/// Wraps errors that no plan allows.
pub(super) fn failed(error: ServerError) -> CheckError {
    match error {
        ServerError::Store(error) => CheckError::Store(error),
        other => Violation::new(SY16.id, format!("the server fails: {other}")).into(),
    }
}

impl<'w> SyncServer<'w> {
    pub(super) fn start(world: &'w World, has_backups: bool) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let path = PathBuf::from("/sim/server-0.fast");
        let store = world.options(&fs).create(&path)?;
        let mut server = Self {
            world,
            fs,
            path,
            replica: None,
            store: None,
            connections: BTreeMap::new(),
            contacts: BTreeMap::new(),
            backups: Vec::new(),
            last_stream: None,
            has_backups,
            backed_up: 0,
            files: 0,
            crashes: false,
            injection: None,
        };
        server.run(store)?;
        server.replica().set_backups(has_backups).map_err(failed)?;
        Ok(server)
    }

    fn run(&mut self, store: Store) -> Result<(), CheckError> {
        let epoch = self.world.rng(Rng::next) | 1;
        let opening = Opening { database: [7; 16], epoch };
        self.replica = Some(ServerReplica::open(store.clone(), &opening).map_err(failed)?);
        self.store = Some(store);
        self.connections.clear();
        Ok(())
    }

    fn stop(&mut self) {
        self.replica = None;
        self.store = None;
    }

    pub(super) const fn world(&self) -> &'w World {
        self.world
    }

    pub(super) const fn fs(&self) -> &SimFs {
        &self.fs
    }

    pub(super) fn status(&self) -> Result<ServerStatus, CheckError> {
        self.replica().status().map_err(failed)
    }

    /// Notes that a client has made contact.
    pub(super) fn note_contact(&mut self, client: u32, now_ms: u64) {
        self.contacts.insert(client, now_ms);
    }

    /// Records the disk from here on, if the next call that changes the file is to crash.
    pub(super) fn prepare_crash(&self) {
        if self.crashes {
            self.fs.record_forks();
        }
    }

    pub(super) fn replica(&self) -> &ServerReplica {
        self.replica.as_ref().expect("the server runs")
    }

    pub(super) fn epoch(&self) -> Result<u64, CheckError> {
        Ok(self.replica().status().map_err(failed)?.epoch)
    }

    /// Answers a request of a connection; nothing if the server crashed.
    pub(super) fn handle(
        &mut self,
        connection: u64,
        request: Request,
        scene: &mut Scene<'_>,
    ) -> Result<Option<Response>, CheckError> {
        let now_ms = scene.now_ms;
        let client = self.connections.get(&connection).copied();
        Ok(Some(match (request, client) {
            (Request::Begin { old }, _) => self.begin(&old, scene.oracle, now_ms)?,
            (Request::Resume(resume), _) => self.resume(connection, resume, scene)?,
            (_, None) => Response::Closed,
            (
                Request::Upload { first, entries, oldest_base },
                Some(ClientIdentity { client, .. }),
            ) => {
                let upload = Upload { client, first, entries, oldest_base };
                return self.upload(upload, scene);
            }
            (Request::Download(mut request), Some(_)) => {
                request.bytes_max = PART_BYTES_MAX;
                match self.replica().download(&request).map_err(failed)? {
                    Ok(part) => Response::Part { from: request.from, part },
                    Err(refusal) => Response::Refused(refusal),
                }
            }
            (Request::Progress { cursor, oldest_base }, Some(ClientIdentity { client, .. })) => {
                let progress = ClientProgress { cursor, oldest_base };
                self.replica().progress(client, progress, now_ms).map_err(failed)?;
                self.contacts.insert(client, now_ms);
                Response::Noted
            }
        }))
    }

    fn begin(
        &mut self,
        old: &[ClientIdentity],
        oracle: &Oracle,
        now_ms: u64,
    ) -> Result<Response, CheckError> {
        let salt = self.world.rng(Rng::next);
        let identity = self.replica().identify(USER, salt, now_ms).map_err(failed)?;
        let status = self.replica().status().map_err(failed)?;
        let model = &oracle.history.server;
        let mut state = oracle.history.core.clone();
        state.purge(status.horizon);
        let stamp = model.history.iter().map(|entry| entry.stamp).max().unwrap_or_default();
        let (epoch, seq, salt) = (status.epoch, status.head, status.salt);
        let mut contained = Contained::default();
        for ClientIdentity { client, .. } in old {
            let last = model.last_client_seq(*client);
            let of_client = model.history.iter().filter(|entry| entry.client == *client);
            let sequenced = of_client.map(|entry| entry.client_seq).max().unwrap_or_default();
            contained.last.insert(*client, sequenced);
            let refused = (1..=last).filter(|number| model.refusal(*client, *number).is_some());
            contained.refused.extend(refused.map(|number| (*client, number)));
        }
        let snapshot = Snapshot { state, epoch, seq, salt, stamp };
        let model = model.state().clone();
        let older = self.last_stream.take();
        let stream = Rc::new(self.stream(&status)?);
        self.last_stream = Some(Rc::clone(&stream));
        let fresh = Fresh { identity, snapshot, stream, older, model, contained };
        Ok(Response::Begun(Box::new(fresh)))
    }

    fn stream(&self, server: &ServerStatus) -> Result<Stream, CheckError> {
        let mut reader = self.replica().snapshot().map_err(failed)?;
        while !reader.measure(1 << 20).map_err(failed)? {}
        let number = self.world.rng(Rng::next) | 1;
        let mut stream = Stream { number, server: *server, parts: Vec::new() };
        let mut offset = 0;
        loop {
            let part = reader.part(offset, SNAPSHOT_PART_BYTES).map_err(failed)?;
            offset += part.bytes.len() as u64;
            let is_last = part.root.is_some();
            stream.parts.push(part);
            if is_last {
                return Ok(stream);
            }
        }
    }

    fn resume(
        &mut self,
        connection: u64,
        resume: Resume,
        Scene { probe, now_ms, .. }: &mut Scene<'_>,
    ) -> Result<Response, CheckError> {
        let now_ms = *now_ms;
        let Resume { identity, epoch, cursor, cursor_salt, .. } = resume;
        // A client has one session.
        self.connections.retain(|_, other| other.client != identity.client);
        let state = ClientState {
            identity,
            user: USER,
            epoch,
            cursor,
            cursor_salt,
            last_client_seq: resume.last_client_seq,
            chain_hash: resume.chain_hash,
            oldest_base: resume.oldest_base,
        };
        Ok(match self.replica().resume(&state, now_ms).map_err(failed)? {
            Ok(resumed) => {
                if resumed.last_client_seq == state.last_client_seq {
                    self.resume_copy(&state, (now_ms, probe))?;
                }
                self.connections.insert(connection, identity);
                self.contacts.insert(identity.client, now_ms);
                Response::Resumed(resumed)
            }
            Err(refusal) => Response::Refused(refusal),
        })
    }

    fn upload(
        &mut self,
        Upload { client, first, entries, oldest_base }: Upload,
        scene: &mut Scene<'_>,
    ) -> Result<Option<Response>, CheckError> {
        let before = self.replica().status().map_err(failed)?.head;
        let has_errors = self.begin_errors();
        if self.crashes && !has_errors {
            self.fs.record_forks();
        }
        let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let submission =
            Submission { client, access: Access::Write, entries: &slices, oldest_base };
        let answers = self.replica().submit(&submission, scene.now_ms);
        let has_failed = answers.is_err();
        let attempt = DiskTrial { client, head: before, has_failed };
        if has_errors
            && let Some(is_committed) = self.end_errors(attempt, scene.oracle, scene.probe)?
        {
            if is_committed {
                scene.oracle.take_all(client, &slices, Submitted::by_writer(scene.now_ms))?;
                self.compare_end(scene.oracle)?;
            }
            return Ok(None);
        }
        let answers = answers.map_err(failed)?;
        let sequenced = answers.iter().filter(|a| matches!(a, Answer::Sequenced { .. })).count();
        let has_crashed = self.crashes && !has_errors && sequenced > 0;
        self.crashes &= !has_crashed;
        if has_crashed {
            let heads = [before, before + sequenced as u64];
            if !self.crash_during_submission(heads, scene.probe)? {
                return Ok(None);
            }
        }
        if sequenced > 0 {
            self.contacts.insert(client, scene.now_ms);
        }
        scene.oracle.submit(client, (&entries, &answers), scene.now_ms)?;
        if sequenced > 1 {
            scene.probe.mark("server: several entries in one transaction");
        }
        Ok((!has_crashed).then_some(Response::Answers { first, answers }))
    }

    /// Crashes at one of the calls that the last submission made; returns whether it was durable.
    pub(super) fn crash_during_submission(
        &mut self,
        [before, after]: [u64; 2],
        probe: &mut Probe,
    ) -> Result<bool, CheckError> {
        let mut forks = self.fs.take_forks();
        let index = self.world.rng(|rng| rng.below(forks.len()));
        let Some(fork) = (index < forks.len()).then(|| forks.swap_remove(index)) else {
            let text = "the server acknowledges entries without a write";
            return Err(Violation::new(SY14.id, text).into());
        };
        let disk = match self.world.rng(|rng| rng.one_in(2)) {
            true => self.world.rng(|rng| fork.disk.power_loss(rng)),
            false => fork.disk,
        };
        self.reboot(disk)?;
        let head = self.replica().status().map_err(failed)?.head;
        probe.crash(fork.at.name());
        if head != before && head != after {
            let text = format!("a crash left the head {head}, between {before} and {after}");
            return Err(Violation::new(SY14.id, text).into());
        }
        let is_durable = head == after;
        probe.mark(match is_durable {
            true => "server: crash during a submission: committed",
            false => "server: crash during a submission: rolled back",
        });
        Ok(is_durable)
    }

    /// Boots the machine with a disk and starts the server again.
    fn reboot(&mut self, disk: Disk) -> Result<(), CheckError> {
        self.fs.disconnect();
        self.stop();
        self.fs = self.world.boot(disk);
        let store = self.world.options(&self.fs).open(&self.path)?;
        self.run(store)
    }

    /// Kills the process, or cuts the power, and starts the server again.
    pub(super) fn restart(&mut self, power_loss: bool) -> Result<(), CheckError> {
        let disk = self.fs.disk();
        let disk = if power_loss { self.world.rng(|rng| disk.power_loss(rng)) } else { disk };
        self.reboot(disk)
    }

    /// Moves the horizon as far as the live clients permit.
    pub(super) fn compact(&mut self, oracle: &mut Oracle, now_ms: u64) -> Result<u64, CheckError> {
        let horizon = self.replica().advance_horizon(now_ms, EXPIRY_MS).map_err(failed)?;
        while self.replica().compact(3).map_err(failed)? {}
        oracle.history.server.purge(horizon);
        oracle.history.core.purge(horizon);
        Ok(horizon)
    }

    /// Tells whether the server counts a client as live.
    pub(super) fn is_live(&self, client: u32, now_ms: u64) -> bool {
        self.contacts.get(&client).is_some_and(|contact| contact + EXPIRY_MS >= now_ms)
    }

    /// Makes a backup, unless the operator makes none.
    pub(super) fn back_up(&mut self, oracle: &Oracle) -> Result<bool, CheckError> {
        if !self.has_backups {
            return Ok(false);
        }
        self.files += 1;
        let path = PathBuf::from(format!("/sim/backup-{}.fast", self.files));
        let options = self.world.options_without_key(&self.fs);
        let key = self.world.key();
        let seq = self.replica().back_up(&options, &path, key.as_ref()).map_err(failed)?;
        if seq != oracle.head() {
            return Err(Violation::new(SY1.id, format!("a backup reaches to {seq}")).into());
        }
        self.backups.push(Backup { path, history: oracle.history.clone() });
        // Sometimes the backup is safe, and sometimes the server stops before it notes that.
        if self.world.rng(|rng| !rng.one_in(4)) {
            self.replica().note_backup(seq).map_err(failed)?;
            self.backed_up = self.backed_up.max(seq);
        }
        Ok(true)
    }

    /// Restores a backup; returns the mark of that, if one exists.
    pub(super) fn restore(
        &mut self,
        operand: u8,
        oracle: &mut Oracle,
    ) -> Result<Option<&'static str>, CheckError> {
        // A backup replaces those without its entries when it is noted. One of a history that a
        // restore has abandoned may have more entries than the one that was restored.
        let now = &oracle.history.server.history;
        let backed_up = usize::try_from(self.backed_up).unwrap_or(usize::MAX);
        let is_usable = |backup: &&Backup| {
            backup.history.server.history.starts_with(&now[..backed_up.min(now.len())])
        };
        let usable: Vec<&Backup> = self.backups.iter().filter(is_usable).collect();
        let Some(index) = usize::from(operand).checked_rem(usable.len()) else { return Ok(None) };
        let backup = usable[index];
        let is_abandoned = !now.starts_with(&backup.history.server.history);
        self.files += 1;
        let path = PathBuf::from(format!("/sim/server-{}.fast", self.files));
        let history = backup.history.clone();
        let store = self.world.options(&self.fs).open(&backup.path)?;
        store.copy(&path, self.world.key().as_ref())?;
        drop(store);
        self.path = path;
        self.stop();
        let store = self.world.options(&self.fs).open(Path::new(&self.path))?;
        self.run(store)?;
        let epoch = self.epoch()?;
        oracle.restore(history, epoch);
        self.note_epoch(oracle);
        Ok(Some(match is_abandoned {
            true => "server: a backup of an abandoned history was restored",
            false => "server: a backup was restored",
        }))
    }

    /// Notes that an epoch has begun: no client has made contact, and none keeps its entries.
    pub(super) fn note_epoch(&mut self, oracle: &Oracle) {
        self.contacts.clear();
        self.backed_up = oracle.head();
    }

    /// Compares what the state shows with the fold of the whole history.
    pub(super) fn compare_state(&self, oracle: &mut Oracle) -> Result<(), CheckError> {
        let store = self.store.as_ref().expect("the server runs");
        let mut tables = Tables::open(store.write()?, ROOT)?;
        let fold = oracle.history.fold().clone();
        let found = oracle.names.visible_in(&mut tables, fold.schema())?;
        if found != fold.visible() {
            let text = format!("the server shows {found:?}, not {:?}", fold.visible());
            return Err(Violation::new(SY2.id, text).into());
        }
        Ok(())
    }

    /// Compares the history after the horizon with the model's.
    pub(super) fn compare(&self, oracle: &mut Oracle) -> Result<(), CheckError> {
        let from = self.replica().status().map_err(failed)?.horizon;
        let request = DownloadRequest { client: 0, from, full: NO_NUMBERS, bytes_max: usize::MAX };
        let part = self.replica().download(&request).map_err(failed)?;
        let part = part.map_err(|refusal| Violation::new(SY16.id, format!("{refusal:?}")))?;
        if part.salt != oracle.history.salt || part.to != oracle.head() {
            return Err(Violation::new(SY8.id, "the server has another history").into());
        }
        let expected = oracle.history.server.history.clone();
        let expected = expected.iter().filter(|entry| entry.seq > from);
        for (item, expected) in part.items.iter().zip(expected) {
            let HistoryItem::Entry { client, entry } = item else {
                return Err(Violation::new(SY8.id, "an entry is not sent in full").into());
            };
            let found = oracle.names.entry((*client, expected.seq), entry);
            if found.as_ref() != Ok(expected) {
                let text = format!("the server has {found:?}, not {expected:?}");
                return Err(Violation::new(SY8.id, text).into());
            }
        }
        Ok(())
    }
}

/// A submission of a client while the disk has errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskTrial {
    pub(super) client: u32,
    /// The head before.
    pub(super) head: u64,
    pub(super) has_failed: bool,
}

/// Entries of a client.
struct Upload {
    client: u32,
    first: u64,
    entries: Vec<Vec<u8>>,
    oldest_base: u64,
}

/// Returns the cause of a reset for which a client cannot resume.
pub(super) const fn cause(refusal: ResumeRefusal) -> Cause {
    match refusal {
        ResumeRefusal::UnknownClient => Cause::UnknownClient,
        ResumeRefusal::CursorAboveHead | ResumeRefusal::Diverged => Cause::Diverged,
        ResumeRefusal::Expired => Cause::Expired,
        _ => Cause::Cloned,
    }
}
