//! Requests of the operator to a server, or on its files.

use crate::failure::Failure;
use crate::key::KeyArgs;
use crate::serve::failure;
use fastness_server::auth::server::{AdminReply, AdminRequest};
use fastness_server::{Config, SyncReply, SyncRequest, administer, operate};
use std::path::PathBuf;

/// Data folder of a server.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of the accounts.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

impl DataArgs {
    /// Returns a configuration for requests.
    fn config(&self) -> Result<Config, Failure> {
        // The server listens elsewhere; only its folder matters.
        let mut config = Config::new(&self.data, ([127, 0, 0, 1], 0));
        config.key = self.key.key()?;
        Ok(config)
    }

    /// Sends a request about sync, and returns the report; a refusal is a failure.
    pub(crate) fn operate(&self, request: &SyncRequest) -> Result<String, Failure> {
        match operate(&self.config()?, request).map_err(failure)? {
            SyncReply::Report(report) => Ok(report),
            SyncReply::Refused(reason) => Err(Failure::problem(reason)),
        }
    }

    /// Sends a request; a refusal is a failure.
    pub(crate) fn send(&self, request: &AdminRequest) -> Result<AdminReply, Failure> {
        let reply = administer(&self.config()?, request).map_err(failure)?;
        if let AdminReply::Refused(reason) = reply {
            return Err(Failure::problem(reason));
        }
        Ok(reply)
    }
}
