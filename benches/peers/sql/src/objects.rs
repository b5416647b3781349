//! Objects of SQLite: a table with a number as key, eight columns, and an index over one of them.

use super::Way;
use peers_harness::{Ask, CLASSES, Fields, Item, Objects, Points, Result, Sum};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior};
use std::any::Any;

const COLUMNS: &str = "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, \
                       age INTEGER NOT NULL, points INTEGER NOT NULL, score REAL NOT NULL, \
                       active INTEGER NOT NULL, joined INTEGER NOT NULL, token BLOB NOT NULL)";
const INSERT: &str = "INSERT INTO items VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const SELECT: &str = "SELECT name, city, age, points, score, active, joined, token \
                      FROM items WHERE id = ?1";
const FILTER: &str = "SELECT sum(points) FROM items WHERE age >= ?1 AND active = 1";
const LOOK_UP: &str = "SELECT sum(points) FROM items WHERE name = ?1";
const UPDATE: &str = "UPDATE items SET points = ?2 WHERE id = ?1";

/// Opens the store of objects.
pub(crate) fn open(way: &Way) -> Result<Box<dyn Objects>> {
    let connection = way.connect()?;
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS items{COLUMNS}; \
         CREATE INDEX IF NOT EXISTS items_by_name ON items(name)"
    ))?;
    Ok(Box::new(SqlObjects(connection)))
}

/// Opens the store of many classes and creates its tables unless they exist.
pub(crate) fn open_classes(way: &Way) -> Result<(Sum, Box<dyn Any>)> {
    let connection = way.connect()?;
    let count: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if count == 0 {
        let txn = connection.unchecked_transaction()?;
        for number in 0..CLASSES {
            txn.execute_batch(&format!(
                "CREATE TABLE class{number}{COLUMNS}; \
                 INSERT INTO class{number} VALUES(1, '', '', 0, 0, 0, 0, 0, x'')"
            ))?;
        }
        txn.commit()?;
    }
    let mut sum = Sum::default();
    let select = format!("SELECT name FROM class{} WHERE id = 1", CLASSES - 1);
    connection.query_row(&select, (), |row| {
        sum.add(row.get_ref(0)?.as_str()?.as_bytes());
        Ok(())
    })?;
    Ok((sum, Box::new(connection)))
}

struct SqlObjects(Connection);

fn add(sum: &mut Sum, row: &Row<'_>) -> rusqlite::Result<()> {
    sum.add_fields(&Fields {
        name: row.get_ref(0)?.as_str()?,
        city: row.get_ref(1)?.as_str()?,
        age: row.get(2)?,
        points: row.get(3)?,
        score: row.get(4)?,
        active: row.get(5)?,
        joined: row.get(6)?,
        token: row.get_ref(7)?.as_blob()?,
    });
    Ok(())
}

impl Objects for SqlObjects {
    fn load(&mut self, items: &[Item]) -> Result<()> {
        let txn = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = txn.prepare_cached(INSERT)?;
            for item in items {
                let Fields { name, city, age, points, score, active, joined, token } =
                    item.fields();
                insert.execute((item.id, name, city, age, points, score, active, joined, token))?;
            }
        }
        Ok(txn.commit()?)
    }

    fn get(&mut self, ids: &[i64]) -> Result<Sum> {
        let mut sum = Sum::default();
        let txn = self.0.unchecked_transaction()?;
        {
            let mut select = txn.prepare_cached(SELECT)?;
            for id in ids {
                select.query_row((id,), |row| add(&mut sum, row)).optional()?;
            }
        }
        txn.commit()?;
        Ok(sum)
    }

    fn filter(&mut self, ask: Ask) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut filter = self.0.prepare_cached(FILTER)?;
        let points: Option<i64> = filter.query_row((ask.age,), |row| row.get(0))?;
        sum.add_points(points.unwrap_or(0));
        Ok(sum)
    }

    fn look_up(&mut self, names: &[String]) -> Result<Option<Sum>> {
        let mut sum = Sum::default();
        let txn = self.0.unchecked_transaction()?;
        {
            let mut look_up = txn.prepare_cached(LOOK_UP)?;
            for name in names {
                let points: Option<i64> = look_up.query_row((name,), |row| row.get(0))?;
                sum.add_points(points.unwrap_or(0));
            }
        }
        txn.commit()?;
        Ok(Some(sum))
    }

    fn update(&mut self, updates: &[Points]) -> Result<()> {
        let txn = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = txn.prepare_cached(UPDATE)?;
            for update in updates {
                statement.execute((update.id, update.points))?;
            }
        }
        Ok(txn.commit()?)
    }
}
