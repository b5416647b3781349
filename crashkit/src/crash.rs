//! Crash explorer: crashes at recorded calls, and again inside the recovery.
//!
//! - KC1 Each chosen fork is recovered after a power loss, and some also after a kill of the
//!   process, which keeps everything written.
//! - KC2 A recovery is itself interrupted at one of its calls, to the given depth.
//! - KC3 The state that a recovery showed is not lost by a power loss right after it.
//!
//! Oracle: [`crate::oracle`].

use crate::disk::Disk;
use crate::fs::{Fork, SimFs};
use crate::oracle::{NotAPrefix, landed};
use crate::rng::Rng;
use std::fmt;

/// A program that recovers from crashes.
pub trait Program {
    /// All that its readers see.
    type State;

    /// Opens the files after a crash, as the program does at its start, reads everything, and
    /// compares it with a permitted state through [`Recovery::compare`].
    ///
    /// # Errors
    /// A text, when the files do not open or what is read cannot be right.
    fn recover(&mut self, recovery: &mut Recovery<'_, Self::State>) -> Result<(), String>;
}

/// A recovery: the machine after the crash, and the states it may show.
#[derive(Debug)]
pub struct Recovery<'a, S> {
    /// The file system.
    pub fs: &'a SimFs,
    states: &'a [S],
    landed: Option<Result<usize, NotAPrefix>>,
}

impl<S> Recovery<'_, S> {
    /// Compares what was read with the permitted states: `difference` returns how it differs from
    /// one of them, if it does.
    pub fn compare(&mut self, mut difference: impl FnMut(&S) -> Option<String>) {
        let result: Result<_, std::convert::Infallible> =
            landed(self.states, |state| Ok(difference(state)));
        let Ok(result) = result;
        self.landed = Some(result);
    }
}

/// A crash that lost something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The calls at which the crashes were, the outermost first.
    pub at: Vec<&'static str>,
    /// The difference, or the error of the recovery.
    pub text: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after a crash at {}: {}", self.at.join(", then at "), self.text)
    }
}

impl std::error::Error for Lost {}

/// How many crashes to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Most forks of one batch, drawn at random.
    pub forks_max: usize,
    /// Crashes inside one another: 1 never interrupts a recovery.
    pub depth_max: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { forks_max: 64, depth_max: 3 }
    }
}

/// Crashes a program at recorded calls.
#[derive(Debug)]
pub struct Explorer {
    rng: Rng,
    effort: Effort,
    crashes: u64,
}

/// One crash: its disk, the permitted states, and the calls so far.
struct Crash<'a, S> {
    disk: Disk,
    states: &'a [S],
    at: Vec<&'static str>,
}

impl Explorer {
    /// Creates the explorer of a seed.
    #[must_use]
    pub fn new(seed: u64, effort: Effort) -> Self {
        Self { rng: Rng::new(seed), effort, crashes: 0 }
    }

    /// Returns the number of recoveries so far.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Crashes at the forks of one batch of calls, after which readers may see `states`.
    ///
    /// # Errors
    /// The first crash that lost something.
    pub fn at_forks<P: Program>(
        &mut self,
        program: &mut P,
        forks: &[Fork],
        states: &[P::State],
    ) -> Result<(), Lost> {
        let one_of = forks.len().div_ceil(self.effort.forks_max.max(1)).max(1);
        for fork in forks {
            if !self.rng.one_in(one_of) {
                continue;
            }
            let at = vec![fork.at.name()];
            let disk = fork.disk.power_loss(&mut self.rng);
            self.recover(program, Crash { disk, states, at: at.clone() })?;
            if self.rng.one_in(3) {
                let disk = fork.disk.clone();
                self.recover(program, Crash { disk, states, at })?;
            }
        }
        Ok(())
    }

    /// Cuts the power of a disk between two calls.
    ///
    /// # Errors
    /// When something was lost.
    pub fn power_loss<P: Program>(
        &mut self,
        program: &mut P,
        disk: &Disk,
        states: &[P::State],
    ) -> Result<(), Lost> {
        let disk = disk.power_loss(&mut self.rng);
        self.recover(program, Crash { disk, states, at: vec!["rest"] })
    }

    fn recover<P: Program>(
        &mut self,
        program: &mut P,
        crash: Crash<'_, P::State>,
    ) -> Result<(), Lost> {
        let Crash { disk, states, at } = crash;
        self.crashes += 1;
        let fs = SimFs::boot(disk, self.rng.next());
        let recurses = at.len() < self.effort.depth_max && self.rng.one_in(3);
        if recurses {
            fs.record_forks();
        }
        let mut recovery = Recovery { fs: &fs, states, landed: None };
        let lost = |text: String, at: &[&'static str]| Lost { at: at.to_vec(), text };
        program.recover(&mut recovery).map_err(|text| lost(text, &at))?;
        let landed = match recovery.landed {
            Some(Ok(landed)) => landed,
            Some(Err(differences)) => return Err(lost(differences.to_string(), &at)),
            None => return Err(lost("the program compared nothing".to_owned(), &at)),
        };
        let forks = fs.take_forks();
        if !forks.is_empty() {
            let fork = self.rng.pick(&forks).clone();
            let at = [&at[..], &[fork.at.name()]].concat();
            let kills = self.rng.one_in(3);
            let disk = if kills { fork.disk } else { fork.disk.power_loss(&mut self.rng) };
            self.recover(program, Crash { disk, states, at })?;
        }
        if recurses && fs.disk().pending() {
            let disk = fs.disk().power_loss(&mut self.rng);
            let states = &states[landed..=landed];
            let at = [&at[..], &["rest"]].concat();
            self.recover(program, Crash { disk, states, at })?;
        }
        Ok(())
    }
}
