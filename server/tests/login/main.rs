//! Our client against our server over real sockets: the original's own tests by their names, TLS,
//! proxies, and servers that are not there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth_tests;
mod exchange;
mod support;
mod wire;
