//! `peers-merge`: the merge of Fastness beside automerge, loro and yrs, and beside SQLite where
//! rows become durable.
//!
//! Comes in: `--rounds`, `--only` with the beginnings of keys. Goes out: a table in Markdown. All
//! engines do the same work in one round, one after the other; the first one changes from round to
//! round. A ratio is ours over theirs within a round, and the table has medians over the rounds.
//! Method: docs/benchmarks.md.

mod automerge;
mod durable;
mod fields;
mod loro;
mod ours;
mod rows;
mod trace;
mod yrs;

use clap::Parser;
use fields::Fields;
use rows::Rows;
use std::error::Error;
use std::io::Write as _;
use trace::Trace;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The command line.
#[derive(Parser)]
struct Args {
    /// Rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only the rows whose keys begin so.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// A library that merges.
pub(crate) trait Library {
    fn name(&self) -> &'static str;

    /// Updates of fields: bytes, and the seconds to encode them and to merge them elsewhere.
    fn updates(&self, fields: &Fields) -> Outcome<Cost>;

    /// Seconds to merge updates beside as many own ones that the other side lacks.
    fn rebase(&self, fields: &Fields) -> Outcome<f64>;

    /// A text that is typed, merged elsewhere, and stored.
    fn text(&self, trace: &Trace) -> Outcome<TextCost>;
}

/// Cost of updates.
pub(crate) struct Cost {
    pub(crate) bytes: usize,
    pub(crate) encode_s: f64,
    pub(crate) merge_s: f64,
}

/// Cost of a text.
pub(crate) struct TextCost {
    pub(crate) apply_s: f64,
    pub(crate) merge_s: f64,
    pub(crate) bytes: usize,
}

fn round(rows: &mut Rows, trace: &Trace, round: usize) -> Outcome<()> {
    let mut libraries: [&dyn Library; 4] =
        [&ours::Fastness, &automerge::Automerge, &loro::Loro, &yrs::Yrs];
    libraries.rotate_left(round % 4);
    for library in libraries {
        let name = library.name();
        for (key, fields) in [("one", Fields::new(2000, 1)), ("hundred", Fields::new(200, 100))] {
            if !rows.wants(&["sync.entry", "sync.encode", "sync.merge"]) {
                continue;
            }
            let Cost { bytes, encode_s, merge_s } = library.updates(&fields)?;
            let count = fields.count() as f64;
            rows.add(&format!("sync.entry.{key}"), name, bytes as f64 / count);
            rows.add(&format!("sync.encode.{key}"), name, count / encode_s / 1e3);
            rows.add(&format!("sync.merge.{key}"), name, count / merge_s / 1e3);
        }
        if rows.wants(&["sync.rebase"]) {
            rows.add("sync.rebase", name, library.rebase(&Fields::new(100, 100))? * 1e3);
        }
        if rows.wants(&["sync.text"]) {
            let TextCost { apply_s, merge_s, bytes } = library.text(trace)?;
            let edits = trace.edits() as f64;
            rows.add("sync.text.apply", name, edits / apply_s / 1e3);
            rows.add("sync.text.merge", name, edits / merge_s / 1e3);
            rows.add("sync.text.both", name, edits / (apply_s + merge_s) / 1e3);
            rows.add("sync.text.bytes", name, bytes as f64 / 1024.0);
        }
    }
    if rows.wants(&["sync.file"]) {
        rows.add("sync.file.rebase", "Fastness", durable::rebase(&Fields::new(100, 100))? * 1e3);
        let rows_of = |seconds: f64| durable::ROWS as f64 / seconds / 1e3;
        rows.add("sync.file.apply", "Fastness", rows_of(durable::fastness()?));
        rows.add("sync.file.apply", "SQLite", rows_of(durable::sqlite()?));
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let args = Args::parse();
    let trace = Trace::read()?;
    let mut rows = Rows::new(args.only);
    for number in 0..args.rounds {
        rows.begin();
        round(&mut rows, &trace, number)?;
    }
    std::io::stdout().write_all(rows.table().as_bytes())?;
    Ok(())
}
