//! Comparison of two schemas: the differences of the stored one from the requested one.

use super::class::Class;
use super::difference::{Change, Difference};
use super::property::Property;
use super::set::Schema;

/// Returns the changes that turn the schema `stored` into `wanted`: first the new classes, then the
/// changes of each class. Stored classes that are not requested make no difference.
#[must_use]
pub fn differences(stored: &Schema, wanted: &Schema) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut push = |class: &Class, change| {
        found.push(Difference { class: class.name().to_owned(), change });
    };
    for class in wanted.classes().iter().filter(|class| stored.class(class.name()).is_none()) {
        push(class, Change::AddClass);
    }
    for class in wanted.classes() {
        match stored.class(class.name()) {
            None => push(class, Change::AddInitialProperties),
            Some(old) => of_class(old, class, &mut |change| push(class, change)),
        }
    }
    found
}

fn of_class(stored: &Class, wanted: &Class, push: &mut dyn FnMut(Change)) {
    if stored.is_local() != wanted.is_local() {
        // They are two classes, whatever their properties are.
        return push(Change::ChangeLocal { to: wanted.is_local() });
    }
    for old in stored.stored_properties() {
        match wanted.property(old.name()).filter(|new| !new.kind().is_computed()) {
            None => push(Change::RemoveProperty { property: old.name().to_owned() }),
            Some(new) => of_property(old, new, push),
        }
    }
    let key = |class: &Class| class.primary_key().map(|key| key.name().to_owned());
    let (from, to) = (key(stored), key(wanted));
    if from != to {
        push(Change::ChangePrimaryKey { from, to });
    }
    let is_stored = |name| stored.property(name).is_some_and(|old| !old.kind().is_computed());
    for new in wanted.stored_properties().filter(|new| !is_stored(new.name())) {
        push(Change::AddProperty { property: new.name().to_owned() });
    }
}

fn of_property(old: &Property, new: &Property, push: &mut dyn FnMut(Change)) {
    let property = old.name().to_owned();
    if old.kind() != new.kind() {
        // Other differences disappear with the old column.
        let (from, to) = (old.kind().clone(), new.kind().clone());
        return push(Change::ChangeType { property, from, to });
    }
    match (old.is_nullable(), new.is_nullable()) {
        (true, false) => push(Change::MakeRequired { property: property.clone() }),
        (false, true) => push(Change::MakeNullable { property: property.clone() }),
        (true, true) | (false, false) => {}
    }
    match (old.is_indexed(), new.is_indexed()) {
        (true, false) => push(Change::RemoveIndex { property }),
        (false, true) => push(Change::AddIndex { property }),
        (true, true) | (false, false) => {}
    }
}
