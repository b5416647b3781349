//! The server over real sockets: raw bytes in, raw bytes out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod logs;
mod support;
