//! Changing classes. What objects hold is kept, unless its property is removed.
//!
//! The classes must fit together when the transaction is committed, not before.

use super::catalog::{Column, Place, Table, index_tree};
use super::transaction::Transaction;
use super::value::Value;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Class, Property, PropertyType, Scalar, check_class};

impl Transaction {
    /// Adds a class with its properties. Computed ones are not stored, so nothing is added for
    /// them.
    ///
    /// # Errors
    /// [`ObjectError::ClassExists`], [`ObjectError::TooManyProperties`], or
    /// [`SchemaError::Definition`] with all that is wrong with the class itself; whether it fits to
    /// the others is checked when the transaction is committed.
    pub fn add_class(&mut self, class: &Class) -> Result<()> {
        if self.catalog.has(class.name()) {
            return Err(ObjectError::ClassExists { class: class.name().to_owned() }.into());
        }
        let class = check_class(class)?;
        let mut table = self.catalog.draft(class.name());
        class.stored_properties().try_for_each(|property| table.add(property.clone()))?;
        self.change(|txn| {
            txn.note_alter();
            Arc::make_mut(&mut txn.catalog).put(table);
            Ok(())
        })
    }

    /// Removes a class and its objects.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], or [`ObjectError::ClassLinked`] if another class has a
    /// property that links to it.
    pub fn remove_class(&mut self, class: &str) -> Result<()> {
        let table = Arc::clone(self.catalog.table(class)?);
        self.require_change(class, None)?;
        for other in self.catalog.tables().filter(|other| other.id != table.id) {
            if other.columns.iter().any(|column| column.target() == Some(class)) {
                let (class, by) = (class.to_owned(), other.name.clone());
                return Err(ObjectError::ClassLinked { class, by }.into());
            }
        }
        self.change(|txn| {
            txn.note_alter();
            txn.touch_all(&table)?;
            for column in table.columns.iter().filter(|column| column.target().is_some()) {
                txn.let_go_everywhere(&table, column)?;
            }
            txn.clear_trees(&table)?;
            Arc::make_mut(&mut txn.catalog).remove(table.id);
            Ok(())
        })
    }

    /// Gives a class another name. Links to it go on leading to it.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::ClassExists`], or
    /// [`SchemaError::ClassName`].
    pub fn rename_class(&mut self, class: &str, name: &str) -> Result<()> {
        let name = Class::new(name)?.name().to_owned();
        let mut table = Table::clone(self.catalog.table(class)?);
        self.require_change(class, None)?;
        if self.catalog.has(&name) {
            return Err(ObjectError::ClassExists { class: name }.into());
        }
        self.note_alter();
        table.name.clone_from(&name);
        let id = table.id;
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.put(table);
        let linked: Vec<Table> = catalog.tables().map(|table| Table::clone(table)).collect();
        for mut table in linked {
            let mut linking = Vec::new();
            for column in table.columns.iter().filter(|column| column.target() == Some(class)) {
                let kind = match column.kind() {
                    PropertyType::ObjectList(_) => PropertyType::ObjectList(name.clone()),
                    _ => PropertyType::Object(name.clone()),
                };
                linking.push((column.number, like(&column.property, column.name(), kind)?));
            }
            for (number, property) in linking {
                table.change(number, |column| column.property = property);
            }
            catalog.put(table);
        }
        debug_assert!(catalog.table_numbered(id).is_ok_and(|table| table.name == name));
        Ok(())
    }

    /// Adds a property. Objects that are there have null, zero or nothing in it. A computed one is
    /// not stored, so nothing is added for it.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyExists`],
    /// [`SchemaError::Definition`] if there can be no such property,
    /// [`ObjectError::TooManyProperties`], or [`ObjectError::KeysNotUnique`] if it is a primary key
    /// and there are several objects.
    pub fn add_property(&mut self, class: &str, property: &Property) -> Result<()> {
        let mut table = Table::clone(self.catalog.table(class)?);
        table.free_name(property.name())?;
        check_class(&Class::new(class)?.with(property.clone()))?;
        if property.kind().is_computed() {
            return Ok(());
        }
        if property.is_primary_key() {
            return self.add_key(table, property);
        }
        table.add(property.clone())?;
        let has_index = table.column(property.name())?.has_index_tree();
        self.note_alter();
        Arc::make_mut(&mut self.catalog).put(table);
        if has_index { self.fill_index(class, property.name()) } else { Ok(()) }
    }

    /// Adds a property that is the primary key from now on.
    fn add_key(&mut self, mut table: Table, property: &Property) -> Result<()> {
        self.require_key_change(&table.name, property.name())?;
        table.add(without_key(property, property.kind().clone())?)?;
        let (class, before) = (table.name.clone(), Arc::clone(&self.catalog));
        Arc::make_mut(&mut self.catalog).put(table);
        let added = self.set_primary_key(&class, Some(property.name()));
        if added.is_err() {
            self.catalog = before;
        }
        added
    }

    /// Removes a property, and what objects have in it.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`] or [`ObjectError::PropertyUnknown`].
    pub fn remove_property(&mut self, class: &str, property: &str) -> Result<()> {
        let table = Arc::clone(self.catalog.table(class)?);
        table.column(property)?;
        self.require_change(class, Some(property))?;
        if table.column(property)?.place == Place::Key {
            self.set_primary_key(class, None)?;
        }
        let mut table = Table::clone(self.catalog.table(class)?);
        let column = table.column(property)?.clone();
        self.change(|txn| {
            txn.note_alter();
            if column.target().is_some() {
                txn.let_go_everywhere(&table, &column)?;
            }
            txn.clear_column(&table, &column)?;
            table.columns.change(|all| all.retain(|other| other.number != column.number));
            Arc::make_mut(&mut txn.catalog).put(table);
            Ok(())
        })
    }

    /// Gives a property another name. A primary key stays one.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`],
    /// [`ObjectError::PropertyExists`], or
    /// [`SchemaError::PropertyName`].
    pub fn rename_property(&mut self, class: &str, property: &str, name: &str) -> Result<()> {
        let mut table = Table::clone(self.catalog.table(class)?);
        let column = table.column(property)?;
        self.require_change(class, Some(property))?;
        let (number, kind) = (column.number, column.kind().clone());
        let renamed = like(&column.property, name, kind.clone())?;
        let renamed = if fault::on(Fault::Sc03) { without_key(&renamed, kind)? } else { renamed };
        table.free_name(name)?;
        self.note_alter();
        table.change(number, |column| column.property = renamed);
        Arc::make_mut(&mut self.catalog).put(table);
        Ok(())
    }

    /// Lets a property be null, or forbids it: what is null becomes zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], [`ObjectError::Type`] if
    /// the type has no choice, or [`ObjectError::KeysNotUnique`] if it is the primary key, and the
    /// object with null would get the key of another one.
    pub fn set_nullable(&mut self, class: &str, property: &str, nullable: bool) -> Result<()> {
        let table = Table::clone(self.catalog.table(class)?);
        let column = table.column(property)?;
        let kind = column.kind();
        if nullable && !kind.may_be_nullable() || !nullable && !kind.may_be_required() {
            let names = (kind.to_string(), if nullable { "null" } else { "no null" }.to_owned());
            return Err(super::view::type_error(&table, column, names));
        }
        if column.property.is_nullable() == nullable {
            return Ok(());
        }
        if !fault::on(Fault::Ob01) {
            self.require_change(class, Some(property))?;
        }
        let changed = like(&column.property, property, kind.clone())?;
        let changed = if nullable { changed.nullable() } else { changed.required() };
        let zero = if nullable { Value::Null } else { zero(kind) };
        self.convert(class, (changed, zero))
    }

    /// Makes a property the primary key, or has none any more: objects are then numbered.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], [`ObjectError::Type`] if
    /// the property can be no key, [`ObjectError::KeyTooLong`] or [`ObjectError::KeysNotUnique`].
    pub fn set_primary_key(&mut self, class: &str, property: Option<&str>) -> Result<()> {
        let table = Arc::clone(self.catalog.table(class)?);
        let held = table.key().map(Column::name);
        if held == property {
            return Ok(());
        }
        if let Some(property) = property {
            let column = table.column(property)?;
            if !column.kind().may_be_primary_key() {
                let names = (column.kind().to_string(), "a primary key".to_owned());
                return Err(super::view::type_error(&table, column, names));
            }
        }
        match property {
            Some(property) => self.require_key_change(class, property)?,
            None => self.require_change(class, held)?,
        }
        self.rekey(class, property)
    }

    /// Keeps an index over a property, or no longer. A primary key always has one.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if
    /// the type has no index.
    pub fn set_indexed(&mut self, class: &str, property: &str, indexed: bool) -> Result<()> {
        let mut table = Table::clone(self.catalog.table(class)?);
        let column = table.column(property)?;
        if indexed && !column.kind().may_be_indexed() {
            let names = (column.kind().to_string(), "an index".to_owned());
            return Err(super::view::type_error(&table, column, names));
        }
        if column.property.is_primary_key() || column.property.is_indexed() == indexed {
            return Ok(());
        }
        if !indexed {
            self.require_change(class, Some(property))?;
        }
        let (number, id) = (column.number, table.id);
        let mut changed = without_index(&column.property)?;
        if indexed {
            changed = changed.indexed();
        }
        self.note_alter();
        table.change(number, |column| column.property = changed);
        Arc::make_mut(&mut self.catalog).put(table);
        if indexed {
            return self.fill_index(class, property);
        }
        self.change(|txn| txn.txn.tree(&index_tree(id, number))?.clear())
    }

    /// Refuses to change or remove what a synced file has.
    fn require_change(&self, class: &str, property: Option<&str>) -> Result<()> {
        if !self.only_adds {
            return Ok(());
        }
        let (class, property) = (class.to_owned(), property.map(str::to_owned));
        Err(ObjectError::SyncedChange { class, property }.into())
    }

    /// Refuses another primary key in a synced file.
    fn require_key_change(&self, class: &str, property: &str) -> Result<()> {
        if !self.only_adds {
            return Ok(());
        }
        let (class, property) = (class.to_owned(), property.to_owned());
        Err(ObjectError::SyncedKey { class, property }.into())
    }

    fn fill_index(&mut self, class: &str, property: &str) -> Result<()> {
        let table = Arc::clone(self.catalog.table(class)?);
        let column = table.column(property)?;
        self.change(|txn| {
            txn.each(&table.trees.objects, &[], &mut |txn, key, record| {
                let value = txn.view().read_value((&table, column), (key, record))?.into_owned();
                txn.index((table.id, column), key, (None, Some(&value)))
            })
        })
    }

    /// Removes what a property of all objects has outside of their records.
    fn let_go_everywhere(&mut self, table: &Table, column: &Column) -> Result<()> {
        self.each(&table.trees.objects, &[], &mut |txn, key, record| {
            txn.let_go((table, column), key, record)
        })
    }

    /// Removes the index of a property, and what is kept apart.
    fn clear_column(&mut self, table: &Table, column: &Column) -> Result<()> {
        self.txn.tree(&index_tree(table.id, column.number))?.clear()?;
        [&table.trees.apart, &table.trees.pieces].into_iter().try_for_each(|name| {
            self.each(name, &column.number.to_be_bytes(), &mut |txn, key, _| {
                txn.txn.tree(name)?.remove(key).map(drop)
            })
        })
    }

    /// Removes everything that the trees of a class hold.
    pub(super) fn clear_trees(&mut self, table: &Table) -> Result<()> {
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            self.txn.tree(&index_tree(table.id, column.number))?.clear()?;
        }
        let trees = &table.trees;
        for name in [&trees.objects, &trees.apart, &trees.pieces, &trees.links] {
            self.txn.tree(name)?.clear()?;
        }
        Ok(())
    }
}

impl Table {
    fn free_name(&self, property: &str) -> Result<()> {
        if self.column(property).is_err() {
            return Ok(());
        }
        let (class, property) = (self.name.clone(), property.to_owned());
        Err(ObjectError::PropertyExists { class, property }.into())
    }

    /// Changes a column, and puts the columns in order again.
    pub(super) fn change(&mut self, number: u16, body: impl FnOnce(&mut Column)) {
        self.columns.change(|all| {
            if let Some(column) = all.iter_mut().find(|column| column.number == number) {
                body(column);
            }
        });
    }
}

/// What a property holds that is neither null nor set.
fn zero(kind: &PropertyType) -> Value<'static> {
    let PropertyType::Scalar(scalar) = kind else { return Value::Int(0) };
    match scalar {
        Scalar::Int => 0.into(),
        Scalar::Bool => false.into(),
        Scalar::String => String::new().into(),
        Scalar::Binary => Vec::new().into(),
        Scalar::Timestamp => super::Timestamp::default().into(),
        Scalar::Float => 0.0_f32.into(),
        Scalar::Double => 0.0_f64.into(),
    }
}

/// Makes a property like another, of another name or type.
fn like(property: &Property, name: &str, kind: PropertyType) -> Result<Property> {
    let mut made = without_key(property, kind.clone())?;
    if made.name() != name {
        let renamed = Property::new(name, kind)?;
        let renamed = if made.is_nullable() { renamed.nullable() } else { renamed.required() };
        made = if made.is_indexed() { renamed.indexed() } else { renamed };
    }
    Ok(if property.is_primary_key() { made.primary_key() } else { made })
}

/// Makes a property like another that is no primary key; it keeps an index that is not the key's.
pub(super) fn without_key(property: &Property, kind: PropertyType) -> Result<Property> {
    let made = Property::new(property.name(), kind)?;
    let made = if property.is_nullable() { made.nullable() } else { made.required() };
    let indexed = property.is_indexed() && !property.is_primary_key();
    Ok(if indexed { made.indexed() } else { made })
}

pub(super) fn without_index(property: &Property) -> Result<Property> {
    let made = Property::new(property.name(), property.kind().clone())?;
    Ok(if property.is_nullable() { made.nullable() } else { made.required() })
}
