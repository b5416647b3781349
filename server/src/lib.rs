//! The server of Fastness: accounts and tokens over HTTP and TLS, for clients of the second
//! generation of object servers and for our own.
//!
//! In: a [`Config`]. Out: a [`Running`] server, until it is stopped. What is decided is decided in
//! core, by [`fastness_auth::server`]; here are the clock, argon2id, sockets, and limits on
//! everything that comes from outside.
//!
//! - H10 Logs name accounts by identity; no password, token, name or path is ever in them.
//! - H11 What is large, slow or broken gets a clear answer or an end, in bounded memory and time.
//! - H13 Passwords are hashed in turn, by as many threads as there are cores; who would have to
//!   wait too long is told to come back.
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

mod config;
mod control;
mod data;
mod error;
mod handler;
mod hashing;
mod http;
mod patient;
mod pipe;
mod serve;
mod tls;

pub use fastness_auth as auth;

pub use config::{Config, HashCosts, HttpLimits, TlsFiles};
pub use control::Controlled;
pub use data::{ACCOUNTS_FILE, KEY_FILE};
pub use error::StartError;
pub use handler::{Handler, Surroundings};
pub use hashing::Argon2id;
pub use serve::{Running, control, start};
