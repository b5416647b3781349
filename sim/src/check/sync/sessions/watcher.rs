//! An observer of a client's file, across downloads and resets.
//!
//! - W1 The changes that an observer gets are those of the objects.

use super::super::super::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::W1;
use fastness::object::{Database, ObjectKey, Snapshot, Subscription};
use fastness::schema::PropertyType;
use std::collections::BTreeMap;

/// The properties of objects as text, by class and key.
type Shown = BTreeMap<(String, ObjectKey), BTreeMap<String, String>>;

/// An observer, and what the file showed when it was compared last.
pub(super) struct Watcher {
    subscription: Subscription,
    shown: Shown,
}

impl Watcher {
    pub(super) fn begin(database: &Database) -> Result<Self, CheckError> {
        let (snapshot, subscription) = database.subscribe()?;
        Ok(Self { subscription, shown: shown(&snapshot)? })
    }

    /// Compares the changes since the last call with what the file shows; tells whether it shows
    /// something else.
    pub(super) fn compare(&mut self, database: &Database) -> Result<bool, CheckError> {
        let mut reported = BTreeMap::new();
        while let Some(changes) = self.subscription.try_recv() {
            for (name, class) in &changes.classes {
                let modified = class.modified.iter().map(|(key, _)| key);
                let present = class.inserted.iter().chain(modified).map(|key| (key, true));
                for (key, is_present) in present.chain(class.deleted.iter().map(|key| (key, false)))
                {
                    reported.insert((name.clone(), key.clone()), is_present);
                }
            }
        }
        let shown = shown(&database.snapshot()?)?;
        let before = std::mem::replace(&mut self.shown, shown);
        let mut has_changed = false;
        for id in before.keys().chain(self.shown.keys()) {
            let (older, newer) = (before.get(id), self.shown.get(id));
            let is_equal = match (older, newer) {
                // A property that the class did not have before is no change of an object.
                (Some(older), Some(newer)) => {
                    older.iter().all(|(name, value)| newer.get(name).is_none_or(|it| it == value))
                }
                (older, newer) => older.is_some() == newer.is_some(),
            };
            has_changed |= !is_equal;
            if !is_equal && reported.get(id) != Some(&newer.is_some()) {
                let text = format!("an observer heard {:?} of {id:?}", reported.get(id));
                return Err(Violation::new(W1.id, format!("{text}, now {newer:?}")).into());
            }
        }
        Ok(has_changed)
    }
}

fn shown(snapshot: &Snapshot) -> Result<Shown, CheckError> {
    let (view, mut shown) = (snapshot.view(), Shown::new());
    for class in view.schema()?.classes() {
        for object in view.objects(class.name())?.iter()? {
            let object = object?;
            let mut properties = BTreeMap::new();
            for property in class.stored_properties() {
                let name = property.name();
                let is_list = matches!(
                    property.kind(),
                    PropertyType::ObjectList(_) | PropertyType::List { .. }
                );
                let value = match is_list {
                    true => format!("{:?}", object.list(name)?),
                    false => format!("{:?}", object.get(name)?),
                };
                // With its definition: one that gets another is another property.
                properties.insert(format!("{property:?}"), value);
            }
            shown.insert((class.name().to_owned(), object.key().clone()), properties);
        }
    }
    Ok(shown)
}
