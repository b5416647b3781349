//! Holders of handles: a thread, and the kind of its handle.

/// The number of a thread. No two threads of a process ever have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadNumber(pub usize);

/// The kind of an instance: which classes it sees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum InstanceKind {
    /// The classes of the configuration.
    Typed = 0,
    /// The classes of the file.
    Dynamic = 1,
}
