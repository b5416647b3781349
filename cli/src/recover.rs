//! `fastness recover`: explains a backup: its contents, the configurations that open it, and the
//! next command.
//!
//! - Y4 The file is never written.
//! - Y9 Every listed configuration opens the file; facts derived from the name are labelled as
//!   such.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function handles the cases it names and treats all others alike"
)]

use crate::contents::{Contents, describe_error};
use crate::failure::{Failure, PROBLEM};
use crate::key::{KeyArgs, KeyFlags, shell_quote};
use crate::tools::{describe_recovery, options};
use fastness::instance::BackupOrigin;
use fastness::object::{Database, DatabaseOptions};
use fastness::{Error, FileErrorCause, Info, Remedy, Store};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// The file to explain.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The report.
struct Report {
    file: PathBuf,
    origin: Option<&'static str>,
    /// Creation time, from the file name.
    created: Option<String>,
    /// Whether it is encrypted, if known.
    encrypted: Option<bool>,
    /// Problems, each with a remedy.
    problems: Vec<String>,
    opened: Option<OpenedFile>,
    /// Configurations that open it.
    opens: Vec<String>,
    /// The next commands.
    next: Vec<String>,
}

/// The contents of the opened file.
struct OpenedFile {
    commit: u64,
    recovery: Option<String>,
    /// None if the free list is damaged; no data depends on it.
    info: Option<Info>,
    /// None if the classes are unreadable.
    contents: Option<Contents>,
}

/// Explains the file; exit code 1 if there is a problem.
pub(crate) fn recover(args: &RecoverArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let report = Report::of(args)?;
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.write(out)?;
    }
    Ok(if report.problems.is_empty() { 0 } else { PROBLEM })
}

impl Report {
    fn of(args: &RecoverArgs) -> Result<Self, Failure> {
        let (origin, created) = match BackupOrigin::of(&args.file) {
            Some(BackupOrigin::ClientReset { recorded }) => {
                (Some("backed up because its server no longer had its history"), Some(recorded))
            }
            Some(BackupOrigin::OlderGeneration) => (
                Some(
                    "renamed because a file of an older generation of the original was at its path",
                ),
                None,
            ),
            _ => (None, None),
        };
        let mut report = Self {
            file: args.file.clone(),
            origin,
            created,
            encrypted: None,
            problems: Vec::new(),
            opened: None,
            opens: Vec::new(),
            next: Vec::new(),
        };
        let key = args.key.key()?;
        match options(key.as_ref()).open_read_only(&args.file) {
            Ok(store) => {
                report.encrypted = Some(key.is_some());
                report.read_file(&store, &args.key.key_flags(key.is_some()))?;
            }
            Err(Error::File { cause: FileErrorCause::KeyForPlainFile, .. }) => {
                report.encrypted = Some(false);
                let store = options(None).open_read_only(&args.file)?;
                report.read_file(&store, &args.key.key_flags(false))?;
            }
            Err(Error::File { cause, path }) => report.explain_refusal(cause, path)?,
            Err(error) => return Err(error.into()),
        }
        Ok(report)
    }

    /// Reads an opened file.
    fn read_file(&mut self, store: &Store, key: &KeyFlags) -> Result<(), Failure> {
        let info = self.unless_damaged("free pages", store.info())?;
        let snapshot = store.snapshot();
        let (commit, recovery) =
            (snapshot.commit().0, store.recovery().as_ref().map(describe_recovery));
        let contents = Database::from_store(store.clone(), &DatabaseOptions::dynamic())
            .and_then(|database| Contents::read(&database.snapshot()?));
        let contents = self.unless_damaged("classes", contents)?;
        let file = shell_quote(&self.file);
        let KeyFlags { prefix, suffix } = key;
        match &contents {
            Some(contents) => {
                self.problems.extend(contents.problems.iter().cloned());
                self.opens = opens(contents, self.encrypted == Some(true));
            }
            None => {
                self.opens = vec!["a program that reads the trees of the store, not objects".into()]
            }
        }
        let salvage = if self.problems.is_empty() { "" } else { " --salvage" };
        if contents.as_ref().is_some_and(Contents::has_classes) {
            let formats: &[&str] =
                if cfg!(feature = "sqlite") { &["json", "sqlite"] } else { &["json"] };
            for format in formats {
                let text =
                    format!("{prefix}fastness export --{format} OUT{salvage} {file}{suffix}");
                self.next.push(text);
            }
        } else {
            self.next.push(format!("{prefix}fastness dump {file}{suffix}"));
        }
        self.opened = Some(OpenedFile { commit, recovery, info, contents });
        Ok(())
    }

    /// Records damage and continues.
    fn unless_damaged<T>(
        &mut self,
        what: &str,
        outcome: fastness::Result<T>,
    ) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.remedy() == Remedy::Restore => {
                self.problems.push(format!("{what}: {}", describe_error(&error)));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Explains why a file does not open. Problems of the system or of the call are errors instead.
    fn explain_refusal(&mut self, cause: FileErrorCause, path: PathBuf) -> Result<(), Failure> {
        let is_short = matches!(cause, FileErrorCause::Truncated { .. });
        if (is_short || cause == FileErrorCause::NotFastness)
            && let Some(text) = identify_foreign(&self.file)?
        {
            self.problems.push(text.to_owned());
            return Ok(());
        }
        let problem = match &cause {
            FileErrorCause::KeyMissing => {
                self.require_key();
                "it is encrypted, and no key was given; nothing in it is readable without its key"
                    .to_owned()
            }
            FileErrorCause::WrongKey => {
                self.require_key();
                "it is encrypted with another key than the given one; pass the key that the app \
                 used when it wrote the file"
                    .to_owned()
            }
            FileErrorCause::Truncated { found_bytes, expected_bytes } => format!(
                "it is truncated to {found_bytes} of at least {expected_bytes} bytes, so its \
                 contents are unknown; take another copy"
            ),
            FileErrorCause::Damaged { page, damage } => format!(
                "its header or catalogue is damaged, so nothing in it can be trusted; take another \
                 copy (page {page}: {damage})"
            ),
            FileErrorCause::NotFastness | FileErrorCause::NewerFormat { .. } => cause.to_string(),
            _ => return Err(Error::File { path, cause }.into()),
        };
        self.problems.push(problem);
        Ok(())
    }

    fn require_key(&mut self) {
        self.encrypted = Some(true);
        self.opens = vec![KEY_REQUIRED.to_owned()];
        self.next = vec![format!("fastness recover {} --key-file KEY", shell_quote(&self.file))];
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Failure> {
        writeln!(out, "file       {}", self.file.display())?;
        if let Some(origin) = self.origin {
            let created = self.created.as_ref().map(|created| format!(", on {created} UTC"));
            writeln!(out, "origin     {origin}{} (from its name)", created.unwrap_or_default())?;
        }
        if let Some(encrypted) = self.encrypted {
            writeln!(out, "encrypted  {}", if encrypted { "yes" } else { "no" })?;
        }
        if let Some(opened) = &self.opened {
            writeln!(out, "commit     {}", opened.commit)?;
            if let Some(info) = &opened.info {
                writeln!(out, "bytes      {}", info.file_bytes)?;
            }
            if let Some(recovery) = &opened.recovery {
                writeln!(out, "recovery   {recovery}")?;
            }
            opened.contents.as_ref().map_or(Ok(()), |contents| contents.write(out))?;
        }
        self.problems.iter().try_for_each(|text| writeln!(out, "problem    {text}"))?;
        self.opens.iter().try_for_each(|text| writeln!(out, "opens      {text}"))?;
        self.next.iter().try_for_each(|text| writeln!(out, "next       {text}"))?;
        Ok(())
    }

    fn json(&self) -> Value {
        let opened = self.opened.as_ref().map(|opened| {
            let contents = opened.contents.as_ref();
            json!({
                "commit": opened.commit, "recovery": opened.recovery,
                "file_bytes": opened.info.as_ref().map(|info| info.file_bytes),
                "schema_version": contents.and_then(|contents| contents.version),
                "classes": contents.map(Contents::classes_json),
                "trees": contents.map(Contents::trees_json),
            })
        });
        json!({
            "file": self.file, "origin": self.origin, "created": self.created,
            "encrypted": self.encrypted, "problems": self.problems, "contents": opened,
            "opens": self.opens, "next": self.next,
        })
    }
}

const KEY_REQUIRED: &str = "only with the 64-byte key it was written with";

/// Returns the configurations that open the file, see docs/instances.md.
fn opens(contents: &Contents, encrypted: bool) -> Vec<String> {
    let key = if encrypted { "with its key" } else { "without a key" };
    let dynamic = format!("dynamic: a recovery configuration with its path, {key}");
    let typed = match contents.version {
        Some(0) if contents.has_classes() => {
            "typed: the same configuration, if its classes and properties are among those above"
                .to_owned()
        }
        Some(0) => "typed: the same configuration, without classes".to_owned(),
        Some(version) => format!(
            "typed: only as a copy, by a local configuration with schema version {version}, or a \
             higher one with a migration; recovery configurations have version 0"
        ),
        None => "typed: not possible, it never had a schema".to_owned(),
    };
    vec![dynamic, typed]
}

/// Identifies a foreign file by its first bytes; none for a Fastness file.
fn identify_foreign(path: &Path) -> Result<Option<&'static str>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::environment(format!("{}: cannot read it: {error}", path.display()))
    };
    let mut head = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(24).read_to_end(&mut head).map_err(unreadable)?;
    Ok(Some(if head.is_empty() {
        "it is empty: nothing was written to it, or all of it was lost; take another copy"
    } else if head.starts_with(b"Fastness") {
        return Ok(None);
    } else if head.starts_with(b"SQLite format 3\0") {
        "it is an SQLite database; open it with sqlite3"
    } else if head.get(16..20) == Some(b"T-DB") {
        "it is a realm-java file; open it with an app that uses realm-java"
    } else {
        "it is not a Fastness file, or its beginning was overwritten; check the path"
    }))
}
