//! Log of the server: a line for each request with the number of its answer, and no bytes of the
//! request (H10).

use crate::sockets::support::{Wire, host, patient, request};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps what is logged as text, a line for each event; shared by all tests of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    /// The level of our crates, which also limits those of others.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn requests_are_logged_by_number_and_nothing_that_was_sent() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let host = host(patient());
    let body = |text: &str| text.replace('\'', "\"").into_bytes();
    let mut wire = Wire::to(&host);
    wire.send(request(
        "POST",
        "/auth",
        &body(
            "{'provider': 'password', 'data': 'wilhelmina',
            'user_info': {'register': true, 'password': 'hunter2-hunter2'}}",
        ),
    ));
    let (status, answer) = wire.answer();
    assert_eq!(status, 200, "{answer}");
    let token = answer.split('"').find(|word| word.len() > 100).unwrap().to_owned();
    let identity = answer.split("\"identity\":\"").nth(1).unwrap()[..32].to_owned();
    let access = format!("{{'provider': 'realm', 'data': '{token}', 'path': '/~/diary-of-w'}}");
    wire.send(request("POST", "/auth", &body(&access)));
    let (head, _) = wire.whole_answer();
    let number = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    wire.send(request("POST", "/auth", &body("{'provider': 'password', 'data': 'wilhelmina'}")));
    assert_eq!(wire.answer().0, 400);
    wire.send(request("GET", "/auth//users/password/wilhelmina?hunter2-hunter2", b""));
    assert_eq!(wire.answer().0, 401);

    let lines = log.0.lock().unwrap().clone();
    // Other tests are logged, too; no other user has this identity.
    let granted = lines.iter().find(|line| line.contains(&identity) && line.contains("granted"));
    let granted = granted.unwrap();
    let number = format!(" request={number} ");
    for part in ["INFO", &number, "call=\"access-token\"", "status=200", "peer=", "micros="] {
        assert!(granted.contains(part), "{part} is not in {granted}");
    }
    let all = lines.join("\n");
    for secret in ["hunter2", "wilhelmina", "diary-of-w", &*token, "newPassword"] {
        assert!(!all.contains(secret), "{secret} is logged: {all}");
    }
}
