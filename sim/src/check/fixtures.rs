//! Fixtures of the instance checks: a schema of notes, and translation of outcomes.

use super::definition::Violation;
use super::promises::A1;
use fastness::instance::Instance;
use fastness::object::Value;
use fastness::schema::{Class, Module, Property, Scalar, SchemaError};
use fastness::{
    ConfigurationDifference, Error, FileErrorCause as Cause, InstanceError, ObjectError,
};
use fastness_models::instances::{InstanceOutcome, InstanceRefusal};
use std::collections::BTreeSet;

/// The schema of the app: notes with a number.
pub(super) fn notes_module() -> Module {
    let number = Property::new("number", Scalar::Int).map(|it| it.required().primary_key());
    let class = number.and_then(|number| Ok(Class::new("Note")?.with(number)));
    Module::new("notes", class)
}

/// An error that no model predicts.
pub(super) fn unexpected_error(error: Error) -> Violation {
    Violation::new(A1.id, error.to_string())
}

/// Reads the notes; a file without classes has none.
pub(super) fn read_notes(instance: &Instance) -> Result<BTreeSet<u8>, Error> {
    let snapshot = instance.snapshot()?;
    if snapshot.view().schema_version().is_none() {
        return Ok(BTreeSet::new());
    }
    let mut notes = BTreeSet::new();
    for object in snapshot.objects("Note")?.iter()? {
        if let Value::Int(note) = object?.get("number")? {
            notes.extend(u8::try_from(note));
        }
    }
    Ok(notes)
}

/// Translates a refusal into the model's; any other error is a violation.
pub(super) fn model_outcome<T>(outcome: Result<T, Error>) -> Result<InstanceOutcome<T>, Violation> {
    let error = match outcome {
        Ok(value) => return Ok(Ok(value)),
        Err(error) => error,
    };
    Ok(Err(match &error {
        Error::Instance(InstanceError::OtherConfiguration { difference, .. }) => match difference {
            ConfigurationDifference::Key => InstanceRefusal::OtherKey,
            ConfigurationDifference::UnnamedMigration => InstanceRefusal::OtherMigration,
            _ => InstanceRefusal::Other,
        },
        Error::Instance(InstanceError::StillOpen { count, .. }) => {
            InstanceRefusal::StillOpen(*count)
        }
        Error::Instance(InstanceError::Closed { .. }) => InstanceRefusal::Closed,
        Error::Instance(InstanceError::OtherThread { .. }) => InstanceRefusal::OtherThread,
        Error::Instance(InstanceError::CopyTargetExists { .. }) => InstanceRefusal::Exists,
        Error::File { cause: Cause::WrongKey | Cause::KeyMissing, .. }
        | Error::File { cause: Cause::KeyForPlainFile, .. } => InstanceRefusal::Key,
        Error::Schema(SchemaError::VersionLower { .. }) => InstanceRefusal::VersionLower,
        Error::Object(ObjectError::ClassUnknown { .. }) => InstanceRefusal::NoClass,
        Error::TransactionFailed => InstanceRefusal::Migration,
        _ => return Err(unexpected_error(error)),
    }))
}

/// Returns the errors of a transaction, a subscription and a read.
pub(super) fn refusals(instance: &Instance) -> [Option<Error>; 3] {
    let transact = instance.transact(|_| Ok(()));
    [transact.err(), instance.subscribe().err(), instance.snapshot().err()]
}
