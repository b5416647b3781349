//! Failed writes, by the state that they leave the disk in.

pub(crate) use super::group_commit::Failure;
use crate::error::Error;

/// The result of a write: a failure says whether the state of the disk is known (C3).
pub(crate) type WriteResult<T> = Result<T, Failure<Error>>;

impl From<Error> for Failure<Error> {
    fn from(error: Error) -> Self {
        Self::Undone(error)
    }
}
