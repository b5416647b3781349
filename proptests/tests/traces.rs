//! Recorded editing sessions through the merge: two people who typed at once end in the text that
//! was recorded. No two of their inserts meet at one place, so every right merge must.
//!
//! - SY1 Replicas that have applied the same history show the same state.
//! - SY6 What an author typed stays where the author typed it.

use fastness_sync::entry::{
    Anchor, Change, ElementId, Key, ObjectRef, Operation, PrimaryKey, PropertyType, Scalar,
    ScalarType, Value,
};
use fastness_sync::merge::{Author, Effect, Memory, Place, apply};

const TRACE: &str = include_str!("../data/two_people_typing.jsonl");
const DOCUMENT: ObjectRef<'_> = ObjectRef { class: "Document", key: Key::Int(1) };
const TEXT: Place<'_> = Place { target: DOCUMENT, property: "text" };

/// A transaction of one of the two.
struct Typed {
    person: usize,
    /// How many transactions of the other person it had seen.
    seen: usize,
    patches: Vec<(usize, usize, String)>,
}

/// An entry of the history.
struct Sequenced {
    author: Author,
    changes: Vec<Change<'static>>,
}

fn trace() -> (String, Vec<Typed>) {
    let mut lines = TRACE.lines();
    let text = serde_json::from_str(lines.next().unwrap()).unwrap();
    let typed = lines.map(|line| {
        let (person, seen, patches) = serde_json::from_str(line).unwrap();
        Typed { person, seen, patches }
    });
    (text, typed.collect())
}

/// The state before anybody typed.
fn empty() -> Memory {
    let key = PrimaryKey { property: "id", is_string: false, nullable: false };
    let scalar = Scalar { kind: ScalarType::Int, nullable: false };
    let founder = Author { seq: 1, client: 9, client_seq: 1, base: 0, stamp: 1 };
    let mut state = Memory::default();
    let class = DOCUMENT.class;
    for operation in [
        Operation::AddClass { class, primary_key: Some(key) },
        Operation::AddProperty { class, property: "text", kind: PropertyType::List(scalar) },
        Operation::Create(DOCUMENT),
    ] {
        assert_eq!(apply(&mut state, &founder, operation), Ok(Effect::Applied));
    }
    state
}

fn merge(state: &mut Memory, author: &Author, change: Change<'_>) {
    let operation = Operation::Change { target: DOCUMENT, property: "text", change };
    let effect = apply(state, author, operation);
    // Both may have removed a letter.
    let is_twice = matches!(change, Change::ListRemove { .. }) && effect == Ok(Effect::Unchanged);
    assert!(is_twice || effect == Ok(Effect::Applied), "{change:?}: {effect:?}");
}

/// One of the two, with the text as it sees it.
struct Person {
    view: Memory,
    /// Transactions of the other person that it has applied.
    seen: usize,
    elements: u64,
    client_seq: u64,
}

impl Person {
    /// Writes a transaction in its view.
    fn write(&mut self, typed: &Typed, author: &Author) -> Vec<Change<'static>> {
        let mut changes = Vec::new();
        for (position, deleted, inserted) in &typed.patches {
            for _ in 0..*deleted {
                let (element, _) =
                    self.view.element_at(TEXT, *position).expect("the text is as long");
                self.change(author, Change::ListRemove { element }, &mut changes);
            }
            for (at, letter) in inserted.chars().enumerate() {
                let anchor = self.view.anchor(TEXT, position + at);
                self.elements += 1;
                let element = ElementId { author: author.client, number: self.elements };
                let value = Value::Int(u32::from(letter).into());
                let insert = Change::ListInsert { element, anchor, value };
                self.change(author, insert, &mut changes);
            }
        }
        changes
    }

    fn change(
        &mut self,
        author: &Author,
        change: Change<'static>,
        changes: &mut Vec<Change<'static>>,
    ) {
        merge(&mut self.view, author, change);
        changes.push(change);
    }
}

fn text(state: &Memory) -> String {
    let letters = state.elements(TEXT).map(|(_, value)| {
        let Value::Int(letter) = value else { unreachable!("only letters are inserted") };
        char::from_u32(u32::try_from(letter).unwrap()).unwrap()
    });
    letters.collect()
}

#[test]
fn two_people_who_type_at_once_end_in_the_recorded_text() {
    let (expected, trace) = trace();
    let person = || Person { view: empty(), seen: 0, elements: 0, client_seq: 0 };
    let mut people = [person(), person()];
    let mut history: Vec<Sequenced> = Vec::new();
    // The place in the history of each transaction of each person.
    let mut places: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    for typed in &trace {
        let (own, other) = (typed.person, 1 - typed.person);
        let writer = &mut people[own];
        // No two inserts meet, so its own pending ones may come first.
        for place in &places[other][writer.seen..typed.seen] {
            let Sequenced { author, changes } = &history[*place];
            changes.iter().for_each(|change| merge(&mut writer.view, author, *change));
        }
        writer.seen = typed.seen;
        writer.client_seq += 1;
        let last = typed.seen.checked_sub(1).map(|last: usize| places[other][last]);
        let last = last.map(|place: usize| history[place].author.seq);
        let seq = history.len() as u64 + 2;
        let client = u32::try_from(own).unwrap() + 1;
        let (client_seq, base) = (writer.client_seq, last.unwrap_or(1));
        let author = Author { seq, client, client_seq, base, stamp: seq };
        let changes = writer.write(typed, &author);
        places[own].push(history.len());
        history.push(Sequenced { author, changes });
    }
    let mut server = empty();
    for Sequenced { author, changes } in &history {
        changes.iter().for_each(|change| merge(&mut server, author, *change));
    }
    assert!(text(&server) == expected, "SY6: the merged text is not the recorded one");
    assert!(history.iter().any(|entry| {
        entry
            .changes
            .iter()
            .any(|change| matches!(change, Change::ListInsert { anchor: Anchor::Before(_), .. }))
    }));
}
