//! Findings of nights: one folder below `findings` for each bug, however often it is seen.
//!
//! - CA15 Findings of one promise, one place and one kind of last operation are one folder, over
//!   all checks' twins, shards and nights. It keeps the smallest plan.

use super::part::Part;
use crate::files::{self, EnvironmentError};
use crate::findings::{Finding, HANG};
use fastness_sim::check::NO_PANIC;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// A finding of a night.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NightFinding {
    /// Its folder below `findings`.
    pub name: String,
    /// Id of the violated promise.
    pub invariant: String,
    /// The promise.
    pub promise: String,
    /// Where: a check, a fuzz target or a loom model, or the line of a panic.
    pub place: String,
    /// The violation.
    pub text: String,
    /// The shrunk plan, line by line; empty if the finding is no plan.
    pub operations: Vec<String>,
    /// Checks and twins, fuzz targets or models that found it.
    pub found_by: Vec<String>,
    /// How often it was seen.
    pub seen: u64,
    /// The commit it was first seen at.
    pub first_commit: String,
    /// When it was first seen, in seconds since 1970.
    pub first_unix: u64,
    /// When it was last seen, in seconds since 1970.
    pub last_unix: u64,
    /// The command that replays it.
    pub replay: String,
    /// The command that makes it a regression test; empty if the finding is no plan.
    pub promote: String,
}

/// The folder of findings, and what is recorded with each.
#[derive(Clone, Debug)]
pub(crate) struct FindingStore {
    pub(crate) folder: PathBuf,
    pub(crate) commit: String,
    pub(crate) now_unix: u64,
}

/// The output of a fuzz target or a model that failed.
pub(crate) struct Failure<'a> {
    pub(crate) part: Part,
    /// The fuzz target or the model.
    pub(crate) name: &'a str,
    pub(crate) output: &'a str,
    /// The input that made it fail, if there is one.
    pub(crate) input: Option<&'a Path>,
    pub(crate) replay: String,
}

impl FindingStore {
    /// Saves a violation that a plan shows; returns the name of the finding.
    pub(crate) fn add_plan(&self, finding: &Finding) -> Result<String, EnvironmentError> {
        let (invariant, pair) = (finding.violation.invariant, finding.origin.pair);
        let is_crash = invariant == NO_PANIC.id || invariant == HANG.id;
        let line = panic_place(&finding.violation.text).filter(|_| is_crash);
        let place = line.unwrap_or(pair.check.name).to_owned();
        let name = slug(&[invariant, &place, finding.operation()]);
        let folder = self.folder.join(&name);
        let plan = folder.join("plan.plan");
        let operations: Vec<String> = finding.plan.to_string().lines().map(str::to_owned).collect();
        let old = read(&folder)?;
        let is_smaller = old.as_ref().is_none_or(|old| operations.len() < old.operations.len());
        if is_smaller {
            files::write(&plan, &finding.file().render())?;
            files::write(&folder.join("steps.txt"), &finding.story(&plan))?;
            files::write(&folder.join("pages.txt"), &finding.page_map())?;
        }
        let new = NightFinding {
            name,
            invariant: invariant.to_owned(),
            promise: finding.promise().to_owned(),
            place,
            text: finding.violation.text.clone(),
            operations,
            found_by: vec![pair.to_string()],
            seen: finding.seen,
            replay: format!("cargo campaign replay {}", plan.display()),
            promote: format!("cargo campaign promote {}", plan.display()),
            ..NightFinding::default()
        };
        self.save(new, old.filter(|_| !is_smaller), &folder)
    }

    /// Saves a failure that no plan shows; returns the name of the finding.
    pub(crate) fn add_failure(&self, failure: &Failure<'_>) -> Result<String, EnvironmentError> {
        let place = panic_place(failure.output).unwrap_or(failure.name).to_owned();
        let name = slug(&[failure.part.name(), failure.name, &place]);
        let folder = self.folder.join(&name);
        let old = read(&folder)?;
        files::write(&folder.join("output.txt"), failure.output)?;
        if let Some(input) = failure.input {
            let kept = folder.join("input");
            fs::copy(input, &kept).map_err(files::error(&kept, "copy the input"))?;
        }
        let new = NightFinding {
            name,
            invariant: NO_PANIC.id.to_owned(),
            promise: NO_PANIC.promise.to_owned(),
            place,
            text: excerpt(failure.output),
            found_by: vec![format!("{} {}", failure.part, failure.name)],
            seen: 1,
            replay: failure.replay.replace("INPUT", &folder.join("input").display().to_string()),
            ..NightFinding::default()
        };
        self.save(new, old, &folder)
    }

    /// Writes `finding.json`: the new finding, or the `old` one with what is new about it.
    fn save(
        &self,
        new: NightFinding,
        old: Option<NightFinding>,
        folder: &Path,
    ) -> Result<String, EnvironmentError> {
        let before = read(folder)?;
        let mut kept = old.unwrap_or_else(|| new.clone());
        kept.first_commit.clone_from(&self.commit);
        kept.first_unix = self.now_unix;
        kept.last_unix = self.now_unix;
        kept.found_by = new.found_by;
        kept.seen = new.seen;
        if let Some(before) = before {
            kept.first_commit = before.first_commit;
            kept.first_unix = before.first_unix;
            kept.seen += before.seen;
            kept.found_by.extend(before.found_by);
            kept.found_by.sort();
            kept.found_by.dedup();
        }
        write(&kept, folder)?;
        Ok(kept.name)
    }
}

/// Reads the finding of a folder, if it has one.
pub(crate) fn read(folder: &Path) -> Result<Option<NightFinding>, EnvironmentError> {
    let path = folder.join("finding.json");
    if !path.exists() {
        return Ok(None);
    }
    let malformed = files::error(&path, "parse the finding");
    serde_json::from_str(&files::read(&path)?).map(Some).map_err(|error| malformed(error.into()))
}

/// Writes `finding.json` into the folder of the finding.
pub(crate) fn write(finding: &NightFinding, folder: &Path) -> Result<(), EnvironmentError> {
    let path = folder.join("finding.json");
    let text = serde_json::to_string_pretty(finding)
        .map_err(|error| files::error(&path, "serialize the finding")(error.into()))?;
    files::write(&path, &(text + "\n"))
}

/// Returns the source line in the message of a panic, like `core/src/tree/node.rs:120`.
fn panic_place(text: &str) -> Option<&str> {
    let after = text.split("panicked at ").nth(1)?;
    let place = after.split_whitespace().next()?;
    let (file, line) = place.split_once(".rs:")?;
    let digits = line.find(|it: char| !it.is_ascii_digit()).unwrap_or(line.len());
    Some(&place[..file.len() + ".rs:".len() + digits])
}

/// Returns the lines of a failed program that say why it failed.
fn excerpt(output: &str) -> String {
    const LINES: usize = 6;
    let start = output.find("panicked at ").unwrap_or(0);
    output[start..].lines().take(LINES).collect::<Vec<_>>().join("\n")
}

/// Joins words to the name of a folder.
fn slug(words: &[&str]) -> String {
    let joined = words.join("-");
    let safe = |it: char| if it.is_ascii_alphanumeric() || it == '_' { it } else { '-' };
    joined.chars().map(safe).collect::<String>().trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Origin;
    use crate::plans::Pair;
    use fastness_sim::check::{CANARY, Twin, Violation};
    use std::time::Duration;

    fn store(folder: &Path, commit: &str) -> FindingStore {
        FindingStore { folder: folder.to_path_buf(), commit: commit.to_owned(), now_unix: 7 }
    }

    fn finding(twin: Twin, operations: usize, text: &str) -> Finding {
        let pair = Pair { check: &CANARY, twin };
        let mut plan = Pair { check: &CANARY, twin: Twin::Plain }.plan(1, 1);
        plan.ops.truncate(operations);
        let kind = plan.ops[0].kind;
        plan.ops.iter_mut().for_each(|op| op.kind = kind);
        Finding {
            origin: Origin { pair, number: 1, plan_seed: 2 },
            violation: Violation { invariant: NO_PANIC.id, text: text.to_owned(), step: None },
            plan,
            operations_before: 9,
            shrunk: true,
            seen: 3,
            after: Duration::ZERO,
        }
    }

    #[test]
    fn a_bug_seen_by_both_twins_in_two_nights_is_one_folder_with_the_smallest_plan() {
        let folder = tempfile::tempdir().unwrap();
        let text = "panicked at core/src/tree/node.rs:120:9:\nno entry";
        let first = store(folder.path(), "a").add_plan(&finding(Twin::Plain, 5, text)).unwrap();
        let small = finding(Twin::Encrypted, 2, text);
        assert_eq!(store(folder.path(), "b").add_plan(&small).unwrap(), first);
        let large = finding(Twin::Plain, 7, text);
        assert_eq!(store(folder.path(), "c").add_plan(&large).unwrap(), first);
        let kept = read(&folder.path().join(&first)).unwrap().unwrap();
        assert_eq!(kept.operations.len(), small.plan.to_string().lines().count());
        assert_eq!((kept.seen, kept.first_commit.as_str()), (9, "a"));
        assert_eq!(kept.found_by, ["canary/encrypted", "canary/plain"]);
        assert_eq!(kept.place, "core/src/tree/node.rs:120");
        let other = finding(Twin::Plain, 5, "panicked at core/src/tree/node.rs:121:9:\nno");
        assert_ne!(store(folder.path(), "a").add_plan(&other).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn failures_of_one_line_are_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("crash-1");
        fs::write(&input, "bytes").unwrap();
        let store = store(&folder.path().join("findings"), "a");
        let fail = |output: &str| {
            let replay = "run INPUT".to_owned();
            let (part, name, input) = (Part::Fuzz, "file", Some(&*input));
            store.add_failure(&Failure { part, name, output, input, replay }).unwrap()
        };
        let first = fail("x\nthread panicked at core/src/a.rs:1:2:\nwhy\n");
        assert_eq!(first, fail("thread panicked at core/src/a.rs:1:2:\nanother\n"));
        assert_ne!(first, fail("ERROR: libFuzzer: timeout after 60 seconds"));
        let kept = read(&store.folder.join(&first)).unwrap().unwrap();
        assert_eq!(kept.seen, 2);
        assert!(kept.replay.ends_with("input"), "{}", kept.replay);
    }
}
