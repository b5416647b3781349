//! Tests of the public interface of `fastness-auth`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod vectors;
