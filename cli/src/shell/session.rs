//! The state of a shell: the file, the transaction that is open, and the result of a statement.

use super::line::{Assignment, Literal, QueryText, Shown, Statement};
use super::typed::{Types, key_text, text};
use crate::contents::counted;
use fastness::object::{Database, Object, PropertyValue, Transaction, View};
use fastness::schema::PropertyType;
use std::fmt::Write as _;

/// Objects that a query shows unless it has a limit.
const SHOWN_MAX: usize = 100;

/// Elements of a list that are shown.
const ELEMENTS_MAX: usize = 10;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 200;

/// A shell on a file.
pub(super) struct ShellSession {
    database: Database,
    /// The reason why the shell only reads.
    only_reads: Option<&'static str>,
    txn: Option<Transaction>,
}

const HELP: &str = "\
find CLASS [where CONDITION] [sort PATH [desc], ..] [distinct PATH, ..] [limit N]
count CLASS [where CONDITION]      explain CLASS [where CONDITION] [sort ..]
create CLASS [PROPERTY = VALUE, ..]
set CLASS KEY PROPERTY = VALUE, ..
delete CLASS KEY
classes    begin    commit    rollback    help    quit

A condition compares a property, or a path over links (owner.name), by = != < <= > >=,
`begins`, `ends`, `contains` or `in (..)`; conditions are joined by `and`, `or`, `not`, ( ).
Values: 12  -0.5  'text'  true  null. A timestamp is '2017-11-22T09:30:15Z', a binary its
hexadecimal digits '0aff', a link the key of its object. #1 is an object without a primary key.
A statement outside of begin and commit is a transaction of its own.";

impl ShellSession {
    pub(super) const fn new(database: Database, only_reads: Option<&'static str>) -> Self {
        Self { database, only_reads, txn: None }
    }

    /// Returns the names that a line may contain, for completion.
    pub(super) fn names(&self) -> Vec<String> {
        let read = || {
            let snapshot = self.database.snapshot()?;
            snapshot.view().schema()
        };
        let mut names = Vec::new();
        for class in read().iter().flat_map(|schema| schema.classes().to_vec()) {
            names.push(class.name().to_owned());
            names.extend(class.properties().iter().map(|property| property.name().to_owned()));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns whether a transaction is open.
    pub(super) const fn has_changes(&self) -> bool {
        self.txn.is_some()
    }

    /// Executes a statement and returns its text.
    pub(super) fn execute(&mut self, statement: &Statement) -> Result<String, String> {
        match statement {
            Statement::Help => Ok(HELP.to_owned()),
            Statement::Quit => Ok(String::new()),
            Statement::Classes => self.read(|types| {
                let mut out = String::new();
                for class in types.schema.classes() {
                    let count = types.view.objects(class.name()).map_err(as_text)?.len();
                    line(&mut out, format_args!("{}: {}", class.name(), objects(count)));
                    for property in class.properties() {
                        line(&mut out, format_args!("  {property}"));
                    }
                }
                Ok(out)
            }),
            Statement::Find { what, class, query } => {
                self.read(|types| find(types, *what, (class, query)))
            }
            Statement::Begin if self.txn.is_some() => Err("a transaction is open".to_owned()),
            Statement::Begin => {
                self.txn = Some(self.begin()?);
                Ok("a transaction is open until commit or rollback".to_owned())
            }
            Statement::Commit => {
                let txn = self.txn.take().ok_or("no transaction is open")?;
                txn.commit().map(|commit| format!("commit {commit}")).map_err(as_text)
            }
            Statement::Rollback => {
                self.txn.take().ok_or("no transaction is open")?;
                Ok("nothing was changed".to_owned())
            }
            Statement::Create { class, values } => self.write(|txn| create(txn, class, values)),
            Statement::Set { class, key, values } => {
                self.write(|txn| set(txn, (class, key), values))
            }
            Statement::Delete { class, key } => self.write(|txn| {
                let id = Types::new(txn.view()).map_err(as_text)?.id(class, key)?;
                txn.delete(&id).map_err(as_text)?;
                Ok(format!("deleted {class} {}", key_text(&id.key)))
            }),
        }
    }

    fn begin(&self) -> Result<Transaction, String> {
        if let Some(reason) = self.only_reads {
            return Err(reason.to_owned());
        }
        self.database.write().map_err(as_text)
    }

    fn read<T>(&self, body: impl FnOnce(&Types<'_>) -> Result<T, String>) -> Result<T, String> {
        let with = |view: View<'_>| body(&Types::new(view).map_err(as_text)?);
        match &self.txn {
            Some(txn) => with(txn.view()),
            None => with(self.database.snapshot().map_err(as_text)?.view()),
        }
    }

    /// Runs a statement in the open transaction, or in one of its own.
    fn write(
        &mut self,
        body: impl FnOnce(&mut Transaction) -> Result<String, String>,
    ) -> Result<String, String> {
        if let Some(txn) = &mut self.txn {
            return body(txn);
        }
        let mut txn = self.begin()?;
        let text = body(&mut txn)?;
        txn.commit().map_err(as_text)?;
        Ok(text)
    }
}

fn as_text(error: fastness::Error) -> String {
    error.to_string()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(out, "{text}").unwrap_or_default();
}

fn objects(count: u64) -> String {
    counted(count, "object", "objects")
}

fn find(
    types: &Types<'_>,
    what: Shown,
    (class, text): (&str, &QueryText),
) -> Result<String, String> {
    let query = types.query(class, text)?;
    match what {
        Shown::Count => return query.count().map(objects).map_err(as_text),
        Shown::Plan => return query.explain().map(|plan| plan.to_string()).map_err(as_text),
        Shown::Objects => {}
    }
    let more = text.limit.is_none();
    let query = if more { query.limit(SHOWN_MAX + 1) } else { query };
    let found = query.find().map_err(as_text)?;
    let mut out = String::new();
    let shown = if more { found.len().min(SHOWN_MAX) } else { found.len() };
    for id in &found[..shown] {
        if let Some(object) = types.view.object(id).map_err(as_text)? {
            line(&mut out, format_args!("{}", show(types, class, &object)?));
        }
    }
    match found.len() {
        count if count > shown => line(&mut out, format_args!("... more; add a limit to see them")),
        count => line(&mut out, format_args!("{}", objects(count as u64))),
    }
    Ok(out)
}

/// Writes an object: its key and its properties.
fn show(types: &Types<'_>, class: &str, object: &Object<'_>) -> Result<String, String> {
    let mut out = key_text(object.key());
    for property in types.class(class)?.stored_properties() {
        if property.is_primary_key() {
            continue;
        }
        let name = property.name();
        let value = match property.kind() {
            PropertyType::List { .. } | PropertyType::ObjectList(_) => {
                let elements = object.elements(name).map_err(as_text)?;
                let first: Result<Vec<_>, _> = elements
                    .take(ELEMENTS_MAX + 1)
                    .map(|element| element.map(|element| text(&element.value)))
                    .collect();
                let mut first = first.map_err(as_text)?;
                if first.len() > ELEMENTS_MAX {
                    first[ELEMENTS_MAX] = "..".to_owned();
                }
                format!("[{}]", first.join(", "))
            }
            _ => text(&object.get(name).map_err(as_text)?),
        };
        let short: String = value.chars().take(VALUE_CHARS_MAX).collect();
        let dots = if short.len() < value.len() { ".." } else { "" };
        write!(out, "  {name}: {short}{dots}").unwrap_or_default();
    }
    Ok(out)
}

fn create(txn: &mut Transaction, class: &str, values: &[Assignment]) -> Result<String, String> {
    let types = Types::new(txn.view()).map_err(as_text)?;
    let known = types.class(class)?;
    let mut typed = Vec::new();
    for Assignment { property, value } in values {
        let value = types.value(known, property, value)?;
        typed.push((&**property, PropertyValue::from(value)));
    }
    let id = txn.create_with(class, &typed).map_err(as_text)?;
    Ok(format!("created {class} {}", key_text(&id.key)))
}

fn set(
    txn: &mut Transaction,
    (class, key): (&str, &Literal),
    values: &[Assignment],
) -> Result<String, String> {
    let types = Types::new(txn.view()).map_err(as_text)?;
    let (known, id) = (types.class(class)?, types.id(class, key)?);
    let mut typed = Vec::new();
    for Assignment { property, value } in values {
        let value = types.value(known, property, value)?;
        typed.push((&**property, PropertyValue::from(value)));
    }
    txn.update(&id, &typed).map_err(as_text)?;
    Ok(format!("changed {class} {}", key_text(&id.key)))
}
