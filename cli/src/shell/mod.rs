//! `fastness shell`: statements on the objects of a file, one line each.
//!
//! - Y12 A shell changes a file only by statements that it was given, each of them whole, or by
//!   those between `begin` and `commit` together. It never writes to a synced file.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

mod line;
mod session;
mod token;
mod typed;

use self::line::{Statement, parse};
use self::session::ShellSession;
use crate::failure::{Failure, PROBLEM};
use crate::key::KeyArgs;
use crate::tools::options;
use fastness::Store;
use fastness::object::{Database, DatabaseOptions};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::PathBuf;

/// Arguments of the shell.
#[derive(Debug, clap::Args)]
pub(crate) struct ShellArgs {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Open the file read-only.
    #[arg(long)]
    read_only: bool,
    /// Execute this statement and end; may be given several times.
    #[arg(long, short, value_name = "STATEMENT")]
    command: Vec<String>,
}

const SYNCED: &str = "the file is synced: only its app may write, so that its changes reach the \
    server";
const READ_ONLY: &str = "the file is open read-only";

/// Runs statements from arguments, from a terminal or from stdin.
pub(crate) fn shell(args: &ShellArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let options = options(args.key.key()?.as_ref());
    // Whether the file is synced is seen before it is opened for writing.
    let is_synced = {
        let store = options.open_read_only(&args.file)?;
        store.snapshot().tree_names().any(|name| name.starts_with("sync/"))
    };
    let only_reads = match (is_synced, args.read_only) {
        (true, _) => Some(SYNCED),
        (false, true) => Some(READ_ONLY),
        (false, false) => None,
    };
    let store: Store = match only_reads {
        Some(_) => options.open_read_only(&args.file)?,
        None => options.open(&args.file)?,
    };
    let database = Database::from_store(store, &DatabaseOptions::dynamic())?;
    let mut shell = ShellSession::new(database, only_reads);
    if !args.command.is_empty() {
        return batch(&mut shell, args.command.iter().map(|line| Ok(line.clone())), out);
    }
    if io::stdin().is_terminal() {
        return interactive(&mut shell, out);
    }
    batch(&mut shell, io::stdin().lock().lines(), out)
}

/// Executes lines until the first that fails.
fn batch(
    shell: &mut ShellSession,
    lines: impl Iterator<Item = io::Result<String>>,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(|error| Failure::environment(format!("stdin: {error}")))?;
        let outcome = parse(&line).and_then(|statement| match statement {
            Some(Statement::Quit) => Ok(None),
            Some(statement) => shell.execute(&statement).map(Some),
            None => Ok(Some(String::new())),
        });
        match outcome {
            Ok(Some(text)) => print(&text, out)?,
            Ok(None) => break,
            Err(text) => return Err(Failure::problem(format!("line {number}: {text}"))),
        }
    }
    if shell.has_changes() {
        return Err(Failure::problem("the open transaction was rolled back: commit is missing"));
    }
    Ok(0)
}

/// Prints a text, whose last line may lack its end.
fn print(text: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if !text.is_empty() {
        writeln!(out, "{}", text.trim_end_matches('\n'))?;
    }
    Ok(())
}

/// Words of the statements, for completion.
const WORDS: [&str; 24] = [
    "and", "begin", "begins", "classes", "commit", "contains", "count", "create", "delete", "desc",
    "distinct", "ends", "explain", "find", "help", "in", "limit", "not", "or", "quit", "rollback",
    "set", "sort", "where",
];

/// Completes words of the statements, and names of classes and properties.
struct Names(Vec<String>);

impl Helper for Names {}
impl Highlighter for Names {}
impl Validator for Names {}

impl Hinter for Names {
    type Hint = String;
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..at).unwrap_or_default();
        let start = before.rfind([' ', '(', ',', '.', '=']).map_or(0, |space| space + 1);
        let begun = &before[start..];
        let words = WORDS.iter().map(|word| (*word).to_owned());
        let fits = |word: &String| word.starts_with(begun);
        Ok((start, words.chain(self.0.iter().cloned()).filter(fits).collect()))
    }
}

/// Reads lines from a terminal; a statement that fails changes nothing, and the next one follows.
fn interactive(shell: &mut ShellSession, out: &mut dyn Write) -> Result<u8, Failure> {
    let terminal = |error: ReadlineError| Failure::environment(format!("terminal: {error}"));
    let config = Config::builder().auto_add_history(true).build();
    // Lines may hold what the file keeps encrypted, so the history ends with the shell.
    let mut editor: Editor<Names, MemHistory> =
        Editor::with_history(config, MemHistory::new()).map_err(terminal)?;
    editor.set_helper(Some(Names(shell.names())));
    let mut code = 0;
    loop {
        let prompt = if shell.has_changes() { "fastness*> " } else { "fastness> " };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(terminal(error)),
        };
        match parse(&line) {
            Ok(None) => {}
            Ok(Some(Statement::Quit)) => break,
            Ok(Some(statement)) => match shell.execute(&statement) {
                Ok(text) => print(&text, out)?,
                Err(text) => writeln!(io::stderr(), "{text}").unwrap_or_default(),
            },
            Err(text) => writeln!(io::stderr(), "{text}").unwrap_or_default(),
        }
    }
    if shell.has_changes() {
        writeln!(out, "the open transaction was rolled back: commit is missing")?;
        code = PROBLEM;
    }
    Ok(code)
}
