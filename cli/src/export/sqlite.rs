//! SQLite export: a table for each class and for each list.

use super::sink::{ExportSink, PropertyContent, Source};
use super::tables::{
    Column, FILE_TABLE, PROPERTY_TABLE, Table, Tables, key_affinity, quote_identifier,
};
use crate::failure::Failure;
use fastness::object::{ObjectKey, RowId, Value};
use fastness::schema::{Class, Property};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;

/// Version of the format.
const FORMAT_VERSION: i64 = 1;

/// A database being written.
pub(super) struct Database {
    connection: Connection,
    tables: Tables,
    /// The current class.
    class: String,
}

impl Database {
    /// Creates all tables.
    pub(super) fn new(path: &Path, source: &Source) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        // The file has no name yet, so journal and syncs are unnecessary.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch("BEGIN")?;
        let tables = Tables::new(&source.schema);
        let database = Self { connection, tables, class: String::new() };
        database.write_metadata(source)?;
        for class in source.schema.classes() {
            database.create_tables(source, class)?;
        }
        Ok(database)
    }

    /// Writes the metadata tables, which map classes and properties to tables and columns.
    fn write_metadata(&self, source: &Source) -> Result<(), Failure> {
        self.connection.execute_batch(&format!(
            "CREATE TABLE {FILE_TABLE} (export INTEGER, \"commit\" INTEGER, schema_version INTEGER);
             CREATE TABLE {PROPERTY_TABLE} (class TEXT, property TEXT, type TEXT, nullable INTEGER,
                 primary_key INTEGER, indexed INTEGER, \"table\" TEXT, \"column\" TEXT);"
        ))?;
        let file = [Some(FORMAT_VERSION), Some(integer(source.commit)?), version(source)?];
        self.insert(FILE_TABLE, file.map(|number| number.map_or(Cell::Null, Cell::Integer)))?;
        for (class, table) in &self.tables.classes {
            for Column { property, name, is_list, .. } in &table.columns {
                let (table, column) =
                    if *is_list { (name, "value") } else { (&table.name, &**name) };
                let flag = |flag: bool| Cell::Integer(flag.into());
                self.insert(
                    PROPERTY_TABLE,
                    [
                        Cell::Text(class.clone()),
                        Cell::Text(property.name().to_owned()),
                        Cell::Text(property.kind().to_string()),
                        flag(property.is_nullable()),
                        flag(property.is_primary_key()),
                        flag(property.is_indexed()),
                        Cell::Text(table.clone()),
                        Cell::Text(column.to_owned()),
                    ],
                )?;
            }
        }
        Ok(())
    }

    /// Creates the tables of a class and its lists.
    fn create_tables(&self, source: &Source, class: &Class) -> Result<(), Failure> {
        let Some(table) = self.tables.classes.get(class.name()) else { return Ok(()) };
        let mut columns = Vec::new();
        if let Some(number) = &table.number {
            columns.push(format!("{} INTEGER PRIMARY KEY", quote_identifier(number)));
        }
        let mut indexes = Vec::new();
        for column in &table.columns {
            let Column { property, affinity, .. } = column;
            let name = quote_identifier(&column.name);
            if column.is_list {
                let key = key_affinity(&source.schema, class);
                self.connection.execute_batch(&format!(
                    "CREATE TABLE {name} (object {key} NOT NULL, place INTEGER NOT NULL,
                         value {affinity}, PRIMARY KEY (object, place));"
                ))?;
                continue;
            }
            let limits = match (property.is_primary_key(), property.is_nullable()) {
                (true, false) => " NOT NULL PRIMARY KEY",
                // An INTEGER PRIMARY KEY of SQLite is never null.
                (true, true) => " UNIQUE",
                (false, _) => "",
            };
            columns.push(format!("{name} {affinity}{limits}"));
            if property.is_indexed() && !property.is_primary_key() {
                indexes.push(format!(
                    "CREATE INDEX {} ON ",
                    quote_identifier(&self.index_name(table, column))
                ));
                indexes.push(format!("{} ({name});", quote_identifier(&table.name)));
            }
        }
        let (name, columns) = (quote_identifier(&table.name), columns.join(", "));
        let made = self.connection.execute_batch(&format!("CREATE TABLE {name} ({columns});"));
        made.map_err(|error| class_refused(class, &error))?;
        Ok(self.connection.execute_batch(&indexes.concat())?)
    }

    /// Names an index. Tables and indexes share a namespace; the space keeps them apart.
    fn index_name(&self, table: &Table, column: &Column) -> String {
        let mut name = format!("index {}.{}", table.name, column.name);
        while self.tables.classes.values().any(|table| table.uses_name(&name)) {
            name.push('_');
        }
        name
    }

    fn insert(
        &self,
        table: &str,
        cells: impl IntoIterator<Item = Cell, IntoIter: ExactSizeIterator>,
    ) -> Result<(), Failure> {
        let cells = cells.into_iter();
        let places = vec!["?"; cells.len()].join(", ");
        let text = format!("INSERT INTO {} VALUES ({places})", quote_identifier(table));
        self.connection.prepare_cached(&text)?.execute(params_from_iter(cells))?;
        Ok(())
    }
}

impl Table {
    fn uses_name(&self, name: &str) -> bool {
        let lists = self.columns.iter().filter(|column| column.is_list);
        let mut names = lists.map(|column| &column.name).chain([&self.name]);
        names.any(|taken| taken.eq_ignore_ascii_case(name))
    }
}

impl ExportSink for Database {
    fn class(&mut self, class: &Class) -> Result<(), Failure> {
        class.name().clone_into(&mut self.class);
        Ok(())
    }

    fn object(
        &mut self,
        key: &ObjectKey,
        contents: &[(&Property, PropertyContent<'_>)],
    ) -> Result<(), Failure> {
        let Some(table) = self.tables.classes.get(&self.class) else { return Ok(()) };
        let mut row = Vec::new();
        if table.number.is_some() {
            row.push(key_cell(key)?);
        }
        for column in &table.columns {
            let of = contents.iter().find(|(property, _)| **property == column.property);
            match of.map(|(_, contents)| contents) {
                Some(PropertyContent::Many(values)) => {
                    for (place, value) in (0..).zip(values) {
                        let cells = [key_cell(key)?, Cell::Integer(place), cell(value)?];
                        self.insert(&column.name, cells)?;
                    }
                }
                Some(PropertyContent::One(value)) => row.push(cell(value)?),
                None if column.is_list => {}
                None => row.push(Cell::Null),
            }
        }
        self.insert(&table.name, row)
    }

    fn finish(self: Box<Self>) -> Result<(), Failure> {
        self.connection.execute_batch("COMMIT")?;
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

fn version(source: &Source) -> Result<Option<i64>, Failure> {
    source.version.map(integer).transpose()
}

fn integer(number: u64) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::problem(format!("{number}: too large for SQLite")))
}

/// The null key as a reference is an empty blob, so that it differs from no object.
fn key_cell(key: &ObjectKey) -> Result<Cell, Failure> {
    Ok(match key {
        ObjectKey::Null => Cell::Blob(Vec::new()),
        ObjectKey::Int(number) => Cell::Integer(*number),
        ObjectKey::String(text) => Cell::Text(text.clone()),
        ObjectKey::Row(RowId { author: 0, number }) => Cell::Integer(integer(*number)?),
        ObjectKey::Row(id) => Cell::Text(id.to_string()),
    })
}

fn cell(value: &Value<'_>) -> Result<Cell, Failure> {
    Ok(match value {
        Value::Null => Cell::Null,
        Value::Int(number) => Cell::Integer(*number),
        Value::Bool(flag) => Cell::Integer((*flag).into()),
        Value::String(text) => Cell::Text(text.to_string()),
        Value::Binary(bytes) => Cell::Blob(bytes.to_vec()),
        Value::Timestamp(time) => Cell::Text(time.to_string()),
        Value::Float(number) => real((*number).into()),
        Value::Double(number) => real(*number),
        Value::Link(object) => key_cell(&object.key)?,
        Value::TooLarge => unreachable!("B1: no property holds a number beyond 64 bits"),
    })
}

/// SQLite converts NaN to null.
fn real(number: f64) -> Cell {
    if number.is_nan() { Cell::Text(number.to_string()) } else { Cell::Real(number) }
}

fn class_refused(class: &Class, error: &rusqlite::Error) -> Failure {
    let class = class.name();
    Failure::problem(format!("SQLite rejects class `{class}`: {error}; use --json"))
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::environment(format!("SQLite cannot write the export: {error}"))
    }
}
