//! Reviewed texts of schemas, differences, and errors of schemas and configurations.

use super::texts::assert_all_listed;
use fastness::schema::{
    Change, Class, DefinitionError, DefinitionProblem, Difference, Property, PropertyType, Scalar,
    Schema, SchemaError, SchemaMode,
};
use fastness::{ConfigError, DirectoryProblem, Error, ReadOnlyConflict, UrlProblem};
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from("data/app.fastness")
}

fn name(text: &str) -> String {
    text.to_owned()
}

fn changes() -> Vec<Change> {
    let property = || name("age");
    vec![
        Change::AddClass,
        Change::AddInitialProperties,
        Change::AddProperty { property: property() },
        Change::RemoveProperty { property: property() },
        Change::ChangeType {
            property: property(),
            from: Scalar::Int.into(),
            to: PropertyType::List { of: Scalar::String, nullable: true },
        },
        Change::MakeNullable { property: property() },
        Change::MakeRequired { property: property() },
        Change::ChangePrimaryKey { from: None, to: Some(property()) },
        Change::AddIndex { property: property() },
        Change::RemoveIndex { property: property() },
        Change::ChangeLocal { to: true },
        Change::ChangeLocal { to: false },
    ]
}

fn differences() -> Vec<Difference> {
    changes().into_iter().map(|change| Difference { class: name("Dog"), change }).collect()
}

fn problems() -> Vec<DefinitionError> {
    let (class, property) = (name("Person"), name("dogs"));
    let problems = [
        DefinitionProblem::ClassTwice,
        DefinitionProblem::PropertyTwice,
        DefinitionProblem::NeverNull,
        DefinitionProblem::LinkRequired,
        DefinitionProblem::KeyType,
        DefinitionProblem::KeyTwice { first: name("id") },
        DefinitionProblem::KeyUnknown,
        DefinitionProblem::IndexType,
        DefinitionProblem::ClassUnknown { class: class.clone() },
        DefinitionProblem::LinkToLocal { class: class.clone() },
        DefinitionProblem::LinkFromLocal { class: class.clone() },
        DefinitionProblem::OriginUnknown { class: class.clone(), property: property.clone() },
        DefinitionProblem::OriginNoLink { class: class.clone(), property: property.clone() },
        DefinitionProblem::OriginElsewhere { class, property, to: name("Cat") },
    ];
    let error = |problem: DefinitionProblem| DefinitionError {
        class: name("Dog"),
        property: (problem != DefinitionProblem::ClassTwice).then(|| name("age")),
        problem,
    };
    problems.into_iter().map(error).collect()
}

fn schema_errors() -> Vec<SchemaError> {
    let (class, property) = (name("Dog"), name("age"));
    vec![
        SchemaError::ClassName { name: name("") },
        SchemaError::PropertyName { name: name("a.b") },
        SchemaError::StringTooLong { bytes: 16_777_200 },
        SchemaError::BinaryTooLong { bytes: 16_777_201 },
        SchemaError::NullInRequired { class, property },
        SchemaError::Definition(problems()),
        SchemaError::VersionLower { path: path(), stored: 3, wanted: 2 },
        SchemaError::VersionDiffers { path: path(), stored: Some(3), wanted: 0 },
        SchemaError::VersionDiffers { path: path(), stored: None, wanted: 0 },
        SchemaError::Mismatch {
            path: path(),
            mode: SchemaMode::Additive,
            differences: differences().split_off(8),
        },
        SchemaError::MigrationNeeded { path: path(), differences: differences() },
        SchemaError::ClassesMissing { path: path(), classes: vec![name("Cat"), name("Dog")] },
    ]
}

fn config_errors() -> Vec<ConfigError> {
    let conflicts = [
        ReadOnlyConflict::InitialData,
        ReadOnlyConflict::NoAssetFile,
        ReadOnlyConflict::Deletion,
        ReadOnlyConflict::Compaction,
        ReadOnlyConflict::NoInitialData,
    ];
    let directories = [
        DirectoryProblem::IsFile,
        DirectoryProblem::NotCreated(io::ErrorKind::PermissionDenied),
        DirectoryProblem::NotWritable,
    ];
    let urls = [
        (UrlProblem::Malformed, "realm://host:port/x"),
        (UrlProblem::NoHost, "/auth"),
        (UrlProblem::NoPath, "realm://host"),
        (UrlProblem::Segment(name("<~>")), "/<~>/x"),
        (UrlProblem::FileName(name("a.realm")), "/a.realm"),
    ];
    let others = [
        ConfigError::FileNameEmpty,
        ConfigError::FileName { name: name("..") },
        ConfigError::SchemaVersion { version: -1 },
        ConfigError::AssetFileEmpty,
        ConfigError::AssetFileAndInMemory,
        ConfigError::AssetFileAndDeletion,
        ConfigError::TrustedRootEmpty,
        ConfigError::UserInvalid,
        ConfigError::Identity { identity: name("../a\n") },
        ConfigError::IdentityMissing { url: name("realm://host/~/x") },
        ConfigError::PathTooLong { units: 257 },
        ConfigError::SyncDirectory { path: path(), problem: DirectoryProblem::IsFile },
    ];
    let directory = |problem| ConfigError::Directory { path: path(), problem };
    let url = |(problem, url): (UrlProblem, &str)| ConfigError::Url { url: name(url), problem };
    others
        .into_iter()
        .chain(conflicts.map(ConfigError::ReadOnly))
        .chain(directories.map(directory))
        .chain(urls.map(url))
        .collect()
}

#[test]
fn every_error_of_schemas_and_configurations_is_reviewed() {
    let schema = schema_errors().into_iter().map(Error::from);
    let mut text = String::new();
    for error in schema.chain(config_errors().into_iter().map(Error::from)) {
        writeln!(text, "{error}\n    {:?}, remedy {:?}", error.kind(), error.remedy()).unwrap();
    }
    insta::assert_snapshot!("schema_and_configuration_errors", text);
}

#[test]
fn every_variant_of_schemas_and_configurations_is_reviewed() {
    let listed = format!("{:?} {:?}", schema_errors(), config_errors());
    assert_all_listed("schema/error.rs", &["SchemaError", "DefinitionProblem"], &listed);
    assert_all_listed("schema/difference.rs", &["Change"], &listed);
    let names = ["ConfigError", "DirectoryProblem", "ReadOnlyConflict", "UrlProblem"];
    assert_all_listed("config/error.rs", &names, &listed);
}

#[test]
fn schemas_print_as_reviewed() {
    let property = |name: &str, kind: PropertyType| Property::new(name, kind).unwrap();
    let scalars = Scalar::ALL.into_iter().fold(Class::new("Scalars").unwrap(), |class, scalar| {
        let plain = property(&format!("{scalar}"), scalar.into());
        let nullable = property(&format!("{scalar}_nullable"), scalar.into()).nullable();
        let list = PropertyType::List { of: scalar, nullable: scalar.code() % 2 == 0 };
        class.with(plain).with(nullable).with(property(&format!("{scalar}_list"), list))
    });
    let person = Class::new("Person")
        .unwrap()
        .with(property("id", Scalar::Int.into()).primary_key())
        .with(property("name", Scalar::String.into()).required().indexed())
        .with(property("dogs", PropertyType::ObjectList(name("Dog"))))
        .with(property("visits", PropertyType::Counter));
    let owners = PropertyType::LinkingObjects { class: name("Person"), property: name("dogs") };
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("mother", PropertyType::Object(name("Dog"))))
        .with(property("owners", owners));
    let schema = Schema::new([scalars, person, dog, Class::new("Empty").unwrap()]).unwrap();
    insta::assert_snapshot!("schema", schema.to_string());
}
