//! Tests of the client with a server in memory, which may misbehave. Those with our server are in
//! `server/tests/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the variants it expects")]
#![expect(clippy::result_large_err, reason = "the library's callback has such an error")]

#[cfg(feature = "faults")]
mod faults;
mod sync;
