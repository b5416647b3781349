//! Types of properties and of values.

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scalar {
    /// A whole number of 64 bits with a sign.
    Int,
    /// True or false.
    Bool,
    /// Text.
    String,
    /// Bytes.
    Binary,
    /// A point in time.
    Timestamp,
    /// A number of 32 bits with a binary point.
    Float,
    /// A number of 64 bits with a binary point.
    Double,
}

/// Type of a property.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PropertyType {
    /// One value.
    Scalar(Scalar),
    /// A whole number that several writers add to.
    Counter,
    /// A link to an object of the class, or none.
    Object(String),
    /// A list of links to objects of the class.
    ObjectList(String),
    /// A list of values.
    List {
        /// Type of an element.
        of: Scalar,
        /// Whether an element may be null.
        nullable: bool,
    },
    /// The objects of `class` whose `property` links here. Computed, never stored.
    LinkingObjects {
        /// Class that the links come from.
        class: String,
        /// Property of that class which holds the links.
        property: String,
    },
}

impl Scalar {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Int,
        Self::Bool,
        Self::String,
        Self::Binary,
        Self::Timestamp,
        Self::Float,
        Self::Double,
    ];

    /// Returns the type's number, that of realm-java's `RealmFieldType`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Int => 0,
            Self::Bool => 1,
            Self::String => 2,
            Self::Binary => 4,
            Self::Timestamp => 8,
            Self::Float => 9,
            Self::Double => 10,
        }
    }

    /// Returns whether a property of this type may be the primary key.
    #[must_use]
    pub const fn may_be_primary_key(self) -> bool {
        matches!(self, Self::Int | Self::String)
    }

    /// Returns whether a property of this type may be indexed.
    #[must_use]
    pub const fn may_be_indexed(self) -> bool {
        matches!(self, Self::Int | Self::Bool | Self::String | Self::Timestamp)
    }
}

impl From<Scalar> for PropertyType {
    fn from(scalar: Scalar) -> Self {
        Self::Scalar(scalar)
    }
}

impl PropertyType {
    /// Returns the type's number. Those of realm-java where it has the type; a list of values has
    /// 128 more than its elements, a counter 15.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Scalar(scalar) => scalar.code(),
            Self::Object(_) => 12,
            Self::ObjectList(_) => 13,
            Self::LinkingObjects { .. } => 14,
            Self::Counter => 15,
            Self::List { of, .. } => 128 + of.code(),
        }
    }

    /// Returns the type of the value, or of a list's elements; none of links.
    #[must_use]
    pub const fn scalar(&self) -> Option<Scalar> {
        match self {
            Self::Scalar(scalar) | Self::List { of: scalar, .. } => Some(*scalar),
            Self::Counter => Some(Scalar::Int),
            Self::Object(_) | Self::ObjectList(_) | Self::LinkingObjects { .. } => None,
        }
    }

    /// Returns whether a property of this type is nullable by default.
    #[must_use]
    pub const fn is_nullable_by_default(&self) -> bool {
        matches!(
            self,
            Self::Scalar(Scalar::String | Scalar::Binary | Scalar::Timestamp) | Self::Object(_)
        )
    }

    /// Returns whether a property of this type may be nullable.
    #[must_use]
    pub const fn may_be_nullable(&self) -> bool {
        matches!(self, Self::Scalar(_) | Self::Object(_))
    }

    /// Returns whether a property of this type may be required.
    #[must_use]
    pub const fn may_be_required(&self) -> bool {
        !matches!(self, Self::Object(_))
    }

    /// Returns whether a property of this type may be the primary key.
    #[must_use]
    pub const fn may_be_primary_key(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.may_be_primary_key())
    }

    /// Returns whether a property of this type may be indexed.
    #[must_use]
    pub const fn may_be_indexed(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.may_be_indexed())
    }

    /// Returns whether the property is computed instead of stored.
    #[must_use]
    pub const fn is_computed(&self) -> bool {
        matches!(self, Self::LinkingObjects { .. })
    }

    /// Returns the class that values of this type link to, or come from.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Object(class) | Self::ObjectList(class) | Self::LinkingObjects { class, .. } => {
                Some(class)
            }
            Self::Scalar(_) | Self::Counter | Self::List { .. } => None,
        }
    }
}
