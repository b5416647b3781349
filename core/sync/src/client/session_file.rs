//! A client's file behind a session: performs the outputs of a
//! [`ClientSession`](crate::session::ClientSession), and gives their results.
//!
//! - SY17 An entry whose refusal only another copy of the file learned of is pending no longer once
//!   the file has the history.
//! - SY23 An event names each own entry that is pending no longer.
//! - SY19 An entry is given to the session only if it is durable.
//! - SV5 A snapshot fills the disk up to a limit at most.
//! - SV1 A file whose entries are not those that the server has gets a new identity.

use super::download::{Download, DownloadItem, Merged, Refusal};
use super::error::{ClientError, ClientResult};
use super::fresh::SnapshotPart;
use super::own_chain::OwnChain;
use super::replica::ClientReplica;
use super::reset::{ResetBackup, ResetMode, ResetProgress, ResetStart};
use crate::fault;
use crate::frame::{Code, Identity, Item};
use crate::reset::{Cause, ResetReport};
use crate::session::{Apply, ClientInput, ClientOutput, FileState, RejectedEntry, SnapshotBytes};
use fastness::Key;
use std::path::PathBuf;

/// Most bytes of a snapshot, unless the app says otherwise.
pub const SNAPSHOT_BYTES_MAX: u64 = 16 << 30;

/// The file of a session, with the treatment of its resets.
#[derive(Debug)]
pub struct SessionFile {
    replica: ClientReplica,
    /// Treatment of own operations by a reset.
    pub mode: ResetMode,
    /// Path of the copy that a reset makes before it begins; none for no copy.
    pub backup: Option<PathBuf>,
    /// The key of the file, for that copy.
    pub key: Option<Key>,
    /// Most bytes of a snapshot. The server says how many it has before the first is stored.
    pub snapshot_bytes_max: u64,
    /// The chain of own entries, as far as it was compared.
    chain: Option<OwnChain>,
}

/// A part of an output that the file cannot do.
#[derive(Debug)]
pub enum FileEvent<'a> {
    /// An output that is about the connection or the app.
    Other(ClientOutput<'a>),
    /// A download was applied: own entries got their places in the history, or were refused.
    Merged(Merged),
    /// Own entries were refused.
    Refused(Vec<(u64, Refusal)>),
    /// Own entries were refused, as the history shows.
    Concluded(Vec<u64>),
    /// A reset has ended.
    Reset(ResetReport),
}

/// A callback for the input that answers an output.
pub type AnswerTo<'r> = dyn FnMut(ClientInput<'_>) + 'r;

impl SessionFile {
    /// Makes the file of a session; a reset writes own operations again, and makes no copy.
    #[must_use]
    pub const fn new(replica: ClientReplica) -> Self {
        let (mode, snapshot_bytes_max) = (ResetMode::Recover, SNAPSHOT_BYTES_MAX);
        Self { replica, mode, backup: None, key: None, snapshot_bytes_max, chain: None }
    }

    /// Returns the replica.
    #[must_use]
    pub const fn replica(&self) -> &ClientReplica {
        &self.replica
    }

    /// Performs an output, and calls `answer` with its result if it has one. Returns the rest.
    ///
    /// # Errors
    /// As [`ClientReplica::download`] and [`ClientReplica::begin_reset`].
    pub fn perform<'a>(
        &mut self,
        output: ClientOutput<'a>,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        match output {
            ClientOutput::ReadState { ticket } => {
                answer(ClientInput::State { ticket, state: self.state()? });
            }
            ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max } => {
                let upload =
                    self.replica.upload_after(from_client_seq.saturating_sub(1), bytes_max)?;
                let oldest_base = upload.oldest_base;
                let numbered = (from_client_seq..=to_client_seq).zip(&upload.entries);
                let following = numbered.take_while(|(expected, (number, _))| expected == number);
                let entries = following.map(|(_, (_, entry))| &entry[..]).collect();
                answer(ClientInput::Pending { ticket, oldest_base, entries });
            }
            ClientOutput::StoreIdentity(Identity { client, client_salt }) => {
                if !self.replica.identify_reset(client, client_salt)? {
                    self.replica.identify(client, client_salt)?;
                }
            }
            ClientOutput::Apply(apply) => return self.apply(&apply, answer),
            ClientOutput::Acknowledge { last_client_seq, chain_hash, refused, .. } => {
                if self.has_entries((last_client_seq, chain_hash), &refused)? {
                    return self.refuse(&refused);
                }
                answer(ClientInput::Cloned);
            }
            ClientOutput::Answered { last_client_seq, chain_hash } => {
                let refused = self.conclude(last_client_seq, chain_hash)?;
                return Ok((!refused.is_empty()).then_some(FileEvent::Concluded(refused)));
            }
            ClientOutput::Reset(code) => return self.reset(code, answer),
            ClientOutput::NewIdentity => return self.reset(Code::CLONED, answer),
            ClientOutput::Snapshot(part) => return self.receive(&part, answer),
            other @ (ClientOutput::Send(_)
            | ClientOutput::WantNumber
            | ClientOutput::DownloadComplete { .. }
            | ClientOutput::Report(_)) => return Ok(Some(FileEvent::Other(other))),
        }
        Ok(None)
    }

    /// Returns the state of the file for a session. A file in a reset has no identity until it has
    /// the new one.
    fn state(&self) -> ClientResult<FileState> {
        let meta = self.replica.meta()?;
        let upload = self.replica.upload_after(u64::MAX, 0)?;
        let resets = self.replica.reset_in_progress()?;
        Ok(FileState {
            client: resets.map_or(meta.client, |reset| reset.client),
            client_salt: meta.ident_salt,
            epoch: meta.epoch,
            cursor: meta.cursor,
            cursor_salt: meta.cursor_salt,
            last_client_seq: meta.answered,
            chain_hash: meta.chain_hash,
            oldest_base: upload.oldest_base,
            durable_client_seq: meta.last_client_seq,
        })
    }

    fn apply<'a>(
        &self,
        apply: &Apply<'_>,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        let items: Vec<DownloadItem<'_>> = apply.items.iter().map(item).collect();
        let Apply { ticket, epoch, from, salt, horizon, durable_seq, .. } = *apply;
        let download = Download { epoch, from, salt, horizon, durable_seq, items: &items };
        match self.replica.download(&download) {
            Ok(merged) => {
                let oldest_base = self.replica.upload_after(u64::MAX, 0)?.oldest_base;
                answer(ClientInput::Applied { ticket, oldest_base });
                Ok(Some(FileEvent::Merged(merged)))
            }
            Err(ClientError::Download(_)) => {
                answer(ClientInput::Unusable { ticket });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells whether the own entries up to a number are those that the server has answered, as far
    /// as it has sent their chain hash.
    fn has_entries(
        &mut self,
        (last, hash): (u64, Option<u64>),
        refused: &[RejectedEntry],
    ) -> ClientResult<bool> {
        if fault::planted("NR-80") {
            self.refuse(refused)?;
        }
        match hash {
            Some(hash) => Ok(self.chain_up_to(last)? == hash),
            None => Ok(true),
        }
    }

    /// Moves refused entries to the dead letters.
    fn refuse<'a>(&self, refused: &[RejectedEntry]) -> ClientResult<Option<FileEvent<'a>>> {
        let refusal = |it: &RejectedEntry| {
            let RejectedEntry { client_seq, code, operation } = *it;
            (client_seq, Refusal { code: code.0, operation })
        };
        let refused: Vec<(u64, Refusal)> = refused.iter().map(refusal).collect();
        let mut new = Vec::new();
        for together in refused.chunks(fault::client::at_once(refused.len())) {
            new.append(&mut self.replica.refuse_all(together)?);
        }
        Ok((!new.is_empty()).then_some(FileEvent::Refused(new)))
    }

    /// Moves the pending entries up to a number to the dead letters: the file has the history that
    /// could contain them. If the chain hash is another one, they are not those that were answered.
    /// Returns their numbers.
    fn conclude(&mut self, last_client_seq: u64, chain_hash: u64) -> ClientResult<Vec<u64>> {
        let is_pending = self.replica.first_pending()?.is_some_and(|it| it <= last_client_seq);
        let is_refused = is_pending && self.chain_up_to(last_client_seq)? == chain_hash;
        if is_refused && !fault::planted("NR-62") {
            return self.replica.refuse_up_to(last_client_seq);
        }
        Ok(Vec::new())
    }

    /// Returns the chain hash of the own entries up to a number.
    fn chain_up_to(&mut self, last: u64) -> ClientResult<u64> {
        let known = self.chain.filter(|_| !fault::planted("NR-66"));
        let chain = OwnChain::up_to(last, known, &self.replica)?;
        self.chain = Some(chain);
        Ok(chain.hash)
    }

    /// Begins a reset, or continues one that had begun.
    fn reset<'a>(
        &self,
        code: Code,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        let cause = Cause::of_code(code.0).unwrap_or(Cause::Diverged);
        if self.replica.reset_in_progress()?.is_none() {
            let (path, key) = (self.backup.as_deref(), self.key.as_ref());
            let backup = path.map(|path| ResetBackup { path, key });
            let start = ResetStart { cause, client: 0, ident_salt: 0 };
            self.replica.begin_reset(&start, backup)?;
        }
        self.proceed(self.replica.reset_in_progress()?, answer)
    }

    fn receive<'a>(
        &self,
        part: &SnapshotBytes<'_>,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        let SnapshotBytes { snapshot, epoch, seq, salt, horizon, total, offset, .. } = *part;
        let bytes_max = fault::client::disk(self.snapshot_bytes_max);
        if total > bytes_max {
            return Err(ClientError::SnapshotTooLong { bytes: total, bytes_max });
        }
        let (bytes, root) = (part.part, part.root);
        let part = SnapshotPart { snapshot, epoch, seq, salt, horizon, offset, bytes, root };
        match self.replica.receive_snapshot(&part) {
            Ok(progress) => self.proceed(Some(progress), answer),
            Err(error) => self.repeat(error, answer),
        }
    }

    /// Begins a reset again whose snapshot is not the one that the server sent; any other error
    /// stays.
    fn repeat<'a>(
        &self,
        error: ClientError,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        let ClientError::Download(_) = error else { return Err(error) };
        self.replica.repeat_reset()?;
        answer(ClientInput::FetchSnapshot { snapshot: 0, offset: 0 });
        Ok(None)
    }

    /// Asks for the next part of the snapshot, or ends the reset.
    fn proceed<'a>(
        &self,
        progress: Option<ResetProgress>,
        answer: &mut AnswerTo<'_>,
    ) -> ClientResult<Option<FileEvent<'a>>> {
        let Some(ResetProgress { snapshot, offset, is_complete, client, .. }) = progress else {
            answer(ClientInput::Recovered);
            return Ok(None);
        };
        if !is_complete || client == 0 {
            answer(ClientInput::FetchSnapshot { snapshot, offset });
            return Ok(None);
        }
        match self.replica.finish_reset(self.mode) {
            Ok(report) => {
                answer(ClientInput::Recovered);
                Ok(Some(FileEvent::Reset(report)))
            }
            Err(error) => self.repeat(error, answer),
        }
    }
}

fn item<'a>(item: &Item<'a>) -> DownloadItem<'a> {
    match *item {
        Item::Entry { client, entry } => DownloadItem::Entry { client, entry },
        Item::Own { client_seq, stamp } => DownloadItem::Own { client_seq, stamp },
    }
}
