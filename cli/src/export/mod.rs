//! `fastness export`: writes the objects of a file in a format of other programs.
//!
//! - Y4 The file is opened read-only and never written.
//! - Y7 An export gets its name when it is complete and durable; it replaces a file only with
//!   `--overwrite`.
//! - Y8 Every value of every object is exported, or reported as missing.
//!
//! Formats: docs/tools.md.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

mod json;
mod sink;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod tables;

use self::sink::{ExportSink, PropertyContent, Source};
use crate::contents::{counted, describe_error, objects};
use crate::failure::{Failure, PROBLEM};
use crate::key::KeyArgs;
use crate::tools::options;
use fastness::inspect::trees;
use fastness::object::{Object, Snapshot};
use fastness::schema::{Class, Property, PropertyType};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, PersistError};

/// Arguments of the export.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The file to export.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Replace an existing output file.
    #[arg(long)]
    overwrite: bool,
    /// Export the readable part of a damaged file, and report the rest as missing.
    #[arg(long)]
    salvage: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// Write a JSON file, unencrypted; `-` is the standard output.
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
    /// Write an SQLite database, unencrypted.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "OUT")]
    sqlite: Option<PathBuf>,
}

/// The target that is the standard output.
const STDOUT: &str = "-";

/// Exports the file; exit code 1 if something is missing.
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
        return Err(Failure::problem(format!("{file}: has no classes to export")));
    }
    let mut exporter =
        Exporter { snapshot: &snapshot, salvage: args.salvage, objects: 0, missing: vec![] };
    if target == Path::new(STDOUT) {
        exporter.run(&source, Box::new(json::Document::new(&mut *out, &source)?))?;
        exporter.print_summary(&source, target, &mut std::io::stderr())?;
        return Ok(exporter.code());
    }
    let unwritable = |error: &std::io::Error| unwritable(target, error);
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(directory).map_err(|error| unwritable(&error))?;
    exporter.run(&source, args.target.start(&file, &source)?)?;
    file.as_file().sync_all().map_err(|error| unwritable(&error))?;
    place(file, target, args.overwrite)?;
    exporter.print_summary(&source, target, out)?;
    Ok(exporter.code())
}

impl TargetArgs {
    fn path(&self) -> &Path {
        #[cfg(feature = "sqlite")]
        let sqlite = self.sqlite.as_deref();
        #[cfg(not(feature = "sqlite"))]
        let sqlite = None;
        self.json.as_deref().or(sqlite).expect("clap asks for one of them")
    }

    fn start(&self, file: &NamedTempFile, source: &Source) -> Result<Box<dyn ExportSink>, Failure> {
        #[cfg(feature = "sqlite")]
        if self.sqlite.is_some() {
            return Ok(Box::new(sqlite::Database::new(file.path(), source)?));
        }
        let file = file.as_file().try_clone();
        let file = file.map_err(|error| unwritable(self.path(), &error))?;
        Ok(Box::new(json::Document::new(file, source)?))
    }
}

/// Checks the target before reading anything.
fn check_target(args: &ExportArgs, target: &Path) -> Result<(), Failure> {
    if target == Path::new(STDOUT) {
        let text = "-: an SQLite database cannot be streamed; pass a file name";
        return if args.target.json.is_some() { Ok(()) } else { Err(Failure::usage(text)) };
    }
    let same = fs::canonicalize(target).ok().zip(fs::canonicalize(&args.file).ok());
    if same.is_some_and(|(one, two)| one == two) {
        let text = format!("{}: is the file to export; choose another path", target.display());
        return Err(Failure::usage(text));
    }
    if !args.overwrite && fs::symlink_metadata(target).is_ok() {
        return Err(exists(target));
    }
    Ok(())
}

fn exists(target: &Path) -> Failure {
    let target = target.display();
    Failure::problem(format!("{target}: exists already; choose another path, or pass --overwrite"))
}

fn unwritable(target: &Path, error: &std::io::Error) -> Failure {
    let (target, why) = (target.display(), error.kind());
    Failure::environment(match why {
        ErrorKind::NotFound => format!("{target}: its folder does not exist; create it first"),
        _ => format!("{target}: cannot write the export: {why}"),
    })
}

/// Gives the output its name.
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

/// An export in progress.
struct Exporter<'a> {
    snapshot: &'a Snapshot,
    salvage: bool,
    objects: u64,
    missing: Vec<String>,
}

impl Exporter<'_> {
    /// Returns the exit code.
    fn code(&self) -> u8 {
        if self.missing.is_empty() { 0 } else { PROBLEM }
    }

    fn run(
        &mut self,
        source: &Source,
        mut target: Box<dyn ExportSink + '_>,
    ) -> Result<(), Failure> {
        for class in source.schema.classes() {
            target.class(class)?;
            let objects = self.snapshot.objects(class.name())?;
            let before = self.objects;
            for object in objects.salvage() {
                match object {
                    Ok(object) => self.object(class, &object, &mut *target)?,
                    Err(error) => self.report_missing(class.name(), error)?,
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
        target: &mut dyn ExportSink,
    ) -> Result<(), Failure> {
        let mut contents = Vec::new();
        for property in class.stored_properties() {
            match read(object, property) {
                Ok(value) => contents.push((property, value)),
                Err(error) => {
                    let (class, key, property) = (class.name(), object.key(), property.name());
                    self.report_missing(&format!("{class} {key}, {property}"), error)?;
                }
            }
        }
        self.objects += 1;
        target.object(object.key(), &contents)
    }

    /// Records unreadable data, with `--salvage` only.
    fn report_missing(&mut self, what: &str, error: fastness::Error) -> Result<(), Failure> {
        if !self.salvage {
            return Err(Failure::from(error).with_hint("to export the rest, pass --salvage"));
        }
        let text = format!("{what}: {}", describe_error(&error));
        if self.missing.last() != Some(&text) {
            self.missing.push(text);
        }
        Ok(())
    }

    fn print_summary(
        &self,
        source: &Source,
        target: &Path,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
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
            writeln!(out, "omitted    tree {name:?}: not a tree of objects")?;
        }
        Ok(())
    }
}

fn read<'o>(
    object: &'o Object<'_>,
    property: &Property,
) -> Result<PropertyContent<'o>, fastness::Error> {
    match property.kind() {
        PropertyType::ObjectList(_) | PropertyType::List { .. } => {
            let elements = object.list(property.name())?;
            Ok(PropertyContent::Many(elements.into_iter().map(|element| element.value).collect()))
        }
        _ => object.get(property.name()).map(PropertyContent::One),
    }
}
