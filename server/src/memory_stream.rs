//! In-memory connection: the input is fixed and the output is collected, for tests of the whole
//! path of a request.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Server side of the connection: reads the pieces in order, then the end of the stream.
#[derive(Debug)]
pub(crate) struct MemoryStream {
    pieces: VecDeque<Vec<u8>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl MemoryStream {
    /// Creates a connection and the buffer of its output.
    pub(crate) fn new(pieces: impl IntoIterator<Item = Vec<u8>>) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let answered = Arc::default();
        (Self { pieces: pieces.into_iter().collect(), answered: Arc::clone(&answered) }, answered)
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // An empty read means the end of the stream.
        while self.pieces.front().is_some_and(Vec::is_empty) {
            self.pieces.pop_front();
        }
        if let Some(piece) = self.pieces.front_mut() {
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..count]);
            piece.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
