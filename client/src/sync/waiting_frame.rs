//! Frames that wait for the thread of a file, and how many bytes they have.

use crate::fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes of frames that wait for the thread of a file. An honest server sends 4 MiB of entries
/// without credit for more, and then a few short answers.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Memory of a waiting frame beside its bytes.
const FRAME_OVERHEAD_BYTES: usize = 128;

/// Counts the bytes of frames that wait for a file.
#[derive(Clone, Default)]
pub(crate) struct WaitingBytes(Arc<AtomicUsize>);

/// A frame that waits for the thread of a file, and is counted until it is dropped.
pub(crate) struct WaitingFrame {
    pub(crate) bytes: Vec<u8>,
    waiting: WaitingBytes,
}

impl WaitingBytes {
    /// Counts a frame; none if too many wait.
    pub(crate) fn count(&self, bytes: Vec<u8>) -> Option<WaitingFrame> {
        let size = bytes.len() + FRAME_OVERHEAD_BYTES;
        let is_full = self.0.load(Ordering::Relaxed) + size > WAITING_BYTES_MAX;
        if is_full && !fault::on("NR-77") {
            return None;
        }
        self.0.fetch_add(size, Ordering::Relaxed);
        Some(WaitingFrame { bytes, waiting: self.clone() })
    }
}

impl Drop for WaitingFrame {
    fn drop(&mut self) {
        self.waiting.0.fetch_sub(self.bytes.len() + FRAME_OVERHEAD_BYTES, Ordering::Relaxed);
    }
}
