//! Sealing and opening of pages, log pages and header slots.

use super::{FileKeys, FileSalt, HEAD_BYTES, LOG_CLEAR_BYTES, RandomSource, SEAL_BYTES, Seal};
use crate::codec::{Reader, put_at};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId, SLOT_BYTES};
use ring::aead::{Aad, MAX_TAG_LEN, Nonce};
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

/// Identity of a page: its number, and the commit that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PageIdentity {
    pub(crate) page: PageId,
    pub(crate) birth: CommitId,
}

/// Seals and opens the pages of one file.
#[derive(Clone, Debug)]
pub(crate) struct FileSealer {
    file: FileSalt,
    keys: Option<Arc<FileKeys>>,
}

impl PageIdentity {
    fn aad(self) -> Aad<[u8; 16]> {
        Aad::from(self.bytes())
    }

    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        put_at(&mut bytes, 0, &self.page.0.to_le_bytes());
        put_at(&mut bytes, 8, &self.birth.0.to_le_bytes());
        bytes
    }

    fn nonce(self) -> Nonce {
        let mut bytes = [0; 12];
        put_at(&mut bytes, 0, &self.page.0.to_le_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}

fn checksum(file: &FileSalt, bytes: &[u8]) -> Seal {
    let seed = Reader::new(file).u64().unwrap_or_default();
    Seal(xxh3_128_with_seed(bytes, seed).to_le_bytes())
}

/// Seals a page of a plain file in place.
fn seal_plain(file: &FileSalt, place: PageIdentity, page: &mut PageBytes) -> Seal {
    put_at(page, 0, &place.bytes());
    checksum(file, page)
}

/// Seals a slot of a plain file in place.
fn seal_plain_slot(file: &FileSalt, place: PageIdentity, slot: &mut [u8; SLOT_BYTES]) {
    put_at(slot, 0, &place.bytes());
    let seal = checksum(file, &slot[..SLOT_BYTES - SEAL_BYTES]);
    put_at(slot, SLOT_BYTES - SEAL_BYTES, &seal.0);
}

impl FileSealer {
    pub(crate) fn new(file: FileSalt, keys: Option<FileKeys>) -> Self {
        Self { file, keys: keys.map(Arc::new) }
    }

    pub(crate) const fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// Returns the bytes of the derived keys in memory.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn key_bytes(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.derived_bytes())
    }

    /// Starts a batch, which seals each page number at most once, and last at most one slot.
    pub(crate) fn batch(&self, random_source: &dyn RandomSource) -> Result<Batch<'_>> {
        let mut salt = [0; HEAD_BYTES];
        if self.keys.is_some() && !fault::on(Fault::En01) {
            random_source.fill(&mut salt).map_err(|_| Error::RandomSource)?;
        }
        Ok(Batch { sealer: self, salt, last: None })
    }

    /// Starts a batch that seals the pages of one record of the log.
    pub(crate) fn log_batch(&self, random_source: &dyn RandomSource) -> Result<Batch<'_>> {
        let mut salt = [0; HEAD_BYTES];
        if !fault::on(Fault::En01) {
            random_source.fill(&mut salt).map_err(|_| Error::RandomSource)?;
        }
        Ok(Batch { sealer: self, salt, last: None })
    }

    /// Verifies and decrypts a log page in place, and returns whether its seal matches. If not, the
    /// bytes are unspecified.
    #[must_use]
    pub(crate) fn open_log(&self, page: PageId, bytes: &mut PageBytes) -> bool {
        let (sealed, seal) = bytes.split_at_mut(PAGE_BYTES - SEAL_BYTES);
        let Some(seal) = Reader::new(seal).array() else { return false };
        let Some(keys) = &self.keys else {
            return log_checksum(&self.file, page, sealed) == Seal(seal);
        };
        let (clear, body) = sealed.split_at_mut(LOG_CLEAR_BYTES);
        let Some(salt) = Reader::new(clear).array() else { return false };
        let (nonce, aad) = (log_place(page).nonce(), log_aad(page, clear));
        keys.with(&salt, |key| {
            key.open_in_place_separate_tag(nonce, aad, seal.into(), body, 0..).is_ok()
        })
    }

    /// Verifies and decrypts a page in place, and returns whether its seal matches. If not, the
    /// bytes are unspecified.
    #[must_use]
    pub(crate) fn open(&self, place: PageIdentity, seal: Seal, page: &mut PageBytes) -> bool {
        let Some(keys) = &self.keys else {
            return page[..HEAD_BYTES] == place.bytes() && checksum(&self.file, page) == seal;
        };
        let (head, body) = page.split_at_mut(HEAD_BYTES);
        let Some(salt) = Reader::new(head).array() else { return false };
        let tag = seal.0.into();
        keys.with(&salt, |key| {
            key.open_in_place_separate_tag(place.nonce(), place.aad(), tag, body, 0..).is_ok()
        })
    }

    /// Verifies and decrypts the slot on a page in place, and returns whether its seal matches.
    #[must_use]
    pub(crate) fn open_slot(&self, page: PageId, slot: &mut [u8; SLOT_BYTES]) -> bool {
        let (sealed, tag) = slot.split_at_mut(SLOT_BYTES - SEAL_BYTES);
        let Some(tag) = Reader::new(tag).array() else { return false };
        let Some(keys) = &self.keys else {
            let ours = Reader::new(sealed).u64() == Some(page.0);
            return ours && checksum(&self.file, sealed) == Seal(tag);
        };
        let (head, body) = sealed.split_at_mut(HEAD_BYTES);
        let Some(salt) = Reader::new(head).array() else { return false };
        let place = PageIdentity { page, birth: CommitId(0) };
        keys.with(&salt, |key| {
            let tag = tag.into();
            key.open_in_place_separate_tag(place.nonce(), place.aad(), tag, body, 0..).is_ok()
        })
    }
}

const fn log_place(page: PageId) -> PageIdentity {
    PageIdentity { page, birth: CommitId(0) }
}

/// Associated data of a log page's seal: its number and its unencrypted bytes.
fn log_aad(page: PageId, clear: &[u8]) -> Aad<[u8; 24]> {
    let mut bytes = [0; 24];
    put_at(&mut bytes, 0, &page.0.to_le_bytes());
    put_at(&mut bytes, 8, &clear[HEAD_BYTES..]);
    Aad::from(bytes)
}

fn log_checksum(file: &FileSalt, page: PageId, sealed: &[u8]) -> Seal {
    let seed = Reader::new(file).u64().unwrap_or_default();
    let mut sum = Xxh3::with_seed(seed);
    sum.update(&page.0.to_le_bytes());
    sum.update(sealed);
    Seal(sum.digest128().to_le_bytes())
}

/// A batch of pages that are sealed under one salt, and so with one derived key.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    sealer: &'a FileSealer,
    salt: [u8; HEAD_BYTES],
    last: Option<PageId>,
}

impl Batch<'_> {
    pub(crate) const fn salt(&self) -> &[u8; HEAD_BYTES] {
        &self.salt
    }

    /// Seals a page in place.
    ///
    /// # Panics
    /// E1: if a page number does not exceed the one before.
    pub(crate) fn seal(&mut self, place: PageIdentity, page: &mut PageBytes) -> Seal {
        assert!(self.last < Some(place.page), "E1: page {} twice in a batch", place.page);
        self.last = Some(place.page);
        let Some(keys) = &self.sealer.keys else {
            return seal_plain(&self.sealer.file, place, page);
        };
        put_at(page, 0, &self.salt);
        encrypt(keys, place, &self.salt, &mut page[HEAD_BYTES..])
    }

    /// Seals a page of the log in place.
    ///
    /// # Panics
    /// E1: if a page number does not exceed the one before.
    pub(crate) fn seal_log(&mut self, page: PageId, bytes: &mut PageBytes) {
        assert!(self.last < Some(page), "E1: page {page} twice in a batch");
        self.last = Some(page);
        put_at(bytes, 0, &self.salt);
        let (sealed, seal_at) = bytes.split_at_mut(PAGE_BYTES - SEAL_BYTES);
        let Some(keys) = &self.sealer.keys else {
            let seal = log_checksum(&self.sealer.file, page, sealed);
            return put_at(seal_at, 0, &seal.0);
        };
        let (clear, body) = sealed.split_at_mut(LOG_CLEAR_BYTES);
        let nonce = log_place(page).nonce();
        let bound = BoundNonce { nonce, aad: log_aad(page, clear) };
        let seal = encrypt_with(keys, bound, &self.salt, body);
        put_at(seal_at, 0, &seal.0);
    }

    /// Seals a slot in place and ends the batch. Slots are on header pages, whose numbers no other
    /// page of the batch has.
    pub(crate) fn seal_slot(self, place: PageIdentity, slot: &mut [u8; SLOT_BYTES]) {
        let Some(keys) = &self.sealer.keys else {
            return seal_plain_slot(&self.sealer.file, place, slot);
        };
        put_at(slot, 0, &self.salt);
        let body = &mut slot[HEAD_BYTES..SLOT_BYTES - SEAL_BYTES];
        let place = PageIdentity { page: place.page, birth: CommitId(0) };
        let seal = encrypt(keys, place, &self.salt, body);
        put_at(slot, SLOT_BYTES - SEAL_BYTES, &seal.0);
    }
}

fn encrypt(keys: &FileKeys, place: PageIdentity, salt: &[u8; HEAD_BYTES], body: &mut [u8]) -> Seal {
    encrypt_with(keys, BoundNonce { nonce: place.nonce(), aad: place.aad() }, salt, body)
}

/// A nonce with its associated data.
struct BoundNonce<A> {
    nonce: Nonce,
    aad: Aad<A>,
}

fn encrypt_with<A: AsRef<[u8]>>(
    keys: &FileKeys,
    BoundNonce { nonce, aad }: BoundNonce<A>,
    salt: &[u8; HEAD_BYTES],
    body: &mut [u8],
) -> Seal {
    const { assert!(MAX_TAG_LEN == SEAL_BYTES) };
    let tag = keys
        .with(salt, |key| key.seal_in_place_separate_tag(nonce, aad, body))
        .expect("E1: a page is within the cipher's limits");
    let mut seal = Seal::default();
    put_at(&mut seal.0, 0, tag.as_ref());
    seal
}
