//! `peers-lmdb-encrypted`: Fastness beside LMDB of the branch that encrypts pages, through heed3,
//! with AES-256-GCM. Decrypted pages live as long as the transaction that needed them. Its symbols
//! are those of LMDB.
//!
//! Its transactions must not meet (lmdb-master3-sys 0.2.6, `mdb_rpage_get` and `mdb_txn_end` of
//! mdb.c). Two readers decrypt a page into the same memory, each when it first needs it, and so one
//! of them into what the other reads. And a writer unlocks before it drops the pages that it
//! has decrypted, so that the next writer may continue from stale pages. Both have failed here, or
//! read rows that never existed. One lock is around each transaction therefore, of readers too.

use aes_gcm::Aes256Gcm;
use heed3::types::Bytes;
use heed3::{CommitOrAbort, EncryptedDatabase, EncryptedEnv};
use heed3::{EnvFlags, EnvOpenOptions, WithTls};
use peers_harness::{Ability, Change, Db, Engine, Fastness, Key, Place, Result, Session};
use peers_harness::{Snapshots, Sum, run};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// LMDB with encrypted pages.
#[derive(Debug)]
struct Lmdb;

const MAP_BYTES: usize = 4 << 30;

impl Engine for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB encrypted"
    }

    fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Unsynced => true,
            // The compacting copy does not decrypt (heed3 0.23.1).
            Ability::BoundedCache | Ability::Compaction => false,
        }
    }

    #[expect(
        unsafe_code,
        reason = "the map is undefined if another process changes the file; none does here"
    )]
    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        // SAFETY: the directory is this run's own. NO_SYNC is wanted: its losses are not looked at.
        let env = unsafe {
            if !place.synced {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open_encrypted::<Aes256Gcm, _>([7; 32].into(), place.dir)?
        };
        let created = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
            opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        let rows = created.unwrap_commit();
        Ok(Box::new(Open { env, rows, alone: Mutex::default() }))
    }
}

struct Open {
    env: EncryptedEnv<WithTls>,
    rows: EncryptedDatabase<'static, Bytes, Bytes>,
    /// Held from the beginning of a transaction until after its end.
    alone: Mutex<()>,
}

impl Open {
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Db for Open {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Shared(self)))
    }

    fn compact(self: Box<Self>) -> Result<()> {
        Err("not to be had".into())
    }
}

struct Shared<'a>(&'a Open);

impl Session for Shared<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let _alone = self.0.alone();
        let mut txn = self.0.env.write_txn()?;
        for change in changes {
            match &change.value {
                Some(value) => self.0.rows.put(&mut txn, &change.key, value)?,
                None => drop(self.0.rows.delete(&mut txn, &change.key)?),
            }
        }
        Ok(txn.commit()?)
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let mut sum = Sum::default();
        match snapshots {
            Snapshots::One => {
                let _alone = self.0.alone();
                let mut txn = self.0.env.read_txn()?;
                for key in keys {
                    if let Some(value) = self.0.rows.get(&mut txn, key)? {
                        sum.add(value);
                    }
                }
            }
            Snapshots::Each => {
                for key in keys {
                    let _alone = self.0.alone();
                    let mut txn = self.0.env.read_txn()?;
                    if let Some(value) = self.0.rows.get(&mut txn, key)? {
                        sum.add(value);
                    }
                }
            }
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let _alone = self.0.alone();
        let mut txn = self.0.env.read_txn()?;
        for entry in self.0.rows.iter(&mut txn)? {
            sum.add(entry?.1);
        }
        Ok(sum)
    }
}

fn main() -> Result<()> {
    run("peers-lmdb-encrypted", &[&Fastness { encrypted: true }, &Lmdb], &[])
}
