//! The table of pairs in docs/sync.md: for each two kinds of operations that do not know each
//! other, on the same object, property or element, the outcome by the model in every order of the
//! history and of the stamps.
//!
//! - SY2 The fold does what the page says.

use fastness_models::merge::fold::State;
use fastness_models::merge::{
    Anchor, Client, Element, Kind, ListOperation, ObjectRef, Operation, Schema, SyncEntry,
    SyncValue, Visible,
};

const PAGE: &str = include_str!("../../../docs/sync.md");

const OBJECT: ObjectRef = ObjectRef { class: 0, key: 0 };
const MIDDLE: Element = Element { author: 9, number: 2 };
const NUMBER: u8 = 0;
const COUNTER: u8 = 1;
const LIST: u8 = 2;
const ADDED: u8 = 3;

/// Kinds of operations, in the order of the table.
const NAMES: [&str; 9] = [
    "AddProperty",
    "Create",
    "Delete",
    "Set",
    "Increment",
    "ListInsert",
    "ListSet",
    "ListRemove",
    "ListMove",
];

/// The visible state, and the definitions.
type Shown = (Visible, Schema);

/// An operation of a kind by a client, with a value of its own.
fn operation(name: &str, client: Client) -> Operation {
    let value = i64::from(client);
    let list = |change| Operation::List(OBJECT, LIST, change);
    let element = |number| Element { author: 9, number };
    match name {
        "AddProperty" => Operation::AddProperty(0, ADDED, Kind::Int),
        "Create" => Operation::Create(OBJECT),
        "Delete" => Operation::Delete(OBJECT),
        "Set" => Operation::Set(OBJECT, NUMBER, SyncValue::Int(value)),
        "Increment" => Operation::Increment(OBJECT, COUNTER, value),
        "ListInsert" => {
            let new = Element { author: client, number: 1 };
            list(ListOperation::Insert(new, Anchor::After(MIDDLE), SyncValue::Int(value)))
        }
        "ListSet" => list(ListOperation::Set(MIDDLE, SyncValue::Int(value))),
        "ListRemove" => list(ListOperation::Remove(MIDDLE)),
        _ => {
            let anchor = if client == 1 { Anchor::Head } else { Anchor::After(element(4)) };
            list(ListOperation::Move(MIDDLE, anchor))
        }
    }
}

/// An object with a list of four elements.
fn foundation() -> SyncEntry {
    let mut operations = vec![
        Operation::AddClass(0, 0),
        Operation::AddProperty(0, NUMBER, Kind::Int),
        Operation::AddProperty(0, COUNTER, Kind::Counter),
        Operation::AddProperty(0, LIST, Kind::List),
        Operation::Create(OBJECT),
    ];
    for number in (1..=4).rev() {
        let new = Element { author: 9, number };
        let insert = ListOperation::Insert(new, Anchor::Head, SyncValue::Int(0));
        operations.push(Operation::List(OBJECT, LIST, insert));
    }
    SyncEntry { seq: 1, client: 9, client_seq: 1, base: 0, stamp: 1, operations }
}

fn shown(entries: &[SyncEntry]) -> Shown {
    let mut state = State::new(None);
    entries.iter().for_each(|entry| drop(state.apply(entry)));
    (state.visible(), state.schema().clone())
}

/// The entries behind the foundation, the given one with the given stamp first.
fn history(order: &[(&str, Client, u64)], is_known: bool) -> Shown {
    let mut entries = vec![foundation()];
    for (seq, (name, client, stamp)) in (2..).zip(order) {
        let base = if is_known { seq - 1 } else { 1 };
        let (client, stamp, operations) = (*client, *stamp, vec![operation(name, *client)]);
        entries.push(SyncEntry { seq, client, client_seq: 1, base, stamp, operations });
    }
    shown(&entries)
}

/// Returns in words how two operations end that do not know each other.
fn outcome(first: &str, second: &str) -> String {
    let alone = [history(&[(first, 1, 9)], true), history(&[(second, 2, 9)], true)];
    let before = shown(&[foundation()]);
    // Results by the order of the history, and by which of them has the greater stamp.
    let run = |is_swapped: bool, greater: usize| {
        let stamps = if greater == 0 { [9, 8] } else { [8, 9] };
        let mut order = [(first, 1, stamps[0]), (second, 2, stamps[1])];
        if is_swapped {
            order.reverse();
        }
        history(&order, false)
    };
    let results = [[run(false, 0), run(true, 0)], [run(false, 1), run(true, 1)]];
    let all = |expected: &Shown| results.iter().flatten().all(|result| result == expected);
    let known = [
        history(&[(first, 1, 8), (second, 2, 9)], true),
        history(&[(second, 2, 8), (first, 1, 9)], true),
    ];
    if alone[0] == alone[1] && all(&alone[0]) {
        "same".to_owned()
    } else if (0..2).all(|greater| results[greater].iter().all(|it| *it == alone[greater])) {
        "later stamp".to_owned()
    } else if (first, second) == ("Create", "Delete") && all(&alone[1]) {
        // The object exists already, so the creation by itself shows nothing.
        "Delete wins".to_owned()
    } else if all(&known[0]) && all(&known[1]) {
        // The order does not matter. An operation without an effect of its own is no loser.
        let loser = (0..2).find(|at| all(&alone[1 - at]) && alone[*at] != before);
        loser.map_or_else(|| "both".to_owned(), |at| format!("{} wins", [second, first][at]))
    } else if results.iter().all(|of_stamp| {
        of_stamp[0] != of_stamp[1] && of_stamp.iter().zip(&known).all(|(it, known)| it == known)
    }) {
        "both, in order".to_owned()
    } else {
        // The result is that of one order, whatever the history says.
        let is_both = known.iter().any(|known| all(known) && !alone.contains(known));
        if is_both { "both".to_owned() } else { "?".to_owned() }
    }
}

fn table() -> String {
    let mut text = format!("| | {} |\n|---|{}\n", NAMES.join(" | "), "---|".repeat(NAMES.len()));
    for (at, row) in NAMES.iter().enumerate() {
        let cells = NAMES
            .iter()
            .enumerate()
            .map(|(column, name)| if column < at { String::new() } else { outcome(row, name) });
        text.push_str(&format!("| {row} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    text
}

#[test]
fn the_page_says_what_becomes_of_every_pair() {
    let table = table();
    assert!(PAGE.contains(&table), "docs/sync.md does not have this table:\n{table}");
}
