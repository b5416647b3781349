//! Faults of the accounts of a server.

use super::{Fault, on};
use crate::server::LoginId;
use fastness::Durability;

/// SV-03: a response leaves before its commit is durable.
pub(crate) fn durability() -> Durability {
    if on(Fault::Sv03) { Durability::None } else { Durability::Immediate }
}

/// SV-04: a revocation ends the newest login of its account.
pub(crate) fn ended_login(id: LoginId, logins: &[LoginId]) -> LoginId {
    logins.last().copied().filter(|_| on(Fault::Sv04)).unwrap_or(id)
}
