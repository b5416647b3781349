//! Synced configurations: users, URLs, local paths, options, identity; what a reset leaves.

use fastness::config::{
    App, Callback, ConfigField, Configuration, MemoryFileEnv, StorageMode, SyncBuilder, User,
};
use fastness::schema::{
    Class, Module, Opening, Property, Scalar, SchemaMode, StoredSchema, decide, require_classes,
};
use fastness::{ConfigError, DirectoryProblem, Error, ErrorKind, ReadOnlyConflict, UrlProblem};
use std::io;
use std::path::Path;
use std::sync::Arc;

const AUTH: &str = "http://objectserver.realm.io/auth";
const URL: &str = "realm://objectserver.realm.io/default";

fn app() -> App {
    App::new("/files").file_env(Arc::new(MemoryFileEnv::default()))
}

fn user() -> User {
    User::new("id", AUTH).unwrap()
}

fn begin(url: &str) -> Result<SyncBuilder, Error> {
    Configuration::sync_builder(&app(), &user(), url)
}

fn builder() -> SyncBuilder {
    begin(URL).unwrap()
}

fn built(auth: &str, url: &str) -> Configuration {
    let user = User::new("id", auth).unwrap();
    Configuration::sync_builder(&app(), &user, url).unwrap().build().unwrap()
}

fn resolved(auth: &str, url: &str) -> String {
    built(auth, url).sync().unwrap().url().to_string()
}

#[track_caller]
fn refused<T>(outcome: Result<T, Error>, kind: ErrorKind, error: ConfigError) {
    let found = outcome.err().unwrap();
    assert_eq!((found.kind(), found), (kind, Error::Config(error)));
}

#[track_caller]
fn refused_url(url: &str) -> UrlProblem {
    let error = begin(url).err().unwrap();
    let Error::Config(ConfigError::Url { problem, url: told }) = error else { panic!("{error}") };
    assert_eq!(told, url);
    problem
}

use ErrorKind::{IllegalState, InvalidArgument};

#[test]
fn user_who_is_not_valid_is_refused() {
    let outcome = Configuration::sync_builder(&app(), &user().logged_out(), URL);
    refused(outcome, InvalidArgument, ConfigError::UserInvalid);
    // The user is looked at before the URL.
    let outcome = Configuration::sync_builder(&app(), &user().logged_out(), "");
    refused(outcome, InvalidArgument, ConfigError::UserInvalid);
}

#[test]
fn user_whose_identity_could_leave_its_directory_is_refused() {
    for identity in
        ["", ".", "..", "a/b", "../x", "a\\b", "a?b", "a#b", "a%2Fb", "a\0b", "a\n", "a b", "<"]
    {
        let error = ConfigError::Identity { identity: identity.to_owned() };
        refused(User::new(identity, AUTH), InvalidArgument, error);
    }
}

#[test]
fn user_may_have_any_identity_that_a_url_can_hold() {
    for identity in ["abc", "a-b_c.d", "...", "user@example.org:7", "\u{e4}", "null", "~"] {
        let user = User::new(identity, AUTH).unwrap();
        let builder = Configuration::sync_builder(&app(), &user, "realm://h/~/x").unwrap();
        let url = builder.build().unwrap().sync().unwrap().url().to_string();
        assert_eq!(url, format!("realm://h/{identity}/x"));
    }
}

#[test]
fn uri_that_cannot_be_parsed_is_refused() {
    for url in [
        "://x/y",
        "1realm://x/y",
        "realm://",
        "realm://host:port/y",
        "realm://host:99999/y",
        "realm://ho st/y",
        "realm://[::1/y",
        "realm://@/y",
        "realm://:80/y",
        "realm://x/%zz",
        "realm://x/%4",
        "realm://x/y?a b",
        "realm://x/y?a%",
        "realm://x/y#a#b",
        "realm://x/y?<",
    ] {
        assert_eq!(refused_url(url), UrlProblem::Malformed, "{url}");
    }
}

#[test]
fn uri_without_a_path_is_refused() {
    for url in
        ["", "/", "//", "///", "realm://host", "realm://host/", "?a", "mailto:x", "host:9080/~/x"]
    {
        let problem = refused_url(url);
        assert!(matches!(problem, UrlProblem::NoPath | UrlProblem::Malformed), "{url} {problem}");
    }
    assert_eq!(refused_url("realm://host"), UrlProblem::NoPath);
}

#[test]
fn scheme_is_completed_from_the_authentication_url() {
    assert_eq!(resolved("http://host/auth", "/x"), "realm://host/x");
    assert_eq!(resolved("https://host/auth", "/x"), "realms://host/x");
    assert_eq!(resolved("HTTPS://host/auth", "/x"), "realms://host/x");
}

#[test]
fn scheme_http_becomes_realm_and_any_other_is_kept() {
    for (given, kept) in [
        ("http", "realm"),
        ("HTTP", "realm"),
        ("https", "realms"),
        ("HttpS", "realms"),
        ("realm", "realm"),
        ("realms", "realms"),
        ("Realm", "Realm"),
        ("ftp", "ftp"),
    ] {
        assert_eq!(resolved(AUTH, &format!("{given}://h/x")), format!("{kept}://h/x"));
    }
}

#[test]
fn host_is_taken_from_the_authentication_url_without_its_port() {
    for url in ["/~/default", "~/default", "///~/default", "realm:/~/default"] {
        let found = resolved("http://ros.realm.io:7777/auth", url);
        assert_eq!(found, "realm://ros.realm.io/id/default", "{url}");
    }
}

#[test]
fn resolve_table() {
    let same = ["/~/default", "~/default", "ros.realm.io/~/default", "//ros.realm.io/~/default"];
    for url in same {
        let found = resolved("http://ros.realm.io/auth", url);
        assert_eq!(found, "realm://ros.realm.io/id/default", "{url}");
        let found = resolved("https://ros.realm.io/auth", url);
        assert_eq!(found, "realms://ros.realm.io/id/default", "{url}");
    }
    let rows = [
        ("http://ros.realm.io:7777/auth", "/~/default", "realm://ros.realm.io/id/default"),
        (AUTH, "http://ros.realm.io/~/default", "realm://ros.realm.io/id/default"),
        (AUTH, "https://ros.realm.io/~/default", "realms://ros.realm.io/id/default"),
        ("http://ros.realm.io/auth", "~/ros.realm.io", "realm://ros.realm.io/id/ros.realm.io"),
        (AUTH, "realm://u:p@h:9080/~/x?q=1#f", "realm://u:p@h:9080/id/x?q=1#f"),
        (AUTH, "realm://[::1]:80/x", "realm://[::1]:80/x"),
        (AUTH, "realm://h:/x", "realm://h/x"),
        (AUTH, "realm://h/%7E/%61", "realm://h/id/a"),
        (AUTH, "realm://h/~/a/~/b", "realm://h/id/a/id/b"),
        // Every `HOST/` goes, wherever it is.
        (AUTH, "realm://h.io/h.io/a/h.io/b", "realm://h.io/a/b"),
        (AUTH, "realm://io/radio/x", "realm://io/radx"),
    ];
    for (auth, url, expected) in rows {
        assert_eq!(resolved(auth, url), expected, "{auth} {url}");
    }
}

#[test]
fn resolve_replaces_whole_segments_only() {
    assert_eq!(resolved(AUTH, "realm://h/x/~"), "realm://h/x/~");
    assert_eq!(resolved(AUTH, "realm://h/~/~/x"), "realm://h/id/~/x");
    assert_eq!(resolved(AUTH, "realm://h/~/?"), "realm://h/id/?");
}

#[test]
fn segments_that_are_not_allowed_are_refused() {
    for (url, segment) in [
        ("realm://h/<~>/x", "<~>"),
        ("realm://h/ä/x", "ä"),
        ("realm://h/foo/../bar", ".."),
        ("realm://h/foo/./bar", "."),
        ("realm://h/foo//bar", ""),
        ("realm://h/foo/b ar", "b ar"),
        ("realm://h/~x/bar", "~x"),
        ("/x/%20", " "),
        ("/x/%2e%2e", ".."),
        ("/x/%ff", "\u{fffd}"),
    ] {
        assert_eq!(refused_url(url), UrlProblem::Segment(segment.to_owned()), "{url}");
    }
}

#[test]
fn last_segment_that_ends_as_local_files_do_is_refused() {
    for name in ["default.realm", "default.realm.lock", "default.realm.management", ".realm"] {
        for url in [format!("/~/{name}"), format!("/~/{name}/")] {
            assert_eq!(refused_url(&url), UrlProblem::FileName(name.to_owned()), "{url}");
        }
    }
    begin("/default.realm/x").unwrap();
    begin("/default.realms").unwrap();
}

#[test]
fn last_segment_is_the_default_file_name() {
    for (url, name) in [
        ("/~/default", "default"),
        ("/a/b/", "b"),
        ("/a/b///", "b"),
        ("/~/?", "~"),
        ("/a?b/c#d/e", "a"),
        ("/x-1_2.3", "x-1_2.3"),
    ] {
        assert_eq!(built(AUTH, url).file_name(), Some(name), "{url}");
    }
}

#[test]
fn name_empty_or_no_name_is_refused() {
    refused(builder().name(""), InvalidArgument, ConfigError::FileNameEmpty);
    for name in [".", ".."] {
        let error = ConfigError::FileName { name: name.to_owned() };
        refused(builder().name(name), InvalidArgument, error);
    }
    let configuration = builder().name("mine").unwrap().build().unwrap();
    assert_eq!(configuration.file_name(), Some("mine"));
}

#[test]
fn directory_is_the_root_of_the_path() {
    let configuration = builder().directory("/root/").unwrap().build().unwrap();
    assert_eq!(configuration.directory(), Some(Path::new("/root/id")));
    let file_env = Arc::new(MemoryFileEnv::default());
    file_env.add_file("/file");
    let app = App::new("/files").file_env(file_env);
    let outcome = Configuration::sync_builder(&app, &user(), URL).unwrap().directory("/file");
    let problem = DirectoryProblem::IsFile;
    refused(outcome, InvalidArgument, ConfigError::Directory { path: "/file".into(), problem });
}

#[test]
fn options_have_the_rules_of_local_configurations() {
    assert_eq!(builder().encryption_key(&[1; 63]).unwrap_err().kind(), InvalidArgument);
    assert_eq!(builder().schema_version(-1).unwrap_err().kind(), InvalidArgument);
    let module = Module::new("m", [Class::new("A").unwrap(), Class::new("B").unwrap()]);
    let app = app().default_module(module.clone());
    let only = Configuration::sync_builder(&app, &user(), URL).unwrap().only_classes(&["B"]);
    assert_eq!(only.build().unwrap().schema().classes().len(), 1);
    let all = builder()
        .encryption_key(&[1; 64])
        .unwrap()
        .schema_version(7)
        .unwrap()
        .modules([module])
        .initial_data(Callback::new(()))
        .in_memory()
        .build()
        .unwrap();
    assert!(all.key().is_some() && all.initial_data().is_some());
    assert_eq!((all.schema_version(), all.storage()), (7, StorageMode::Memory));
    assert_eq!((all.schema().classes().len(), all.schema_mode()), (2, SchemaMode::Additive));
    assert!(all.migration().is_none() && all.asset_file().is_none() && all.compaction().is_none());
    assert!(!all.deletes_if_migration_needed() && !all.sync().unwrap().deletes_on_logout());
}

#[test]
fn error_handler_is_the_apps_when_the_builder_was_made() {
    let mut app = app().error_handler(Callback::named("first", ()));
    let builder = Configuration::sync_builder(&app, &user(), URL).unwrap();
    app = app.error_handler(Callback::named("second", ()));
    let handler = |configuration: &Configuration| {
        configuration.sync().unwrap().error_handler().name().map(str::to_owned)
    };
    assert_eq!(handler(&builder.clone().build().unwrap()).as_deref(), Some("first"));
    let own = builder.error_handler(Callback::named("own", ())).build().unwrap();
    assert_eq!(handler(&own).as_deref(), Some("own"));
    let later = Configuration::sync_builder(&app, &user(), URL).unwrap().build().unwrap();
    assert_eq!(handler(&later).as_deref(), Some("second"));
}

#[test]
fn trusted_root_is_beside_the_file_if_certificates_are_checked() {
    refused(builder().trusted_root(""), InvalidArgument, ConfigError::TrustedRootEmpty);
    let with = builder().trusted_root("certificates/root.pem").unwrap();
    let checked = with.clone().build().unwrap();
    let path = checked.sync().unwrap().certificate_path();
    assert_eq!(path, Some(Path::new("/files/realm-object-server/id/root.pem")));
    assert!(checked.sync().unwrap().checks_certificate());
    let unchecked = with.without_certificate_check().build().unwrap();
    assert_eq!(unchecked.sync().unwrap().certificate_path(), None);
    assert_eq!(unchecked.sync().unwrap().trusted_root(), Some("certificates/root.pem"));
    assert_eq!(checked.first_difference(&unchecked), Some(ConfigField::CertificateCheck));
}

#[test]
fn build_tells_read_only_conflicts_first_and_in_order() {
    let missing = User::without_identity(AUTH).unwrap();
    let builder = Configuration::sync_builder(&app(), &missing, "/~/x").unwrap();
    let all = builder.read_only().initial_data(Callback::new(()));
    let conflict = |conflict| ConfigError::ReadOnly(conflict);
    let outcome = all.clone().build();
    refused(outcome, IllegalState, conflict(ReadOnlyConflict::InitialData));
    let one = all.initial_data(None);
    refused(one.clone().build(), IllegalState, conflict(ReadOnlyConflict::NoInitialData));
    let url = "realm://objectserver.realm.io/~/x".to_owned();
    let outcome = one.wait_for_initial_data().build();
    refused(outcome, IllegalState, ConfigError::IdentityMissing { url });
}

#[test]
fn build_read_only_that_waits_is_immutable() {
    let built = builder().read_only().wait_for_initial_data().build().unwrap();
    assert!(built.is_read_only() && built.sync().unwrap().waits_for_initial_data());
    assert_eq!(built.schema_mode(), SchemaMode::Immutable);
}

#[test]
fn build_without_an_identity_works_without_its_place() {
    let missing = User::without_identity(AUTH).unwrap();
    let built = Configuration::sync_builder(&app(), &missing, "/a/x").unwrap().build().unwrap();
    assert_eq!(built.path(), Path::new("/files/realm-object-server/null/a/x"));
}

#[test]
fn build_that_cannot_make_the_directory_is_refused() {
    let file_env = Arc::new(MemoryFileEnv::default());
    file_env.add_file("/files");
    let app = App::new("/files").file_env(file_env);
    let outcome = Configuration::sync_builder(&app, &user(), URL).unwrap().build();
    let problem = DirectoryProblem::NotCreated(io::ErrorKind::NotADirectory);
    let path = "/files/realm-object-server/id".into();
    refused(outcome, IllegalState, ConfigError::SyncDirectory { path, problem });
}

#[test]
fn build_makes_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::new(dir.path());
    let built = Configuration::sync_builder(&app, &user(), "/~/a/b").unwrap().build().unwrap();
    assert_eq!(built.directory().unwrap(), dir.path().join("realm-object-server/id/id/a"));
    assert!(built.directory().unwrap().is_dir());
}

#[test]
fn local_path_has_the_identity_twice_for_a_url_with_it() {
    let path = |url: &str| built(AUTH, url).path().to_str().unwrap().to_owned();
    assert_eq!(path("/~/default"), "/files/realm-object-server/id/id/default");
    assert_eq!(path("/default"), "/files/realm-object-server/id/default");
    assert_eq!(path("/a/b/c"), "/files/realm-object-server/id/a/b/c");
    assert_eq!(path("/a/b/"), "/files/realm-object-server/id/a/b/b");
}

fn named(directory_units: usize, name: &str) -> Result<Configuration, Error> {
    // `/` and the root, `/id` after it.
    let root = format!("/{}", "r".repeat(directory_units - "/".len() - "/id".len()));
    builder().directory(root).unwrap().name(name).unwrap().build()
}

#[test]
fn local_path_of_exactly_256_units_is_kept() {
    let kept = named(100, &"A".repeat(155)).unwrap();
    assert_eq!(kept.file_name(), Some("A".repeat(155).as_str()));
    let hashed = named(100, &"A".repeat(156)).unwrap();
    assert_eq!(hashed.file_name().unwrap().len(), 32);
}

#[test]
fn local_path_that_is_too_long_has_its_name_hashed() {
    let hashed = named(100, &"A".repeat(255)).unwrap();
    assert_eq!(hashed.file_name(), Some("0DAA1AD95EF7E114831204680134ABB3"));
    let hashed = named(250, "default");
    assert!(hashed.is_err(), "32 are longer than 7");
    let path = format!("/{}/default", "p".repeat(250));
    let hashed = built(AUTH, &path);
    assert_eq!(hashed.file_name(), Some("C21F969B5F03D33D43E04F8F136E7682"));
}

#[test]
fn local_path_that_is_still_too_long_is_beside_the_identity() {
    let hashed = built(AUTH, &format!("/{}/default", "p".repeat(250)));
    assert_eq!(hashed.directory(), Some(Path::new("/files/realm-object-server/id")));
    // Hashing the name alone is enough here.
    let name = "n".repeat(100);
    let hashed = built(AUTH, &format!("/{}/{name}", "p".repeat(150)));
    assert!(hashed.directory().unwrap().ends_with("p".repeat(150)));
    assert_eq!(hashed.file_name().unwrap().len(), 32);
}

#[test]
fn local_path_that_cannot_be_shortened_is_refused() {
    named(256 - 33, &"A".repeat(300)).unwrap();
    let outcome = named(256 - 32, &"A".repeat(300));
    refused(outcome, IllegalState, ConfigError::PathTooLong { units: 257 });
}

#[test]
fn local_path_is_measured_in_utf_16() {
    // Two units each, four bytes each.
    let kept = named(100, &"\u{1F600}".repeat(77)).unwrap();
    assert_eq!(kept.file_name().unwrap().chars().count(), 77);
    let hashed = named(100, &"\u{1F600}".repeat(78)).unwrap();
    assert_eq!(hashed.file_name().unwrap().len(), 32);
}

#[test]
fn local_path_has_its_invalid_characters_replaced_after_it_was_measured() {
    let replaced = builder().name("a<b>c:d\"e/f\\g|h?i*j").unwrap().build().unwrap();
    assert_eq!(replaced.file_name(), Some("a_b_c_d_e_f_g_h_i_j"));
    assert_eq!(replaced.path().parent(), replaced.directory());
    let traversal = builder().name("../../etc").unwrap().build().unwrap();
    assert_eq!(traversal.file_name(), Some(".._.._etc"));
    // The name that is hashed is the one that was given.
    let [slashes, underscores] = ["/", "_"].map(|c| named(100, &c.repeat(200)).unwrap());
    assert_ne!(slashes.file_name(), underscores.file_name());
}

#[test]
fn equals_and_hash_of_synced_configurations() {
    let (one, two) = (builder().build().unwrap(), builder().build().unwrap());
    assert_eq!((one.first_difference(&two), one.stable_hash()), (None, two.stable_hash()));
}

#[test]
fn equals_never_holds_between_local_and_synced() {
    let synced = builder().build().unwrap();
    let local = Configuration::builder(&app())
        .directory(synced.directory().unwrap())
        .unwrap()
        .name(synced.file_name().unwrap())
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(local.path(), synced.path());
    assert_eq!(local.first_difference(&synced), Some(ConfigField::Kind));
    assert_eq!(synced.first_difference(&local), Some(ConfigField::Kind));
}

#[test]
fn equals_of_synced_stops_at_the_first_difference_in_order() {
    type Step = (ConfigField, fn(SyncBuilder) -> SyncBuilder);
    let steps: &[Step] = &[
        (ConfigField::WaitForInitialData, SyncBuilder::wait_for_initial_data),
        (ConfigField::TrustedRoot, |b| b.trusted_root("root.pem").unwrap()),
        (ConfigField::ErrorHandler, |b| b.error_handler(Callback::named("own", ()))),
        (ConfigField::CertificateCheck, SyncBuilder::without_certificate_check),
        (ConfigField::Storage, SyncBuilder::in_memory),
        (ConfigField::SchemaVersion, |b| b.schema_version(1).unwrap()),
    ];
    let plain = builder().build().unwrap();
    let mut changed = builder();
    for (field, step) in steps {
        changed = step(changed);
        let built = changed.clone().build().unwrap();
        assert_eq!(plain.first_difference(&built), Some(*field));
        assert_ne!(plain.stable_hash(), built.stable_hash(), "{field:?}");
    }
}

#[test]
fn equals_of_urls_and_users() {
    let of = |auth: &str, url: &str| built(auth, url);
    let one = of(AUTH, "realm://Host/x");
    assert_eq!(one, of(AUTH, "REALM://hOST/x"));
    assert_eq!(one.stable_hash(), of(AUTH, "REALM://hOST/x").stable_hash());
    assert_eq!(one.first_difference(&of(AUTH, "realm://host/x?q")), Some(ConfigField::Url));
    let other = of("http://elsewhere/auth", "realm://Host/x");
    assert_eq!(one.first_difference(&other), Some(ConfigField::User));
    assert_eq!(user(), user().logged_out());
}

#[test]
fn text_of_synced_goes_on_with_five_labels() {
    let text = builder().wait_for_initial_data().build().unwrap().to_string();
    let expected = "\ncompactOnLaunch: null\nserverUrl: realm://objectserver.realm.io/default\n\
                    user: id at http://objectserver.realm.io/auth\nerrorHandler: default\n\
                    deleteRealmOnLogout: false\nwaitForInitialRemoteData: true";
    assert!(text.ends_with(expected), "{text}");
}

// The part of the client reset tests about configurations alone.

fn string_only() -> Module {
    let chars = Property::new("chars", Scalar::String).unwrap();
    Module::new("StringOnlyModule", [Class::new("StringOnly").unwrap().with(chars)])
}

fn backup_of(configuration: &Configuration) -> StoredSchema {
    StoredSchema { version: Some(0), schema: configuration.schema().clone() }
}

#[track_caller]
fn open(backup: &Configuration, stored: &StoredSchema) -> Result<(), ErrorKind> {
    let opening = Opening {
        path: backup.path(),
        mode: backup.schema_mode(),
        stored,
        wanted: backup.schema(),
        version: backup.schema_version(),
        has_migration: backup.migration().is_some(),
    };
    let actions = decide(&opening).map_err(|error| Error::from(error).kind())?;
    assert_eq!(actions, vec![], "a backup is only read");
    require_classes(backup.path(), &stored.schema, backup.schema())
        .map_err(|error| Error::from(error).kind())
}

#[test]
fn use_backup_sync_configuration_for_client_reset() {
    let synced = builder().modules([string_only()]).build().unwrap();
    let backup = synced.recovery_of("/backup");
    assert!(!backup.is_synced() && backup.is_read_only());
    assert_eq!(open(&backup, &backup_of(&synced)), Ok(()));
    let by_schema = Configuration::for_recovery_schema("/backup", None, synced.schema()).unwrap();
    assert_eq!(backup, by_schema);
}

#[test]
fn use_backup_sync_configuration_after_client_reset() {
    let synced = builder().modules([string_only()]).build().unwrap();
    let stored = backup_of(&synced);
    let app = app().default_module(Module::new("own", [Class::new("AllTypes").unwrap()]));
    let by_path = Configuration::for_recovery(&app, "/backup").unwrap();
    assert_eq!(open(&by_path, &stored), Err(ErrorKind::MigrationNeeded));
    let by_module = Configuration::for_recovery_with(&app, "/backup", None, &[string_only()]);
    assert_eq!(open(&by_module.unwrap(), &stored), Ok(()));
}

#[test]
fn use_client_reset_encrypted() {
    let encrypted = builder().modules([string_only()]).encryption_key(&[3; 64]).unwrap();
    let backup = encrypted.build().unwrap().recovery_of("/backup");
    let with_key = |byte: u8| {
        let key = [byte; 64];
        Configuration::for_recovery_with(&app(), "/backup", Some(&key), &[string_only()]).unwrap()
    };
    assert_eq!(backup, with_key(3));
    assert_eq!(backup.first_difference(&with_key(4)), Some(ConfigField::Key));
}
