//! Visible contents of a state, as far as the rules of a client reset read them.

use super::state::Place;
use crate::entry::{ElementId, PrimaryKey, PropertyType, Value};

/// A state whose visible contents can be read.
pub trait VisibleState {
    /// Why a state cannot be read: damage, or the disk.
    type Error;

    /// Tells whether a class exists with another primary key (MR6).
    ///
    /// # Errors
    /// If the state fails.
    fn class_conflicts(
        &self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> Result<bool, Self::Error>;

    /// Tells whether a property exists with another type (MR6).
    ///
    /// # Errors
    /// If the state fails.
    fn property_conflicts(
        &self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> Result<bool, Self::Error>;

    /// Calls `see` with the visible value of a property: null if it was never set, if it is a link
    /// to an object that does not exist, if the object or the property does not exist, or if the
    /// property is a counter.
    ///
    /// # Errors
    /// If the state fails.
    fn see_value(
        &self,
        place: Place<'_>,
        see: &mut dyn FnMut(Value<'_>),
    ) -> Result<(), Self::Error>;

    /// Calls `see` with the value of an element if the element is visible.
    ///
    /// # Errors
    /// If the state fails.
    fn see_element(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(Value<'_>),
    ) -> Result<(), Self::Error>;

    /// Calls `see` with the elements to the left of an element, the nearest one first, removed and
    /// hidden ones included, until it returns `false`. An element that the list does not contain
    /// has none.
    ///
    /// # Errors
    /// If the state fails.
    fn see_left(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(ElementId) -> bool,
    ) -> Result<(), Self::Error>;
}
