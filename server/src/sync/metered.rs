//! A stream that reads a few bytes only until its peer has proved who it is.
//!
//! - H25 A connection without an accepted token costs a bounded number of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes before the first accepted token: HELLO and a few times AUTH.
const UNAUTHENTICATED_BYTES_MAX: usize = 32 << 10;

/// A stream with a quota of bytes to read.
pub(super) struct Metered<S> {
    stream: S,
    quota: ReadQuota,
}

/// Bytes that a stream may still read. Clones share the number.
#[derive(Clone)]
pub(super) struct ReadQuota(Arc<AtomicUsize>);

impl ReadQuota {
    /// Ends the limit.
    pub(super) fn end(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    /// Tells whether no byte is left.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes the bytes that were read, unless the limit has ended.
    fn take(&self, bytes: usize) {
        let left = self.0.load(Ordering::Relaxed);
        if left < usize::MAX {
            self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
        }
    }
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, quota: ReadQuota(Arc::new(AtomicUsize::new(UNAUTHENTICATED_BYTES_MAX))) }
    }

    pub(super) fn quota(&self) -> ReadQuota {
        self.quota.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.quota.is_used_up() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.quota.take(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
