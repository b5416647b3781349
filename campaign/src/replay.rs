//! `campaign replay`: one plan, operation by operation.
//!
//! - K9 The same plan prints the same bytes every time: no times, no addresses, no paths.

use crate::engine::run_alone;
use crate::findings::{HANG, promise, trace};
use crate::planfile::PlanFile;
use crate::plans::{Pair, fingerprint};
use fastness_sim::check::{Check, Plan, Twin, Violation, by_name};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What the command line says beside the plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The twin to run; by default the one of the file, or plain.
    pub twin: Option<Twin>,
    /// The check, for a file of raw bytes as fuzzers leave them.
    pub check: Option<&'static Check>,
}

/// Finds the plan that `text` means: a file, or `CHECK:SEED`.
///
/// # Errors
/// A sentence that says what is wrong with `text`.
pub fn find(text: &str, choice: Choice) -> Result<PlanFile, String> {
    let path = Path::new(text);
    if path.is_file() {
        return from_file(path, choice);
    }
    let unknown = || format!("{text}: neither a file nor CHECK:SEED; see `fastness campaign list`");
    let (name, seed) = text.split_once(':').ok_or_else(unknown)?;
    let check = by_name(name).ok_or_else(unknown)?;
    let seed = seed.parse().map_err(|_| unknown())?;
    let pair = Pair { check, twin: choice.twin.unwrap_or(Twin::Plain) };
    Ok(PlanFile { pair, invariant: "-".to_owned(), plan: check.plan(seed) })
}

fn from_file(path: &Path, choice: Choice) -> Result<PlanFile, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| told(&error))?;
    if let Some(check) = choice.check {
        let pair = Pair { check, twin: choice.twin.unwrap_or(Twin::Plain) };
        let plan = Plan::from_bytes(&bytes);
        return Ok(PlanFile { pair, invariant: "-".to_owned(), plan });
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut file = PlanFile::parse(&text)
        .map_err(|error| format!("{}; for raw bytes add --check CHECK", told(&error)))?;
    file.pair.twin = choice.twin.unwrap_or(file.pair.twin);
    Ok(file)
}

/// Runs every plan of a folder, one line each, in order of their names; returns how many broke.
///
/// Without [`Choice::check`] only `.plan` files are looked at.
///
/// # Errors
/// A sentence that names the file that cannot be replayed, or says that `out` cannot be written.
pub fn run_folder(folder: &Path, choice: Choice, out: &mut dyn Write) -> Result<usize, String> {
    let told = |error: io::Error| format!("{}: {error}", folder.display());
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).map_err(told)?.collect();
    let mut paths: Vec<_> = entries.map_err(told)?.into_iter().map(|it| it.path()).collect();
    paths.retain(|path| {
        path.is_file() && (choice.check.is_some() || path.extension() == Some("plan".as_ref()))
    });
    paths.sort();
    let mut broken = 0;
    for path in &paths {
        let file = from_file(path, choice)?;
        let violation = run(&file, &mut io::sink()).map_err(told)?;
        broken += usize::from(violation.is_some());
        let told = violation.map_or_else(|| "held".to_owned(), |it| format!("BROKEN {it}"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "{name}  {}  {told}", file.pair).map_err(|error| error.to_string())?;
    }
    writeln!(out, "{} plans, {broken} broken", paths.len()).map_err(|error| error.to_string())?;
    Ok(broken)
}

/// Runs a plan and writes what happened; returns the violation, if there was one.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(file: &PlanFile, out: &mut dyn Write) -> io::Result<Option<Violation>> {
    let PlanFile { pair, plan, invariant } = file.clone();
    let bytes = plan.to_bytes();
    writeln!(out, "plan {} of {pair}, {} operations", fingerprint(&bytes), plan.ops.len())?;
    if invariant != "-" {
        writeln!(out, "found for {invariant}: {}", promise(pair, &invariant))?;
    }
    writeln!(out)?;
    let seconds = LIMIT.as_secs();
    let endless = || Violation {
        invariant: HANG.id,
        text: format!("the plan was still running after {seconds} s"),
        step: None,
    };
    let (lines, outcome) =
        run_alone(LIMIT, move || trace(pair, &plan)).unwrap_or((Vec::new(), Err(endless())));
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    match outcome {
        Ok(()) => {
            writeln!(out, "held: every outcome was as promised")?;
            Ok(None)
        }
        Err(violation) => {
            writeln!(
                out,
                "BROKEN {}: {}",
                violation.invariant,
                promise(pair, violation.invariant)
            )?;
            writeln!(out, "{violation}")?;
            Ok(Some(violation))
        }
    }
}
