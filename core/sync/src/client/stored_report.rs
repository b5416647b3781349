//! Reports of resets in the file, until the app has acknowledged them.
//!
//! - SY12 The report of a reset commits with it, so a crash loses none. No number of a report is
//!   used twice, so an app that is late acknowledges nothing that it has not seen.
//!
//! Format: docs/sync.md#client-file.

use super::error::ClientResult;
use super::layout::{META, REPORT, REPORTS, number_key, read_number, read_report_key, report_key};
use super::outcome_bytes::{put_outcome, read_outcome};
use super::replica::ClientReplica;
use crate::codec::{Reader, put_binary, put_varint};
use crate::outcome::Outcome;
use crate::reset::{Cause, ReportedRefusal, ResetReport};
use fastness::table::{SideKey, Tables};
use fastness::{Error, StoreSnapshot};

/// A report of a reset that the app has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// Number of the report in its file, from 1.
    pub number: u64,
    /// The report.
    pub report: ResetReport,
}

impl ClientReplica {
    /// Returns the oldest report of a reset that the app has not acknowledged.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn stored_report(&self) -> ClientResult<Option<StoredReport>> {
        let snapshot = self.database().store().snapshot();
        let Some((key, cause)) = snapshot.tree(REPORTS).first()? else { return Ok(None) };
        let number = read_report_key(&key).filter(|(_, place)| *place == 0);
        let (number, _) = number.ok_or_else(|| self.damaged())?;
        let report = read(&snapshot, (number, &cause))?;
        let report = report.ok_or_else(|| self.damaged())?;
        Ok(Some(StoredReport { number, report }))
    }

    /// Drops the reports up to a number: the app has shown or kept what they say.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn acknowledge_report(&self, number: u64) -> ClientResult<()> {
        let mut txn = self.database().write()?;
        let mut tree = txn.tables().txn_mut().tree(REPORTS)?;
        let last = report_key(number, u64::MAX);
        let mut keys = Vec::new();
        for entry in tree.range(..=&last[..])? {
            keys.push(entry?.0);
        }
        keys.iter().try_for_each(|key| tree.remove(key).map(drop))?;
        txn.commit()?;
        Ok(())
    }
}

/// Stores a report, within the transaction of its reset.
pub(super) fn put(tables: &mut Tables, report: &ResetReport) -> Result<(), Error> {
    let number = next_number(tables)?;
    let txn = tables.txn_mut();
    txn.tree(META)?.insert(REPORT, &number_key(number))?;
    let mut tree = txn.tree(REPORTS)?;
    let mut bytes = Vec::new();
    put_varint(&mut bytes, report.cause.code().into());
    put_varint(&mut bytes, report.client.into());
    for ReportedRefusal { client_seq, code, operation } in report.refused() {
        put_varint(&mut bytes, *client_seq);
        put_varint(&mut bytes, (*code).into());
        put_varint(&mut bytes, operation.map_or(0, |index| u64::from(index) + 1));
    }
    tree.insert(&report_key(number, 0), &bytes)?;
    for (place, (entry, outcomes)) in (1..).zip(report.entries()) {
        bytes.clear();
        put_binary(&mut bytes, entry);
        outcomes.iter().for_each(|outcome| put_outcome(&mut bytes, *outcome));
        tree.insert(&report_key(number, place), &bytes)?;
    }
    Ok(())
}

/// Returns the number of the next report.
fn next_number(tables: &Tables) -> Result<u64, Error> {
    let last = match tables.side_get(SideKey { tree: META, key: REPORT })? {
        Some(number) => read_number(&number),
        None => Some(0),
    };
    last.and_then(|last| last.checked_add(1)).ok_or_else(|| tables.damaged())
}

/// Reads a report from its cause on; none if the file is damaged.
fn read(
    snapshot: &StoreSnapshot,
    (number, cause): (u64, &[u8]),
) -> Result<Option<ResetReport>, Error> {
    let Some(mut report) = read_cause(cause) else { return Ok(None) };
    let (first, last) = (report_key(number, 1), report_key(number, u64::MAX));
    for entry in snapshot.tree(REPORTS).range(&first[..]..=&last[..])? {
        let Some((entry, outcomes)) = read_entry(&entry?.1) else { return Ok(None) };
        let count = crate::entry::decode(&entry).map(|entry| entry.operations.len());
        if count != Ok(outcomes.len()) || report.push(&entry, outcomes).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(report))
}

fn read_cause(bytes: &[u8]) -> Option<ResetReport> {
    let mut rest = Reader::new(bytes);
    let cause = u16::try_from(rest.varint().ok()?).ok().and_then(Cause::of_code)?;
    let client = rest.u32().ok()?;
    let mut report = ResetReport::new(cause, client);
    while !rest.is_empty() {
        let (client_seq, code) = (rest.varint().ok()?, rest.varint().ok()?.try_into().ok()?);
        let operation = rest.varint().ok()?.checked_sub(1).map(u32::try_from);
        let operation = operation.transpose().ok()?;
        report.push_refused(ReportedRefusal { client_seq, code, operation });
    }
    Some(report)
}

fn read_entry(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Outcome>)> {
    let mut rest = Reader::new(bytes);
    let entry = rest.binary().ok()?.to_vec();
    let mut outcomes = Vec::new();
    while !rest.is_empty() {
        outcomes.push(read_outcome(&mut rest)?);
    }
    Some((entry, outcomes))
}
