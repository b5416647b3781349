//! `campaign replay`: runs one plan and prints it operation by operation.
//!
//! - CA9 Replays are deterministic: the output has no times, addresses or paths.

use crate::engine::run_with_timeout;
use crate::findings::{HANG, promise, trace};
use crate::planfile::PlanFile;
use crate::plans::{Pair, fingerprint};
use fastness_sim::check::{Check, Plan, Twin, Violation, by_name};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Options beside the plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// The twin to run; by default that of the file, or plain.
    pub twin: Option<Twin>,
    /// The check of a file that holds a raw plan, as a fuzzer writes it.
    pub check: Option<&'static Check>,
}

/// Loads the plan that `text` names: a file, or `CHECK:SEED`.
///
/// # Errors
/// A description of the problem with `text`.
pub fn load_plan(text: &str, choice: ReplayOptions) -> Result<PlanFile, String> {
    let path = Path::new(text);
    if path.is_file() {
        return from_file(path, choice);
    }
    let not_a_plan =
        || format!("{text}: neither a file nor CHECK:SEED; see `fastness campaign list`");
    let (name, seed) = text.split_once(':').ok_or_else(not_a_plan)?;
    let check = by_name(name).ok_or_else(not_a_plan)?;
    let seed = seed.parse().map_err(|_| not_a_plan())?;
    let pair = Pair { check, twin: choice.twin.unwrap_or(Twin::Plain) };
    Ok(PlanFile { pair, invariant: "-".to_owned(), plan: check.plan(seed) })
}

fn from_file(path: &Path, choice: ReplayOptions) -> Result<PlanFile, String> {
    let describe = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| describe(&error))?;
    if let Some(check) = choice.check {
        let pair = Pair { check, twin: choice.twin.unwrap_or(Twin::Plain) };
        let plan = Plan::from_bytes(&bytes);
        return Ok(PlanFile { pair, invariant: "-".to_owned(), plan });
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut file = PlanFile::parse(&text)
        .map_err(|error| format!("{}; for raw bytes add --check CHECK", describe(&error)))?;
    file.pair.twin = choice.twin.unwrap_or(file.pair.twin);
    Ok(file)
}

/// Adds the plans of a folder and of the folders in it.
fn collect(folder: &Path, choice: ReplayOptions, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, choice, paths)?;
        } else if choice.check.is_some() || path.extension() == Some("plan".as_ref()) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Runs every plan below a folder in order of their names, one line each; returns how many failed.
///
/// Without [`ReplayOptions::check`] only `.plan` files are run.
///
/// # Errors
/// A description that names the unreadable file, or of the write error.
pub fn run_folder(
    folder: &Path,
    choice: ReplayOptions,
    out: &mut dyn Write,
) -> Result<usize, String> {
    let describe = |error: io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    collect(folder, choice, &mut paths).map_err(describe)?;
    paths.sort();
    let mut failed = 0;
    for path in &paths {
        let file = from_file(path, choice)?;
        let violation = run(&file, &mut io::sink()).map_err(describe)?;
        failed += usize::from(violation.is_some());
        let outcome = violation.map_or_else(|| "passed".to_owned(), |it| format!("FAILED {it}"));
        let name = path.strip_prefix(folder).unwrap_or(path).display();
        writeln!(out, "{name}  {}  {outcome}", file.pair).map_err(|error| error.to_string())?;
    }
    writeln!(out, "{} plans, {failed} failed", paths.len()).map_err(|error| error.to_string())?;
    Ok(failed)
}

/// Runs a plan and writes its trace; returns the violation, if any.
///
/// # Errors
/// If `out` cannot be written.
pub fn run(file: &PlanFile, out: &mut dyn Write) -> io::Result<Option<Violation>> {
    let PlanFile { pair, plan, invariant } = file.clone();
    let bytes = plan.to_bytes();
    writeln!(out, "plan {} of {pair}, {} operations", fingerprint(&bytes), plan.ops.len())?;
    if invariant != "-" {
        writeln!(out, "found as a violation of {invariant}: {}", promise(pair, &invariant))?;
    }
    writeln!(out)?;
    let seconds = LIMIT.as_secs();
    let hanging = || Violation {
        invariant: HANG.id,
        text: format!("the plan was still running after {seconds} s"),
        step: None,
    };
    let (lines, outcome) =
        run_with_timeout(LIMIT, move || trace(pair, &plan)).unwrap_or((Vec::new(), Err(hanging())));
    for line in lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    match outcome {
        Ok(()) => {
            writeln!(out, "passed: every outcome matches the model")?;
            Ok(None)
        }
        Err(violation) => {
            writeln!(
                out,
                "FAILED {}: {}",
                violation.invariant,
                promise(pair, violation.invariant)
            )?;
            writeln!(out, "{violation}")?;
            Ok(Some(violation))
        }
    }
}
