//! Sync over real sockets: frames byte by byte.

mod history;
mod hostile;
mod operator;
mod quota;
pub(crate) mod support;
