//! Random sources for stores, and a generator of numbers for tests. All but [`SwitchedRandom`] are
//! deterministic.

use fastness::{OsRandom, RandomSource};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// A counter whose steps are scrambled: every run draws the same bytes, which is what golden files
/// need, and no eight bytes repeat.
#[derive(Debug, Default)]
pub struct CountingRandom(AtomicU64);

impl RandomSource for CountingRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Fills each request with one byte, 0 for the first request, 1 for the second: legible in a
/// transcript.
#[derive(Debug, Default)]
pub struct RepeatingRandom(AtomicU8);

impl RandomSource for RepeatingRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// The random bytes of the system, until they are switched off.
#[derive(Debug, Default)]
pub struct SwitchedRandom {
    is_off: AtomicBool,
}

impl SwitchedRandom {
    /// Makes every request fail, or succeed again.
    pub fn switch_off(&self, is_off: bool) {
        self.is_off.store(is_off, Ordering::Relaxed);
    }
}

impl RandomSource for SwitchedRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        if self.is_off.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Other.into());
        }
        OsRandom.fill(bytes)
    }
}

/// A linear congruential generator: the same numbers in every run, from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Generator(u64);

impl Generator {
    /// Starts at a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number below `end`; 0 if that is 0.
    #[must_use]
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }
}
