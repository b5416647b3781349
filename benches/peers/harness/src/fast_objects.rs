//! Objects of Fastness: a class with a primary key and eight properties, one of them indexed.

use crate::engine::{CLASSES, Objects, Place, Result};
use crate::items::{Ask, Fields, Item, Points};
use crate::sum::Sum;
use fastness::StoreOptions;
use fastness::object::{self, Database, DatabaseOptions, Filter, Timestamp, Value};
use fastness::schema::{Class, Property, Scalar, Schema};
use std::any::Any;

const CLASS: &str = "Item";

fn class(name: &str, indexed: bool) -> Result<Class> {
    let required = |name, of| Property::new(name, of).map(Property::required);
    let name_property = required("name", Scalar::String)?;
    Ok(Class::new(name)?
        .with(required("id", Scalar::Int)?.primary_key())
        .with(if indexed { name_property.indexed() } else { name_property })
        .with(required("city", Scalar::String)?)
        .with(required("age", Scalar::Int)?)
        .with(required("points", Scalar::Int)?)
        .with(required("score", Scalar::Double)?)
        .with(required("active", Scalar::Bool)?)
        .with(required("joined", Scalar::Timestamp)?)
        .with(required("token", Scalar::Binary)?))
}

/// Opens the store of objects.
pub(crate) fn open(options: &StoreOptions, place: &Place<'_>) -> Result<Box<dyn Objects>> {
    let database_options = DatabaseOptions::schema(Schema::new([class(CLASS, true)?])?, 0);
    let options = options.clone().cache_bytes(place.cache_bytes);
    Ok(Box::new(FastnessObjects(Database::open(
        &options,
        place.dir.join("objects.fastness"),
        &database_options,
    )?)))
}

/// Opens the store of many classes: makes the schema, as a program does that begins, and what was
/// never there.
pub(crate) fn open_classes(
    options: &StoreOptions,
    place: &Place<'_>,
) -> Result<(Sum, Box<dyn Any>)> {
    let name = |number| format!("Class{number}");
    let classes: Vec<_> = (0..CLASSES).map(|n| class(&name(n), false)).collect::<Result<_>>()?;
    let fill = |txn: &mut object::Transaction| {
        (0..CLASSES).try_for_each(|n| txn.create_with_key(&name(n), 1).map(drop))
    };
    let database_options = DatabaseOptions::schema(Schema::new(classes)?, 0).initial_data(&fill);
    let options = options.clone().cache_bytes(place.cache_bytes);
    let database = Database::open(&options, place.dir.join("classes.fastness"), &database_options)?;
    let mut sum = Sum::default();
    if let Some(object) = database.snapshot()?.objects(&name(CLASSES - 1))?.get(1)? {
        sum.add(text(&object.get("name")?)?.as_bytes());
    }
    Ok((sum, Box::new(database)))
}

struct FastnessObjects(Database);

fn other(value: &Value<'_>) -> Box<dyn std::error::Error + Send + Sync> {
    format!("a value of another type: {value:?}").into()
}

fn text<'v>(value: &'v Value<'_>) -> Result<&'v str> {
    if let Value::String(text) = value { Ok(text) } else { Err(other(value)) }
}

fn int(value: &Value<'_>) -> Result<i64> {
    if let Value::Int(value) = value { Ok(*value) } else { Err(other(value)) }
}

const FIELDS: [&str; 8] = ["name", "city", "age", "points", "score", "active", "joined", "token"];

fn add(sum: &mut Sum, values: &[Value<'_>; 8]) -> Result<()> {
    let [name, city, age, points, score, active, joined, token] = values;
    let Value::Double(score) = *score else { return Err(other(score)) };
    let Value::Bool(active) = *active else { return Err(other(active)) };
    let Value::Timestamp(joined) = joined else { return Err(other(joined)) };
    let Value::Binary(token) = token else { return Err(other(token)) };
    sum.add_fields(&Fields {
        name: text(name)?,
        city: text(city)?,
        age: int(age)?,
        points: int(points)?,
        score,
        active,
        joined: joined.seconds(),
        token,
    });
    Ok(())
}

impl Objects for FastnessObjects {
    fn load(&mut self, items: &[Item]) -> Result<()> {
        self.0.transact(|txn| {
            for item in items {
                let fields = item.fields();
                let values = [
                    ("id", item.id.into()),
                    ("name", fields.name.into()),
                    ("city", fields.city.into()),
                    ("age", fields.age.into()),
                    ("points", fields.points.into()),
                    ("score", fields.score.into()),
                    ("active", fields.active.into()),
                    ("joined", Timestamp::new(fields.joined, 0).into()),
                    ("token", fields.token.into()),
                ];
                txn.create_with(CLASS, &values)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn get(&mut self, ids: &[i64]) -> Result<Sum> {
        let mut sum = Sum::default();
        let snapshot = self.0.snapshot()?;
        let items = snapshot.objects(CLASS)?;
        let fields = items.projection(FIELDS)?;
        for id in ids {
            if let Some(item) = items.get(*id)? {
                add(&mut sum, &item.project(&fields)?)?;
            }
        }
        Ok(sum)
    }

    fn filter(&mut self, ask: Ask) -> Result<Sum> {
        let mut sum = Sum::default();
        let snapshot = self.0.snapshot()?;
        let filter = Filter::ge("age", ask.age).and(Filter::eq("active", true));
        sum.add_points(int(&snapshot.objects(CLASS)?.filter(filter).sum("points")?)?);
        Ok(sum)
    }

    fn look_up(&mut self, names: &[String]) -> Result<Option<Sum>> {
        let mut sum = Sum::default();
        let snapshot = self.0.snapshot()?;
        let items = snapshot.objects(CLASS)?;
        for name in names {
            let points = items.filter(Filter::eq("name", name)).sum("points")?;
            sum.add_points(int(&points)?);
        }
        Ok(Some(sum))
    }

    fn update(&mut self, updates: &[Points]) -> Result<()> {
        self.0.transact(|txn| {
            let class = txn.objects(CLASS)?.class();
            for update in updates {
                let key = object::ObjectKey::Int(update.id);
                txn.set(&object::ObjectId { class, key }, "points", update.points)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}
