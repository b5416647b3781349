//! Identity of the holder of a file: its thread, and the kind of its instance.

/// A thread, by a number that no other thread of the process ever has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadNumber(pub usize);

/// Kind of an instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InstanceKind {
    /// With the classes of the configuration.
    Typed = 0,
    /// With whatever classes the file has.
    Dynamic = 1,
}
