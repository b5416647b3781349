//! The original's live tests of authentication, by their names, against our client and server.
//!
//! Here, unlike there, none is left out: a token that was revoked is refused, and renewal is waited
//! for by its event. Names are not random, as each test has a server of its own.

use crate::login::support::{FOREVER, Host, code, credentials};
use fastness_auth::{ErrorCode, RequestError};
use fastness_client::{ClientError, Event, SessionEvent};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const INVALID_CREDENTIALS: i64 = ErrorCode::INVALID_CREDENTIALS.number();

#[test]
fn login_new_user() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "myUser");
    assert!(!user.user().is_admin());
    assert_eq!(user.user().url.as_str(), format!("{}/auth", host.server.url()));
    assert_eq!(client.current().unwrap().unwrap(), user);
}

#[test]
fn login_user_not_exist() {
    let host = Host::new();
    let outcome = host.client().log_in(&host.server.url(), credentials("nobody", "x", false));
    assert_eq!(code(outcome), INVALID_CREDENTIALS);
}

#[test]
fn login_async_user_not_exist() {
    let host = Host::new();
    let (client, url) = (host.client(), host.server.url());
    let outcome = thread::spawn(move || client.log_in(&url, credentials("nobody", "x", false)));
    assert_eq!(code(outcome.join().unwrap()), INVALID_CREDENTIALS);
}

#[test]
fn login_with_access_token() {
    let host = Host::new();
    let token = fastness_auth::Credentials::access_token("tok", "me", true);
    let user = host.client().log_in(&host.server.url(), token).unwrap();
    assert!(user.user().is_admin());
    assert_eq!(user.user().identity(), "me");
}

#[test]
fn change_password() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    client.change_password(&user.id(), "new".into()).unwrap();
    client.log_out(&user.id()).unwrap();
    let again = host.log_in(&client, "alice", "new");
    assert_eq!(again.id(), user.id());
    let old = client.log_in(&host.server.url(), credentials("alice", "password", false));
    assert_eq!(code(old), INVALID_CREDENTIALS);
}

#[test]
fn change_password_using_admin() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    let user = host.register(&client, "alice");
    let admin = host.admin(&admins);
    admins.change_password_of(&admin.id(), user.user().identity(), "new".into()).unwrap();
    client.log_out(&user.id()).unwrap();
    assert_eq!(host.log_in(&client, "alice", "new").id(), user.id());
}

#[test]
fn change_password_using_admin_async() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    let user = host.register(&client, "alice");
    let (admin, identity) = (host.admin(&admins), user.user().identity().to_owned());
    let by = thread::spawn(move || {
        admins.change_password_of(&admin.id(), &identity, "new".into()).map(|()| admin)
    });
    assert!(by.join().unwrap().unwrap().user().is_admin());
    client.log_out(&user.id()).unwrap();
    assert_eq!(host.log_in(&client, "alice", "new").id(), user.id());
}

#[test]
fn change_password_throw_when_user_is_logged_out() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    client.log_out(&user.id()).unwrap();
    let outcome = client.change_password(&user.id(), "new".into());
    assert!(matches!(outcome, Err(ClientError::Refused(_))), "{outcome:?}");
    host.log_in(&client, "alice", "password");
}

#[test]
fn using_configuration_with_invalid_user_should_throw() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    client.log_out(&user.id()).unwrap();
    assert_eq!(client.users().unwrap(), []);
    // Opening succeeds, as it did there, and the session gets tokens once the user is back.
    let session = client.session(&user.id(), "/~/x");
    host.log_in(&client, "alice", "password");
    loop {
        match session.recv_timeout(FOREVER) {
            Some(SessionEvent::Token(token)) => {
                break assert_eq!(token.identity, user.id().identity);
            }
            Some(_) => {}
            None => panic!("no token"),
        }
    }
}

#[test]
fn single_user_can_be_logged_in_and_out_repeatedly() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    for _ in 0..10 {
        client.log_out(&user.id()).unwrap();
        assert_eq!(client.users().unwrap(), []);
        assert_eq!(host.log_in(&client, "alice", "password").id(), user.id());
    }
}

#[test]
fn revoked_refresh_token_is_not_same_after_login() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    let (url, (done, logged_in_again)) = (host.server.url(), channel());
    client.on_event(move |client, notice| {
        if let Event::LoggedOut(who) = notice {
            let again = client.log_in(&url, credentials("alice", "password", false));
            done.send((who.clone(), again)).unwrap();
        }
    });
    client.log_out(&user.id()).unwrap();
    let (who, again) = logged_in_again.recv_timeout(FOREVER).unwrap();
    let again = again.unwrap();
    assert_eq!((&who, again.id()), (&user.id(), user.id()));
    assert_ne!(again.user().token.value, user.user().token.value);
    // And the revoked one is of no use.
    let server = fastness_auth::AuthServer::at(user.id().url);
    let (status, _) = crate::login::wire::sent(&server.access_token(&user.user().token, "/~/x"));
    assert_eq!(status, 401);
}

#[test]
fn preemptive_token_refresh() {
    // Tokens that live 11 s are renewed after one.
    let host = Host::with(|config| config.policy.access_ttl = Duration::from_secs(11));
    let client = host.client();
    let user = host.register(&client, "alice");
    let session = client.session(&user.id(), "/~/x");
    let token = || match session.recv_timeout(FOREVER) {
        Some(SessionEvent::Token(token)) => token,
        other => panic!("{other:?}"),
    };
    let (first, second) = (token(), token());
    assert!(second.expires() > first.expires());
    assert_ne!(second.value, first.value);
    assert_eq!(second.identity, first.identity);
}

#[test]
fn retrieve() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    let user = host.register(&client, "alice");
    let admin = host.admin(&admins).id();
    let found = admins.look_up(&admin, "password", "alice").unwrap().unwrap();
    assert_eq!((&*found.identity, found.is_admin), (user.user().identity(), false));
    assert!(found.metadata.is_empty());
}

#[test]
fn retrieve_logout() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    let user = host.register(&client, "alice");
    let admin = host.admin(&admins).id();
    client.log_out(&user.id()).unwrap();
    let found = admins.look_up(&admin, "password", "alice").unwrap().unwrap();
    assert_eq!(found.identity, user.user().identity());
}

#[test]
fn retrieve_async() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    let user = host.register(&client, "alice");
    let admin = host.admin(&admins).id();
    let found = thread::spawn(move || admins.look_up(&admin, "password", "alice"));
    let found = found.join().unwrap().unwrap().unwrap();
    assert_eq!(found.identity, user.user().identity());
}

#[test]
fn retrieve_unknown_provider_id() {
    let host = Host::new();
    let client = host.client();
    let admin = host.admin(&client).id();
    assert_eq!(client.look_up(&admin, "password", "doesNotExist").unwrap(), None);
}

#[test]
fn retrieve_invalid_provider() {
    let host = Host::new();
    let (client, admins) = (host.client(), host.client());
    host.register(&client, "alice");
    let admin = host.admin(&admins).id();
    assert_eq!(admins.look_up(&admin, "invalid", "alice").unwrap(), None);
}

#[test]
fn retrieve_not_admin() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    let outcome = client.look_up(&user.id(), "password", "alice");
    assert_eq!(outcome, Err(ClientError::Refused(RequestError::NotAdmin)));
}
