//! A client's file beside its model.
//!
//! - SY1 The canonical state is the fold of the history up to the cursor.
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY12 A reset decides as the model does.

use super::super::super::compare::CheckError;
use super::super::oracle::ClientPosition;
use super::super::recovery::AfterReset;
use super::super::replica::OwnEntry;
use super::SessionHarness;
use crate::check::definition::Violation;
use crate::check::promises::{SY4, SY12};

impl SessionHarness<'_> {
    /// Compares a client's file with its model.
    pub(super) fn check(&mut self, index: usize) -> Result<(), CheckError> {
        let Self { peers, oracle, probe, host, .. } = self;
        let peer = &mut peers[index];
        let meta = peer.file.meta()?;
        if peer.compared == Some(meta) || meta.client == 0 {
            return Ok(());
        }
        let own = own_entries(meta.client, peer.file.entries_after(0)?)?;
        let ClientPosition { client, epoch, cursor } =
            ClientPosition { client: meta.client, epoch: meta.epoch, cursor: meta.cursor };
        if peer.client == 0 {
            oracle.begin(client, (oracle.epoch(), 0))?;
            own.iter().try_for_each(|own| oracle.wrote(own))?;
            peer.renamed(client);
        } else if peer.client != client {
            let position = ClientPosition { client, epoch, cursor };
            for number in peer.file.refused_numbers(peer.client)? {
                oracle.refused(peer.client, number)?;
            }
            let of = (epoch, cursor, meta.horizon);
            let Some(fresh) = host.states.get(&of).cloned() else {
                let text = format!("client {client} has a snapshot {of:?} that no one sent");
                return Err(Violation::new(SY12.id, text).into());
            };
            let report = peer.file.take_report()?;
            for _ in report.refused() {
                probe.mark("reset: the snapshot named a refusal");
            }
            let own = own.clone();
            let has_purged = peer.has_purged;
            own.iter().for_each(|_| probe.mark("reset: an entry was recovered"));
            let after = AfterReset { position, own, report: &report, has_purged };
            oracle.reset(peer.client, (&after, fresh))?;
            peer.file.note_reset(meta.horizon);
            peer.renamed(client);
        }
        for number in peer.file.refused_numbers(client)? {
            oracle.refused(client, number)?;
        }
        if std::mem::take(&mut peer.has_restarted) {
            oracle.lost_after(client, meta.last_client_seq);
        }
        for entry in &own {
            if !oracle.has_written(client, entry.header.client_seq) {
                oracle.wrote(entry)?;
            }
        }
        let epoch = oracle.epoch_of(client, (epoch, cursor));
        let pending: Vec<u64> = own.iter().map(|own| own.header.client_seq).collect();
        oracle.follow(ClientPosition { client, epoch, cursor }, &pending)?;
        let states = oracle.states(client);
        peer.file.compare_states((&mut oracle.names, &states))?;
        peer.has_purged = peer.file.has_purged()?;
        peer.compared = Some(meta);
        Ok(())
    }
}

fn own_entries(client: u32, entries: Vec<Vec<u8>>) -> Result<Vec<OwnEntry>, Violation> {
    let own = entries.into_iter().map(|bytes| OwnEntry::of(client, bytes));
    let own: Result<Vec<OwnEntry>, _> = own.collect();
    own.map_err(|error| Violation::new(SY4.id, format!("an entry is malformed: {error:?}")))
}
