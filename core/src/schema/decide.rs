//! Decisions of an opening about the schema of a file: the table of the modes, as a function (M4).

use super::compare::differences;
use super::difference::{Change, Difference};
use super::error::SchemaError;
use super::mode::SchemaMode;
use super::set::Schema;
use crate::fault::{self, Fault};
use std::path::Path;

/// The schema that a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSchema {
    /// Its version; none if the file never had a schema.
    pub version: Option<u64>,
    /// Its classes.
    pub schema: Schema,
}

/// The opening of a file with a schema.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The file, for errors to name.
    pub path: &'a Path,
    /// How a difference is treated.
    pub mode: SchemaMode,
    /// The schema in the file.
    pub stored: &'a StoredSchema,
    /// The schema of the app.
    pub wanted: &'a Schema,
    /// The version of the app's schema.
    pub version: u64,
    /// Whether the app brought a migration.
    pub has_migration: bool,
}

/// A step of an opening. All steps run in one transaction, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Remove the file and begin with an empty one.
    RemoveFile,
    /// Apply this change.
    Apply(Difference),
    /// Run the app's migration.
    RunMigration {
        /// Version in the file.
        from: u64,
        /// Requested version.
        to: u64,
    },
    /// Compare the migrated schema with the requested one, see [`require_match`].
    RequireMatch,
    /// Check that no two objects of a class have the same primary key.
    RequireUniqueKeys,
    /// Store the version.
    SetVersion(u64),
    /// Write the app's initial data.
    WriteInitialData,
}

/// Decides the steps of an opening. Without a step, nothing is written.
///
/// # Errors
/// [`SchemaError::VersionLower`], [`SchemaError::VersionDiffers`], [`SchemaError::Mismatch`] or
/// [`SchemaError::MigrationNeeded`], by the rules of the mode. The file is unchanged then.
pub fn decide(opening: &Opening<'_>) -> Result<Vec<Action>, SchemaError> {
    let found = differences(&opening.stored.schema, opening.wanted);
    if opening.stored.version == Some(opening.version) && found.is_empty() {
        return Ok(Vec::new());
    }
    match opening.mode {
        SchemaMode::Automatic => automatic(opening, found),
        SchemaMode::Immutable => immutable(opening, found),
        SchemaMode::ReadOnly => read_only(opening, found),
        SchemaMode::ResetFile => Ok(reset_file(opening, found)),
        SchemaMode::Additive => additive(opening, found),
        SchemaMode::Manual => manual(opening, found),
    }
}

/// Checks that the schema after a migration is the requested one.
///
/// # Errors
/// [`SchemaError::MigrationNeeded`] with the remaining differences.
pub fn require_match(path: &Path, left: &Schema, wanted: &Schema) -> Result<(), SchemaError> {
    let differences = differences(left, wanted);
    if differences.is_empty() {
        return Ok(());
    }
    Err(SchemaError::MigrationNeeded { path: path.to_path_buf(), differences })
}

/// Checks that a read-only file has every requested class. The read-only modes tolerate a missing
/// class; typed objects do not.
///
/// # Errors
/// [`SchemaError::ClassesMissing`] with all missing classes.
pub fn require_classes(path: &Path, stored: &Schema, wanted: &Schema) -> Result<(), SchemaError> {
    let missing = wanted.classes().iter().filter(|class| stored.class(class.name()).is_none());
    let classes: Vec<String> = missing.map(|class| class.name().to_owned()).collect();
    if classes.is_empty() {
        return Ok(());
    }
    Err(SchemaError::ClassesMissing { path: path.to_path_buf(), classes })
}

fn automatic(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    let Some(stored) = opening.stored.version else { return initialise(opening, found) };
    opening.not_lower(stored)?;
    let changes_local =
        found.iter().any(|found| matches!(found.change, Change::ChangeLocal { .. }));
    if stored == opening.version || changes_local {
        return match needs_migration(&found) {
            true => Err(opening.migration_needed(found)),
            false => Ok(apply(found).collect()),
        };
    }
    let removes =
        |difference: &Difference| matches!(difference.change, Change::RemoveProperty { .. });
    let (removed, changed): (Vec<_>, Vec<_>) = found.into_iter().partition(removes);
    let mut actions: Vec<Action> = apply(changed).collect();
    if opening.has_migration {
        actions.push(Action::RunMigration { from: stored, to: opening.version });
    }
    actions.extend(apply(removed));
    actions.extend([Action::RequireUniqueKeys, Action::SetVersion(opening.version)]);
    Ok(actions)
}

fn immutable(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    if opening.stored.version != Some(opening.version) {
        return Err(SchemaError::VersionDiffers {
            path: opening.path.to_path_buf(),
            stored: opening.stored.version,
            wanted: opening.version,
        });
    }
    read_only(opening, found)
}

fn read_only(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    opening.only(found, |change| {
        !change.needs_migration() || matches!(change, Change::RemoveProperty { .. })
    })?;
    Ok(Vec::new())
}

fn reset_file(opening: &Opening<'_>, found: Vec<Difference>) -> Vec<Action> {
    match opening.stored.version {
        None if !drops_values(&found) => opening.first_schema(found),
        Some(stored) if stored == opening.version && !needs_migration(&found) => {
            apply(found).collect()
        }
        None | Some(_) => {
            let all = differences(&Schema::default(), opening.wanted);
            let mut actions = vec![Action::RemoveFile];
            actions.extend(opening.first_schema(all));
            actions
        }
    }
}

fn additive(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    let allowed = |change: &Change| {
        !change.needs_migration()
            || matches!(change, Change::AddProperty { .. } | Change::RemoveProperty { .. })
    };
    let mut found = opening.only(found, allowed)?;
    // Removed properties stay in the file, hidden.
    found.retain(|difference| !matches!(difference.change, Change::RemoveProperty { .. }));
    let Some(stored) = opening.stored.version else { return Ok(opening.first_schema(found)) };
    if stored == opening.version && found.iter().all(|found| found.change.is_of_index()) {
        return Ok(Vec::new());
    }
    let mut actions: Vec<Action> = apply(found).collect();
    if stored < opening.version || stored > opening.version && fault::on(Fault::Ob03) {
        actions.push(Action::SetVersion(opening.version));
    }
    Ok(actions)
}

fn manual(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    let Some(stored) = opening.stored.version else { return initialise(opening, found) };
    opening.not_lower(stored)?;
    let to = opening.version;
    if stored < to && opening.has_migration {
        let from = stored;
        return Ok(vec![
            Action::RunMigration { from, to },
            Action::RequireMatch,
            Action::RequireUniqueKeys,
            Action::SetVersion(to),
        ]);
    }
    if found.is_empty() {
        return Ok(vec![Action::SetVersion(to)]);
    }
    Err(opening.migration_needed(found))
}

/// Decides the first schema of a file without a version. Existing classes lose no values (M5).
fn initialise(opening: &Opening<'_>, found: Vec<Difference>) -> Result<Vec<Action>, SchemaError> {
    if drops_values(&found) {
        return Err(opening.migration_needed(found));
    }
    Ok(opening.first_schema(found))
}

fn apply(found: Vec<Difference>) -> impl Iterator<Item = Action> {
    found.into_iter().map(Action::Apply)
}

fn needs_migration(found: &[Difference]) -> bool {
    found.iter().any(|found| found.change.needs_migration())
}

fn drops_values(found: &[Difference]) -> bool {
    found.iter().any(|found| found.change.drops_values())
}

impl Opening<'_> {
    fn first_schema(&self, found: Vec<Difference>) -> Vec<Action> {
        let rekeyed =
            found.iter().any(|found| matches!(found.change, Change::ChangePrimaryKey { .. }));
        let mut actions: Vec<Action> = apply(found).collect();
        actions.extend(rekeyed.then_some(Action::RequireUniqueKeys));
        actions.extend([Action::SetVersion(self.version), Action::WriteInitialData]);
        actions
    }

    fn not_lower(&self, stored: u64) -> Result<(), SchemaError> {
        if self.version >= stored {
            return Ok(());
        }
        let path = self.path.to_path_buf();
        Err(SchemaError::VersionLower { path, stored, wanted: self.version })
    }

    /// Returns the differences if all of them are allowed, else a mismatch with the others.
    fn only(
        &self,
        found: Vec<Difference>,
        allowed: impl Fn(&Change) -> bool,
    ) -> Result<Vec<Difference>, SchemaError> {
        let (fine, differences): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| allowed(&found.change));
        if differences.is_empty() {
            return Ok(fine);
        }
        Err(SchemaError::Mismatch { path: self.path.to_path_buf(), mode: self.mode, differences })
    }

    fn migration_needed(&self, differences: Vec<Difference>) -> SchemaError {
        SchemaError::MigrationNeeded { path: self.path.to_path_buf(), differences }
    }
}
