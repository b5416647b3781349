//! `campaign changed`: the checks and tests that attack the files of a change, first.
//!
//! Input: a checkout and a commit. Output: the files that changed since, what attacks them, and the
//! result of each check and test.

mod owners;
mod run;

pub use self::owners::{OWNERS, Owner, check_in, owner_of, table};
pub use self::run::{Changed, ChangedResult};
