//! The interface between an export and its output format.

use crate::failure::Failure;
use fastness::object::{ObjectKey, Value};
use fastness::schema::{Class, Property, Schema};

/// The content of a property.
pub(super) enum PropertyContent<'a> {
    One(Value<'a>),
    Many(Vec<Value<'static>>),
}

/// An export format: receives class by class, each followed by its objects.
pub(super) trait ExportSink {
    fn class(&mut self, class: &Class) -> Result<(), Failure>;

    /// Writes an object of the current class, with its readable properties.
    fn object(
        &mut self,
        key: &ObjectKey,
        contents: &[(&Property, PropertyContent<'_>)],
    ) -> Result<(), Failure>;

    /// Completes the output.
    fn finish(self: Box<Self>) -> Result<(), Failure>;
}

/// Metadata of the exported file.
pub(super) struct Source {
    pub(super) commit: u64,
    pub(super) version: Option<u64>,
    pub(super) schema: Schema,
}
