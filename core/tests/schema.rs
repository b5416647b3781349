//! Schemas as values: types, limits, definition errors, modules, differences.

use fastness::schema::{
    BINARY_BYTES_MAX, Change, Class, DefinitionProblem as Problem, Module, Property, PropertyType,
    STRING_BYTES_MAX, Scalar, Schema, SchemaError, check_binary, check_null, check_string,
    differences,
};
use fastness::{Error, ErrorKind};
use fastness_testkit::property;

fn class(name: &str) -> Class {
    Class::new(name).unwrap()
}

fn link(to: &str) -> PropertyType {
    PropertyType::Object(to.to_owned())
}

fn links(to: &str) -> PropertyType {
    PropertyType::ObjectList(to.to_owned())
}

fn from(class: &str, property: &str) -> PropertyType {
    PropertyType::LinkingObjects { class: class.to_owned(), property: property.to_owned() }
}

fn kind_of(error: SchemaError) -> ErrorKind {
    Error::from(error).kind()
}

/// Every type with a value for each column of the table of types.
fn types() -> Vec<(PropertyType, u8, &'static str)> {
    let list = |of| PropertyType::List { of, nullable: false };
    // Nullable by default, may be nullable, may be required, primary key, index.
    vec![
        (Scalar::Int.into(), 0, "-nrpi"),
        (Scalar::Bool.into(), 1, "-nr-i"),
        (Scalar::String.into(), 2, "Nnrpi"),
        (Scalar::Binary.into(), 4, "Nnr--"),
        (Scalar::Timestamp.into(), 8, "Nnr-i"),
        (Scalar::Float.into(), 9, "-nr--"),
        (Scalar::Double.into(), 10, "-nr--"),
        (link("A"), 12, "Nn---"),
        (links("A"), 13, "--r--"),
        (from("A", "a"), 14, "--r--"),
        (PropertyType::Counter, 15, "--r--"),
        (list(Scalar::Int), 128, "--r--"),
        (list(Scalar::Double), 138, "--r--"),
    ]
}

#[test]
fn field_types_have_their_numbers_and_allowances() {
    for (kind, code, allowed) in types() {
        let flags = [
            (kind.is_nullable_by_default(), 'N'),
            (kind.may_be_nullable(), 'n'),
            (kind.may_be_required(), 'r'),
            (kind.may_be_primary_key(), 'p'),
            (kind.may_be_indexed(), 'i'),
        ];
        let found: String =
            flags.into_iter().map(|(flag, letter)| if flag { letter } else { '-' }).collect();
        assert_eq!((kind.code(), found.as_str()), (code, allowed), "{kind}");
    }
}

/// Definitions are checked by the table.
#[test]
fn field_types_are_refused_what_they_do_not_allow() {
    type Make = fn(Property) -> Property;
    let uses: [(usize, Make, Problem); 4] = [
        (1, Property::nullable, Problem::NeverNull),
        (2, Property::required, Problem::LinkRequired),
        (3, Property::primary_key, Problem::KeyType),
        (4, Property::indexed, Problem::IndexType),
    ];
    for (kind, _, allowed) in types() {
        for (column, make, problem) in &uses {
            let origin = property("a", link("A"));
            let probe = make(property("probe", kind.clone()));
            let outcome = Schema::new([class("A").with(origin).with(probe)]);
            if allowed.as_bytes()[*column] == b'-' {
                let error = outcome.unwrap_err();
                let SchemaError::Definition(errors) = error else { panic!("{error}") };
                let problems: Vec<&Problem> = errors.iter().map(|error| &error.problem).collect();
                assert_eq!(problems, [problem], "{kind}");
            } else {
                outcome.unwrap();
            }
        }
    }
}

#[test]
fn field_types_primary_key_implies_index() {
    let key = property("id", Scalar::Int).primary_key();
    assert!(key.is_indexed() && !property("id", Scalar::Int).is_indexed());
}

#[test]
fn limits_string_value() {
    check_string(&"x".repeat(STRING_BYTES_MAX)).unwrap();
    assert_eq!(STRING_BYTES_MAX, 16_777_199);
    let error = check_string(&"é".repeat(STRING_BYTES_MAX / 2 + 1)).unwrap_err();
    assert_eq!(error, SchemaError::StringTooLong { bytes: 16_777_200 });
    assert_eq!(kind_of(error), ErrorKind::InvalidArgument);
}

#[test]
fn limits_binary_value() {
    check_binary(&vec![0; BINARY_BYTES_MAX]).unwrap();
    assert_eq!(BINARY_BYTES_MAX, 16_777_200);
    let error = check_binary(&vec![0; BINARY_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error, SchemaError::BinaryTooLong { bytes: 16_777_201 });
    assert_eq!(kind_of(error), ErrorKind::InvalidArgument);
}

#[test]
fn limits_class_name() {
    for name in ["A".repeat(57), "é".repeat(57), "class_".to_owned() + &"A".repeat(57)] {
        assert_eq!(class(&name).table().encode_utf16().count(), 63, "{name}");
    }
    let prefixes = ["class_".to_owned(), "class_class_".to_owned()];
    let long = ["A".repeat(58), "\u{1F600}".repeat(29)];
    for name in [String::new()].into_iter().chain(prefixes).chain(long) {
        let error = Class::new(name.clone()).unwrap_err();
        assert_eq!(error, SchemaError::ClassName { name });
        assert_eq!(kind_of(error), ErrorKind::InvalidArgument);
    }
}

#[test]
fn limits_class_name_with_prefix_is_not_prefixed_again() {
    assert_eq!(class("class_Note").name(), "Note");
    assert_eq!(class("class_Note").table(), "class_Note");
    assert_eq!(class("class_Note"), class("Note"));
    assert_eq!(class("class_class_Note"), class("Note"));
}

#[test]
fn limits_field_name() {
    for name in ["a".repeat(63), "\u{1F600}".repeat(31), "ä ö".to_owned()] {
        drop(property(&name, Scalar::Int));
    }
    for name in [String::new(), "a".repeat(64), "\u{1F600}".repeat(32), "a.b".to_owned()] {
        let error = Property::new(name.clone(), Scalar::Int).unwrap_err();
        assert_eq!(error, SchemaError::PropertyName { name });
        assert_eq!(kind_of(error), ErrorKind::InvalidArgument);
    }
}

#[test]
fn limits_null_into_required_field() {
    let (required, nullable) = (property("a", Scalar::Int), property("b", Scalar::String));
    let owner = class("A").with(required.clone()).with(nullable.clone());
    check_null(&owner, &nullable).unwrap();
    let error = check_null(&owner, &required).unwrap_err();
    assert_eq!(error.to_string(), "`A.a` is required; give it a value");
    assert_eq!(kind_of(error), ErrorKind::InvalidArgument);
}

#[track_caller]
fn errors(classes: Vec<Class>) -> Vec<String> {
    let error = Schema::new(classes).unwrap_err();
    assert_eq!(kind_of(error.clone()), ErrorKind::IllegalState);
    let SchemaError::Definition(errors) = error else { panic!("{error}") };
    let named = |error: &fastness::schema::DefinitionError| {
        let problem = format!("{:?}", error.problem);
        let problem = problem.split([' ', '{']).next().unwrap_or_default().to_owned();
        let property = error.property.as_ref().map(|name| format!(".{name}")).unwrap_or_default();
        format!("{}{property} {problem}", error.class)
    };
    errors.iter().map(named).collect()
}

#[test]
fn definition_errors_are_collected_and_reported_at_once() {
    let int = |name: &str| property(name, Scalar::Int);
    let wrong = vec![
        class("A")
            .with(int("id").primary_key())
            .with(property("key", Scalar::String).primary_key())
            .with(int("twice"))
            .with(property("twice", Scalar::Bool))
            .with(property("blob", Scalar::Binary).indexed())
            .with(property("flag", Scalar::Bool).primary_key()),
        class("B")
            .with(property("one", link("A")).required())
            .with(property("many", links("Nowhere")).nullable())
            .with(property("back", from("A", "id")))
            .with(property("missing", from("A", "nothing")))
            .with(property("lost", from("Nowhere", "x")))
            .with(property("elsewhere", from("B", "one")))
            .primary_key_named("gone"),
        class("C"),
        class("C").with(int("other")),
    ];
    let expected = [
        "A.blob IndexType",
        "A.flag KeyType",
        "A.id KeyTwice",
        "A.key KeyTwice",
        "A.twice PropertyTwice",
        "B.back OriginNoLink",
        "B.elsewhere OriginElsewhere",
        "B.gone KeyUnknown",
        "B.lost ClassUnknown",
        "B.many NeverNull",
        "B.many ClassUnknown",
        "B.missing OriginUnknown",
        "B.one LinkRequired",
        "C ClassTwice",
    ];
    assert_eq!(errors(wrong.clone()), expected);
    assert_eq!(errors(wrong.into_iter().rev().collect()), expected);
}

#[test]
fn definition_of_a_missing_linked_class_is_refused() {
    assert_eq!(errors(vec![class("A").with(property("b", link("B")))]), ["A.b ClassUnknown"]);
}

#[test]
fn definition_of_back_links_points_back() {
    let person = class("Person").with(property("dogs", links("Dog")));
    let dog = class("Dog").with(property("owners", from("Person", "dogs")));
    let schema = Schema::new([person, dog]).unwrap();
    let dog = schema.class("Dog").unwrap();
    assert_eq!(dog.stored_properties().count(), 0);
}

#[test]
fn definition_of_a_key_by_name_is_a_key() {
    let named = class("A").with(property("id", Scalar::Int)).primary_key_named("id");
    let marked = class("A").with(property("id", Scalar::Int).primary_key());
    let schemas = [named, marked].map(|class| Schema::new([class]).unwrap());
    assert_eq!(schemas[0], schemas[1]);
    assert_eq!(schemas[0].class("A").unwrap().primary_key().unwrap().name(), "id");
}

#[test]
fn modules_in_any_order_and_grouping_are_one_schema() {
    let [a, b, c] = ["A", "B", "C"].map(|name| class(name).with(property("x", Scalar::Int)));
    let one = Module::new("one", [a.clone(), b.clone(), c.clone()]);
    let two = [Module::new("x", [c]), Module::new("y", [b.clone(), a]), Module::new("z", [b])];
    let schema = Schema::of_modules([&one]).unwrap();
    assert_eq!(Schema::of_modules(&two).unwrap(), schema);
    assert_eq!(Schema::of_modules(two.iter().rev()).unwrap(), schema);
    assert!(Schema::of_modules([]).unwrap().is_empty());
}

#[test]
fn modules_that_define_a_class_differently_are_refused() {
    let one = Module::new("one", [class("A")]);
    let two = Module::new("two", [class("A").with(property("x", Scalar::Int))]);
    let error = Schema::of_modules([&one, &two]).unwrap_err();
    assert!(matches!(error, SchemaError::Definition(errors) if errors.len() == 1));
}

#[test]
fn differences_are_reported_in_order_and_ignore_extra_classes_of_the_file() {
    let stored = Schema::new([
        class("A")
            .with(property("extra", Scalar::Int))
            .with(property("id", Scalar::Int).primary_key())
            .with(property("index", Scalar::Int))
            .with(property("plain", Scalar::Int).indexed())
            .with(property("soft", Scalar::String))
            .with(property("hard", Scalar::String).required())
            .with(property("type", Scalar::Int).indexed()),
        class("Only"),
    ]);
    let wanted = Schema::new([
        class("A")
            .with(property("id", Scalar::Int))
            .with(property("index", Scalar::Int).indexed())
            .with(property("plain", Scalar::Int))
            .with(property("soft", Scalar::String).required())
            .with(property("hard", Scalar::String))
            .with(property("type", Scalar::String))
            .with(property("new", Scalar::Int)),
        class("B"),
    ]);
    let found = differences(&stored.unwrap(), &wanted.unwrap());
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = [
        "class `B` is missing",
        "`A.extra` is not wanted",
        "`A.hard` is required and should be nullable",
        "`A.id` has an index that is not wanted",
        "`A.index` has no index",
        "`A.plain` has an index that is not wanted",
        "`A.soft` is nullable and should be required",
        "`A.type` is `int` and should be `string`",
        "the primary key of `A` is `id` and should be none",
        "`A.new` is missing",
        "class `B` has no properties yet",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn differences_take_a_property_that_becomes_computed_as_removed() {
    let to_itself = |kind| class("A").with(property("a", link("A"))).with(property("b", kind));
    let stored = Schema::new([to_itself(link("A"))]).unwrap();
    let wanted = Schema::new([to_itself(from("A", "a"))]).unwrap();
    let changes: Vec<Change> =
        differences(&stored, &wanted).into_iter().map(|found| found.change).collect();
    assert_eq!(changes, [Change::RemoveProperty { property: "b".to_owned() }]);
}

/// SC-03: a primary key that was renamed away, or moved, is noticed.
#[test]
fn differences_notice_every_change_of_a_primary_key() {
    let keyed = |key: Option<&str>| {
        let base = class("A").with(property("a", Scalar::Int)).with(property("b", Scalar::Int));
        Schema::new([match key {
            Some(key) => base.primary_key_named(key),
            None => base,
        }])
        .unwrap()
    };
    let keys = [None, Some("a"), Some("b")];
    for from in keys {
        for to in keys {
            let found = differences(&keyed(from), &keyed(to));
            let changes = found.iter().any(|found| {
                matches!(found.change, Change::ChangePrimaryKey { .. })
                    && found.change.needs_migration()
            });
            assert_eq!(changes, from != to, "{from:?} {to:?}");
        }
    }
}
