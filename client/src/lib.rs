//! Logins and tokens for apps without a runtime: a blocking interface, on threads of its own.
//!
//! In: what the app wants, from any thread. Out: outcomes, tokens for sessions, and notices to
//! listeners. What is decided is decided in core, by [`fastness_auth::users`]; here are the clock,
//! threads, HTTP and TLS.
//!
//! - U1 No password, token, body or header is in a `Debug` output, an error or a notice.
//! - U12 Whatever is told has been made durable before.
//! - Z1 Every call comes back: with what the server said, or with why there is no answer, after the
//!   time-outs of the network at the latest.
//! - Z2 A listener may call the client, and holds up nothing but other listeners.
//!
//! Specified in docs/auth.md#the-client. Against our server: `server/tests/login/`.
//!
//! ```no_run
//! use fastness_auth::Credentials;
//! use fastness::{Key, StoreOptions};
//! use fastness_client::{Client, Config};
//!
//! let key = Key::new([7; 64]); // 64 random bytes, kept where your platform keeps secrets
//! let users = StoreOptions::new().key(key).open_or_create("users.fastness")?;
//! let client = Client::open(users, Config::default())?;
//!
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), false)?;
//! let user = client.log_in("https://example.com:9443", credentials)?;
//! let session = client.session(&user.id(), "/~/notes");
//! println!("{:?}", session.next());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod config;
mod driver;
mod error;
mod http;
mod session;

pub use fastness_auth as auth;

pub use client::{Client, LoggedIn, Notice};
pub use config::{Config, Proxy, Roots};
pub use error::{ClientError, ConfigError};
pub use session::{Session, SessionEvent};
