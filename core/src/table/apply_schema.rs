//! Applying changes of classes.
//!
//! - B10 Applying is total: a change that does not fit the classes is dropped, with the reason, and
//!   changes nothing. Only damage and the disk are errors.

use super::alter::zero;
use super::apply::{Applied, ApplyResult, Dropped, Stop};
use super::catalog::Catalog;
use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace};
use super::operation::SchemaChange;
use super::reader::ColumnRef;
use super::rebuild::Unusable;
use super::tables::{Tables, Touch};
use super::value::{ObjectKey, Value};
use crate::conc::Arc;
use crate::schema::{Class, Property, check_class};

impl Tables {
    pub(super) fn apply_schema(
        &mut self,
        change: &SchemaChange,
        touch: Touch<'_>,
    ) -> ApplyResult<Applied> {
        match change {
            SchemaChange::AddClass(class) => self.apply_add_class(class),
            SchemaChange::RemoveClass { class } => self.apply_remove_class(class),
            SchemaChange::RenameClass { class, name } => self.apply_rename_class(class, name),
            SchemaChange::AddProperty { class, property } => {
                self.apply_add_property(class, property, touch)
            }
            SchemaChange::RemoveProperty { class, property } => {
                let table = self.class(class)?;
                let number = column(&table, property)?.number;
                done(self.remove_property(&table, number, touch)?)
            }
            SchemaChange::RenameProperty { class, property, name } => {
                self.apply_rename_property(class, property, name)
            }
            SchemaChange::SetNullable { class, property, nullable } => {
                let table = self.class(class)?;
                self.apply_nullable(&table, column(&table, property)?, *nullable, touch)
            }
            SchemaChange::SetPrimaryKey { class, property } => {
                self.apply_primary_key(class, property.as_deref(), touch)
            }
            SchemaChange::SetIndexed { class, property, indexed } => {
                self.apply_indexed(class, property, *indexed)
            }
            SchemaChange::SetVersion { version } => {
                if self.catalog.version == Some(*version) {
                    return Ok(Applied::Unchanged);
                }
                self.set_version(*version);
                Ok(Applied::Changed)
            }
            SchemaChange::Clear => {
                self.clear()?;
                Ok(Applied::Changed)
            }
        }
    }

    fn class(&self, class: &str) -> ApplyResult<Arc<ClassTable>> {
        Ok(Arc::clone(self.catalog.table(class).ok_or(Dropped::NoClass)?))
    }

    fn apply_add_class(&mut self, class: &Class) -> ApplyResult<Applied> {
        let class = check_class(class).map_err(|_| Dropped::Unfit)?;
        if let Some(held) = self.catalog.table(class.name()) {
            if held.id.is_local() != class.is_local() {
                return Err(Dropped::Conflict.into());
            }
            let held = held.columns.iter().map(|column| &column.property);
            let mut wanted: Vec<&Property> = class.stored_properties().collect();
            wanted.sort_by_key(|property| property.name());
            return match held.eq(wanted) {
                true => Ok(Applied::Unchanged),
                false => Err(Dropped::Conflict.into()),
            };
        }
        let table = self.new_table(&class).ok_or(Dropped::Full)?;
        self.put_table(table);
        Ok(Applied::Changed)
    }

    fn apply_remove_class(&mut self, class: &str) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        if is_linked(&self.catalog, &table) {
            return Err(Dropped::Linked.into());
        }
        self.remove_class(&table)?;
        Ok(Applied::Changed)
    }

    fn apply_rename_class(&mut self, class: &str, name: &str) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        let renamed = Class::new(name).map_err(|_| Dropped::Unfit)?;
        if self.catalog.table(renamed.name()).is_some() {
            return Err(Dropped::Conflict.into());
        }
        self.rename_class(&table, renamed.name())?;
        Ok(Applied::Changed)
    }

    fn apply_add_property(
        &mut self,
        class: &str,
        property: &Property,
        touch: Touch<'_>,
    ) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        if let Some(held) = table.column(property.name()) {
            return match held.property == *property {
                true => Ok(Applied::Unchanged),
                false => Err(Dropped::Conflict.into()),
            };
        }
        let defined = Class::new(class).map(|class| class.with(property.clone()));
        defined.and_then(|class| check_class(&class)).map_err(|_| Dropped::Unfit)?;
        if property.kind().is_computed() {
            return Ok(Applied::Unchanged);
        }
        if property.is_primary_key() {
            return usable(self.add_key(&table, property, touch)?);
        }
        let mut newer = ClassTable::clone(&table);
        newer.add(property.clone()).ok_or(Dropped::Full)?;
        self.add_column(newer, property.name())?;
        Ok(Applied::Changed)
    }

    fn apply_rename_property(
        &mut self,
        class: &str,
        property: &str,
        name: &str,
    ) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        let column = column(&table, property)?;
        if table.column(name).is_some() {
            return Err(Dropped::Conflict.into());
        }
        let renamed = column.renamed(name).map_err(|_| Dropped::Unfit)?;
        self.redefine_column(ColumnRef::new(&table, column), renamed);
        Ok(Applied::Changed)
    }

    fn apply_nullable(
        &mut self,
        table: &Arc<ClassTable>,
        column: &Column,
        nullable: bool,
        touch: Touch<'_>,
    ) -> ApplyResult<Applied> {
        let kind = column.kind();
        if column.property.is_nullable() == nullable {
            return Ok(Applied::Unchanged);
        }
        if nullable && !kind.may_be_nullable() || !nullable && !kind.may_be_required() {
            return Err(Dropped::Unfit.into());
        }
        let property = column.with_nullable(nullable)?;
        let zero = if nullable { Value::Null } else { zero(kind) };
        if column.place != ColumnPlace::Key {
            let field = ColumnRef::new(table, column);
            return done(self.convert_column(field, property, &zero, touch)?);
        }
        let zero = ObjectKey::from_value(&zero).filter(|_| !nullable);
        if let Some(zero) = &zero
            && self.reader().record(table, zero)?.is_some()
            && self.reader().record(table, &ObjectKey::Null)?.is_some()
        {
            return Err(Dropped::Duplicate.into());
        }
        self.convert_key(table, property, zero, touch)?;
        Ok(Applied::Changed)
    }

    fn apply_primary_key(
        &mut self,
        class: &str,
        property: Option<&str>,
        touch: Touch<'_>,
    ) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        if table.key().map(Column::name) == property {
            return Ok(Applied::Unchanged);
        }
        let Some(property) = property else { return done(self.rekey(&table, None, touch)?) };
        let column = column(&table, property)?;
        if !column.kind().may_be_primary_key() {
            return Err(Dropped::Unfit.into());
        }
        match self.unusable_key(ColumnRef::new(&table, column))? {
            None => done(self.rekey(&table, Some(column), touch)?),
            unusable => usable(unusable),
        }
    }

    fn apply_indexed(
        &mut self,
        class: &str,
        property: &str,
        indexed: bool,
    ) -> ApplyResult<Applied> {
        let table = self.class(class)?;
        let column = column(&table, property)?;
        if indexed && !column.kind().may_be_indexed() {
            return Err(Dropped::Unfit.into());
        }
        if column.property.is_primary_key() || column.property.is_indexed() == indexed {
            return Ok(Applied::Unchanged);
        }
        self.set_indexed(ColumnRef::new(&table, column), indexed)?;
        Ok(Applied::Changed)
    }
}

fn column<'t>(table: &'t ClassTable, property: &str) -> ApplyResult<&'t Column> {
    table.column(property).ok_or(Stop::Dropped(Dropped::NoProperty))
}

/// Tells whether another class has properties that link to this one.
fn is_linked(catalog: &Catalog, table: &ClassTable) -> bool {
    let links = |column: &Column| column.target() == Some(&table.name);
    let others = catalog.tables().filter(|other| other.id != table.id);
    others.flat_map(|other| &*other.columns).any(links)
}

fn done(has_room: bool) -> ApplyResult<Applied> {
    if has_room { Ok(Applied::Changed) } else { Err(Dropped::Full.into()) }
}

fn usable(unusable: Option<Unusable>) -> ApplyResult<Applied> {
    match unusable {
        None => Ok(Applied::Changed),
        Some(Unusable::NoRoom) => Err(Dropped::Full.into()),
        Some(Unusable::TooLong { .. }) => Err(Dropped::Unfit.into()),
        Some(Unusable::Duplicate(_)) => Err(Dropped::Duplicate.into()),
    }
}
