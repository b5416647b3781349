//! A session on its worker: its machine, its database, and the outputs that wait.
//!
//! - H25 A read of the history or of a snapshot waits while the connection has too many answers.

use super::job::{Caller, NewSession, SessionKey};
use super::link::{HeldAnswer, Link};
use fastness_auth::server::DatabasePath;
use fastness_sync::server::{Access, SessionDatabase, SnapshotPool};
use fastness_sync::session::{ServerInput, ServerOutput, ServerSession};
use std::collections::VecDeque;
use std::sync::Arc;

/// A session.
pub(super) struct Session {
    key: SessionKey,
    machine: ServerSession,
    caller: Caller,
    link: Arc<Link>,
    binding: Option<(DatabasePath, SessionDatabase)>,
    /// Right at the binding.
    access: Access,
    waiting: VecDeque<ServerOutput<'static>>,
    /// Answers that leave once the database is durable.
    answers: Vec<HeldAnswer>,
    is_ended: bool,
    /// Uploads are not taken, because the owner of the database has its most bytes.
    is_over_quota: bool,
}

/// Effect of an output on others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Performed {
    /// None.
    Done,
    /// The history may have entries that the other sessions have not seen.
    Submitted {
        /// Entries that were answered.
        entries: usize,
        /// Refused ones among them.
        refused: usize,
    },
    /// The client has resumed.
    Resumed,
    /// The store of the database has failed.
    Failed,
}

impl Session {
    pub(super) fn new(new: NewSession) -> Self {
        let NewSession { key, terms, caller, link } = new;
        Self {
            key,
            machine: ServerSession::new(key.session, &terms),
            caller,
            link,
            binding: None,
            access: Access::Read,
            waiting: VecDeque::new(),
            answers: Vec::new(),
            is_ended: false,
            is_over_quota: false,
        }
    }

    pub(super) const fn key(&self) -> SessionKey {
        self.key
    }

    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Returns the number of entries that are not sent yet.
    pub(super) const fn behind(&self) -> u64 {
        self.machine.behind()
    }

    pub(super) const fn is_over_quota(&self) -> bool {
        self.is_over_quota
    }

    /// Takes no more uploads.
    pub(super) const fn stop_uploads(&mut self) {
        self.is_over_quota = true;
    }

    pub(super) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Returns the path of the database.
    pub(super) fn path(&self) -> Option<&DatabasePath> {
        self.binding.as_ref().map(|(path, _)| path)
    }

    /// Returns the client; `None` before it is known.
    pub(super) fn client(&self) -> Option<u32> {
        let client = self.binding.as_ref().map(|(_, database)| database.client());
        client.filter(|client| *client > 0)
    }

    pub(super) fn bind(&mut self, path: DatabasePath, database: SessionDatabase, access: Access) {
        self.binding = Some((path, database));
        self.access = access;
    }

    /// Returns the path of the database, and the right with which it is bound.
    pub(super) fn bound(&self) -> Option<(&DatabasePath, Access)> {
        self.path().map(|path| (path, self.access))
    }

    /// Takes the answers.
    pub(super) fn take_answers(&mut self) -> Vec<HeldAnswer> {
        std::mem::take(&mut self.answers)
    }

    /// Gives back the database, at the end.
    pub(super) fn unbind(&mut self) -> Option<DatabasePath> {
        self.waiting.clear();
        self.binding.take().map(|(path, _)| path)
    }

    /// Gives an input to the machine. Returns the outputs that borrow from it; the others are sent,
    /// or wait.
    pub(super) fn handle<'a>(&mut self, input: ServerInput<'a>) -> Vec<ServerOutput<'a>> {
        let mut outputs = Vec::new();
        self.machine.handle(input, &mut outputs);
        outputs.into_iter().filter_map(|output| self.keep(output)).collect()
    }

    /// Gives the result of an output to the machine.
    pub(super) fn reply(&mut self, input: ServerInput<'_>) {
        let outputs = self.handle(input);
        assert!(outputs.is_empty(), "FR4: only a frame of the client is bound or submitted");
    }

    /// Sends an output or queues it; returns it if it borrows from its input.
    fn keep<'a>(&mut self, output: ServerOutput<'a>) -> Option<ServerOutput<'a>> {
        match output {
            ServerOutput::Send(bytes) => self.answers.push(self.link.hold(bytes)),
            ServerOutput::Ended => self.is_ended = true,
            ServerOutput::Resume(resume) => self.wait(ServerOutput::Resume(resume)),
            ServerOutput::ReadHistory { ticket, from, bytes_max } => {
                self.wait(ServerOutput::ReadHistory { ticket, from, bytes_max });
            }
            ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
                self.wait(ServerOutput::ReadSnapshot { ticket, snapshot, offset });
            }
            ServerOutput::Progress { cursor, oldest_base } => {
                self.wait(ServerOutput::Progress { cursor, oldest_base });
            }
            ServerOutput::Bind { .. } | ServerOutput::Submit { .. } => return Some(output),
        }
        None
    }

    fn wait(&mut self, output: ServerOutput<'static>) {
        self.waiting.push_back(output);
    }

    /// Takes the next output that waits; `None` if it waits for room.
    pub(super) fn next_waiting(&mut self) -> Option<ServerOutput<'static>> {
        if self.is_ended {
            return None;
        }
        let reads = |output: &ServerOutput<'_>| {
            matches!(output, ServerOutput::ReadHistory { .. } | ServerOutput::ReadSnapshot { .. })
        };
        let is_read = self.waiting.front().is_some_and(reads);
        if is_read && self.link.hold_back() { None } else { self.waiting.pop_front() }
    }

    /// Performs an output on the database.
    pub(super) fn perform(
        &mut self,
        output: &ServerOutput<'_>,
        now_ms: u64,
        snapshots: &mut SnapshotPool,
    ) -> Performed {
        let Some((path, mut database)) = self.binding.take() else { return Performed::Done };
        let submitted =
            if let ServerOutput::Submit { entries, .. } = output { entries.len() } else { 0 };
        let mut performed = Performed::Done;
        if submitted > 0 {
            // Entries before the one that stopped the upload are in the history.
            performed = Performed::Submitted { entries: 0, refused: 0 };
        }
        let mut reply = |input: ServerInput<'_>| {
            if let ServerInput::Resumed { .. } = &input {
                performed = Performed::Resumed;
            }
            if let ServerInput::Submitted { rejected, .. } = &input {
                performed = Performed::Submitted { entries: submitted, refused: rejected.len() };
            }
            self.reply(input);
        };
        database.perform(output, now_ms, (snapshots, &mut reply));
        if let Some(error) = database.take_failure() {
            tracing::error!(%error, user = %self.caller.identity, "sync: a database has failed");
            performed = Performed::Failed;
        }
        self.binding = Some((path, database));
        performed
    }
}
