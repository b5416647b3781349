//! The server of Fastness: accounts and tokens over HTTP and TLS, for `fastness-client` and for
//! clients of Realm Object Server 2.0, and sync over WebSocket.
//!
//! [`start`] takes a [`Config`] and returns a running [`Server`]. The logic is in
//! [`fastness_auth::server`]; this crate adds the clock, argon2id, sockets and limits.
//!
//! - H10 Logs name accounts by identity and never contain passwords, tokens, names or paths.
//! - H11 A large, slow or broken request gets a clear response or a closed connection, in bounded
//!   memory and time.
//! - H15 A slow or absent reader of the log delays no answer and loses none.
//! - H13 One thread per core hashes passwords; a request that exceeds the queue gets `Retry-After`.
//!
//! Specified in docs/server.md. Tests over real sockets: `server/tests/`.
//!
//! ```no_run
//! let config = fastness_server::Config::new("accounts", ([127, 0, 0, 1], 9080));
//! let server = fastness_server::start(config)?;
//! if let Some(secret) = server.admin_secret() {
//!     println!("log in as realm-admin with {}", secret.expose());
//! }
//! println!("listening on {}", server.url());
//! # Ok::<(), fastness_server::StartError>(())
//! ```

mod admin;
mod client_socket;
mod clocks;
mod config;
mod connections;
mod console;
mod control;
mod data;
mod error;
mod fault;
mod handler;
mod hash_pool;
mod health;
mod http;
mod log_writer;
mod memory_stream;
mod metrics;
mod open_files;
mod proxy;
mod random;
mod request_log;
mod serve;
mod signals;
mod sync;
mod tls;
mod write_timeout;

pub use fastness_auth as auth;

pub use admin::{ADMIN_SOCKET, administer, operate};
pub use config::{Config, HashCosts, HttpLimits, SyncLimits, TlsFiles};
pub use control::ControlOptions;
pub use data::{ACCOUNTS_FILE, KEY_FILE};
pub use error::StartError;
pub use handler::{Environment, Handler};
pub use hash_pool::Argon2id;
pub use log_writer::LogWriter;
pub use serve::{Server, control, start};
pub use sync::{SyncReply, SyncRequest};

/// Compiles and runs the example of docs/auth.md.
#[cfg(doctest)]
#[doc = include_str!("../../docs/auth.md")]
struct AuthDocument;
