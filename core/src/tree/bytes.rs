//! Bytes of a key or value, shared with the page that holds them.

use super::node::Node;
use crate::conc::Arc;
use std::fmt;
use std::ops::Deref;

/// Bytes of a key or value: a shared reference to the page that holds them. A clone does not copy
/// them.
#[derive(Clone)]
pub struct Bytes(BytesStorage);

#[derive(Clone)]
enum BytesStorage {
    Node { node: Arc<Node>, at: usize, len: usize },
    Owned(Arc<[u8]>),
}

impl Bytes {
    pub(crate) const fn of_node(node: Arc<Node>, at: usize, len: usize) -> Self {
        Self(BytesStorage::Node { node, at, len })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(BytesStorage::Owned(bytes.into()))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(BytesStorage::Owned(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            BytesStorage::Node { node, at, len } => node.slice(*at, *len),
            BytesStorage::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Bytes {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Bytes {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == other[..]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}
