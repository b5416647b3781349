//! Schemas: sets of classes that fit together.

use super::check::check;
use super::class::{Class, Module};
use super::error::SchemaError;

/// A set of classes that fit together, in the order of their names. Those who hold one need not
/// check it again (M2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Schema {
    classes: Vec<Class>,
}

impl Schema {
    /// Creates a schema of classes that pass all checks. A definition may occur twice.
    ///
    /// # Errors
    /// [`SchemaError::Definition`] with everything that is wrong.
    pub fn new(classes: impl IntoIterator<Item = Class>) -> Result<Self, SchemaError> {
        let mut classes: Vec<Class> = classes.into_iter().collect();
        let errors = check(&mut classes);
        if errors.is_empty() { Ok(Self { classes }) } else { Err(SchemaError::Definition(errors)) }
    }

    /// Creates a schema of all classes of some modules, in any order and grouping.
    ///
    /// # Errors
    /// As [`Schema::new`].
    pub fn of_modules<'a>(
        modules: impl IntoIterator<Item = &'a Module>,
    ) -> Result<Self, SchemaError> {
        Self::new(modules.into_iter().flat_map(Module::classes).cloned())
    }

    /// Returns the classes in the order of their names.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Returns the class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        let at = self.classes.binary_search_by(|class| class.name.as_str().cmp(name)).ok()?;
        self.classes.get(at)
    }

    /// Returns whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}
