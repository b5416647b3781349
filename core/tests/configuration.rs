//! Local and recovery configurations: every option with its refusals, identity, text.

use fastness::config::{
    App, Builder, Callback, CompactionPolicy, ConfigField, Configuration, FileEnv, FileStats,
    MemoryFileEnv, OsFileEnv, StorageMode,
};
use fastness::schema::{Class, Module, Property, PropertyType, Scalar, Schema, SchemaMode};
use fastness::{ConfigError, DirectoryProblem, Error, ErrorKind, FileErrorKind, ReadOnlyConflict};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn app() -> App {
    App::new("/files").file_env(Arc::new(MemoryFileEnv::default()))
}

fn builder() -> Builder {
    Configuration::builder(&app())
}

fn class(name: &str) -> Class {
    Class::new(name).unwrap().with(Property::new("chars", Scalar::String).unwrap())
}

fn module(name: &str, classes: &[&str]) -> Module {
    Module::new(name, classes.iter().map(|name| class(name)))
}

fn class_names(configuration: &Configuration) -> Vec<&str> {
    configuration.schema().classes().iter().map(Class::name).collect()
}

#[track_caller]
fn refused<T>(outcome: Result<T, Error>, kind: ErrorKind, error: impl Into<Error>) {
    let found = outcome.err().unwrap();
    assert_eq!((found.kind(), found), (kind, error.into()));
}

use ErrorKind::{General, IllegalState, InvalidArgument};

#[test]
fn name_is_default_realm() {
    let configuration = builder().build().unwrap();
    assert_eq!(configuration.file_name(), Some("default.realm"));
    assert_eq!(configuration.directory(), Some(Path::new("/files")));
    assert_eq!(configuration.path(), Path::new("/files/default.realm"));
}

#[test]
fn name_empty_is_refused() {
    refused(builder().name(""), InvalidArgument, ConfigError::FileNameEmpty);
}

#[test]
fn name_has_no_rule_of_characters_or_length_and_may_have_separators() {
    for name in ["a/b/c", "<>:\"|?*", "..", &"x".repeat(1000), "\u{1F680}"] {
        let configuration = builder().name(name).unwrap().build().unwrap();
        assert_eq!(configuration.file_name(), Some(name));
    }
    let configuration = builder().name("../up/./x").unwrap().build().unwrap();
    assert_eq!(configuration.path(), Path::new("/up/x"));
}

#[test]
fn directory_that_cannot_be_used_is_refused_at_once() {
    let file_env = Arc::new(MemoryFileEnv::default());
    file_env.add_file("/a/file");
    file_env.add_read_only("/locked");
    let app = App::new("/files").file_env(file_env.clone());
    for (path, problem) in [
        ("/a/file", DirectoryProblem::IsFile),
        ("/a/file/below", DirectoryProblem::NotCreated(io::ErrorKind::NotADirectory)),
        ("/locked", DirectoryProblem::NotWritable),
        ("/locked/below", DirectoryProblem::NotCreated(io::ErrorKind::PermissionDenied)),
    ] {
        let outcome = Configuration::builder(&app).directory(path);
        refused(outcome, InvalidArgument, ConfigError::Directory { path: path.into(), problem });
    }
}

#[test]
fn directory_is_made_with_its_parents_when_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("a/b/c");
    let app = App::new(dir.path());
    let builder = Configuration::builder(&app).directory(&made).unwrap();
    assert!(made.is_dir());
    std::fs::write(dir.path().join("file"), b"").unwrap();
    let path = dir.path().join("file");
    refused(
        builder.clone().directory(&path),
        InvalidArgument,
        ConfigError::Directory { path, problem: DirectoryProblem::IsFile },
    );
    let path = dir.path().join("file/below");
    let problem = DirectoryProblem::NotCreated(io::ErrorKind::NotADirectory);
    let error = ConfigError::Directory { path: path.clone(), problem };
    refused(builder.directory(path), InvalidArgument, error);
}

#[test]
fn directory_without_a_right_to_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut permissions = std::fs::metadata(dir.path()).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(dir.path(), permissions).unwrap();
    assert_eq!(OsFileEnv.prepare(dir.path()), Err(DirectoryProblem::NotWritable));
}

#[test]
fn encryption_key_of_0_63_and_65_bytes_is_refused() {
    for bytes in [0, 63, 65] {
        refused(
            builder().encryption_key(&vec![1; bytes]),
            InvalidArgument,
            fastness::ArgumentError::EncryptionKeyLength { bytes },
        );
    }
}

#[test]
fn encryption_key_is_copied_when_it_is_set() {
    let mut key = [1; 64];
    let builder = builder().encryption_key(&key).unwrap();
    let before = builder.clone().build().unwrap();
    key.fill(2);
    assert_eq!(builder.build().unwrap(), before);
    assert!(before.key().is_some());
}

#[test]
fn schema_version_below_zero_is_refused() {
    refused(
        builder().schema_version(-1),
        InvalidArgument,
        ConfigError::SchemaVersion { version: -1 },
    );
    for (version, kept) in [(0, 0), (42, 42), (i64::MAX, 9_223_372_036_854_775_807)] {
        let configuration = builder().schema_version(version).unwrap().build().unwrap();
        assert_eq!(configuration.schema_version(), kept);
    }
}

#[test]
fn delete_if_migration_needed_after_an_asset_file_is_refused() {
    let outcome = builder().asset_file("a").unwrap().delete_if_migration_needed();
    refused(outcome, IllegalState, ConfigError::AssetFileAndDeletion);
}

#[test]
fn in_memory_after_an_asset_file_is_refused() {
    let outcome = builder().asset_file("a").unwrap().in_memory();
    refused(outcome, General, ConfigError::AssetFileAndInMemory);
}

#[test]
fn asset_file_after_what_excludes_it_is_refused() {
    refused(builder().asset_file(""), InvalidArgument, ConfigError::AssetFileEmpty);
    let outcome = builder().in_memory().unwrap().asset_file("a");
    refused(outcome, General, ConfigError::AssetFileAndInMemory);
    let outcome = builder().delete_if_migration_needed().unwrap().asset_file("a");
    refused(outcome, IllegalState, ConfigError::AssetFileAndDeletion);
    // Emptiness first, then memory, then deletion.
    let both = builder().delete_if_migration_needed().unwrap().in_memory().unwrap();
    refused(both.clone().asset_file(""), InvalidArgument, ConfigError::AssetFileEmpty);
    refused(both.asset_file("a"), General, ConfigError::AssetFileAndInMemory);
}

#[test]
fn modules_default_to_the_apps_own_if_it_has_one() {
    assert!(builder().build().unwrap().schema().is_empty());
    let app = app().default_module(module("own", &["A", "B"]));
    let configuration = Configuration::builder(&app).build().unwrap();
    assert_eq!(class_names(&configuration), ["A", "B"]);
}

#[test]
fn modules_replace_all_modules() {
    let app = app().default_module(module("own", &["A"]));
    let first = Configuration::builder(&app).modules([module("b", &["B"])]);
    let configuration = first.modules([module("c", &["C"]), module("d", &["D"])]).build().unwrap();
    assert_eq!(class_names(&configuration), ["C", "D"]);
}

#[test]
fn schema_restricts_the_default_module() {
    let app = app().default_module(module("own", &["A", "B", "C"]));
    let builder = Configuration::builder(&app).modules([module("x", &["X"])]);
    let configuration = builder.only_classes(&["C", "A", "Nothing"]).build().unwrap();
    assert_eq!(class_names(&configuration), ["A", "C"]);
}

#[test]
fn building_reports_invalid_modules() {
    let link = Property::new("b", PropertyType::Object("B".to_owned())).unwrap();
    let wrong = Module::new("wrong", [Class::new("A").unwrap().with(link)]);
    let error = builder().modules([wrong]).build().unwrap_err();
    assert!(matches!(error, Error::Schema(_)));
    assert_eq!(error.kind(), IllegalState);
}

#[test]
fn initial_data_can_be_removed() {
    let builder = builder().initial_data(Callback::new(1));
    assert!(builder.clone().build().unwrap().initial_data().is_some());
    assert!(builder.initial_data(None).build().unwrap().initial_data().is_none());
}

#[test]
fn read_only_conflicts_are_reported_in_order() {
    let mut all = builder().read_only().compact_on_launch(CompactionPolicy::Default);
    all = all.initial_data(Callback::new(()));
    all = all.delete_if_migration_needed().unwrap();
    let conflict = |builder: Builder, conflict| {
        refused(builder.build(), IllegalState, ConfigError::ReadOnly(conflict));
    };
    conflict(all.clone(), ReadOnlyConflict::InitialData);
    conflict(all.initial_data(None), ReadOnlyConflict::NoAssetFile);
    // An asset excludes deletion, so that the third cannot be reached by the builder; the fourth:
    let asset = builder().read_only().asset_file("a").unwrap();
    conflict(
        asset.clone().compact_on_launch(CompactionPolicy::Default),
        ReadOnlyConflict::Compaction,
    );
    let configuration = asset.migration(Callback::new(())).build().unwrap();
    assert!(configuration.is_read_only() && configuration.migration().is_some());
}

#[test]
fn compaction_by_default_is_strict_in_both_bounds() {
    let rule = CompactionPolicy::Default;
    let mib = 1 << 20;
    for (total_bytes, used_bytes, expected) in [
        (50 * mib, 0, false),
        (50 * mib + 1, 0, true),
        (100 * mib, 50 * mib - 1, true),
        (100 * mib, 50 * mib, false),
        (0, 0, false),
        (u64::MAX, u64::MAX / 4, true),
    ] {
        let file = FileStats { total_bytes, used_bytes };
        assert_eq!(rule.should_compact(file), expected, "{file:?}");
    }
}

#[test]
fn compaction_as_the_app_says() {
    let rule = CompactionPolicy::custom("always", |file| file.total_bytes > 0);
    assert!(rule.should_compact(FileStats { total_bytes: 1, used_bytes: 1 }));
    let no_rule = CompactionPolicy::Custom(Callback::new(1));
    assert!(!no_rule.should_compact(FileStats { total_bytes: 1, used_bytes: 1 }));
    let with = |rule| builder().compact_on_launch(rule).build().unwrap();
    assert_eq!(with(rule.clone()), with(CompactionPolicy::custom("always", |_| true)));
    assert_ne!(with(rule), with(CompactionPolicy::Default));
    assert_eq!(with(CompactionPolicy::Default), with(CompactionPolicy::Default));
}

#[derive(Debug)]
struct Broken;

impl FileEnv for Broken {
    fn prepare(&self, _: &Path) -> Result<(), DirectoryProblem> {
        Ok(())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn canonical(&self, _: &Path) -> io::Result<PathBuf> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[test]
fn path_without_a_canonical_form_is_an_access_error() {
    let app = App::new("/files").file_env(Arc::new(Broken));
    let error = Configuration::builder(&app).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File(FileErrorKind::AccessError));
}

#[test]
fn path_is_canonical_through_links_whether_the_file_exists_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("real")).unwrap();
    std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
    let app = App::new(root.join("link"));
    let build = |name: &str| Configuration::builder(&app).name(name).unwrap().build().unwrap();
    assert_eq!(build("new").path(), root.join("real/new"));
    std::fs::write(root.join("real/new"), b"").unwrap();
    assert_eq!(build("new").path(), root.join("real/new"));
    assert_eq!(build("a/../b/./c").path(), root.join("real/b/c"));
    assert_eq!(build("../up").path(), root.join("up"));
    // The directory stays as it was given.
    assert_eq!(build("new").directory(), Some(root.join("link").as_path()));
}

#[test]
fn equals_and_hash_of_two_default_builds() {
    let (one, two) = (builder().build().unwrap(), builder().build().unwrap());
    assert_eq!((one.first_difference(&two), one.stable_hash()), (None, two.stable_hash()));
    assert_eq!(HashSet::from([one, two]).len(), 1);
}

#[test]
fn equals_and_hash_whatever_the_order_of_modules() {
    let [a, b] = [module("a", &["A", "B"]), module("b", &["C"])];
    let one = builder().modules([a.clone(), b.clone()]).build().unwrap();
    let two = builder().modules([b, a]).build().unwrap();
    assert_eq!(one, two);
    assert_eq!(one.stable_hash(), two.stable_hash());
    assert_ne!(one, builder().build().unwrap());
}

#[test]
fn equals_tells_read_only() {
    let asset = builder().asset_file("a").unwrap();
    let writable = asset.clone().build().unwrap();
    let read_only = asset.read_only().build().unwrap();
    assert_eq!(writable.first_difference(&read_only), Some(ConfigField::ReadOnly));
    assert_ne!(writable.stable_hash(), read_only.stable_hash());
}

#[test]
fn equals_compares_asset_files() {
    let with = |asset: &str| builder().asset_file(asset).unwrap().build().unwrap();
    assert_eq!(with("a").first_difference(&with("b")), Some(ConfigField::AssetFile));
    assert_ne!(with("a").stable_hash(), with("b").stable_hash());
    assert_eq!(
        with("a").first_difference(&builder().build().unwrap()),
        Some(ConfigField::AssetFile)
    );
    // Before the key, and behind where the file is.
    let keyed =
        |asset: &str, key| builder().asset_file(asset).unwrap().encryption_key(key).unwrap();
    let (one, two) = (keyed("a", &[1; 64]), keyed("b", &[2; 64]));
    let elsewhere = two.clone().directory("/other").unwrap().build().unwrap();
    let (one, two) = (one.build().unwrap(), two.build().unwrap());
    assert_eq!(one.first_difference(&two), Some(ConfigField::AssetFile));
    assert_eq!(one.first_difference(&elsewhere), Some(ConfigField::Directory));
}

/// Each builder differs from the one before it in an earlier field, and in all later ones.
#[test]
fn equals_stops_at_the_first_difference_in_order() {
    type Step = (ConfigField, fn(Builder) -> Builder);
    let steps: &[Step] = &[
        (ConfigField::Compaction, |b| b.compact_on_launch(CompactionPolicy::Default)),
        (ConfigField::InitialData, |b| b.initial_data(Callback::named("data", ()))),
        (ConfigField::Schema, |b| b.modules([module("m", &["A"])])),
        (ConfigField::Storage, |b| b.in_memory().unwrap()),
        (ConfigField::Migration, |b| b.migration(Callback::named("migration", ()))),
        (ConfigField::Key, |b| b.encryption_key(&[1; 64]).unwrap()),
        (ConfigField::FileName, |b| b.name("other").unwrap()),
        (ConfigField::Directory, |b| b.directory("/other").unwrap()),
        (ConfigField::DeleteIfMigrationNeeded, |b| b.delete_if_migration_needed().unwrap()),
        (ConfigField::SchemaVersion, |b| b.schema_version(1).unwrap()),
    ];
    let plain = builder().build().unwrap();
    let mut changed = builder();
    for (field, step) in steps {
        changed = step(changed);
        let built = changed.clone().build().unwrap();
        assert_eq!(plain.first_difference(&built), Some(*field));
        assert_eq!(built.first_difference(&plain), Some(*field));
        assert_ne!(plain.stable_hash(), built.stable_hash(), "{field:?}");
    }
}

#[test]
fn equals_of_hooks_is_by_name_and_type_or_by_identity() {
    let with = |hook: Callback| builder().migration(hook).build().unwrap();
    let hook = Callback::new(|| 1);
    assert_eq!(with(hook.clone()), with(hook.clone()));
    assert_ne!(with(hook.clone()), with(Callback::new(|| 1)));
    assert_eq!(with(Callback::named("m", 1_u8)), with(Callback::named("m", 2_u8)));
    assert_ne!(with(Callback::named("m", 1_u8)), with(Callback::named("m", 1_u16)));
    assert_ne!(with(Callback::named("m", 1_u8)), with(Callback::named("n", 1_u8)));
    assert!(Callback::new(1_u8).is_of_type_of(&Callback::new(2_u8)));
    assert_eq!(Callback::new(7_u8).body::<u8>(), Some(&7));
    assert_eq!(Callback::new(7_u8).body::<u16>(), None);
}

#[test]
fn text_has_the_labels_of_the_original() {
    let app = app().default_module(module("own", &["B", "A"]));
    let builder = Configuration::builder(&app).encryption_key(&[9; 64]).unwrap();
    let text = builder.migration(Callback::named("to 3", ())).in_memory().unwrap().build().unwrap();
    let expected = "realmDirectory: /files\nrealmFileName : default.realm\n\
                    canonicalPath: /files/default.realm\nkey: [length: 64]\nschemaVersion: 0\n\
                    migration: to 3\ndeleteRealmIfMigrationNeeded: false\ndurability: MEM_ONLY\n\
                    schemaMediator: [A, B]\nreadOnly: false\ncompactOnLaunch: null";
    assert_eq!(text.to_string(), expected);
}

#[test]
fn for_recovery_is_read_only_at_the_very_path_and_nothing_else() {
    let app = app().default_module(module("own", &["A"]));
    let backup = Configuration::for_recovery(&app, "no/such/../file").unwrap();
    assert_eq!(backup.path().to_str(), Some("no/such/../file"));
    assert_eq!((backup.directory(), backup.file_name(), backup.asset_file()), (None, None, None));
    assert!(backup.is_read_only() && backup.is_recovery() && !backup.is_synced());
    assert!(backup.key().is_none() && backup.migration().is_none() && backup.sync().is_none());
    assert_eq!((backup.schema_version(), backup.storage()), (0, StorageMode::Disk));
    assert!(!backup.deletes_if_migration_needed());
    assert!(backup.initial_data().is_none() && backup.compaction().is_none());
    assert_eq!(backup.schema_mode(), SchemaMode::Immutable);
    assert_eq!(class_names(&backup), ["A"]);
    let text = "realmDirectory: \nrealmFileName : null\ncanonicalPath: no/such/../file\n\
                key: [length: 0]\n";
    assert!(backup.to_string().starts_with(text));
}

#[test]
fn for_recovery_takes_modules_or_the_default_module_or_no_class() {
    let own = app().default_module(module("own", &["A"]));
    let with = |app: &App, modules: &[Module]| {
        let backup = Configuration::for_recovery_with(app, "b", None, modules).unwrap();
        class_names(&backup).join(" ")
    };
    assert_eq!(with(&own, &[]), "A");
    assert_eq!(with(&app(), &[]), "");
    assert_eq!(with(&own, &[module("x", &["X"]), module("y", &["Y"])]), "X Y");
}

#[test]
fn for_recovery_rejects_a_key_of_another_length() {
    for bytes in [0, 63, 65] {
        let key = vec![1; bytes];
        let error = fastness::ArgumentError::EncryptionKeyLength { bytes };
        let outcome = Configuration::for_recovery_with(&app(), "b", Some(&key), &[]);
        refused(outcome, InvalidArgument, error);
        let outcome = Configuration::for_recovery_schema("b", Some(&key), &Schema::default());
        refused(outcome, InvalidArgument, error);
    }
}

#[test]
fn for_recovery_without_directory_compares_and_hashes() {
    let backup = |path: &str| Configuration::for_recovery(&app(), path).unwrap();
    assert_eq!(backup("/x"), backup("/x"));
    // The path is text here: another way to the same file is another configuration.
    assert_eq!(backup("/x").first_difference(&backup("//x")), Some(ConfigField::CanonicalPath));
    let writable = builder().directory("/").unwrap().name("x").unwrap().build().unwrap();
    assert_eq!(backup("/x").first_difference(&writable), Some(ConfigField::ReadOnly));
    assert_ne!(backup("/x").stable_hash(), writable.stable_hash());
}

#[test]
fn modes_follow_from_options() {
    let mode = |builder: Builder| builder.build().unwrap().schema_mode();
    assert_eq!(mode(builder()), SchemaMode::Manual);
    let deleting = builder().delete_if_migration_needed().unwrap();
    assert_eq!(mode(deleting), SchemaMode::ResetFile);
    let read_only = builder().asset_file("a").unwrap().read_only();
    assert_eq!(mode(read_only), SchemaMode::Immutable);
}
