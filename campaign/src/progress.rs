//! Progress display: bars on a terminal, plain lines elsewhere.

use crate::engine::{PairStats, ProgressSnapshot};
use crate::findings::Finding;
use crate::plans::Pair;
use crate::summary::thousands;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

const LINES_EVERY: Duration = Duration::from_secs(5);

/// The progress display; writes to stderr only, because stdout holds results.
pub struct Progress(Display);

enum Display {
    Silent,
    Lines { next: Duration },
    Bars { all: MultiProgress, goal: Goal, whole: ProgressBar, checks: Vec<ProgressBar> },
}

/// The end of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A time, in seconds.
    Seconds(u64),
    /// Number of plans, over all checks and twins.
    Plans(u64),
}

/// Both twins of a check, as one line.
struct Row {
    name: &'static str,
    plans: u64,
    operations: u64,
    busy: Duration,
    marks: (usize, usize),
    findings: usize,
}

impl Progress {
    /// Returns a display that shows nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self(Display::Silent)
    }

    /// Returns bars if stderr is a terminal, else a few lines every few seconds.
    #[must_use]
    pub fn new(goal: Goal) -> Self {
        let (unit, length) = match goal {
            Goal::Seconds(seconds) => ("s", seconds),
            Goal::Plans(plans) => ("plans", plans),
        };
        if !io::stderr().is_terminal() {
            let next = match goal {
                Goal::Seconds(seconds) => LINES_EVERY.min(Duration::from_secs(seconds) / 2),
                Goal::Plans(_) => LINES_EVERY,
            };
            return Self(Display::Lines { next });
        }
        let all = MultiProgress::new();
        let template = format!("{{bar:32.cyan/dim}} {{pos}}/{{len}} {unit}  {{msg}}");
        let style = ProgressStyle::with_template(&template);
        let whole = all.add(ProgressBar::new(length));
        whole.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Display::Bars { all, goal, whole, checks: Vec::new() })
    }

    /// Shows the current progress.
    pub fn tick(&mut self, snapshot: &ProgressSnapshot) {
        match &mut self.0 {
            Display::Silent => {}
            Display::Lines { next } => {
                if snapshot.elapsed >= *next {
                    *next = snapshot.elapsed + LINES_EVERY;
                    let head = format!("{:>4} s\n", snapshot.elapsed.as_secs());
                    let lines = lines(&rows(snapshot));
                    write_stderr(&(head + &lines.join("\n") + "\n"));
                }
            }
            Display::Bars { all, goal, whole, checks } => {
                whole.set_position(match goal {
                    Goal::Seconds(_) => snapshot.elapsed.as_secs(),
                    Goal::Plans(_) => snapshot.rows.iter().map(|(_, stats, _)| stats.plans).sum(),
                });
                let lines = lines(&rows(snapshot));
                while checks.len() < lines.len() {
                    let bar = all.add(ProgressBar::new_spinner());
                    let style = ProgressStyle::with_template("{msg}");
                    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                    checks.push(bar);
                }
                for (bar, line) in checks.iter().zip(lines) {
                    bar.set_message(line);
                }
            }
        }
    }

    /// Shows a finding immediately.
    pub fn finding(&self, finding: &Finding) {
        let line = format!(
            "FINDING {} {} ({} operations)",
            finding.origin.pair,
            finding.violation,
            finding.plan.ops.len()
        );
        match &self.0 {
            Display::Silent => {}
            Display::Lines { .. } => write_stderr(&(line + "\n")),
            Display::Bars { all, .. } => {
                if all.println(&line).is_err() {
                    write_stderr(&line);
                }
            }
        }
    }

    /// Leaves the last state on the terminal.
    pub fn end(&self) {
        if let Display::Bars { whole, checks, .. } = &self.0 {
            checks.iter().for_each(ProgressBar::abandon);
            whole.abandon();
        }
    }
}

/// A write error does not end a campaign.
fn write_stderr(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

fn rows(snapshot: &ProgressSnapshot) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (pair, stats, findings) in &snapshot.rows {
        let own = Row::of(*pair, stats, *findings);
        match rows.last_mut().filter(|last| last.name == own.name) {
            Some(last) => last.add(&own),
            None => rows.push(own),
        }
    }
    rows
}

/// Returns one line per row, with aligned columns.
fn lines(rows: &[Row]) -> Vec<String> {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    rows.iter().map(|row| row.line(width)).collect()
}

impl Row {
    fn of(pair: Pair, stats: &PairStats, findings: usize) -> Self {
        let hit = |mark: &&&str| stats.probe.marks.contains_key(**mark);
        Self {
            name: pair.check.name,
            plans: stats.plans,
            operations: stats.probe.operations,
            busy: stats.busy,
            marks: (pair.check.marks.iter().filter(hit).count(), pair.check.marks.len()),
            findings,
        }
    }

    fn add(&mut self, other: &Self) {
        self.plans += other.plans;
        self.operations += other.operations;
        self.busy += other.busy;
        self.marks = (self.marks.0 + other.marks.0, self.marks.1 + other.marks.1);
        self.findings += other.findings;
    }

    fn line(&self, width: usize) -> String {
        let millis = u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX).max(1);
        let speed = self.operations.saturating_mul(1000) / millis;
        let findings = match self.findings {
            0 => String::new(),
            count => format!("  FINDINGS {count}"),
        };
        format!(
            "  {:<width$} {:>9} plans {:>10} ops/s  marks {:>2}/{:<2}{findings}",
            self.name,
            thousands(self.plans),
            thousands(speed),
            self.marks.0,
            self.marks.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_below_each_other_however_long_a_name_is() {
        let row = |name| Row {
            name,
            plans: 12_345,
            operations: 678,
            busy: Duration::from_secs(1),
            marks: (3, 20),
            findings: 0,
        };
        let [short, long] = [row("pins"), row("as-long-as-no-name-is")];
        let shown = lines(&[short, long]);
        let places: Vec<_> = shown.iter().map(|line| line.find(" plans")).collect();
        assert!(places[0].is_some() && places[0] == places[1], "{shown:?}");
        assert_eq!(shown[0].len(), shown[1].len());
    }
}
