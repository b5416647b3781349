//! Fuzzing of the encryption: a page is sealed, then opened unchanged and tampered with.
//!
//! - E2 A sealed page opens to the same bytes for the same page number, commit, seal and key;
//!   nothing else opens.

use super::sparse::file_key;
use fastness::inspect::TestSealer;
use fastness::{CommitId, Key, PAGE_BYTES, PageId};

/// Offset of the content; the seal uses the bytes before it.
const HEAD_BYTES: usize = 16;

/// A decoded input.
struct Case {
    encrypted: bool,
    tampering: u8,
    bit: usize,
    page: PageId,
    commit: CommitId,
    salt: [u8; HEAD_BYTES],
    content: [u8; PAGE_BYTES],
}

impl Case {
    fn read(bytes: &[u8]) -> Option<Self> {
        let ([flags, tampering], rest) = bytes.split_first_chunk()?;
        let (bit, rest) = rest.split_first_chunk()?;
        let (page, rest) = rest.split_first_chunk()?;
        let (commit, rest) = rest.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        let mut content = [0; PAGE_BYTES];
        let len = rest.len().min(PAGE_BYTES - HEAD_BYTES);
        content[HEAD_BYTES..HEAD_BYTES + len].copy_from_slice(&rest[..len]);
        let number = |bytes: [u8; 6]| {
            let [a, b, c, d, e, f] = bytes;
            u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
        };
        Some(Self {
            encrypted: flags % 2 == 1,
            tampering: *tampering,
            bit: usize::from(u16::from_le_bytes(*bit)),
            page: PageId(number(*page).max(3)),
            commit: CommitId(number(*commit)),
            salt: *salt,
            content,
        })
    }

    fn sealer(&self, key: &Key) -> TestSealer {
        TestSealer::new(self.encrypted.then_some(key))
    }
}

/// Seals a page and opens it: unchanged, then with one change.
///
/// # Panics
/// If E2 is violated.
pub fn seal(bytes: &[u8]) {
    let Some(case) = Case::read(bytes) else { return };
    let sealer = case.sealer(&file_key());
    let mut page = case.content;
    let place = (case.page, case.commit);
    let seal = sealer.seal(place, case.salt, &mut page);
    let mut opened = page;
    assert!(sealer.open(place, seal, &mut opened), "E2: it opens");
    assert!(opened[HEAD_BYTES..] == case.content[HEAD_BYTES..], "E2: the content is the same");
    tamper(&case, &sealer, page, seal);
}

fn tamper(case: &Case, sealer: &TestSealer, mut page: [u8; PAGE_BYTES], mut seal: [u8; 16]) {
    let flip = |bytes: &mut [u8]| {
        let bit = case.bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    };
    let mut place = (case.page, case.commit);
    let mut other = None;
    match case.tampering % 5 {
        0 => flip(&mut page),
        1 => flip(&mut seal),
        2 => place.0 = PageId(place.0.0 ^ (1 << (case.bit % 48))),
        3 => place.1 = CommitId(place.1.0 ^ (1 << (case.bit % 48))),
        _ if case.encrypted => other = Some(case.sealer(&Key::new([0x6c; 64]))),
        _ => return,
    }
    let sealer = other.as_ref().unwrap_or(sealer);
    let opens = sealer.open(place, seal, &mut page);
    assert!(!opens, "E2: tampering {} is not noticed", case.tampering % 5);
}

/// Returns the seed corpus: both twins, every kind of tampering.
#[must_use]
pub fn seal_seeds() -> Vec<Vec<u8>> {
    (0..10_u8).map(|case| [&[case % 2, case / 2][..], &[case; 60]].concat()).collect()
}
