//! Reading a JSON export object by object, in bounded memory.

use super::value::property;
use crate::failure::Failure;
use fastness::schema::Class;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value as Json;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Version of the format.
const FORMAT_VERSION: u64 = 1;

/// Receives a document in its order.
pub(super) trait DocumentReader {
    /// The version of the schema.
    fn version(&mut self, version: u64);

    /// A class begins; tells whether its objects are of interest.
    fn class(&mut self, head: &ClassHead) -> Result<bool, Failure>;

    /// An object of that class.
    fn object(&mut self, object: Json) -> Result<(), Failure>;
}

/// A class without its objects.
#[derive(Default)]
pub(super) struct ClassHead {
    name: Option<String>,
    properties: Option<Vec<Json>>,
}

impl ClassHead {
    /// Returns the class.
    pub(super) fn class(&self) -> Result<Class, Failure> {
        let name = self.name.as_deref().unwrap_or_default();
        let problem = |text: String| Failure::problem(format!("class {name:?}: {text}"));
        let mut class = Class::new(name).map_err(|error| problem(error.to_string()))?;
        for json in self.properties.iter().flatten() {
            class = class.with(property(json).map_err(problem)?);
        }
        Ok(class)
    }
}

/// Reads a document.
pub(super) fn read(path: &Path, reader: &mut dyn DocumentReader) -> Result<(), Failure> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        Failure::environment(format!("{name}: cannot read the document: {}", error.kind()))
    })?;
    let mut walk = DocumentWalk { reader, failure: None };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let outcome = DocumentSeed(&mut walk).deserialize(&mut json).and_then(|()| json.end());
    if let Some(failure) = walk.failure {
        return Err(failure);
    }
    outcome.map_err(|error| {
        Failure::problem(format!("{name}: is no JSON export of fastness: {error}"))
    })
}

/// A walk over a document, and the failure of its reader.
struct DocumentWalk<'r> {
    reader: &'r mut dyn DocumentReader,
    failure: Option<Failure>,
}

impl DocumentWalk<'_> {
    /// Ends the walk with a failure of the reader.
    fn pass<T, E: serde::de::Error>(&mut self, outcome: Result<T, Failure>) -> Result<T, E> {
        outcome.map_err(|failure| {
            self.failure = Some(failure);
            E::custom("the reader failed")
        })
    }
}

struct DocumentSeed<'w, 'r>(&'w mut DocumentWalk<'r>);
struct ClassesSeed<'w, 'r>(&'w mut DocumentWalk<'r>);
struct ClassSeed<'w, 'r>(&'w mut DocumentWalk<'r>);
struct ObjectsSeed<'w, 'r>(&'w mut DocumentWalk<'r>);

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an export")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_export = false;
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "export" => {
                    let version = map.next_value::<u64>()?;
                    if version != FORMAT_VERSION {
                        let text =
                            format!("version {version} of the format; install a newer fastness");
                        return Err(A::Error::custom(text));
                    }
                    is_export = true;
                }
                "schema_version" => {
                    let version = map.next_value::<Option<u64>>()?;
                    self.0.reader.version(version.unwrap_or_default());
                }
                "classes" => map.next_value_seed(ClassesSeed(&mut *self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        is_export.then_some(()).ok_or_else(|| A::Error::missing_field("export"))
    }
}

impl<'de> DeserializeSeed<'de> for ClassesSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ClassesSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("classes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut classes: A) -> Result<(), A::Error> {
        while classes.next_element_seed(ClassSeed(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ClassSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ClassSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a class")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut head = ClassHead::default();
        let mut has_objects = false;
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "name" => head.name = Some(map.next_value()?),
                "properties" => head.properties = Some(map.next_value()?),
                "objects" => {
                    let is_known = head.name.is_some() && head.properties.is_some();
                    if !is_known || has_objects {
                        let text = "name and properties of a class must come before its objects";
                        return Err(A::Error::custom(text));
                    }
                    has_objects = true;
                    let outcome = self.0.reader.class(&head);
                    if self.0.pass(outcome)? {
                        map.next_value_seed(ObjectsSeed(&mut *self.0))?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        has_objects.then_some(()).ok_or_else(|| A::Error::missing_field("objects"))
    }
}

impl<'de> DeserializeSeed<'de> for ObjectsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ObjectsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<(), A::Error> {
        while let Some(object) = objects.next_element::<Json>()? {
            let outcome = self.0.reader.object(object);
            self.0.pass(outcome)?;
        }
        Ok(())
    }
}
