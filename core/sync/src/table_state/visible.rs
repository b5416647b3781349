//! Reading what is visible, in the terms of entries.

use super::convert::core_target;
use super::convert::{entry_primary_key, entry_property};
use super::links::LinkOwner;
use super::{FileResult, TableState, core_element, entry_element};
use crate::entry::{Anchor, ElementId, PrimaryKey, PropertyType, Value};
use crate::merge::{Place, VisibleState};
use fastness::schema::Property;
use fastness::table::NamedList;

impl TableState<'_> {
    /// Calls `read` with the visible value of a property; none if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn value_of<T>(
        &self,
        place: Place<'_>,
        read: &mut dyn FnMut(Value<'_>) -> T,
    ) -> FileResult<Option<T>> {
        let Some(target) = core_target(place.target) else { return Ok(None) };
        let value = self.tables.value(&target, place.property)?;
        let class = self.target_class(place);
        Ok(value.map(|value| read(Self::entry_value(&value, class))))
    }

    /// Calls `read` with each visible element of a list, in order.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn each_element(
        &self,
        place: Place<'_>,
        read: &mut dyn FnMut(ElementId, Value<'_>),
    ) -> FileResult<()> {
        let Some(target) = core_target(place.target) else { return Ok(()) };
        let list = NamedList { target: &target, property: place.property };
        let class = self.target_class(place);
        for element in self.tables.list_elements(list)? {
            read(entry_element(element.id), Self::entry_value(&element.value, class));
        }
        Ok(())
    }

    /// Returns the anchor of an author that inserts before its visible element `index` (MR5).
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn anchor_at(&self, place: Place<'_>, index: usize) -> FileResult<Anchor> {
        let target = core_target(place.target).ok_or_else(|| self.tables.damaged())?;
        let owner = LinkOwner { target: &target, property: place.property };
        let elements = self.tables.list_elements(self.list(owner)?.named())?;
        let left = index.checked_sub(1).and_then(|left| elements.get(left));
        self.anchor_after(owner, left.map(|element| element.id))
    }

    /// Returns all elements of a list in order, hidden ones included.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn elements_with_hidden(&self, place: Place<'_>) -> FileResult<Vec<ElementId>> {
        let Some(target) = core_target(place.target) else { return Ok(Vec::new()) };
        if self.tables.property(place.target.class, place.property).is_none() {
            return Ok(Vec::new());
        }
        let list = self.list(LinkOwner { target: &target, property: place.property })?;
        Ok(self.all_elements(&list)?.into_iter().map(entry_element).collect())
    }

    /// Returns the class that the links of a property lead to.
    fn target_class(&self, place: Place<'_>) -> Option<&str> {
        let (_, property) = self.tables.property(place.target.class, place.property)?;
        property.kind().class()
    }
}

impl VisibleState for TableState<'_> {
    type Error = fastness::Error;

    fn class_conflicts(
        &self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> FileResult<bool> {
        if self.tables.class_id(class).is_none() {
            return Ok(false);
        }
        let held = self.tables.properties(class).find(|property| property.is_primary_key());
        Ok(held.map(entry_primary_key) != primary_key)
    }

    fn property_conflicts(
        &self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> FileResult<bool> {
        let held = self.tables.property(class, property).map(|(_, property)| property);
        let differs = |held: &Property| held.is_primary_key() || entry_property(held) != Some(kind);
        Ok(held.is_some_and(differs))
    }

    fn see_value(&self, place: Place<'_>, see: &mut dyn FnMut(Value<'_>)) -> FileResult<()> {
        let mut has_seen = false;
        let property = self.tables.property(place.target.class, place.property);
        // A counter has no value that a Set could have written.
        if property.is_some_and(|(_, held)| entry_property(held) != Some(PropertyType::Counter)) {
            self.value_of(place, &mut |value| {
                has_seen = true;
                see(value);
            })?;
        }
        if !has_seen {
            see(Value::Null);
        }
        Ok(())
    }

    fn see_element(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(Value<'_>),
    ) -> FileResult<()> {
        let Some(target) = core_target(place.target) else { return Ok(()) };
        let list = NamedList { target: &target, property: place.property };
        let class = self.target_class(place);
        if let Some(value) = self.tables.element_value(list, core_element(element))? {
            see(Self::entry_value(&value, class));
        }
        Ok(())
    }

    fn see_left(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(ElementId) -> bool,
    ) -> FileResult<()> {
        let Some(target) = core_target(place.target) else { return Ok(()) };
        if self.tables.property(place.target.class, place.property).is_none() {
            return Ok(());
        }
        let list = self.list(LinkOwner { target: &target, property: place.property })?;
        let id = core_element(element);
        let (mut owner, mut at) = match self.memory(&list, id)?.hidden {
            Some(at) => (self.owner_of(&list, at)?, Some(at)),
            None if !self.tables.has_element(list.named(), id)? => return Ok(()),
            None => {
                let owner = self.tables.element_before(list.named(), id)?;
                (owner, self.gap_end(&list, owner)?)
            }
        };
        loop {
            while let Some((place, hidden)) = self.hidden_before(&list, at)? {
                at = Some(place);
                if !see(entry_element(hidden)) {
                    return Ok(());
                }
            }
            let Some(visible) = owner else { return Ok(()) };
            if !see(entry_element(visible)) {
                return Ok(());
            }
            owner = self.tables.element_before(list.named(), visible)?;
            at = self.gap_end(&list, owner)?;
        }
    }
}
