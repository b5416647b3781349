//! Sync over real sockets: frames byte by byte.

mod history;
mod hostile;
mod operator;
pub(crate) mod support;
