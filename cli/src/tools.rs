//! File tools: info, verify, dump, compact, copy.
//!
//! - Y4 A command that only reads opens the file read-only and never writes to it.
//! - Y5 A plain copy of an encrypted file requires `--plain`.

use crate::contents::{Contents, bytes, objects};
use crate::failure::{Failure, PROBLEM};
use crate::key::{self, KeyArgs};
use fastness::{Key, PageId, Recovery, RecoveryOutcome, Store, StoreOptions, inspect};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file, its key, and the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// The file.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `dump`.
#[derive(Debug, clap::Args)]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Show the parts of this page instead of one line per page.
    #[arg(long, value_name = "N")]
    page: Option<u64>,
}

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyArgs {
    /// The file to copy.
    source: PathBuf,
    /// The new file; it must not exist.
    target: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Encrypt the copy with the key in this file instead of the same key.
    #[arg(long, value_name = "FILE", conflicts_with = "plain")]
    new_key_file: Option<PathBuf>,
    /// Write the copy unencrypted.
    #[arg(long)]
    plain: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl FileArgs {
    fn options(&self) -> Result<StoreOptions, Failure> {
        Ok(options(self.key.key()?.as_ref()))
    }

    pub(crate) fn open_read_only(&self) -> Result<Store, Failure> {
        Ok(self.options()?.open_read_only(&self.file)?)
    }
}

pub(crate) fn options(key: Option<&Key>) -> StoreOptions {
    match key {
        Some(key) => StoreOptions::new().key(key.clone()),
        None => StoreOptions::new(),
    }
}

/// Shows a summary of the file; exit code 1 if something is unreadable.
pub(crate) fn info(args: &FileArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let store = args.open_read_only()?;
    let info = store.info()?;
    let recovery = store.recovery();
    let contents = Contents::read(&objects(&store)?)?;
    let code = if contents.problems.is_empty() { 0 } else { PROBLEM };
    if args.json {
        let value = json!({
            "file": info.path, "format_version": info.format_version,
            "encrypted": info.encrypted, "commit": info.commit.0, "page_count": info.page_count,
            "free_pages": info.free_pages, "log_pages": info.log_pages,
            "file_bytes": info.file_bytes, "trees": contents.trees_json(),
            "schema_version": contents.version, "classes": contents.classes_json(),
            "problems": contents.problems, "recovery": recovery.as_ref().map(describe_recovery),
        });
        writeln!(out, "{value:#}")?;
        return Ok(code);
    }
    writeln!(out, "file       {}", info.path.display())?;
    writeln!(out, "format     {}", info.format_version)?;
    writeln!(out, "encrypted  {}", if info.encrypted { "yes" } else { "no" })?;
    writeln!(out, "commit     {}", info.commit)?;
    writeln!(out, "size       {}", bytes(info.file_bytes))?;
    writeln!(out, "pages      {}, {} of them free", info.page_count, info.free_pages)?;
    if info.log_pages > 0 {
        writeln!(out, "log        {} pages", info.log_pages)?;
    }
    if let Some(recovery) = &recovery {
        writeln!(out, "recovery   {}", describe_recovery(recovery))?;
    }
    contents.write(out)?;
    contents.problems.iter().try_for_each(|text| writeln!(out, "problem    {text}"))?;
    Ok(code)
}

pub(crate) fn describe_recovery(recovery: &Recovery) -> String {
    let commit = recovery.commit;
    match recovery.outcome {
        RecoveryOutcome::LastCommitWhole => {
            format!("not closed cleanly; its last commit, {commit}, is complete")
        }
        RecoveryOutcome::SlotDiscarded => {
            format!("one header slot is unreadable; the other one holds commit {commit}")
        }
        RecoveryOutcome::CommitDiscarded(lost) => {
            format!("commit {lost} is incomplete and was discarded; the file is at commit {commit}")
        }
        other => format!("{other:?}, at commit {commit}"),
    }
}

/// Verifies the file; exit code 1 if there is a problem.
pub(crate) fn verify(args: &FileArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let store = args.open_read_only()?;
    let found = store.snapshot().verify()?;
    let mut problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    problems.extend(found.objects.iter().map(ToString::to_string));
    let recovery = store.recovery();
    if args.json {
        let value = json!({
            "file": args.file, "clean": problems.is_empty(), "commit": found.commit.0,
            "page_count": found.page_count, "reachable": found.reachable, "free": found.free,
            "problems": problems, "recovery": recovery.as_ref().map(describe_recovery),
        });
        writeln!(out, "{value:#}")?;
    } else {
        for problem in &problems {
            writeln!(out, "{}: {problem}", args.file.display())?;
        }
        if let Some(recovery) = &recovery {
            writeln!(out, "{}: {}", args.file.display(), describe_recovery(recovery))?;
        }
        let (pages, reachable, free) = (found.page_count, found.reachable, found.free);
        let verdict = match problems.len() {
            0 => "clean".to_owned(),
            1 => "1 problem; take the file from a backup".to_owned(),
            count => format!("{count} problems; take the file from a backup"),
        };
        let file = args.file.display();
        writeln!(out, "{file}: {pages} pages, {reachable} in use, {free} free: {verdict}")?;
    }
    Ok(if problems.is_empty() { 0 } else { PROBLEM })
}

/// Shows pages as text.
pub(crate) fn dump(args: &DumpArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let store = args.file.open_read_only()?;
    let snapshot = store.snapshot();
    let text = match args.page {
        Some(page) => inspect::dump_page(&snapshot, PageId(page))?,
        None => inspect::dump_file(&snapshot)?,
    };
    if args.file.json {
        let lines: Vec<&str> = text.lines().collect();
        let commit = snapshot.commit().0;
        let value =
            json!({ "file": args.file.file, "commit": commit, "page": args.page, "lines": lines });
        writeln!(out, "{value:#}")?;
    } else {
        write!(out, "{text}")?;
    }
    Ok(0)
}

/// Compacts the file.
pub(crate) fn compact(args: &FileArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let store = args.options()?.open(&args.file)?;
    let done = store.compact()?;
    let (before, after) = (done.before_bytes, done.after_bytes);
    if args.json {
        let value = json!({ "file": args.file, "before_bytes": before, "after_bytes": after });
        writeln!(out, "{value:#}")?;
    } else {
        writeln!(out, "{}: {}, now {}", args.file.display(), bytes(before), bytes(after))?;
    }
    Ok(0)
}

/// Copies the file, with the same key unless another is given.
pub(crate) fn copy(args: &CopyArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let source_key = args.key.key()?;
    let new_key = args.new_key_file.as_deref().map(key::from_file).transpose()?;
    let target_key = if args.plain { None } else { new_key.or_else(|| source_key.clone()) };
    let store = options(source_key.as_ref()).open_read_only(&args.source)?;
    store.copy(&args.target, target_key.as_ref())?;
    let encrypted = target_key.is_some();
    let (source, target): (&Path, &Path) = (&args.source, &args.target);
    if args.json {
        let value = json!({ "source": source, "target": target, "encrypted": encrypted });
        writeln!(out, "{value:#}")?;
    } else {
        let how = if encrypted { "encrypted" } else { "not encrypted" };
        writeln!(out, "{}: a copy of {}, {how}", target.display(), source.display())?;
    }
    Ok(0)
}
