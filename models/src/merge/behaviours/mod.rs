//! Behaviours: every sequence of a few transactions by three clients, in every order at the server,
//! with every possible base of each, under three relations of the clocks; and random entries that
//! no author would write.

pub mod garbage;
pub mod letters;

use super::fold::State;
use super::mutant::Mutant;
use super::server::{Answer, Refusal, Server};
use super::{Client, Element, PENDING, SyncEntry};
use letters::{Author, LIST, Letter, X, foundation};
use std::collections::BTreeMap;

const CLIENTS: u32 = 3;
/// Time of the server.
pub const NOW: u64 = 1_000_000;

/// One transaction in the order of the server.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    client: u32,
    letter: Letter,
    base: u64,
    clock: u64,
}

/// The orders that an author saw and intended.
#[derive(Clone, Debug)]
pub struct Written {
    /// The author.
    pub client: Client,
    /// The list before and after, as it saw it.
    pub orders: [Vec<Element>; 2],
    /// The orders that it intended.
    pub intended: Vec<Vec<Element>>,
}

/// A history, and how it came about.
#[derive(Clone)]
pub struct Behaviour {
    /// The server after all submissions.
    pub server: Server,
    /// The entries in the order of submission, and the answers.
    pub submitted: Vec<SyncEntry>,
    /// The answers.
    pub answers: Vec<Result<Answer, Refusal>>,
    /// The orders of the authors, in the order of submission.
    pub written: Vec<Written>,
}

/// A small generator of random numbers (`xorshift64*`), so that the model depends on nothing.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Makes the generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

/// The behaviours of so many steps, addressed by index.
#[derive(Clone, Copy)]
pub struct Space {
    /// Number of transactions.
    pub steps: u32,
    /// The letters that each of them may be.
    pub letters: &'static [Letter],
}

impl Space {
    /// Returns the number of indices; some are no behaviour.
    #[must_use]
    pub fn size(self) -> u64 {
        let per_step = u64::from(CLIENTS) * self.letters.len() as u64;
        let bases: u64 = (1..=u64::from(self.steps)).product();
        2 * 3 * bases * per_step.pow(self.steps)
    }

    /// Returns the behaviour of an index: whether `Y` exists, and the steps.
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

    /// Returns the history of an index, and the steps; no history if an author cannot write a
    /// letter, or if its bases decrease.
    #[must_use]
    pub fn run(self, index: u64, mutant: Option<Mutant>) -> (Option<Behaviour>, Vec<Step>) {
        let (has_y, steps) = self.behaviour(index);
        (run(has_y, &steps, mutant), steps)
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

fn run(has_y: bool, steps: &[Step], mutant: Option<Mutant>) -> Option<Behaviour> {
    if !is_monotone(steps) {
        return None;
    }
    let mut server = Server::new(mutant);
    let mut submitted = vec![foundation(has_y)];
    let mut answers = vec![server.submit(&submitted[0], NOW)];
    let mut numbers: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut written = Vec::new();
    for (value, step) in (1..).zip(steps) {
        if step.base > server.head() {
            return None;
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
            return None;
        }
        let (entry, intended) = (author.entry, author.orders);
        let orders = [before, order(&view)];
        written.push(Written { client: step.client, orders, intended });
        answers.push(server.submit(&entry, NOW));
        submitted.push(entry);
    }
    Some(Behaviour { server, submitted, answers, written })
}

/// Returns the visible order of the list of `X`.
#[must_use]
pub fn order(view: &State) -> Vec<Element> {
    view.elements(X, LIST).into_iter().map(|(element, _)| element).collect()
}
