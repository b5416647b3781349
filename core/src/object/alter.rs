//! Changing classes. Objects keep their values, except those of removed properties.
//!
//! Whether the classes fit together is checked at the commit, not before.

use super::lookup::{property, too_many_properties, type_error};
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::fault::{self, Fault};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Class, Property, check_class};
use crate::table::{
    ClassTable, Column, ColumnPlace, ColumnRef, ObjectKey, SchemaChange, Unusable, Value, zero,
};

impl Transaction {
    /// Adds a class with its properties. Computed ones are not stored, so nothing is added for
    /// them.
    ///
    /// # Errors
    /// [`ObjectError::ClassExists`], [`ObjectError::TooManyProperties`], or
    /// [`SchemaError::Definition`] with all that is wrong with the class itself; whether it fits
    /// the others is checked at the commit.
    pub fn add_class(&mut self, class: &Class) -> Result<()> {
        if self.tables.catalog().table(class.name()).is_some() {
            return Err(ObjectError::ClassExists { class: class.name().to_owned() }.into());
        }
        let class = check_class(class)?;
        let table = self.tables.new_table(&class);
        let table = table.ok_or_else(|| too_many_properties(class.name()))?;
        self.change(|txn| {
            let added = table.id;
            txn.tables.put_table(table);
            txn.note_class(added, || SchemaChange::AddClass(class.clone()));
            Ok(())
        })
    }

    /// Removes a class and its objects.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], or [`ObjectError::ClassLinked`] if another class has a
    /// property that links to it.
    pub fn remove_class(&mut self, class: &str) -> Result<()> {
        let table = self.class(class)?;
        self.require_change(&table, None)?;
        for other in self.tables.catalog().tables().filter(|other| other.id != table.id) {
            if other.columns.iter().any(|column| column.target() == Some(class)) {
                let (class, by) = (class.to_owned(), other.name.clone());
                return Err(ObjectError::ClassLinked { class, by }.into());
            }
        }
        self.change(|txn| {
            txn.touch_all(&table)?;
            txn.tables.remove_class(&table)?;
            txn.note_class(table.id, || SchemaChange::RemoveClass { class: class.to_owned() });
            Ok(())
        })
    }

    /// Renames a class. Links to it stay.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::ClassExists`], or
    /// [`SchemaError::ClassName`].
    pub fn rename_class(&mut self, class: &str, name: &str) -> Result<()> {
        let name = Class::new(name)?.name().to_owned();
        let table = self.class(class)?;
        self.require_change(&table, None)?;
        if self.tables.catalog().table(&name).is_some() {
            return Err(ObjectError::ClassExists { class: name }.into());
        }
        self.tables.rename_class(&table, &name)?;
        self.note_class(table.id, || SchemaChange::RenameClass { class: class.to_owned(), name });
        Ok(())
    }

    /// Adds a property. Existing objects have null, zero or an empty value in it. A computed one is
    /// not stored, so nothing is added for it.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyExists`],
    /// [`SchemaError::Definition`] if there can be no such property,
    /// [`ObjectError::TooManyProperties`], or [`ObjectError::KeysNotUnique`] if it is a primary key
    /// and there are several objects.
    pub fn add_property(&mut self, class: &str, property: &Property) -> Result<()> {
        let table = self.class(class)?;
        require_free_name(&table, property.name())?;
        check_class(&Class::new(class)?.with(property.clone()))?;
        if property.kind().is_computed() {
            return Ok(());
        }
        if property.is_primary_key() {
            self.add_key(&table, property)?;
        } else {
            let mut newer = ClassTable::clone(&table);
            newer.add(property.clone()).ok_or_else(|| too_many_properties(class))?;
            self.change(|txn| txn.tables.add_column(newer, property.name()))?;
        }
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.clone());
            SchemaChange::AddProperty { class, property }
        });
        Ok(())
    }

    /// Adds a property that is the primary key.
    fn add_key(&mut self, table: &ClassTable, property: &Property) -> Result<()> {
        self.require_key_change(table, property.name())?;
        let unusable =
            self.change_tables(|tables, touch| tables.add_key(table, property, touch))?;
        match unusable {
            None => Ok(()),
            Some(unusable) => Err(refused_key(table, unusable)),
        }
    }

    /// Removes a property with its values.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`] or [`ObjectError::PropertyUnknown`].
    pub fn remove_property(&mut self, class: &str, property: &str) -> Result<()> {
        let table = self.class(class)?;
        let column = self::property(&table, property)?;
        self.require_change(&table, Some(property))?;
        let has_room = self
            .change_tables(|tables, touch| tables.remove_property(&table, column.number, touch))?;
        if !has_room {
            return Err(too_many_properties(class));
        }
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.to_owned());
            SchemaChange::RemoveProperty { class, property }
        });
        Ok(())
    }

    /// Renames a property. A primary key stays one.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`],
    /// [`ObjectError::PropertyExists`], or
    /// [`SchemaError::PropertyName`].
    pub fn rename_property(&mut self, class: &str, property: &str, name: &str) -> Result<()> {
        let table = self.class(class)?;
        let column = self::property(&table, property)?;
        self.require_change(&table, Some(property))?;
        let renamed = fault::object::forget_key(column.renamed(name)?)?;
        require_free_name(&table, name)?;
        self.tables.redefine_column(ColumnRef::new(&table, column), renamed);
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.to_owned());
            SchemaChange::RenameProperty { class, property, name: name.to_owned() }
        });
        Ok(())
    }

    /// Allows null in a property, or forbids it: null then becomes zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], [`ObjectError::Type`] if
    /// the type has no choice, or [`ObjectError::KeysNotUnique`] if it is the primary key, and the
    /// object with null would get the key of another one.
    pub fn set_nullable(&mut self, class: &str, property: &str, nullable: bool) -> Result<()> {
        let table = self.class(class)?;
        let column = self::property(&table, property)?;
        let kind = column.kind();
        let field = ColumnRef::new(&table, column);
        if nullable && !kind.may_be_nullable() || !nullable && !kind.may_be_required() {
            return Err(type_error(field, if nullable { "null" } else { "no null" }));
        }
        if column.property.is_nullable() == nullable {
            return Ok(());
        }
        if !fault::on(Fault::Ob01) {
            self.require_change(&table, Some(property))?;
        }
        let changed = column.with_nullable(nullable)?;
        let zero = if nullable { Value::Null } else { zero(kind) };
        if column.place == ColumnPlace::Key {
            self.convert_key(&table, changed, &zero)?;
        } else {
            let converted = self.change_tables(|tables, touch| {
                tables.convert_column(field, changed, &zero, touch)
            })?;
            if !converted {
                return Err(too_many_properties(class));
            }
        }
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.to_owned());
            SchemaChange::SetNullable { class, property, nullable }
        });
        Ok(())
    }

    /// Makes the primary key nullable or required.
    fn convert_key(
        &mut self,
        table: &Arc<ClassTable>,
        changed: Property,
        zero: &Value<'_>,
    ) -> Result<()> {
        let zero = ObjectKey::from_value(zero).filter(|zero| *zero != ObjectKey::Null);
        if let Some(zero) = &zero {
            let is_taken =
                self.held(table, zero)?.is_some() && self.held(table, &ObjectKey::Null)?.is_some();
            if is_taken && !fault::on(Fault::Sc01) {
                return Err(not_unique(table, zero));
            }
        }
        self.change_tables(|tables, touch| tables.convert_key(table, changed, zero, touch))
    }

    /// Makes a property the primary key, or none: objects are then numbered.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], [`ObjectError::Type`] if
    /// the property can be no key, [`ObjectError::KeyTooLong`] or [`ObjectError::KeysNotUnique`].
    pub fn set_primary_key(&mut self, class: &str, property: Option<&str>) -> Result<()> {
        let table = self.class(class)?;
        let held = table.key().map(Column::name);
        if held == property {
            return Ok(());
        }
        let column = match property {
            Some(property) => Some(self::property(&table, property)?),
            None => None,
        };
        if let Some(column) = column
            && !column.kind().may_be_primary_key()
        {
            return Err(type_error(ColumnRef::new(&table, column), "a primary key"));
        }
        match property {
            Some(property) => self.require_key_change(&table, property)?,
            None => self.require_change(&table, held)?,
        }
        if let Some(column) = column {
            let field = ColumnRef::new(&table, column);
            let unusable = self.change(|txn| txn.tables.unusable_key(field))?;
            if let Some(unusable) = unusable {
                return Err(refused_key(&table, unusable));
            }
        }
        if !self.change_tables(|tables, touch| tables.rekey(&table, column, touch))? {
            return Err(too_many_properties(class));
        }
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.map(str::to_owned));
            SchemaChange::SetPrimaryKey { class, property }
        });
        Ok(())
    }

    /// Adds an index over a property, or removes it. A primary key always has one.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if
    /// the type has no index.
    pub fn set_indexed(&mut self, class: &str, property: &str, indexed: bool) -> Result<()> {
        let table = self.class(class)?;
        let column = self::property(&table, property)?;
        if indexed && !column.kind().may_be_indexed() {
            return Err(type_error(ColumnRef::new(&table, column), "an index"));
        }
        if column.property.is_primary_key() || column.property.is_indexed() == indexed {
            return Ok(());
        }
        if !indexed {
            self.require_change(&table, Some(property))?;
        }
        self.change(|txn| txn.tables.set_indexed(ColumnRef::new(&table, column), indexed))?;
        self.note_class(table.id, || {
            let (class, property) = (class.to_owned(), property.to_owned());
            SchemaChange::SetIndexed { class, property, indexed }
        });
        Ok(())
    }

    /// Refuses to change or remove a class or property that a synced file shares with others.
    fn require_change(&self, table: &ClassTable, property: Option<&str>) -> Result<()> {
        if !self.only_adds || table.id.is_local() {
            return Ok(());
        }
        let (class, property) = (table.name.clone(), property.map(str::to_owned));
        Err(ObjectError::SyncedChange { class, property }.into())
    }

    /// Refuses another primary key of a class that a synced file shares with others.
    fn require_key_change(&self, table: &ClassTable, property: &str) -> Result<()> {
        if !self.only_adds || table.id.is_local() {
            return Ok(());
        }
        let (class, property) = (table.name.clone(), property.to_owned());
        Err(ObjectError::SyncedKey { class, property }.into())
    }
}

fn require_free_name(table: &ClassTable, property: &str) -> Result<()> {
    if table.column(property).is_none() {
        return Ok(());
    }
    let (class, property) = (table.name.clone(), property.to_owned());
    Err(ObjectError::PropertyExists { class, property }.into())
}

fn not_unique(table: &ClassTable, key: &ObjectKey) -> Error {
    ObjectError::KeysNotUnique { class: table.name.clone(), key: key.to_string() }.into()
}

/// Returns the refusal of a property that cannot become the primary key.
fn refused_key(table: &ClassTable, unusable: Unusable) -> Error {
    match unusable {
        Unusable::NoRoom => too_many_properties(&table.name),
        Unusable::Duplicate(key) => not_unique(table, &key),
        Unusable::TooLong { bytes } => ObjectError::KeyTooLong { bytes }.into(),
    }
}
