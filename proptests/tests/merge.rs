//! The merge of core against its model: every behaviour of a small domain, and random entries.
//!
//! - SY2 The fold equals the model's on every prefix, operation by operation.
//! - SY9 A purge at any horizon that the entries permit changes nothing visible.
//! - SY15 Applying any entry is total.

use fastness::table::{ObjectKey, Tables};
use fastness::{Store, StoreOptions};
use fastness_models::merge::behaviours::letters::{
    FOUNDER, INSERTS, LETTERS, LIST, MOVES, X, foundation,
};
use fastness_models::merge::behaviours::{Behaviour, Random, Space, garbage};
use fastness_models::merge::fold::State;
use fastness_models::merge::{self as model, Content, Kind, ListOperation, SyncEntry, SyncValue};
use fastness_sync::entry::{
    Anchor, Change, ElementId, Key, ObjectRef, Operation, PrimaryKey, PropertyType, Scalar,
    ScalarType, Value,
};
use fastness_sync::merge::{Author, Effect, Memory, Place, apply};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const CLASSES: [&str; 3] = ["zero", "one", "two"];
const PROPERTIES: [&str; 6] = ["number", "link", "counter", "list", "added", "more"];

/// How many times more behaviours to run than `cargo test` does by itself.
pub(crate) static EFFORT: LazyLock<u64> = LazyLock::new(|| {
    let effort = std::env::var("FASTNESS_MERGE").ok();
    effort.and_then(|effort| effort.parse().ok()).unwrap_or(1).max(1)
});

fn class(number: u8) -> &'static str {
    CLASSES[usize::from(number)]
}

fn target(object: model::ObjectRef) -> ObjectRef<'static> {
    ObjectRef { class: class(object.class), key: Key::Int(object.key.into()) }
}

fn place(object: model::ObjectRef, property: u8) -> Place<'static> {
    Place { target: target(object), property: PROPERTIES[usize::from(property)] }
}

const fn element(element: model::Element) -> ElementId {
    ElementId { author: element.author, number: element.number }
}

const fn anchor(anchor: model::Anchor) -> Anchor {
    match anchor {
        model::Anchor::Head => Anchor::Head,
        model::Anchor::After(to) => Anchor::After(element(to)),
        model::Anchor::Before(to) => Anchor::Before(element(to)),
    }
}

fn value(value: SyncValue) -> Value<'static> {
    match value {
        SyncValue::Null => Value::Null,
        SyncValue::Int(value) => Value::Int(value),
        SyncValue::Link(to) => Value::Link(target(to)),
    }
}

fn kind(kind: Kind) -> PropertyType<'static> {
    let int = Scalar { kind: ScalarType::Int, nullable: true };
    match kind {
        Kind::Int => PropertyType::Scalar(int),
        Kind::Link => PropertyType::Link(CLASSES[0]),
        Kind::Counter => PropertyType::Counter,
        Kind::List if LINKS.get() => PropertyType::LinkList(CLASSES[0]),
        Kind::List => PropertyType::List(int),
    }
}

pub(crate) fn operation(operation: &model::Operation) -> Operation<'static> {
    let change = |object: model::ObjectRef, property: u8, change| Operation::Change {
        target: target(object),
        property: PROPERTIES[usize::from(property)],
        change,
    };
    match *operation {
        model::Operation::AddClass(number, _) => {
            let key = PrimaryKey { property: "id", is_string: false, nullable: false };
            Operation::AddClass { class: class(number), primary_key: Some(key) }
        }
        model::Operation::AddProperty(number, property, of) => Operation::AddProperty {
            class: class(number),
            property: PROPERTIES[usize::from(property)],
            kind: kind(of),
        },
        model::Operation::Create(object) => Operation::Create(target(object)),
        model::Operation::Delete(object) => Operation::Delete(target(object)),
        model::Operation::Set(object, property, to) => {
            change(object, property, Change::Set(value(to)))
        }
        model::Operation::Increment(object, property, by) => {
            change(object, property, Change::Increment(by))
        }
        model::Operation::List(object, property, of) => change(object, property, list_change(of)),
    }
}

fn list_change(change: ListOperation) -> Change<'static> {
    match change {
        ListOperation::Insert(id, at, to) => {
            let (element, anchor, value) = (element(id), anchor(at), value(to));
            Change::ListInsert { element, anchor, value }
        }
        ListOperation::Set(id, to) => Change::ListSet { element: element(id), value: value(to) },
        ListOperation::Remove(id) => Change::ListRemove { element: element(id) },
        ListOperation::Move(id, at) => {
            Change::ListMove { element: element(id), anchor: anchor(at) }
        }
    }
}

const fn effect(effect: model::Effect) -> Effect {
    match effect {
        model::Effect::Applied => Effect::Applied,
        model::Effect::Unchanged => Effect::Unchanged,
        model::Effect::Absent => Effect::Absent,
        model::Effect::Deleted => Effect::Deleted,
        model::Effect::Overridden => Effect::Overridden,
    }
}

thread_local! {
    /// Whether lists hold links, and not numbers.
    static LINKS: Cell<bool> = const { Cell::new(false) };
}

/// Lists of the model hold numbers and links; those of core hold one type. And a link leads to an
/// object of one class.
pub(crate) fn typed(entry: &SyncEntry) -> SyncEntry {
    let of_list = |value: &mut SyncValue| match (*value, LINKS.get()) {
        (SyncValue::Link(to), false) => *value = SyncValue::Int(-1 - i64::from(to.key)),
        (SyncValue::Link(to), true) => {
            *value = SyncValue::Link(model::ObjectRef { class: 0, key: to.key });
        }
        (SyncValue::Int(_) | SyncValue::Null, true) => {
            let number = if let SyncValue::Int(number) = *value { number } else { 0 };
            let key = u8::from(number.rem_euclid(2) == 1);
            *value = SyncValue::Link(model::ObjectRef { class: 0, key });
        }
        (SyncValue::Int(_) | SyncValue::Null, false) => {}
    };
    let mut entry = entry.clone();
    for operation in &mut entry.operations {
        if let model::Operation::List(_, _, ListOperation::Insert(_, _, value))
        | model::Operation::List(_, _, ListOperation::Set(_, value)) = operation
        {
            of_list(value);
        } else if let model::Operation::Set(_, _, SyncValue::Link(to)) = operation {
            to.class = 0;
        }
    }
    entry
}

pub(crate) fn author(entry: &SyncEntry) -> Author {
    let &SyncEntry { seq, client, client_seq, base, stamp, .. } = entry;
    Author { seq, client, client_seq, base, stamp }
}

/// A state of core, as the model shows it.
pub(crate) trait Core {
    fn apply(&mut self, author: &Author, operation: Operation<'_>) -> Effect;
    fn purge(&mut self, horizon: u64);
    fn keys(&self, class: &str) -> Vec<i64>;
    fn value(&self, place: Place<'_>) -> SyncValue;
    fn counter(&self, place: Place<'_>) -> i64;
    fn elements(&self, place: Place<'_>) -> Vec<(model::Element, SyncValue)>;
    fn anchor(&self, place: Place<'_>, index: usize) -> Anchor;
}

fn shown(value: Value<'_>) -> SyncValue {
    if let Value::Int(value) = value {
        return SyncValue::Int(value);
    }
    let Value::Link(ObjectRef { class, key: Key::Int(key) }) = value else {
        return SyncValue::Null;
    };
    let class = CLASSES.iter().position(|name| *name == class).unwrap();
    let object =
        model::ObjectRef { class: u8::try_from(class).unwrap(), key: u8::try_from(key).unwrap() };
    SyncValue::Link(object)
}

impl Core for Memory {
    fn apply(&mut self, author: &Author, operation: Operation<'_>) -> Effect {
        let Ok(effect) = apply(self, author, operation);
        effect
    }

    fn purge(&mut self, horizon: u64) {
        self.purge(horizon);
    }

    fn keys(&self, class: &str) -> Vec<i64> {
        let number = |key| if let Key::Int(key) = key { key } else { i64::MAX };
        self.keys(class).map(number).collect()
    }

    fn value(&self, place: Place<'_>) -> SyncValue {
        shown(self.value(place))
    }

    fn counter(&self, place: Place<'_>) -> i64 {
        self.counter(place)
    }

    fn elements(&self, place: Place<'_>) -> Vec<(model::Element, SyncValue)> {
        let id = |id: ElementId| model::Element { author: id.author, number: id.number };
        self.elements(place).map(|(of, value)| (id(of), shown(value))).collect()
    }

    fn anchor(&self, place: Place<'_>, index: usize) -> Anchor {
        self.anchor(place, index)
    }
}

impl Core for TableState<'_> {
    fn apply(&mut self, author: &Author, operation: Operation<'_>) -> Effect {
        apply(self, author, operation).unwrap()
    }

    fn purge(&mut self, horizon: u64) {
        self.purge(horizon).unwrap();
    }

    fn keys(&self, class: &str) -> Vec<i64> {
        let keys = self.tables().object_keys(class, None).unwrap();
        let number = |key| if let ObjectKey::Int(key) = key { key } else { i64::MAX };
        keys.into_iter().map(number).collect()
    }

    fn value(&self, place: Place<'_>) -> SyncValue {
        self.value_of(place, &mut |value| shown(value)).unwrap().unwrap_or_default()
    }

    fn counter(&self, place: Place<'_>) -> i64 {
        match Core::value(self, place) {
            SyncValue::Int(sum) => sum,
            SyncValue::Null | SyncValue::Link(_) => 0,
        }
    }

    fn elements(&self, place: Place<'_>) -> Vec<(model::Element, SyncValue)> {
        let mut found = Vec::new();
        self.each_element(place, &mut |id, value| {
            found.push((model::Element { author: id.author, number: id.number }, shown(value)));
        })
        .unwrap();
        found
    }

    fn anchor(&self, place: Place<'_>, index: usize) -> Anchor {
        self.anchor_at(place, index).unwrap()
    }
}

/// One of so many behaviours runs in tables too.
const TABLES_EVERY: u64 = 16;

static STORE: LazyLock<Store> = LazyLock::new(|| StoreOptions::new().in_memory().unwrap());

/// Calls `body` with an empty state in tables, which is undone.
fn in_tables(body: impl FnOnce(&mut TableState<'_>)) {
    let mut tables = Tables::open(STORE.write().unwrap(), "main").unwrap();
    body(&mut TableState::new(&mut tables, WINDOW_TREE));
}

/// Folds a history in core, in memory and in tables, and in the model, and compares them after each
/// entry; then again with a purge of core at each horizon that the rest of the history permits.
fn agrees(history: &[SyncEntry], with_tables: bool, effects: &mut BTreeSet<Effect>) {
    for links in [false, true].into_iter().take(1 + usize::from(with_tables)) {
        LINKS.set(links);
        let history: Vec<SyncEntry> = history.iter().map(typed).collect();
        for purge_at in 0..=history.len() {
            agrees_with(&mut Memory::default(), &history, purge_at, effects);
            if with_tables {
                in_tables(|tables| agrees_with(tables, &history, purge_at, effects));
            }
        }
    }
    LINKS.set(false);
}

fn agrees_with(
    core: &mut impl Core,
    history: &[SyncEntry],
    purge_at: usize,
    effects: &mut BTreeSet<Effect>,
) {
    let mut model = State::new(None);
    for (index, entry) in history.iter().enumerate() {
        let expected = model.apply(entry);
        for (of, expected) in entry.operations.iter().zip(expected) {
            let found = core.apply(&author(entry), operation(of));
            effects.insert(found);
            let purged = purge_at < index;
            assert!(purged || found == effect(expected), "SY2: {of:?} is {found:?}");
        }
        compare(core, &model, purge_at < index);
        if index == purge_at {
            let rest = history[index + 1..].iter().map(|entry| entry.base).min();
            core.purge(rest.unwrap_or(entry.seq).min(entry.seq));
            compare(core, &model, true);
        }
    }
}

/// Compares what is visible, and the anchors of an author unless core forgot removed elements.
pub(crate) fn compare(core: &impl Core, model: &State, is_purged: bool) {
    let visible = model.visible();
    for (number, class) in (0..).zip(CLASSES) {
        let mut keys = core.keys(class);
        keys.sort_unstable();
        let of_class = visible.keys().filter(|object| object.class == number);
        let expected: Vec<i64> = of_class.map(|object| object.key.into()).collect();
        assert_eq!(keys, expected, "SY2: objects");
    }
    for (object, contents) in &visible {
        for (property, content) in contents {
            let place = place(*object, *property);
            match content {
                Content::Value(expected) => {
                    assert_eq!(core.value(place), *expected, "SY2: {place:?}");
                }
                Content::Counter(expected) => {
                    assert_eq!(core.counter(place), *expected, "SY2: {place:?}");
                }
                Content::List(expected) => {
                    assert_eq!(core.elements(place), *expected, "SY2: {place:?}");
                    for index in (0..=expected.len()).filter(|_| !is_purged) {
                        let expected = anchor(model.anchor(*object, *property, index));
                        assert_eq!(core.anchor(place, index), expected, "MR5: anchor at {index}");
                    }
                }
            }
        }
    }
}

#[test]
fn core_and_model_agree_on_every_behaviour_of_the_small_domain() {
    let (mut count, mut effects) = (0_u64, BTreeSet::new());
    let spaces =
        [(2, LETTERS, 5), (3, LETTERS, 4001), (4, INSERTS, 401), (3, MOVES, 7), (2, MOVES, 1)];
    for (steps, letters, stride) in spaces {
        let space = Space { steps, letters };
        let stride = usize::try_from((stride / *EFFORT).max(1)).unwrap();
        for index in (0..space.size()).step_by(stride) {
            if let (Some(Behaviour { server, .. }), _) = space.run(index, None) {
                agrees(&server.history, count % TABLES_EVERY == 0, &mut effects);
                count += 1;
            }
        }
    }
    println!("core and model agree on {count} behaviours");
    assert_eq!(effects.len(), 5, "{effects:?}");
    assert!(count > 5_000, "{count}");
}

#[test]
fn core_and_model_agree_on_entries_that_no_author_writes() {
    for seed in 1..=500 * *EFFORT {
        agrees(&garbage::run(seed, None).server.history, true, &mut BTreeSet::new());
    }
}

/// Elements of a long list.
const LONG: u64 = 14;

/// Returns a history in which one author removes elements of a long list in a random order, and
/// another one, who knows of none of that, inserts after some of them.
fn removals(seed: u64) -> Vec<SyncEntry> {
    let random = &mut Random::new(seed);
    let founder = foundation(false);
    let (mut history, mut last) = (vec![founder], 3);
    let mut push = |client: u32, base: u64, change: ListOperation| {
        let seq = u64::try_from(history.len()).unwrap() + 1;
        let operations = vec![model::Operation::List(X, LIST, change)];
        history.push(SyncEntry { seq, client, client_seq: seq, base, stamp: seq, operations });
    };
    let of_founder = |number| model::Element { author: FOUNDER, number };
    let after = |number| model::Anchor::After(of_founder(number));
    while last < LONG {
        let insert = ListOperation::Insert(of_founder(last + 1), after(last), SyncValue::Null);
        push(FOUNDER, last - 2, insert);
        last += 1;
    }
    let known = LONG - 2;
    let mut left: Vec<u64> = (1..=LONG).collect();
    for number in 0..LONG * 2 {
        if random.below(3) > 0 && !left.is_empty() {
            let at = usize::try_from(random.below(left.len() as u64)).unwrap();
            push(FOUNDER, known + number, ListOperation::Remove(of_founder(left.remove(at))));
        } else {
            let id = model::Element { author: 2, number: number + 1 };
            let at = after(random.below(LONG) + 1);
            push(2, known, ListOperation::Insert(id, at, SyncValue::Int(1)));
        }
    }
    history
}

#[test]
fn core_and_model_agree_on_the_order_of_many_removed_elements() {
    for seed in 1..=60 * *EFFORT {
        let history = removals(seed);
        in_tables(|tables| agrees_with(tables, &history, history.len(), &mut BTreeSet::new()));
        let memory = &mut Memory::default();
        agrees_with(memory, &history, history.len(), &mut BTreeSet::new());
    }
}
