//! Reading, changing and finding objects through their links.

use super::Object;
use super::link::{Link, Stored};
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
use crate::object::{self, Transaction, View};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Property, PropertyType};
use std::marker::PhantomData;

impl<T: Object> Link<T> {
    /// Reads the object: of a snapshot, or as a transaction sees it. None if it is not there.
    ///
    /// # Errors
    /// As [`Object::read`]; [`ObjectError::ClassUnknown`].
    pub fn get<'a>(&self, of: impl Into<View<'a>>) -> Result<Option<T>> {
        let objects = of.into().objects(T::CLASS)?;
        if objects.class() != self.id.class {
            return Ok(None);
        }
        objects.by_key(self.id.key.clone())?.map(|object| T::read(&object)).transpose()
    }

    /// Changes the object: reads it, lets `change` change it, and sets the properties that differ.
    ///
    /// In a list, the elements of a common prefix and suffix keep their ids, and those in between
    /// are replaced; [`Transaction::list`] changes single elements.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if it does not exist, [`ObjectError::PrimaryKeyImmutable`]
    /// if the primary key was changed; as [`Link::get`], and as [`Transaction::set`] of each
    /// property. Nothing is changed then.
    pub fn update<R>(&self, txn: &mut Transaction, change: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(self.update_object(txn, change)?.0)
    }

    /// Changes the object, and returns what it then holds too.
    fn update_object<R>(
        &self,
        txn: &mut Transaction,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<(R, T)> {
        let found = self.get(txn.view());
        let Some(mut object) = txn.noted(found)? else {
            let (class, key) = (T::CLASS.to_owned(), self.id.key.to_string());
            return Err(ObjectError::ObjectNotFound { class, key }.into());
        };
        let outcome = change(&mut object);
        if let Some((property, key)) = object.key()
            && key != self.id.key.value()
            && !fault::on(Fault::Ob08)
        {
            let (class, property) = (T::CLASS.to_owned(), property.to_owned());
            return Err(ObjectError::PrimaryKeyImmutable { class, property }.into());
        }
        txn.update(&self.id, &object.properties())?;
        Ok((outcome, object))
    }

    /// Deletes the object.
    ///
    /// # Errors
    /// As [`Transaction::delete`].
    pub fn delete(&self, txn: &mut Transaction) -> Result<()> {
        txn.delete(&self.id)
    }

    /// Returns the objects of this class that link to an object from a property.
    ///
    /// # Errors
    /// As [`View::backlinks`].
    pub fn backlinks(to: &object::Object<'_>, property: &str) -> Result<Vec<Self>> {
        Ok(to.backlinks(T::CLASS, property)?.into_iter().map(Self::new).collect())
    }
}

impl<T: Object> Stored<T> {
    /// Changes the object in the file, as [`Link::update`] does, and this then holds what it holds.
    ///
    /// The change begins with what the transaction sees, which may be newer than this. After a
    /// rolled-back transaction this holds what was written, so find the object again.
    ///
    /// ```
    /// # #[cfg(feature = "derive")] {
    /// use fastness::object::{Database, DatabaseOptions};
    /// use fastness::schema::Schema;
    /// use fastness::typed::Object;
    ///
    /// #[derive(Object, Debug)]
    /// struct Dog {
    ///     #[object(primary_key)]
    ///     name: String,
    ///     age: Option<i64>,
    /// }
    ///
    /// let options = DatabaseOptions::schema(Schema::new([Dog::class()?])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// database.transact(|txn| Dog { name: "Rex".into(), age: None }.create(txn))?;
    ///
    /// let mut rex = Dog::objects(&database.snapshot()?)?.get("Rex")?.unwrap();
    /// database.transact(|txn| rex.update(txn, |rex| rex.age = Some(7)))?;
    /// assert_eq!(rex.age, Some(7));
    /// database.transact(|txn| rex.delete(txn))?;
    /// assert!(Dog::objects(&database.snapshot()?)?.is_empty());
    /// # }
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Link::update`]; nothing is changed then, neither here.
    pub fn update<R>(
        &mut self,
        txn: &mut Transaction,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let (outcome, object) = self.link().update_object(txn, change)?;
        self.replace(object);
        Ok(outcome)
    }

    /// Deletes the object, and returns what this held.
    ///
    /// # Errors
    /// As [`Transaction::delete`].
    pub fn delete(self, txn: &mut Transaction) -> Result<T> {
        self.link().delete(txn)?;
        Ok(self.into_inner())
    }
}

/// Returns the computed property of a field that holds the links to an object. The derive uses it.
///
/// # Errors
/// [`SchemaError::PropertyName`].
#[doc(hidden)]
pub fn backlinks_property<T: Object>(
    _: PhantomData<Vec<Link<T>>>,
    name: &str,
    origin: &str,
) -> Result<Property> {
    let (class, property) = (T::CLASS.to_owned(), origin.to_owned());
    Ok(Property::new(name, PropertyType::LinkingObjects { class, property })?)
}
