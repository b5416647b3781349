//! Faults of the user state machine.

use super::{Fault, on};
use crate::user::User;
use crate::users::{PersistedUsers, UserId};

/// AU-01: a revocation names the token that its user has when it is sent.
pub(crate) fn revoked_user<'a>(user: &'a User, persisted: &'a PersistedUsers) -> &'a User {
    let newer = persisted.user(&UserId::of(user)).filter(|_| on(Fault::Au01));
    newer.unwrap_or(user)
}

/// AU-05: a token that arrives after the logout logs its user back in.
pub(crate) fn log_back_in(user: Option<UserId>, persisted: &mut PersistedUsers) {
    if let Some(user) = user
        && persisted.user(&user).is_none()
        && on(Fault::Au05)
    {
        persisted.revert_logout(&user);
    }
}
