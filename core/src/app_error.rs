//! Errors of the app's own: the core carries them from a callback to the caller, and reads nothing.
//!
//! An [`AppError`] shares the value that the callback returned, so that errors stay `Clone`; two of
//! them are equal if they share one value.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// An error of the app, which one of its callbacks returned.
///
/// It is equal to its clones only.
#[derive(Clone)]
pub struct AppError(Arc<dyn Carried>);

/// The type of an error of the app.
trait Carried: StdError + Any + Send + Sync {}

impl<E: StdError + Any + Send + Sync> Carried for E {}

impl AppError {
    pub(crate) fn new(error: impl StdError + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the error, if it is of this type.
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        let error: &dyn Any = &*self.0;
        error.downcast_ref()
    }

    /// Takes the error out, if it is of this type and no clone shares it.
    ///
    /// # Errors
    /// The unchanged value otherwise.
    pub fn downcast<E: StdError + Send + Sync + 'static>(self) -> Result<E, Self> {
        if self.downcast_ref::<E>().is_none() {
            return Err(self);
        }
        let shared: Arc<dyn Any + Send + Sync> = self.0;
        match shared.downcast::<E>().map(Arc::try_unwrap) {
            Ok(Ok(error)) => Ok(error),
            Ok(Err(shared)) => Err(Self(shared)),
            Err(_) => unreachable!("the type was just compared"),
        }
    }
}

impl PartialEq for AppError {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl Eq for AppError {}

impl StdError for AppError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// The core never looks into the value, so a panic leaves nothing half changed that it could see.
impl UnwindSafe for AppError {}
impl RefUnwindSafe for AppError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Full(u8);

    impl fmt::Display for Full {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "full: {}", self.0)
        }
    }

    impl StdError for Full {}

    #[test]
    fn an_error_is_taken_out_as_its_own_type_by_its_last_holder() {
        let error = AppError::new(Full(3));
        let clone = error.clone();
        assert_eq!((&error, error.to_string().as_str()), (&clone, "full: 3"));
        assert_ne!(error, AppError::new(Full(3)));
        assert_eq!(error.downcast_ref(), Some(&Full(3)));
        assert!(error.downcast_ref::<fmt::Error>().is_none());
        let error = error.downcast::<Full>().unwrap_err();
        assert_eq!(error, clone);
        drop(clone);
        let error = error.downcast::<fmt::Error>().unwrap_err();
        assert_eq!(error.downcast::<Full>().unwrap(), Full(3));
    }
}
