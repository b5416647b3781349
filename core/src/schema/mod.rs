//! Schema: classes, properties and their types, differences between two schemas, and the decision
//! of a mode about a difference. Pure values; the module does no I/O.
//!
//! Input: an app's definitions, the schema and version that a file holds, a mode. Output: a valid
//! [`Schema`], differences, a list of actions, or an error that names all problems.
//!
//! - M1 A definition is checked in full: every error is reported at once, in an order that does
//!   not depend on the order of the definition.
//! - M2 A [`Schema`] that exists is valid.
//! - M3 Two schemas have no difference exactly when they agree on the stored properties of the
//!   requested classes; a file has no difference after all differences are applied.
//! - M4 What a mode decides is a total function of mode, schemas and versions; a mode that only
//!   reads decides on nothing that writes.
//! - M5 Nothing that was stored is dropped, except by the mode that resets the file, or by the
//!   automatic one at a higher version.
//!
//! Specification: docs/schema.md. Checks: unit and integration tests of core, proptests.

mod check;
mod class;
mod compare;
mod decide;
mod difference;
mod error;
mod limits;
mod mode;
mod property;
mod property_type;
mod set;
mod text;
mod values;

pub(crate) use check::check_class;
pub use class::{Class, Module};
pub use compare::differences;
pub use decide::{Action, Opening, StoredSchema, decide, require_classes, require_match};
pub use difference::{Change, Difference};
pub use error::{DefinitionError, DefinitionProblem, SchemaError};
pub(crate) use limits::units;
pub use limits::{
    BINARY_BYTES_MAX, CLASS_NAME_UNITS_MAX, PROPERTY_NAME_UNITS_MAX, STRING_BYTES_MAX,
};
pub use mode::{ModeChoice, SchemaMode};
pub use property::Property;
pub use property_type::{PropertyType, Scalar};
pub use set::Schema;
pub use values::{check_binary, check_null, check_string};
