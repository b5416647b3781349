//! State machine of users: the sentences of docs/auth.md.

use super::*;
use crate::{
    AuthUrl, Credentials, ErrorCode, NetworkError, Request, RequestError, RequestId, Time,
};
use fastness::{Store, StoreOptions};
use std::time::Duration;

const ALICE: &str = "alice";
const DAY: i64 = 86_400_000;
const PATH: &str = "/~/notes";

/// Program with users, and all requests that it has sent.
struct Bench {
    now: Time,
    users: Users,
    outputs: Vec<Output>,
    sent: Vec<(RequestId, Request)>,
}

fn url() -> AuthUrl {
    AuthUrl::for_login("http://h:9080").unwrap()
}

fn id(identity: &str) -> UserId {
    UserId { url: url(), identity: identity.to_owned() }
}

fn granted(kind: &str, value: &str, identity: &str, expires: i64) -> HttpOutcome {
    let token = format!(
        r#"{{"{kind}_token": {{"token": "{value}", "token_data": {{"identity": "{identity}",
        "expires": {}, "access": ["refresh"], "is_admin": {}}}}}}}"#,
        expires / 1000,
        identity == "root"
    );
    HttpOutcome::new(200, token.into_bytes())
}

impl Bench {
    fn new() -> Self {
        let users = Users::default();
        Self { now: Time(DAY), users, outputs: Vec::new(), sent: Vec::new() }
    }

    /// Handles an event and returns the resulting requests.
    fn tell(&mut self, input: Input) -> Vec<RequestId> {
        let mut outputs = Vec::new();
        self.users.handle(self.now, input, &mut outputs);
        let mut sent = Vec::new();
        for output in outputs {
            if let Output::Send(id, request) = output {
                sent.push(id);
                self.sent.push((id, request));
            } else {
                self.outputs.push(output);
            }
        }
        sent
    }

    fn call(&mut self, number: u64, call: Call) -> Vec<RequestId> {
        self.tell(Input::Call(CallId(number), call))
    }

    /// Logs a user in with a token of this value, which lives for ten days.
    fn log_in(&mut self, identity: &str, value: &str) -> Vec<RequestId> {
        let name = Credentials::username_password(identity, None, false).unwrap();
        let sent = self.call(0, Call::LogIn(url(), name));
        let answer = granted("refresh", value, identity, self.now.0 + 10 * DAY);
        self.tell(Input::Response(sent[0], answer))
    }

    fn open(&mut self, number: u64, identity: &str) -> Vec<RequestId> {
        self.tell(Input::Open(SessionId(number), id(identity), PATH.to_owned()))
    }

    fn answer(&mut self, request: RequestId, status: u16, body: &str) -> Vec<RequestId> {
        self.tell(Input::Response(request, HttpOutcome::new(status, body.as_bytes().to_vec())))
    }

    fn body(&self, request: RequestId) -> &str {
        let (_, request) = self.sent.iter().find(|(id, _)| *id == request).unwrap();
        std::str::from_utf8(request.body()).unwrap()
    }

    fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    fn token_in(&self, request: RequestId) -> bool {
        self.body(request).contains(r#""provider":"realm""#)
    }
}

#[test]
fn listeners_hear_of_a_login_before_the_caller() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "one");
    let outputs = bench.take_outputs();
    let [Output::LoggedIn(who), Output::CallDone(CallId(0), Ok(CallSuccess::LoggedIn(user)))] =
        &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((who, user.identity()), (&id(ALICE), ALICE));
    assert!(bench.users.current(bench.now).unwrap().is_some());
}

#[test]
fn a_failed_login_changes_nothing() {
    let mut bench = Bench::new();
    let name = Credentials::username_password(ALICE, None, false).unwrap();
    let sent = bench.call(7, Call::LogIn(url(), name));
    bench.answer(sent[0], 401, r#"{"code": 611}"#);
    let outputs = bench.take_outputs();
    let [Output::CallDone(CallId(7), Err(CallError::Failed(error)))] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(error.code(), ErrorCode::INVALID_CREDENTIALS);
    assert_eq!((bench.users.current(bench.now), bench.users.deadline()), (Ok(None), None));
}

#[test]
fn an_access_token_logs_in_without_a_request() {
    let mut bench = Bench::new();
    let sent = bench.call(0, Call::LogIn(url(), Credentials::access_token("t", ALICE, true)));
    assert!(sent.is_empty() && bench.users.current(Time::NEVER).unwrap().is_none());
    assert!(bench.users.current(Time(i64::MAX - 1)).unwrap().unwrap().is_admin());
}

#[test]
fn a_cancelled_login_changes_nothing() {
    let mut bench = Bench::new();
    let name = Credentials::username_password(ALICE, None, false).unwrap();
    let sent = bench.call(7, Call::LogIn(url(), name));
    bench.tell(Input::Cancel(CallId(7)));
    bench.tell(Input::Response(sent[0], granted("refresh", "t", ALICE, 10 * DAY)));
    assert_eq!(bench.take_outputs(), [Output::CancelRequest(sent[0])]);
    assert_eq!(bench.users.persisted().users().count(), 0);
}

#[test]
fn several_users_have_no_current_one() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "a");
    bench.now.0 += 5 * DAY;
    bench.log_in("bob", "b");
    assert_eq!(bench.users.current(bench.now), Err(RequestError::MultipleUsers));
    let names = |bench: &Bench| {
        let valid = bench.users.valid(bench.now);
        valid.map(|user| user.identity().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bench), [ALICE, "bob"]);
    bench.now.0 += 6 * DAY;
    assert_eq!(names(&bench), ["bob"]);
    assert_eq!(
        bench.users.current(bench.now),
        Err(RequestError::MultipleUsers),
        "expired ones count"
    );
    bench.tell(Input::LogOut(id("bob")));
    assert_eq!(bench.users.current(bench.now), Ok(None), "alice has expired");
}

#[test]
fn logging_out_waits_for_nothing_and_tells_listeners_when_it_is_delivered() {
    let mut bench = Bench::new();
    bench.tell(Input::Offline);
    bench.log_in(ALICE, "one");
    bench.take_outputs();
    let sent = bench.tell(Input::LogOut(id(ALICE)));
    assert_eq!(bench.users.current(bench.now), Ok(None));
    assert_eq!(bench.body(sent[0]), r#"{"token":"one"}"#);
    bench.tell(Input::Response(sent[0], HttpOutcome::failed(NetworkError::HostNotFound)));
    assert!(bench.take_outputs().is_empty() && bench.users.persisted().revocations().count() == 1);
    let sent = bench.tell(Input::Online);
    bench.answer(sent[0], 200, "");
    assert_eq!(bench.take_outputs(), [Output::LoggedOut(id(ALICE))]);
    assert_eq!(bench.users.persisted().revocations().count(), 0);
    assert!(bench.tell(Input::LogOut(id(ALICE))).is_empty(), "twice is once");
}

#[test]
fn a_held_revocation_does_not_touch_a_newer_login() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "one");
    let held = bench.tell(Input::LogOut(id(ALICE)));
    bench.tell(Input::Response(held[0], HttpOutcome::failed(NetworkError::TimedOut)));
    bench.log_in(ALICE, "two");
    bench.now = bench.users.deadline().unwrap();
    let again = bench.tell(Input::Wake);
    assert_eq!(bench.body(again[0]), r#"{"token":"one"}"#);
    bench.answer(again[0], 200, "");
    let user = bench.users.current(bench.now).unwrap().unwrap();
    assert_eq!(user.token.value.expose(), "two");
}

#[test]
fn a_revocation_ends_with_the_servers_word_only() {
    let mut bench = Bench::new();
    for (status, body, is_over) in [
        (200, "", true),
        (401, r#"{"code": 615}"#, true),
        (401, r#"{"code": 611}"#, true),
        (503, "", false),
        (404, "<html>", false),
    ] {
        bench.log_in(ALICE, "one");
        let sent = bench.tell(Input::LogOut(id(ALICE)));
        bench.answer(sent[0], status, body);
        let left = bench.users.persisted().revocations().count();
        assert_eq!(left == 0, is_over, "{status} {body}");
        assert_eq!(bench.users.deadline().is_none(), is_over);
        bench.users = Users::default();
    }
    let refused = bench
        .outputs
        .iter()
        .filter(|outputs| matches!(outputs, Output::RevocationRefused(..)))
        .count();
    assert_eq!(refused, 1);
}

#[test]
fn sessions_are_parked_by_a_logout_and_taken_up_by_a_login() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "a");
    bench.log_in("bob", "b");
    let first = bench.open(1, ALICE);
    bench.open(2, "bob");
    bench.take_outputs();
    bench.tell(Input::LogOut(id(ALICE)));
    assert_eq!(bench.take_outputs(), [Output::CancelRequest(first[0]), Output::Park(SessionId(1))]);
    assert!(bench.open(3, ALICE).is_empty(), "it is parked from the beginning");
    bench.tell(Input::Response(first[0], granted("access", "late", ALICE, 10 * DAY)));
    assert!(bench.take_outputs().is_empty(), "a late answer revives nothing");
    let sent = bench.log_in(ALICE, "new");
    assert_eq!(sent.len(), 2, "hers, and not bob's");
    assert!(sent.iter().all(|id| bench.body(*id).contains(r#""data":"new""#)));
}

#[test]
fn a_closed_session_stays_closed_and_its_number_can_be_used_again() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "a");
    let first = bench.open(1, ALICE);
    bench.take_outputs();
    let second = bench.open(1, ALICE);
    assert_eq!(bench.take_outputs(), [Output::CancelRequest(first[0])]);
    bench.tell(Input::Response(first[0], granted("access", "late", ALICE, 10 * DAY)));
    assert!(bench.take_outputs().is_empty());
    bench.tell(Input::Response(second[0], granted("access", "good", ALICE, 10 * DAY)));
    assert!(matches!(bench.take_outputs()[..], [Output::DeliverToken(SessionId(1), _)]));
    bench.tell(Input::Close(SessionId(1)));
    assert_eq!(bench.users.deadline(), None);
}

#[test]
fn preemptive_token_refresh() {
    let mut bench = Bench::new();
    bench.log_in(ALICE, "a");
    let sent = bench.open(1, ALICE);
    bench.tell(Input::Response(sent[0], granted("access", "t", ALICE, bench.now.0 + 20_000)));
    assert_eq!(bench.users.deadline(), Some(Time(bench.now.0 + 10_000)));
    bench.now.0 += 10_000;
    let sent = bench.tell(Input::Wake);
    assert!(bench.token_in(sent[0]));
}

#[test]
fn calls_use_the_token_of_their_moment_and_need_permission() {
    let mut bench = Bench::new();
    let change = |identity: &str| Call::ChangePassword(id(identity), "p".into());
    assert!(bench.call(1, change(ALICE)).is_empty());
    bench.log_in(ALICE, "a");
    bench.log_in("root", "r");
    let sent = bench.call(2, change(ALICE));
    bench.answer(sent[0], 200, "");
    for (number, who) in [(3, ALICE), (4, "root")] {
        let call = Call::ChangePasswordOf(id(who), "bob".to_owned(), "p".into());
        for sent in bench.call(number, call) {
            bench.answer(sent, 401, r#"{"code": 612}"#);
        }
        let call = Call::LookUp(id(who), "password".to_owned(), "bob".to_owned());
        for sent in bench.call(number + 10, call) {
            bench.answer(sent, 404, "");
        }
    }
    let outcomes = bench.take_outputs().into_iter().filter_map(|outputs| {
        let Output::CallDone(CallId(number @ 1..), outcome) = outputs else { return None };
        Some((number, outcome.map_err(|error| error.to_string())))
    });
    let text = outcomes.map(|outcome| format!("{outcome:?}\n")).collect::<String>();
    let expected = r#"(1, Err("the user is not logged in; log in first"))
(2, Ok(PasswordChanged))
(3, Err("only an administrator may do this; log in as one"))
(13, Err("only an administrator may do this; log in as one"))
(4, Err("UNKNOWN_ACCOUNT(612): there is no such account"))
(14, Ok(Found(None)))
"#;
    assert_eq!(text, expected);
}

/// Both tokens that an exchange brings.
fn exchanged(value: &str, identity: &str, now: Time) -> HttpOutcome {
    let token = |value: &str| {
        format!(
            r#"{{"token": "{value}", "token_data": {{"identity": "{identity}", "expires": {},
            "access": ["refresh"]}}}}"#,
            now.0 / 1000 + 1000
        )
    };
    let body =
        format!(r#"{{"access_token": {}, "refresh_token": {}}}"#, token("access"), token(value));
    HttpOutcome::new(200, body.into_bytes())
}

/// A bench whose refresh tokens are exchanged when they are an hour old, and Alice's is.
fn exchanging() -> Bench {
    let mut bench = Bench::new();
    bench.users = Users::default().rotate_after(Duration::from_secs(3600));
    bench.log_in(ALICE, "one");
    bench.now.0 += 3_600_000;
    bench
}

fn current(bench: &Bench) -> &str {
    bench.users.current(bench.now).unwrap().unwrap().token.value.expose()
}

#[test]
fn requests_wait_while_a_token_is_rotated() {
    let mut bench = exchanging();
    bench.log_in("bob", "b");
    let sent = bench.open(1, ALICE);
    assert!(bench.body(sent[0]).contains(r#""rotate":true"#));
    assert!(bench.open(2, ALICE).is_empty());
    let change = Call::ChangePassword(id(ALICE), "p".into());
    assert!(bench.call(7, change.clone()).is_empty() && bench.call(8, change).is_empty());
    bench.tell(Input::Cancel(CallId(8)));
    assert_eq!(bench.open(3, "bob").len(), 1, "bob's is another one");
    bench.tell(Input::LogOut(id("bob")));
    bench.take_outputs();
    let sent = bench.tell(Input::Response(sent[0], exchanged("two", ALICE, bench.now)));
    assert_eq!((sent.len(), current(&bench)), (2, "two"));
    assert!(bench.body(sent[0]).contains(r#""data":"two""#), "it has the new token");
    assert!(!bench.body(sent[0]).contains("rotate"), "and it exchanges nothing");
    assert_eq!(bench.body(sent[1]), r#"{"newPassword":"p"}"#);
    assert!(matches!(bench.take_outputs()[..], [Output::DeliverToken(SessionId(1), _)]));
}

#[test]
fn an_exchange_waits_until_nothing_else_uses_the_token() {
    let mut bench = exchanging();
    let call = bench.call(7, Call::ChangePassword(id(ALICE), "p".into()));
    let sent = bench.open(1, ALICE);
    assert!(!bench.body(sent[0]).contains("rotate"));
    bench.answer(call[0], 200, "");
    bench.tell(Input::Response(sent[0], granted("access", "t", ALICE, bench.now.0 + 60_000)));
    let sent = bench.open(2, ALICE);
    assert!(bench.body(sent[0]).contains(r#""rotate":true"#));
}

#[test]
fn an_exchange_that_fails_costs_nothing() {
    let other = exchanged("two", "somebody else", Time(DAY * 2));
    for answer in
        [HttpOutcome::failed(NetworkError::Lost), HttpOutcome::new(503, Vec::new()), other]
    {
        let mut bench = exchanging();
        let sent = bench.open(1, ALICE);
        bench.open(2, ALICE);
        let sent = bench.tell(Input::Response(sent[0], answer));
        assert_eq!((sent.len(), current(&bench)), (1, "one"));
        assert!(!bench.body(sent[0]).contains("rotate"), "not again so soon");
        bench.now.0 += 300_000;
        bench.tell(Input::Close(SessionId(1)));
        bench.tell(Input::Response(sent[0], granted("access", "t", ALICE, bench.now.0 + 60_000)));
        let sent = bench.open(1, ALICE);
        assert!(bench.body(sent[0]).contains(r#""rotate":true"#), "but after five minutes");
    }
}

#[test]
fn a_server_that_does_not_exchange_is_asked_no_more_than_it_would_be() {
    let mut bench = exchanging();
    let sent = bench.open(1, ALICE);
    bench.tell(Input::Response(sent[0], granted("access", "t", ALICE, bench.now.0 + 60_000)));
    assert_eq!(current(&bench), "one");
    let sent = bench.open(2, ALICE);
    assert!(!bench.body(sent[0]).contains("rotate"));
}

#[test]
fn logging_out_or_in_gives_an_exchange_up() {
    for logs_in in [true, false] {
        let mut bench = exchanging();
        let exchange = bench.open(1, ALICE);
        bench.call(7, Call::ChangePassword(id(ALICE), "p".into()));
        bench.take_outputs();
        let sent = match logs_in {
            true => bench.log_in(ALICE, "new"),
            false => bench.tell(Input::LogOut(id(ALICE))),
        };
        let outputs = bench.take_outputs();
        assert!(outputs.contains(&Output::CancelRequest(exchange[0])), "{outputs:?}");
        let refused =
            Output::CallDone(CallId(7), Err(CallError::Refused(RequestError::NotLoggedIn)));
        assert_eq!(outputs.contains(&refused), !logs_in, "{outputs:?}");
        // The session and the call, or the revocation.
        assert_eq!(sent.len(), if logs_in { 2 } else { 1 });
        assert!(logs_in || bench.body(sent[0]) == r#"{"token":"one"}"#);
        bench.tell(Input::Response(exchange[0], exchanged("late", ALICE, bench.now)));
        assert!(bench.users.persisted().users().all(|user| user.token.value.expose() == "new"));
    }
}

#[test]
fn the_first_token_of_a_process_comes_with_an_exchange_and_is_kept() {
    let store = StoreOptions::new().in_memory().unwrap();
    let open = || {
        let file = UserStore::open(store.clone(), Time(DAY)).unwrap();
        file.rotate_after(Duration::from_secs(3600))
    };
    let mut todo = Vec::new();
    let mut file = open();
    let call = Call::LogIn(url(), Credentials::access_token("one", ALICE, false));
    file.handle(Time(DAY), Input::Call(CallId(0), call), &mut todo).unwrap();
    let mut file = open();
    todo.clear();
    let input = Input::Open(SessionId(1), id(ALICE), PATH.to_owned());
    file.handle(Time(DAY), input, &mut todo).unwrap();
    let [Output::Send(sent, _)] = todo[..] else { panic!("{todo:?}") };
    let answer = Input::Response(sent, exchanged("two", ALICE, Time(DAY)));
    file.handle(Time(DAY), answer, &mut todo).unwrap();
    let kept = open();
    let user = kept.users().persisted().users().next().unwrap();
    assert_eq!(user.token.value.expose(), "two");
}

#[test]
fn a_restarted_process_has_its_users_and_pending_revocations() {
    let store = StoreOptions::new().in_memory().unwrap();
    let open = |store: &Store| UserStore::open(store.clone(), Time(DAY)).unwrap();
    let mut file = open(&store);
    let mut todo = Vec::new();
    for identity in [ALICE, "bob"] {
        let call = Call::LogIn(url(), Credentials::access_token("t", identity, false));
        file.handle(Time(DAY), Input::Call(CallId(0), call), &mut todo).unwrap();
    }
    file.handle(Time(DAY), Input::LogOut(id(ALICE)), &mut todo).unwrap();
    drop(file);
    let mut file = open(&store);
    assert_eq!(file.users().current(Time(DAY)).unwrap().unwrap().identity(), "bob");
    assert_eq!(file.deadline(), Some(Time(DAY)));
    todo.clear();
    file.handle(Time(DAY), Input::Wake, &mut todo).unwrap();
    let [Output::Send(sent, _)] = todo[..] else { panic!("{todo:?}") };
    let answer = Input::Response(sent, HttpOutcome::new(200, Vec::new()));
    file.handle(Time(DAY), answer, &mut todo).unwrap();
    assert_eq!(open(&store).deadline(), None);
}

#[test]
fn a_store_of_something_else_is_refused() {
    use fastness::{Error, FileErrorCause};
    let json = r#"{"authUrl": "http://h", "userToken": {"token": "t",
        "token_data": {"identity": "i", "expires": 1, "access": []}}}"#;
    let eight = 1_u64.to_be_bytes();
    for (key, value) in
        [(&b"short"[..], json), (&eight[..], "{}"), (&u64::MAX.to_be_bytes()[..], json)]
    {
        let store = StoreOptions::new().in_memory().unwrap();
        let mut txn = store.write().unwrap();
        txn.tree("users").unwrap().insert(key, value.as_bytes()).unwrap();
        txn.commit().unwrap();
        let error = UserStore::open(store, Time(0)).unwrap_err();
        let Error::File { cause, .. } = &error else { panic!("{error}") };
        assert_eq!(*cause, FileErrorCause::OtherContent { expected: "users" });
    }
    let store = StoreOptions::new().in_memory().unwrap();
    let mut txn = store.write().unwrap();
    for number in [1_u64, 2] {
        txn.tree("users").unwrap().insert(&number.to_be_bytes(), json.as_bytes()).unwrap();
    }
    txn.commit().unwrap();
    assert!(UserStore::open(store, Time(0)).is_err(), "one user twice");
}
