//! Schema: which classes and properties there are, what may be stored in them, how two schemas
//! differ, and what a mode makes of the difference. Pure values; no file is touched here.
//!
//! Comes in: definitions by an app, the schema and version that a file holds, a mode. Goes out: a
//! valid [`Schema`], differences, a list of actions, or an error that names everything that is
//! wrong.
//!
//! - M1 A definition is checked in full: every error is told at once, in the same order however
//!   the definition was put together.
//! - M2 A [`Schema`] that exists is valid.
//! - M3 Two schemas have no difference exactly when they agree on what is stored in the wanted
//!   classes; a file to which the differences are applied has none any more.
//! - M4 What a mode decides is a total function of mode, schemas and versions; a mode that only
//!   reads decides on nothing that writes.
//! - M5 Nothing that was stored is dropped, except by the mode that resets the file, or by the
//!   automatic one at a higher version.
//!
//! Specification: docs/schema.md. Checks: unit and integration tests of core, proptests.

mod check;
mod class;
mod decide;
mod difference;
mod error;
mod limits;
mod mode;
mod property;
mod set;
mod text;

pub(crate) use check::check_class;
pub use class::{Class, Module};
pub use decide::{Action, Opening, StoredSchema, decide, require_classes, require_match};
pub use difference::{Change, Difference, differences};
pub use error::{DefinitionError, DefinitionProblem, SchemaError};
pub(crate) use limits::units;
pub use limits::{
    BINARY_BYTES_MAX, CLASS_NAME_UNITS_MAX, PROPERTY_NAME_UNITS_MAX, STRING_BYTES_MAX,
    check_binary, check_null, check_string,
};
pub use mode::{ModeChoice, SchemaMode};
pub use property::{Property, PropertyType, Scalar};
pub use set::Schema;
