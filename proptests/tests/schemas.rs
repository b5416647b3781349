//! Property tests of schemas: validation (M1, M2), comparison (M3), decisions (M4, M5), each
//! against a second statement of the rule.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{prop_assert, prop_assert_eq};

use fastness::schema::{
    Action, Change, Class, Difference, Opening, Property, PropertyType, Scalar, Schema,
    SchemaError, SchemaMode, StoredSchema, decide, differences,
};
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;
use std::path::Path;

const CASES: u32 = 2000;

/// Deterministic cases.
#[track_caller]
fn holds<S: Strategy>(strategy: S, check: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    if let Err(broken) = TestRunner::new_with_rng(config, rng).run(&strategy, check) {
        panic!("{broken}");
    }
}

const CLASSES: &[&str] = &["A", "B", "C"];
const NAMES: &[&str] = &["a", "b", "c"];

fn kinds() -> impl Strategy<Value = PropertyType> {
    let class = || select(&["A", "B", "C", "Nowhere"][..]).prop_map(str::to_owned);
    let scalar = || select(&Scalar::ALL[..]);
    prop_oneof![
        4 => scalar().prop_map(PropertyType::from),
        1 => Just(PropertyType::Counter),
        2 => class().prop_map(PropertyType::Object),
        2 => class().prop_map(PropertyType::ObjectList),
        1 => (scalar(), any::<bool>())
            .prop_map(|(of, nullable)| PropertyType::List { of, nullable }),
        2 => (class(), select(NAMES)).prop_map(|(class, property)| {
            PropertyType::LinkingObjects { class, property: property.to_owned() }
        }),
    ]
}

fn properties() -> impl Strategy<Value = Property> {
    let flags = (select(&[0_u8, 0, 1, 2][..]), select(&[0_u8, 0, 0, 1, 2, 3][..]));
    (select(NAMES), kinds(), flags).prop_map(|(name, kind, (null, index))| {
        let mut property = Property::new(name, kind).unwrap();
        if null != 0 {
            property = if null == 1 { property.nullable() } else { property.required() };
        }
        if index & 1 != 0 {
            property = property.indexed();
        }
        if index & 2 != 0 { property.primary_key() } else { property }
    })
}

/// The input of a class: its properties, and a primary key by name.
#[derive(Clone, Debug)]
struct ClassSpec {
    name: &'static str,
    properties: Vec<Property>,
    key: Option<&'static str>,
}

impl ClassSpec {
    fn class(&self) -> Class {
        let class = Class::new(self.name).unwrap();
        let class = self.properties.iter().cloned().fold(class, Class::with);
        match self.key {
            Some(key) => class.primary_key_named(key),
            None => class,
        }
    }

    fn is_key(&self, property: &Property) -> bool {
        property.is_primary_key() || self.key == Some(property.name())
    }
}

fn class_specs() -> impl Strategy<Value = Vec<ClassSpec>> {
    let key = select(&[None, None, None, Some("a"), Some("z")][..]);
    let class_spec = (select(CLASSES), vec(properties(), 0..4), key)
        .prop_map(|(name, properties, key)| ClassSpec { name, properties, key });
    vec(class_spec, 0..4)
}

/// Schemas that are valid by construction: links lead to `Z`, which always exists, and illegal
/// attributes are omitted.
fn schemas() -> impl Strategy<Value = Schema> {
    let flags = any::<[bool; 3]>();
    let property = (kinds(), flags).prop_map(|(kind, [nullable, indexed, key])| {
        let kind = match (&kind, kind.class()) {
            (_, None) => kind,
            (PropertyType::Object(_), _) => PropertyType::Object("Z".to_owned()),
            (_, Some(_)) => PropertyType::ObjectList("Z".to_owned()),
        };
        (kind, nullable, indexed, key)
    });
    let property = property.boxed();
    let named = subsequence(NAMES, 0..=3).prop_flat_map(move |names| {
        let count = names.len();
        (Just(names), vec(property.clone(), count))
    });
    let named = named.boxed();
    let some = subsequence(CLASSES, 0..=3).prop_flat_map(move |names| {
        let count = names.len();
        (Just(names), vec(named.clone(), count))
    });
    some.prop_map(|(names, all)| {
        let made = names.iter().zip(all).map(|(name, (names, properties))| {
            let mut keyed = false;
            let mut class = Class::new(*name).unwrap();
            for (name, (kind, nullable, indexed, key)) in names.iter().zip(properties) {
                let (may_index, may_key) = (kind.may_be_indexed(), kind.may_be_primary_key());
                let mut property = Property::new(*name, kind).unwrap();
                if nullable && property.kind().may_be_nullable() {
                    property = property.nullable();
                }
                if indexed && may_index {
                    property = property.indexed();
                }
                if key && may_key && !keyed {
                    keyed = true;
                    property = property.primary_key();
                }
                class = class.with(property);
            }
            class
        });
        let target = Class::new("Z").unwrap();
        Schema::new(made.chain([target])).unwrap()
    })
}

/// A second statement of the validation rules.
fn is_wrong(all: &[ClassSpec]) -> bool {
    let find = |name: &str| all.iter().find(|class_spec| class_spec.name == name);
    all.iter().any(|class_spec| {
        let names: BTreeSet<&str> = class_spec.properties.iter().map(Property::name).collect();
        names.len() < class_spec.properties.len()
            || class_spec.key.is_some_and(|key| !names.contains(key))
            || class_spec.properties.iter().filter(|property| class_spec.is_key(property)).count()
                > 1
            || class_spec.properties.iter().any(|property| {
                is_wrong_alone(class_spec, property) || is_wrong_link(class_spec, property, &find)
            })
    })
}

fn is_wrong_alone(class_spec: &ClassSpec, property: &Property) -> bool {
    let (kind, is_key) = (property.kind(), class_spec.is_key(property));
    let (may_index, may_key) = (kind.may_be_indexed(), kind.may_be_primary_key());
    (property.is_nullable() && !kind.may_be_nullable())
        || (!property.is_nullable() && !kind.may_be_required())
        || (is_key && !may_key)
        || (property.is_indexed() && !may_index)
}

fn is_wrong_link<'a>(
    class_spec: &ClassSpec,
    property: &Property,
    find: &dyn Fn(&str) -> Option<&'a ClassSpec>,
) -> bool {
    let Some(class) = property.kind().class() else { return false };
    let Some(class) = find(class) else { return true };
    let PropertyType::LinkingObjects { property: origin, .. } = property.kind() else {
        return false;
    };
    let origin = class.properties.iter().find(|property| property.name() == origin);
    let target = origin.filter(|origin| !origin.kind().is_computed());
    target.and_then(|origin| origin.kind().class()) != Some(class_spec.name)
}

#[test]
fn schemas_are_refused_exactly_when_something_is_wrong() {
    // Class names are unique here; core tests duplicates.
    let once = class_specs().prop_map(|mut all| {
        all.sort_by_key(|class_spec| class_spec.name);
        all.dedup_by_key(|class_spec| class_spec.name);
        all
    });
    holds(once, |all| {
        let outcome = Schema::new(all.iter().map(ClassSpec::class));
        prop_assert_eq!(outcome.is_err(), is_wrong(&all), "{:?}", outcome);
        Ok(())
    });
}

#[test]
fn schemas_are_equal_in_any_order() {
    holds((class_specs(), any::<usize>()), |(all, by)| {
        let classes: Vec<Class> = all.iter().map(ClassSpec::class).collect();
        let mut turned: Vec<Class> = classes.iter().rev().cloned().collect();
        if !turned.is_empty() {
            let by = by % turned.len();
            turned.rotate_left(by);
            turned.push(turned[0].clone());
        }
        let outcome = Schema::new(classes);
        prop_assert_eq!(&outcome, &Schema::new(turned));
        match outcome {
            Err(SchemaError::Definition(errors)) => {
                prop_assert!(!errors.is_empty() && errors.is_sorted_by(|a, b| a < b));
            }
            Err(error) => prop_assert!(false, "{}", error),
            Ok(schema) => {
                let again = Schema::new(schema.classes().to_vec());
                prop_assert_eq!(again, Ok(schema));
            }
        }
        Ok(())
    });
}

/// Applies differences to a schema, as opening a file does.
fn apply(stored: &Schema, found: &[Difference], wanted: &Schema) -> Schema {
    let mut classes: Vec<Class> = stored.classes().to_vec();
    for Difference { class, change } in found {
        let new = wanted.class(class).unwrap();
        let at = classes.iter().position(|old| old.name() == class);
        let old = at.map(|at| classes.remove(at));
        let old = old.unwrap_or_else(|| Class::new(class.clone()).unwrap());
        classes.push(changed(&old, change, new));
    }
    Schema::new(classes).unwrap()
}

fn changed(old: &Class, change: &Change, new: &Class) -> Class {
    let mut properties: Vec<Property> = old.properties().to_vec();
    let as_wanted = |name: &str| new.property(name).unwrap().clone();
    let renew = |properties: &mut Vec<Property>, name: &str| {
        properties.retain(|old| old.name() != name);
        properties.push(as_wanted(name));
    };
    match change {
        Change::AddClass => {}
        Change::ChangeLocal { .. } => return new.clone(),
        Change::AddInitialProperties => properties = new.properties().to_vec(),
        Change::RemoveProperty { property } => properties.retain(|old| old.name() != property),
        Change::ChangePrimaryKey { .. } => {
            let now = properties.clone();
            properties.clear();
            for old in now {
                properties.push(rekeyed(&old, new.property(old.name())));
            }
        }
        // A key of another type is one again when it is known to be unique, at the end.
        Change::AddProperty { property }
        | Change::ChangeType { property, .. }
        | Change::MakeNullable { property }
        | Change::MakeRequired { property }
        | Change::AddIndex { property }
        | Change::RemoveIndex { property } => renew(&mut properties, property),
    }
    properties.into_iter().fold(Class::new(old.name()).unwrap(), Class::with)
}

/// Returns the property with the wanted primary key and its old index.
fn rekeyed(old: &Property, new: Option<&Property>) -> Property {
    let mut property = Property::new(old.name(), old.kind().clone()).unwrap();
    property = if old.is_nullable() { property.nullable() } else { property.required() };
    if old.is_indexed() && old.kind().may_be_indexed() {
        property = property.indexed();
    }
    if new.is_some_and(Property::is_primary_key) { property.primary_key() } else { property }
}

#[test]
fn differences_that_are_applied_leave_none() {
    holds((schemas(), schemas()), |(stored, wanted)| {
        let found = differences(&stored, &wanted);
        let after = apply(&stored, &found, &wanted);
        prop_assert_eq!(differences(&after, &wanted), Vec::new(), "{} {}", stored, wanted);
        prop_assert_eq!(differences(&wanted, &wanted), Vec::new());
        Ok(())
    });
}

#[test]
fn differences_are_none_both_ways_only_if_the_schemas_agree() {
    holds((schemas(), schemas()), |(one, two)| {
        let agree = differences(&one, &two).is_empty() && differences(&two, &one).is_empty();
        // `index` is redundant for a primary key.
        prop_assert_eq!(agree, one.to_string() == two.to_string());
        Ok(())
    });
}

fn openings() -> impl Strategy<Value = (SchemaMode, StoredSchema, Schema, bool)> {
    let version = select(&[None, Some(4), Some(5), Some(6)][..]);
    let mode = select(&SchemaMode::ALL[..]);
    (mode, version, schemas(), schemas(), any::<bool>()).prop_map(
        |(mode, version, schema, wanted, has_migration)| {
            (mode, StoredSchema { version, schema }, wanted, has_migration)
        },
    )
}

#[test]
fn decisions_are_total_and_drop_nothing_that_they_must_not() {
    holds(openings(), |(mode, stored, wanted, has_migration)| {
        let path = Path::new("file");
        let opening =
            Opening { path, mode, stored: &stored, wanted: &wanted, version: 5, has_migration };
        let outcome = decide(&opening);
        prop_assert_eq!(&outcome, &decide(&opening));
        let Ok(actions) = outcome else { return Ok(()) };
        prop_assert!(!mode.only_reads() || actions.is_empty());
        let mut at_hand = stored.schema.clone();
        for action in &actions {
            if *action == Action::RemoveFile {
                prop_assert_eq!(mode, SchemaMode::ResetFile);
                at_hand = Schema::default();
            }
            if let Action::Apply(found) = action {
                let may_drop = mode == SchemaMode::Automatic && stored.version == Some(4);
                prop_assert!(may_drop || !found.change.drops_values());
                at_hand = apply(&at_hand, std::slice::from_ref(found), &wanted);
            }
            if let Action::SetVersion(version) = action {
                let raised = stored.version.is_none_or(|stored| stored < *version);
                prop_assert!(raised || actions.contains(&Action::RemoveFile));
            }
        }
        let left = differences(&at_hand, &wanted);
        let may_stay = |found: &Difference| match mode {
            SchemaMode::Immutable | SchemaMode::ReadOnly => {
                !found.change.needs_migration()
                    || matches!(found.change, Change::RemoveProperty { .. })
            }
            SchemaMode::Additive => {
                matches!(found.change, Change::RemoveProperty { .. }) || found.change.is_of_index()
            }
            SchemaMode::Manual => actions.contains(&Action::RequireMatch),
            SchemaMode::Automatic | SchemaMode::ResetFile => false,
        };
        prop_assert!(left.iter().all(may_stay), "{:?}", left);
        Ok(())
    });
}
