//! Deleting and updating the objects that a query finds, within the transaction.
//!
//! Specification: docs/objects.md#operations. Check: `sim::check::queries`.

use super::query::Query;
use super::transaction::Transaction;
use super::view::Objects;
use super::write_properties::PropertyValue;
use crate::error::Result;
use crate::table::ObjectId;

impl Transaction {
    /// Deletes the objects that a query finds; returns how many there were. The query is made of
    /// the objects of the class, as the transaction sees them. Its order, offset and limit count.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions, Filter, Order};
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    ///
    /// let note = Class::new("Note")?
    ///     .with(Property::new("title", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("stars", Scalar::Int)?.required().indexed());
    /// let options = DatabaseOptions::schema(Schema::new([note])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// let (updated, deleted) = database.transact(|txn| {
    ///     for title in ["a", "b", "c"] {
    ///         txn.create_with_key("Note", title)?;
    ///     }
    ///     let updated = txn.update_found("Note", |notes| {
    ///         notes.filter(Filter::ge("title", "b"))
    ///     }, &[("stars", 5.into())])?;
    ///     let deleted = txn.delete_found("Note", |notes| {
    ///         notes.query().sort("stars", Order::Descending).limit(1)
    ///     })?;
    ///     Ok((updated, deleted))
    /// })?;
    /// assert_eq!((updated, deleted), (2, 1));
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::find`] and [`Transaction::delete`]. Nothing is changed then.
    pub fn delete_found(
        &mut self,
        class: &str,
        query: impl for<'q> FnOnce(Objects<'q>) -> Query<'q>,
    ) -> Result<u64> {
        let found = self.found(class, query)?;
        found.iter().try_for_each(|id| self.delete(id))?;
        Ok(found.len() as u64)
    }

    /// Sets properties of the objects that a query finds, as [`Transaction::update`] does; returns
    /// how many there were. All are found before the first is changed.
    ///
    /// # Errors
    /// As [`Query::find`], and as [`Transaction::update`] if it finds any. Nothing is changed then.
    pub fn update_found(
        &mut self,
        class: &str,
        query: impl for<'q> FnOnce(Objects<'q>) -> Query<'q>,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<u64> {
        let found = self.found(class, query)?;
        // An update that the first object allows is allowed for all.
        found.iter().try_for_each(|id| self.update(id, properties))?;
        Ok(found.len() as u64)
    }

    fn found(
        &mut self,
        class: &str,
        query: impl for<'q> FnOnce(Objects<'q>) -> Query<'q>,
    ) -> Result<Vec<ObjectId>> {
        let found = self.view().objects(class).and_then(|objects| query(objects).find());
        self.noted(found)
    }
}
