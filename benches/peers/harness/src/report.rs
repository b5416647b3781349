//! A finished run: what it ran on and what came out, as a table and as JSON.

use crate::engine::Result;
use crate::judge::{OTHERS, Row, Verdict};
use crate::samples::Spread;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::read_to_string;

/// A finished run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Processor, kernel and file system.
    pub(crate) machine: String,
    /// The command.
    pub(crate) run: String,
    /// Rounds that count, of each program.
    pub(crate) rounds: usize,
    /// Rounds that were refused because the machine or the disk was busy.
    pub(crate) refused: usize,
    /// Rounds that count although the machine or the disk was busy.
    pub(crate) noisy: usize,
    /// Programs that could not run, and why.
    pub(crate) missing: Vec<String>,
    /// Errors and wrong reads of peers; the rest of such a round goes without them.
    pub(crate) failures: Vec<String>,
    /// The rows.
    pub(crate) rows: Vec<Row>,
}

/// Describes the machine.
#[must_use]
pub(crate) fn machine() -> String {
    let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.unwrap_or("unknown processor"), kernel.trim())
}

/// Writes a figure with three digits that matter.
#[must_use]
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Writes median and range.
#[must_use]
pub(crate) fn spread(spread: Spread) -> String {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(figure);
    if min == max { median } else { format!("{median} ({min}..{max})") }
}

/// Names a verdict.
#[must_use]
pub(crate) const fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "n/a",
    }
}

impl Report {
    /// Says in a line how far the figures can be trusted.
    #[must_use]
    pub(crate) fn trust(&self) -> String {
        let mut text = format!("{} rounds, {} refused", self.rounds, self.refused);
        if self.noisy > 0 {
            write!(text, "; NOISY: {} rounds count although others used the machine", self.noisy)
                .unwrap_or_default();
        }
        for missing in &self.missing {
            write!(text, "; missing: {missing}").unwrap_or_default();
        }
        text
    }

    /// Returns both tables: figures, and goals.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn table(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "{}\n{}\n{}", self.machine, self.run, self.trust())?;
        self.failures.iter().try_for_each(|failure| writeln!(text, "{failure}"))?;
        writeln!(text)?;
        let has = |name: &&&str| self.rows.iter().any(|r| r.peers.iter().any(|p| p.name == **name));
        let columns: Vec<_> = OTHERS.iter().filter(has).collect();
        write!(text, "{:56} {:>8} {:>9}", "medians", "", "Fastness")?;
        for name in &columns {
            write!(text, " {:>9}", name.replace("encrypted", "enc"))?;
        }
        writeln!(text)?;
        for row in &self.rows {
            let ours = row.ours.map_or("n/a".to_owned(), |ours| figure(ours.median));
            let name: String = row.name.chars().take(56).collect();
            write!(text, "{name:56} {:>8} {ours:>9}", row.unit)?;
            for name in &columns {
                let peer = row.peers.iter().find(|peer| peer.name == ***name);
                let cell = peer.map_or(String::new(), |peer| figure(peer.figure.median));
                write!(text, " {cell:>9}")?;
            }
            writeln!(text)?;
        }
        let head = ["goal: Fastness, encrypted, over", "ratio (min..max)", "must", "aim"];
        let [goal, ratio, must, aim] = head;
        writeln!(text, "\n{goal:68} {ratio:>20} {must:>8} {aim:>8}")?;
        for row in &self.rows {
            for goal in &row.goals {
                writeln!(text, "{}", line(row, goal))?;
            }
        }
        let missed = self.rows.iter().filter(|row| row.must_met == Some(false)).count();
        let musts = self.rows.iter().filter(|row| row.must_met.is_some()).count();
        writeln!(text, "\n{missed} of {musts} rows with a must miss one")?;
        Ok(text)
    }
}

fn line(row: &Row, goal: &Verdict) -> String {
    let sign = match row.better {
        crate::judge::Better::Less => "<=",
        crate::judge::Better::More => ">=",
    };
    let limit = |goal: Option<f64>| goal.map_or(String::new(), |v| format!("{sign} {}", figure(v)));
    let name = format!("{:.56}: {}", row.name, goal.against);
    let ratio = goal.ratio.map_or("n/a".to_owned(), spread);
    let (must, aim) = (limit(goal.must), limit(goal.aim));
    let met = if goal.must.is_some() { word(goal.must_met) } else { "" };
    let further = if goal.aim_met == Some(true) { "+ aim" } else { "" };
    format!("{name:68} {ratio:>20} {must:>8} {aim:>8}  {met} {further}")
}
