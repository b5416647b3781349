//! What a person sees while a campaign runs: bars on a terminal, plain lines elsewhere.

use crate::engine::{Board, Tally};
use crate::findings::Finding;
use crate::plans::Pair;
use crate::summary::thousands;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

const LINES_EVERY: Duration = Duration::from_secs(5);

/// Where progress is shown; always on stderr, so that stdout holds results only.
pub struct Progress(Form);

enum Form {
    Silent,
    Lines { next: Duration },
    Bars { all: MultiProgress, time: ProgressBar, checks: Vec<ProgressBar> },
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
    /// Shows nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self(Form::Silent)
    }

    /// Shows bars if stderr is a terminal, a few lines every few seconds if not.
    #[must_use]
    pub fn new(seconds: u64) -> Self {
        if !io::stderr().is_terminal() {
            let next = LINES_EVERY.min(Duration::from_secs(seconds) / 2);
            return Self(Form::Lines { next });
        }
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{bar:32.cyan/dim} {pos}/{len} s  {msg}");
        let time = all.add(ProgressBar::new(seconds));
        time.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Form::Bars { all, time, checks: Vec::new() })
    }

    /// Shows where the campaign is.
    pub fn tick(&mut self, board: &Board) {
        match &mut self.0 {
            Form::Silent => {}
            Form::Lines { next } => {
                if board.elapsed >= *next {
                    *next = board.elapsed + LINES_EVERY;
                    let head = format!("{:>4} s\n", board.elapsed.as_secs());
                    let lines = lines(&rows(board));
                    say(&(head + &lines.join("\n") + "\n"));
                }
            }
            Form::Bars { all, time, checks } => {
                time.set_position(board.elapsed.as_secs());
                let lines = lines(&rows(board));
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

    /// Tells of a finding at once.
    pub fn finding(&self, finding: &Finding) {
        let line = format!(
            "FINDING {} {} ({} operations)",
            finding.origin.pair,
            finding.violation,
            finding.plan.ops.len()
        );
        match &self.0 {
            Form::Silent => {}
            Form::Lines { .. } => say(&(line + "\n")),
            Form::Bars { all, .. } => {
                if all.println(&line).is_err() {
                    say(&line);
                }
            }
        }
    }

    /// Leaves the last state standing.
    pub fn end(&self) {
        if let Form::Bars { time, checks, .. } = &self.0 {
            checks.iter().for_each(ProgressBar::abandon);
            time.abandon();
        }
    }
}

/// Progress that cannot be shown is not worth ending a campaign for.
fn say(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

fn rows(board: &Board) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (pair, tally, findings) in &board.rows {
        let own = Row::of(*pair, tally, *findings);
        match rows.last_mut().filter(|last| last.name == own.name) {
            Some(last) => last.add(&own),
            None => rows.push(own),
        }
    }
    rows
}

/// Returns a line for each row, with the columns below each other.
fn lines(rows: &[Row]) -> Vec<String> {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    rows.iter().map(|row| row.line(width)).collect()
}

impl Row {
    fn of(pair: Pair, tally: &Tally, findings: usize) -> Self {
        let hit = |mark: &&&str| tally.probe.marks.contains_key(**mark);
        Self {
            name: pair.check.name,
            plans: tally.plans,
            operations: tally.probe.operations,
            busy: tally.busy,
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
