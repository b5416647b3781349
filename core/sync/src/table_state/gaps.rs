//! Hidden elements of lists: removed ones inside the window, and links to objects that do not
//! exist.
//!
//! The tables hold the visible elements of a list only. The hidden ones between two visible ones
//! are a *gap*, which follows its *owner*, the visible element before them, or the head of the
//! list. Elements of a gap are found by an order number; two gaps that meet move the shorter one,
//! so that an edit moves few elements.
//!
//! - MR5 A hidden element keeps its place among all elements of the list.
//!
//! Format: docs/sync.md#window.

use super::record::{
    ElementMemory, GapPlace, GapRecord, HeadRecord, ObjectPrefix, element_bytes, read_element,
};
use super::{FileResult, TableState};
use crate::entry::Anchor;
use crate::fault;
use fastness::table::{Element, ElementId, NamedList, ObjectRef, Operation, Value};

/// A list of an object that exists.
#[derive(Debug)]
pub(super) struct ListPlace<'p> {
    pub(super) target: &'p ObjectRef,
    pub(super) property: &'p str,
    pub(super) prefix: ObjectPrefix,
    pub(super) column: u16,
}

/// A place between two elements, hidden ones included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The visible element before it; none at the head.
    pub(super) left: Option<ElementId>,
    /// The hidden element immediately after it, in the gap of `left`.
    pub(super) before: Option<GapPlace>,
}

/// Hidden elements of a gap, from an order number on and before another one.
#[derive(Clone, Copy)]
struct GapRange {
    gap: u32,
    from: i64,
    end: i64,
}

impl ListPlace<'_> {
    pub(super) const fn named(&self) -> NamedList<'_> {
        NamedList { target: self.target, property: self.property }
    }
}

/// Records of a list.
impl TableState<'_> {
    pub(super) fn memory(&self, list: &ListPlace<'_>, id: ElementId) -> FileResult<ElementMemory> {
        self.read(&list.prefix.element(list.column, id))
    }

    pub(super) fn put_memory(
        &mut self,
        list: &ListPlace<'_>,
        id: ElementId,
        memory: &ElementMemory,
    ) -> FileResult<()> {
        self.put(&list.prefix.element(list.column, id), memory)
    }

    fn head(&self, list: &ListPlace<'_>) -> FileResult<HeadRecord> {
        self.read(&list.prefix.head(list.column))
    }

    /// Returns the gap after a visible element, or at the head.
    fn gap_after(&self, list: &ListPlace<'_>, owner: Option<ElementId>) -> FileResult<Option<u32>> {
        match owner {
            Some(owner) => Ok(self.memory(list, owner)?.gap),
            None => Ok(self.head(list)?.gap),
        }
    }

    fn put_gap_after(
        &mut self,
        list: &ListPlace<'_>,
        owner: Option<ElementId>,
        gap: Option<u32>,
    ) -> FileResult<()> {
        let Some(owner) = owner else {
            let head = HeadRecord { gap, ..self.head(list)? };
            return self.put(&list.prefix.head(list.column), &head);
        };
        let memory = ElementMemory { gap, ..self.memory(list, owner)? };
        self.put_memory(list, owner, &memory)
    }

    fn gap(&self, list: &ListPlace<'_>, gap: u32) -> FileResult<GapRecord> {
        let bytes = self.get(&list.prefix.gap(list.column, gap))?;
        let record = bytes.and_then(|bytes| GapRecord::decode(&bytes));
        record.ok_or_else(|| self.tables.damaged())
    }

    /// Writes a gap, and that its owner owns it.
    fn put_gap(&mut self, list: &ListPlace<'_>, gap: u32, record: GapRecord) -> FileResult<()> {
        self.insert(&list.prefix.gap(list.column, gap), &record.encode())?;
        self.put_gap_after(list, record.owner, Some(gap))
    }

    fn remove_gap(&mut self, list: &ListPlace<'_>, gap: u32) -> FileResult<()> {
        self.remove(&list.prefix.gap(list.column, gap))
    }

    fn new_gap(&mut self, list: &ListPlace<'_>) -> FileResult<u32> {
        let head = self.head(list)?;
        let next_gap = head.next_gap.checked_add(1).ok_or_else(|| self.tables.damaged())?;
        self.put(&list.prefix.head(list.column), &HeadRecord { next_gap, ..head })?;
        Ok(head.next_gap)
    }

    /// Returns the first hidden element of a gap at an order number or after it.
    fn hidden_from(
        &self,
        list: &ListPlace<'_>,
        from: GapPlace,
    ) -> FileResult<Option<(GapPlace, ElementId)>> {
        let prefix = list.prefix.hidden_of(list.column, from.gap);
        let Some((key, value)) = self.next(&prefix, &list.prefix.hidden(list.column, from))? else {
            return Ok(None);
        };
        let order = key[prefix.len()..].try_into().map(i64::from_be_bytes);
        let place = order.map(|order| GapPlace { gap: from.gap, order: order ^ i64::MIN }).ok();
        let found = place.zip(read_element(&value)).ok_or_else(|| self.tables.damaged())?;
        Ok(Some(found))
    }

    /// Returns the first hidden element of a gap.
    fn first_hidden(
        &self,
        list: &ListPlace<'_>,
        gap: u32,
    ) -> FileResult<Option<(GapPlace, ElementId)>> {
        self.hidden_from(list, GapPlace { gap, order: i64::MIN })
    }

    /// Returns the hidden element of a gap before a place.
    pub(super) fn hidden_before(
        &self,
        list: &ListPlace<'_>,
        at: Option<GapPlace>,
    ) -> FileResult<Option<(GapPlace, ElementId)>> {
        let Some(GapPlace { gap, order }) = at else { return Ok(None) };
        let first = self.gap(list, gap)?.first;
        for order in (first..order).rev() {
            let place = GapPlace { gap, order };
            if let Some(id) = self.get(&list.prefix.hidden(list.column, place))? {
                let id = read_element(&id).ok_or_else(|| self.tables.damaged())?;
                return Ok(Some((place, id)));
            }
        }
        Ok(None)
    }

    /// Returns the visible element that a gap follows.
    pub(super) fn owner_of(
        &self,
        list: &ListPlace<'_>,
        at: GapPlace,
    ) -> FileResult<Option<ElementId>> {
        Ok(self.gap(list, at.gap)?.owner)
    }

    /// Returns the place after the last hidden element of a gap.
    pub(super) fn gap_end(
        &self,
        list: &ListPlace<'_>,
        owner: Option<ElementId>,
    ) -> FileResult<Option<GapPlace>> {
        let Some(gap) = self.gap_after(list, owner)? else { return Ok(None) };
        Ok(Some(GapPlace { gap, order: self.gap(list, gap)?.end }))
    }

    /// Returns all elements of a list in order, hidden ones included.
    pub(super) fn all_elements(&self, list: &ListPlace<'_>) -> FileResult<Vec<ElementId>> {
        let visible = self.tables.list_elements(list.named())?;
        let owners = std::iter::once(None).chain(visible.iter().map(|held| Some(held.id)));
        let mut all = Vec::new();
        for owner in owners {
            all.extend(owner);
            let Some(gap) = self.gap_after(list, owner)? else { continue };
            let mut from = i64::MIN;
            while let Some((place, id)) = self.hidden_from(list, GapPlace { gap, order: from })? {
                all.push(id);
                from = place.order + 1;
            }
        }
        Ok(all)
    }

    /// Tells whether the element after a visible one, or the first of all, is a removed one.
    pub(super) fn is_removed_after(
        &self,
        list: &ListPlace<'_>,
        left: Option<ElementId>,
    ) -> FileResult<bool> {
        let Some(gap) = self.gap_after(list, left)? else { return Ok(false) };
        let Some((_, id)) = self.first_hidden(list, gap)? else { return Ok(false) };
        Ok(self.memory(list, id)?.removed.is_some())
    }

    fn put_hidden(&mut self, list: &ListPlace<'_>, id: ElementId, at: GapPlace) -> FileResult<()> {
        self.insert(&list.prefix.hidden(list.column, at), &element_bytes(id))?;
        let memory = ElementMemory { hidden: Some(at), gap: None, ..self.memory(list, id)? };
        self.put_memory(list, id, &memory)
    }

    /// Moves hidden elements of a gap to another one. `to` gives their new places.
    fn move_hidden(
        &mut self,
        list: &ListPlace<'_>,
        GapRange { gap, from, end }: GapRange,
        to: &dyn Fn(i64) -> GapPlace,
    ) -> FileResult<()> {
        let mut moved = Vec::new();
        let mut at = from;
        while let Some((place, id)) = self.hidden_from(list, GapPlace { gap, order: at })? {
            if place.order >= end {
                break;
            }
            at = place.order + 1;
            moved.push((place, id));
        }
        for (place, _) in &moved {
            self.remove(&list.prefix.hidden(list.column, *place))?;
        }
        moved.iter().try_for_each(|(place, id)| self.put_hidden(list, *id, to(place.order)))
    }

    /// Lets the part of a gap from a hidden element on follow another owner.
    fn split_gap(
        &mut self,
        list: &ListPlace<'_>,
        at: GapPlace,
        owner: Option<ElementId>,
    ) -> FileResult<()> {
        let GapPlace { gap, order } = at;
        let record = self.gap(list, gap)?;
        let is_all = self.first_hidden(list, gap)?.is_some_and(|(first, _)| first == at);
        if is_all {
            self.put_gap_after(list, record.owner, None)?;
            return self.put_gap(list, gap, GapRecord { owner, ..record });
        }
        let (before, after) = (order - record.first, record.end - order);
        let new = self.new_gap(list)?;
        let to = |order| GapPlace { gap: new, order };
        let (left, right) =
            (GapRecord { end: order, ..record }, GapRecord { owner, first: order, ..record });
        if after < before {
            self.move_hidden(list, GapRange { gap, from: order, end: record.end }, &to)?;
            self.put_gap(list, gap, left)?;
            self.put_gap(list, new, right)
        } else {
            self.move_hidden(list, GapRange { gap, from: record.first, end: order }, &to)?;
            self.put_gap(list, gap, right)?;
            self.put_gap(list, new, left)
        }
    }

    /// Appends a gap to another one.
    fn join_gaps(&mut self, list: &ListPlace<'_>, left: u32, right: u32) -> FileResult<()> {
        let (one, two) = (self.gap(list, left)?, self.gap(list, right)?);
        if two.end - two.first <= one.end - one.first {
            let to = |order: i64| GapPlace { gap: left, order: one.end + (order - two.first) };
            self.move_hidden(list, GapRange { gap: right, from: two.first, end: two.end }, &to)?;
            self.remove_gap(list, right)?;
            let end = one.end + (two.end - two.first);
            return self.put_gap(list, left, GapRecord { end, ..one });
        }
        let distance = |order| fault::tables::reversed(one.end - order, (one.first, order));
        let to = |order: i64| GapPlace { gap: right, order: two.first - distance(order) };
        self.move_hidden(list, GapRange { gap: left, from: one.first, end: one.end }, &to)?;
        self.remove_gap(list, left)?;
        let first = two.first - (one.end - one.first);
        self.put_gap(list, right, GapRecord { owner: one.owner, first, ..two })
    }
}

/// Places of elements.
impl TableState<'_> {
    /// Finds an anchor that the list contains.
    pub(super) fn spot(&self, list: &ListPlace<'_>, anchor: Anchor) -> FileResult<Spot> {
        let (left, is_before) = match anchor {
            Anchor::Head => (None, false),
            Anchor::After(id) => (Some(super::core_element(id)), false),
            Anchor::Before(id) => (Some(super::core_element(id)), true),
        };
        let hidden = match left {
            Some(id) => self.memory(list, id)?.hidden,
            None => None,
        };
        match (hidden, left) {
            (Some(at), _) => {
                let left = self.gap(list, at.gap)?.owner;
                let next = GapPlace { order: at.order + 1, ..at };
                let before = match is_before {
                    true => Some(at),
                    false => self.hidden_from(list, next)?.map(|(place, _)| place),
                };
                Ok(Spot { left, before })
            }
            (None, Some(id)) if is_before => {
                Ok(Spot { left: self.tables.element_before(list.named(), id)?, before: None })
            }
            (None, _) => {
                let before = match self.gap_after(list, left)? {
                    Some(gap) => self.first_hidden(list, gap)?.map(|(place, _)| place),
                    None => None,
                };
                Ok(Spot { left, before })
            }
        }
    }

    /// Inserts an element at a spot; tells whether the tables have room for it.
    pub(super) fn show_at(
        &mut self,
        list: &ListPlace<'_>,
        (id, value): (ElementId, &Value<'static>),
        spot: Spot,
    ) -> FileResult<bool> {
        let element = Element { id, value: value.clone() };
        let target = list.target.clone();
        let property = list.property.to_owned();
        let insert = Operation::ListInsert { target, property, element, after: spot.left };
        if !self.apply(&insert)? {
            return Ok(false);
        }
        self.split_at(list, spot, id)?;
        Ok(true)
    }

    /// Lets the hidden elements after a spot follow the element that was inserted there.
    pub(super) fn split_at(
        &mut self,
        list: &ListPlace<'_>,
        spot: Spot,
        id: ElementId,
    ) -> FileResult<()> {
        match spot.before {
            Some(before) => self.split_gap(list, before, Some(id)),
            None => Ok(()),
        }
    }

    /// Puts a hidden element at a spot.
    pub(super) fn hide_at(
        &mut self,
        list: &ListPlace<'_>,
        id: ElementId,
        spot: Spot,
    ) -> FileResult<()> {
        let Some(gap) = self.gap_after(list, spot.left)? else {
            let gap = self.new_gap(list)?;
            self.put_hidden(list, id, GapPlace { gap, order: 0 })?;
            return self.put_gap(list, gap, GapRecord { owner: spot.left, first: 0, end: 1 });
        };
        let record = self.gap(list, gap)?;
        let order = spot.before.map_or(record.end, |before| before.order);
        if order == record.first {
            let first = record.first - 1;
            self.put_hidden(list, id, GapPlace { gap, order: first })?;
            return self.put_gap(list, gap, GapRecord { first, ..record });
        }
        let next = |order| GapPlace { gap, order: order + 1 };
        self.move_hidden(list, GapRange { gap, from: order, end: record.end }, &next)?;
        self.put_hidden(list, id, GapPlace { gap, order })?;
        self.put_gap(list, gap, GapRecord { end: record.end + 1, ..record })
    }

    /// Hides a visible element where it is.
    pub(super) fn hide(&mut self, list: &ListPlace<'_>, id: ElementId) -> FileResult<()> {
        let left = self.tables.element_before(list.named(), id)?;
        let (target, property) = (list.target.clone(), list.property.to_owned());
        self.apply(&Operation::ListRemove { target, property, element: id })?;
        let own = self.memory(list, id)?.gap;
        let Some(before) = self.gap_after(list, left)? else {
            let Some(own) = own else {
                return self.hide_at(list, id, Spot { left, before: None });
            };
            let record = self.gap(list, own)?;
            let first = record.first - 1;
            self.put_hidden(list, id, GapPlace { gap: own, order: first })?;
            return self.put_gap(list, own, GapRecord { owner: left, first, ..record });
        };
        let record = self.gap(list, before)?;
        self.put_hidden(list, id, GapPlace { gap: before, order: record.end })?;
        self.put_gap(list, before, GapRecord { end: record.end + 1, ..record })?;
        match own {
            Some(own) => self.join_gaps(list, before, own),
            None => Ok(()),
        }
    }

    /// Takes a hidden element out of its gap; returns the spot where it was.
    pub(super) fn take_hidden(&mut self, list: &ListPlace<'_>, id: ElementId) -> FileResult<Spot> {
        let memory = self.memory(list, id)?;
        let at = memory.hidden.ok_or_else(|| self.tables.damaged())?;
        self.remove(&list.prefix.hidden(list.column, at))?;
        self.put_memory(list, id, &ElementMemory { hidden: None, ..memory })?;
        let left = self.gap(list, at.gap)?.owner;
        let before = self.hidden_from(list, at)?.map(|(place, _)| place);
        if self.first_hidden(list, at.gap)?.is_none() {
            self.remove_gap(list, at.gap)?;
            self.put_gap_after(list, left, None)?;
        }
        Ok(Spot { left, before })
    }
}
