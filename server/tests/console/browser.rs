//! The console in a browser, driven by `.ci/console`.

use super::support::{admin, administer};
use crate::login::support::Host;
use crate::sync::support::{SyncUser, entry};
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs python3 and Debian's chromium and chromium-driver; .ci/run runs it"]
fn every_page_is_used() {
    let host = Host::new();
    let boss = admin(&host);
    let (owner, reader) = (SyncUser::register(&host, "owner"), SyncUser::register(&host, "reader"));
    let path = format!("/{}/notes", owner.identity());
    let grant = json!({ "request": "grant", "name": "reader", "path": path, "right": "read" });
    assert_eq!(administer(&host, &boss, &grant).status, 200);
    let mut owning = owner.connect(&host);
    owning.begin(1, &path);
    assert_eq!(owning.line(), "RESUMED head 0 last 0");
    let mut reading = reader.connect(&host);
    reading.begin(1, &path);
    assert_eq!(reading.line(), "RESUMED head 0 last 0");
    reading.upload(1, &[entry(1, "<b>\u{202e}bold")]);
    assert_eq!(reading.line(), "REJECT 1 231");
    assert_eq!(reading.line(), "ACK 1");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/console");
    let secret = host.server.admin_secret().unwrap().expose();
    let status = Command::new(script).args([&host.server.url(), secret, &path]).status().unwrap();
    assert!(status.success(), "H35: the browser found a fault");
    assert_eq!(owning.line(), "ACK 0");
    assert_eq!(owning.line(), "DOWNLOAD 0 to 1, 0 of 1 own", "SV7: the entry was retried");
    // One of both connections was ended in the browser.
    drop(host);
    let ended = [owning.rest(), reading.rest()];
    assert!(ended.iter().any(|lines| lines.contains(&"ERROR 101 of 0".to_owned())), "H29");
}
