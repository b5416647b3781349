//! The merge rules without an order of application: a property of the set of entries.
//!
//! - SY2 The fold equals this statement on every prefix, for any accepted entries. The order of
//!   elements is not part of it; the order of entries only says which target existed earlier.
//! - SY5 An object exists only if a Create knows all its Deletes.
//!
//! Written from docs/sync.md#merge-rules, not from code.

use super::{
    Anchor, ClassNumber, Content, Element, Kind, ListOperation, ObjectRef, Operation, SyncEntry,
};
use super::{PropertyNumber, Stamp, SyncValue, Visible};
use std::collections::{BTreeMap, BTreeSet};

/// One operation with the entry that holds it.
#[derive(Clone, Copy)]
struct Fact<'a> {
    entry: &'a SyncEntry,
    index: usize,
    operation: &'a Operation,
}

/// A set of entries, of which only knowledge and stamps count.
pub struct Statement<'a> {
    facts: Vec<Fact<'a>>,
}

impl Fact<'_> {
    fn knows(&self, other: &Self) -> bool {
        let author = |entry: &SyncEntry| (entry.client, entry.client_seq);
        if author(self.entry) == author(other.entry) {
            other.index < self.index
        } else {
            self.entry.knows(other.entry)
        }
    }

    fn order(&self) -> (Stamp, usize) {
        (self.entry.order(), self.index)
    }
}

impl<'a> Statement<'a> {
    /// Takes the entries of a history from its beginning.
    #[must_use]
    pub fn new(entries: &'a [SyncEntry]) -> Self {
        let of_entry = |entry: &'a SyncEntry| {
            let operations = entry.operations.iter().enumerate();
            operations.map(move |(index, operation)| Fact { entry, index, operation })
        };
        Self { facts: entries.iter().flat_map(of_entry).collect() }
    }

    /// Returns what an app reads; elements by id.
    #[must_use]
    pub fn visible(&self) -> Visible {
        let created = self.facts.iter().filter_map(|fact| {
            let Operation::Create(object) = fact.operation else { return None };
            Some(*object)
        });
        let objects: BTreeSet<ObjectRef> = created.filter(|object| self.exists(*object)).collect();
        objects.into_iter().map(|object| (object, self.object(object))).collect()
    }

    /// Some Create knows every Delete.
    fn exists(&self, object: ObjectRef) -> bool {
        self.facts.iter().any(|fact| self.creates(fact, object))
    }

    /// The operation knows every Delete of the object.
    fn survives(&self, fact: &Fact<'_>, object: ObjectRef) -> bool {
        let is_delete = |fact: &&Fact<'_>| *fact.operation == Operation::Delete(object);
        self.facts.iter().filter(is_delete).all(|delete| fact.knows(delete))
    }

    fn object(&self, object: ObjectRef) -> BTreeMap<PropertyNumber, Content> {
        let mut contents = BTreeMap::new();
        for fact in &self.facts {
            let Operation::AddProperty(class, property, kind) = *fact.operation else { continue };
            if class == object.class && self.earlier(fact, |other| adds_class(other, class)) {
                let content = match kind {
                    Kind::Int | Kind::Link => Content::Value(self.value(object, property)),
                    Kind::Counter => Content::Counter(self.sum(object, property)),
                    Kind::List => Content::List(self.elements(object, property)),
                };
                contents.insert(property, content);
            }
        }
        contents
    }

    /// The operation knows every Delete of its object; class, property and object existed earlier.
    fn counts(&self, fact: &Fact<'_>) -> bool {
        let (object, property) = match *fact.operation {
            Operation::Set(object, property, _)
            | Operation::Increment(object, property, _)
            | Operation::List(object, property, _) => (object, property),
            Operation::AddClass(..)
            | Operation::AddProperty(..)
            | Operation::Create(_)
            | Operation::Delete(_) => return true,
        };
        let fits = |kind: Kind| match *fact.operation {
            Operation::Set(_, _, value) => kind.holds(value),
            Operation::Increment(..) => kind == Kind::Counter,
            Operation::List(..)
            | Operation::AddClass(..)
            | Operation::AddProperty(..)
            | Operation::Create(_)
            | Operation::Delete(_) => kind == Kind::List,
        };
        let defines = |other: &Fact<'_>| {
            let Operation::AddProperty(class, p, kind) = *other.operation else { return false };
            (class, p) == (object.class, property)
                && fits(kind)
                && self.earlier(other, |first| adds_class(first, class))
        };
        let creates = |other: &Fact<'_>| self.creates(other, object);
        self.survives(fact, object) && self.earlier(fact, defines) && self.earlier(fact, creates)
    }

    fn creates(&self, fact: &Fact<'_>, object: ObjectRef) -> bool {
        *fact.operation == Operation::Create(object)
            && self.survives(fact, object)
            && self.earlier(fact, |other| adds_class(other, object.class))
    }

    /// Whether such an operation is earlier in the history.
    fn earlier(&self, fact: &Fact<'_>, is: impl Fn(&Fact<'_>) -> bool) -> bool {
        let place = (fact.entry.seq, fact.index);
        self.facts.iter().any(|other| (other.entry.seq, other.index) < place && is(other))
    }

    /// The greatest Set.
    fn value(&self, object: ObjectRef, property: PropertyNumber) -> SyncValue {
        let sets = self.facts.iter().filter_map(|fact| {
            let Operation::Set(o, p, value) = *fact.operation else { return None };
            ((o, p) == (object, property)).then_some((fact, value))
        });
        let counting = sets.filter(|(fact, _)| self.counts(fact));
        let greatest = counting.max_by_key(|(fact, _)| fact.order());
        let value = greatest.map(|(_, value)| value).unwrap_or_default();
        if self.leads(value) { value } else { SyncValue::Null }
    }

    /// The sum of the increments.
    fn sum(&self, object: ObjectRef, property: PropertyNumber) -> i64 {
        let increments = self.facts.iter().filter_map(|fact| {
            let Operation::Increment(o, p, by) = *fact.operation else { return None };
            ((o, p) == (object, property)).then_some((fact, by))
        });
        let counting = increments.filter(|(fact, _)| self.counts(fact));
        counting.fold(0, |sum, (_, by)| sum.wrapping_add(by))
    }

    /// The inserted elements that no operation removed, each with its greatest value.
    fn elements(&self, object: ObjectRef, property: PropertyNumber) -> Vec<(Element, SyncValue)> {
        let inserted: Vec<Element> =
            self.changes(object, property).filter_map(|(fact, _)| self.inserts(fact)).collect();
        let mut shown = Vec::new();
        for element in inserted {
            let removes = |(fact, change): (&Fact<'_>, ListOperation)| {
                change == ListOperation::Remove(element) && self.follows(fact, element)
            };
            if self.changes(object, property).any(removes) {
                continue;
            }
            let values = self.changes(object, property).filter_map(|(fact, change)| {
                let (ListOperation::Insert(of, _, value) | ListOperation::Set(of, value)) = change
                else {
                    return None;
                };
                let is_insert = matches!(change, ListOperation::Insert(..));
                let counts = of == element && (is_insert || self.follows(fact, element));
                counts.then_some((fact, value))
            });
            let greatest = values.max_by_key(|(fact, _)| fact.order());
            let value = greatest.map(|(_, value)| value).unwrap_or_default();
            if self.leads(value) {
                shown.push((element, value));
            }
        }
        shown.sort_by_key(|(element, _)| *element);
        shown
    }

    /// The changes of a list that count.
    fn changes(
        &self,
        object: ObjectRef,
        property: PropertyNumber,
    ) -> impl Iterator<Item = (&Fact<'a>, ListOperation)> {
        let changes = self.facts.iter().filter_map(move |fact| {
            let Operation::List(o, p, change) = *fact.operation else { return None };
            ((o, p) == (object, property)).then_some((fact, change))
        });
        changes.filter(|(fact, _)| self.counts(fact))
    }

    /// The element that an operation inserts: its anchor was inserted earlier into the same list,
    /// and the author knew no removal of it.
    fn inserts(&self, fact: &Fact<'_>) -> Option<Element> {
        let Operation::List(object, property, ListOperation::Insert(element, anchor, _)) =
            *fact.operation
        else {
            return None;
        };
        let (Anchor::After(next) | Anchor::Before(next)) = anchor else { return Some(element) };
        let is_known = |(remove, change): (&Fact<'_>, ListOperation)| {
            change == ListOperation::Remove(next)
                && remove.entry.seq <= fact.entry.base
                && self.follows(remove, next)
        };
        let exists = self.follows(fact, next) && !self.changes(object, property).any(is_known);
        exists.then_some(element)
    }

    /// Whether an element was inserted into the list of an operation before that.
    fn follows(&self, fact: &Fact<'_>, element: Element) -> bool {
        let Operation::List(object, property, _) = *fact.operation else { return false };
        self.earlier(fact, |other| {
            let Operation::List(o, p, _) = *other.operation else { return false };
            (o, p) == (object, property)
                && self.counts(other)
                && self.inserts(other) == Some(element)
        })
    }

    /// Whether a value is no link to an absent object.
    fn leads(&self, value: SyncValue) -> bool {
        !matches!(value, SyncValue::Link(target) if !self.exists(target))
    }
}

fn adds_class(fact: &Fact<'_>, class: ClassNumber) -> bool {
    matches!(fact.operation, Operation::AddClass(added, _) if *added == class)
}
