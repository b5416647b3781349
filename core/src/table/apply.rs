//! Applying operations: keeps a second copy of the tables from the operations of the first.
//!
//! - B10 Applying is total: an operation that does not fit the tables is dropped, with the reason,
//!   and changes nothing. Only damage and the disk are errors.
//!
//! Check: `sim::check::observers`.

use super::backlinks::{Nullified, Replaced};
use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace};
use super::key::fits;
use super::list::{Element, LIST_BYTES_MAX, element_bytes};
use super::operation::{ObjectRef, Operation};
use super::reader::{ColumnRef, RecordRef};
use super::tables::{Tables, Touch};
use super::value::{ElementId, ObjectId, ObjectKey, RowId, Value};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::schema::PropertyType;

/// The effect of an operation on the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It changed them.
    Changed,
    /// The tables already were as it makes them.
    Unchanged,
    /// It does not fit them, and changed nothing.
    Dropped(Dropped),
}

/// The reason why an operation was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// The class does not exist.
    NoClass,
    /// The property does not exist, or has another type.
    NoProperty,
    /// The object does not exist.
    NoObject,
    /// The value links to an object that does not exist.
    NoTarget,
    /// The element does not exist.
    NoElement,
    /// The element that is named as the predecessor does not exist.
    NoAnchor,
    /// The property cannot hold the value, or the class cannot have the key.
    Unfit,
    /// A list, a record or a class has no room for it.
    Full,
    /// The class or property exists with another definition.
    Conflict,
    /// Objects would get equal primary keys.
    Duplicate,
    /// Other classes link to the class.
    Linked,
}

/// A reason not to go on.
pub(super) enum Stop {
    Dropped(Dropped),
    Failed(Error),
}

impl From<Dropped> for Stop {
    fn from(dropped: Dropped) -> Self {
        Self::Dropped(dropped)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type ApplyResult<T> = std::result::Result<T, Stop>;

/// A property of an object that an operation names.
struct Target<'o> {
    table: Arc<ClassTable>,
    key: &'o ObjectKey,
}

impl Tables {
    /// Applies an operation, of this file or of a copy. Links in values lead to the class of the
    /// property, whatever number they name, because numbers of classes differ between copies.
    /// `touch` gets every object that the operation may have changed.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn apply(
        &mut self,
        operation: &Operation,
        touch: &mut dyn FnMut(ObjectId),
    ) -> Result<Applied> {
        let applied = match operation {
            Operation::Create(target) => self.apply_create(target),
            Operation::Delete(target) => self.apply_delete(target, touch),
            Operation::Set { target, property, value } => self.apply_set(target, property, value),
            Operation::Increment { target, property, by } => {
                self.apply_increment(target, property, *by)
            }
            Operation::ListInsert { target, property, element, after } => {
                self.apply_insert((target, property), element, *after)
            }
            Operation::ListSet { target, property, element } => {
                self.apply_list_set(target, property, element)
            }
            Operation::ListRemove { target, property, element } => {
                self.apply_list_remove(target, property, *element)
            }
            Operation::ListMove { target, property, element, after } => {
                self.apply_list_move((target, property), *element, *after)
            }
            Operation::SchemaChange(change) => self.apply_schema(change, touch),
        };
        if let (Ok(Applied::Changed), Some(target)) = (&applied, operation.target())
            && let Some(table) = self.catalog.table(&target.class)
        {
            touch(ObjectId { class: table.id, key: target.key.clone() });
        }
        match applied {
            Ok(applied) => Ok(applied),
            Err(Stop::Dropped(dropped)) => Ok(Applied::Dropped(dropped)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn target<'o>(&self, target: &'o ObjectRef) -> ApplyResult<Target<'o>> {
        let table = self.catalog.table(&target.class).ok_or(Dropped::NoClass)?;
        Ok(Target { table: Arc::clone(table), key: &target.key })
    }

    /// Returns a copy of the record of an object.
    fn held(&self, target: &Target<'_>) -> ApplyResult<Vec<u8>> {
        let record = self.reader().record(&target.table, target.key)?;
        Ok(record.ok_or(Dropped::NoObject)?.to_vec())
    }

    /// Returns a value as the property holds it, if it can.
    fn fit<'v>(&self, column: &Column, value: &'v Value<'_>) -> ApplyResult<Value<'v>> {
        if !column.accepts(value) {
            return Err(Dropped::Unfit.into());
        }
        let Value::Link(to) = value else { return Ok(value.clone()) };
        let target = column.target().and_then(|class| self.catalog.table(class));
        let target = target.ok_or(Dropped::NoClass)?;
        if self.reader().record(target, &to.key)?.is_none() {
            return Err(Dropped::NoTarget.into());
        }
        Ok(Value::Link(ObjectId { class: target.id, key: to.key.clone() }))
    }

    fn apply_create(&mut self, target: &ObjectRef) -> ApplyResult<Applied> {
        let Target { table, key } = self.target(target)?;
        if !fits(&table, key) {
            return Err(Dropped::Unfit.into());
        }
        if let ObjectKey::Row(RowId { author, number }) = key
            && !self.reserve_number(*author, *number)?
        {
            return Err(Dropped::Unfit.into());
        }
        if self.reader().record(&table, key)?.is_some() {
            return Ok(Applied::Unchanged);
        }
        self.create_object(&table, &key.to_bytes(), &[])?;
        Ok(Applied::Changed)
    }

    fn apply_delete(&mut self, target: &ObjectRef, touch: Touch<'_>) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let record = self.held(&target)?;
        let row = RecordRef { key: &target.key.to_bytes(), record: &record };
        for Nullified { table, key, .. } in self.delete_object(&target.table, row)? {
            touch(ObjectId { class: table.id, key });
        }
        Ok(Applied::Changed)
    }

    fn apply_set(
        &mut self,
        target: &ObjectRef,
        property: &str,
        value: &Value<'_>,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        // A counter is incremented only: setting it would lose what others add meanwhile.
        let field = field(&target.table, property, |column| {
            matches!(column.place, ColumnPlace::Slot(_)) && *column.kind() != PropertyType::Counter
        })?;
        let value = self.fit(field.column, value)?;
        let record = self.held(&target)?;
        let row = RecordRef { key: &target.key.to_bytes(), record: &record };
        let held = self.reader().value(field, row)?.into_owned();
        if held.bitwise_eq(&value) {
            return Ok(Applied::Unchanged);
        }
        self.replace_value(field, row, Replaced::by(&held, &value))?;
        Ok(Applied::Changed)
    }

    fn apply_increment(
        &mut self,
        target: &ObjectRef,
        property: &str,
        by: i64,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let field = field(&target.table, property, |column| {
            matches!(column.kind(), PropertyType::Counter)
        })?;
        let record = self.held(&target)?;
        let row = RecordRef { key: &target.key.to_bytes(), record: &record };
        let held = self.reader().value(field, row)?.into_owned();
        let Value::Int(sum) = held else { return Err(Stop::Failed(self.malformed())) };
        if by == 0 {
            return Ok(Applied::Unchanged);
        }
        let sum = Value::Int(sum.wrapping_add(by));
        self.replace_value(field, row, Replaced::by(&held, &sum))?;
        Ok(Applied::Changed)
    }

    fn apply_insert(
        &mut self,
        (target, property): (&ObjectRef, &str),
        element: &Element,
        after: Option<ElementId>,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let field = field(&target.table, property, Column::is_list)?;
        self.held(&target)?;
        let value = self.fit(field.column, &element.value)?.into_owned();
        let key = target.key.to_bytes();
        let list = field.list(&key);
        if !self.reserve_number(element.id.author, element.id.number)? {
            return Err(Dropped::Unfit.into());
        }
        let stored = self.reader().stored_list(list)?;
        if self.reader().position(list, &stored, element.id)?.is_some() {
            return Ok(Applied::Unchanged);
        }
        let place = match after {
            Some(after) => self.reader().position(list, &stored, after)?.map(|at| at + 1),
            None => Some(0),
        };
        let place = place.ok_or(Dropped::NoAnchor)?;
        if stored.bytes() + element_bytes(&value) > LIST_BYTES_MAX {
            return Err(Dropped::Full.into());
        }
        let element = Element { id: element.id, value };
        self.replace_elements(list, stored, place..place, std::slice::from_ref(&element))?;
        Ok(Applied::Changed)
    }

    /// Returns the position of an element.
    fn position(&self, field: ColumnRef<'_>, key: &[u8], id: ElementId) -> ApplyResult<usize> {
        let (list, reader) = (field.list(key), self.reader());
        let found = reader.position(list, &reader.stored_list(list)?, id)?;
        Ok(found.ok_or(Dropped::NoElement)?)
    }

    fn apply_list_set(
        &mut self,
        target: &ObjectRef,
        property: &str,
        element: &Element,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let field = field(&target.table, property, Column::is_list)?;
        self.held(&target)?;
        let value = self.fit(field.column, &element.value)?.into_owned();
        let key = target.key.to_bytes();
        let at = self.position(field, &key, element.id)?;
        let list = field.list(&key);
        let stored = self.reader().stored_list(list)?;
        let held = self.reader().element(list, &stored, at)?;
        if held.value.bitwise_eq(&value) {
            return Ok(Applied::Unchanged);
        }
        let bytes = stored.bytes() + element_bytes(&value);
        if bytes.saturating_sub(element_bytes(&held.value)) > LIST_BYTES_MAX {
            return Err(Dropped::Full.into());
        }
        let element = Element { id: element.id, value };
        self.replace_elements(list, stored, at..at + 1, std::slice::from_ref(&element))?;
        Ok(Applied::Changed)
    }

    fn apply_list_remove(
        &mut self,
        target: &ObjectRef,
        property: &str,
        element: ElementId,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let field = field(&target.table, property, Column::is_list)?;
        self.held(&target)?;
        let key = target.key.to_bytes();
        let at = self.position(field, &key, element)?;
        let stored = self.reader().stored_list(field.list(&key))?;
        self.replace_elements(field.list(&key), stored, at..at + 1, &[])?;
        Ok(Applied::Changed)
    }

    fn apply_list_move(
        &mut self,
        (target, property): (&ObjectRef, &str),
        element: ElementId,
        after: Option<ElementId>,
    ) -> ApplyResult<Applied> {
        let target = self.target(target)?;
        let field = field(&target.table, property, Column::is_list)?;
        self.held(&target)?;
        let key = target.key.to_bytes();
        let from = self.position(field, &key, element)?;
        let to = match after {
            None => 0,
            Some(after) if after == element => return Ok(Applied::Unchanged),
            Some(after) => match self.position(field, &key, after) {
                // The predecessor is counted without the element.
                Ok(at) => at + usize::from(at < from),
                Err(Stop::Dropped(_)) => return Err(Dropped::NoAnchor.into()),
                Err(failed) => return Err(failed),
            },
        };
        if from == to {
            return Ok(Applied::Unchanged);
        }
        let stored = self.reader().stored_list(field.list(&key))?;
        self.move_element(field.list(&key), stored, from, to)?;
        Ok(Applied::Changed)
    }
}

impl Operation {
    /// Returns the object that the operation changes.
    #[must_use]
    pub const fn target(&self) -> Option<&ObjectRef> {
        match self {
            Self::Create(target)
            | Self::Delete(target)
            | Self::Set { target, .. }
            | Self::Increment { target, .. }
            | Self::ListInsert { target, .. }
            | Self::ListSet { target, .. }
            | Self::ListRemove { target, .. }
            | Self::ListMove { target, .. } => Some(target),
            Self::SchemaChange(_) => None,
        }
    }

    /// Returns the value that the operation writes.
    #[must_use]
    pub const fn value(&self) -> Option<&Value<'static>> {
        match self {
            Self::Set { value, .. } => Some(value),
            Self::ListInsert { element, .. } | Self::ListSet { element, .. } => {
                Some(&element.value)
            }
            Self::Create(_)
            | Self::Delete(_)
            | Self::Increment { .. }
            | Self::ListRemove { .. }
            | Self::ListMove { .. }
            | Self::SchemaChange(_) => None,
        }
    }
}

/// Returns a property, if it exists and is of the right kind.
fn field<'t>(
    table: &'t ClassTable,
    property: &str,
    is_right: impl Fn(&Column) -> bool,
) -> ApplyResult<ColumnRef<'t>> {
    let column = table.column(property).filter(|column| is_right(column));
    Ok(ColumnRef::new(table, column.ok_or(Dropped::NoProperty)?))
}
