//! What tells holders of one file apart: their thread, and what they open the file as.

/// A thread, by a number that no other thread of the process ever has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadNumber(pub usize);

/// What a file is opened as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InstanceKind {
    /// With the classes of the configuration.
    Typed = 0,
    /// With whatever classes the file has.
    Dynamic = 1,
}
