//! Incidents: crashes, copied files, newer apps, logouts, an intruder, backups, and the network.

use super::super::super::compare::CheckError;
use super::super::network::Quality;
use super::super::oracle::{Submitted, identity};
use super::link::LinkEvent;
use super::{COPIES_MAX, SessionHarness};
use crate::Rng;
use fastness_models::{Op, OpKind};
use fastness_sync::session::ClientConnectionInput;
use std::collections::BTreeSet;

/// Bits of an operand: both copies of a file write the same entry, which is refused.
const TWINS: u8 = 3;
/// Time in which a client connects and uploads.
const TWINS_MS: u64 = 5_000;
/// Bits of an operand: an entry is refused, and its client does not hear of it.
const SILENT: u8 = 0xc0;
/// Bits of an operand: downloads of a client are not what the server sent.
const TAMPERED: u8 = 0x80;
/// Downloads in a row after which a client resets.
const TAMPERED_MAX: u8 = 2;

impl SessionHarness<'_> {
    pub(super) fn set_network(&mut self, op: Op) -> Result<(), CheckError> {
        let client = usize::from(op.a) % self.peers.len();
        let ways = self.links.network_mut(client);
        match op.b % 8 {
            0 => ways.iter_mut().for_each(|way| way.is_cut = true),
            1 => ways[0].is_cut = true,
            2 => ways[1].is_cut = true,
            3 => ways.iter_mut().for_each(|way| way.loss = 2 + usize::from(op.c % 8)),
            4 => ways.iter_mut().for_each(|way| way.jitter_ms = 100 << (op.c % 6)),
            5 => {
                if let Some(connection) = self.peers[client].connection {
                    self.world.rng(|rng| self.links.end(self.now_ms, connection, rng));
                }
            }
            _ => ways.fill(Quality::GOOD),
        }
        Ok(())
    }

    /// Ends a process, at once or during its next change of its file.
    pub(super) fn crash(&mut self, machine: usize, op: Op) -> Result<(), CheckError> {
        let is_power_loss = op.kind == OpKind::PowerLoss;
        let Some(peer) = self.peers.get_mut(machine) else {
            if op.b & 1 == 0 {
                self.host.server.crashes = true;
                return Ok(());
            }
            self.host.server.restart(is_power_loss)?;
            return self.host_restarted();
        };
        if op.b & 1 == 0 {
            peer.file.crashes = true;
            return Ok(());
        }
        peer.file.restart(is_power_loss)?;
        peer.restart()?;
        self.after_peer(machine)
    }

    /// Lets an intruder call, or changes what all users may do.
    pub(super) fn happen_at_host(&mut self, op: Op) -> Result<(), CheckError> {
        if op.kind == OpKind::Permit {
            self.host.may_write = op.a & 3 != 0;
            return self.host_restarted();
        }
        if self.is_about_resets() && op.b & SILENT == TAMPERED {
            self.tampered.insert(usize::from(op.a) % self.peers.len(), TAMPERED_MAX);
            return Ok(());
        }
        if op.b & SILENT == SILENT {
            return self.refuse_in_silence(usize::from(op.a) % self.peers.len());
        }
        let now_ms = self.server_ms();
        self.host.server.intrude(op, (&mut self.oracle, self.probe), now_ms)?;
        self.with_host(|host, scene| host.announce(scene))
    }

    /// Refuses the next entry of a client, whose connection broke, and begins an epoch: only a
    /// snapshot tells the client of the refusal.
    fn refuse_in_silence(&mut self, index: usize) -> Result<(), CheckError> {
        let peer = &mut self.peers[index];
        let meta = peer.file.meta()?;
        let is_current = self.oracle.is_current(meta.epoch) && identity(peer.key) == meta.client;
        if meta.client == 0 || !is_current || peer.has_copy || peer.file.is_resetting()? {
            return Ok(());
        }
        let entries = peer.file.upload_after(meta.answered, 1)?;
        let Some(entry) = entries.first() else { return Ok(()) };
        peer.note_sent(meta.answered + 1);
        let submitted = Submitted { now_ms: self.server_ms(), may_write: false };
        let server = &mut self.host.server;
        if !server.refuse((meta.client, entry.as_slice()), submitted, &mut self.oracle)? {
            return Ok(());
        }
        server.begin_epoch(&mut self.oracle)?;
        self.probe.mark("an entry was refused in silence");
        self.host_restarted()
    }

    pub(super) fn happen_at_peer(&mut self, index: usize, op: Op) -> Result<(), CheckError> {
        match op.kind {
            OpKind::Copy if op.b & TWINS == TWINS => self.copy_and_write(index, op),
            OpKind::Copy => self.copy(index).map(drop),
            OpKind::Migrate => self.upgrade(index),
            OpKind::LogOut if !self.peers[index].is_logged_out => {
                self.probe.mark("a user logged out");
                self.peers[index].is_logged_out = true;
                self.peer_input(index, ClientConnectionInput::LoggedOut)
            }
            _ => {
                self.log_in(index);
                Ok(())
            }
        }
    }

    pub(super) fn log_in(&mut self, index: usize) {
        if std::mem::take(&mut self.peers[index].is_logged_out) {
            self.probe.mark("a user logged in again");
            self.links.at(self.now_ms + 1, LinkEvent::Token { client: index });
        }
    }

    /// Copies a client's file to another device. Tells whether it could be copied.
    fn copy(&mut self, index: usize) -> Result<bool, CheckError> {
        let peer = &mut self.peers[index];
        let is_busy = peer.file.is_resetting()? || !peer.file.entries_after(0)?.is_empty();
        if peer.key == 0 || is_busy || self.copies >= COPIES_MAX {
            return Ok(false);
        }
        self.probe.mark("a file was copied");
        let copy = peer.copy(self.oracle.copy(peer.key), self.world.rng(Rng::next))?;
        self.copies += 1;
        self.links.add_client();
        self.peers.push(copy);
        self.check(self.peers.len() - 1)?;
        Ok(true)
    }

    /// Copies a client's file. Both users write the same, which is refused; that of the copy has
    /// logged out. So only the other one hears of the refusal, and its next session says so.
    fn copy_and_write(&mut self, index: usize, op: Op) -> Result<(), CheckError> {
        if !self.copy(index)? {
            return Ok(());
        }
        let copy = self.peers.len() - 1;
        // A new process has not heard of the server's time either: both stamp alike.
        self.peers[index].file.restart(false)?;
        self.peers[index].restart()?;
        self.after_peer(index)?;
        self.peers[copy].is_logged_out = true;
        self.peer_input(copy, ClientConnectionInput::LoggedOut)?;
        self.host.may_write = false;
        self.host_restarted()?;
        let value = self.value;
        for a in [index, copy].into_iter().filter_map(|index| u8::try_from(index).ok()) {
            self.value = value;
            self.write(Op { kind: OpKind::Set, a, ..op })?;
        }
        self.advance(TWINS_MS)?;
        self.host_restarted()?;
        self.advance(TWINS_MS)?;
        self.log_in(copy);
        Ok(())
    }

    /// Tells whether two copies of a file have one identity.
    pub(super) fn is_identity_shared(&self) -> bool {
        let identities = self.peers.iter().map(|peer| identity(peer.key));
        let known: Vec<u32> = identities.filter(|client| *client > 0).collect();
        known.iter().collect::<BTreeSet<_>>().len() < known.len()
    }

    /// Installs a newer version of the app.
    pub(super) fn upgrade(&mut self, index: usize) -> Result<(), CheckError> {
        let peer = &mut self.peers[index];
        if peer.key == 0 {
            return Ok(());
        }
        // The process ends; the other version of the app begins.
        peer.file.set_time(self.now_ms.saturating_add_signed(peer.skew_ms));
        let is_newer = peer.file.upgrade()?;
        self.probe.mark(match is_newer {
            true => "a newer app opened a file",
            false => "a newer app could not open a file with other definitions",
        });
        peer.restart()?;
        self.after_peer(index)
    }

    pub(super) fn restore(&mut self, op: Op) -> Result<(), CheckError> {
        if let Some(mark) = self.host.server.restore(op.a, &mut self.oracle)? {
            self.probe.mark(mark);
            self.host_restarted()?;
        }
        Ok(())
    }

    pub(super) fn compact(&mut self) -> Result<(), CheckError> {
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            peer.file.compact(self.probe)?;
            if peer.file.take_restart() {
                peer.restart()?;
            }
            self.after_peer(index)?;
        }
        let now_ms = self.server_ms();
        let before = self.oracle.history.server.horizon();
        let horizon = self.host.server.compact(&mut self.oracle, now_ms)?;
        self.host.server.compare_state(&mut self.oracle)?;
        if horizon > before {
            self.probe.mark("the horizon advanced");
        }
        // The server knows of copies as of one client.
        for peer in self.peers.iter().filter(|peer| !peer.has_copy) {
            let needs = peer.file.needs()?;
            self.host.server.check_needs(needs, (&self.oracle, now_ms))?;
        }
        Ok(())
    }
}
