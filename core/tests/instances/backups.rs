//! Backups of client resets: how an app comes by them, and reads them.

use super::{TestApp, add_row, assert_kind, class, shows_row, string_only};
use fastness::Time;
use fastness::config::Configuration;
use fastness::instance::ClientReset;
use fastness::schema::{Module, Scalar, SchemaError};
use fastness::{Error, ErrorKind, FileErrorKind};
use std::path::Path;

/// The module of an app with more classes than the file that was reset.
fn whole_app() -> Module {
    let others = ["Cat", "Dog", "Owner"].map(|name| class(name, Scalar::Int));
    Module::new("app", others.into_iter().chain([class("StringOnly", Scalar::String)]))
}

impl TestApp {
    /// A file with one row is reset, and closed and executed.
    fn reset(&self, synced: &Configuration) -> ClientReset {
        let instance = self.instances.open_instance(synced).unwrap();
        instance.transact(add_row).unwrap();
        let reset = self.instances.require_reset(synced, Time::from_seconds(0)).unwrap();
        instance.close().unwrap();
        assert!(reset.execute().unwrap());
        reset
    }

    fn recovery(&self, path: &Path, key: Option<&[u8]>, modules: &[Module]) -> Configuration {
        Configuration::for_recovery_with(&self.app, path, key, modules).unwrap()
    }
}

#[test]
fn use_backup_sync_configuration_for_client_reset() {
    let test_app = TestApp::new(whole_app());
    let reset = test_app.reset(&test_app.synced());
    let backup = reset.backup_configuration();
    assert!(!backup.is_synced());
    let typed = test_app.instances.open_instance(backup).unwrap();
    assert!(shows_row(&typed));
    assert!(typed.close().unwrap());
    let dynamic = test_app.instances.open_dynamic(backup).unwrap();
    assert!(shows_row(&dynamic));
}

#[test]
fn use_backup_sync_configuration_after_client_reset() {
    let test_app = TestApp::new(whole_app());
    let reset = test_app.reset(&test_app.synced());
    // All that is kept.
    let path = reset.backup_file().to_path_buf();
    drop(reset);
    let default = Configuration::for_recovery(&test_app.app, &path).unwrap();
    let error = assert_kind(test_app.instances.open_instance(&default), ErrorKind::MigrationNeeded);
    let classes = ["Cat", "Dog", "Owner"].map(str::to_owned).to_vec();
    assert_eq!(error, SchemaError::ClassesMissing { path: path.clone(), classes }.into());
    assert_eq!(test_app.instances.global_count(&default), 0);

    let dynamic = test_app.instances.open_dynamic(&default).unwrap();
    assert!(shows_row(&dynamic));
    let refused = dynamic.transact(|_| Ok(()));
    assert_eq!(refused, Err(Error::ReadOnly { path: path.clone() }));
    assert_kind(refused, ErrorKind::IllegalState);
    drop(dynamic);

    let given = test_app.recovery(&path, None, &[string_only()]);
    assert!(shows_row(&test_app.instances.open_instance(&given).unwrap()));
}

#[test]
fn use_client_reset_encrypted() {
    let test_app = TestApp::new(whole_app());
    let synced = test_app.synced_builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    let reset = test_app.reset(&synced);
    assert!(shows_row(&test_app.instances.open_instance(reset.backup_configuration()).unwrap()));
    let with = |key: &[u8]| test_app.recovery(reset.backup_file(), Some(key), &[string_only()]);
    assert!(shows_row(&test_app.instances.open_instance(&with(&[7; 64])).unwrap()));
    let access = ErrorKind::File(FileErrorKind::AccessError);
    assert_kind(test_app.instances.open_instance(&with(&[8; 64])), access);
    for length in [0, 63, 65] {
        let outcome = Configuration::for_recovery_with(
            &test_app.app,
            reset.backup_file(),
            Some(&vec![7; length]),
            &[],
        );
        assert_kind(outcome, ErrorKind::InvalidArgument);
    }
}

/// The tables of the original's tests name existing tests.
#[test]
fn the_tests_of_the_original_are_where_the_documents_say() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let documents = [
        include_str!("../../../docs/instances.md"),
        include_str!("../../../docs/configuration.md"),
    ];
    for document in documents {
        let (_, table) = document.split_once("## Tests of the original\n").unwrap();
        let rows =
            table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| "));
        let mut named = 0;
        for name in rows.flat_map(|row| row.split('`').skip(1).step_by(2)) {
            let Some((file, test)) = name.split_once("::") else { continue };
            let source = std::fs::read_to_string(tests.join(file).with_extension("rs"));
            let function = format!("#[test]\nfn {test}() {{");
            assert!(source.is_ok_and(|source| source.contains(&function)), "{name} does not exist");
            named += 1;
        }
        assert!(named > 8, "{named} names are not a table");
    }
}
