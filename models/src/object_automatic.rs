//! Openings in the mode Automatic: the file gets the classes of the app.
//!
//! Written from docs/schema.md#modes and docs/objects.md#opening, not from the code.

use crate::object_schema::SchemaChange;
use crate::objects::{Class, DatabaseState, ObjectResult, Property, ValueType};

impl DatabaseState {
    /// Returns the file after an opening in the mode Automatic at a higher version, in which the
    /// migration changes nothing.
    ///
    /// # Errors
    /// If keys are not unique then; the file is unchanged.
    pub fn automatic(&self, wanted: &Self) -> ObjectResult<Self> {
        let mut left = self.clone();
        let (mut changes, mut removals, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (name, new) in &wanted.classes {
            let Some(old) = self.classes.get(name) else {
                left.classes.insert(name.clone(), Class { objects: [].into(), ..new.clone() });
                continue;
            };
            for (property, held) in &old.properties {
                let at = || (name.clone(), property.clone());
                let ((class, property), is_key) = (at(), new.key.as_ref() == Some(property));
                match new.properties.get(&property) {
                    None => removals.push(SchemaChange::RemoveProperty(class, property)),
                    Some(now) if type_of(held) != type_of(now) => {
                        changes.push(SchemaChange::RemoveProperty(class, property));
                        changes.push(added(at(), now, is_key));
                        keys.extend(is_key.then_some(name));
                    }
                    Some(now) => {
                        if held.nullable != now.nullable {
                            let nullable = now.nullable;
                            changes.push(SchemaChange::SetNullable(class, property, nullable));
                        }
                        if held.indexed != now.indexed {
                            let (class, property) = at();
                            changes.push(SchemaChange::SetIndexed(class, property, now.indexed));
                        }
                    }
                }
            }
            keys.extend((old.key != new.key).then_some(name));
            let added = new.properties.iter().filter(|(it, _)| !old.properties.contains_key(*it));
            for (property, now) in added {
                let is_key = new.key.as_ref() == Some(property);
                changes.push(self::added((name.clone(), property.clone()), now, is_key));
            }
        }
        for change in changes.iter().chain(&removals) {
            left.change_schema(change)?;
        }
        for name in keys {
            let new = &wanted.classes[name];
            left.change_schema(&SchemaChange::SetKey(name.clone(), new.key.clone()))?;
            for (property, now) in &new.properties {
                let (class, property) = (name.clone(), property.clone());
                left.change_schema(&SchemaChange::SetIndexed(class, property, now.indexed))?;
            }
        }
        left.version = wanted.version;
        Ok(left)
    }

    /// Gives the primary key of a class another type, if it has one.
    pub fn retype_key(&mut self, class: &str) {
        let Some(class) = self.classes.get_mut(class) else { return };
        let key = class.key.as_ref().and_then(|key| class.properties.get_mut(key));
        let Some(key) = key else { return };
        key.kind = if key.kind == ValueType::Int { ValueType::Text } else { ValueType::Int };
    }
}

/// Returns what the values of a property are: of a list, also whether elements may be null.
fn type_of(property: &Property) -> (&ValueType, bool) {
    (&property.kind, property.kind.is_list() && property.nullable)
}

/// Returns the addition of a property that is not the key yet.
fn added(at: (String, String), now: &Property, is_key: bool) -> SchemaChange {
    let property = Property { indexed: now.indexed && !is_key, ..now.clone() };
    SchemaChange::AddProperty(at.0, at.1, property)
}
