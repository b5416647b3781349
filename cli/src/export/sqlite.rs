//! An SQLite database: a table for each class and for each list.

use super::tables::{Column, FILE, PROPERTIES, Table, Tables, key_affinity, quoted};
use super::{Held, Source, Target};
use crate::failure::Failure;
use fastness::object::{ObjectKey, Value};
use fastness::schema::{Class, Property};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;

/// Version of the shape.
const SHAPE: i64 = 1;

/// A database that is being written.
pub(super) struct Database {
    connection: Connection,
    tables: Tables,
    /// The class that came last.
    class: String,
}

impl Database {
    /// Makes all tables.
    pub(super) fn new(path: &Path, source: &Source) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        // Nobody sees the file before it is whole.
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch("BEGIN")?;
        let tables = Tables::new(&source.schema);
        let database = Self { connection, tables, class: String::new() };
        database.describe(source)?;
        for class in source.schema.classes() {
            database.make(source, class)?;
        }
        Ok(database)
    }

    /// Writes what is exported, so that names and types can be found again.
    fn describe(&self, source: &Source) -> Result<(), Failure> {
        self.connection.execute_batch(&format!(
            "CREATE TABLE {FILE} (export INTEGER, \"commit\" INTEGER, schema_version INTEGER);
             CREATE TABLE {PROPERTIES} (class TEXT, property TEXT, type TEXT, nullable INTEGER,
                 primary_key INTEGER, indexed INTEGER, \"table\" TEXT, \"column\" TEXT);"
        ))?;
        let file = [Some(SHAPE), Some(integer(source.commit)?), version(source)?];
        self.insert(FILE, file.map(|number| number.map_or(Cell::Null, Cell::Integer)))?;
        for (class, table) in &self.tables.classes {
            for Column { property, name, is_list, .. } in &table.columns {
                let (table, column) =
                    if *is_list { (name, "value") } else { (&table.name, &**name) };
                let flag = |flag: bool| Cell::Integer(flag.into());
                self.insert(
                    PROPERTIES,
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

    /// Makes the table of a class, and those of its lists.
    fn make(&self, source: &Source, class: &Class) -> Result<(), Failure> {
        let Some(table) = self.tables.classes.get(class.name()) else { return Ok(()) };
        let mut columns = Vec::new();
        if let Some(number) = &table.number {
            columns.push(format!("{} INTEGER PRIMARY KEY", quoted(number)));
        }
        let mut indexes = Vec::new();
        for column in &table.columns {
            let Column { property, affinity, .. } = column;
            let name = quoted(&column.name);
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
                // A primary key of SQLite that is a number is never null.
                (true, true) => " UNIQUE",
                (false, _) => "",
            };
            columns.push(format!("{name} {affinity}{limits}"));
            if property.is_indexed() && !property.is_primary_key() {
                indexes.push(format!("CREATE INDEX {} ON ", quoted(&self.index(table, column))));
                indexes.push(format!("{} ({name});", quoted(&table.name)));
            }
        }
        let (name, columns) = (quoted(&table.name), columns.join(", "));
        let made = self.connection.execute_batch(&format!("CREATE TABLE {name} ({columns});"));
        made.map_err(|error| refused(class, &error))?;
        Ok(self.connection.execute_batch(&indexes.concat())?)
    }

    /// Names an index: tables and indexes must not share a name, so its has a space.
    fn index(&self, table: &Table, column: &Column) -> String {
        let mut name = format!("index {}.{}", table.name, column.name);
        while self.tables.classes.values().any(|table| table.has(&name)) {
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
        let text = format!("INSERT INTO {} VALUES ({places})", quoted(table));
        self.connection.prepare_cached(&text)?.execute(params_from_iter(cells))?;
        Ok(())
    }
}

impl Table {
    fn has(&self, name: &str) -> bool {
        let lists = self.columns.iter().filter(|column| column.is_list);
        let mut names = lists.map(|column| &column.name).chain([&self.name]);
        names.any(|taken| taken.eq_ignore_ascii_case(name))
    }
}

impl Target for Database {
    fn class(&mut self, class: &Class) -> Result<(), Failure> {
        class.name().clone_into(&mut self.class);
        Ok(())
    }

    fn object(&mut self, key: &ObjectKey, held: &[(&Property, Held<'_>)]) -> Result<(), Failure> {
        let Some(table) = self.tables.classes.get(&self.class) else { return Ok(()) };
        let mut row = Vec::new();
        if table.number.is_some() {
            row.push(key_cell(key)?);
        }
        for column in &table.columns {
            let of = held.iter().find(|(property, _)| **property == column.property);
            match of.map(|(_, held)| held) {
                Some(Held::Many(values)) => {
                    for (place, value) in (0..).zip(values) {
                        let cells = [key_cell(key)?, Cell::Integer(place), cell(value)?];
                        self.insert(&column.name, cells)?;
                    }
                }
                Some(Held::One(value)) => row.push(cell(value)?),
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
    i64::try_from(number).map_err(|_| Failure::bad(format!("{number}: too large for SQLite")))
}

/// Where a key stands for an object, null is no bytes, so that it is not taken for no object.
fn key_cell(key: &ObjectKey) -> Result<Cell, Failure> {
    Ok(match key {
        ObjectKey::Null => Cell::Blob(Vec::new()),
        ObjectKey::Int(number) => Cell::Integer(*number),
        ObjectKey::String(text) => Cell::Text(text.clone()),
        ObjectKey::Row(number) => Cell::Integer(integer(*number)?),
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
    })
}

/// SQLite takes a number that is none for null.
fn real(number: f64) -> Cell {
    if number.is_nan() { Cell::Text(number.to_string()) } else { Cell::Real(number) }
}

fn refused(class: &Class, error: &rusqlite::Error) -> Failure {
    let class = class.name();
    Failure::bad(format!("SQLite does not take class `{class}`: {error}; use --json"))
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::environment(format!("SQLite cannot write the export: {error}"))
    }
}
