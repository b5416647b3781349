//! Waking a thread that waits for a socket.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Wakes a [`Sleeper`].
#[derive(Debug)]
pub(crate) struct Waker(UnixStream);

/// The side of a thread that is woken.
#[derive(Debug)]
pub(crate) struct Sleeper(UnixStream);

pub(crate) fn pair() -> io::Result<(Waker, Sleeper)> {
    let (waker, sleeper) = UnixStream::pair()?;
    waker.set_nonblocking(true)?;
    sleeper.set_nonblocking(true)?;
    Ok((Waker(waker), Sleeper(sleeper)))
}

impl Waker {
    /// Wakes the thread, or keeps its next wait from waiting.
    pub(crate) fn wake(&self) {
        // A full pipe wakes too; without a reader no one waits.
        drop((&self.0).write(&[0]));
    }
}

impl Sleeper {
    /// Forgets the wake-ups so far.
    pub(crate) fn clear(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.0).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

impl AsFd for Sleeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
