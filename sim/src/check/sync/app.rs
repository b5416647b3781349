//! Classes and edits of an app: the calls that it makes on its file.

use super::super::compare::CheckError;
use super::domain::{EXTRA, LATE, LATE_KEYS, LINES, LINKS, NEXT, PAGE, TAG, TITLE, VIEWS};
use super::edit::{Edit, Item, ObjectAddress};
use super::scratch;
use fastness::object::Transaction;
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::table::{ElementId, ObjectId, ObjectKey, RowId, Value};
use fastness_sync::entry::Key;

/// Returns the classes of the app, of which a newer version has more.
pub(super) fn schema(is_newer: bool) -> Result<Schema, fastness::Error> {
    let list = PropertyType::List { of: Scalar::Int, nullable: false };
    let named = |class: Class| -> Result<Class, fastness::Error> {
        Ok(class
            .with(Property::new(TITLE, Scalar::String)?.nullable())
            .with(Property::new(NEXT, PropertyType::Object(PAGE.into()))?)
            .with(Property::new(VIEWS, PropertyType::Counter)?))
    };
    let page = Class::new(PAGE)?.with(int_key("id")?);
    let page = named(page)?
        .with(Property::new(LINES, list)?)
        .with(Property::new(LINKS, PropertyType::ObjectList(PAGE.into()))?);
    let tag = named(Class::new(TAG)?)?;
    if is_newer {
        return Ok(Schema::new([page.with(extra(0)?), tag, late(0)?, scratch::class()?])?);
    }
    Ok(Schema::new([page, tag, scratch::class()?])?)
}

fn int_key(name: &str) -> Result<Property, fastness::Error> {
    Ok(Property::new(name, Scalar::Int)?.required().primary_key())
}

/// Returns the address of an object in a file.
fn id(txn: &Transaction, target: ObjectAddress) -> Result<ObjectId, CheckError> {
    let key = match target.key {
        Key::Int(key) => ObjectKey::Int(key),
        Key::Generated(id) => ObjectKey::Row(RowId { author: id.author, number: id.number }),
        Key::Null | Key::String(_) => ObjectKey::Null,
    };
    Ok(ObjectId { class: txn.objects(target.class)?.class(), key })
}

fn value(txn: &Transaction, item: Item) -> Result<Value<'static>, CheckError> {
    Ok(match item {
        Item::Number(number) => Value::Int(number),
        Item::Link(target) => Value::Link(id(txn, target)?),
    })
}

fn extra(of: usize) -> Result<Property, fastness::Error> {
    if of == 0 {
        return Ok(Property::new(EXTRA, Scalar::Int)?.nullable());
    }
    Ok(Property::new(EXTRA, PropertyType::Counter)?)
}

fn late(of: usize) -> Result<Class, fastness::Error> {
    Ok(Class::new(LATE)?.with(int_key(LATE_KEYS[of].property)?))
}

/// Does an edit as an app does.
pub(super) fn do_edit(txn: &mut Transaction, edit: &Edit) -> Result<(), CheckError> {
    match *edit {
        Edit::Create(target) => {
            let Key::Int(key) = target.key else { return Ok(()) };
            txn.create_with_key(target.class, key)?;
        }
        Edit::CreateTag => drop(txn.create(TAG)?),
        Edit::Delete(target) => txn.delete(&id(txn, target)?)?,
        Edit::SetTitle(target, number) => {
            let title = number.map(|number| number.to_string());
            let title = title.as_deref().map_or(Value::Null, Value::from);
            txn.set(&id(txn, target)?, TITLE, title)?;
        }
        Edit::SetExtra(target, to) => txn.set(&id(txn, target)?, EXTRA, to)?,
        Edit::SetNext(target, to) => {
            let to = to.map(|to| id(txn, to)).transpose()?.map_or(Value::Null, Value::Link);
            txn.set(&id(txn, target)?, NEXT, to)?;
        }
        Edit::Add(target, counter, by) => drop(txn.add(&id(txn, target)?, counter, by)?),
        Edit::Insert(target, list, index, item) => {
            let (id, value) = (id(txn, target)?, value(txn, item)?);
            let _element: ElementId = txn.list(&id, list)?.insert(index, value)?;
        }
        Edit::SetItem(target, list, index, item) => {
            let (id, value) = (id(txn, target)?, value(txn, item)?);
            txn.list(&id, list)?.set(index, value)?;
        }
        Edit::Remove(target, list, index) => {
            drop(txn.list(&id(txn, target)?, list)?.remove(index)?);
        }
        Edit::Move(target, list, [from, to]) => {
            txn.list(&id(txn, target)?, list)?.move_to(from, to)?;
        }
        Edit::Clear(target, list) => txn.list(&id(txn, target)?, list)?.clear()?,
        Edit::AddExtra(of) => {
            txn.add_property(PAGE, &extra(of)?)?;
        }
        Edit::AddLate(of) => {
            txn.add_class(&late(of)?)?;
        }
    }
    Ok(())
}
