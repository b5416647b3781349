//! `junit.xml`: the results of a night for the test reports of continuous integration.

use super::part::Part;
use super::summary::NightSummary;
use crate::report::escape;

struct Case {
    name: String,
    seconds: f64,
    failure: Option<String>,
}

/// Returns a test suite for each part, with a test case for each check, target, model and fault.
pub(super) fn render(summary: &NightSummary) -> String {
    let suites: String = summary
        .parts
        .iter()
        .map(|part| {
            let mut cases = cases(summary, part.part);
            if !part.problem.is_empty() {
                let (name, failure) = ("build".to_owned(), Some(part.problem.clone()));
                cases.push(Case { name, seconds: part.seconds, failure });
            }
            suite(part.part, &cases)
        })
        .collect();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

fn suite(part: Part, cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let cases_text: String = cases.iter().map(|case| render_case(part, case)).collect();
    format!(
        "<testsuite name=\"{part}\" tests=\"{}\" failures=\"{failures}\">\n{cases_text}\
         </testsuite>\n",
        cases.len()
    )
}

fn render_case(part: Part, case: &Case) -> String {
    let head = format!(
        "<testcase classname=\"{part}\" name=\"{}\" time=\"{:.3}\"",
        escape(&case.name),
        case.seconds
    );
    match &case.failure {
        Some(text) => format!("{head}><failure>{}</failure></testcase>\n", printable(text)),
        None => format!("{head}/>\n"),
    }
}

/// Escapes a text, without the control characters that XML cannot contain.
fn printable(text: &str) -> String {
    let is_allowed = |it: &char| !it.is_control() || matches!(it, '\n' | '\t');
    escape(&text.chars().filter(is_allowed).collect::<String>())
}

fn cases(summary: &NightSummary, part: Part) -> Vec<Case> {
    let found = |by: &str| {
        let findings = summary.findings.iter().filter(|it| it.found_by.iter().any(|it| it == by));
        let lines: Vec<String> =
            findings.map(|it| format!("{}: {}\n{}", it.invariant, it.text, it.replay)).collect();
        Some(lines.join("\n")).filter(|text| !text.is_empty())
    };
    match part {
        Part::Checks => summary
            .checks
            .iter()
            .map(|check| {
                let name = format!("{}/{}", check.name, check.twin);
                Case { failure: found(&name), name, seconds: check.core_seconds }
            })
            .collect(),
        Part::Fuzz => summary
            .fuzz
            .iter()
            .map(|target| {
                let name = target.run.target.clone();
                Case { failure: found(&format!("{part} {name}")), name, seconds: target.seconds }
            })
            .collect(),
        Part::Loom => summary
            .loom
            .iter()
            .map(|run| {
                let name = run.model.clone();
                Case { failure: found(&format!("{part} {name}")), name, seconds: 0.0 }
            })
            .collect(),
        Part::Faults => summary
            .faults
            .iter()
            .map(|run| {
                let missed = run.check.is_empty().then(|| format!("missed: {}", run.about));
                Case { name: run.id.clone(), seconds: run.seconds, failure: missed }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_of_a_terminal_are_left_out() {
        assert_eq!(printable("\u{1b}[31ma < b\n"), "[31ma &lt; b\n");
    }
}
