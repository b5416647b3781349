//! Errors of an app, which end a transaction of its closure.

use super::harness::ObjectHarness;
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::B16;
use fastness::object::Transaction;
use fastness_models::Op;
use std::fmt;

/// An error of an app: its own, or one of the store.
#[derive(Debug, PartialEq)]
pub(in crate::check) enum OwnError {
    Number(u8),
    Store(fastness::Error),
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "error {number} of the app"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OwnError {}

impl From<fastness::Error> for OwnError {
    fn from(error: fastness::Error) -> Self {
        Self::Store(error)
    }
}

/// Ends a transaction that deleted the objects of a class with an error of the app.
pub(super) fn end_a_transaction(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    let class = harness.domain.class(op.b, harness.seen());
    let delete = |txn: &mut Transaction| txn.delete_all(&class);
    let database = harness.database().clone();
    let found = match op.a % 2 {
        0 => database.try_transact(|txn| {
            delete(txn)?;
            Err::<(), _>(OwnError::Number(op.c))
        }),
        _ => {
            let outcome = database.transact(|txn| {
                delete(txn)?;
                Err::<(), _>(fastness::Error::app(OwnError::Number(op.c)))
            });
            outcome.map_err(|error| error.into_app().unwrap_or_else(OwnError::Store))
        }
    };
    match found {
        Err(OwnError::Number(number)) if number == op.c => {}
        Err(OwnError::Store(error)) => return Err(error.into()),
        found => {
            let text = format!("a transaction that ends with error {} gives {found:?}", op.c);
            return Err(Violation::new(B16.id, text).into());
        }
    }
    harness.probe.mark("an error of the app rolled a transaction back");
    harness.look_all()
}
