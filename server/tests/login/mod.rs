//! Our client against our server over real sockets: the original's own tests by their names, TLS,
//! proxies, and servers that are not there.

mod auth_tests;
mod hung;
mod rotation;
pub(crate) mod support;
mod wire;
