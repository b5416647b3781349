//! `peers`: Fastness beside redb, LMDB, fjall and SQLite. Conducts the programs with the peers that
//! do not fit into one process: encrypted LMDB and SQLCipher.

mod fjall;
mod lmdb;
mod record;
mod redb;

use peers_harness::{Fastness, MAIN, Result, run};
use peers_sql::Sql;

fn main() -> Result<()> {
    run(
        MAIN,
        &[
            &Fastness { encrypted: true },
            &Fastness { encrypted: false },
            &redb::Redb,
            &lmdb::Lmdb,
            &fjall::Fjall,
            &Sql::sqlite(),
        ],
        &["peers-lmdb-encrypted", "peers-sqlcipher"],
    )
}
