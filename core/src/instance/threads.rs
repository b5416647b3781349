//! Thread identity: the system's threads, or those that a check simulates.

use super::holder::ThreadNumber;
use crate::conc::thread_number;
use std::fmt;

/// A source of thread identity.
pub trait Threads: Send + Sync + fmt::Debug {
    /// Returns the number of the calling thread.
    fn current(&self) -> ThreadNumber;
}

/// The threads of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsThreads;

impl Threads for OsThreads {
    fn current(&self) -> ThreadNumber {
        ThreadNumber(thread_number())
    }
}
