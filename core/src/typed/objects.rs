//! The objects of a class as structs; `query` has the operations.

use crate::object;
use std::marker::PhantomData;

/// The objects of a class, as structs.
#[derive(Clone, Debug)]
pub struct Objects<'a, T> {
    pub(super) objects: object::Objects<'a>,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> Objects<'a, T> {
    pub(super) const fn new(objects: object::Objects<'a>) -> Self {
        Self { objects, of: PhantomData }
    }
}
