//! Measurements, and their statistics over rounds.

use serde::{Deserialize, Serialize};

/// One figure of one engine in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// The program that ran the round; only figures of one program compare.
    pub(crate) program: String,
    /// The round.
    pub(crate) round: usize,
    /// The engine, or a floor.
    pub(crate) engine: String,
    /// The metric.
    pub(crate) metric: String,
    /// The figure.
    pub(crate) value: f64,
}

/// The figures of a round, or of many.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Samples {
    /// The program that runs.
    #[serde(skip)]
    pub(crate) program: String,
    /// The round that runs.
    #[serde(skip)]
    pub(crate) round: usize,
    /// The figures.
    pub(crate) all: Vec<Sample>,
    /// Errors and wrong reads of peers; the rest of such a round goes without them.
    #[serde(default)]
    pub(crate) failures: Vec<String>,
}

/// Median and range over rounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Spread {
    /// The middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Samples {
    /// Adds a figure.
    pub(crate) fn add(&mut self, engine: &str, metric: &str, value: f64) {
        let (program, round) = (self.program.clone(), self.round);
        let (engine, metric) = (engine.to_owned(), metric.to_owned());
        self.all.push(Sample { program, round, engine, metric, value });
    }

    /// Takes the figures of others in.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.all.append(&mut other.all);
        self.failures.append(&mut other.failures);
    }

    /// Returns an engine's figures by program and round.
    fn of<'a>(&'a self, engine: &'a str, metric: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.all.iter().filter(move |s| s.engine == engine && s.metric == metric)
    }

    /// Returns an engine's figures over the rounds of the first program that has any.
    #[must_use]
    pub(crate) fn spread(&self, engine: &str, metric: &str) -> Option<Spread> {
        let first = &self.of(engine, metric).next()?.program;
        let values = self.of(engine, metric).filter(|s| s.program == *first).map(|s| s.value);
        Spread::of(values.collect())
    }

    /// Returns the ratios of two figures measured by one program in one round.
    #[must_use]
    pub(crate) fn ratios(&self, ours: (&str, &str), other: (&str, &str)) -> Option<Spread> {
        let first = &self.of(other.0, other.1).next()?.program;
        let pairs = self.of(other.0, other.1).filter(|s| s.program == *first).filter_map(|base| {
            let same = |s: &&Sample| s.program == base.program && s.round == base.round;
            let ours = self.of(ours.0, ours.1).find(same)?;
            (base.value > 0.0).then_some(ours.value / base.value)
        });
        Spread::of(pairs.collect())
    }
}

impl Spread {
    /// Returns the spread of figures, if there are any.
    #[must_use]
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        Some(Self { median: quantile(&values, 0.5), min, max })
    }
}

/// Returns a quantile of sorted figures.
#[must_use]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = share * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index between two others"
    )]
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - at.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_pair_figures_of_one_round() {
        let mut samples = Samples::default();
        for (round, ours, peer) in [(0, 2.0, 1.0), (1, 30.0, 10.0), (2, 4.0, 1.0)] {
            samples.round = round;
            samples.add("ours", "m", ours);
            samples.add("peer", "m", peer);
        }
        let ratio = samples.ratios(("ours", "m"), ("peer", "m")).unwrap();
        assert_eq!(ratio, Spread { median: 3.0, min: 2.0, max: 4.0 });
    }

    #[test]
    fn quantiles_stay_within_the_figures() {
        assert!((quantile(&[1.0, 2.0, 3.0], 0.5) - 2.0).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0], 1.0) - 2.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
