//! Which thread is asking: the system's, or one that a check simulates.

use super::number::ThreadNumber;
use crate::conc::thread_number;
use std::fmt;

/// Tells threads apart.
pub trait Threads: Send + Sync + fmt::Debug {
    /// Returns the number of the thread that asks.
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
