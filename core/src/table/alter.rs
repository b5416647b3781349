//! Changing classes: adding, renaming and removing classes, properties and indexes.
//!
//! Whether the classes fit together is the caller's question, before the transaction commits.

use super::backlinks::Replaced;
use super::catalog::Catalog;
use super::class_table::ClassTable;
use super::column::Column;
use super::reader::{ColumnRef, RecordRef};
use super::tables::Tables;
use super::value::{Timestamp, Value};
use crate::conc::Arc;
use crate::error::Result;
use crate::schema::{Class, Property, PropertyType, Scalar};

impl Tables {
    /// Makes the table of a new class; none if the class has no room for its properties.
    pub(crate) fn new_table(&self, class: &Class) -> Option<ClassTable> {
        let mut table = self.catalog.draft(class)?;
        class.stored_properties().try_for_each(|property| table.add(property.clone()))?;
        Some(table)
    }

    /// Adds a table to the catalog, or replaces the one with its number.
    pub(crate) fn put_table(&mut self, table: ClassTable) {
        Arc::make_mut(&mut self.catalog).put(table);
    }

    /// Removes a class with its objects. No other class may link to it.
    pub(crate) fn remove_class(&mut self, table: &ClassTable) -> Result<()> {
        for column in table.columns.iter().filter(|column| column.target().is_some()) {
            self.remove_dependents_everywhere(ColumnRef::new(table, column))?;
        }
        self.clear_trees(table)?;
        Arc::make_mut(&mut self.catalog).remove(table.id);
        Ok(())
    }

    /// Renames a class. Properties that link to it follow.
    ///
    /// # Errors
    /// None: the name of a class makes a property of no type impossible.
    pub(crate) fn rename_class(&mut self, table: &ClassTable, name: &str) -> Result<()> {
        let older = table.name.as_str();
        let catalog: &mut Catalog = Arc::make_mut(&mut self.catalog);
        catalog.put(ClassTable { name: name.to_owned(), ..table.clone() });
        let tables: Vec<ClassTable> =
            catalog.tables().map(|table| ClassTable::clone(table)).collect();
        for mut table in tables {
            let mut linking = Vec::new();
            for column in table.columns.iter().filter(|column| column.target() == Some(older)) {
                let kind = match column.kind() {
                    PropertyType::ObjectList(_) => PropertyType::ObjectList(name.to_owned()),
                    _ => PropertyType::Object(name.to_owned()),
                };
                linking.push((column.number, like(&column.property, column.name(), kind)?));
            }
            for (number, property) in linking {
                table.change(number, |column| column.property = property);
            }
            catalog.put(table);
        }
        let renamed = catalog.table_numbered(table.id);
        assert!(
            renamed.is_some_and(|renamed| renamed.name == name),
            "B6: a class keeps its number"
        );
        Ok(())
    }

    /// Adds the last column of a table, which is not in the catalog yet. It is no primary key.
    pub(crate) fn add_column(&mut self, table: ClassTable, property: &str) -> Result<()> {
        let table = Arc::new(table);
        self.put_table(ClassTable::clone(&table));
        match table.column(property) {
            Some(column) if column.has_index_tree() => {
                self.fill_index(ColumnRef::new(&table, column))
            }
            _ => Ok(()),
        }
    }

    /// Removes a column with its values. It is not the primary key.
    pub(crate) fn remove_column(&mut self, field: ColumnRef<'_>) -> Result<()> {
        let ColumnRef { table, column } = field;
        if column.target().is_some() {
            self.remove_dependents_everywhere(field)?;
        }
        self.tree(&table.index_tree(column.number))?.clear()?;
        for name in [&table.trees.out_of_line, &table.trees.chunks] {
            self.each(name, &column.number.to_be_bytes(), &mut |tables, key, _| {
                tables.tree(name)?.remove(key).map(drop)
            })?;
        }
        let mut table = table.clone();
        table.columns.change(|all| all.retain(|other| other.number != column.number));
        self.put_table(table);
        Ok(())
    }

    /// Replaces the definition of a column by one with the same record layout.
    pub(crate) fn redefine_column(&mut self, field: ColumnRef<'_>, property: Property) {
        let mut table = field.table.clone();
        table.change(field.column.number, |column| column.property = property);
        self.put_table(table);
    }

    /// Adds an index to a property that has none, or removes the one that it has.
    pub(crate) fn set_indexed(&mut self, field: ColumnRef<'_>, indexed: bool) -> Result<()> {
        let ColumnRef { table, column } = field;
        let property = without_index(&column.property)?;
        self.redefine_column(field, if indexed { property.indexed() } else { property });
        if !indexed {
            return self.tree(&table.index_tree(column.number))?.clear();
        }
        let table = self.catalog.table_numbered(table.id).map(Arc::clone);
        let table = table.ok_or_else(|| self.malformed())?;
        let column = table.column_numbered(column.number).ok_or_else(|| self.malformed())?;
        self.fill_index(ColumnRef::new(&table, column))
    }

    fn fill_index(&mut self, field: ColumnRef<'_>) -> Result<()> {
        self.each(&field.table.trees.objects, &[], &mut |tables, key, record| {
            let value = tables.reader().value(field, RecordRef { key, record })?.into_owned();
            tables.reindex(field, key, Replaced::added(&value))
        })
    }

    /// Removes everything that depends on the values of a property of all objects.
    fn remove_dependents_everywhere(&mut self, field: ColumnRef<'_>) -> Result<()> {
        self.each(&field.table.trees.objects, &[], &mut |tables, key, record| {
            tables.remove_dependents(field, RecordRef { key, record })
        })
    }

    /// Removes all classes and objects. Numbers go on.
    pub(crate) fn clear(&mut self) -> Result<()> {
        let catalog = Arc::clone(&self.catalog);
        catalog.tables().try_for_each(|table| self.clear_trees(table))?;
        Arc::make_mut(&mut self.catalog).clear();
        Ok(())
    }

    /// Removes all entries of the trees of a class.
    fn clear_trees(&mut self, table: &ClassTable) -> Result<()> {
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            self.tree(&table.index_tree(column.number))?.clear()?;
        }
        let trees = &table.trees;
        [&trees.objects, &trees.out_of_line, &trees.chunks, &trees.links]
            .into_iter()
            .try_for_each(|name| self.tree(name)?.clear())
    }
}

impl Column {
    /// Returns the definition under another name.
    pub(crate) fn renamed(&self, name: &str) -> Result<Property> {
        like(&self.property, name, self.kind().clone())
    }

    /// Returns the definition, nullable or required.
    pub(crate) fn with_nullable(&self, nullable: bool) -> Result<Property> {
        let property = like(&self.property, self.name(), self.kind().clone())?;
        Ok(if nullable { property.nullable() } else { property.required() })
    }
}

/// Returns the value of a required property of a new object.
pub(crate) fn zero(kind: &PropertyType) -> Value<'static> {
    let PropertyType::Scalar(scalar) = kind else { return Value::Int(0) };
    match scalar {
        Scalar::Int => 0.into(),
        Scalar::Bool => false.into(),
        Scalar::String => String::new().into(),
        Scalar::Binary => Vec::new().into(),
        Scalar::Timestamp => Timestamp::default().into(),
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
pub(crate) fn without_key(property: &Property, kind: PropertyType) -> Result<Property> {
    let made = Property::new(property.name(), kind)?;
    let made = if property.is_nullable() { made.nullable() } else { made.required() };
    let indexed = property.is_indexed() && !property.is_primary_key();
    Ok(if indexed { made.indexed() } else { made })
}

/// Makes a property like another without an index and without a primary key.
pub(super) fn without_index(property: &Property) -> Result<Property> {
    let made = Property::new(property.name(), property.kind().clone())?;
    Ok(if property.is_nullable() { made.nullable() } else { made.required() })
}
