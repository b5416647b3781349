//! Fixtures of the instance checks: a schema of notes, and translation of outcomes.

use super::Violation;
use super::promises::A1;
use fastness::instance::Instance;
use fastness::object::Value;
use fastness::schema::{Class, Module, Property, Scalar, SchemaError};
use fastness::{
    ConfigurationDifference, Error, FileErrorCause as Cause, InstanceError, ObjectError,
};
use fastness_models::instances::{Outcome, Refusal};
use std::collections::BTreeSet;

/// The schema of the app: notes with a number.
pub(super) fn notes() -> Module {
    let number = Property::new("number", Scalar::Int).map(|it| it.required().primary_key());
    let class = number.and_then(|number| Ok(Class::new("Note")?.with(number)));
    Module::new("notes", class)
}

/// An error that no model predicts.
pub(super) fn broken(error: Error) -> Violation {
    Violation::new(A1.id, error.to_string())
}

/// Reads the notes; a file without classes has none.
pub(super) fn read(instance: &Instance) -> Result<BTreeSet<u8>, Error> {
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
pub(super) fn told<T>(outcome: Result<T, Error>) -> Result<Outcome<T>, Violation> {
    let error = match outcome {
        Ok(value) => return Ok(Ok(value)),
        Err(error) => error,
    };
    Ok(Err(match &error {
        Error::Instance(InstanceError::OtherConfiguration { difference, .. }) => match difference {
            ConfigurationDifference::Key => Refusal::OtherKey,
            ConfigurationDifference::UnnamedMigration => Refusal::OtherMigration,
            _ => Refusal::Other,
        },
        Error::Instance(InstanceError::StillOpen { count, .. }) => Refusal::StillOpen(*count),
        Error::Instance(InstanceError::Closed { .. }) => Refusal::Closed,
        Error::Instance(InstanceError::OtherThread { .. }) => Refusal::OtherThread,
        Error::Instance(InstanceError::CopyTargetExists { .. }) => Refusal::Exists,
        Error::File { cause: Cause::WrongKey | Cause::KeyMissing, .. }
        | Error::File { cause: Cause::KeyForPlainFile, .. } => Refusal::Key,
        Error::Schema(SchemaError::VersionLower { .. }) => Refusal::VersionLower,
        Error::Object(ObjectError::ClassUnknown { .. }) => Refusal::NoClass,
        Error::TransactionFailed => Refusal::Migration,
        _ => return Err(broken(error)),
    }))
}
