//! Lists of SQLite: an ordinary table of positions and numbers.

use super::Way;
use peers_harness::{Lists, Result, Spot, Sum};
use rusqlite::{Connection, Statement, TransactionBehavior};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS elements(list INTEGER, position INTEGER, \
                      value INTEGER NOT NULL, PRIMARY KEY(list, position)) WITHOUT ROWID";

/// Opens the store of lists.
pub(crate) fn open(way: &Way) -> Result<Box<dyn Lists>> {
    let connection = way.connect()?;
    connection.execute_batch(CREATE)?;
    Ok(Box::new(SqlLists(connection)))
}

struct SqlLists(Connection);

impl SqlLists {
    fn change(
        &mut self,
        (sql, spots): (&str, &[Spot]),
        body: impl Fn(&mut Statement<'_>, i64, &Spot) -> rusqlite::Result<usize>,
    ) -> Result<()> {
        let txn = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = txn.prepare_cached(sql)?;
            for spot in spots {
                body(&mut statement, i64::try_from(spot.position)?, spot)?;
            }
        }
        Ok(txn.commit()?)
    }
}

impl Lists for SqlLists {
    fn push(&mut self, spots: &[Spot]) -> Result<()> {
        let sql = "INSERT INTO elements VALUES(?1, ?2, ?3)";
        self.change((sql, spots), |statement, at, spot| {
            statement.execute((spot.list, at, spot.value))
        })
    }

    fn set(&mut self, spots: &[Spot]) -> Result<()> {
        let sql = "UPDATE elements SET value = ?3 WHERE list = ?1 AND position = ?2";
        self.change((sql, spots), |statement, at, spot| {
            statement.execute((spot.list, at, spot.value))
        })
    }

    fn remove(&mut self, spots: &[Spot]) -> Result<()> {
        let sql = "DELETE FROM elements WHERE list = ?1 AND position = ?2";
        self.change((sql, spots), |statement, at, spot| statement.execute((spot.list, at)))
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut scan =
            self.0.prepare_cached("SELECT value FROM elements ORDER BY list, position")?;
        let mut rows = scan.query(())?;
        while let Some(row) = rows.next()? {
            sum.add_points(row.get(0)?);
        }
        Ok(sum)
    }
}
