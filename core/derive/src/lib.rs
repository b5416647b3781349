//! `#[derive(Object)]`: a struct with named fields as a class of objects; `#[derive(ScalarType)]`:
//! an enum or a struct as a value of a property.
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
mod scalar;
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
///   one; or a type that is stored as one. One field at most.
/// - `#[object(indexed)]` keeps an index: of an `i64`, `bool`, `String` or `Timestamp`, or an
///   `Option` of one; or a type that is stored as one.
/// - `#[object(property = "born_at")]` names the property, which otherwise has the field's name.
/// - `#[object(backlinks = "dogs")]` holds, in a `Vec<Link<T>>`, the objects of `T` that link here
///   from their property `dogs`. It is computed when the object is read, and never written.
/// - `#[object(with = "path")]` converts it by the functions of a module: `to_stored` makes a
///   `Stored` of a borrowed field, and `from_stored` an `Option` of the field. `Stored` is a type
///   that a field can have.
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
/// A field that an app converts itself:
///
/// ```
/// use fastness::object::{Database, DatabaseOptions};
/// use fastness::schema::Schema;
/// use fastness::typed::Object;
/// use std::net::IpAddr;
///
/// #[derive(Object, Debug)]
/// struct Host {
///     #[object(primary_key, with = "address_text")]
///     address: IpAddr,
/// }
///
/// mod address_text {
///     use std::net::IpAddr;
///
///     pub(crate) type Stored = String;
///
///     pub(crate) fn to_stored(address: &IpAddr) -> String {
///         address.to_string()
///     }
///
///     pub(crate) fn from_stored(text: String) -> Option<IpAddr> {
///         text.parse().ok()
///     }
/// }
///
/// # fn main() -> fastness::Result<()> {
/// let options = DatabaseOptions::schema(Schema::new([Host::class()?])?, 0);
/// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
/// let host = Host { address: [127, 0, 0, 1].into() };
/// database.transact(|txn| host.create(txn))?;
/// let snapshot = database.snapshot()?;
/// assert_eq!(Host::objects(&snapshot)?.get("127.0.0.1")?.unwrap().address, host.address);
///
/// // A text that is no address is an error that names it.
/// let other = database.transact(|txn| txn.create_with_key("Host", "home"))?;
/// let found = Host::objects(&database.snapshot()?)?.by_key(&other.key).map(drop);
/// assert!(found.unwrap_err().to_string().starts_with("`Host.address` holds \"home\", which"));
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
///     age: char, // no property holds a `char`
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

/// Derives a value of a property from an enum without fields, or from a struct around one value.
///
/// An enum is stored as text: the name of its variant, or the one that `#[object(name = "..")]`
/// gives it. With `#[object(number = ..)]` on every variant it is stored as a number. A struct
/// around one value is stored as that value. A stored value that the type does not have is an error
/// that names it. Filters take the type too.
///
/// ```
/// use fastness::object::{Database, DatabaseOptions, Filter};
/// use fastness::schema::Schema;
/// use fastness::typed::{Object, ScalarType};
///
/// #[derive(ScalarType, Clone, Copy, Debug, PartialEq)]
/// enum Mood {
///     Calm,
///     #[object(name = "wild")]
///     Playful,
/// }
///
/// #[derive(ScalarType, Clone, Copy, Debug, PartialEq)]
/// enum Size {
///     #[object(number = 1)]
///     Small,
///     #[object(number = 9)]
///     Large,
/// }
///
/// #[derive(ScalarType, Clone, Debug, PartialEq)]
/// struct Name(String);
///
/// #[derive(Object)]
/// struct Dog {
///     #[object(primary_key)]
///     name: Name,
///     #[object(indexed)]
///     mood: Option<Mood>,
///     size: Size,
///     moods: Vec<Mood>,
///     age: u8,
/// }
///
/// # fn main() -> fastness::Result<()> {
/// let options = DatabaseOptions::schema(Schema::new([Dog::class()?])?, 0);
/// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
/// let rex = Dog {
///     name: Name("Rex".into()),
///     mood: Some(Mood::Playful),
///     size: Size::Large,
///     moods: vec![Mood::Calm],
///     age: 7,
/// };
/// let rex = database.transact(|txn| rex.create(txn))?;
/// let snapshot = database.snapshot()?;
/// let found = Dog::objects(&snapshot)?.filter(Filter::eq("mood", Mood::Playful)).first()?;
/// assert_eq!(found.unwrap().size, Size::Large);
/// assert_eq!(snapshot.object(&rex)?.unwrap().get("mood")?, "wild".into());
///
/// // Another program, or an older one, may have written a value that the type does not have.
/// database.transact(|txn| txn.set(&rex, "age", 300))?;
/// let error = rex.get(&database.snapshot()?).map(drop).unwrap_err();
/// assert!(error.to_string().starts_with("`Dog.age` holds 300, which `u8` does not have"));
/// # Ok(())
/// # }
/// ```
#[proc_macro_derive(ScalarType, attributes(object))]
pub fn derive_scalar_type(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_scalar(input.into()).into()
}

/// Returns the implementation, or the error.
fn expand_scalar(input: TokenStream) -> TokenStream {
    let expanded = syn::parse2(input).and_then(|input| scalar::expand(&input));
    expanded.unwrap_or_else(|error| error.to_compile_error())
}

/// Returns the implementation, or the errors.
fn expand(input: TokenStream) -> TokenStream {
    let definition = syn::parse2(input).and_then(|input| Definition::new(&input));
    definition
        .map_or_else(|error| error.to_compile_error(), |definition| output::write(&definition))
}
