//! The way from a connection to the thread of a file, in bounded memory.
//!
//! - CS11 Frames that wait for a file have a bounded number of bytes, whatever the server sends.

use super::message::FileMessage;
use super::waiting_frame::WaitingBytes;
use std::sync::mpsc::Sender;

/// The way to the thread of a file, for its connection.
pub(crate) struct FileInbox {
    sender: Sender<FileMessage>,
    waiting: WaitingBytes,
}

impl FileInbox {
    pub(crate) fn new(sender: Sender<FileMessage>) -> Self {
        Self { sender, waiting: WaitingBytes::default() }
    }

    /// Sends a message. A file whose thread has ended needs none.
    pub(crate) fn send(&self, message: FileMessage) {
        self.sender.send(message).unwrap_or_default();
    }

    /// Sends a frame, unless too many wait: then the file learns that instead.
    pub(crate) fn send_frame(&self, bytes: Vec<u8>) -> bool {
        let frame = self.waiting.count(bytes).map(FileMessage::Frame);
        let is_sent = frame.is_some();
        self.send(frame.unwrap_or(FileMessage::Flooded));
        is_sent
    }
}
