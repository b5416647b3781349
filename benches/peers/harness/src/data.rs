//! The rows: 16-byte random keys, 100-byte incompressible values, the same in every run.

/// A key.
pub type Key = [u8; 16];

/// A value.
pub type Value = [u8; 100];

/// A row to write, or to remove.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Which row.
    pub key: Key,
    /// The new value; `None` removes the row.
    pub value: Option<Value>,
}

/// Splitmix64: fast, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts a sequence.
    #[must_use]
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap_or(0)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        bytes
    }

    /// Brings items into random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// All rows of a run, and what is done with them in one round.
#[derive(Debug)]
pub(crate) struct Data {
    /// Keys in the order of loading.
    pub(crate) keys: Vec<Key>,
    seed: u64,
}

impl Data {
    /// Makes the keys of a round.
    #[must_use]
    pub(crate) fn new(rows: usize, round: u64) -> Self {
        let seed = 0x00fa_57e5_0000_0000 + (round << 8);
        let mut random = Random::new(seed);
        Self { keys: (0..rows).map(|_| random.bytes()).collect(), seed }
    }

    fn random(&self, purpose: u64) -> Random {
        Random::new(Random::new(self.seed + purpose).next())
    }

    /// Returns every row with its first value, in random order or sorted.
    #[must_use]
    pub(crate) fn load(&self, sorted: bool) -> Vec<Change> {
        let mut random = self.random(1);
        let change = |&key: &Key| Change { key, value: Some(random.bytes()) };
        let mut rows: Vec<Change> = self.keys.iter().map(change).collect();
        if sorted {
            rows.sort_unstable_by_key(|row| row.key);
        }
        rows
    }

    /// Returns updates of random rows.
    #[must_use]
    pub(crate) fn updates(&self, count: usize, purpose: u64) -> Vec<Change> {
        let mut random = self.random(purpose);
        let mut update = || Change {
            key: self.keys[random.below(self.keys.len())],
            value: Some(random.bytes()),
        };
        (0..count).map(|_| update()).collect()
    }

    /// Returns every key once, in random order.
    #[must_use]
    pub(crate) fn reads(&self, purpose: u64) -> Vec<Key> {
        let mut keys = self.keys.clone();
        self.random(purpose).shuffle(&mut keys);
        keys
    }

    /// Returns the removal of a random half.
    #[must_use]
    pub(crate) fn removals(&self) -> Vec<Change> {
        let keys = self.reads(2);
        keys[..keys.len() / 2].iter().map(|&key| Change { key, value: None }).collect()
    }
}
