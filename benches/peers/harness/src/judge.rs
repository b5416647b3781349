//! Comparison of the figures with the goals: one row for each entry of `goals.json`.
//!
//! - PE3 A ratio is ours over theirs, both from one round of one program; a goal is met if the
//!   median over rounds meets it.

use crate::engine::Result;
use crate::fast::OURS;
use crate::samples::{Samples, Spread};
use crate::selection::Selection;
use serde::{Deserialize, Serialize};

/// Engines in the order of the table's columns, except for ours.
pub(crate) const OTHERS: &[&str] = &[
    "plain",
    "redb",
    "LMDB",
    "LMDB encrypted",
    "fjall",
    "SQLite",
    "SQLCipher",
    "floor",
    "two syncs",
    "together",
];

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// Less is.
    Less,
    /// More is.
    More,
}

/// An entry of `goals.json`.
#[derive(Debug, Deserialize)]
struct Entry {
    key: String,
    title: String,
    unit: String,
    better: Better,
    #[serde(default)]
    goals: Vec<Goal>,
}

/// The goal of a figure, relative to another engine, to another figure of ours, or, with neither,
/// to a limit.
#[derive(Debug, Deserialize)]
struct Goal {
    engine: Option<String>,
    metric: Option<String>,
    must: Option<f64>,
    aim: Option<f64>,
}

/// A row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The name for `--only`.
    pub(crate) key: String,
    /// The metric.
    pub(crate) name: String,
    /// Unit of the figures.
    pub(crate) unit: String,
    /// Which way is better.
    pub(crate) better: Better,
    /// Our figure, encrypted; none if we cannot do it, or it was not asked for.
    pub(crate) ours: Option<Spread>,
    /// The others' figures.
    pub(crate) peers: Vec<Peer>,
    /// The goals.
    pub(crate) goals: Vec<Verdict>,
    /// Whether every must is met; none if there is none, or one could not be measured.
    pub(crate) must_met: Option<bool>,
}

/// Another engine in a row.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    /// Its name.
    pub(crate) name: String,
    /// Its figure.
    pub(crate) figure: Spread,
    /// Ours over its.
    pub(crate) ratio: Option<Spread>,
}

/// A goal and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    /// The figure that ours is compared with.
    pub(crate) against: String,
    /// Ours over that; our figure itself if it is a limit.
    pub(crate) ratio: Option<Spread>,
    /// The required ratio.
    pub(crate) must: Option<f64>,
    /// The ratio to aim for.
    pub(crate) aim: Option<f64>,
    /// Whether the required ratio is met.
    pub(crate) must_met: Option<bool>,
    /// Whether the aim is reached.
    pub(crate) aim_met: Option<bool>,
}

impl Better {
    fn reaches(self, value: f64, goal: f64) -> bool {
        match self {
            Self::Less => value <= goal,
            Self::More => value >= goal,
        }
    }
}

impl Entry {
    fn judge(&self, goal: &Goal, samples: &Samples) -> Verdict {
        let ours = (OURS, self.key.as_str());
        let metric = goal.metric.as_deref();
        let (against, ratio) = match (goal.engine.as_deref(), metric) {
            (Some(engine), metric) => {
                let metric = metric.unwrap_or(&self.key);
                (engine.to_owned(), samples.ratios(ours, (engine, metric)))
            }
            (None, Some(metric)) => (format!("own {metric}"), samples.ratios(ours, (OURS, metric))),
            (None, None) => ("limit".to_owned(), samples.spread(OURS, &self.key)),
        };
        let met = |goal: Option<f64>| Some(self.better.reaches(ratio?.median, goal?));
        let (must_met, aim_met) = (met(goal.must), met(goal.aim));
        Verdict { against, ratio, must: goal.must, aim: goal.aim, must_met, aim_met }
    }

    fn row(&self, samples: &Samples) -> Row {
        let ours = samples.spread(OURS, &self.key);
        let peer = |&name: &&str| {
            let figure = samples.spread(name, &self.key)?;
            let ratio = samples.ratios((OURS, &self.key), (name, &self.key));
            Some(Peer { name: name.to_owned(), figure, ratio })
        };
        let peers = OTHERS.iter().filter_map(peer).collect();
        let goals: Vec<_> = self.goals.iter().map(|goal| self.judge(goal, samples)).collect();
        let musts: Vec<_> = goals.iter().filter(|goal| goal.must.is_some()).collect();
        let must_met = if musts.iter().any(|goal| goal.must_met == Some(false)) {
            Some(false)
        } else {
            let known = !musts.is_empty() && musts.iter().all(|goal| goal.must_met.is_some());
            known.then_some(true)
        };
        let (key, name, unit) = (self.key.clone(), self.title.clone(), self.unit.clone());
        Row { key, name, unit, better: self.better, ours, peers, goals, must_met }
    }
}

/// Judges every row that was asked for.
///
/// # Errors
/// If `goals.json` is not as expected.
pub(crate) fn judge(samples: &Samples, selection: &Selection) -> Result<Vec<Row>> {
    let entries: Vec<Entry> = serde_json::from_str(include_str!("../goals.json"))?;
    Ok(entries.iter().filter(|e| selection.asks(&e.key)).map(|entry| entry.row(samples)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_reads_and_a_missed_must_shows() {
        let mut samples = Samples::default();
        for (engine, figure) in [(OURS, 100.0), ("LMDB", 90.0), ("redb", 200.0)] {
            samples.add(engine, "get.one", figure);
        }
        let rows = judge(&samples, &Selection { only: vec!["get.one".into()] }).unwrap();
        assert_eq!(rows.len(), 1);
        let met: Vec<_> = rows[0].goals.iter().map(|goal| goal.must_met).collect();
        assert_eq!(met, [Some(true), Some(false), None]);
        assert_eq!(rows[0].must_met, Some(false));
    }
}
