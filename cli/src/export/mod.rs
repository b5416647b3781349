//! `fastness export`: takes the objects of a file out of it, to where any other program reads them.
//!
//! - Y4 The file is opened read-only, and never written to.
//! - Y7 What is written gets its name once it is whole and on the disk; what had the name before
//!   stays unless it was to be replaced.
//! - Y8 Every value of every object is written, or said to be missing, by name.
//!
//! Shape of what is written: docs/tools.md.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

mod json;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod tables;

use crate::contents::{counted, objects, told};
use crate::failure::{BAD, Failure};
use crate::key::KeyArgs;
use crate::tools::options;
use fastness::inspect::trees;
use fastness::object::{Object, ObjectKey, Snapshot, Value};
use fastness::schema::{Class, Property, PropertyType, Schema};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, PersistError};

/// What to export, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The file to export.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Replace the file to make, if it is there.
    #[arg(long)]
    overwrite: bool,
    /// Export what can be read of a damaged file, and tell what cannot.
    #[arg(long)]
    salvage: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// Make a JSON file. It is not encrypted.
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Make an SQLite database. It is not encrypted.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "OUT")]
    sqlite: Option<PathBuf>,
}

/// What an object has in a property.
enum Held<'a> {
    One(Value<'a>),
    Many(Vec<Value<'static>>),
}

/// Where objects are written to: class by class, each with its objects.
trait Target {
    fn class(&mut self, class: &Class) -> Result<(), Failure>;

    /// Writes an object of the class that came last, with those of its properties that were read.
    fn object(&mut self, key: &ObjectKey, held: &[(&Property, Held<'_>)]) -> Result<(), Failure>;

    /// Ends what is written.
    fn finish(self: Box<Self>) -> Result<(), Failure>;
}

/// Of what the export is.
struct Source {
    commit: u64,
    version: Option<u64>,
    schema: Schema,
}

/// Exports the file; 1 if something is missing.
pub(crate) fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let target = args.target.path();
    check_target(args, target)?;
    let store = options(args.key.key()?.as_ref()).open_read_only(&args.file)?;
    let snapshot = objects(&store)?;
    let view = snapshot.view();
    let source = Source {
        commit: snapshot.commit().0,
        version: view.schema_version(),
        schema: view.schema()?,
    };
    if source.schema.is_empty() {
        let file = args.file.display();
        return Err(Failure::bad(format!("{file}: holds no classes, so nothing to export")));
    }
    let unwritable = |error: &std::io::Error| unwritable(target, error);
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(directory).map_err(|error| unwritable(&error))?;
    let mut copy = Copy { snapshot: &snapshot, salvage: args.salvage, objects: 0, missing: vec![] };
    copy.run(&source, args.target.start(&file, &source)?)?;
    file.as_file().sync_all().map_err(|error| unwritable(&error))?;
    place(file, target, args.overwrite)?;
    copy.tell(&source, target, out)?;
    Ok(if copy.missing.is_empty() { 0 } else { BAD })
}

impl TargetArgs {
    fn path(&self) -> &Path {
        #[cfg(feature = "sqlite")]
        let sqlite = self.sqlite.as_deref();
        #[cfg(not(feature = "sqlite"))]
        let sqlite = None;
        self.json.as_deref().or(sqlite).expect("clap asks for one of them")
    }

    fn start(&self, file: &NamedTempFile, source: &Source) -> Result<Box<dyn Target>, Failure> {
        #[cfg(feature = "sqlite")]
        if self.sqlite.is_some() {
            return Ok(Box::new(sqlite::Database::new(file.path(), source)?));
        }
        let file = file.as_file().try_clone();
        let file = file.map_err(|error| unwritable(self.path(), &error))?;
        Ok(Box::new(json::Document::new(file, source)?))
    }
}

/// Refuses before anything is read what would be refused in the end.
fn check_target(args: &ExportArgs, target: &Path) -> Result<(), Failure> {
    if target == Path::new("-") {
        let text = "-: an export gets its name once it is whole and on the disk; name a file";
        return Err(Failure::usage(text));
    }
    let same = fs::canonicalize(target).ok().zip(fs::canonicalize(&args.file).ok());
    if same.is_some_and(|(one, two)| one == two) {
        let text = format!("{}: that is the file to export; choose another", target.display());
        return Err(Failure::usage(text));
    }
    if !args.overwrite && fs::symlink_metadata(target).is_ok() {
        return Err(exists(target));
    }
    Ok(())
}

fn exists(target: &Path) -> Failure {
    let target = target.display();
    Failure::bad(format!("{target}: exists already; choose another path, or say --overwrite"))
}

fn unwritable(target: &Path, error: &std::io::Error) -> Failure {
    let (target, why) = (target.display(), error.kind());
    Failure::environment(match why {
        ErrorKind::NotFound => format!("{target}: its directory is not there; make it first"),
        _ => format!("{target}: cannot write the export: {why}"),
    })
}

/// Gives what was written its name.
fn place(file: NamedTempFile, target: &Path, overwrite: bool) -> Result<(), Failure> {
    let placed = if overwrite { file.persist(target) } else { file.persist_noclobber(target) };
    match placed {
        Ok(_) => Ok(()),
        Err(PersistError { error, .. }) if error.kind() == ErrorKind::AlreadyExists => {
            Err(exists(target))
        }
        Err(PersistError { error, .. }) => Err(unwritable(target, &error)),
    }
}

/// An export that is under way.
struct Copy<'a> {
    snapshot: &'a Snapshot,
    salvage: bool,
    objects: u64,
    missing: Vec<String>,
}

impl Copy<'_> {
    fn run(&mut self, source: &Source, mut target: Box<dyn Target>) -> Result<(), Failure> {
        for class in source.schema.classes() {
            target.class(class)?;
            let objects = self.snapshot.objects(class.name())?;
            let before = self.objects;
            for object in objects.salvage() {
                match object {
                    Ok(object) => self.object(class, &object, &mut *target)?,
                    Err(error) => self.miss(class.name(), error)?,
                }
            }
            let (written, all) = (self.objects - before, objects.len());
            if written < all {
                let lost = all - written;
                self.missing.push(format!("{}: {lost} of {all} objects", class.name()));
            }
        }
        target.finish()
    }

    fn object(
        &mut self,
        class: &Class,
        object: &Object<'_>,
        target: &mut dyn Target,
    ) -> Result<(), Failure> {
        let mut held = Vec::new();
        for property in class.stored_properties() {
            match read(object, property) {
                Ok(value) => held.push((property, value)),
                Err(error) => {
                    let (class, key, property) = (class.name(), object.key(), property.name());
                    self.miss(&format!("{class} {key}, {property}"), error)?;
                }
            }
        }
        self.objects += 1;
        target.object(object.key(), &held)
    }

    /// Notes what cannot be read, if that is allowed.
    fn miss(&mut self, what: &str, error: fastness::Error) -> Result<(), Failure> {
        if !self.salvage {
            return Err(Failure::from(error).with_hint("to export the rest, say --salvage"));
        }
        let text = format!("{what}: {}", told(&error));
        if self.missing.last() != Some(&text) {
            self.missing.push(text);
        }
        Ok(())
    }

    fn tell(&self, source: &Source, target: &Path, out: &mut dyn Write) -> Result<(), Failure> {
        let objects = counted(self.objects, "object", "objects");
        let classes = source.schema.classes().len() as u64;
        let classes = counted(classes, "class", "classes");
        writeln!(out, "{}: {objects} of {classes}, not encrypted", target.display())?;
        for text in &self.missing {
            writeln!(out, "missing    {text}")?;
        }
        let store = self.snapshot.store();
        let holds = trees(store).unwrap_or_default();
        for name in store.tree_names().filter(|name| !holds.contains_key(*name)) {
            writeln!(out, "left out   tree {name:?}, which holds no objects")?;
        }
        Ok(())
    }
}

fn read<'o>(object: &'o Object<'_>, property: &Property) -> Result<Held<'o>, fastness::Error> {
    match property.kind() {
        PropertyType::ObjectList(_) | PropertyType::List { .. } => {
            let elements = object.list(property.name())?;
            Ok(Held::Many(elements.into_iter().map(|element| element.value).collect()))
        }
        _ => object.get(property.name()).map(Held::One),
    }
}
