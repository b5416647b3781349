//! Figures of rounds, and the table of their medians and ratios.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const ENGINES: [&str; 5] = ["Fastness", "automerge", "loro", "yrs", "SQLite"];

/// A row of the table: key, title, whether less is better, and the goal with the engine that it is
/// relative to, if it is.
type Row = (&'static str, &'static str, bool, Option<(&'static str, f64)>);

const ROWS: [Row; 13] = [
    (
        "sync.entry.hundred",
        "bytes of an update of one field, 100 in a transaction",
        true,
        Some(("", 11.0)),
    ),
    (
        "sync.entry.one",
        "bytes of an update of one field, alone in a transaction",
        true,
        Some(("", 27.0)),
    ),
    (
        "sync.encode.hundred",
        "encode, 100 in a transaction, k updates/s",
        false,
        Some(("loro", 5.0)),
    ),
    ("sync.encode.one", "encode, one in a transaction, k updates/s", false, None),
    (
        "sync.merge.hundred",
        "decode and fold in memory, 100 in a transaction, k updates/s",
        false,
        Some(("loro", 3.0)),
    ),
    ("sync.merge.one", "decode and fold in memory, one in a transaction, k updates/s", false, None),
    ("sync.rebase", "10 k local on 10 k remote updates in memory, ms", true, Some(("", 10.0))),
    ("sync.text.apply", "automerge-paper typed, k edits/s", false, None),
    ("sync.text.merge", "automerge-paper merged, k edits/s", false, None),
    ("sync.text.both", "automerge-paper typed and merged, k edits/s", false, Some(("loro", 1.0))),
    ("sync.text.bytes", "automerge-paper stored, KiB", true, Some(("loro", 1.3))),
    (
        "sync.file.rebase",
        "10 k local on 10 k remote updates in an encrypted file in memory, ms",
        true,
        None,
    ),
    (
        "sync.file.apply",
        "durable apply of a downloaded stream, 100 rows each, k rows/s",
        false,
        Some(("SQLite", 1.0)),
    ),
];

/// Figures by key and engine, one for each round.
type Figures = BTreeMap<(String, &'static str), Vec<f64>>;

/// The figures of all rounds.
pub(crate) struct Rows {
    only: Vec<String>,
    rounds: usize,
    figures: Figures,
}

impl Rows {
    pub(crate) const fn new(only: Vec<String>) -> Self {
        Self { only, rounds: 0, figures: Figures::new() }
    }

    pub(crate) const fn begin(&mut self) {
        self.rounds += 1;
    }

    /// Tells whether a row is wanted whose key begins with one of these.
    pub(crate) fn wants(&self, groups: &[&str]) -> bool {
        let is_in = |only: &String| {
            groups.iter().any(|group| only.starts_with(group) || group.starts_with(&**only))
        };
        self.only.is_empty() || self.only.iter().any(is_in)
    }

    pub(crate) fn add(&mut self, key: &str, engine: &'static str, figure: f64) {
        self.figures.entry((key.to_owned(), engine)).or_default().push(figure);
    }

    fn of(&self, key: &str, engine: &'static str) -> Option<&Vec<f64>> {
        self.figures.get(&(key.to_owned(), engine))
    }

    /// Our figures over those of an engine, round by round.
    fn ratios(&self, key: &str, engine: &'static str) -> Option<Vec<f64>> {
        let (ours, theirs) = (self.of(key, "Fastness")?, self.of(key, engine)?);
        Some(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
    }

    fn goal(&self, key: &str, (engine, goal): (&'static str, f64), is_less: bool) -> String {
        let figures = match engine {
            "" => self.of(key, "Fastness").cloned(),
            engine => self.ratios(key, engine),
        };
        let Some(figures) = figures else { return String::new() };
        let is_met = if is_less { median(&figures) <= goal } else { median(&figures) >= goal };
        let (sign, met) =
            (if is_less { "<=" } else { ">=" }, if is_met { "met" } else { "missed" });
        let unit = if engine.is_empty() { String::new() } else { format!(" x {engine}") };
        format!("{sign} {goal}{unit} {met}")
    }

    /// Returns the table.
    pub(crate) fn table(&self) -> String {
        let mut text =
            format!("{} rounds; (ratio of ours to theirs, lowest..highest)\n\n", self.rounds);
        text += "| row | Fastness | automerge | loro | yrs | SQLite | goal |\n";
        text += "|---|--:|--:|--:|--:|--:|---|\n";
        for (key, title, is_less, goal) in ROWS {
            let Some(ours) = self.of(key, "Fastness") else { continue };
            write!(text, "| `{key}`: {title} | {}", number(median(ours))).unwrap_or_default();
            for engine in ENGINES.into_iter().skip(1) {
                let cell = self.of(key, engine).zip(self.ratios(key, engine));
                let cell = cell.map_or_else(String::new, |(figures, mut ratios)| {
                    ratios.sort_by(f64::total_cmp);
                    let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
                    let (figure, ratio) = (number(median(figures)), number(median(&ratios)));
                    format!("{figure} ({ratio}, {}..{})", number(low), number(high))
                });
                write!(text, " | {cell}").unwrap_or_default();
            }
            let goal = goal.map_or_else(String::new, |goal| self.goal(key, goal, is_less));
            writeln!(text, " | {goal} |").unwrap_or_default();
        }
        text
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn number(figure: f64) -> String {
    match figure {
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}
