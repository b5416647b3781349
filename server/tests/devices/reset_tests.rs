//! Client resets that the app carries out, as in the original: simulated, with our server running.

use super::support::{Device, NOW, add, reset_handler, rows, rows_of, string_only};
use crate::login::support::{FOREVER, Host};
use fastness::config::Configuration;
use fastness::instance::ClientReset;
use fastness::{Error, ErrorKind, FileErrorKind, InstanceError};
use fastness_client::{ResetPolicy, SyncOptions, SyncedFile};

/// A device whose file has one row and is reset by the app.
struct Reset {
    device: Device,
    file: SyncedFile,
    reset: ClientReset,
}

fn manual() -> SyncOptions {
    SyncOptions::new().reset(ResetPolicy::Manual)
}

impl Reset {
    fn simulate(host: &Host, key: Option<&[u8]>) -> Self {
        let device = Device::register(host, "alice");
        let (handler, resets) = reset_handler();
        let builder = device.builder().error_handler(handler);
        let builder = match key {
            Some(key) => builder.encryption_key(key).unwrap(),
            None => builder,
        };
        let file = device.sync.open_file_with(&builder.build().unwrap(), manual()).unwrap();
        add(&file, "Foo");
        file.simulate_reset().unwrap();
        // The handler was called on this thread.
        let reset = resets.try_recv().unwrap();
        Self { device, file, reset }
    }

    /// Closes the file and executes the reset.
    fn execute(self) -> (Device, ClientReset) {
        drop(self.file);
        assert!(self.reset.execute().unwrap());
        (self.device, self.reset)
    }
}

/// Returns the rows of a backup, typed and dynamic.
#[track_caller]
fn opens(device: &Device, configuration: &Configuration) -> Vec<String> {
    let typed = device.registry.open_instance(configuration).unwrap();
    let found = rows(typed.snapshot().unwrap().view());
    drop(typed);
    let dynamic = device.registry.open_dynamic(configuration).unwrap();
    assert_eq!(rows(dynamic.snapshot().unwrap().view()), found);
    found
}

#[test]
fn client_reset_reported() {
    let host = Host::with_tls();
    let Reset { device, file, reset } = Reset::simulate(&host, None);
    assert_eq!(reset.code(), 7);
    assert_eq!(reset.original_file(), file.configuration().path());
    assert!(reset.original_file().exists() && !reset.backup_file().exists());
    drop(device);
}

#[test]
fn manual_execute_client_reset() {
    let host = Host::with_tls();
    let Reset { file, reset, device } = Reset::simulate(&host, None);
    let error = reset.execute().unwrap_err();
    assert!(matches!(error, Error::Instance(InstanceError::StillOpen { .. })), "{error:?}");
    drop(file);
    assert!(reset.execute().unwrap());
    assert!(!reset.original_file().exists() && reset.backup_file().exists());
    drop(device);
}

#[test]
fn client_reset_manual_trigger_allow_session_to_restart() {
    let host = Host::with_tls();
    let (device, reset) = Reset::simulate(&host, None).execute();
    let second = Device::log_in(&host, "alice");
    let other = second.open();
    add(&other, "of the server");
    other.upload_all(FOREVER).unwrap();
    let file = device.sync.open_file_with(reset.original_configuration(), manual()).unwrap();
    file.download_all(FOREVER).unwrap();
    let found = rows_of(file.database());
    // The row of the backup was perhaps uploaded before the reset.
    assert!(found.contains(&"of the server".to_owned()), "{found:?}");
}

#[test]
fn use_backup_sync_configuration_for_client_reset() {
    let host = Host::with_tls();
    let (device, reset) = Reset::simulate(&host, None).execute();
    let backup = reset.backup_configuration();
    assert!(!backup.is_synced() && backup.is_recovery());
    assert_eq!(opens(&device, backup), ["Foo"]);
}

#[test]
fn use_backup_sync_configuration_after_client_reset() {
    let host = Host::with_tls();
    let (device, reset) = Reset::simulate(&host, None).execute();
    let path = reset.backup_file().to_path_buf();
    let by_path = Configuration::for_recovery(&device.app, &path).unwrap();
    let dynamic = device.registry.open_dynamic(&by_path).unwrap();
    assert_eq!(rows(dynamic.snapshot().unwrap().view()), ["Foo"]);
    let error = dynamic.transact(|_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    drop(dynamic);
    let modules = [string_only()];
    let by_module = Configuration::for_recovery_with(&device.app, &path, None, &modules).unwrap();
    assert_eq!(opens(&device, &by_module), ["Foo"]);
}

#[test]
fn use_client_reset_encrypted() {
    let host = Host::with_tls();
    let key = [3; 64];
    let (device, reset) = Reset::simulate(&host, Some(&key)).execute();
    assert_eq!(opens(&device, reset.backup_configuration()), ["Foo"]);
    let modules = [string_only()];
    let with_key = |key: &[u8]| {
        let path = reset.backup_file();
        Configuration::for_recovery_with(&device.app, path, Some(key), &modules).unwrap()
    };
    assert_eq!(opens(&device, &with_key(&key)), ["Foo"]);
    let error = device.registry.open_instance(&with_key(&[4; 64])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File(FileErrorKind::AccessError));
}

/// The app did not execute the reset: the next start does, before any file is opened.
#[test]
fn a_reset_that_was_not_executed_is_at_the_next_start() {
    let host = Host::with_tls();
    let Reset { device, file, reset } = Reset::simulate(&host, None);
    drop(file);
    let Device { sync, registry, app, client, folder, .. } = device;
    drop((sync, registry, client));
    let registry =
        fastness::instance::FileRegistry::open(&app, fastness::StoreOptions::new()).unwrap();
    assert_eq!(registry.executed_at_start().len(), 1);
    assert!(reset.backup_file().exists() && !reset.original_file().exists());
    let again = registry.require_reset(reset.original_configuration(), NOW).unwrap();
    assert_ne!(again.backup_file(), reset.backup_file());
    drop(folder);
}
