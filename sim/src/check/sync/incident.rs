//! Incidents at the server: an intruder's entries, copied files that resume, errors of the disk,
//! epochs of one history, and horizons that clients do not permit.
//!
//! - SY15 An operation on an element that the list does not contain is without effect.
//! - SY14 A submission that fails is committed as a whole or not at all.
//! - SV1 A client with other entries than the server's does not resume.
//! - MR8 The id of an element is never used twice.
//! - MR9 The history has what each live client needs.

use super::super::compare::CheckError;
use super::super::io_faults::injection;
use super::domain::{LINES, PAGE};
use super::oracle::{Oracle, Submitted};
use super::server::{DiskTrial, SyncServer, USER, failed};
use crate::Rng;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{C11, MR9, SV1, SY8, SY14};
use fastness_models::Op;
use fastness_models::merge::Element;
use fastness_sync::entry::{
    Anchor, Change, ElementId, Encoder, EntryError, Header, ObjectRef, Operation, Value,
};
use fastness_sync::server::{
    Access, Answer, ClientIdentity, ClientState, ResumeRefusal, ServerError, Submission,
};

/// The part of the history that a client needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) client: u32,
    pub(super) epoch: u64,
    /// The least of its cursor and of the bases of its pending entries.
    pub(super) from: u64,
}

impl SyncServer<'_> {
    /// Compares the horizon with what a client needs, if it is live.
    pub(super) fn check_needs(
        &self,
        needs: Needs,
        (oracle, now_ms): (&Oracle, u64),
    ) -> Result<(), Violation> {
        let Needs { client, epoch, from } = needs;
        let horizon = oracle.history.server.horizon();
        let is_live = oracle.is_current(epoch) && self.is_live(client, now_ms);
        if !is_live || from >= horizon {
            return Ok(());
        }
        let text = format!("the horizon is {horizon}, and client {client} needs {from}");
        Err(Violation::new(MR9.id, text))
    }

    /// Tries to resume as a file with other entries than the server has, after the right one has
    /// resumed.
    pub(super) fn resume_copy(
        &self,
        state: &ClientState<'_>,
        (now_ms, probe): (u64, &mut Probe),
    ) -> Result<(), CheckError> {
        let copy = ClientState { chain_hash: state.chain_hash ^ 1, ..*state };
        match self.replica().resume(&copy, now_ms).map_err(failed)? {
            Err(ResumeRefusal::Cloned) => {
                probe.mark("a copied file could not resume");
                Ok(())
            }
            other => {
                let text = format!("the copy of client {} is {other:?}", state.identity.client);
                Err(Violation::new(SV1.id, text).into())
            }
        }
    }

    /// Submits an entry of a client that has only this one, which an honest client never writes.
    pub(super) fn intrude(
        &self,
        op: Op,
        (oracle, probe): (&mut Oracle, &mut Probe),
        now_ms: u64,
    ) -> Result<(), CheckError> {
        let fold = oracle.history.fold();
        let pages = fold.visible().into_keys().filter(|object| object.class == 0);
        let pages: Vec<_> = pages.collect();
        let Some(index) = usize::from(op.b >> 4).checked_rem(pages.len()) else { return Ok(()) };
        let elements = fold.elements(pages[index], 3);
        let known = elements
            .last()
            .map(|(Element { author, number }, _)| ElementId { author: *author, number: *number });
        let target = oracle.names.target(pages[index]);
        let salt = self.world().rng(Rng::next);
        let identity = self.replica().identify(USER, salt, now_ms).map_err(failed)?;
        let ClientIdentity { client, .. } = identity;
        let header = Header { client_seq: 1, base: oracle.head(), stamp: now_ms };
        let entry = hostile_entry(header, (target, op.c), known);
        let entry = entry.map_err(|error| Violation::new(SY14.id, format!("{error:?}")))?;
        let (access, oldest_base) = (Access::Write, header.base);
        let submission = Submission { client, access, entries: &[&entry], oldest_base };
        let answers = self.replica().submit(&submission, now_ms).map_err(failed)?;
        oracle.submit(client, (&[entry], &answers), now_ms)?;
        probe.mark(match answers[..] {
            [Answer::Refused(_)] => "an intruder used the id of an element twice",
            _ => "an intruder named an element that the list does not contain",
        });
        Ok(())
    }

    /// Lets a call of the disk fail during the next submission.
    pub(super) fn inject(&mut self, op: Op) {
        self.injection = Some(injection(op));
    }

    /// Takes an entry of a client whose user may not write, if the server knows the client.
    pub(super) fn refuse(
        &mut self,
        (client, entry): (u32, &[u8]),
        submitted: Submitted,
        oracle: &mut Oracle,
    ) -> Result<bool, CheckError> {
        let (access, entries) = (Access::Read, &[entry][..]);
        let submission = Submission { client, access, entries, oldest_base: 0 };
        match self.replica().submit(&submission, submitted.now_ms) {
            // A reset has given the file the number, and then a backup without it was restored.
            Err(ServerError::UnknownClient(_)) => return Ok(false),
            answers => drop(answers.map_err(failed)?),
        }
        oracle.take_all(client, entries, submitted)?;
        self.compare_end(oracle).map(|()| true)
    }

    /// Begins an epoch of the same history, as the operator does with a file that has no mark.
    pub(super) fn begin_epoch(&mut self, oracle: &mut Oracle) -> Result<(), CheckError> {
        let epoch = self.world().rng(Rng::next) | 1;
        self.replica().begin_epoch(epoch).map_err(failed)?;
        self.note_epoch(oracle);
        oracle.restore(oracle.history.clone(), epoch);
        Ok(())
    }

    /// Compares where the history ends with the model's.
    pub(super) fn compare_end(&self, oracle: &Oracle) -> Result<(), CheckError> {
        let status = self.status()?;
        if (status.head, status.salt) == (oracle.head(), oracle.history.salt) {
            return Ok(());
        }
        let text = format!("the history ends with {}, not {}", status.head, oracle.head());
        Err(Violation::new(SY8.id, text).into())
    }

    /// Begins to let calls of the disk fail, if a submission has to; tells whether it does.
    pub(super) fn begin_errors(&mut self) -> bool {
        let injection = self.injection.take();
        injection.map(|injection| self.fs().inject(injection)).is_some()
    }

    /// Ends the errors of the disk after a submission. After a failure the server starts again.
    /// Tells then whether the submission is committed.
    pub(super) fn end_errors(
        &mut self,
        DiskTrial { client, head: before, has_failed }: DiskTrial,
        oracle: &Oracle,
        probe: &mut Probe,
    ) -> Result<Option<bool>, CheckError> {
        let failure = self.fs().take_failure();
        if !has_failed {
            return Ok(None);
        }
        if failure.is_none() {
            let text = "a submission failed without an error of the disk";
            return Err(Violation::new(C11.id, text).into());
        }
        self.restart(self.world().rng(|rng| rng.one_in(2)))?;
        let letters = self.replica().dead_letters(client, 0).map_err(failed)?;
        let has_letter = letters.iter().any(|(number, _)| oracle.letter(client, *number).is_none());
        let is_committed = has_letter || self.status()?.head > before;
        probe.mark(match is_committed {
            true => "server: disk error during a submission: committed",
            false => "server: disk error during a submission: rolled back",
        });
        Ok(Some(is_committed))
    }
}

/// Encodes an entry that names elements of a page's list which it does not contain, or that uses
/// the id of an element twice.
fn hostile_entry(
    header: Header,
    (target, choice): (ObjectRef<'static>, u8),
    known: Option<ElementId>,
) -> Result<Vec<u8>, EntryError> {
    debug_assert_eq!(target.class, PAGE, "only pages have lines");
    let own = |number| ElementId { author: 0, number };
    let insert = |element, anchor| Change::ListInsert { element, anchor, value: Value::Int(-1) };
    let nowhere = Anchor::After(own(77));
    let changes = match (choice % 4, known) {
        (0, _) => vec![insert(own(1), nowhere), insert(own(2), Anchor::Before(own(78)))],
        (1, Some(known)) => vec![
            Change::ListMove { element: known, anchor: nowhere },
            Change::ListMove { element: own(77), anchor: Anchor::Head },
            Change::ListSet { element: own(78), value: Value::Int(-2) },
            Change::ListRemove { element: own(79) },
        ],
        (2, Some(known)) => vec![insert(own(1), Anchor::Head), insert(known, Anchor::Head)],
        _ => vec![insert(own(1), Anchor::Head), insert(own(1), Anchor::Head)],
    };
    let mut encoder = Encoder::new(header)?;
    for change in changes {
        encoder.push(&Operation::Change { target, property: LINES, change })?;
    }
    encoder.finish()
}
