//! `fastness import`: makes a file of the objects in a JSON export.
//!
//! - Y11 An import makes a new file, which gets its name when it is complete, and changes no file
//!   that exists. An export of the new file has the values of the document.
//!
//! The document is read three times, object by object: for the classes, for the objects, and for
//! the links between them. Objects without a primary key are remembered by their keys. Format:
//! docs/tools.md.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

mod document;
mod rows;
mod value;

use self::document::{ClassHead, DocumentReader, read};
use self::rows::{LinkTargets, Row, check, create, link};
use crate::contents::counted;
use crate::failure::Failure;
use crate::key::KeyArgs;
use crate::tools::options;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Class, Schema};
use serde_json::Value as Json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of the import.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The JSON file, as `fastness export --json` writes it.
    #[arg(long, value_name = "IN")]
    json: PathBuf,
    /// The file to make; it must not exist.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// Objects of one transaction.
const OBJECTS_AT_ONCE: usize = 10_000;

/// Bytes of them, as JSON.
const BYTES_AT_ONCE: usize = 16 << 20;

/// Imports a document into a new file.
pub(crate) fn import(args: &ImportArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let (file, key) = (args.file.display(), args.key.key()?);
    if fs::symlink_metadata(&args.file).is_ok() {
        return Err(Failure::problem(format!("{file}: exists already; choose another path")));
    }
    let folder = args.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let unfinished = tempfile::tempdir_in(folder.unwrap_or(Path::new(".")));
    let unfinished = unfinished.map_err(|error| {
        Failure::environment(format!("{file}: cannot write to its folder: {}", error.kind()))
    })?;
    let mut heads = Heads::default();
    read(&args.json, &mut heads)?;
    let database = Database::open(
        &options(key.as_ref()),
        unfinished.path().join("import.fastness"),
        &DatabaseOptions::schema(heads.schema(&args.json)?, heads.version),
    )?;
    let mut targets = LinkTargets::default();
    let create = |txn: &mut Transaction, row: &Row<'_>| create(txn, row, &mut targets);
    let count = Walk::new(&database, &heads, create).run(&args.json)?;
    let link = |txn: &mut Transaction, row: &Row<'_>| link(txn, row, &targets);
    Walk::new(&database, &heads, link).run(&args.json)?;
    database.store().copy(&args.file, key.as_ref())?;
    let (objects, classes) = (counted(count, "object", "objects"), heads.classes.len() as u64);
    let classes = counted(classes, "class", "classes");
    let encrypted = if key.is_some() { "encrypted" } else { "not encrypted" };
    writeln!(out, "{file}: {objects} of {classes}, {encrypted}")?;
    Ok(0)
}

/// The classes of a document.
#[derive(Default)]
struct Heads {
    version: u64,
    classes: Vec<Class>,
}

impl Heads {
    fn schema(&self, document: &Path) -> Result<Schema, Failure> {
        let schema = Schema::new(self.classes.iter().cloned());
        schema.map_err(|error| Failure::problem(format!("{}: {error}", document.display())))
    }
}

impl DocumentReader for Heads {
    fn version(&mut self, version: u64) {
        self.version = version;
    }

    fn class(&mut self, head: &ClassHead) -> Result<bool, Failure> {
        self.classes.push(head.class()?);
        Ok(false)
    }

    fn object(&mut self, _: Json) -> Result<(), Failure> {
        Ok(())
    }
}

/// A walk over the objects of a document that writes each to the file.
struct Walk<'a, F> {
    database: &'a Database,
    classes: std::slice::Iter<'a, Class>,
    class: Option<&'a Class>,
    /// Objects that were read and not written.
    batch: Vec<(&'a Class, Json)>,
    /// Their length as JSON.
    bytes: usize,
    count: u64,
    write: F,
}

impl<'a, F: FnMut(&mut Transaction, &Row<'_>) -> Result<(), Failure>> Walk<'a, F> {
    fn new(database: &'a Database, heads: &'a Heads, write: F) -> Self {
        let classes = heads.classes.iter();
        Self { database, classes, class: None, batch: Vec::new(), bytes: 0, count: 0, write }
    }

    /// Reads the document and returns the number of objects.
    fn run(mut self, document: &Path) -> Result<u64, Failure> {
        read(document, &mut self)?;
        self.flush()?;
        Ok(self.count)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut txn = self.database.write()?;
        for (class, object) in self.batch.drain(..) {
            let row = Row { class, key: &object["key"], values: &object["values"] };
            (self.write)(&mut txn, &row)?;
        }
        txn.commit()?;
        self.bytes = 0;
        Ok(())
    }
}

impl<F: FnMut(&mut Transaction, &Row<'_>) -> Result<(), Failure>> DocumentReader for Walk<'_, F> {
    fn version(&mut self, _: u64) {}

    fn class(&mut self, _: &ClassHead) -> Result<bool, Failure> {
        self.class = self.classes.next();
        Ok(true)
    }

    fn object(&mut self, object: Json) -> Result<(), Failure> {
        let Some(class) = self.class else { return Ok(()) };
        check(class, &object)?;
        self.count += 1;
        self.bytes += object.to_string().len();
        self.batch.push((class, object));
        let is_full = self.batch.len() >= OBJECTS_AT_ONCE || self.bytes >= BYTES_AT_ONCE;
        if is_full { self.flush() } else { Ok(()) }
    }
}
