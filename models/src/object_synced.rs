//! Synced files: transactions and openings only add to the schema.
//!
//! Written from docs/objects.md#synced-files and docs/schema.md#modes, not from the code.

use crate::object_schema::Alter;
use crate::objects::{Class, Property, Refusal, State};

impl State {
    /// Applies a schema change to a synced file.
    ///
    /// # Errors
    /// As the specification defines; the state is unchanged.
    pub fn alter_synced(&mut self, alter: &Alter) -> Result<(), Refusal> {
        let mut draft = self.clone();
        let outcome = draft.alter(alter);
        match (outcome, alter) {
            (Ok(()), _) if draft == *self => return Ok(()),
            (Err(Refusal::Class | Refusal::Property | Refusal::Type | Refusal::Definition), _)
            | (Err(Refusal::Exists), Alter::AddKey(..))
            | (_, Alter::AddClass(_) | Alter::AddProperty(..) | Alter::SetIndexed(_, _, true)) => {
                outcome?;
            }
            (_, Alter::SetKey(_, Some(_)) | Alter::AddKey(..)) => return Err(Refusal::SyncedKey),
            _ => return Err(Refusal::SyncedChange),
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
            let Some(held) = left.classes.get_mut(name) else {
                left.classes.insert(name.clone(), Class { objects: [].into(), ..class.clone() });
                adds = true;
                continue;
            };
            if held.key != class.key {
                return None;
            }
            for (property, new) in &class.properties {
                match held.properties.get(property) {
                    None => {
                        adds = true;
                        let new = Property { indexed: false, ..new.clone() };
                        held.add_property(property, &new);
                    }
                    Some(old) if (&old.kind, old.nullable) != (&new.kind, new.nullable) => {
                        return None;
                    }
                    Some(_) => {}
                }
                indexes.push(Alter::SetIndexed(name.clone(), property.clone(), new.indexed));
            }
        }
        if adds || left.version != wanted.version {
            for index in indexes {
                left.alter(&index).ok()?;
            }
        }
        left.version = left.version.max(wanted.version);
        Some(left)
    }
}
