//! Problems of objects, as values.
//!
//! Found by `integrity`. Format: docs/objects.md#trees.

use std::fmt;

/// An entry of a tree that contradicts the objects, or that they lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectProblem {
    /// The kind of the problem.
    pub kind: ObjectProblemKind,
    /// The tree.
    pub tree: String,
    /// The key of the entry; empty if the problem is of the whole tree.
    pub key: Vec<u8>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $promise:literal, $about:literal;)*) => {
        /// Problems of objects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ObjectProblemKind {
            $($(#[$doc])* $name,)*
        }

        impl ObjectProblemKind {
            /// Returns the id of the promise that is broken.
            #[must_use]
            pub const fn promise(self) -> &'static str {
                match self { $(Self::$name => $promise,)* }
            }

            /// Returns what is wrong.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

kinds! {
    /// Bytes cannot be read.
    Malformed = "B13", "an entry cannot be read";
    /// Classes, columns or slots overlap, or have numbers that were not given out.
    Classes = "B6", "the classes contradict each other";
    /// A tree belongs to no class.
    TreeUnknown = "B13", "no class has the tree";
    /// A key is none that an object of the class can have.
    ObjectKey = "B13", "no object of the class can have the key";
    /// A number was not given out.
    Number = "B5", "the number was not given out";
    /// A record is shorter than its fixed part, or this is longer than the class has.
    Record = "B8", "the record has another layout than the class";
    /// A property cannot hold the value.
    Value = "B13", "the property cannot hold the value";
    /// A value out of line is missing or short.
    OutOfLine = "B13", "the value out of line is missing or short";
    /// Values or lists out of line belong to no object.
    OutOfLineLength = "B13", "entries of lists or long values belong to no object, or are missing";
    /// An object has no entry in an index at its value.
    IndexEntry = "Q2", "an object has no index entry at its value";
    /// An index has another number of entries than the class has objects.
    IndexLength = "Q2", "the index has more or fewer entries than there are objects";
    /// A link leads to no object.
    LinkTarget = "B2", "a link leads to no object";
    /// A back-link counts other links than there are.
    BackLink = "B4", "the back-link is missing or counts other links";
    /// Back-links belong to no link.
    BackLinksLength = "B4", "there are back-links without a link";
    /// The entry of a list contradicts its chunks.
    List = "B13", "the list contradicts its chunks or its limits";
    /// A chunk is too long or empty.
    Chunk = "B13", "the chunk is empty or too long";
    /// An entry that finds a chunk or an element of a list leads elsewhere.
    Place = "B14", "a chunk or an element of the list is not found here";
    /// Chunks belong to no list.
    ChunksLength = "B13", "chunks belong to no list, or are missing";
    /// The list cannot hold an element.
    Element = "B13", "the list cannot hold an element";
    /// Two elements have one id.
    ElementTwice = "B5", "two elements have one id";
}

impl fmt::Display for ObjectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tree {}", self.tree)?;
        if !self.key.is_empty() {
            f.write_str(", key ")?;
            self.key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        write!(f, ": {} ({})", self.kind.about(), self.kind.promise())
    }
}
