//! Walks of a query: the objects that meet its condition, in the order of their keys or of a
//! property.
//!
//! - Q4 A query visits at most one and a half times the objects and index entries that a full scan
//!   visits, and a constant number more.
//!
//! The number of objects that a range of an index names is not known before the range is walked. A
//! query for all results walks the index up to a share of the objects, and then decides. A query
//! that may stop early takes turns between the index and all objects, until one of the two ends.
//!
//! Specification: docs/objects.md#queries. Check: tests of core, guards.

use super::compiled::Compiled;
use super::query::{Hit, Query};
use super::query_plan::{Bounds, InOrder, KeyWalk, Narrow, Order, QueryPlan, VisitObject, narrow};
use super::visits::{OBJECT, count};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::table::index::{is_shortened, object, value_prefix, without_null};
use crate::table::limits::limits;
use crate::table::{
    Column, ColumnPlace, ColumnRef, ObjectKey, RecordRef, Value, after as after_prefix,
};

/// How many objects that an index names are looked for together.
const KEYS_AT_ONCE: usize = 16;

/// How much more a query spends on all objects than on an index, when it takes turns between them.
const OBJECTS_PER_INDEX_TURN: usize = 2;

/// An index that names more than this share of the objects is no help.
const SHARE: u64 = 4;

impl<'a> Query<'a> {
    fn plan_of(&self, condition: Option<&Compiled<'a>>) -> Option<Narrow<'a>> {
        condition.filter(|_| !self.scan).and_then(narrow)
    }

    /// Tells how the objects are found.
    pub(super) fn chosen(&self) -> Result<QueryPlan> {
        let condition = self.condition()?;
        let way = self.plan_of(condition.as_ref());
        if let Some(in_order) = self.limited_order()?
            && self.may_walk_in_order(way.as_ref(), in_order.column)
        {
            let property = in_order.column.name().to_owned();
            return Ok(match &self.window.after {
                Some(_) => QueryPlan::OrderAfter { property },
                None => QueryPlan::Order { property },
            });
        }
        let Some(way) = way else {
            let is_part = self.first_key().is_some();
            return Ok(if is_part { QueryPlan::KeysAfter } else { QueryPlan::All });
        };
        let plan = way.plan();
        let property = way.ranges.first().map(|range| range.hop.column.name().to_owned());
        let Some(property) = property.filter(|_| way.only_objects().is_none()) else {
            return Ok(plan);
        };
        if self.may_stop_early() {
            return Ok(if way.is_ordered { plan } else { QueryPlan::IndexOrAll { property } });
        }
        let is_small = way.walk(self.view()).read(self.most_entries())?;
        Ok(if is_small { plan } else { QueryPlan::AllOfMany { property } })
    }

    /// Tells whether a visitor may end a walk in the order of keys.
    fn may_stop_early(&self) -> bool {
        self.window.limit.is_some() && self.sort.is_empty() && self.distinct.is_empty()
    }

    /// Returns how many entries of an index are walked at most.
    fn most_entries(&self) -> usize {
        usize::try_from(self.objects.len() / SHARE)
            .unwrap_or(usize::MAX)
            .max(limits().index_entries)
    }

    /// Visits every object that meets the condition, in the order of keys, until the visitor stops
    /// it.
    pub(super) fn each(&self, body: &mut VisitObject<'_>) -> Result<()> {
        let condition = self.condition()?;
        let mut walk = ObjectWalk { query: self, condition: condition.as_ref(), body };
        let Some(way) = self.plan_of(condition.as_ref()) else {
            return walk.all(&self.all_keys(), usize::MAX).map(drop);
        };
        if let Some(bounds) = way.only_objects() {
            let bounds = bounds.clone().and(&self.all_keys());
            return walk.all(&bounds, usize::MAX).map(drop);
        }
        let mut keys = way.walk(self.view());
        if self.may_stop_early() && !fault::on(Fault::Ob18) {
            return match way.is_ordered {
                true => walk.named_at_once(&mut keys),
                false => walk.in_turns(&mut keys),
            };
        }
        let most = fault::object::whole_range(self.most_entries());
        match keys.read(most)? {
            true => walk.named(&keys.take()).map(drop),
            false => walk.all(&self.all_keys(), usize::MAX).map(drop),
        }
    }

    /// Returns the first key that can be a result, if the results are in the order of keys behind
    /// a position.
    fn first_key(&self) -> Option<Vec<u8>> {
        let after = self.window.after.as_ref().filter(|_| !self.scan)?;
        let is_by_key = self.sort.is_empty() && self.distinct.is_empty();
        is_by_key.then(|| behind(after.key.to_bytes().to_vec()))
    }

    /// Returns the keys of all objects that can be results.
    fn all_keys(&self) -> Bounds {
        Bounds::from(self.first_key().unwrap_or_default())
    }

    /// Returns the property that sorts the results, if a walk in its order may stop early.
    fn limited_order(&self) -> Result<Option<InOrder<'a>>> {
        let ([(path, order)], true) = (&self.sort[..], self.distinct.is_empty()) else {
            return Ok(None);
        };
        let path = self.sortable(path)?;
        let ([hop], Some(1..)) = (&path[..], self.window.limit) else { return Ok(None) };
        Ok(Some(InOrder { column: hop.column, order: *order, without_null: false }))
    }

    /// Tells whether a walk in the order of a property is a plan: it has an index, and no other
    /// plan names few objects.
    fn may_walk_in_order(&self, way: Option<&Narrow<'a>>, column: &Column) -> bool {
        let is_in_order = column.place == ColumnPlace::Key || column.has_index_tree();
        is_in_order && !self.scan && way.is_none_or(|way| !way.is_selective())
    }

    /// Returns the keys of the first objects behind a position in the order of the results, if a
    /// walk in that order finds them soon.
    pub(super) fn first_in_order(&self, after: Option<&Hit>) -> Result<Option<Vec<ObjectKey>>> {
        let Some(in_order) = self.limited_order()? else { return Ok(None) };
        let (most, view) = (self.window.most(), self.view());
        let path = vec![ColumnRef::new(self.objects.table, in_order.column)];
        let mut found = Vec::new();
        let is_done = self.in_order(in_order, &mut |row| {
            let key = match after {
                // The walk may begin before the position.
                Some(after) => {
                    let hit = view.hit(&[&path], row)?;
                    self.place(&hit, after).is_gt().then_some(hit.key)
                }
                None => {
                    Some(ObjectKey::from_bytes(row.key).ok_or_else(|| view.tables.malformed())?)
                }
            };
            found.extend(key);
            Ok(found.len() < most)
        })?;
        self.window.cut(&mut found);
        Ok(is_done.then_some(found))
    }

    /// Returns the entries, of an index or of objects, behind the position.
    fn entries_behind(&self, in_order: InOrder<'_>) -> Bounds {
        let Some(after) = self.window.after.as_ref() else { return Bounds::from(Vec::new()) };
        let key = after.key.to_bytes().to_vec();
        let is_ascending = in_order.order == Order::Ascending;
        if in_order.column.place == ColumnPlace::Key {
            return match is_ascending {
                true => Bounds::from(behind(key)),
                false => Bounds::from(Vec::new()).before(key),
            };
        }
        let value = after.values.first().unwrap_or(&Value::Null);
        let at = value_prefix(value);
        match is_ascending {
            // An index does not distinguish long strings with one beginning.
            true if is_shortened(in_order.column.kind(), &at) => Bounds::from(at),
            true => Bounds::from(behind([at, key].concat())),
            // Objects of one value are in the order of their keys here too.
            false => Bounds { from: Vec::new(), to: after_prefix(&at) },
        }
    }

    /// Returns the entries of a value behind the position, if this is at that value.
    fn entries_of(&self, in_order: InOrder<'_>, value: &[u8]) -> Bounds {
        let after = self.window.after.as_ref().filter(|after| {
            let at = value_prefix(after.values.first().unwrap_or(&Value::Null));
            at == value && !is_shortened(in_order.column.kind(), value)
        });
        let from = after.map(|after| behind([value, &after.key.to_bytes()[..]].concat()));
        Bounds::from(from.unwrap_or_default())
    }

    /// Visits the objects that meet the condition in the order of a property, until the visitor
    /// stops it; tells whether it did all that was asked. Otherwise there are better plans.
    pub(super) fn in_order(
        &self,
        in_order: InOrder<'a>,
        body: &mut VisitObject<'_>,
    ) -> Result<bool> {
        let condition = self.condition()?;
        let way = self.plan_of(condition.as_ref());
        if !self.may_walk_in_order(way.as_ref(), in_order.column) {
            return Ok(false);
        }
        // A range of the same property is walked alone.
        let number = in_order.column.number;
        let range = way.and_then(|way| match &way.ranges[..] {
            [range] if range.hop.column.number == number => Some(range.bounds.clone()),
            _ => None,
        });
        let least = if in_order.without_null { without_null() } else { Vec::new() };
        let bounds = range.unwrap_or_else(|| Bounds::from(least));
        let bounds = bounds.and(&self.entries_behind(in_order));
        let mut walk = ObjectWalk { query: self, condition: condition.as_ref(), body };
        // Keys of objects need no index, so a walk in their order is never worse than a scan.
        let is_key = in_order.column.place == ColumnPlace::Key;
        let most = if is_key { usize::MAX } else { self.most_entries() };
        match (in_order.column.place, in_order.order) {
            (ColumnPlace::Key, Order::Ascending) => walk.all(&bounds, most),
            (ColumnPlace::Key, Order::Descending) => walk.backwards(&bounds, most),
            (_, Order::Ascending) => {
                let mut left = most;
                walk.values(in_order, &bounds, &mut left).map(Walked::is_done)
            }
            (_, Order::Descending) => walk.values_backwards(in_order, bounds, most),
        }
    }
}

/// Returns the least key behind one.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// How a part of a walk ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walked {
    /// Behind the last entry.
    ToTheEnd,
    /// The visitor stopped it.
    Stopped,
    /// It visited as many as it may.
    Exhausted,
}

impl Walked {
    fn is_done(self) -> bool {
        self != Self::Exhausted
    }
}

/// A walk over objects, of which those that meet the condition are visited.
struct ObjectWalk<'w, 'a, 'b> {
    query: &'w Query<'a>,
    condition: Option<&'w Compiled<'a>>,
    body: &'w mut VisitObject<'b>,
}

impl<'a> ObjectWalk<'_, 'a, '_> {
    /// Visits an object if it meets the condition; tells whether to go on.
    fn visit(&mut self, row: RecordRef<'_>) -> Result<bool> {
        count(OBJECT);
        let meets = match self.condition {
            Some(condition) => condition.meets(&self.query.view(), row)?,
            None => true,
        };
        if meets { (self.body)(row) } else { Ok(true) }
    }

    /// Walks objects in the order of their keys; tells whether it was not too many.
    fn all(&mut self, bounds: &Bounds, most: usize) -> Result<bool> {
        let mut range = self.query.objects.tree.range(bounds.range())?;
        let mut left = most;
        while let Some((key, record)) = range.next_ref()? {
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            if !self.visit(RecordRef { key, record })? {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Walks objects against the order of their keys; tells whether it was not too many.
    fn backwards(&mut self, bounds: &Bounds, most: usize) -> Result<bool> {
        let range = self.query.objects.tree.range(bounds.range())?;
        for (index, entry) in range.rev().enumerate() {
            let (key, record) = entry?;
            if index >= most {
                return Ok(false);
            }
            if !self.visit(RecordRef { key: &key, record: &record })? {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Looks for the objects with some keys; tells whether to go on.
    fn named(&mut self, keys: &[Vec<u8>]) -> Result<bool> {
        for keys in keys.chunks(KEYS_AT_ONCE) {
            self.query.objects.tree.prefetch(keys);
            for key in keys {
                if !self.visit_named(key)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn visit_named(&mut self, key: &[u8]) -> Result<bool> {
        let record = self.query.objects.tree.get(key)?;
        let record = record.ok_or_else(|| self.query.view().tables.malformed())?;
        self.visit(RecordRef { key, record: &record })
    }

    /// Looks for the objects with keys that are in order, as the keys come.
    fn named_at_once(&mut self, keys: &mut KeyWalk<'a>) -> Result<()> {
        loop {
            let is_last = keys.read(KEYS_AT_ONCE)?;
            if !self.named(&keys.take())? || is_last {
                return Ok(());
            }
        }
    }

    /// Walks the keys that an index names and all objects in turns, of which the objects get two
    /// thirds. When the keys end first, the objects that are left are looked for.
    fn in_turns(&mut self, keys: &mut KeyWalk<'a>) -> Result<()> {
        let all = self.query.all_keys();
        let mut range = self.query.objects.tree.range(all.range())?;
        let mut last: Option<Vec<u8>> = None;
        let mut turns = 1;
        while !keys.read(turns * OBJECT / OBJECTS_PER_INDEX_TURN)? {
            for turn in 0..turns {
                let Some((key, record)) = range.next_ref()? else { return Ok(()) };
                if !self.visit(RecordRef { key, record })? {
                    return Ok(());
                }
                if turn + 1 == turns {
                    last = Some(key.to_vec());
                }
            }
            turns = KEYS_AT_ONCE.min(2 * turns);
        }
        let named = keys.take();
        let seen = last.map_or(0, |last| named.partition_point(|key| *key <= last));
        self.named(&named[seen..]).map(drop)
    }

    /// Walks the entries of an index; objects of one value are in the order of their keys.
    fn values(&mut self, by: InOrder<'_>, bounds: &Bounds, left: &mut usize) -> Result<Walked> {
        let column = by.column;
        let table = self.query.objects.table;
        let tree = self.query.view().tables.source.tree(&table.index_tree(column.number));
        let mut range = tree.range(bounds.range())?;
        let mut alike = Alike::default();
        while let Some((entry, _)) = range.next_ref()? {
            let key = object(column.kind(), entry);
            let key = key.ok_or_else(|| self.query.view().tables.malformed())?;
            let value = &entry[..entry.len() - key.len()];
            if *left == 0 {
                return Ok(Walked::Exhausted);
            }
            *left -= 1;
            count(1);
            if alike.value != value && !self.visit_alike(by, &mut alike)? {
                return Ok(Walked::Stopped);
            }
            // An index does not distinguish long strings with one beginning.
            if is_shortened(column.kind(), value) {
                value.clone_into(&mut alike.value);
                alike.keys.push(key.to_vec());
            } else if !self.visit_named(key)? {
                return Ok(Walked::Stopped);
            }
        }
        let is_end = self.visit_alike(by, &mut alike)?;
        Ok(if is_end { Walked::ToTheEnd } else { Walked::Stopped })
    }

    /// Visits objects whose values an index does not distinguish; tells whether to go on.
    fn visit_alike(&mut self, by: InOrder<'_>, alike: &mut Alike) -> Result<bool> {
        let Alike { value, keys } = std::mem::take(alike);
        if value.is_empty() {
            return Ok(true);
        }
        let field = ColumnRef::new(self.query.objects.table, by.column);
        let tables = self.query.view().tables;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let record = self.query.objects.tree.get(&key)?;
            let record = record.ok_or_else(|| tables.malformed())?;
            let value = tables.value(field, RecordRef { key: &key, record: &record })?;
            let Value::String(text) = value else { return Err(tables.malformed()) };
            found.push((text.into_owned(), key));
        }
        found.sort_by(|(one, _), (two, _)| match by.order {
            Order::Ascending => one.as_bytes().cmp(two.as_bytes()),
            Order::Descending => two.as_bytes().cmp(one.as_bytes()),
        });
        for (_, key) in found {
            if !self.visit_named(&key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Walks the values of an index from the greatest one; tells whether it was not too many.
    fn values_backwards(&mut self, by: InOrder<'_>, bounds: Bounds, most: usize) -> Result<bool> {
        let column = by.column;
        let table = self.query.objects.table;
        let tree = self.query.view().tables.source.tree(&table.index_tree(column.number));
        let (mut bounds, mut left) = (bounds, most);
        loop {
            let Some(last) = tree.range(bounds.range())?.next_back().transpose()? else {
                return Ok(true);
            };
            let key = object(column.kind(), &last.0);
            let key = key.ok_or_else(|| self.query.view().tables.malformed())?;
            let value = last.0[..last.0.len() - key.len()].to_vec();
            let of_value = Bounds::beginning_with(value.clone());
            let of_value = of_value.and(&self.query.entries_of(by, &value));
            match self.values(by, &of_value, &mut left)? {
                Walked::ToTheEnd => bounds = bounds.before(value),
                walked => return Ok(walked.is_done()),
            }
        }
    }
}

/// Objects with one value in an index.
#[derive(Default)]
struct Alike {
    /// Empty if there are none.
    value: Vec<u8>,
    keys: Vec<Vec<u8>>,
}
