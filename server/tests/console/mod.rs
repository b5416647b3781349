//! The console of administrators: its pages and its data, over real sockets.

mod browser;
mod requests;
mod support;
