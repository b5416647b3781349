//! Golden files: a file that one version wrote stays readable forever.
//!
//! [`make`] or [`objects::make`] creates a golden file once. It is kept in `golden/`, with its
//! digest in `golden/DIGESTS`; both are append-only. A new format version adds files and changes
//! none. To add a file, extend a list such as [`FILES`] or [`objects::OBJECT_FILES`] and run `cargo
//! run --package fastness-snapshots --example golden`.

pub mod objects;

use fastness::vfs::MemoryVfs;
use fastness::{Key, Result, Store, StoreOptions};
use fastness_testkit::{CountingRandom, read_file};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A golden file.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// Its name in `golden/`.
    pub name: &'static str,
    /// Whether it opens with [`key`].
    pub encrypted: bool,
    /// Whether it was closed; an unclosed file is as a crash after its last commit leaves it.
    pub closed: bool,
}

/// All golden files of plain trees.
pub const FILES: &[Golden] = &[
    Golden { name: "v1-plain.fastness", encrypted: false, closed: true },
    Golden { name: "v1-plain-unclosed.fastness", encrypted: false, closed: false },
    Golden { name: "v1-encrypted.fastness", encrypted: true, closed: true },
    Golden { name: "v1-encrypted-unclosed.fastness", encrypted: true, closed: false },
    Golden { name: "v2-plain.fastness", encrypted: false, closed: true },
    Golden { name: "v2-plain-unclosed.fastness", encrypted: false, closed: false },
    Golden { name: "v2-encrypted.fastness", encrypted: true, closed: true },
    Golden { name: "v2-encrypted-unclosed.fastness", encrypted: true, closed: false },
];

/// Prefix of the files in the current format version.
pub const NEWEST: &str = "v2-";

/// The key of every encrypted golden file: its bytes count from 0 to 63.
#[must_use]
pub fn key() -> Key {
    Key::new(std::array::from_fn(|index| u8::try_from(index).unwrap_or_default()))
}

/// The entries of one tree.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The contents of every golden file after its last commit, by tree.
///
/// - `numbers`: the numbers below 400 with a remainder other than 3 modulo 7, as big-endian 32
///   bits; the value is the square, little-endian 64 bits. Enough for a branch.
/// - `limits`: the empty key with an empty value, a key of maximum length, and the key of one byte
///   0xff.
/// - `large`: values of 5,000 and 20,000 bytes, the byte at `i` being `i % 251`.
/// - `tree 🌲`: a name that is not ASCII, with one entry.
#[must_use]
pub fn content() -> BTreeMap<String, Entries> {
    let pattern = |bytes: usize| (0..bytes).map(|at| u8::try_from(at % 251).unwrap_or_default());
    let numbers = (0_u32..400).filter(|number| number % 7 != 3);
    let numbers = numbers.map(|number| (number.to_be_bytes().to_vec(), square(number)));
    let limits = [
        (Vec::new(), Vec::new()),
        (vec![b'k'; fastness::KEY_BYTES_MAX], b"the longest key".to_vec()),
        (vec![0xff], vec![0; 3]),
    ];
    let large = [5_000, 20_000].map(|bytes| {
        let key = format!("{bytes} bytes").into_bytes();
        (key, pattern(bytes).collect())
    });
    let forest = [(b"leaf".to_vec(), "\u{1f343}".as_bytes().to_vec())];
    BTreeMap::from([
        ("numbers".to_owned(), numbers.collect()),
        ("limits".to_owned(), Entries::from(limits)),
        ("large".to_owned(), Entries::from(large)),
        ("tree \u{1f332}".to_owned(), Entries::from(forest)),
    ])
}

fn square(number: u32) -> Vec<u8> {
    (u64::from(number) * u64::from(number)).to_le_bytes().to_vec()
}

/// Creates the bytes of a golden file in five commits: with a log of 11 pages, the fourth is a
/// checkpoint and the fifth is in the log.
///
/// # Errors
/// Those of the store; none is expected.
pub fn make(golden: Golden) -> Result<Vec<u8>> {
    let vfs = MemoryVfs::default();
    let path = PathBuf::from(golden.name);
    let options =
        options(golden.encrypted, &vfs).random_source(Arc::new(CountingRandom::default()));
    let options = options.log_pages(11);
    let store = options.create(&path)?;
    fill(&store)?;
    if golden.closed {
        drop(store);
        return Ok(read_file(&vfs, &path));
    }
    let bytes = read_file(&vfs, &path);
    drop(store);
    Ok(bytes)
}

/// Returns options for a golden file on this file system.
#[must_use]
pub fn options(encrypted: bool, vfs: &MemoryVfs) -> StoreOptions {
    let options = StoreOptions::new().vfs(Arc::new(vfs.clone()));
    if encrypted { options.key(key()) } else { options }
}

fn fill(store: &Store) -> Result<()> {
    let content = content();
    let mut txn = store.write()?;
    for number in 0_u32..400 {
        txn.tree("numbers")?.insert(&number.to_be_bytes(), &square(number))?;
    }
    txn.commit()?;
    for (name, entries) in &content {
        let mut txn = store.write()?;
        for (key, value) in entries {
            txn.tree(name)?.insert(key, value)?;
        }
        if name == "numbers" {
            for number in (3_u32..400).step_by(7) {
                txn.tree(name)?.remove(&number.to_be_bytes())?;
            }
        }
        txn.commit()?;
    }
    Ok(())
}
