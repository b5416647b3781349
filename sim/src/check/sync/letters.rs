//! Entries that the model's server takes or refuses, and the dead letters of clients.
//!
//! - SY4 A client has a dead letter for each refused entry: the entry itself, and the reason.
//! - SY16 The server refuses what its model refuses, for the same operation.

use super::oracle::{ClientKey, Oracle, Submitted, identity, violation};
use crate::check::definition::Violation;
use crate::check::promises::{SV1, SY4};
use fastness_models::merge::server::{Answer as ModelAnswer, Refusal as ModelRefusal, Server};
use fastness_models::merge::{PENDING, SyncEntry};
use fastness_sync::client::{DeadLetter, Refusal};
use fastness_sync::frame::Code;
use fastness_sync::server::{EntryRefusal, RefusalCode};

/// The code of a refusal as the client gets it.
pub(super) const fn code(refusal: EntryRefusal) -> Code {
    match refusal.code {
        RefusalCode::Schema => Code::SCHEMA_CONFLICT,
        RefusalCode::Forbidden => Code::ENTRY_FORBIDDEN,
        _ => Code::BAD_ENTRY,
    }
}

/// A refusal as the client stores it.
pub(super) const fn stored(refusal: EntryRefusal) -> Refusal {
    Refusal { code: code(refusal).0, operation: refusal.operation }
}

impl Oracle {
    /// Lets the model's server take an entry.
    pub(super) fn take(
        &mut self,
        entry: &SyncEntry,
        Submitted { now_ms, may_write }: Submitted,
    ) -> Result<ModelAnswer, ModelRefusal> {
        let answer = self.history.server.submit_as(entry, now_ms, may_write);
        let number = (entry.client, entry.client_seq);
        if let Err(refusal) = answer
            && !self.history.letters.contains_key(&number)
            && let Some(code) = refusal_code(refusal)
        {
            let operation = operation_of(refusal, (&self.history.server, entry));
            self.history.letters.insert(number, EntryRefusal { code, operation });
            self.history.refused.insert(number, entry.clone());
        }
        answer
    }

    /// Lets the model's server take entries whose answers were lost.
    pub(super) fn take_all(
        &mut self,
        client: u32,
        entries: &[&[u8]],
        submitted: Submitted,
    ) -> Result<(), Violation> {
        for bytes in entries {
            let entry = self.entry(client, bytes)?;
            if let Ok(ModelAnswer::Sequenced(_)) = self.take(&entry, submitted) {
                self.fold_last(client, bytes);
            }
        }
        Ok(())
    }

    /// Returns why the server refused an entry for ever.
    pub(super) fn letter(&self, client: u32, number: u64) -> Option<EntryRefusal> {
        self.history.letters.get(&(client, number)).copied()
    }

    /// Notes that a client knows a refusal.
    pub(super) fn refused(&mut self, client: ClientKey, number: u64) -> Result<(), Violation> {
        let model = self.clients.get_mut(&client).expect("the client exists");
        model.refused.insert(number);
        let epoch = model.epoch;
        let written = model.written.get(&number).map(|written| written.entry.clone());
        let parts = |entry: &SyncEntry| (entry.stamp, entry.operations.clone());
        match self.history_of(epoch).refused.get(&(identity(client), number)) {
            // A copy of the file may have written the entry that was refused.
            Some(refused) if written.is_none_or(|it| parts(&it) == parts(refused)) => Ok(()),
            Some(_) => {
                let text =
                    format!("entry {number} of {client} counts as refused, as one of a copy");
                violation(SV1.id, text)
            }
            None => violation(SY4.id, format!("entry {number} of {client} was not refused")),
        }
    }

    /// Compares a dead letter of a client's file. A letter without a code is of a refusal that the
    /// history showed.
    pub(super) fn compare_letter(
        &mut self,
        client: ClientKey,
        letter: &DeadLetter,
    ) -> Result<(), Violation> {
        let DeadLetter { client_seq: number, refusal: found, ref entry, .. } = *letter;
        let model = &self.clients[&client];
        let expected = self.history_of(model.epoch).letters.get(&(identity(client), number));
        let expected = expected.map(|refusal| stored(*refusal));
        if found.code != 0 && Some(found) != expected {
            let text = format!("entry {number} of {client} is refused for {found:?}");
            return violation(SY4.id, format!("{text}, not {expected:?}"));
        }
        let written = model.written.get(&number).map(|written| written.entry.clone());
        let found = self.names.entry((identity(client), PENDING), entry).ok();
        if written.is_some() && found != written {
            let text = format!("the dead letter of entry {number} of {client} has {found:?}");
            return violation(SY4.id, format!("{text}, not {written:?}"));
        }
        Ok(())
    }
}

const fn refusal_code(refusal: ModelRefusal) -> Option<RefusalCode> {
    match refusal {
        ModelRefusal::Schema => Some(RefusalCode::Schema),
        ModelRefusal::Element => Some(RefusalCode::Element),
        ModelRefusal::Forbidden => Some(RefusalCode::Forbidden),
        ModelRefusal::Gap | ModelRefusal::Base | ModelRefusal::Expired => None,
    }
}

/// Returns the index of the operation for which the model's server refused an entry: the operations
/// before it would pass.
fn operation_of(refusal: ModelRefusal, (server, entry): (&Server, &SyncEntry)) -> Option<u32> {
    if refusal == ModelRefusal::Forbidden {
        return None;
    }
    let is_refused = |count: &usize| {
        let operations = entry.operations[..*count].to_vec();
        let part = SyncEntry { client_seq: entry.client_seq + 1, operations, ..entry.clone() };
        server.clone().submit(&part, 0) == Err(refusal)
    };
    let count = (1..=entry.operations.len()).find(is_refused)?;
    u32::try_from(count - 1).ok()
}
