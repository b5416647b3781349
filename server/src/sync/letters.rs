//! Refused entries, for the operator: their operations as text, retries, and what is dropped.
//!
//! - SV7 A retry has the seq of the new entry, or the reason for which nothing changed.

use super::hub::SyncHub;
use super::job::Job;
use super::operator::{ROWS_MAX, Reason, cut, failure, operator_path, refusal};
use crate::clocks::millis;
use crate::random::random;
use fastness_sync::entry::Operations;
use fastness_sync::server::{
    Answer, EntryRefusal, KeptEntry, RefusalCode, RefusedEntry, Retry, UploadStop,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Operations of an entry that a report describes.
const OPERATIONS_MAX: usize = 100;
/// Characters of an operation that a report shows.
const TEXT_MAX: usize = 300;

impl SyncHub {
    /// Reports the refused entries of a database, the newest first.
    pub(super) fn dead_letters(&self, path: &str) -> Result<Value, Reason> {
        let opened = self.open_replica(&operator_path(path)?).map_err(refusal)?;
        let now = millis((self.clocks.wall)());
        let kept = opened.replica.refused_entries().map_err(failure)?;
        let known: BTreeSet<_> = kept.iter().map(|kept| (kept.client, kept.client_seq)).collect();
        let mut others = opened.replica.all_dead_letters(ROWS_MAX + 1).map_err(failure)?;
        let is_cut = cut(&mut others);
        let others = others.iter().filter(|it| !known.contains(&(it.client, it.client_seq)));
        let letters: Vec<Value> = kept
            .iter()
            .rev()
            .map(|kept| letter(kept, now))
            .chain(others.map(bare_letter))
            .collect();
        Ok(json!({ "dead_letters": letters, "is_cut": is_cut }))
    }

    /// Submits a refused entry again.
    pub(super) fn retry(&self, path: &str, number: u64) -> Result<Value, Reason> {
        let path = operator_path(path)?;
        let opened = self.open_replica(&path).map_err(refusal)?;
        let salt = random().map_err(|error| error.to_string())?;
        let retry = Retry { number, salt, now: millis((self.clocks.wall)()) };
        let answer = opened.replica.retry(&retry).map_err(failure)?;
        self.send_to(&path, Job::Changed);
        match answer {
            Answer::Sequenced { seq, .. } => Ok(json!({ "seq": seq })),
            Answer::Refused(EntryRefusal { code, operation }) => {
                let place = operation.map(|index| format!(" (operation {index})"));
                let place = place.unwrap_or_default();
                Err(format!("the entry is refused again: {}{place}", reason_of(code)))
            }
            Answer::Stopped(UploadStop::Header(error)) => Err(error.to_string()),
            Answer::Stopped(_) | Answer::Repeated => {
                Err("the history that the entry refers to does not exist".to_owned())
            }
        }
    }

    /// Drops a refused entry.
    pub(super) fn discard(&self, path: &str, number: u64) -> Result<Value, Reason> {
        let opened = self.open_replica(&operator_path(path)?).map_err(refusal)?;
        opened.replica.discard_refused(number).map_err(failure)?;
        Ok(json!({}))
    }
}

fn letter(kept: &KeptEntry, now: u64) -> Value {
    let operations: Vec<String> = match Operations::new(&kept.entry) {
        Ok(operations) => {
            let readable = operations.map_while(Result::ok).take(OPERATIONS_MAX);
            readable.map(|operation| shortened(&operation.to_string())).collect()
        }
        Err(_) => Vec::new(),
    };
    json!({
        "number": kept.number,
        "client": kept.client,
        "user": kept.user,
        "client_seq": kept.client_seq,
        "reason": reason_of(kept.refusal.code),
        "operation": kept.refusal.operation,
        "operations": operations,
        "seconds": now.saturating_sub(kept.at) / 1000,
        "is_pending": kept.is_pending,
        "may_retry": !kept.entry.is_empty(),
    })
}

/// A refusal of a version that did not keep entries.
fn bare_letter(entry: &RefusedEntry) -> Value {
    json!({
        "number": null,
        "client": entry.client,
        "client_seq": entry.client_seq,
        "reason": reason_of(entry.refusal.code),
        "operation": entry.refusal.operation,
        "operations": [],
        "is_pending": true,
        "may_retry": false,
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

const fn reason_of(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Malformed => "malformed",
        RefusalCode::Limit => "limit",
        RefusalCode::Schema => "schema",
        RefusalCode::Element => "element",
        RefusalCode::Forbidden => "forbidden",
        _ => "unknown",
    }
}
