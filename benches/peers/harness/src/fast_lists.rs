//! Lists of Fastness: a class whose objects have one list of numbers.

use crate::engine::{Lists, Place, Result, Spot};
use crate::sum::Sum;
use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, ListMut, Transaction, Value};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};

const CLASS: &str = "Numbers";
const LIST: &str = "elements";

/// Opens the store of lists.
pub(crate) fn open(options: &StoreOptions, place: &Place<'_>) -> Result<Box<dyn Lists>> {
    let class = Class::new(CLASS)?
        .with(Property::new("id", Scalar::Int)?.required().primary_key())
        .with(Property::new(LIST, PropertyType::List { of: Scalar::Int, nullable: false })?);
    let database_options = DatabaseOptions::schema(Schema::new([class])?, 0);
    let options = options.clone().cache_bytes(place.cache_bytes);
    let path = place.dir.join("lists.fastness");
    Ok(Box::new(FastnessLists(Database::open(&options, path, &database_options)?)))
}

struct FastnessLists(Database);

/// Changes elements of lists in one transaction; elements of one list follow each other.
fn change(
    database: &Database,
    spots: &[Spot],
    body: impl Fn(&mut ListMut<'_>, &Spot) -> fastness::Result<()>,
) -> Result<()> {
    let in_list = |txn: &mut Transaction, spots: &[Spot]| {
        let id = match txn.objects(CLASS)?.get(spots[0].list)? {
            Some(object) => object.id(),
            None => txn.create_with_key(CLASS, spots[0].list)?,
        };
        let mut list = txn.list(&id, LIST)?;
        spots.iter().try_for_each(|spot| body(&mut list, spot))
    };
    database.transact(|txn| {
        spots.chunk_by(|a, b| a.list == b.list).try_for_each(|spots| in_list(txn, spots))
    })?;
    Ok(())
}

impl Lists for FastnessLists {
    fn push(&mut self, spots: &[Spot]) -> Result<()> {
        change(&self.0, spots, |list, spot| list.push(spot.value).map(drop))
    }

    fn set(&mut self, spots: &[Spot]) -> Result<()> {
        change(&self.0, spots, |list, spot| list.set(spot.position, spot.value))
    }

    fn remove(&mut self, spots: &[Spot]) -> Result<()> {
        change(&self.0, spots, |list, spot| list.remove(spot.position).map(drop))
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let snapshot = self.0.snapshot()?;
        for object in snapshot.objects(CLASS)?.iter()? {
            for element in object?.elements(LIST)? {
                let Value::Int(value) = element?.value else { Err("an element is no number")? };
                sum.add_points(value);
            }
        }
        Ok(sum)
    }
}
