//! What `fastness-auth` does, from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod vectors;
