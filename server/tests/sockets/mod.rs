//! The server over real sockets: raw bytes in, raw bytes out.

mod hostile;
mod limits;
mod logs;
mod support;
