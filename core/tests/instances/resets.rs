//! Client resets, deletions and renamed files: recorded, executed, reported.

use super::{TestApp, add_row, assert_kind, shows_row, string_only};
use fastness::Time;
use fastness::config::{Callback, Configuration, User};
use fastness::instance::{ActionKind, ClientReset, FileRegistry, Instance, SyncError};
use fastness::{Error, ErrorKind, FileErrorCause, FileErrorKind, InstanceError, StoreOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const NOW: Time = Time::from_seconds(1_511_343_015);

/// Where backups go.
fn recovered(test_app: &TestApp) -> PathBuf {
    let names = "realm-object-server/io.realm.object-server-recovered-realms";
    test_app.dir.path().canonicalize().unwrap().join(names)
}

fn with_row(instances: &FileRegistry, configuration: &Configuration) -> Instance {
    let instance = instances.open_instance(configuration).unwrap();
    instance.transact(add_row).unwrap();
    instance
}

fn has_row(instances: &FileRegistry, configuration: &Configuration) -> bool {
    shows_row(&instances.open_dynamic(configuration).unwrap())
}

#[test]
fn client_reset_reported() {
    let test_app = TestApp::new(string_only());
    let got = Arc::new(Mutex::new(None));
    let put = Arc::clone(&got);
    let handler = Callback::error_handler("keeps it", move |error| {
        let SyncError::ClientReset(reset) = error else { panic!("{error:?}") };
        let there = reset.original_file().exists();
        *put.lock().unwrap() = Some((reset.clone(), there, std::thread::current().id()));
    });
    let synced = test_app.synced_builder().error_handler(handler).build().unwrap();
    let instances = test_app.start();
    let instance = instances.open_instance(&synced).unwrap();
    instances.simulate_reset(&synced, NOW).unwrap();
    let (reset, original_was_there, thread) = got.lock().unwrap().take().unwrap();
    assert_eq!(reset.code(), 7);
    assert_eq!((reset.original_file(), original_was_there), (synced.path(), true));
    assert!(!reset.backup_file().exists() && reset.original_file().exists());
    assert_eq!(thread, std::thread::current().id());
    let name = reset.backup_file().file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("recovered_realm-20171122-093015-"), "{name}");
    assert_eq!(name.len(), "recovered_realm-20171122-093015-".len() + 8);
    assert_eq!(reset.backup_file().parent().unwrap(), recovered(&test_app));
    drop(instance);
}

#[test]
fn manual_execute_client_reset() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    let instance = with_row(&instances, &synced);
    let reset = instances.require_reset(&synced, NOW).unwrap();
    let error = assert_kind(reset.execute(), ErrorKind::IllegalState);
    assert!(matches!(error, Error::Instance(InstanceError::StillOpen { count: 1, .. })));
    instance.close().unwrap();
    assert!(reset.execute().unwrap());
    assert!(!reset.original_file().exists() && reset.backup_file().exists());
    let error = assert_kind(reset.execute(), ErrorKind::IllegalState);
    assert!(matches!(error, Error::Instance(InstanceError::NoAction { .. })), "once only");
    assert!(!has_row(&instances, &synced), "it begins with an empty file");
    assert!(has_row(&instances, reset.backup_configuration()));
}

/// Downloading again needs a session, which is not here yet; the file to download into is.
#[test]
fn client_reset_manual_trigger_allow_session_to_restart() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    with_row(&instances, &synced).close().unwrap();
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert!(reset.execute().unwrap());
    let again = instances.open_instance(&synced).unwrap();
    assert!(!shows_row(&again) && instances.pending_actions().is_empty());
    drop(again);
    drop(with_row(&instances, &synced));
    assert!(has_row(&instances, &synced) && has_row(&instances, reset.backup_configuration()));
    // A second reset has a backup of its own.
    let second = instances.require_reset(&synced, NOW).unwrap();
    assert_ne!(second.backup_file(), reset.backup_file());
    assert!(second.execute().unwrap());
    assert!(reset.backup_file().exists() && second.backup_file().exists());
}

#[test]
fn session_exposes_url_user_and_configuration() {
    let test_app = TestApp::new(string_only());
    let user = User::new("user", "http://objectserver.realm.io/auth").unwrap();
    let url = "realm://objectserver.realm.io/~/default";
    let synced = Configuration::sync_builder(&test_app.app, &user, url).unwrap().build().unwrap();
    let instances = test_app.start();
    let instance = instances.open_instance(&synced).unwrap();
    assert_eq!(instance.configuration(), &synced);
    let sync = instance.configuration().sync().unwrap();
    assert_eq!(sync.url().to_string(), "realm://objectserver.realm.io/user/default");
    assert_eq!(sync.user(), &user);
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert_eq!(reset.original_configuration(), &synced);
}

#[test]
fn a_reset_that_was_not_executed_is_at_the_next_start_and_once() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert_eq!(instances.pending_actions().len(), 1);
    drop(instances);
    let instances = test_app.start();
    let [executed] = instances.executed_at_start() else { panic!("one action") };
    assert_eq!(executed.outcome, Ok(true));
    assert_eq!(executed.action.path, synced.path());
    assert_eq!(executed.action.url, "realm://objectserver.realm.io/default");
    assert_eq!(executed.action.identity, "user");
    let target = reset.backup_file().to_path_buf();
    assert_eq!(executed.action.kind, ActionKind::BackUp { target });
    assert!(!has_row(&instances, &synced));
    // The backup's path is all that an app keeps over a restart.
    let backup = Configuration::for_recovery(&test_app.app, reset.backup_file()).unwrap();
    assert!(has_row(&instances, &backup));
    assert!(instances.pending_actions().is_empty());
    drop(instances);
    let instances = test_app.start();
    assert!(instances.executed_at_start().is_empty());
    assert!(has_row(&instances, &backup) && synced.path().exists());
}

#[test]
fn use_client_reset_encrypted() {
    let test_app = TestApp::new(string_only());
    let instances = test_app.start();
    let synced = test_app.synced_builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    drop(with_row(&instances, &synced));
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert!(reset.execute().unwrap());
    let backup = reset.backup_configuration();
    assert!(!backup.is_synced() && backup.is_recovery() && backup.is_read_only());
    assert!(has_row(&instances, backup));
    let keyed = |key: Option<&[u8]>| {
        Configuration::for_recovery_with(&test_app.app, reset.backup_file(), key, &[]).unwrap()
    };
    assert!(has_row(&instances, &keyed(Some(&[7; 64]))));
    for (key, cause) in
        [(Some(&[8; 64][..]), FileErrorCause::WrongKey), (None, FileErrorCause::KeyMissing)]
    {
        let wrong = keyed(key);
        let kind = ErrorKind::File(FileErrorKind::AccessError);
        let error = assert_kind(instances.open_dynamic(&wrong), kind);
        let path = reset.backup_file().to_path_buf();
        assert_eq!(error, Error::File { path, cause });
        assert_eq!(instances.global_count(&wrong), 0);
    }
}

#[test]
fn a_backup_is_read_and_never_written_or_deleted() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert!(reset.execute().unwrap());
    let bytes = std::fs::read(reset.backup_file()).unwrap();
    let backup = reset.backup_configuration();
    let instance = instances.open_dynamic(backup).unwrap();
    let refused = instance.transact(|_| Ok(()));
    assert_kind(refused, ErrorKind::IllegalState);
    drop(instance);
    assert_kind(instances.compact(backup), ErrorKind::IllegalState);
    assert!(!instances.delete(backup).unwrap());
    assert_eq!(std::fs::read(reset.backup_file()).unwrap(), bytes);
}

#[test]
fn a_deletion_is_recorded_and_executed_without_a_backup() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    instances.require_deletion(&synced).unwrap();
    drop(instances);
    let instances = test_app.start();
    assert_eq!(instances.executed_at_start()[0].outcome, Ok(true));
    assert!(!synced.path().exists());
    assert!(!recovered(&test_app).exists());
}

#[test]
fn a_later_action_replaces_the_one_before() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    let first = instances.require_reset(&synced, NOW).unwrap();
    let second = instances.require_reset(&synced, NOW).unwrap();
    assert_ne!(first.backup_file(), second.backup_file());
    assert!(second.execute().unwrap());
    assert!(!first.backup_file().exists() && second.backup_file().exists());
}

#[test]
fn a_file_that_is_not_there_is_done_without_a_backup() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    let reset = instances.require_reset(&synced, NOW).unwrap();
    assert!(!reset.execute().unwrap());
    assert!(!reset.backup_file().exists() && instances.pending_actions().is_empty());
}

fn reset_with_target(
    test_app: &TestApp,
    bytes: impl Fn(&Path) -> Vec<u8>,
) -> (FileRegistry, ClientReset) {
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    let reset = instances.require_reset(&synced, NOW).unwrap();
    std::fs::create_dir_all(recovered(test_app)).unwrap();
    std::fs::write(reset.backup_file(), bytes(synced.path())).unwrap();
    (instances, reset)
}

#[test]
fn a_file_at_the_path_of_the_backup_is_not_replaced() {
    let test_app = TestApp::new(string_only());
    let (instances, reset) = reset_with_target(&test_app, |_| b"another file".to_vec());
    let path = reset.backup_file().to_path_buf();
    let exists = Error::File { path, cause: FileErrorCause::Exists };
    assert_eq!(reset.execute(), Err(exists.clone()));
    assert!(has_row(&instances, reset.original_configuration()), "the original stays");
    drop(instances);
    let instances = test_app.start();
    assert_eq!(instances.executed_at_start()[0].outcome, Err(exists));
    assert_eq!(instances.pending_actions().len(), 1, "and so does the record");
    assert_eq!(std::fs::read(reset.backup_file()).unwrap(), b"another file");
}

#[test]
fn a_backup_that_an_interrupted_attempt_finished_is_taken_for_done() {
    let test_app = TestApp::new(string_only());
    let (instances, reset) = reset_with_target(&test_app, |path| std::fs::read(path).unwrap());
    assert!(reset.execute().unwrap());
    assert!(!reset.original_file().exists());
    assert!(has_row(&instances, reset.backup_configuration()));
}

#[test]
fn an_action_on_an_open_file_is_done_later() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    drop(with_row(&instances, &synced));
    let reset = instances.require_reset(&synced, NOW).unwrap();
    let other = test_app.app.clone();
    let store = StoreOptions::new().open(synced.path()).unwrap();
    let started = FileRegistry::open(&other, StoreOptions::new()).unwrap();
    let outcome = &started.executed_at_start()[0].outcome;
    assert!(matches!(outcome, Err(Error::File { cause: FileErrorCause::OpenHere, .. })));
    drop(store);
    assert!(started.execute(&synced).unwrap());
    assert!(reset.backup_file().exists());
}

#[test]
fn only_synced_files_that_are_open_have_a_session_to_reset() {
    let test_app = TestApp::new(string_only());
    let instances = test_app.start();
    let local = Configuration::builder(&test_app.app).build().unwrap();
    for outcome in [
        instances.require_reset(&local, NOW).map(drop),
        instances.require_deletion(&local),
        instances.simulate_reset(&local, NOW),
        instances.simulate_reset(&test_app.synced(), NOW),
    ] {
        assert_kind(outcome, ErrorKind::InvalidArgument);
    }
    assert!(instances.pending_actions().is_empty());
}

#[test]
fn an_app_without_actions_has_no_record() {
    let test_app = TestApp::new(string_only());
    let instances = test_app.start();
    let local = Configuration::builder(&test_app.app).build().unwrap();
    drop(instances.open_instance(&local).unwrap());
    drop(test_app.start());
    let names = std::fs::read_dir(test_app.dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["default.realm"]);
}

#[test]
fn a_file_of_an_older_generation_is_renamed_and_reported() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    let mut bytes = vec![0; 4096];
    bytes[16..20].copy_from_slice(b"T-DB");
    std::fs::write(synced.path(), &bytes).unwrap();
    let kind = ErrorKind::File(FileErrorKind::IncompatibleSyncFile);
    let error = assert_kind(instances.open_instance(&synced), kind);
    let Error::File { path, cause: FileErrorCause::IncompatibleSync { moved_to } } = error else {
        panic!("{error}")
    };
    assert_eq!(path, synced.path());
    assert_eq!(moved_to.parent().unwrap(), recovered(&test_app));
    assert!(moved_to.file_name().unwrap().to_str().unwrap().starts_with("synced-realm-"));
    assert_eq!(std::fs::read(&moved_to).unwrap(), bytes);
    assert!(!synced.path().exists() && instances.global_count(&synced) == 0);
    drop(instances.open_instance(&synced).unwrap());

    let local = Configuration::builder(&test_app.app).build().unwrap();
    std::fs::write(local.path(), &bytes).unwrap();
    let access = ErrorKind::File(FileErrorKind::AccessError);
    assert_kind(instances.open_instance(&local), access);
    assert!(local.path().exists(), "a local file stays");
}

#[test]
fn synced_files_are_neither_compacted_nor_migrated() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    let path = || synced.path().to_path_buf();
    for is_there in [false, true] {
        let error = assert_kind(instances.compact(&synced), ErrorKind::Unsupported);
        assert_eq!(error, InstanceError::SyncedCompaction { path: path() }.into());
        let error = assert_kind(instances.migrate(&synced), ErrorKind::InvalidArgument);
        assert_eq!(error, InstanceError::SyncedMigration { path: path() }.into());
        assert_eq!(synced.path().exists(), is_there);
        drop(instances.open_instance(&synced).unwrap());
    }
}

#[test]
fn the_certificate_of_a_trusted_root_is_beside_the_file_once_it_was_opened() {
    let test_app = TestApp::with(string_only(), |app| {
        app.assets(|name| match name {
            "certificates/root.pem" => Ok(b"a certificate".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        })
    });
    let trusting = |asset| test_app.synced_builder().trusted_root(asset).unwrap();
    let checked = trusting("certificates/root.pem").build().unwrap();
    let certificate = checked.sync().unwrap().certificate_path().unwrap();
    assert_eq!(certificate.parent(), checked.path().parent());
    assert!(!certificate.exists());
    drop(test_app.instances.open_instance(&checked).unwrap());
    assert_eq!(std::fs::read(certificate).unwrap(), b"a certificate");
    // An existing one stays.
    std::fs::write(certificate, b"another").unwrap();
    drop(test_app.instances.open_dynamic(&checked).unwrap());
    assert_eq!(std::fs::read(certificate).unwrap(), b"another");

    let missing = trusting("none.pem").build().unwrap();
    let error = assert_kind(
        test_app.instances.open_instance(&missing),
        ErrorKind::File(FileErrorKind::AccessError),
    );
    assert!(error.to_string().starts_with("none.pem: "), "{error}");
    let unchecked = trusting("none.pem").without_certificate_check().build().unwrap();
    drop(test_app.instances.open_instance(&unchecked).unwrap());
}

#[test]
fn a_synced_file_in_memory_leaves_what_is_on_the_disk_alone() {
    let test_app = TestApp::new(string_only());
    let (instances, synced) = (test_app.start(), test_app.synced());
    let memory = test_app.synced_builder().in_memory().build().unwrap();
    let bytes = [&[0; 16][..], b"T-DB", &[0; 4076]].concat();
    std::fs::write(memory.path(), &bytes).unwrap();
    drop(with_row(&instances, &memory));
    assert_eq!(std::fs::read(memory.path()).unwrap(), bytes, "one of an older generation");
    std::fs::remove_file(memory.path()).unwrap();
    instances.require_deletion(&synced).unwrap();
    drop(with_row(&instances, &memory));
    assert_eq!(instances.pending_actions().len(), 1, "nor is anything done to it");
}

#[test]
fn the_error_handler_may_open_others_and_look_at_what_is_recorded() {
    let test_app = TestApp::new(string_only());
    let instances = test_app.start();
    let (from_inside, other) = (instances.clone(), Configuration::builder(&test_app.app).build());
    let other = other.unwrap();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let handler = Callback::error_handler("is busy", move |error| {
        let SyncError::ClientReset(reset) = error else { panic!("{error:?}") };
        drop(with_row(&from_inside, &other));
        assert_eq!(from_inside.pending_actions().len(), 1);
        let refused = assert_kind(reset.execute(), ErrorKind::IllegalState);
        assert!(matches!(refused, Error::Instance(InstanceError::StillOpen { count: 1, .. })));
        *counted.lock().unwrap() += 1;
    });
    let synced = test_app.synced_builder().error_handler(handler).build().unwrap();
    let instance = with_row(&instances, &synced);
    instances.simulate_reset(&synced, NOW).unwrap();
    assert_eq!(*calls.lock().unwrap(), 1);
    instance.close().unwrap();
    assert!(instances.execute(&synced).unwrap());
}
