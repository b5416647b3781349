//! Synced files: transactions and openings only add to the schema.
//!
//! Written from docs/objects.md#synced-files and docs/schema.md#modes, not from the code.

use crate::object_schema::SchemaChange;
use crate::objects::{Class, DatabaseState, ObjectRefusal, Property};

impl DatabaseState {
    /// Applies a schema change to a synced file.
    ///
    /// # Errors
    /// As the specification defines; the state is unchanged.
    pub fn change_synced_schema(
        &mut self,
        change_schema: &SchemaChange,
    ) -> Result<(), ObjectRefusal> {
        let mut draft = self.clone();
        let outcome = draft.change_schema(change_schema);
        match (outcome, change_schema) {
            (Ok(()), _) if draft == *self => return Ok(()),
            (
                Err(
                    ObjectRefusal::Class
                    | ObjectRefusal::Property
                    | ObjectRefusal::Type
                    | ObjectRefusal::Definition,
                ),
                _,
            )
            | (Err(ObjectRefusal::Exists), SchemaChange::AddKey(..))
            | (
                _,
                SchemaChange::AddClass(_)
                | SchemaChange::AddProperty(..)
                | SchemaChange::SetIndexed(_, _, true),
            ) => {
                outcome?;
            }
            (_, SchemaChange::SetKey(_, Some(_)) | SchemaChange::AddKey(..)) => {
                return Err(ObjectRefusal::SyncedKey);
            }
            _ => return Err(ObjectRefusal::SyncedChange),
        }
        *self = draft;
        Ok(())
    }

    /// Returns the file after an opening in the mode Additive; none if the classes do not match.
    #[must_use]
    pub fn added(&self, wanted: &Self) -> Option<Self> {
        let mut left = self.clone();
        let mut indexes = Vec::new();
        let mut adds = false;
        for (name, class) in &wanted.classes {
            let Some(stored) = left.classes.get_mut(name) else {
                left.classes.insert(name.clone(), Class { objects: [].into(), ..class.clone() });
                adds = true;
                continue;
            };
            if stored.key != class.key {
                return None;
            }
            for (property, new) in &class.properties {
                match stored.properties.get(property) {
                    None => {
                        adds = true;
                        let new = Property { indexed: false, ..new.clone() };
                        stored.add_property(property, &new);
                    }
                    Some(old) if (&old.kind, old.nullable) != (&new.kind, new.nullable) => {
                        return None;
                    }
                    Some(_) => {}
                }
                indexes.push(SchemaChange::SetIndexed(name.clone(), property.clone(), new.indexed));
            }
        }
        if adds || left.version != wanted.version {
            for index in indexes {
                left.change_schema(&index).ok()?;
            }
        }
        left.version = left.version.max(wanted.version);
        Some(left)
    }
}
