//! Sync over real sockets: frames byte by byte.

#[cfg(unix)]
mod backup_updates;
mod history;
mod hostile;
mod operator;
mod quota;
pub(crate) mod support;
