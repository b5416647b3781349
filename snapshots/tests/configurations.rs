//! Reviewed texts of configurations: equality, hashes, display.

use fastness::config::{
    App, Builder, Callback, CompactionPolicy, Configuration, MemoryFileEnv, SyncBuilder, User,
};
use fastness::schema::{Class, Module, Property, PropertyType, Scalar};
use std::fmt::Write as _;
use std::sync::Arc;

const KEY_BYTE: u8 = 0xa7;
const KEY: [u8; 64] = [KEY_BYTE; 64];
const BACKUP: &str = "/files/recovered-realms/recovered_realm-1";

fn module(name: &str, classes: &[&str]) -> Module {
    let class = |name: &&str| {
        let text = Property::new("chars", Scalar::String).unwrap().indexed();
        let to = PropertyType::ObjectList((*name).to_owned());
        let list = Property::new("list", to).unwrap();
        Class::new(*name).unwrap().with(text).with(list)
    };
    Module::new(name, classes.iter().map(class))
}

fn app() -> App {
    App::new("/files")
        .file_env(Arc::new(MemoryFileEnv::default()))
        .default_module(module("own", &["Cat", "Dog"]))
}

fn local(name: &str, change: impl FnOnce(Builder) -> fastness::Result<Builder>) -> Named {
    let builder = Configuration::builder(&app());
    (format!("local {name}"), change(builder).unwrap().build().unwrap())
}

fn synced(name: &str, change: impl FnOnce(SyncBuilder) -> fastness::Result<SyncBuilder>) -> Named {
    synced_at(name, "realm://host/~/notes", change)
}

fn synced_at(
    name: &str,
    url: &str,
    change: impl FnOnce(SyncBuilder) -> fastness::Result<SyncBuilder>,
) -> Named {
    let user = User::new("c0ffee", "https://host/auth").unwrap();
    let builder = Configuration::sync_builder(&app(), &user, url).unwrap();
    (format!("synced {name}"), change(builder).unwrap().build().unwrap())
}

fn recovery(name: &str, app: &App, key: Option<&[u8]>, modules: &[Module]) -> Named {
    let backup = Configuration::for_recovery_with(app, BACKUP, key, modules).unwrap();
    (format!("recovery {name}"), backup)
}

type Named = (String, Configuration);

fn locals() -> Vec<Named> {
    let hook = |name: &str| Callback::named(name, ());
    vec![
        local("default", Ok),
        local("default again", |b| b.name("default.realm")),
        local("directory as it is", |b| b.directory("/files/")),
        local("other name", |b| b.name("other")),
        local("other directory", |b| b.directory("/else")),
        local("name with a directory", |b| b.name("else/default.realm")),
        local("key", |b| b.encryption_key(&KEY)),
        local("other key", |b| b.encryption_key(&[1; 64])),
        local("key of zeros", |b| b.encryption_key(&[0; 64])),
        local("version 1", |b| b.schema_version(1)),
        local("version 2^32", |b| b.schema_version(1 << 32)),
        local("version max", |b| b.schema_version(i64::MAX)),
        local("migration", |b| Ok(b.migration(hook("to 2")))),
        local("migration again", |b| Ok(b.migration(hook("to 2")))),
        local("other migration", |b| Ok(b.migration(hook("to 3")))),
        local("deletion", Builder::delete_if_migration_needed),
        local("in memory", Builder::in_memory),
        local("modules", |b| Ok(b.modules([module("a", &["Dog"]), module("b", &["Cat"])]))),
        local("more classes", |b| Ok(b.modules([module("a", &["Dog", "Cat", "Emu"])]))),
        local("one class", |b| Ok(b.only_classes(&["Cat"]))),
        local("no class", |b| Ok(b.modules([]))),
        local("initial data", |b| Ok(b.initial_data(hook("cats")))),
        local("asset", |b| b.asset_file("seed")),
        local("other asset", |b| b.asset_file("seeds/seed")),
        local("asset, read-only", |b| Ok(b.asset_file("seed")?.read_only())),
        local("compaction", |b| Ok(b.compact_on_launch(CompactionPolicy::Default))),
        local("own compaction", |b| {
            Ok(b.compact_on_launch(CompactionPolicy::custom("never", |_| false)))
        }),
    ]
}

fn others() -> Vec<Named> {
    let all = module("all", &["Cat", "Dog"]);
    let bare = App::new("/");
    vec![
        synced("default", Ok),
        synced("name as it is", |b| b.name("notes")),
        synced_at("host left out", "/~/notes", Ok),
        synced_at("host in upper case", "REALMS://HOST/~/notes", Ok),
        synced_at("identity written out", "realm://host/c0ffee/notes", Ok),
        synced_at("shared", "realm://host/notes", Ok),
        synced("key", |b| b.encryption_key(&KEY)),
        synced("certificate", |b| b.trusted_root("root.pem")),
        synced("certificate unchecked", |b| {
            Ok(b.trusted_root("root.pem")?.without_certificate_check())
        }),
        synced("unchecked", |b| Ok(b.without_certificate_check())),
        synced("error handler", |b| Ok(b.error_handler(Callback::named("tell", ())))),
        synced("waiting", |b| Ok(b.wait_for_initial_data())),
        synced("waiting, read-only", |b| Ok(b.wait_for_initial_data().read_only())),
        recovery("default", &app(), None, &[]),
        recovery("with the modules", &app(), None, &[all]),
        recovery("with a key", &app(), Some(&KEY), &[]),
        recovery("no class", &bare, None, &[]),
        ("recovery of synced".to_owned(), synced("", Ok).1.recovery_of(BACKUP)),
        ("recovery of synced, key".to_owned(), {
            synced("", |b| b.encryption_key(&KEY)).1.recovery_of(BACKUP)
        }),
    ]
}

fn all() -> Vec<Named> {
    locals().into_iter().chain(others()).collect()
}

/// Equality of all pairs, and the first difference to the neighbour and to the first configuration.
#[test]
fn configurations_are_equal_as_reviewed() {
    let all = all();
    let mut text = String::new();
    for (index, (name, one)) in all.iter().enumerate() {
        let row: String = all.iter().map(|(_, two)| if one == two { '=' } else { '.' }).collect();
        writeln!(text, "{index:>2} {row} {name}").unwrap();
    }
    text.push('\n');
    for (index, (name, one)) in all.iter().enumerate() {
        let differs = |two: &Configuration| match one.first_difference(two) {
            Some(field) => format!("{field:?}"),
            None => "equal".to_owned(),
        };
        let first = differs(&all[0].1);
        let before = differs(&all[index.saturating_sub(1)].1);
        writeln!(text, "{index:>2} {name}: {first} to the first, {before} to the one before")
            .unwrap();
    }
    insta::assert_snapshot!("equality", text);
}

#[test]
fn configurations_hash_as_reviewed() {
    let lines: Vec<String> =
        all().iter().map(|(name, one)| format!("{:>11}  {name}", one.stable_hash())).collect();
    insta::assert_snapshot!("hashes", lines.join("\n"));
}

#[test]
fn configurations_print_as_reviewed() {
    let mut text = String::new();
    for (name, one) in all() {
        writeln!(text, "-- {name}\n{one}\n").unwrap();
    }
    insta::assert_snapshot!("configurations", text);
}

#[test]
fn configurations_print_no_key() {
    let key = Configuration::builder(&app()).encryption_key(&KEY).unwrap();
    let user = User::new("c0ffee", "https://host/auth").unwrap();
    let synced = Configuration::sync_builder(&app(), &user, "/~/notes").unwrap();
    let synced = synced.encryption_key(&KEY).unwrap();
    let mut texts = vec![format!("{key:?} {key:#?}"), format!("{synced:?} {synced:#?}")];
    for (_, one) in all() {
        texts.push(format!("{one} {one:?} {one:#?} {:?}", one.key()));
    }
    for text in texts {
        let bytes = format!("{KEY_BYTE}, {KEY_BYTE}");
        let leak = text.contains(&bytes) || text.to_lowercase().contains("a7a7");
        assert!(!leak, "a key is printed: {text}");
    }
}
