//! Typed objects: structs of an app, over the same objects as [`crate::object`].
//!
//! A struct whose fields are properties is written to an object and read from one; with the
//! feature `derive`, `#[derive(Object)]` says how. Nothing here touches the store: everything goes
//! through [`Transaction`] and [`View`], and both ways of working go together in one transaction.
//!
//! | here | there |
//! |---|---|
//! | a struct that is an [`Object`] | [`object::Object`] |
//! | [`Link`] | [`ObjectId`](crate::object::ObjectId) |
//! | [`Objects`], [`Query`] | [`object::Objects`], [`object::Query`] |
//!
//! - B9 A struct and the object it was written to hold the same, whichever of the two is written
//!   and whichever is read.
//!
//! Specification: docs/objects.md#typed-objects. Check: generated structs in proptests.

mod adapters;
mod field;
mod link;
mod linked;
mod live;
mod objects;
mod query;
mod scalars;

#[cfg(feature = "derive")]
pub use fastness_derive::{Object, ScalarType};
pub use field::{Counter, ElementType, Field, ScalarType, content_with, read_with};
pub use link::{Link, Stored};
pub use linked::backlinks_property;
pub use live::LiveQuery;
pub use objects::Objects;
pub use query::Query;

use crate::error::Result;
use crate::object::{self, PropertyValue, Transaction, Value, View};
use crate::schema::Class;
#[cfg(doc)]
use crate::schema::SchemaError;

/// A struct whose fields are the properties of a class.
///
/// `#[derive(Object)]` implements it; what the derive writes could be written by hand:
///
/// ```
/// use fastness::object::{PropertyValue, Database, Value, DatabaseOptions};
/// use fastness::schema::{Class, Schema};
/// use fastness::typed::{Field, Object};
/// use fastness::{StoreOptions, Result, object};
///
/// struct Dog {
///     name: String,
///     age: Option<i64>,
/// }
///
/// impl Object for Dog {
///     const CLASS: &'static str = "Dog";
///
///     fn class() -> Result<Class> {
///         Ok(Class::new(Self::CLASS)?
///             .with(String::property("name")?.primary_key())
///             .with(Option::<i64>::property("age")?.indexed()))
///     }
///
///     fn read(object: &object::Object<'_>) -> Result<Self> {
///         Ok(Self { name: Field::read(object, "name")?, age: Field::read(object, "age")? })
///     }
///
///     fn key(&self) -> Option<(&'static str, Value<'_>)> {
///         Some(("name", self.name.as_str().into()))
///     }
///
///     fn properties(&self) -> Vec<(&'static str, PropertyValue<'_>)> {
///         vec![("age", self.age.content())]
///     }
/// }
///
/// let wanted = DatabaseOptions::schema(Schema::new([Dog::class()?])?, 0);
/// let database = Database::in_memory(&StoreOptions::new(), &wanted)?;
/// let rex = database.transact(|txn| Dog { name: "Rex".into(), age: Some(7) }.create(txn))?;
/// database.transact(|txn| rex.update(txn, |rex| rex.age = None))?;
/// assert_eq!(rex.get(&database.snapshot()?)?.unwrap().age, None);
/// # Ok::<(), fastness::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no class of objects",
    note = "derive it: `#[derive(fastness::typed::Object)] struct {Self} {{ .. }}`"
)]
pub trait Object: Sized {
    /// Name of the class.
    const CLASS: &'static str;

    /// Returns the definition of the class, for a [`Schema`](crate::schema::Schema) or a
    /// [`Module`](crate::schema::Module), which check it.
    ///
    /// # Errors
    /// [`SchemaError::ClassName`], [`SchemaError::PropertyName`].
    fn class() -> Result<Class>;

    /// Reads an object of the class.
    ///
    /// # Errors
    /// [`PropertyUnknown`](crate::ObjectError::PropertyUnknown) or
    /// [`Type`](crate::ObjectError::Type) if the file has another class of this name; if a page
    /// cannot be read or is damaged.
    fn read(object: &object::Object<'_>) -> Result<Self>;

    /// Returns the primary key with its name; none if the class has none.
    fn key(&self) -> Option<(&'static str, Value<'_>)>;

    /// Returns all other properties that are stored.
    fn properties(&self) -> Vec<(&'static str, PropertyValue<'_>)>;

    /// Creates an object that holds this.
    ///
    /// # Errors
    /// As [`Transaction::create_with`]; nothing is changed then.
    fn create(&self, txn: &mut Transaction) -> Result<Link<Self>> {
        Ok(Link::new(txn.create_with(Self::CLASS, &whole(self))?))
    }

    /// Makes the object with this primary key hold this. Tells whether it was created.
    ///
    /// # Errors
    /// As [`Transaction::upsert`]; nothing is changed then.
    fn upsert(&self, txn: &mut Transaction) -> Result<(Link<Self>, bool)> {
        let (id, created) = txn.upsert(Self::CLASS, &whole(self))?;
        Ok((Link::new(id), created))
    }

    /// Returns the objects of the class: of a snapshot, or as a transaction sees them.
    ///
    /// # Errors
    /// [`ClassUnknown`](crate::ObjectError::ClassUnknown).
    fn objects<'a>(of: impl Into<View<'a>>) -> Result<Objects<'a, Self>> {
        Ok(Objects::new(of.into().objects(Self::CLASS)?))
    }
}

/// Returns all properties of a struct that are stored, the primary key included.
fn whole<T: Object>(object: &T) -> Vec<(&'static str, PropertyValue<'_>)> {
    let mut properties = object.properties();
    properties.extend(object.key().map(|(name, value)| (name, PropertyValue::Value(value))));
    properties
}
