//! Schemas, differences and errors as texts.

use super::class::Class;
use super::difference::{Change, Difference};
use super::error::{DefinitionError, DefinitionProblem, SchemaError};
use super::limits::{
    BINARY_BYTES_MAX, CLASS_NAME_UNITS_MAX, PROPERTY_NAME_UNITS_MAX, STRING_BYTES_MAX,
};
use super::mode::SchemaMode;
use super::property::Property;
use super::property_type::{PropertyType, Scalar};
use super::set::Schema;
use std::fmt::{self, Display, Formatter};

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Int => "int",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Timestamp => "timestamp",
            Self::Float => "float",
            Self::Double => "double",
        })
    }
}

impl Display for PropertyType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Counter => f.write_str("counter"),
            Self::Object(class) => f.write_str(class),
            Self::ObjectList(class) => write!(f, "[{class}]"),
            Self::List { of, nullable } => write!(f, "[{of}{}]", mark(*nullable)),
            Self::LinkingObjects { class, property } => write!(f, "<-{class}.{property}"),
        }
    }
}

const fn mark(nullable: bool) -> &'static str {
    if nullable { "?" } else { "" }
}

impl Display for Property {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.name(), self.kind(), mark(self.is_nullable()))?;
        f.write_str(match (self.is_primary_key(), self.is_indexed()) {
            (true, _) => " key",
            (false, true) => " index",
            (false, false) => "",
        })
    }
}

impl Display for Class {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {{", if self.is_local() { "local " } else { "" }, self.name())?;
        for (index, property) in self.properties().iter().enumerate() {
            write!(f, "{} {property}", if index == 0 { "" } else { "," })?;
        }
        f.write_str(" }")
    }
}

impl Display for Schema {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, class) in self.classes().iter().enumerate() {
            write!(f, "{}{class}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Display for SchemaMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Automatic => "automatic",
            Self::Immutable => "immutable",
            Self::ReadOnly => "read-only",
            Self::ResetFile => "reset-file",
            Self::Additive => "additive",
            Self::Manual => "manual",
        })
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let class = &self.class;
        match &self.change {
            Change::AddClass => write!(f, "class `{class}` is missing"),
            Change::AddInitialProperties => write!(f, "class `{class}` has no properties yet"),
            Change::AddProperty { property } => write!(f, "`{class}.{property}` is missing"),
            Change::RemoveProperty { property } => write!(f, "`{class}.{property}` is not wanted"),
            Change::ChangeType { property, from, to } => {
                write!(f, "`{class}.{property}` is `{from}` and should be `{to}`")
            }
            Change::MakeNullable { property } => {
                write!(f, "`{class}.{property}` is required and should be nullable")
            }
            Change::MakeRequired { property } => {
                write!(f, "`{class}.{property}` is nullable and should be required")
            }
            Change::ChangePrimaryKey { from, to } => {
                let name = |key: &Option<String>| match key {
                    Some(key) => format!("`{key}`"),
                    None => "none".to_owned(),
                };
                let (from, to) = (name(from), name(to));
                write!(f, "the primary key of `{class}` is {from} and should be {to}")
            }
            Change::AddIndex { property } => write!(f, "`{class}.{property}` has no index"),
            Change::RemoveIndex { property } => {
                write!(f, "`{class}.{property}` has an index that is not wanted")
            }
            Change::ChangeLocal { to: true } => {
                write!(f, "class `{class}` is not local in the file; give the local one a new name")
            }
            Change::ChangeLocal { to: false } => {
                write!(f, "class `{class}` is local in the file; give the other one a new name")
            }
        }
    }
}

impl Display for DefinitionError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let class = &self.class;
        match &self.property {
            Some(property) => write!(f, "`{class}.{property}`: {}", self.problem),
            None => write!(f, "`{class}`: {}", self.problem),
        }
    }
}

impl Display for DefinitionProblem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassTwice => f.write_str("two different classes have this name; rename one"),
            Self::PropertyTwice => f.write_str("two properties have this name; rename one"),
            Self::NeverNull => f.write_str("this type is never null; make it required"),
            Self::LinkRequired => f.write_str("a link can always be null; make it nullable"),
            Self::KeyType => f.write_str("only an int or a string can be the primary key"),
            Self::KeyTwice { first } => {
                write!(f, "`{first}` is the primary key already; keep one of them")
            }
            Self::KeyUnknown => f.write_str("the primary key is no property; add it"),
            Self::IndexType => f.write_str("this type has no index; leave it out"),
            Self::ClassUnknown { class } => {
                write!(f, "class `{class}` is not in the schema; add it")
            }
            Self::LinkToLocal { class } => {
                write!(f, "class `{class}` is local and this one is not; store its key instead")
            }
            Self::LinkFromLocal { class } => {
                write!(f, "this class is local and `{class}` is not; store its key instead")
            }
            Self::OriginUnknown { class, property } => {
                write!(f, "`{class}.{property}` does not exist; name the property that links here")
            }
            Self::OriginNoLink { class, property } => {
                write!(f, "`{class}.{property}` is no link; name the property that links here")
            }
            Self::OriginElsewhere { class, property, to } => {
                write!(f, "`{class}.{property}` links to `{to}`; name the property that links here")
            }
        }
    }
}

impl Display for SchemaError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassName { name } => write!(
                f,
                "`{name}` cannot name a class; give it 1 to {CLASS_NAME_UNITS_MAX} characters"
            ),
            Self::PropertyName { name } => write!(
                f,
                "`{name}` cannot name a property; give it 1 to {PROPERTY_NAME_UNITS_MAX} \
                 characters and no `.`"
            ),
            Self::StringTooLong { bytes } => {
                write!(f, "a string has {bytes} bytes; at most {STRING_BYTES_MAX} are allowed")
            }
            Self::BinaryTooLong { bytes } => {
                write!(f, "a binary has {bytes} bytes; at most {BINARY_BYTES_MAX} are allowed")
            }
            Self::NullInRequired { class, property } => {
                write!(f, "`{class}.{property}` is required; give it a value")
            }
            Self::Definition(errors) => {
                f.write_str("the definition of the schema is wrong:")?;
                list(f, errors)
            }
            Self::VersionLower { path, stored, wanted } => write!(
                f,
                "{}: has schema version {stored}, higher than the {wanted} asked for; use a newer \
                 version of the program",
                path.display()
            ),
            Self::VersionDiffers { path, stored, wanted } => {
                write!(f, "{}: has ", path.display())?;
                match stored {
                    Some(stored) => write!(f, "schema version {stored}")?,
                    None => f.write_str("no schema")?,
                }
                write!(
                    f,
                    ", not version {wanted}, and is only read; ask for its version, or open it \
                     without classes"
                )
            }
            Self::Mismatch { path, mode, differences } => {
                write!(f, "{}: its schema differs as mode {mode} does not allow:", path.display())?;
                list(f, differences)
            }
            Self::MigrationNeeded { path, differences } => {
                write!(
                    f,
                    "{}: its schema differs; raise the version and give a migration:",
                    path.display()
                )?;
                list(f, differences)
            }
            Self::ClassesMissing { path, classes } => write!(
                f,
                "{}: lacks {} and is only read; ask for the classes it has",
                path.display(),
                classes.join(", ")
            ),
        }
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().try_for_each(|item| write!(f, "\n  {item}"))
}
