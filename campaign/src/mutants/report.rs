//! The results of a run over mutants, as JSON and as Markdown.

use super::fate::{Fate, MutantRow};
use crate::files::{self, EnvironmentError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The content of `mutants.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MutantSummary {
    /// The commit, with `+` if files have changed since.
    pub commit: String,
    /// Seed of the sample and of the plans.
    pub seed: u64,
    /// Time limit for all checks on one mutant, in seconds.
    pub seconds: u64,
    /// Mutants of the sample that have no switch or that the compiler refuses.
    pub unviable: usize,
    /// Whether it stopped before the last mutant.
    pub interrupted: bool,
    /// The mutants, in the order of the source.
    pub rows: Vec<MutantRow>,
}

/// Numbers of mutants by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    killed: usize,
    /// Those of them that only tests noticed.
    by_tests: usize,
    survived: usize,
    timeouts: usize,
}

impl Count {
    fn add(&mut self, fate: &Fate) {
        match fate {
            Fate::Killed { .. } | Fate::Aborted { .. } => self.killed += 1,
            Fate::Failed { .. } => {
                (self.killed, self.by_tests) = (self.killed + 1, self.by_tests + 1)
            }
            Fate::Survived => self.survived += 1,
            Fate::Timeout => self.timeouts += 1,
        }
    }

    fn cells(self) -> String {
        let Self { killed, by_tests, survived, timeouts } = self;
        let score = (killed * 1000)
            .checked_div(killed + survived)
            .map_or(String::new(), |score| format!("{}.{} %", score / 10, score % 10));
        format!("{killed} | {by_tests} | {survived} | {timeouts} | {score}")
    }
}

impl MutantSummary {
    /// Returns the mutants that no check noticed.
    pub fn survivors(&self) -> impl Iterator<Item = &MutantRow> {
        self.rows.iter().filter(|row| row.fate == Fate::Survived)
    }

    /// Returns the result as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut modules: BTreeMap<&str, Count> = BTreeMap::new();
        let mut all = Count::default();
        for row in &self.rows {
            modules.entry(module(&row.file)).or_default().add(&row.fate);
            all.add(&row.fate);
        }
        let Self { commit, seed, seconds, unviable, .. } = self;
        let mut text = format!(
            "{} mutants of commit {commit}, seed {seed}, at most {seconds} s with all checks each; \
             {unviable} more do not compile or have no switch. The score leaves timeouts out.\n\n\
             | module | killed | by tests only | survived | timeouts | score |\n\
             |---|--:|--:|--:|--:|--:|\n",
            self.rows.len(),
        );
        for (module, count) in modules {
            text += &format!("| `{module}` | {} |\n", count.cells());
        }
        text += &format!("| all | {} |\n", all.cells());
        for (title, fate) in [("Survived", Fate::Survived), ("Timeouts", Fate::Timeout)] {
            text += &format!("\n{title}:\n\n");
            for row in self.rows.iter().filter(|row| row.fate == fate) {
                text += &format!("- {}\n", row.name);
            }
        }
        text
    }

    pub(super) fn write(&self, out: &Path) -> Result<(), EnvironmentError> {
        let path = out.join("mutants.json");
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| files::error(&path, "serialize the results")(error.into()))?;
        files::write(&path, &(text + "\n"))?;
        files::write(&out.join("mutants.md"), &self.markdown())
    }
}

/// The folder of a file below `src`, or the file.
fn module(file: &str) -> &str {
    let Some((at, found)) = file.match_indices("/src/").next() else { return file };
    let below = at + found.len();
    file[below..].find('/').map_or(file, |end| &file[..below + end])
}

/// Returns a row as one line.
pub(super) fn line(row: &MutantRow) -> String {
    let fate = match &row.fate {
        Fate::Killed { check, invariant } => format!("killed by {check} {invariant}"),
        Fate::Aborted { text } => format!("aborted ({text})"),
        Fate::Failed { tests } => format!("failed `cargo test {tests}`"),
        Fate::Timeout => "TIMEOUT".to_owned(),
        Fate::Survived => "SURVIVED".to_owned(),
    };
    format!("{fate} in {:.1} s: {}", row.seconds, row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_by_module() {
        let row = |file: &str, fate| MutantRow {
            name: format!("{file}: change"),
            file: file.to_owned(),
            fate,
            seconds: 1.0,
        };
        let killed = Fate::Killed { check: "store/plain".to_owned(), invariant: "A1".to_owned() };
        let aborted = Fate::Aborted { text: String::new() };
        let summary = MutantSummary {
            commit: "c".to_owned(),
            seed: 1,
            seconds: 9,
            unviable: 2,
            interrupted: false,
            rows: vec![
                row("core/src/tree/a.rs", killed.clone()),
                row("core/src/tree/deep/b.rs", aborted),
                row("core/src/tree/b.rs", Fate::Failed { tests: "-p fastness".to_owned() }),
                row("core/src/tree/a.rs", Fate::Survived),
                row("core/src/codec.rs", Fate::Timeout),
            ],
        };
        let text = summary.markdown();
        for line in [
            "| `core/src/codec.rs` | 0 | 0 | 0 | 1 |  |",
            "| `core/src/tree` | 3 | 1 | 1 | 0 | 75.0 % |",
            "| all | 3 | 1 | 1 | 1 | 75.0 % |",
            "Survived:\n\n- core/src/tree/a.rs: change\n",
            "Timeouts:\n\n- core/src/codec.rs: change\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(summary.survivors().count(), 1);
        assert_eq!(line(&row("f", killed)), "killed by store/plain A1 in 1.0 s: f: change");
    }
}
