//! `fastness recover`: what a backup is, what opens it, what is in it, and how to get that out.
//!
//! - Y4 Nothing is written to the file.
//! - Y9 What is said to open the file does; what is said about a name is said to be from the name.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

use crate::contents::{Contents, told as cause_of};
use crate::failure::{BAD, Failure};
use crate::key::KeyArgs;
use crate::tools::{options, told};
use fastness::instance::Origin;
use fastness::object::{Database, DatabaseOptions};
use fastness::{Error, FileErrorCause, Info, Remedy, Store};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

/// The file to explain.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// The file to explain.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Answer in JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Found {
    file: PathBuf,
    origin: Option<&'static str>,
    /// When it was made, as far as its name says so.
    made: Option<String>,
    /// Whether it is encrypted, if that can be told.
    encrypted: Option<bool>,
    /// What is wrong, each with what to do.
    problems: Vec<String>,
    inside: Option<Inside>,
    /// What opens it.
    opens: Vec<String>,
    /// What to run next.
    next: Vec<String>,
}

/// What the file says once it is open.
struct Inside {
    commit: u64,
    recovery: Option<String>,
    /// None if the record of free pages is damaged, which no data depends on.
    info: Option<Info>,
    /// None if the classes cannot be read.
    contents: Option<Contents>,
}

/// Explains the file; 1 if anything stands in the way of its data.
pub(crate) fn recover(args: &RecoverArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let found = Found::of(args)?;
    if args.json {
        writeln!(out, "{:#}", found.json())?;
    } else {
        found.write(out)?;
    }
    Ok(if found.problems.is_empty() { 0 } else { BAD })
}

impl Found {
    fn of(args: &RecoverArgs) -> Result<Self, Failure> {
        let (origin, made) = match Origin::of(&args.file) {
            Some(Origin::ClientReset { recorded }) => {
                (Some("backed up because its server no longer had its history"), Some(recorded))
            }
            Some(Origin::OlderGeneration) => {
                (Some("moved aside because an older generation of the original made it"), None)
            }
            _ => (None, None),
        };
        let mut found = Self {
            file: args.file.clone(),
            origin,
            made,
            encrypted: None,
            problems: Vec::new(),
            inside: None,
            opens: Vec::new(),
            next: Vec::new(),
        };
        let key = args.key.key()?;
        match options(key.as_ref()).open_read_only(&args.file) {
            Ok(store) => {
                found.encrypted = Some(key.is_some());
                found.look(&store, &args.key.again(key.is_some()))?;
            }
            Err(Error::File { cause: FileErrorCause::KeyForPlainFile, .. }) => {
                found.encrypted = Some(false);
                let store = options(None).open_read_only(&args.file)?;
                found.look(&store, &args.key.again(false))?;
            }
            Err(Error::File { cause, path }) => found.refused(cause, path)?,
            Err(error) => return Err(error.into()),
        }
        Ok(found)
    }

    /// Looks into a file that is open.
    fn look(&mut self, store: &Store, key: &Again) -> Result<(), Failure> {
        let info = self.unless_damaged("free pages", store.info())?;
        let snapshot = store.snapshot();
        let (commit, recovery) = (snapshot.commit().0, store.recovery().as_ref().map(told));
        let contents = Database::from_store(store.clone(), &DatabaseOptions::dynamic())
            .and_then(|database| Contents::read(&database.snapshot()?));
        let contents = self.unless_damaged("classes", contents)?;
        let file = quoted(&self.file);
        let Again { before, after } = key;
        match &contents {
            Some(contents) => {
                self.problems.extend(contents.problems.iter().cloned());
                self.opens = opens(contents, self.encrypted == Some(true));
            }
            None => self.opens = vec!["a program that reads trees of bytes, not objects".into()],
        }
        let salvage = if self.problems.is_empty() { "" } else { " --salvage" };
        if contents.as_ref().is_some_and(Contents::has_classes) {
            let formats: &[&str] =
                if cfg!(feature = "sqlite") { &["json", "sqlite"] } else { &["json"] };
            for format in formats {
                let text = format!("{before}fastness export --{format} OUT{salvage} {file}{after}");
                self.next.push(text);
            }
        } else {
            self.next.push(format!("{before}fastness dump {file}{after}"));
        }
        self.inside = Some(Inside { commit, recovery, info, contents });
        Ok(())
    }

    /// Notes damage, and goes on.
    fn unless_damaged<T>(
        &mut self,
        what: &str,
        outcome: fastness::Result<T>,
    ) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.remedy() == Remedy::Restore => {
                self.problems.push(format!("{what}: {}", cause_of(&error)));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Explains why a file cannot be opened. What lies with the system, or with the call, is no
    /// trait of the file.
    fn refused(&mut self, cause: FileErrorCause, path: PathBuf) -> Result<(), Failure> {
        let is_short = matches!(cause, FileErrorCause::Truncated { .. });
        if (is_short || cause == FileErrorCause::NotFastness)
            && let Some(text) = foreign(&self.file)?
        {
            self.problems.push(text.to_owned());
            return Ok(());
        }
        let problem = match &cause {
            FileErrorCause::KeyMissing => {
                self.needs_key();
                "it is encrypted, and no key was given; without its key nothing in it can be read"
                    .to_owned()
            }
            FileErrorCause::WrongKey => {
                self.needs_key();
                "it is encrypted, and the key that was given is another one; give the key that \
                 the app had when it wrote the file"
                    .to_owned()
            }
            FileErrorCause::Truncated { found_bytes, expected_bytes } => format!(
                "it was cut short, to {found_bytes} of at least {expected_bytes} bytes, so what it \
                 holds cannot be told; take another copy"
            ),
            FileErrorCause::Damaged { page, damage } => format!(
                "it is damaged where it says what it holds, so nothing in it can be trusted; take \
                 another copy (page {page}: {damage})"
            ),
            FileErrorCause::NotFastness | FileErrorCause::NewerFormat { .. } => cause.to_string(),
            _ => return Err(Error::File { path, cause }.into()),
        };
        self.problems.push(problem);
        Ok(())
    }

    fn needs_key(&mut self) {
        self.encrypted = Some(true);
        self.opens = vec![NEEDS_KEY.to_owned()];
        self.next = vec![format!("fastness recover {} --key-file KEY", quoted(&self.file))];
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Failure> {
        writeln!(out, "file       {}", self.file.display())?;
        if let Some(origin) = self.origin {
            let made = self.made.as_ref().map(|made| format!(", on {made} UTC"));
            writeln!(out, "origin     {origin}{}, by its name", made.unwrap_or_default())?;
        }
        if let Some(encrypted) = self.encrypted {
            writeln!(out, "encrypted  {}", if encrypted { "yes" } else { "no" })?;
        }
        if let Some(inside) = &self.inside {
            writeln!(out, "commit     {}", inside.commit)?;
            if let Some(info) = &inside.info {
                writeln!(out, "bytes      {}", info.file_bytes)?;
            }
            if let Some(recovery) = &inside.recovery {
                writeln!(out, "recovery   {recovery}")?;
            }
            inside.contents.as_ref().map_or(Ok(()), |contents| contents.write(out))?;
        }
        self.problems.iter().try_for_each(|text| writeln!(out, "problem    {text}"))?;
        self.opens.iter().try_for_each(|text| writeln!(out, "opens      {text}"))?;
        self.next.iter().try_for_each(|text| writeln!(out, "next       {text}"))?;
        Ok(())
    }

    fn json(&self) -> Value {
        let inside = self.inside.as_ref().map(|inside| {
            let contents = inside.contents.as_ref();
            json!({
                "commit": inside.commit, "recovery": inside.recovery,
                "file_bytes": inside.info.as_ref().map(|info| info.file_bytes),
                "schema_version": contents.and_then(|contents| contents.version),
                "classes": contents.map(Contents::classes_json),
                "trees": contents.map(Contents::trees_json),
            })
        });
        json!({
            "file": self.file, "origin": self.origin, "made": self.made,
            "encrypted": self.encrypted, "problems": self.problems, "holds": inside,
            "opens": self.opens, "next": self.next,
        })
    }
}

const NEEDS_KEY: &str = "with the 64-byte key that it was written under, and with no other";

/// Says which configurations open the file, see docs/instances.md.
fn opens(contents: &Contents, encrypted: bool) -> Vec<String> {
    let key = if encrypted { "with its key" } else { "without a key" };
    let anyhow = format!("a recovery configuration by its path, {key}: dynamically");
    let typed = match contents.version {
        Some(0) if contents.has_classes() => {
            "the same with classes, if it asks for none and for no property that is not above"
                .to_owned()
        }
        Some(0) => "the same with classes, if it asks for none".to_owned(),
        Some(version) => format!(
            "with classes, only as a copy under a local configuration of version {version}, or of \
             a higher one with a migration: recovery configurations have version 0"
        ),
        None => "not with classes: it never had a schema".to_owned(),
    };
    vec![anyhow, typed]
}

/// Says what a file is that is not ours; none if its beginning is.
fn foreign(path: &Path) -> Result<Option<&'static str>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::environment(format!("{}: cannot read it: {error}", path.display()))
    };
    let mut head = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(24).read_to_end(&mut head).map_err(unreadable)?;
    Ok(Some(if head.is_empty() {
        "it has no bytes: nothing was ever written to it, or all of it was lost; take another copy"
    } else if head.starts_with(b"Fastness") {
        return Ok(None);
    } else if head.starts_with(b"SQLite format 3\0") {
        "it is an SQLite database; open it with sqlite3"
    } else if head.get(16..20) == Some(b"T-DB") {
        "it is a file of the original, realm-java; open it with an app of that time"
    } else {
        "it is not a Fastness file, or its beginning was overwritten; check the path"
    }))
}

/// How a key was given, to write down a command that gives it again.
pub(crate) struct Again {
    /// What comes before the command.
    pub(crate) before: &'static str,
    /// What comes after it.
    pub(crate) after: String,
}

/// Quotes a path for a shell, if it needs that.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:,@%".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_when_a_shell_would_take_them_apart() {
        for (path, expected) in [
            ("a/b-c_1.realm", "a/b-c_1.realm"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
            ("\u{e9}", "'\u{e9}'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }
}
