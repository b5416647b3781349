//! The server over real sockets, in one binary: [`login`] with our client, [`sockets`] byte by
//! byte, [`sync`] frame by frame, [`devices`] with synced files, [`console`] as an administrator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod console;
mod devices;
#[cfg(feature = "faults")]
mod faults;
mod login;
mod sockets;
mod sync;
