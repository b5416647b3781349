//! `#[derive(Object)]`: a struct with named fields as a class of objects.
//!
//! The macro takes a struct and returns an `impl fastness::typed::Object`, which names the
//! properties and delegates to the types of the fields. An invalid struct returns all its errors,
//! each at its position. `fastness` re-exports the crate with the feature `derive`.
//!
//! Specification: docs/objects.md#typed-objects.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the syntax tree has more variants than a class uses"
)]

mod definition;
mod output;
#[cfg(test)]
mod tests;

use definition::Definition;
use proc_macro2::TokenStream;

/// Derives a class of objects from a struct.
///
/// Each field is a property with its name and type; `fastness::typed::Field` lists the types.
/// Attributes of the struct:
///
/// - `#[object(class = "Dog")]` names the class, which otherwise has the struct's name.
/// - `#[object(local)]` makes the class local: a synced file keeps its objects for itself.
///
/// Attributes of a field:
///
/// - `#[object(primary_key)]` makes it the primary key: an `i64` or a `String`, or an `Option` of
///   one. One field at most.
/// - `#[object(indexed)]` keeps an index: of an `i64`, `bool`, `String` or `Timestamp`, or an
///   `Option` of one.
/// - `#[object(property = "born_at")]` names the property, which otherwise has the field's name.
/// - `#[object(backlinks = "dogs")]` holds, in a `Vec<Link<T>>`, the objects of `T` that link here
///   from their property `dogs`. It is computed when the object is read, and never written.
/// - `#[object(ignored)]` does not store it; reading gives it its default.
///
/// ```
/// use fastness::object::{Database, Filter, Timestamp, DatabaseOptions};
/// use fastness::schema::Schema;
/// use fastness::typed::{Counter, Link, Object};
/// use fastness::StoreOptions;
///
/// #[derive(Object, Default)]
/// struct Dog {
///     #[object(primary_key)]
///     name: String,
///     #[object(indexed)]
///     age: Option<i64>,
///     #[object(property = "born_at")]
///     born: Timestamp,
///     photo: Vec<u8>,
///     walks: Counter,
///     friend: Option<Link<Dog>>,
///     tricks: Vec<String>,
///     #[object(backlinks = "dogs")]
///     owners: Vec<Link<Person>>,
///     #[object(ignored)]
///     is_selected: bool,
/// }
///
/// #[derive(Object, Default)]
/// struct Person {
///     dogs: Vec<Link<Dog>>,
/// }
///
/// # fn main() -> fastness::Result<()> {
/// let options = DatabaseOptions::schema(Schema::new([Dog::class()?, Person::class()?])?, 1);
/// let database = Database::in_memory(&StoreOptions::new(), &options)?;
///
/// let rex = database.transact(|txn| {
///     let ida = Dog { name: "Ida".into(), age: Some(3), ..Dog::default() }.create(txn)?;
///     let rex = Dog { name: "Rex".into(), friend: Some(ida), ..Dog::default() }.create(txn)?;
///     Person { dogs: vec![rex.clone()] }.create(txn)?;
///     rex.update(txn, |rex| {
///         rex.walks += 1;
///         rex.tricks.push("sit".into());
///     })?;
///     Ok(rex)
/// })?;
///
/// let snapshot = database.snapshot()?;
/// let dogs = Dog::objects(&snapshot)?;
/// let found = dogs.filter(Filter::eq("friend.age", 3)).first()?.unwrap();
/// assert_eq!((found.name.as_str(), found.walks), ("Rex", Counter(1)));
/// assert_eq!((found.owners.len(), found.link()), (1, &rex));
/// # Ok(())
/// # }
/// ```
///
/// A struct that no file can hold does not compile:
///
/// ```compile_fail,E0277
/// # use fastness::typed::Object;
/// #[derive(Object)]
/// struct Dog {
///     age: u32, // no property holds a `u32`
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use fastness::typed::Object;
/// #[derive(Object)]
/// struct Dog {
///     #[object(primary_key)] // only i64 and String can be the primary key
///     weight: f64,
/// }
/// ```
///
/// ```compile_fail
/// # use fastness::typed::Object;
/// #[derive(Object)]
/// struct Dog {
///     #[object(primary_key)]
///     name: String,
///     #[object(primary_key)] // a class has one primary key
///     chip: i64,
/// }
/// ```
#[proc_macro_derive(Object, attributes(object))]
pub fn derive_object(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input.into()).into()
}

/// Returns the implementation, or the errors.
fn expand(input: TokenStream) -> TokenStream {
    let definition = syn::parse2(input).and_then(|input| Definition::new(&input));
    definition
        .map_or_else(|error| error.to_compile_error(), |definition| output::write(&definition))
}
