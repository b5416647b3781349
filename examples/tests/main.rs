//! The examples do what the guide and README.md say of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod diary;
mod todo;
