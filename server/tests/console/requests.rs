//! Requests of administrators: who may send them, and that their replies are those of the operator.

use super::support::{admin, administer, log_in, send};
use crate::login::support::Host;
use crate::sync::support::{SyncUser, entry};
use fastness_server::{SyncReply, SyncRequest};
use serde_json::{Value, json};

/// Names that markup, scripts or terminals could take for something else.
const HOSTILE: &[&str] = &[
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\" autofocus onfocus=alert(1) x=\"",
    "שלום עולם",
    "{{7*7}} ${7*7}",
];

fn report(host: &Host, request: &SyncRequest) -> Value {
    match host.operate(request) {
        SyncReply::Report(report) => serde_json::from_str(&report).unwrap(),
        SyncReply::Refused(reason) => json!({ "refused": reason }),
    }
}

/// Returns a report without the times that have passed.
fn timeless(mut report: Value) -> Value {
    for list in report.as_object_mut().unwrap().values_mut() {
        for row in list.as_array_mut().into_iter().flatten() {
            row.as_object_mut().unwrap().retain(|name, _| !name.starts_with("seconds"));
        }
    }
    report
}

#[test]
fn only_the_current_token_of_an_administrator_is_accepted() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let ordinary = log_in(&host, "alice", "password");
    let boss = admin(&host);
    let list = json!({ "request": "list-users" });
    for (token, status, code) in [
        ("", 401, 615),
        ("x", 401, 615),
        (user.token.as_str(), 401, 615),
        (ordinary.as_str(), 403, 614),
        (boss.as_str(), 200, 0),
    ] {
        let answer = administer(&host, token, &list);
        assert_eq!(answer.status, status, "H34: {}", answer.body);
        assert_eq!(answer.json()["code"].as_u64().unwrap_or(0), code, "H34");
    }
    assert_eq!(send(&host, "POST /admin", ("", &list.to_string())).status, 401, "H34");
    assert_eq!(send(&host, "GET /admin", ("", "")).status, 405);
    let make = |request: &str| json!({ "request": request, "name": "alice" });
    assert_eq!(administer(&host, &boss, &make("make-admin")).status, 200);
    assert_eq!(administer(&host, &ordinary, &list).status, 200, "H34");
    assert_eq!(administer(&host, &boss, &make("make-user")).status, 200);
    assert_eq!(administer(&host, &ordinary, &list).status, 403, "H34");
    let body = json!({ "token": boss }).to_string();
    assert_eq!(send(&host, "POST /auth/revoke", ("", &body)).status, 200);
    assert_eq!(administer(&host, &boss, &list).status, 401, "H34");
}

#[test]
fn accounts_are_changed_as_by_the_operator() {
    let host = Host::new();
    let boss = admin(&host);
    let done = |request: Value| {
        let answer = administer(&host, &boss, &request);
        assert_eq!(answer.status, 200, "{request}: {}", answer.body);
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        answer.json()
    };
    for name in HOSTILE {
        done(json!({ "request": "create-user", "name": name, "is_admin": false }));
    }
    let made = done(json!({ "request": "create-user", "name": "bob", "is_admin": false }));
    let password = made["password"].as_str().unwrap().to_owned();
    log_in(&host, "bob", &password);
    let names = |list: &Value| -> Vec<String> {
        let users = list["users"].as_array().unwrap().iter();
        users.map(|user| user["name"].as_str().unwrap().to_owned()).collect()
    };
    let listed = names(&done(json!({ "request": "list-users" })));
    assert_eq!(listed.len(), HOSTILE.len() + 2);
    assert!(HOSTILE.iter().all(|name| listed.iter().any(|found| found == name)), "{listed:?}");
    done(json!({ "request": "block-user", "name": "bob" }));
    done(json!({ "request": "unblock-user", "name": "bob" }));
    done(json!({ "request": "set-password", "name": "bob", "password": "another-one" }));
    log_in(&host, "bob", "another-one");
    done(json!({ "request": "delete-user", "name": "bob" }));
    let refused = administer(&host, &boss, &json!({ "request": "delete-user", "name": "bob" }));
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (409, "{\"refused\":\"there is no such account\"}")
    );
    let target = host.path("copy").display().to_string();
    let copy = administer(&host, &boss, &json!({ "request": "backup", "target": target }));
    assert_eq!(copy.status, 409, "H34: {}", copy.body);
    assert!(!host.path("copy").exists(), "H34");
    for unknown in [json!({ "request": "explode" }), json!({}), json!({ "request": 7 })] {
        assert_eq!(administer(&host, &boss, &unknown).json()["code"], 601);
    }
}

#[test]
fn reports_are_those_of_the_command_line() {
    let host = Host::new();
    let boss = admin(&host);
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    let client = wire.begin(1, "/~/notes");
    assert_eq!(wire.line(), "RESUMED head 0 last 0");
    let mut malformed = entry(2, "b");
    malformed.push(0xff);
    wire.upload(1, &[entry(1, "a"), malformed]);
    assert_eq!(wire.line(), "REJECT 2 212");
    assert_eq!(wire.line(), "ACK 2");
    assert_eq!(wire.line(), "DOWNLOAD 0 to 1, 1 of 1 own");
    wire.mark(1, 1);
    let path = format!("/{}/notes", user.identity());
    for (request, same) in [
        (json!({ "request": "sync-databases" }), SyncRequest::Databases),
        (
            json!({ "request": "sync-clients", "path": path }),
            SyncRequest::Clients { path: path.clone() },
        ),
        (
            json!({ "request": "sync-dead-letters", "path": path }),
            SyncRequest::DeadLetters { path: path.clone() },
        ),
    ] {
        let answer = administer(&host, &boss, &request);
        let same = report(&host, &same);
        assert_eq!(timeless(answer.json()), timeless(same), "H34: {request}");
    }
    let status = administer(&host, &boss, &json!({ "request": "sync-status" })).json();
    assert_eq!(status["connections"][0]["user"], user.identity());
    assert_eq!(status["numbers"]["sync_entries_total"], 2);
    assert_eq!(status["numbers"]["sync_behind_entries"], 0, "it has been sent everything");
    assert!(status["uptime_seconds"].is_u64() && status["version"].is_string(), "{status}");
    let refused = json!({ "request": "sync-clients", "path": "/~/notes" });
    assert_eq!(administer(&host, &boss, &refused).status, 409);
    let expire = json!({ "request": "sync-expire", "path": path, "client": client.number });
    assert_eq!(administer(&host, &boss, &expire).status, 200);
    let clients = administer(&host, &boss, &json!({ "request": "sync-clients", "path": path }));
    assert_eq!(clients.json()["clients"][0]["state"], "expired");
    let kick = json!({ "request": "sync-kick", "who": user.identity() });
    assert_eq!(administer(&host, &boss, &kick).json()["ended"], 1);
    assert_eq!(wire.rest(), ["ERROR 101 of 0"], "H29");
}

#[test]
fn pages_are_for_everybody_and_data_is_not_in_them() {
    let host = Host::new();
    let page = send(&host, "GET /console", ("", ""));
    assert_eq!(page.status, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'; script-src 'self';",
    ] {
        assert!(page.head.contains(header), "H35: {header} is not in\n{}", page.head);
    }
    assert!(!page.head.contains("unsafe-inline") && !page.head.contains("unsafe-eval"), "H35");
    let script = send(&host, "GET /console/console.js", ("", ""));
    assert!(script.head.contains("content-type: text/javascript"), "{}", script.head);
    let host = Host::with(|config| config.console = false);
    for line in ["GET /console", "GET /console/console.js", "POST /admin"] {
        assert_eq!(send(&host, line, ("", "{}")).status, 404, "{line}");
    }
}

#[test]
fn a_refused_entry_is_shown_and_retried() {
    let host = Host::new();
    let boss = admin(&host);
    let (alice, bob) = (SyncUser::register(&host, "alice"), SyncUser::register(&host, "bob"));
    let path = format!("/{}/notes", alice.identity());
    let done = |request: Value| {
        let answer = administer(&host, &boss, &request);
        assert_eq!(answer.status, 200, "{request}: {}", answer.body);
        answer.json()
    };
    done(json!({ "request": "grant", "name": "bob", "path": path, "right": "read" }));
    let mut owner = alice.connect(&host);
    owner.begin(1, &path);
    assert_eq!(owner.line(), "RESUMED head 0 last 0");
    let mut reader = bob.connect(&host);
    reader.begin(1, &path);
    assert_eq!(reader.line(), "RESUMED head 0 last 0");
    reader.upload(1, &[entry(1, "<b>\u{202e}bold")]);
    assert_eq!(reader.line(), "REJECT 1 231");
    assert_eq!(reader.line(), "ACK 1");
    let letters = done(json!({ "request": "sync-dead-letters", "path": path }));
    let letter = &letters["dead_letters"][0];
    assert_eq!((&letter["user"], &letter["reason"]), (&json!(bob.identity()), &json!("forbidden")));
    let text = letter["operations"][3].as_str().unwrap();
    assert!(text.ends_with("text = \"<b>\\u{202e}bold\""), "H35: {text}");
    let retry = json!({ "request": "sync-retry", "path": path, "number": letter["number"] });
    assert_eq!(done(retry.clone())["seq"], 1, "SV7");
    assert_eq!(owner.line(), "ACK 0", "the history is longer");
    assert_eq!(owner.line(), "DOWNLOAD 0 to 1, 0 of 1 own", "H26");
    assert_eq!(administer(&host, &boss, &retry).status, 409, "SV7");
    let letters = done(json!({ "request": "sync-dead-letters", "path": path }));
    assert_eq!(letters["dead_letters"][0]["may_retry"], false, "only the refusal is left");
}
