//! Squashing: whether two pending entries of one author could be sent as one. An entry has one
//! stamp, so the joined one has the effect of both only in some histories; docs/decisions has the
//! conclusion, and this enumeration its figures.
//!
//! Specification: docs/decisions/0030-pending-entries-are-not-squashed.md.

use fastness_models::merge::behaviours::NOW;
use fastness_models::merge::behaviours::letters::{Author, FOUNDER, LETTERS, Letter, foundation};
use fastness_models::merge::fold::State;
use fastness_models::merge::server::{AHEAD_MAX, Refusal, Server};
use fastness_models::merge::{
    Element, ListOperation, ObjectRef, Operation, PENDING, PropertyNumber, SyncEntry, Visible,
};

/// Two entries of one author and one of another, none of which knows the other author's.
struct Case {
    own: [SyncEntry; 2],
    foreign: SyncEntry,
    is_foreign_first: bool,
}

impl Case {
    /// Returns what the server shows after all entries, of which the own ones follow each other.
    fn shown(&self, own: &[SyncEntry]) -> Visible {
        let mut server = Server::new(None);
        server.submit(&foundation(true), NOW).expect("the first entry is accepted");
        let own = own.iter();
        let submitted: Vec<&SyncEntry> = match self.is_foreign_first {
            true => std::iter::once(&self.foreign).chain(own).collect(),
            false => own.chain(std::iter::once(&self.foreign)).collect(),
        };
        for entry in submitted {
            // A refused entry changes nothing, which the state shows.
            let answer = server.submit(entry, NOW);
            assert!(!matches!(answer, Err(Refusal::Gap | Refusal::Base | Refusal::Expired)));
        }
        server.state().visible()
    }

    /// Tells whether one entry with a stamp shows what the two show.
    fn is_equal(&self, stamp: u64) -> bool {
        let [first, second] = &self.own;
        let operations = [&first.operations[..], &second.operations].concat();
        let joined = SyncEntry { stamp, operations, ..first.clone() };
        self.shown(&self.own) == self.shown(&[joined])
    }
}

/// Place of an entry: its client, its number and its stamp.
#[derive(Clone, Copy)]
struct Place {
    client: u32,
    client_seq: u64,
    stamp: u64,
}

/// Writes a letter in a view; none if the view does not allow it.
fn write(view: &mut State, letter: Letter, place: Place) -> Option<SyncEntry> {
    let Place { client, client_seq, stamp } = place;
    let operations = Vec::new();
    let entry = SyncEntry { seq: PENDING, client, client_seq, base: 1, stamp, operations };
    let mut elements = client_seq * 10;
    let value = i64::from(client) * 10 + i64::from(client_seq == 2);
    let mut author = Author { view, entry, elements: &mut elements, value, orders: Vec::new() };
    let is_written = author.write(letter);
    is_written.then_some(author.entry)
}

/// The cases of one foreign clock, with the stamps of the own entries.
fn cases(stamps: [u64; 2], foreign_stamp: u64) -> Vec<Case> {
    let mut view = State::new(None);
    view.apply(&foundation(true));
    let mut cases = Vec::new();
    for (first, second) in LETTERS.iter().flat_map(|a| LETTERS.iter().map(move |b| (*a, *b))) {
        let mut own = view.clone();
        let Some(first) =
            write(&mut own, first, Place { client: 1, client_seq: 1, stamp: stamps[0] })
        else {
            continue;
        };
        let Some(second) =
            write(&mut own, second, Place { client: 1, client_seq: 2, stamp: stamps[1] })
        else {
            continue;
        };
        for letter in LETTERS {
            let foreign = write(
                &mut view.clone(),
                *letter,
                Place { client: 2, client_seq: 1, stamp: foreign_stamp },
            );
            let Some(foreign) = foreign else { continue };
            for is_foreign_first in [false, true] {
                let (own, foreign) = ([first.clone(), second.clone()], foreign.clone());
                cases.push(Case { own, foreign, is_foreign_first });
            }
        }
    }
    cases
}

/// A register that stamps decide: a property, or the value or the place of an element.
type Register = (ObjectRef, PropertyNumber, Option<Element>, bool);

fn register(operation: &Operation) -> Option<Register> {
    if let Operation::Set(object, property, _) = *operation {
        return Some((object, property, None, false));
    }
    let Operation::List(object, property, change) = *operation else { return None };
    match change {
        ListOperation::Set(element, _) => Some((object, property, Some(element), false)),
        ListOperation::Move(element, _) => Some((object, property, Some(element), true)),
        ListOperation::Insert(..) | ListOperation::Remove(_) => None,
    }
}

/// Tells whether the second entry writes all that the stamp of the first one decides, and neither
/// defines anything.
fn is_overwritten(case: &Case) -> bool {
    let [first, second] = &case.own;
    let defines = |operation: &Operation| {
        matches!(operation, Operation::AddClass(..) | Operation::AddProperty(..))
    };
    let later: Vec<Register> = second.operations.iter().filter_map(register).collect();
    let mut earlier = first.operations.iter().filter_map(register);
    earlier.all(|register| later.contains(&register))
        && !first.operations.iter().chain(&second.operations).any(defines)
}

/// How often a joined entry shows something else than the two, by rule.
#[derive(Debug, Default)]
struct Differences {
    cases: usize,
    with_first_stamp: usize,
    with_last_stamp: usize,
    overwritten: usize,
    of_overwritten: usize,
}

fn count(stamps: [u64; 2], foreign: &[u64]) -> Differences {
    let mut found = Differences::default();
    for case in foreign.iter().flat_map(|stamp| cases(stamps, *stamp)) {
        assert_ne!(case.foreign.client, FOUNDER);
        let is_last_equal = case.is_equal(stamps[1]);
        found.cases += 1;
        found.with_first_stamp += usize::from(!case.is_equal(stamps[0]));
        found.with_last_stamp += usize::from(!is_last_equal);
        if is_overwritten(&case) {
            found.overwritten += 1;
            found.of_overwritten += usize::from(!is_last_equal);
        }
    }
    found
}

#[test]
fn two_entries_in_one_have_another_effect_in_some_history() {
    let near = count([NOW + 10, NOW + 30], &[NOW, NOW + 20, NOW + 40]);
    let ahead = NOW + AHEAD_MAX;
    let far = count([ahead + 10, ahead + 30], &[NOW, ahead, ahead + 20]);
    println!("clocks of the server: {near:?}; ahead of it: {far:?}");
    assert!(near.with_first_stamp > 0 && near.with_last_stamp > 0, "{near:?}");
    assert_eq!(near.of_overwritten, 0, "{near:?}");
    assert!(far.of_overwritten > 0, "{far:?}");
}
