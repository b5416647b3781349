//! A local database that goes online: the synced file is made of its objects.
//!
//! - CS10 The synced file has every object of the local database, or does not exist.
//!
//! The file is made under a temporary name, in entries of a bounded size, and gets its name once it
//! is complete and durable. All of it is pending then: the first session uploads it. Objects
//! without a primary key are other objects than those of another device; those with one merge with
//! them.
//!
//! Specification: docs/sync.md#apps.

use super::clock::wall_ms;
use super::error::SyncCallError;
use crate::fault;
use fastness::config::Configuration;
use fastness::object::{
    Database, DatabaseOptions, Object, ObjectId, ObjectKey, Snapshot, Transaction, Value, View,
};
use fastness::schema::{Class, PropertyType, Schema, SchemaMode};
use fastness::{Durability, FileErrorCause, InstanceError, StoreOptions};
use fastness_sync::client::ReplicaClock;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of values from which on another entry begins. An entry has at most 1 MiB.
const ENTRY_BYTES: usize = 256 << 10;

/// Bytes that count for an operation beside its value.
const OPERATION_BYTES: usize = 64;

/// Makes the file of a synced configuration from the objects of a local database.
pub(super) fn make_synced(
    local: &Snapshot,
    configuration: &Configuration,
) -> Result<(), SyncCallError> {
    let path = configuration.path();
    if configuration.sync().is_none() {
        let error = InstanceError::NotSynced { path: path.to_path_buf() };
        return Err(fastness::Error::from(error).into());
    }
    if exists(path)? {
        return Err(error_of(path, FileErrorCause::Exists));
    }
    let name = path.file_name().unwrap_or_default();
    let partial = match fault::on("NC-13") {
        true => path.to_path_buf(),
        false => path.with_file_name(format!(".{}.partial", name.display())),
    };
    remove(&partial)?;
    fill(local, (configuration, &partial))?;
    give_name(&partial, path)
}

/// Writes the objects into a new file.
fn fill(
    local: &Snapshot,
    (configuration, partial): (&Configuration, &Path),
) -> Result<(), SyncCallError> {
    let options = StoreOptions::new();
    let options =
        configuration.key().map_or_else(|| options.clone(), |key| options.clone().key(key));
    let store = options.create(partial)?;
    let schema = local.view().schema()?;
    let version = local.view().schema_version().unwrap_or_default();
    let hook = ReplicaClock::new(Box::new(wall_ms)).hook();
    let options = DatabaseOptions::schema(schema.clone(), version).mode(SchemaMode::Additive);
    let database = Database::from_store(store.clone(), &options.synced().replica_hook(hook))?;
    let mut copy = Copy { view: local.view(), schema: &schema, ids: BTreeMap::new() };
    let mut writer = Writer { database: &database, txn: None, bytes: 0 };
    copy.create(&mut writer)?;
    copy.set(&mut writer)?;
    writer.commit()?;
    store.sync()?;
    drop(database);
    store.close()?;
    Ok(())
}

/// A copy of the objects of a view.
struct Copy<'v> {
    view: View<'v>,
    schema: &'v Schema,
    /// New objects in the place of those without a primary key.
    ids: BTreeMap<ObjectId, ObjectId>,
}

/// Transactions of a bounded size.
struct Writer<'d> {
    database: &'d Database,
    txn: Option<Transaction>,
    bytes: usize,
}

impl Writer<'_> {
    /// Returns a transaction for a value of so many bytes.
    fn of(&mut self, bytes: usize) -> Result<&mut Transaction, SyncCallError> {
        if self.bytes > 0 && self.bytes + bytes > ENTRY_BYTES {
            self.commit()?;
        }
        self.bytes += bytes + OPERATION_BYTES;
        let txn = match self.txn.take() {
            Some(txn) => txn,
            None => self.database.write()?,
        };
        Ok(self.txn.insert(txn))
    }

    /// Commits what was written.
    fn commit(&mut self) -> Result<(), SyncCallError> {
        self.bytes = 0;
        if let Some(txn) = self.txn.take() {
            txn.commit_with(Durability::None)?;
        }
        Ok(())
    }
}

impl Copy<'_> {
    /// Creates the objects, without values: links may lead to any of them.
    fn create(&mut self, writer: &mut Writer<'_>) -> Result<(), SyncCallError> {
        for class in self.schema.classes() {
            for object in self.view.objects(class.name())?.iter()? {
                let object = object?;
                let txn = writer.of(OPERATION_BYTES)?;
                let id = match key_value(object.key()) {
                    Some(key) => txn.create_with_key(class.name(), key)?,
                    None => txn.create(class.name())?,
                };
                if object.id() != id {
                    self.ids.insert(object.id(), id);
                }
            }
        }
        Ok(())
    }

    /// Sets the values of the objects.
    fn set(&self, writer: &mut Writer<'_>) -> Result<(), SyncCallError> {
        for class in self.schema.classes() {
            for object in self.view.objects(class.name())?.iter()? {
                self.set_values((class, &object?), writer)?;
            }
        }
        Ok(())
    }

    fn set_values(
        &self,
        (class, object): (&Class, &Object<'_>),
        writer: &mut Writer<'_>,
    ) -> Result<(), SyncCallError> {
        let id = self.new_id(object.id());
        let key = class.primary_key().map(|key| key.name());
        for property in class.properties().iter().filter(|it| Some(it.name()) != key) {
            let name = property.name();
            match property.kind() {
                PropertyType::List { .. } | PropertyType::ObjectList(_) => {
                    for element in object.elements(name)? {
                        let value = self.new_value(element?.value);
                        writer.of(bytes_of(&value))?.list(&id, name)?.push(value)?;
                    }
                }
                PropertyType::Scalar(_) | PropertyType::Counter | PropertyType::Object(_) => {
                    let value = self.new_value(object.get(name)?);
                    writer.of(bytes_of(&value))?.set(&id, name, value)?;
                }
                // It follows from the links.
                PropertyType::LinkingObjects { .. } => {}
                other => {
                    let reason = format!("{name} has a type of a later version: {other:?}");
                    return Err(SyncCallError::closed(reason));
                }
            }
        }
        Ok(())
    }

    fn new_id(&self, id: ObjectId) -> ObjectId {
        self.ids.get(&id).cloned().unwrap_or(id)
    }

    fn new_value<'v>(&self, value: Value<'v>) -> Value<'v> {
        if let Value::Link(to) = value { Value::Link(self.new_id(to)) } else { value }
    }
}

/// Returns a primary key as a value; none for an object without one.
fn key_value(key: &ObjectKey) -> Option<Value<'_>> {
    match key {
        ObjectKey::Null => Some(Value::Null),
        ObjectKey::Int(number) => Some(Value::Int(*number)),
        ObjectKey::String(text) => Some(Value::from(text.as_str())),
        ObjectKey::Row(_) => None,
    }
}

fn bytes_of(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::Null
        | Value::Int(_)
        | Value::Bool(_)
        | Value::Timestamp(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::Link(_)
        | Value::TooLarge => 0,
    }
}

fn error_of(path: &Path, cause: FileErrorCause) -> SyncCallError {
    fastness::Error::File { path: path.to_path_buf(), cause }.into()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SyncCallError + '_ {
    move |error| error_of(path, FileErrorCause::Io(error.kind()))
}

fn exists(path: &Path) -> Result<bool, SyncCallError> {
    path.try_exists().map_err(failed(path))
}

fn remove(path: &Path) -> Result<(), SyncCallError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives a complete file its name, which no other file has.
fn give_name(partial: &Path, path: &Path) -> Result<(), SyncCallError> {
    if partial == path {
        return Ok(());
    }
    match fs::hard_link(partial, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(error_of(path, FileErrorCause::Exists));
        }
        linked => linked.map_err(failed(path))?,
    }
    remove(partial)?;
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed(&folder))
}
