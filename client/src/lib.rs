//! Client for logins and tokens: a blocking interface over its own threads, without an async
//! runtime.
//!
//! [`Client`] makes calls from any thread, delivers tokens to a [`Session`] and [`Event`]s to
//! callbacks. The logic is in [`fastness_auth::users`]; this crate adds the clock, threads, HTTP
//! and TLS.
//!
//! - U1 Debug output, errors and events contain no password, token, body or header.
//! - U12 Each result and event is durable before it is reported.
//! - Z1 Every call returns, within the network time-outs.
//! - Z2 A callback may call the client, and delays only other callbacks.
//! - Z3 A server that does not answer delays no request to another one.
//! - Z4 A cancelled call returns at once.
//! - Z5 A login that the server has ended is logged out here.
//!
//! Specified in docs/auth.md. Tests against our server: `server/tests/login/`.
//!
//! ```no_run
//! use fastness::StoreOptions;
//! use fastness_client::auth::Credentials;
//! use fastness_client::{Client, Config, open_or_create_key};
//!
//! let key = open_or_create_key("users.key")?; // or 64 bytes of the platform's key store
//! let users = StoreOptions::new().key(key).open_or_create("users.fastness")?;
//! let client = Client::open(users, Config::default())?;
//!
//! let credentials = Credentials::username_password("alice", Some("s3cret".into()), false)?;
//! let user = client.log_in("https://example.com:9443", credentials)?;
//! let session = client.session(&user.id(), "/~/notes");
//! println!("{:?}", session.recv());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cancellation;
mod client;
mod conc;
mod config;
mod driver;
mod error;
mod event;
mod fault;
mod http;
mod key_file;
#[cfg(feature = "keyring")]
mod key_store;
mod message;
mod network;
mod session;
mod sync;

pub use fastness_auth as auth;
pub use fastness_sync as sync_core;

pub use cancellation::Cancellation;
pub use client::{Client, LoggedInUser};
pub use config::{Config, Proxy, RootCertificates};
pub use error::{ClientError, ConfigError};
pub use event::{Event, SessionEvent};
pub use key_file::open_or_create_key;
#[cfg(feature = "keyring")]
pub use key_store::{KeyStoreError, open_or_create_key_in};
pub use session::Session;
pub use sync::{
    CompletedReset, Progress, ProgressDirection, ProgressListener, ProgressMode, ResetPolicy,
    SessionState, SyncCallError, SyncClient, SyncEvent, SyncOptions, SyncedFile,
};
#[cfg(feature = "async")]
pub use sync::{OpeningFile, ProgressStream, SyncWait};
