//! Client resets: the world of the check `sessions`, with many of them.
//!
//! The server is restored from backups, also of histories that it has abandoned; clients expire;
//! files are copied; downloads are not what the server sent. Snapshots come in many small parts,
//! and crashes and lost connections interrupt each step. Apps write meanwhile, and observers watch.
//! Each client recovers its operations or discards them, and each backup is opened.

use super::super::super::compare::CheckError;
use super::super::file::ClientFile;
use super::host::HostMessage;
use super::{Focus, SessionHarness, run};
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::check::promises::{
    HC1, SV1, SV2, SV5, SY1, SY3, SY4, SY12, SY13, SY14, SY17, SY19, SY22, SY23, SY25, W1,
};
use fastness_models::OpKind;
use fastness_sync::frame::{Compression, Frame, Message, Packet};

pub(in crate::check) const CHECK: Check = Check {
    name: "reset",
    about: "client resets of every cause and mode, interrupted at every step, beside writers and \
            observers",
    invariants: &[
        SY12, SY13, SY25, SY1, SY3, SY4, SY14, SY17, SY19, SY22, SY23, SV1, SV2, SV5, W1, HC1,
    ],
    marks: &[
        "reset: expired",
        "reset: diverged",
        "reset: unknown client",
        "reset: cloned",
        "reset: bad download",
        "reset: an entry was recovered",
        "reset: kept what was written after its backup",
        "reset: its backup was compared",
        "reset: left to the app",
        "reset: an observer saw its changes",
        "reset: the snapshot named a refusal",
        "reset: the file kept local objects",
        "reset: crash while it began: rolled back",
        "reset: crash while it began: committed",
        "reset: crash at a part of the snapshot",
        "reset: crash in the last step: committed",
        "outcome: applied",
        "outcome: no operation",
        "outcome: deleted",
        "outcome: schema",
        "outcome: discarded",
        "a client received a part of a snapshot",
        "a download was not what the server sent",
        "a file was copied",
        "a copied file gave up its identity",
        "an entry was refused",
        "an entry was refused in silence",
        "a frame was lost",
        "a connection ended",
        "client: crash during a commit: committed",
        "client: crash during a commit: rolled back",
        "server: a backup was restored",
        "the horizon advanced",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 12),
            (OpKind::Delete, 4),
            (OpKind::Set, 16),
            (OpKind::Add, 4),
            (OpKind::ListInsert, 18),
            (OpKind::ListEdit, 18),
            (OpKind::ChangeSchema, 4),
            (OpKind::AdvanceClock, 36),
            (OpKind::SetClock, 3),
            (OpKind::Network, 12),
            (OpKind::Kill, 16),
            (OpKind::PowerLoss, 6),
            (OpKind::Compact, 8),
            (OpKind::KeepCopy, 8),
            (OpKind::RestoreBackup, 10),
            (OpKind::ForeignCall, 12),
            (OpKind::Permit, 2),
            (OpKind::Copy, 4),
            (OpKind::Migrate, 2),
            (OpKind::LogOut, 3),
            (OpKind::LogIn, 3),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    run((plan, twin), Focus::Resets, probe)
}

impl SessionHarness<'_> {
    /// The app carries out a reset that was left to it: it makes a backup, and begins with a new
    /// file. Until then the file is as before.
    pub(super) fn reset_by_app(&mut self, index: usize) -> Result<(), CheckError> {
        self.peers[index].awaits_app = false;
        self.check(index)?;
        let peer = &mut self.peers[index];
        peer.keep_backup(&mut self.oracle)?;
        self.oracle.abandon(peer.key);
        let local_ms = self.now_ms.saturating_add_signed(peer.skew_ms);
        peer.replace(ClientFile::create(self.world, local_ms)?);
        self.probe.mark("reset: left to the app");
        Ok(())
    }

    /// Gives a download another salt than the server's, as often as one of its client has to.
    pub(super) fn tamper(&mut self, message: HostMessage) -> HostMessage {
        let HostMessage::Frame(connection, bytes) = message else { return message };
        let client = self.links.client_of(connection);
        let left = client.and_then(|client| self.tampered.get_mut(&client));
        let left = left.filter(|left| **left > 0);
        let Some((left, other)) = left.zip(with_other_salt(&bytes)) else {
            return HostMessage::Frame(connection, bytes);
        };
        *left -= 1;
        self.probe.mark("a download was not what the server sent");
        HostMessage::Frame(connection, other)
    }
}

/// Returns a download with another salt; none for another frame.
fn with_other_salt(bytes: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::open(bytes).ok()?;
    let frame = packet.frame().ok()?;
    let session = frame.session;
    let Message::Download(mut download) = frame.message else { return None };
    download.salt ^= 1;
    Frame::new(session, Message::Download(download)).encode(Compression::Auto).ok()
}
