//! Looking classes and properties up by name, and the refusals of what does not exist or fit.

use super::nearest::nearest;
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::schema::{PropertyType, Scalar, SchemaError, check_binary, check_string};
use crate::table::{Catalog, ClassId, ClassTable, Column, ColumnRef, ObjectKey, Value};
use crate::unit::PRIMARY_KEY_BYTES_MAX;

/// Returns the table of a class.
pub(super) fn class<'c>(catalog: &'c Catalog, class: &str) -> Result<&'c Arc<ClassTable>> {
    catalog.table(class).ok_or_else(|| {
        let names = catalog.tables().map(|table| table.name.as_str());
        ObjectError::ClassUnknown { class: class.to_owned(), nearest: nearest(class, names) }.into()
    })
}

/// Returns the table of a class by its number.
pub(super) fn class_numbered(catalog: &Catalog, id: ClassId) -> Result<&Arc<ClassTable>> {
    let unknown = || ObjectError::ClassUnknown { class: format!("number {}", id.0), nearest: None };
    catalog.table_numbered(id).ok_or_else(|| unknown().into())
}

/// Returns the column of a property.
pub(super) fn property<'t>(table: &'t ClassTable, name: &str) -> Result<&'t Column> {
    table.column(name).ok_or_else(|| {
        let (class, property) = (table.name.clone(), name.to_owned());
        let nearest = nearest(name, table.columns.iter().map(Column::name));
        ObjectError::PropertyUnknown { class, property, nearest }.into()
    })
}

/// Returns the column of a property that is no list.
pub(super) fn value_property<'t>(table: &'t ClassTable, name: &str) -> Result<&'t Column> {
    let column = property(table, name)?;
    if !column.is_list() {
        return Ok(column);
    }
    Err(type_error(ColumnRef::new(table, column), "one value"))
}

/// Returns the column of a property that is a list.
pub(super) fn list_property<'t>(table: &'t ClassTable, name: &str) -> Result<&'t Column> {
    let column = property(table, name)?;
    if column.is_list() {
        return Ok(column);
    }
    Err(type_error(ColumnRef::new(table, column), "a list"))
}

/// Returns the refusal of something that the type of a property does not allow.
pub(super) fn type_error(field: ColumnRef<'_>, found: &str) -> Error {
    type_error_of(field, field.column.kind().to_string(), found)
}

fn type_error_of(field: ColumnRef<'_>, expected: String, found: &str) -> Error {
    let (class, property) = (field.table.name.clone(), field.column.name().to_owned());
    ObjectError::Type { class, property, expected, found: found.to_owned() }.into()
}

/// Returns the refusal of an object that does not exist.
pub(super) fn not_found(table: &ClassTable, key: &ObjectKey) -> Error {
    ObjectError::ObjectNotFound { class: table.name.clone(), key: key.to_string() }.into()
}

pub(super) fn list_too_long(field: ColumnRef<'_>) -> Error {
    let (class, property) = (field.table.name.clone(), field.column.name().to_owned());
    ObjectError::ListTooLong { class, property }.into()
}

pub(super) fn too_many_properties(class: &str) -> Error {
    ObjectError::TooManyProperties { class: class.to_owned() }.into()
}

/// Checks that a property can hold a value. The class of a link is not checked.
pub(super) fn check_type(field: ColumnRef<'_>, value: &Value<'_>) -> Result<()> {
    if field.column.accepts(value) { Ok(()) } else { refuse_type(field, value) }
}

#[cold]
fn refuse_type(field: ColumnRef<'_>, value: &Value<'_>) -> Result<()> {
    let kind = field.column.kind();
    match (value, kind.scalar()) {
        (Value::Null, _) => {
            let (class, property) = (field.table.name.clone(), field.column.name().to_owned());
            return Err(SchemaError::NullInRequired { class, property }.into());
        }
        (Value::String(text), Some(Scalar::String)) => check_string(text)?,
        (Value::Binary(bytes), Some(Scalar::Binary)) => check_binary(bytes)?,
        _ => {}
    }
    let expected = match (kind.scalar(), field.column.target()) {
        (Some(scalar), _) => scalar.to_string(),
        (None, Some(class)) => class.to_owned(),
        (None, None) => kind.to_string(),
    };
    Err(type_error_of(field, expected, value.type_name()))
}

/// Checks that a property can hold a link to a class.
pub(super) fn check_target(field: ColumnRef<'_>, target: &ClassTable) -> Result<()> {
    if field.column.target() == Some(&target.name) {
        return Ok(());
    }
    Err(type_error(field, &format!("a link to {}", target.name)))
}

/// Reads a value as the key of an object that has a primary key.
#[inline]
pub(super) fn read_key(table: &ClassTable, value: &Value<'_>) -> Result<ObjectKey> {
    match (value, table.key().map(Column::kind)) {
        (Value::Int(value), Some(PropertyType::Scalar(Scalar::Int))) => Ok(ObjectKey::Int(*value)),
        _ => read_any_key(table, value),
    }
}

fn read_any_key(table: &ClassTable, value: &Value<'_>) -> Result<ObjectKey> {
    let no_key = || ObjectError::NoPrimaryKey { class: table.name.clone() };
    let column = table.key().ok_or_else(no_key)?;
    check_type(ColumnRef::new(table, column), value)?;
    match value {
        Value::String(text) if text.len() > PRIMARY_KEY_BYTES_MAX => {
            Err(ObjectError::KeyTooLong { bytes: text.len() }.into())
        }
        value => Ok(ObjectKey::from_value(value).unwrap_or(ObjectKey::Null)),
    }
}
