//! Keys and the sealing of pages; the only place that names a cipher.
//!
//! Sealing takes a page of a tree and returns its bytes on disk and a 16-byte seal, which the
//! pointer above stores. Encrypted files seal with AES-256-GCM, plain files with
//! XXH3-128; the layout is the same.
//!
//! - E1 No two different pages are ever sealed under one key and nonce, whatever crashes and is
//!   retried: every batch draws a fresh salt, and seals each page number at most once.
//! - E2 A seal binds the content to the file, the page number and the commit that wrote it.
//! - E3 Key bytes are zeroed when dropped and never printed.
//!
//! Format: docs/format.md#sealing. Argument: docs/threats.md#nonces. Check: `sim::check::nonces`,
//! `sim::check::adversary`.

mod key;
mod seal;

pub use key::Key;
pub(crate) use key::{FileKeys, KeyCheck};
pub(crate) use seal::{Batch, FileSealer, PageIdentity};

use std::fmt;
use std::io;

/// A source of random bytes fit for keys.
pub trait RandomSource: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// If the source has none to give; nothing is sealed then.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        use ring::rand::SecureRandom as _;
        ring::rand::SystemRandom::new().fill(bytes).map_err(|_| io::Error::other("no random bytes"))
    }
}

/// Checksum or authentication tag that proves a page to be the one that its pointer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seal(pub(crate) [u8; SEAL_BYTES]);

pub(crate) const SEAL_BYTES: usize = 16;

/// Bytes at the start of a page that belong to the seal: the salt, or page number and birth.
pub(crate) const HEAD_BYTES: usize = 16;

/// Bytes of a log page that are not encrypted: the head, and what the page says of itself.
pub(crate) const LOG_CLEAR_BYTES: usize = HEAD_BYTES + 16;

/// Salt of the key derivation, and the identity of the file.
pub(crate) type FileSalt = [u8; 32];
