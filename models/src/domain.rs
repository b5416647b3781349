//! The values of operands in a plan. The sets are small, so that keys collide and equal sizes
//! recur. The salt selects their shape: short keys, empty keys, shared prefixes, high bytes, keys
//! of 1 KiB for deep trees, values around the size of a page.

use std::cell::OnceCell;
use std::sync::Arc;

/// Shared bytes.
pub type Bytes = Arc<[u8]>;

/// Maximum length of a key.
pub const KEY_BYTES_MAX: usize = 1024;
/// Maximum length of a value.
pub const VALUE_BYTES_MAX: usize = 16 << 20;
/// Maximum length of a tree name.
pub const NAME_BYTES_MAX: usize = 255;

const KEY_COUNTS: [usize; 8] = [6, 12, 12, 40, 40, 160, 256, 1024];

/// Lengths of values; a plan draws from one row. The last two rows are for rare plans: of tiny
/// entries, of which hundreds fit a leaf, and of huge ones.
const VALUE_BYTES: [&[usize]; 10] = [
    &[0, 1, 2, 3],
    &[8, 16, 16, 24, 100],
    &[0, 8, 40, 200],
    &[100, 200, 300, 500, 900, 1000],
    &[0, 1, 10, 100, 1000, 4080, 5000, 9000],
    &[900, 1000, 1010, 1024, 1025, 1100, 1300, 1500, 2000, 2040, 2048, 3000],
    &[4000, 4064, 4079, 4080, 4081, 4095, 4096, 4097, 8160, 8192, 8193, 12_288],
    &[3, 20_000, 8, 40_000, 8, 8, 8, 100],
    &[0, 0, 1, 0, 2],
    &[8, 100, 5 << 20, 8, 40, 8, 1 << 20, 8],
];
/// The row of a salt: mostly small values, because large ones cost time.
const VALUE_ROWS: [usize; 16] = [1, 1, 2, 1, 2, 0, 1, 2, 3, 4, 1, 5, 2, 6, 1, 7];

/// Plans of tiny entries, by the upper half of the salt's last byte.
const TINY: usize = 0xd;
/// Plans whose keys are close neighbours of each other.
const NEIGHBOURS: usize = 0xe;
/// One or two bytes, every byte.
const TINY_KEYS: usize = 8;
/// Long runs of the least and of the greatest byte, each key followed by its nearest ones.
const NEIGHBOUR_KEYS: usize = 9;

/// The operands of one plan.
#[derive(Debug)]
pub struct Domain {
    key_style: usize,
    keys: Vec<OnceCell<Bytes>>,
    value_bytes: &'static [usize],
    dense: bool,
    huge: bool,
    tiny: bool,
    long_names: [String; 2],
    /// The name of each operand, by its remainder.
    names: [usize; 4],
}

impl Domain {
    /// Creates the domain of a salt.
    #[must_use]
    pub fn new(salt: u32) -> Self {
        let [low, mid, high, top] = salt.to_le_bytes().map(usize::from);
        // Rare, because a huge plan takes milliseconds. One such value takes more than 1024 pages.
        let huge = high % 64 == 0x2a;
        let tiny = !huge && top >> 4 == TINY;
        let row = match (huge, tiny) {
            (true, _) => VALUE_BYTES.len() - 1,
            (_, true) => VALUE_BYTES.len() - 2,
            _ => VALUE_ROWS[mid % 16],
        };
        let count = if tiny { KEY_COUNTS[7] } else { KEY_COUNTS[low / 8 % 8] };
        Self {
            key_style: match top >> 4 {
                TINY => TINY_KEYS,
                NEIGHBOURS => NEIGHBOUR_KEYS,
                _ => low % 8,
            },
            keys: vec![OnceCell::new(); count],
            value_bytes: VALUE_BYTES[row],
            dense: mid >= 128,
            huge,
            tiny,
            // Two long names exceed the space of a header slot.
            long_names: ["\u{fd}".repeat(NAME_BYTES_MAX / 2), "z".repeat(NAME_BYTES_MAX)],
            // Many plans use one tree for most operations.
            names: if high < 160 { [0, 0, 1, 2] } else { [0, 1, 2, 3] },
        }
    }

    /// Returns the names of the trees of a plan.
    #[must_use]
    pub fn trees(&self) -> [&str; 4] {
        let [one, two] = &self.long_names;
        ["a", "tree", one, two]
    }

    /// Returns the name of an operand.
    #[must_use]
    pub fn tree(&self, operand: u8) -> &str {
        self.trees()[self.names[usize::from(operand % 4)]]
    }

    /// Returns the key of an operand.
    #[must_use]
    pub fn key(&self, operand: u8) -> Bytes {
        self.run(operand, 0)
    }

    /// Returns the key `index` places after that of an operand.
    #[must_use]
    pub fn run(&self, operand: u8, index: u8) -> Bytes {
        let stride = self.keys.len().div_ceil(256);
        let number = (usize::from(operand) * stride + usize::from(index)) % self.keys.len();
        Arc::clone(self.keys[number].get_or_init(|| key_bytes(self.key_style, number)))
    }

    /// Returns the length of a run of keys.
    #[must_use]
    pub const fn run_len(&self, operand: u8) -> u8 {
        match (self.huge, self.tiny) {
            (true, _) => operand % 12,
            (_, true) => operand,
            _ => operand % 64,
        }
    }

    /// Returns whether some values exceed the size of a commit with one sync.
    #[must_use]
    pub const fn is_huge(&self) -> bool {
        self.huge
    }

    /// Returns the value of an operand. It includes as much of the stamp as fits, so that values of
    /// different times differ.
    #[must_use]
    pub fn value(&self, operand: u8, stamp: u32) -> Bytes {
        self.value_of(self.value_len(operand), stamp)
    }

    /// Returns the length of an operand's value.
    #[must_use]
    pub const fn value_len(&self, operand: u8) -> usize {
        self.value_bytes[operand as usize % self.value_bytes.len()]
    }

    /// Returns a value of a given length.
    #[must_use]
    pub fn value_of(&self, len: usize, stamp: u32) -> Bytes {
        let mut bytes = vec![0; len];
        if self.dense {
            let mut word = stamp;
            bytes.iter_mut().for_each(|byte| {
                word = word.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
                *byte = word.to_le_bytes()[3];
            });
        }
        for (byte, stamp) in bytes.iter_mut().zip(stamp.to_le_bytes()) {
            *byte = stamp;
        }
        bytes.into()
    }
}

/// Key 0 is empty, except in the style of the longest keys.
fn key_bytes(style: usize, number: usize) -> Bytes {
    let [low, high, ..] = number.to_le_bytes();
    let text = format!("k{number:04}").into_bytes();
    match style {
        5 => [&[high, low], &[b'x'; KEY_BYTES_MAX - 2][..]].concat().into(),
        _ if number == 0 => [].into(),
        0 => text.into(),
        1 => [low.wrapping_mul(37), high ^ 0x80, 0xff, low].into(),
        2 => [&[b'p'; 900][..], &text].concat().into(),
        // Each key is a prefix of the following ones.
        3 => vec![b'a'; number % (KEY_BYTES_MAX + 1)].into(),
        4 => [&[b'q'; 1000][..], &text].concat().into(),
        6 => [&[low ^ 0x80, high][..], &vec![0xfe; number * 7 % 300]].concat().into(),
        TINY_KEYS if number < 256 => [low].into(),
        TINY_KEYS => [high, low].into(),
        NEIGHBOUR_KEYS => neighbour_key(number),
        _ => key_bytes(number % 7, number),
    }
}

/// Four keys around each of a few long ones: the key, the next one, and two that differ from it in
/// the last byte only.
fn neighbour_key(number: usize) -> Bytes {
    let byte = if (number / 4).is_multiple_of(2) { 0xff } else { 0x00 };
    let mut key = vec![byte; 1 + number / 8 * 37 % (KEY_BYTES_MAX - 2)];
    match number % 4 {
        0 => {}
        1 => key.push(0x00),
        2 => key.push(0xff),
        _ => key.extend([0x00, 0x01]),
    }
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_stay_in_bounds() {
        for salt in 0..4096_u32 {
            let domain = Domain::new(salt.wrapping_mul(0x9e37_79b9));
            for operand in 0..=255 {
                assert!(domain.key(operand).len() <= KEY_BYTES_MAX);
            }
            assert!(domain.value_bytes.iter().all(|bytes| *bytes <= VALUE_BYTES_MAX));
            assert!(domain.trees().iter().all(|name| name.len() <= NAME_BYTES_MAX));
        }
    }

    #[test]
    fn every_style_has_its_longest_and_its_empty_key() {
        assert_eq!(Domain::new(5).key(1).len(), KEY_BYTES_MAX);
        assert!(Domain::new(0).key(0).is_empty());
        let tiny = Domain::new(0xd000_0000);
        assert_eq!((tiny.run_len(255), tiny.keys.len()), (255, 1024));
        assert_eq!(*tiny.run(0, 255), [255]);
        let near = Domain::new(0xe000_0038);
        let keys: std::collections::BTreeSet<_> = (0..=255).map(|key| near.key(key)).collect();
        assert!(keys.len() > 200, "only {} keys", keys.len());
    }
}
