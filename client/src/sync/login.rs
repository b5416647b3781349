//! The login of a connection: its access tokens.

use super::message::{ConnectionHandle, ConnectionMessage, LoginState};
use crate::client::Client;
use crate::session::TokenRenewal;
use fastness_auth::users::UserId;

/// Path of the tokens of a connection, which serves all files of its user.
const TOKEN_PATH: &str = "/~/sync";

/// The login of a connection.
pub(crate) struct Login {
    client: Client,
    user: UserId,
    renewal: TokenRenewal,
}

impl Login {
    /// Begins the renewal of tokens for a connection.
    pub(crate) fn new(client: &Client, user: &UserId, connection: &ConnectionHandle) -> Self {
        let connection = connection.clone();
        let events = Box::new(move |event| connection.send(ConnectionMessage::Login(event)));
        let renewal = client.renewal((user, TOKEN_PATH), events);
        Self { client: client.clone(), user: user.clone(), renewal }
    }

    /// Returns the state before the first event.
    pub(crate) fn state(&self) -> LoginState {
        let users = self.client.users().unwrap_or_default();
        let is_logged_in = users.iter().any(|user| user.id() == self.user);
        if is_logged_in { LoginState::Waiting } else { LoginState::LoggedOut }
    }

    /// Asks for another token.
    pub(crate) fn refresh(&self) {
        self.renewal.expired();
    }

    /// Logs the user out, without a wait for the disk.
    pub(crate) fn log_out(&self) {
        // The user store reports its failure to the callbacks of the client.
        self.client.begin_log_out(&self.user);
    }
}
