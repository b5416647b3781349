//! Fuzzing of the server: any bytes as requests and as tokens.
//!
//! - H3 H4 H8 A revoked token, a token that was never issued, and a token of another user give no
//!   access.
//! - H7 A tampered access token is refused.
//! - H9 Any bytes are a call, or an error that our client can parse.

use fastness::{RandomSource, StoreOptions};
use fastness_auth::server::{
    Accounts, ApiRequest, Event, HashError, PasswordHasher, Policy, RequestHead, Response, Step,
    TokenProblem,
};
use fastness_auth::{AuthError, ErrorCode, Secret, Time, Token, response};
use fastness_sim::entropy::SimEntropy;
use std::sync::Arc;

/// Separates requests.
pub(super) const NEXT: u8 = 0x1e;
/// Placeholders for the token of the user, of the administrator, a revoked one; and for an
/// identity.
const TOKENS: [u8; 3] = [0x11, 0x12, 0x13];
const IDENTITY: u8 = 0x14;

const METHODS: [&str; 5] = ["POST", "GET", "PUT", "DELETE", "post"];
pub(super) const NOW: Time = Time(1_700_000_000_000);

/// A fast hasher, so that runs are fast.
pub(super) struct PlainHasher;

impl PasswordHasher for PlainHasher {
    fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashError> {
        Ok(password.expose().to_owned())
    }

    fn verify(&self, password: &Secret, hash: &str) -> bool {
        password.expose() == hash
    }
}

pub(super) struct TestServer {
    pub(super) accounts: Accounts,
    pub(super) user: Token,
    pub(super) admin: Token,
    pub(super) revoked: Token,
}

/// Sends requests to a server with a user and an administrator; for an odd first byte, tampers with
/// genuine tokens instead.
///
/// # Panics
/// If a promise is violated.
pub fn server(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let test_server = TestServer::new();
    if kind % 2 == 1 {
        test_server.check_tampered(rest);
    } else {
        rest.split(|byte| *byte == NEXT).for_each(|request| test_server.request(request));
    }
}

impl TestServer {
    pub(super) fn new() -> Self {
        let entropy: Arc<dyn RandomSource> = Arc::new(SimEntropy::new(1));
        let store = StoreOptions::new().random_source(Arc::clone(&entropy)).in_memory();
        let store = store.expect("A1: a store in memory can be made");
        let accounts = Accounts::open(store, entropy, Policy::default());
        let accounts = accounts.expect("H1: a new store can be taken");
        let log_in = |call| {
            let answer = run(&accounts, call);
            let granted = response::authenticate(answer.status(), answer.body());
            granted.ok().and_then(|granted| granted.refresh_token).expect("H2: it logs in")
        };
        let (name, password) = (Secret::from("alice"), Secret::from("pw"));
        let user = log_in(ApiRequest::Register { name: name.clone(), password: password.clone() });
        let revoked = log_in(ApiRequest::LogIn { name, password });
        run(&accounts, ApiRequest::Revoke { refresh: revoked.value.clone() });
        let secret = accounts
            .ensure_admin(&PlainHasher)
            .ok()
            .flatten()
            .expect("H8: the initial password is unused");
        let admin = log_in(ApiRequest::LogIn { name: "realm-admin".into(), password: secret });
        Self { accounts, user, admin, revoked }
    }

    fn request(&self, bytes: &[u8]) {
        let [method, authorization, rest @ ..] = bytes else { return };
        let method = METHODS[usize::from(*method) % METHODS.len()];
        let mut parts = rest.splitn(2, |byte| *byte == b'\n');
        let target = self.fill_placeholders(parts.next().unwrap_or_default());
        let body = self.fill_placeholders(parts.next().unwrap_or_default());
        let target = String::from_utf8_lossy(&target);
        let authorization = self.fill_placeholders(&[*authorization]);
        let head = RequestHead { method, target: &target, authorization: &authorization };
        match ApiRequest::decode(&head, &body) {
            Err(refused) => refused_well(&refused.answer()),
            Ok(call) => {
                let answer = run(&self.accounts, call.clone());
                self.judge(&call, &answer);
            }
        }
    }

    /// Replaces placeholders by tokens and the identity.
    pub(super) fn fill_placeholders(&self, bytes: &[u8]) -> Vec<u8> {
        let tokens = [&self.user, &self.admin, &self.revoked];
        let one = |byte: &u8| match TOKENS.iter().position(|held| held == byte) {
            Some(at) => tokens[at].value.expose().as_bytes().to_vec(),
            None if *byte == IDENTITY => self.user.identity.as_bytes().to_vec(),
            None => vec![*byte],
        };
        bytes.iter().flat_map(one).collect()
    }

    fn judge(&self, call: &ApiRequest, answer: &Response) {
        if answer.status() != 200 {
            return refused_well(answer);
        }
        let read = AuthError::from_response(500, answer.body());
        assert_ne!(read.code(), ErrorCode::JSON_EXCEPTION, "H9: a grant that is no JSON");
        let Some(refresh) = call.refresh() else { return };
        let (is_user, is_admin) = (*refresh == self.user.value, *refresh == self.admin.value);
        assert!(*refresh != self.revoked.value, "H3: what was revoked is granted {call:?}");
        assert!(is_user || is_admin, "H4: what was never given out is granted {call:?}");
        if let ApiRequest::ChangePassword { identity: Some(of), .. } = call {
            assert!(is_admin || *of == self.user.identity, "H8: a user sets another's password");
        }
        assert!(
            is_admin || !matches!(call, ApiRequest::LookUp { .. }),
            "H8: a user looks others up"
        );
        if let (ApiRequest::AccessToken { .. }, false) = (call, is_admin) {
            let granted = response::access_token(answer.status(), answer.body());
            let path = granted.expect("H9: a token was granted").path;
            let own = format!("/{}/", self.user.identity);
            assert!(path.starts_with(&own), "H8: a user gets a token for {path}");
        }
    }

    /// Tampers with genuine tokens: pairs of an index and a byte, or a length to truncate to.
    fn check_tampered(&self, bytes: &[u8]) {
        let path = format!("/{}/x", self.user.identity);
        let call =
            ApiRequest::AccessToken { refresh: self.user.value.clone(), path, rotate: false };
        let answer = run(&self.accounts, call);
        let access = response::access_token(answer.status(), answer.body());
        let access = access.expect("H4: the token is good").value;
        let signer = self.accounts.signer();
        let changed = altered(access.expose(), bytes);
        match signer.verify(&changed, NOW) {
            Ok(claims) => {
                assert_eq!(changed, access.expose(), "H7: not as it was signed");
                assert_eq!(claims.identity, self.user.identity, "H7: another user");
            }
            Err(problem) => {
                assert_eq!(problem, TokenProblem::InvalidSignature, "H7: another problem")
            }
        }
        let refresh = altered(self.user.value.expose(), bytes);
        let is_same = refresh == self.user.value.expose();
        let refresh = Secret::new(refresh);
        let call = ApiRequest::AccessToken { refresh, path: "/~/x".to_owned(), rotate: false };
        let granted = run(&self.accounts, call).status() == 200;
        assert_eq!(granted, is_same, "H4: only what was given out is good");
        let unchanged = ApiRequest::AccessToken {
            refresh: self.user.value.clone(),
            path: "/~/x".to_owned(),
            rotate: false,
        };
        assert_eq!(run(&self.accounts, unchanged).status(), 200, "H5: guessing ends no login");
    }
}

fn altered(token: &str, bytes: &[u8]) -> String {
    let mut text = token.as_bytes().to_vec();
    for change in bytes.chunks_exact(2).take(8) {
        let at = usize::from(change[0]) % text.len().max(1);
        match change[1] {
            0xff => text.truncate(at),
            0xfe => text.extend_from_slice(&bytes[..at.min(bytes.len())]),
            byte if at < text.len() => text[at] = byte,
            _ => {}
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn run(accounts: &Accounts, call: ApiRequest) -> Response {
    let mut step = accounts.start(NOW, call);
    loop {
        step = match step {
            Step::Respond(answer) => return answer,
            Step::Hash(job) => job.run(&PlainHasher),
            Step::Commit(job) => Step::Respond(accounts.commit(NOW, job)),
        };
    }
}

/// Checks that a refusal is no server error, and that our client can parse it.
fn refused_well(answer: &Response) {
    assert!((400..500).contains(&answer.status()), "H9: {answer:?}");
    assert!(!matches!(answer.event(), Event::Failed(_)), "H9: {answer:?}");
    let read = AuthError::from_response(answer.status(), answer.body());
    assert_eq!(read.code(), answer.code(), "H9: the client reads another code");
}

/// Returns the seed corpus: every call, valid and slightly malformed.
#[must_use]
pub fn server_seeds() -> Vec<Vec<u8>> {
    let log_in = br#"/auth
{"provider":"password","data":"alice","user_info":{"password":"pw","register":false}}"#;
    let register = br#"/auth
{"provider":"password","data":"bob","user_info":{"password":"pw","register":true}}"#;
    let access = b"/auth\n{\"provider\":\"realm\",\"data\":\"\x11\",\"path\":\"/~/x\"}";
    let rotate =
        b"/auth\n{\"provider\":\"realm\",\"data\":\"\x11\",\"path\":\"/~/x\",\"rotate\":true}";
    let others = b"/auth\n{\"provider\":\"realm\",\"data\":\"\x12\",\"path\":\"/\x14/x\"}";
    let revoked = b"/auth\n{\"provider\":\"realm\",\"data\":\"\x13\",\"path\":\"/~/x\"}";
    let revoke = b"/auth/revoke\n{\"token\":\"\x11\"}";
    let own = b"/auth/password\n{\"newPassword\":\"n\"}";
    let set = b"/auth/password\n{\"newPassword\":\"n\",\"userId\":\"\x14\"}";
    let find = b"/auth//users/password/ali%63e";
    let requests: [(&[u8], &[u8]); 12] = [
        (&[0, 0], log_in),
        (&[0, 0], register),
        (&[0, 0], access),
        (&[0, 0], rotate),
        (&[0, 0], others),
        (&[0, 0], revoked),
        (&[0, 0x11], revoke),
        (&[2, 0x11], own),
        (&[2, 0x12], set),
        (&[1, 0x12], find),
        (&[1, 0x11], find),
        (&[3, 0x11], find),
    ];
    let single = requests.iter().map(|(head, rest)| [&[0][..], head, rest].concat());
    let all: Vec<Vec<u8>> = requests.iter().map(|(head, rest)| [*head, rest].concat()).collect();
    let tokens = [&[1][..], &[1, 5, b'A'], &[1, 36, b'.'], &[1, 200, 0xff], &[1, 3, 0xfe]];
    single
        .chain([[&[0][..], &all.join(&NEXT)].concat()])
        .chain(tokens.map(<[u8]>::to_vec))
        .collect()
}
