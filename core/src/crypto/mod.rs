//! Keys and the sealing of pages; the only place that names a cipher.
//!
//! To *seal* a page is to encrypt and authenticate it, or in a plain file to compute its checksum.
//! The result is the bytes on disk and a 16-byte seal, which the pointer in the parent page stores.
//! Encrypted files use AES-256-GCM, plain files XXH3-128; the layout is the same.
//!
//! - E1 No two different pages are ever sealed under one key and nonce, also after a crash and a
//!   retry: every batch draws a new salt, and seals each page number at most once.
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

/// A source of cryptographically secure random bytes.
pub trait RandomSource: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// If the source fails; nothing is sealed then.
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

/// Authentication tag or checksum of a page. It proves that the page is the one that its pointer
/// names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seal(pub(crate) [u8; SEAL_BYTES]);

pub(crate) const SEAL_BYTES: usize = 16;

/// Bytes at the start of a page that sealing fills: the salt, or in a plain file the page number
/// and the commit.
pub(crate) const HEAD_BYTES: usize = 16;

/// Unencrypted bytes of a log page: the salt; commit, index and count.
pub(crate) const LOG_CLEAR_BYTES: usize = HEAD_BYTES + 16;

/// Salt of the key derivation, and the identity of the file.
pub(crate) type FileSalt = [u8; 32];
