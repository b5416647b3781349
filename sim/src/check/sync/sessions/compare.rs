//! A client's file beside its model.
//!
//! - SY1 The canonical state is the fold of the history up to the cursor.
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY4 A dead letter has the entry and the reason for which the server refused it.
//! - SY12 A reset decides as the model does.
//! - SY19 An entry that was sent or durable stays, and its number is used once.

use super::super::super::compare::CheckError;
use super::super::oracle::{ClientPosition, Oracle, identity};
use super::super::recovery::AfterReset;
use super::super::replica::OwnEntry;
use super::SessionHarness;
use super::host::Host;
use super::peer::Peer;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SY4, SY12, SY19};
use fastness_sync::client::ClientMeta;
use fastness_sync::reset::Cause;

impl SessionHarness<'_> {
    /// Compares a client's file with its model.
    pub(super) fn check(&mut self, index: usize) -> Result<(), CheckError> {
        let Self { peers, oracle, probe, host, .. } = self;
        let peer = &mut peers[index];
        let meta = peer.file.meta()?;
        // A refusal of an entry that has others before it changes the dead letters only.
        let letters = peer.file.dead_letters(meta.client)?.len();
        if peer.compared == Some((meta, letters)) || meta.client == 0 {
            return Ok(());
        }
        let own = own_entries(meta.client, peer.file.entries_after(0)?)?;
        let has_reset = peer.key != 0 && identity(peer.key) != meta.client;
        if peer.key == 0 {
            oracle.begin(meta.client.into(), (oracle.epoch(), 0))?;
            own.iter().try_for_each(|own| oracle.wrote(meta.client.into(), own))?;
            peer.renamed(meta.client);
        } else if has_reset {
            follow_reset(peer, &own, &mut CompareScene { oracle, host, probe })?;
        }
        follow_entries(peer, oracle, &own)?;
        let client = peer.key;
        let epoch = oracle.epoch_of(client, (meta.epoch, meta.cursor));
        let pending: Vec<u64> = own.iter().map(|own| own.header.client_seq).collect();
        oracle.follow(ClientPosition { client, epoch, cursor: meta.cursor }, &pending)?;
        let states = oracle.states(client);
        peer.file.compare_states((&mut oracle.names, &states))?;
        peer.watch(has_reset, probe)?;
        if has_reset && peer.file.has_scratch() {
            probe.mark("reset: the file kept local objects");
        }
        if peer.file.shows_unknown(states.working.schema()) {
            probe.mark("an older app carries what it does not know");
        }
        peer.has_purged = peer.file.has_purged()?;
        peer.durable_seq = meta.durable_seq;
        peer.compared = Some((meta, letters));
        Ok(())
    }
}

/// Surroundings of a comparison.
struct CompareScene<'a, 'w> {
    oracle: &'a mut Oracle,
    host: &'a Host<'w>,
    probe: &'a mut Probe,
}

/// Lets the model follow a file to the identity that a reset gave it.
fn follow_reset(
    peer: &mut Peer<'_>,
    own: &[OwnEntry],
    CompareScene { oracle, host, probe }: &mut CompareScene<'_, '_>,
) -> Result<(), CheckError> {
    let meta = peer.file.meta()?;
    let ClientMeta { client, epoch, cursor, .. } = meta;
    let position = ClientPosition { client: client.into(), epoch, cursor };
    note_letters(peer, oracle)?;
    let of = (epoch, cursor, meta.horizon);
    let Some(fresh) = host.states.get(&of).cloned() else {
        let text = format!("client {client} has a snapshot {of:?} that no one sent");
        return Err(Violation::new(SY12.id, text).into());
    };
    let report = peer.file.take_report()?;
    for _ in report.refused() {
        probe.mark("reset: the snapshot named a refusal");
    }
    probe.mark(match report.cause {
        Cause::Expired => "reset: expired",
        Cause::Diverged => "reset: diverged",
        Cause::UnknownClient => "reset: unknown client",
        Cause::Cloned => "reset: cloned",
        Cause::BadDownload if peer.examination.is_some() => "reset: bad download",
        Cause::BadDownload => {
            let text = format!("client {client} got a bad download");
            return Err(Violation::new(SY12.id, text).into());
        }
    });
    own.iter().for_each(|_| probe.mark("reset: an entry was recovered"));
    let discarded = peer.examine(&report, (oracle, probe))?;
    let Peer { has_purged, durable_seq, has_restarted, .. } = *peer;
    let own = own.to_vec();
    let report = &report;
    let after =
        AfterReset { position, own, report, has_purged, durable_seq, discarded, has_restarted };
    oracle.reset(peer.key, (&after, fresh))?;
    peer.file.note_reset(meta.horizon);
    peer.renamed(client);
    Ok(())
}

/// Notes the dead letters of a file.
fn note_letters(peer: &Peer<'_>, oracle: &mut Oracle) -> Result<(), CheckError> {
    for letter in peer.file.dead_letters(identity(peer.key))? {
        oracle.refused(peer.key, letter.client_seq)?;
        oracle.compare_letter(peer.key, &letter)?;
    }
    Ok(())
}

/// Notes the entries of a file: refused ones, lost ones and new ones.
fn follow_entries(
    peer: &mut Peer<'_>,
    oracle: &mut Oracle,
    own: &[OwnEntry],
) -> Result<(), CheckError> {
    note_letters(peer, oracle)?;
    let mut last = peer.file.last_client_seq()?;
    for entry in own {
        if oracle.wrote_other(peer.key, entry)? {
            last = last.min(entry.header.client_seq - 1);
        }
    }
    let has_lost = oracle.last_written(peer.key) > last;
    if has_lost && (!std::mem::take(&mut peer.has_restarted) || last < peer.least()) {
        let text = format!("client {} has other entries than it wrote after {last}", peer.key);
        return Err(Violation::new(SY19.id, text).into());
    }
    oracle.lost_after(peer.key, last);
    for entry in own {
        if !oracle.has_written(peer.key, entry.header.client_seq) {
            oracle.wrote(peer.key, entry)?;
        }
    }
    peer.has_restarted = false;
    Ok(())
}

fn own_entries(client: u32, entries: Vec<Vec<u8>>) -> Result<Vec<OwnEntry>, Violation> {
    let own = entries.into_iter().map(|bytes| OwnEntry::of(client, bytes));
    let own: Result<Vec<OwnEntry>, _> = own.collect();
    own.map_err(|error| Violation::new(SY4.id, format!("an entry is malformed: {error:?}")))
}
