//! The ledgers of the devices, and the checks at the end.

use super::device::NUMBERS;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of the processes of a device, as far as the checks need them.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    /// Number of the last commit that began.
    pub(crate) begun: i64,
    /// Numbers of the commits that were durable.
    committed: BTreeSet<i64>,
    /// Outcomes of sets of shared texts in the strict phase, in which no process is killed.
    outcomes: Vec<Outcome>,
    /// First number of that phase.
    strict_phase: Option<i64>,
    overrides: u64,
    resets: u64,
}

/// Outcome of a set of a shared text.
#[derive(Clone, Debug)]
struct Outcome {
    key: i64,
    text: String,
    seq: u64,
    is_effective: bool,
}

/// The state of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Numbers of notes, from first to last.
    notes: Vec<(i64, i64)>,
    hits: i64,
    texts: BTreeMap<i64, String>,
}

impl Ledger {
    /// Notes a line.
    #[track_caller]
    pub(crate) fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begins", number] => self.begun = number.parse().unwrap(),
            ["committed", number] => drop(self.committed.insert(number.parse().unwrap())),
            ["outcome", key, text, seq, effect] => {
                let is_effective = effect == "effective";
                self.overrides += u64::from(!is_effective);
                let number: i64 = text.split_once('-').unwrap().1.parse().unwrap();
                if self.strict_phase.is_some_and(|first| number >= first) {
                    let (key, seq) = (key.parse().unwrap(), seq.parse().unwrap());
                    let text = text.to_owned();
                    self.outcomes.push(Outcome { key, text, seq, is_effective });
                }
            }
            ["reset", ..] => self.resets += 1,
            ["refused", ..] => panic!("the server has refused an entry: {line}"),
            ["state", "Error"] => panic!("the session of a file has failed"),
            _ => {}
        }
    }

    /// Outcomes count from now on.
    pub(crate) fn begin_strict_phase(&mut self) {
        self.strict_phase = Some(self.begun + 1);
        self.outcomes.clear();
    }

    /// Returns the figures of all devices.
    pub(crate) fn figures(ledgers: &[Self]) -> String {
        let sum = |count: fn(&Self) -> u64| ledgers.iter().map(count).sum::<u64>();
        let commits = sum(|ledger| ledger.committed.len() as u64);
        let (overrides, resets) = (sum(|ledger| ledger.overrides), sum(|ledger| ledger.resets));
        format!("{commits} commits, {overrides} overrides reported, {resets} resets")
    }
}

impl State {
    /// Notes a line.
    pub(crate) fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["notes", first, last] => {
                self.notes.push((first.parse().unwrap(), last.parse().unwrap()));
            }
            ["hits", hits] => self.hits = hits.parse().unwrap(),
            ["text", key, text] => {
                self.texts.insert(key.parse().unwrap(), text.to_owned());
            }
            _ => {}
        }
    }

    fn has(&self, number: i64) -> bool {
        let after = self.notes.partition_point(|(first, _)| *first <= number);
        after > 0 && self.notes[after - 1].1 >= number
    }
}

/// Checks the states of all devices at the end of a strict phase.
pub(crate) fn check(ledgers: &[Ledger], states: &[State]) {
    let state = &states[0];
    for (index, other) in states.iter().enumerate() {
        assert_eq!(other, state, "SY1: device {index} has another state");
    }
    for (index, ledger) in (0_i64..).zip(ledgers) {
        for number in &ledger.committed {
            let is_kept = state.has(index * NUMBERS + number);
            assert!(is_kept, "SY4: commit {number} of device {index} is lost");
        }
    }
    let commits: i64 = state.notes.iter().map(|(first, last)| last - first + 1).sum();
    assert_eq!(state.hits, commits, "SY8: each commit counts once");
    check_overrides(ledgers, state);
}

/// Each text of the phase has one outcome, and the reported ones lead to the state.
fn check_overrides(ledgers: &[Ledger], state: &State) {
    for (index, ledger) in ledgers.iter().enumerate() {
        let first = ledger.strict_phase.unwrap_or_default();
        let expected = ledger.committed.range(first..).count();
        let texts: BTreeSet<&str> = ledger.outcomes.iter().map(|outcome| &*outcome.text).collect();
        let reported = ledger.outcomes.len();
        assert_eq!((reported, texts.len()), (expected, expected), "SY4: device {index}");
    }
    for (key, text) in &state.texts {
        let reported = ledgers.iter().flat_map(|ledger| &ledger.outcomes);
        let effective = reported.filter(|outcome| outcome.key == *key && outcome.is_effective);
        let last = effective.max_by_key(|outcome| outcome.seq).expect("SY4: a text of the phase");
        assert_eq!(&last.text, text, "SY4: an override was not reported");
    }
}
