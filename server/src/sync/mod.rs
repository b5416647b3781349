//! Sync over WebSocket: connections on the runtime, databases on threads of their own.
//!
//! - [`endpoint`]: the handshake.
//! - [`hub`]: threads and limits, and the users of tokens.
//! - [`connection`]: one WebSocket, and the machine of its connection.
//! - [`metered`]: the bytes that a client without an accepted token may send.
//! - [`liveness`]: the answers of the workers to health checks.
//! - [`link`]: bounded queues between a connection and the threads of its databases.
//! - [`job`]: jobs of these threads.
//! - [`worker`]: a thread with some of the databases, and the sessions that are bound to them.
//! - [`session`]: one session on its worker.
//! - [`open_databases`]: the databases of a worker.
//! - [`maintenance`]: horizons and backups, by the upkeep.
//! - [`backups`]: the files of backups.
//! - [`quota`]: limits of a user in bytes, and in bytes for each second.
//! - [`registry`]: the connections.
//! - [`operator`]: requests of the operator.
//! - [`letters`]: refused entries, and their retries.
//! - [`counters`]: counters for metrics.
//! - [`database_files`]: the file of a path.
//!
//! - H24 A session is bound only to a database that its user may open.
//! - H25 A connection holds a bounded number of bytes, whatever its peer sends or does not read.
//! - H26 A new entry reaches every session that is bound to its database.
//! - H29 A user has a bounded number of connections; the operator ends them at once.
//! - H30 The upkeep moves horizons and makes backups of what changed.
//! - H27 A stop answers the frames that have arrived, and ends every connection.
//!
//! Specified in docs/protocol.md#websocket. Tests over real sockets: `server/tests/sync/`.

mod backups;
mod connection;
mod counters;
mod database_files;
mod endpoint;
mod hub;
mod job;
mod letters;
mod link;
mod liveness;
mod maintenance;
mod metered;
mod open_databases;
mod operator;
mod quota;
mod registry;
mod session;
mod worker;

pub(crate) use counters::SyncMetric;
pub(crate) use endpoint::router;
pub(crate) use hub::{HubOptions, SyncHub};
pub(crate) use job::BackupPolicy;
pub(crate) use maintenance::start;
pub use operator::{SyncReply, SyncRequest};
