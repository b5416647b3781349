//! Authentication and authorization: the sentences of docs/server.md that need no socket.

use super::*;
use crate::{AuthServer, Credentials, ErrorCode, Login, Request, Secret, TokenResponse};
use crate::{Time, Token, response};
use fastness::{OsRandom, StoreOptions};
use std::sync::Arc;
use std::time::Duration;

mod operator;

/// Fast hasher that stores the password in the clear.
struct Clear;

impl PasswordHasher for Clear {
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashError> {
        Ok(format!("{salt:?}{}", password.expose()))
    }

    fn verify(&self, password: &Secret, hash: &str) -> bool {
        hash.split_once(']').is_some_and(|(_, held)| held == password.expose())
    }
}

struct Bench {
    accounts: Accounts,
    client: AuthServer,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        Self::with(Policy { logins_max: 5, ..Policy::default() })
    }

    fn with(policy: Policy) -> Self {
        let store = StoreOptions::new().in_memory().unwrap();
        let accounts = Accounts::open(store, Arc::new(OsRandom), policy).unwrap();
        Self { accounts, client: AuthServer::new("http://h").unwrap(), now: Time(1_000_000) }
    }

    fn begin(&self, request: &Request) -> Step {
        let authorization =
            request.headers().find(|(name, _)| *name == "Authorization").map_or("", |held| held.1);
        let target = request.target();
        let head = RequestHead {
            method: request.method().as_str(),
            target: &target,
            authorization: authorization.as_bytes(),
        };
        match ApiRequest::decode(&head, request.body()) {
            Ok(call) => self.accounts.start(self.now, call),
            Err(refused) => Step::Respond(refused.answer()),
        }
    }

    fn end(&self, mut step: Step) -> Response {
        loop {
            step = match step {
                Step::Respond(answer) => return answer,
                Step::Hash(job) => job.run(&Clear),
                Step::Commit(job) => Step::Respond(self.accounts.commit(self.now, job)),
            };
        }
    }

    fn ask(&self, request: &Request) -> Response {
        self.end(self.begin(request))
    }

    fn credentials(&self, name: &str, password: &str, create: bool) -> Request {
        let credentials = Credentials::username_password(name, Some(password.into()), create);
        match self.client.login(&credentials.unwrap()) {
            Login::Send(request) => request,
            Login::Complete(_) => unreachable!(),
        }
    }

    #[track_caller]
    fn register(&self, name: &str) -> Token {
        let answer = self.ask(&self.credentials(name, "first", true));
        login_token(&answer)
    }

    fn log_in(&self, name: &str, password: &str) -> Response {
        self.ask(&self.credentials(name, password, false))
    }

    fn access(&self, token: &Token, path: &str) -> Response {
        self.ask(&self.client.access_token(token, path))
    }

    fn rotate(&self, token: &Token) -> Response {
        let refresh = token.value.clone();
        let call = ApiRequest::AccessToken { refresh, path: "/~/x".to_owned(), rotate: true };
        self.end(self.accounts.start(self.now, call))
    }

    fn works(&self, token: &Token) -> bool {
        let answer = self.access(token, "/~/x");
        assert!(answer.status() == 200 || answer.code() == ErrorCode::EXPIRED_REFRESH_TOKEN);
        answer.status() == 200
    }

    #[track_caller]
    fn operate(&self, request: &AdminRequest) -> AdminReply {
        let decoded = AdminRequest::decode(request.encode().expose().as_bytes());
        assert_eq!(decoded.as_ref(), Some(request), "a request reads back");
        let reply = self.accounts.administer(self.now, request, &Clear);
        let decoded = AdminReply::decode(reply.encode().expose().as_bytes());
        assert_eq!(decoded.as_ref(), Some(&reply), "a reply reads back");
        reply
    }

    fn admin(&self) -> Token {
        let secret = self.accounts.ensure_admin(&Clear).unwrap().unwrap();
        login_token(&self.log_in(ADMIN_NAME, secret.expose()))
    }
}

#[track_caller]
fn read(answer: &Response) -> TokenResponse {
    response::authenticate(answer.status(), answer.body()).unwrap()
}

#[track_caller]
fn login_token(answer: &Response) -> Token {
    read(answer).refresh_token.unwrap()
}

#[test]
fn an_account_is_made_once_and_logged_in_to_with_its_password_only() {
    let bench = Bench::new();
    let token = bench.register("alice");
    assert!(!token.is_admin && token.expires() > bench.now);
    let again = bench.ask(&bench.credentials("alice", "other", true));
    assert_eq!(again.code(), ErrorCode::EXISTING_ACCOUNT);
    let second = login_token(&bench.log_in("alice", "first"));
    assert_eq!(second.identity, token.identity);
    assert_ne!(second.value, token.value);
    let (wrong, unknown) = (bench.log_in("alice", "first "), bench.log_in("Alice", "first"));
    let seen = |answer: &Response| (answer.status(), answer.body().to_vec(), answer.code());
    assert_eq!(seen(&wrong), seen(&unknown), "a response reveals whether a name exists");
    assert_eq!(wrong.code(), ErrorCode::INVALID_CREDENTIALS);
}

#[test]
fn an_unknown_name_costs_a_hash_too() {
    let bench = Bench::new();
    assert!(matches!(bench.begin(&bench.credentials("nobody", "x", false)), Step::Hash(_)));
}

#[test]
fn one_of_two_concurrent_registrations_gets_the_name() {
    let bench = Bench::new();
    let one = bench.begin(&bench.credentials("alice", "one", true));
    let two = bench.begin(&bench.credentials("alice", "two", true));
    assert_eq!(bench.end(two).status(), 200);
    assert_eq!(bench.end(one).code(), ErrorCode::EXISTING_ACCOUNT);
    assert_eq!(bench.log_in("alice", "two").status(), 200);
}

#[test]
fn access_tokens_are_for_ones_own_files_and_say_so_under_a_signature() {
    let bench = Bench::new();
    let (alice, bob) = (bench.register("alice"), bench.register("bob"));
    let token = read(&bench.access(&alice, "/~/notes")).access_token.unwrap();
    let path = format!("/{}/notes", alice.identity);
    assert_eq!((&token.path, &token.identity), (&path, &alice.identity));
    let claims = bench.accounts.signer().verify(token.value.expose(), bench.now).unwrap();
    assert_eq!((claims.path, claims.permissions), (path.clone(), token.permissions.clone()));
    assert_eq!(claims.expires_seconds, token.expires_seconds);
    assert_eq!(token.expires(), bench.now.plus(Duration::from_secs(600)));
    assert_eq!(bench.access(&bob, &path).code(), ErrorCode::ACCESS_DENIED);
    assert_eq!(bench.access(&bob, "/~/../x").code(), ErrorCode::INVALID_PARAMETERS);
    let admins = read(&bench.access(&bench.admin(), &path)).access_token.unwrap();
    assert!(admins.is_admin);
}

#[test]
fn a_refresh_token_is_good_many_times_until_it_expires() {
    let mut bench = Bench::new();
    let token = bench.register("alice");
    assert!((0..10).all(|_| bench.works(&token)));
    bench.now = Time(token.expires_seconds * 1000 - 1);
    assert!(bench.works(&token));
    bench.now = Time(token.expires_seconds * 1000 + 1000);
    assert!(!bench.works(&token));
}

#[test]
fn revoking_ends_that_login_for_ever_and_no_other() {
    let bench = Bench::new();
    let first = bench.register("alice");
    let second = login_token(&bench.log_in("alice", "first"));
    let held = bench.client.revoke(&first);
    assert_eq!(bench.ask(&held).status(), 200);
    let third = login_token(&bench.log_in("alice", "first"));
    assert_eq!(bench.ask(&held).code(), ErrorCode::EXPIRED_REFRESH_TOKEN, "once more");
    assert!(!bench.works(&first) && bench.works(&second) && bench.works(&third));
    let change = bench.client.change_password(&first, &"stolen".into());
    assert_eq!(bench.ask(&change).code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
    assert_eq!(bench.rotate(&first).code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
}

#[test]
fn a_token_that_was_never_issued_is_refused() {
    let bench = Bench::new();
    bench.register("alice");
    let other = Bench::new().register("alice");
    for value in ["", "x", other.value.expose()] {
        let token = Token { value: value.into(), ..other.clone() };
        assert!(!bench.works(&token));
        let answer = bench.ask(&bench.client.revoke(&token));
        assert_eq!(answer.code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
    }
}

#[test]
fn changing_ones_password_ends_the_other_logins() {
    let bench = Bench::new();
    let (own, other) = (bench.register("alice"), bench.log_in("alice", "first"));
    let other = login_token(&other);
    let bob = bench.register("bob");
    let change = bench.client.change_password(&own, &"second".into());
    assert_eq!(bench.ask(&change).status(), 200);
    assert!(bench.works(&own) && !bench.works(&other) && bench.works(&bob));
    assert_eq!(bench.log_in("alice", "first").code(), ErrorCode::INVALID_CREDENTIALS);
    let again = login_token(&bench.log_in("alice", "second"));
    assert_eq!(again.identity, own.identity);
}

#[test]
fn a_password_changed_between_check_and_login_is_the_one_that_counts() {
    let bench = Bench::new();
    let own = bench.register("alice");
    let Step::Hash(checked) = bench.begin(&bench.credentials("alice", "first", false)) else {
        panic!()
    };
    let checked = checked.run(&Clear);
    assert!(matches!(checked, Step::Commit(_)), "the password was right when it was checked");
    bench.ask(&bench.client.change_password(&own, &"second".into()));
    assert_eq!(bench.end(checked).code(), ErrorCode::INVALID_CREDENTIALS);
}

#[test]
fn a_token_revoked_between_check_and_change_changes_nothing() {
    let bench = Bench::new();
    let own = bench.register("alice");
    let change = bench.begin(&bench.client.change_password(&own, &"second".into()));
    bench.ask(&bench.client.revoke(&own));
    assert_eq!(bench.end(change).code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
    assert_eq!(bench.log_in("alice", "first").status(), 200);
}

#[test]
fn only_administrators_reach_other_accounts() {
    let bench = Bench::new();
    let (alice, bob, admin) = (bench.register("alice"), bench.register("bob"), bench.admin());
    let change = |by: &Token, of: &str| {
        let by = Token { is_admin: true, ..by.clone() };
        bench.ask(&bench.client.change_password_of(&by, of, &"set".into()).unwrap())
    };
    assert_eq!(change(&bob, &alice.identity).code(), ErrorCode::ACCESS_DENIED);
    assert_eq!(change(&bob, "nobody").code(), ErrorCode::ACCESS_DENIED);
    assert_eq!(change(&admin, "nobody").code(), ErrorCode::UNKNOWN_ACCOUNT);
    assert_eq!(change(&admin, &alice.identity).status(), 200);
    assert!(!bench.works(&alice) && bench.works(&bob) && bench.works(&admin));
    assert_eq!(bench.log_in("alice", "set").status(), 200);

    let look_up = |by: &Token, provider: &str, name: &str| {
        let by = Token { is_admin: true, ..by.clone() };
        bench.ask(&bench.client.look_up(&by, provider, name).unwrap())
    };
    let found = look_up(&admin, "password", "bob");
    let info = response::look_up(found.status(), found.body()).unwrap();
    assert_eq!((info.identity, info.is_admin), (bob.identity.clone(), false));
    assert!(info.metadata.is_empty());
    assert_eq!(look_up(&admin, "password", "carol").code(), ErrorCode::UNKNOWN_ACCOUNT);
    assert_eq!(look_up(&admin, "facebook", "bob").code(), ErrorCode::UNKNOWN_ACCOUNT);
    assert_eq!(look_up(&bob, "password", "bob").code(), ErrorCode::ACCESS_DENIED);
}

#[test]
fn an_exchanged_token_is_good_until_a_successor_is_presented() {
    let bench = Bench::new();
    let first = bench.register("alice");
    let lost = login_token(&bench.rotate(&first));
    assert!(bench.works(&first), "the answer may have been lost");
    let held = login_token(&bench.rotate(&first));
    assert_ne!(lost.value, held.value);
    // Requests from before arrive late, one of them after the successor was presented.
    login_token(&bench.rotate(&first));
    assert!(bench.works(&held), "the one in the client's hands is not forgotten");
    let late = bench.rotate(&first);
    assert_eq!((late.status(), late.header()), (503, Some(("Retry-After", "60"))));
    assert!(bench.works(&held), "and nothing has ended");
}

#[test]
fn a_minute_later_an_exchanged_token_ends_the_login() {
    let mut bench = Bench::new();
    let first = bench.register("alice");
    let second = login_token(&bench.rotate(&first));
    assert!(bench.works(&second));
    bench.now.0 += 59_999;
    assert_eq!(bench.access(&first, "/~/x").header(), Some(("Retry-After", "1")));
    bench.now.0 += 1;
    let reused = bench.access(&first, "/~/x");
    assert_eq!(reused.code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
    assert_eq!(reused.event(), &Event::Reused(first.identity.clone()));
    assert!(!bench.works(&second), "a copy exists: the login has ended");
    assert_eq!(bench.log_in("alice", "first").status(), 200);
}

#[test]
fn a_successor_that_was_not_the_first_presented_ends_the_login() {
    let bench = Bench::new();
    let first = bench.register("alice");
    let (one, two) = (login_token(&bench.rotate(&first)), login_token(&bench.rotate(&first)));
    assert!(bench.works(&one) && !bench.works(&two) && !bench.works(&one));
}

#[test]
fn the_last_eight_successors_are_good() {
    for (at, is_good) in [(0, false), (1, true), (8, true)] {
        let bench = Bench::new();
        let first = bench.register("alice");
        let successors: Vec<Token> = (0..9).map(|_| login_token(&bench.rotate(&first))).collect();
        assert_eq!(bench.works(&successors[at]), is_good, "{at}");
    }
}

#[test]
fn a_stolen_token_ends_the_login_in_either_order() {
    for thief_first in [true, false] {
        let bench = Bench::new();
        let stolen = bench.register("alice");
        let (thief, owner) = match thief_first {
            true => (bench.rotate(&stolen), bench.rotate(&stolen)),
            false => {
                let owner = bench.rotate(&stolen);
                (bench.rotate(&stolen), owner)
            }
        };
        let (thief, owner) = (login_token(&thief), login_token(&owner));
        let outcome = [bench.works(&owner), bench.works(&thief), bench.works(&owner)];
        assert!(!outcome[2] && !bench.works(&thief), "{outcome:?}");
    }
}

#[test]
fn a_successor_may_change_the_password_at_once() {
    let bench = Bench::new();
    let first = bench.register("alice");
    let second = login_token(&bench.rotate(&first));
    let change = bench.client.change_password(&second, &"second".into());
    assert_eq!(bench.ask(&change).status(), 200);
    assert!(bench.works(&second));
    assert_eq!(bench.access(&first, "/~/x").status(), 503);
}

#[test]
fn the_oldest_login_ends_when_there_are_too_many() {
    let mut bench = Bench::new();
    let first = bench.register("alice");
    let mut later = Vec::new();
    for _ in 0..5 {
        bench.now.0 += 1;
        assert!(bench.works(&first));
        later.push(login_token(&bench.log_in("alice", "first")));
    }
    assert!(!bench.works(&first) && later.iter().all(|token| bench.works(token)));
}

#[test]
fn the_administrators_password_changes_until_it_is_used() {
    let bench = Bench::new();
    let appoint = || bench.accounts.ensure_admin(&Clear).unwrap();
    let (lost, held) = (appoint().unwrap(), appoint().unwrap());
    let refused = bench.log_in(ADMIN_NAME, lost.expose());
    assert_eq!(refused.code(), ErrorCode::INVALID_CREDENTIALS);
    assert!(login_token(&bench.log_in(ADMIN_NAME, held.expose())).is_admin);
    assert_eq!(appoint(), None);
    let taken = bench.ask(&bench.credentials(ADMIN_NAME, "x", true));
    assert_eq!(taken.code(), ErrorCode::EXISTING_ACCOUNT);
}

#[test]
fn acknowledged_changes_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().key(fastness::Key::new([7; 64]));
    let path = dir.path().join("accounts");
    let open = |store| Accounts::open(store, Arc::new(OsRandom), Policy::default()).unwrap();
    let mut bench = Bench::new();
    bench.accounts = open(options.create(&path).unwrap());
    let (kept, revoked) = (bench.register("alice"), bench.register("bob"));
    bench.ask(&bench.client.revoke(&revoked));
    bench.ask(&bench.client.change_password(&kept, &"second".into()));
    bench.accounts = open(StoreOptions::new().in_memory().unwrap());
    bench.accounts = open(options.open(&path).unwrap());
    assert!(bench.works(&kept) && !bench.works(&revoked));
    assert_eq!(bench.log_in("alice", "second").status(), 200);
    assert_eq!(bench.log_in("alice", "first").code(), ErrorCode::INVALID_CREDENTIALS);
}

#[test]
fn a_file_of_something_else_is_refused() {
    let store = StoreOptions::new().in_memory().unwrap();
    let mut txn = store.write().unwrap();
    txn.tree("notes").unwrap().insert(b"a", b"b").unwrap();
    txn.commit().unwrap();
    let opened = Accounts::open(store, Arc::new(OsRandom), Policy::default());
    assert!(matches!(opened, Err(AccountsError::NotAnAccountFile(_))));
}

#[test]
fn nothing_secret_is_stored_or_printed() {
    let bench = Bench::new();
    let token = bench.register("alice");
    let answer = bench.rotate(&token);
    let call = ApiRequest::LogIn { name: "alice".into(), password: "first".into() };
    let printed = format!("{answer:?} {call:?} {:?}", bench.accounts);
    let value = token.value.expose();
    let mut held = printed.into_bytes();
    let snapshot = bench.accounts.store.snapshot();
    for name in ["accounts", "names", "logins", "held"] {
        for entry in snapshot.tree(name).range(..).unwrap() {
            let (key, value) = entry.unwrap();
            held.extend(key.iter().chain(value.iter()));
        }
    }
    let successor = login_token(&answer).value;
    for secret in [value, successor.expose(), &value[24..64]] {
        assert!(!held.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
