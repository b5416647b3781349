//! Exhaustive enumeration: every sequence of a few transactions by three clients, in every order at
//! the server, with every possible base of each, under three relations of the clocks.

use crate::EFFORT;
use crate::laws::{self, Intentions, Mark};
use crate::letters::{Author, INSERTS, LETTERS, LIST, Letter, X, foundation};
use fastness_models::merge::fold::State;
use fastness_models::merge::mutant::Mutant;
use fastness_models::merge::server::Server;
use fastness_models::merge::{Effect, Element, PENDING, SyncEntry};
use std::collections::{BTreeMap, BTreeSet};

const CLIENTS: u32 = 3;
const NOW: u64 = 1_000_000;

/// One transaction in the order of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    client: u32,
    letter: Letter,
    base: u64,
    clock: u64,
}

/// Result of one behaviour: marks, or none if an author cannot write its letter.
pub(crate) type Verdict = Result<Option<BTreeSet<Mark>>, String>;

/// The behaviours of so many steps, addressed by index.
#[derive(Clone, Copy)]
pub(crate) struct Space {
    pub(crate) steps: u32,
    pub(crate) letters: &'static [Letter],
}

impl Space {
    /// Number of indices; some are no behaviour.
    pub(crate) fn size(self) -> u64 {
        let per_step = u64::from(CLIENTS) * self.letters.len() as u64;
        let bases: u64 = (1..=u64::from(self.steps)).product();
        2 * 3 * bases * per_step.pow(self.steps)
    }

    /// The behaviour of an index: whether `Y` exists, and the steps.
    fn behaviour(self, mut index: u64) -> (bool, Vec<Step>) {
        let mut take = |count: u64| {
            let digit = index % count;
            index /= count;
            digit
        };
        let (has_y, clocks) = (take(2) == 0, take(3));
        let steps = (0..u64::from(self.steps)).map(|at| {
            let letter = usize::try_from(take(self.letters.len() as u64)).unwrap_or_default();
            let client = u32::try_from(take(u64::from(CLIENTS))).unwrap_or_default() + 1;
            let clock = [NOW + at * 10, NOW - at * 10, NOW][usize::try_from(clocks).unwrap_or(0)];
            Step { client, letter: self.letters[letter], base: 1 + take(at + 1), clock }
        });
        (has_y, steps.collect())
    }

    /// Runs the behaviour of an index.
    pub(crate) fn run(self, index: u64, mutant: Option<Mutant>) -> Verdict {
        let (has_y, steps) = self.behaviour(index);
        run(has_y, &steps, mutant).map_err(|error| format!("{error}\n{has_y} {steps:?}"))
    }
}

/// Whether the bases of each client never decrease.
fn is_monotone(steps: &[Step]) -> bool {
    steps.iter().enumerate().all(|(at, step)| {
        let later = &steps[at + 1..];
        later.iter().all(|other| other.client != step.client || other.base >= step.base)
    })
}

/// The state in which a client writes: the history up to its base, then its own later entries.
fn view(history: &[SyncEntry], step: &Step, mutant: Option<Mutant>) -> State {
    let mut view = State::new(mutant);
    for entry in history {
        if entry.seq <= step.base {
            view.apply(entry);
        } else if entry.client == step.client {
            view.apply(&SyncEntry { seq: PENDING, ..entry.clone() });
        }
    }
    view
}

fn run(has_y: bool, steps: &[Step], mutant: Option<Mutant>) -> Verdict {
    if !is_monotone(steps) {
        return Ok(None);
    }
    let mut server = Server::new(mutant);
    let mut submitted = vec![foundation(has_y)];
    let mut answers = vec![server.submit(&submitted[0], NOW)];
    let mut numbers: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut intentions = Intentions::default();
    for (value, step) in (1..).zip(steps) {
        if step.base > server.head() {
            return Ok(None);
        }
        let mut view = view(&server.history, step, mutant);
        let before = order(&view);
        let (client_seq, last) = numbers.entry(step.client).or_default();
        *client_seq += 1;
        let (client, client_seq) = (step.client, *client_seq);
        let (base, stamp) = (step.base, step.clock);
        let operations = Vec::new();
        let entry = SyncEntry { seq: PENDING, client, client_seq, base, stamp, operations };
        let mut author =
            Author { view: &mut view, entry, elements: last, value, orders: Vec::new() };
        if !author.write(step.letter) {
            return Ok(None);
        }
        let (entry, intended) = (author.entry, author.orders);
        let after = order(&view);
        intentions.note_runs(&before, &after, client);
        intentions.orders.extend([before, after]);
        intentions.orders.extend(intended);
        answers.push(server.submit(&entry, NOW));
        submitted.push(entry);
    }
    let marks = laws::statement(&server.history, 1, mutant)?;
    laws::moves(&server.history, mutant)?;
    laws::stamps(&server, NOW)?;
    laws::duplicates(&server, &submitted, &answers)?;
    laws::intentions(&server.history, &order(server.state()), &intentions)?;
    laws::purges(&submitted, NOW, mutant)?;
    Ok(Some(marks))
}

fn order(view: &State) -> Vec<Element> {
    view.elements(X, LIST).into_iter().map(|(element, _)| element).collect()
}

/// Runs every `stride`-th index; returns how many were behaviours, and their marks.
pub(crate) fn enumerate(space: Space, stride: u64) -> (u64, BTreeSet<Mark>) {
    let (mut count, mut marks) = (0, BTreeSet::new());
    let mut index = 0;
    while index < space.size() {
        match space.run(index, None) {
            Ok(Some(found)) => {
                count += 1;
                marks.extend(found);
            }
            Ok(None) => {}
            Err(error) => panic!("{error}\nindex {index} of {} steps", space.steps),
        }
        index += stride;
    }
    (count, marks)
}

/// The effects that a run must have seen: all that these rules can have on operations of authors
/// that see the objects they change.
const EXPECTED: &[Mark] = &[
    ("AddClass", Effect::Applied),
    ("AddProperty", Effect::Applied),
    ("AddProperty", Effect::Unchanged),
    ("Create", Effect::Applied),
    ("Create", Effect::Deleted),
    ("Create", Effect::Unchanged),
    ("Delete", Effect::Applied),
    ("Delete", Effect::Unchanged),
    ("Increment", Effect::Applied),
    ("Increment", Effect::Deleted),
    ("ListInsert", Effect::Applied),
    ("ListInsert", Effect::Deleted),
    ("ListMove", Effect::Absent),
    ("ListMove", Effect::Applied),
    ("ListMove", Effect::Deleted),
    ("ListMove", Effect::Overridden),
    ("ListRemove", Effect::Applied),
    ("ListRemove", Effect::Deleted),
    ("ListRemove", Effect::Unchanged),
    ("ListSet", Effect::Absent),
    ("ListSet", Effect::Applied),
    ("ListSet", Effect::Deleted),
    ("ListSet", Effect::Overridden),
    ("Set", Effect::Applied),
    ("Set", Effect::Deleted),
    ("Set", Effect::Overridden),
];

#[test]
fn every_behaviour_of_the_small_domain_obeys_the_laws() {
    let (mut sum, mut marks) = (0, BTreeSet::new());
    for (steps, letters, stride) in [(2, LETTERS, 5), (3, LETTERS, 4001), (4, INSERTS, 401)] {
        let space = Space { steps, letters };
        let (count, found) = enumerate(space, (stride / *EFFORT).max(1));
        println!("{count} behaviours of {steps} of {} transactions", letters.len());
        sum += count;
        marks.extend(found);
    }
    let expected: BTreeSet<Mark> = EXPECTED.iter().copied().collect();
    assert_eq!(marks, expected, "effects");
    assert!(sum > 5_000, "{sum}");
}
