//! `peers-sqlcipher`: Fastness beside SQLCipher, which brings the symbols of SQLite.

use peers_harness::{Fastness, Result, run};
use peers_sql::Sql;
// Which library `peers_sql` calls is decided here.
use rusqlite as _;

fn main() -> Result<()> {
    run("peers-sqlcipher", &[&Fastness { encrypted: true }, &Sql::sqlcipher()], &[])
}
