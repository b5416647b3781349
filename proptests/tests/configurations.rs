//! Property tests of configurations: equality and hash (O1), refusals (O4), URLs and local paths
//! (O5), each against a second statement of the rule.

use fastness::config::{
    App, Builder, Callback, CompactionPolicy, ConfigField, Configuration, MemoryFileEnv, User,
};
use fastness::schema::{Class, Module};
use fastness::{ConfigError, Error, ReadOnlyConflict};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest::{prop_assert, prop_assert_eq};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Deterministic cases.
#[track_caller]
fn holds<S: Strategy>(
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(broken) = TestRunner::new_with_rng(config, rng).run(&strategy, check) {
        panic!("{broken}");
    }
}

/// A call of the builder, with few values so that equal configurations recur.
#[derive(Clone, Copy, Debug)]
enum Call {
    Name(u8),
    Directory(u8),
    Key(u8),
    Version(i64),
    Migration(u8),
    Delete,
    InMemory,
    Modules(u8),
    InitialData(u8),
    Asset(u8),
    ReadOnly,
    Compact(u8),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let value = || 0..3_u8;
    let call = prop_oneof![
        value().prop_map(Call::Name),
        value().prop_map(Call::Directory),
        value().prop_map(Call::Key),
        (-1..2_i64).prop_map(Call::Version),
        value().prop_map(Call::Migration),
        Just(Call::Delete),
        Just(Call::InMemory),
        value().prop_map(Call::Modules),
        value().prop_map(Call::InitialData),
        value().prop_map(Call::Asset),
        Just(Call::ReadOnly),
        value().prop_map(Call::Compact),
    ];
    vec(call, 0..6)
}

fn app() -> App {
    App::new("/files").file_env(Arc::new(MemoryFileEnv::default()))
}

/// Value 0 is an empty name, or a key that is too short.
fn call(builder: Builder, call: Call) -> fastness::Result<Builder> {
    let hook = |value: u8| Callback::named(&value.to_string(), ());
    match call {
        Call::Name(value) => builder.name(&"n".repeat(value.into())),
        Call::Directory(value) => builder.directory(format!("/files/{value}")),
        Call::Key(0) => builder.encryption_key(&[0; 63]),
        Call::Key(value) => builder.encryption_key(&[value; 64]),
        Call::Version(version) => builder.schema_version(version),
        Call::Migration(value) => Ok(builder.migration(hook(value))),
        Call::Delete => builder.delete_if_migration_needed(),
        Call::InMemory => builder.in_memory(),
        Call::Modules(value) => {
            let class = Class::new(format!("C{value}")).unwrap();
            Ok(builder.modules([Module::new("m", [class])]))
        }
        Call::InitialData(0) => Ok(builder.initial_data(None)),
        Call::InitialData(value) => Ok(builder.initial_data(hook(value))),
        Call::Asset(value) => builder.asset_file(&"a".repeat(value.into())),
        Call::ReadOnly => Ok(builder.read_only()),
        Call::Compact(0) => Ok(builder.compact_on_launch(CompactionPolicy::Default)),
        Call::Compact(value) => {
            Ok(builder.compact_on_launch(CompactionPolicy::custom(&value.to_string(), |_| true)))
        }
    }
}

/// The expected configuration, as plain values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RegistryModel {
    name: Option<u8>,
    directory: Option<u8>,
    key: Option<u8>,
    version: i64,
    migration: Option<u8>,
    delete: bool,
    in_memory: bool,
    modules: Option<u8>,
    initial_data: Option<u8>,
    asset: Option<u8>,
    read_only: bool,
    compact: Option<u8>,
}

impl RegistryModel {
    fn call(&mut self, call: Call) -> Result<(), ConfigError> {
        match call {
            Call::Name(0) => return Err(ConfigError::FileNameEmpty),
            Call::Name(value) => self.name = Some(value),
            Call::Directory(value) => self.directory = Some(value),
            Call::Key(value) => self.key = Some(value),
            Call::Version(version) if version < 0 => {
                return Err(ConfigError::SchemaVersion { version });
            }
            Call::Version(version) => self.version = version,
            Call::Migration(value) => self.migration = Some(value),
            Call::Delete if self.asset.is_some() => return Err(ConfigError::AssetFileAndDeletion),
            Call::Delete => self.delete = true,
            Call::InMemory if self.asset.is_some() => {
                return Err(ConfigError::AssetFileAndInMemory);
            }
            Call::InMemory => self.in_memory = true,
            Call::Modules(value) => self.modules = Some(value),
            Call::InitialData(value) => self.initial_data = Some(value).filter(|value| *value > 0),
            Call::Asset(0) => return Err(ConfigError::AssetFileEmpty),
            Call::Asset(_) if self.in_memory => return Err(ConfigError::AssetFileAndInMemory),
            Call::Asset(_) if self.delete => return Err(ConfigError::AssetFileAndDeletion),
            Call::Asset(value) => self.asset = Some(value),
            Call::ReadOnly => self.read_only = true,
            Call::Compact(value) => self.compact = Some(value),
        }
        Ok(())
    }

    fn build(&self) -> Result<(), ConfigError> {
        let conflict = |conflict| Err(ConfigError::ReadOnly(conflict));
        match self {
            Self { read_only: false, .. } => Ok(()),
            Self { initial_data: Some(_), .. } => conflict(ReadOnlyConflict::InitialData),
            Self { asset: None, .. } => conflict(ReadOnlyConflict::NoAssetFile),
            Self { delete: true, .. } => conflict(ReadOnlyConflict::Deletion),
            Self { compact: Some(_), .. } => conflict(ReadOnlyConflict::Compaction),
            Self { .. } => Ok(()),
        }
    }
}

/// Makes the calls on builder and model, and compares the outcomes.
fn both(calls: &[Call]) -> Result<Option<(Configuration, RegistryModel)>, TestCaseError> {
    let (mut builder, mut model) = (Configuration::builder(&app()), RegistryModel::default());
    for &one in calls {
        let outcome = call(builder.clone(), one);
        if matches!(one, Call::Key(0)) {
            prop_assert!(matches!(outcome, Err(Error::Argument(_))));
            continue;
        }
        match (outcome, model.call(one)) {
            (Ok(next), Ok(())) => builder = next,
            (Err(found), Err(expected)) => prop_assert_eq!(found, Error::Config(expected)),
            (found, expected) => prop_assert!(false, "{:?} {:?}", found.is_ok(), expected),
        }
    }
    match (builder.build(), model.build()) {
        (Ok(built), Ok(())) => Ok(Some((built, model))),
        (Err(found), Err(expected)) => {
            prop_assert_eq!(found, Error::Config(expected));
            Ok(None)
        }
        (found, expected) => {
            prop_assert!(false, "{:?} {:?}", found, expected);
            Ok(None)
        }
    }
}

#[test]
fn calls_are_refused_as_the_model_says_and_equality_is_that_of_values() {
    holds(3000, (calls(), calls(), any::<bool>()), |(one, mut two, same)| {
        if same {
            two = one.iter().rev().copied().collect();
        }
        let (Some((one, one_model)), Some((two, two_model))) = (both(&one)?, both(&two)?) else {
            return Ok(());
        };
        prop_assert_eq!(one == two, one_model == two_model, "{:?}", one.first_difference(&two));
        prop_assert_eq!(one.first_difference(&two), two.first_difference(&one));
        prop_assert_eq!(one.first_difference(&one), None);
        prop_assert!(one != two || one.stable_hash() == two.stable_hash());
        let kinds = HashSet::from([one.clone(), two.clone(), one.clone()]);
        prop_assert_eq!(kinds.len(), if one == two { 1 } else { 2 });
        Ok(())
    });
}

/// CF-03: a recovery configuration has neither directory nor name.
#[test]
fn backups_compare_hash_and_print_in_every_combination() {
    let parts = || (select(&["", "/", "/a", "a/../b", "\u{1F680}"][..]), 0..3_u8, 0..3_u8);
    let backup = |(path, key, modules): (&str, u8, u8)| {
        let bytes = [key; 64];
        let key = (key > 0).then_some(&bytes[..]);
        let classes = (0..modules).map(|value| Class::new(format!("C{value}")).unwrap());
        let modules = [Module::new("m", classes)];
        Configuration::for_recovery_with(&app(), path, key, &modules).unwrap()
    };
    holds(1000, (parts(), parts()), |(one, two)| {
        let (a, b) = (backup(one), backup(two));
        prop_assert_eq!(a == b, one == two);
        prop_assert!(a != b || a.stable_hash() == b.stable_hash());
        let differs = a.first_difference(&b);
        let fields = [
            None,
            Some(ConfigField::CanonicalPath),
            Some(ConfigField::Key),
            Some(ConfigField::Schema),
        ];
        prop_assert!(fields.contains(&differs), "{:?}", differs);
        prop_assert_eq!(a.path().to_str(), Some(one.0));
        let text = format!("{a} {a:?}");
        prop_assert!(text.contains(one.0));
        Ok(())
    });
}

/// Strings that resemble URLs.
fn urls() -> impl Strategy<Value = String> {
    let pieces = &[
        "realm", "http", "https", ":", "/", "//", "host", "~", ".", "..", "a", "b.realm", "%2e",
        "%", "?", "#", "@", ":80", "[::1]", "\u{e4}", " ", "-_.", "\0", "%00", "x/~/y",
    ][..];
    let any_path = vec(select(pieces), 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![
        8 => vec(select(pieces), 0..12).prop_map(|pieces| pieces.concat()),
        2 => any_path.prop_map(|path| format!("realm://host/{path}")),
        1 => any::<String>(),
    ]
}

fn names() -> impl Strategy<Value = Option<String>> {
    let mut pieces = ["n", "..", ".", "/", "\\", ":", "\u{1F600}"].map(str::to_owned).to_vec();
    pieces.push("x".repeat(200));
    prop_oneof![Just(None), vec(select(pieces), 1..6).prop_map(|pieces| Some(pieces.concat())),]
}

#[test]
fn urls_of_any_shape_lead_below_the_root_or_are_refused() {
    let built = std::cell::Cell::new(0_u32);
    let identity = select(&["id", "...", "user@example.org"][..]);
    holds(20_000, (urls(), names(), identity), |(url, name, identity)| {
        let user = User::new(identity, "http://host/auth").unwrap();
        let Ok(mut builder) = Configuration::sync_builder(&app(), &user, &url) else {
            return Ok(());
        };
        if let Some(name) = name {
            match builder.clone().name(&name) {
                Ok(named) => builder = named,
                Err(_) => return Ok(()),
            }
        }
        let configuration = match builder.build() {
            Ok(configuration) => configuration,
            // The directory may be taken by a file, or the path too long.
            Err(Error::Config(
                ConfigError::SyncDirectory { .. } | ConfigError::PathTooLong { .. },
            )) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{url:?}: {error}"))),
        };
        built.set(built.get() + 1);
        let directory = configuration.directory().unwrap();
        let root = Path::new("/files/realm-object-server").join(identity);
        prop_assert!(directory.starts_with(&root), "{:?} {:?}", url, directory);
        prop_assert_eq!(configuration.path().parent(), Some(directory), "{:?}", url);
        let file_name = configuration.file_name().unwrap();
        prop_assert_eq!(configuration.path().file_name().unwrap().to_str(), Some(file_name));
        prop_assert!(configuration.path().to_str().unwrap().encode_utf16().count() <= 256);
        let sync = configuration.sync().unwrap();
        prop_assert!(sync.url().path().starts_with('/') && !sync.url().host().is_empty());
        Ok(())
    });
    assert!(built.get() > 1000, "only {} URLs were fine", built.get());
}

#[test]
fn urls_that_were_resolved_resolve_to_themselves() {
    holds(20_000, urls(), |url| {
        let user = User::new("id", "http://host/auth").unwrap();
        let build = |url: &str| Configuration::sync_builder(&app(), &user, url)?.build();
        let Ok(once) = build(&url) else { return Ok(()) };
        let once = once.sync().unwrap().url();
        // Resolving again may change a host within the path, or a second `~`.
        let path = once.path();
        if path.contains(&format!("{}/", once.host())) || once.to_string().contains("/~/") {
            return Ok(());
        }
        let again = build(&once.to_string());
        prop_assert!(again.is_ok(), "{} {:?}", once, again.err());
        let again = again.unwrap();
        prop_assert_eq!(again.sync().unwrap().url().to_string(), once.to_string());
        Ok(())
    });
}
