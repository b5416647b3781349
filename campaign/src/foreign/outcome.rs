//! The outcome of one run of an adapter, from the lines it printed.

use crate::tool::Ending;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForeignRun {
    /// Seed of its first plan.
    pub seed: u64,
    /// CPU time until the first finding, or of the whole run, in seconds.
    pub cpu_seconds: f64,
    /// Plans that were run.
    pub plans: u64,
    /// Operations that were compared with the model.
    pub operations: u64,
    /// Crashes whose recovery was compared with the model.
    pub crashes: u64,
    /// The first finding.
    pub finding: Option<ForeignFinding>,
    /// Its plan, reduced.
    pub plan: Option<ForeignPlan>,
}

/// A violated promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignFinding {
    /// Kind: `lost`, `unusable`, `wrong`, `refused`, `damaged`, `panicked`, `hung`, `aborted`.
    pub kind: String,
    /// The expected and the actual outcome.
    pub text: String,
    /// The index of the operation in the plan.
    pub step: usize,
}

/// A plan that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignPlan {
    /// The check whose plan it is.
    pub check: String,
    /// Its bytes in hexadecimal.
    pub bytes: String,
    /// Its operations.
    pub steps: Vec<String>,
    /// Operations before its reduction.
    pub steps_before: usize,
}

/// The report that an adapter prints.
#[derive(Deserialize)]
struct Printed {
    plans: u64,
    operations: u64,
    crashes: u64,
    cpu_seconds: f64,
    finding: Option<ForeignFinding>,
    plan: Option<ForeignPlan>,
}

/// Reads the output of a run. Without a report the run hung or aborted; `None` if it was stopped.
pub(super) fn read(seed: u64, ending: Ending, output: &str) -> Option<ForeignRun> {
    let lines = || output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let report = lines().find_map(|mut line| {
        serde_json::from_value::<Printed>(line.get_mut("report")?.take()).ok()
    });
    if let Some(Printed { plans, operations, crashes, cpu_seconds, finding, plan }) = report {
        return Some(ForeignRun { seed, cpu_seconds, plans, operations, crashes, finding, plan });
    }
    let begun = || lines().filter_map(|line| Some(line.get("begin")?.as_str()?.to_owned()));
    let last = begun().next_back().unwrap_or_else(|| "no plan".to_owned());
    let (kind, text) = match ending {
        Ending::TimeLimit => ("hung", format!("the plan {last} did not end")),
        Ending::Stopped => return None,
        Ending::Success | Ending::Failure => {
            let line = output.lines().rfind(|line| !line.starts_with('{')).unwrap_or_default();
            ("aborted", format!("the program ended in the plan {last}: {line}"))
        }
    };
    let finding = ForeignFinding { kind: kind.to_owned(), text, step: 0 };
    let plans = begun().count() as u64;
    Some(ForeignRun { seed, plans, finding: Some(finding), ..ForeignRun::default() })
}

impl ForeignRun {
    /// Returns the run as a line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { seed, cpu_seconds, plans, operations, crashes, finding, plan } = self;
        let run = format!(
            "seed {seed}: {:.2} core-minutes, {plans} plans, {operations} operations, {crashes} \
             crashes",
            cpu_seconds / 60.0
        );
        let Some(finding) = finding else { return format!("{run}: nothing found") };
        let steps = plan.as_ref().map_or(String::new(), |plan| {
            format!(" ({} operations, {} before)", plan.steps.len(), plan.steps_before)
        });
        format!("{run}: {}{steps}: {}", finding.kind, finding.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, read};

    const BEGIN: &str = "{\"begin\":\"crash:7\"}\n";

    #[test]
    fn a_report_is_read() {
        let report = r#"{"report":{"store":"x 1","seed":7,"plans":3,"operations":40,"crashes":9,
            "cpu_seconds":1.5,"finding":{"kind":"lost","text":"t","step":2},"plan":{"check":"crash",
            "bytes":"00","steps":["a","b"],"steps_before":30}}}"#;
        let output = format!("{BEGIN}{}\n", report.replace('\n', ""));
        let run = read(7, Ending::Failure, &output).unwrap();
        let expect = "seed 7: 0.03 core-minutes, 3 plans, 40 operations, 9 crashes: lost \
                      (2 operations, 30 before): t";
        assert_eq!(run.line(), expect);
    }

    #[test]
    fn a_run_without_a_report_is_no_pass() {
        let kind = |ending, output: &str| read(7, ending, output).unwrap().finding.unwrap();
        let hung = kind(Ending::TimeLimit, BEGIN);
        assert_eq!((&*hung.kind, &*hung.text), ("hung", "the plan crash:7 did not end"));
        let aborted = kind(Ending::Failure, &format!("{BEGIN}memory allocation failed\n"));
        assert_eq!(aborted.kind, "aborted");
        assert_eq!(aborted.text, "the program ended in the plan crash:7: memory allocation failed");
        assert_eq!(kind(Ending::Success, "").kind, "aborted");
        assert_eq!(read(7, Ending::Stopped, BEGIN), None);
    }
}
