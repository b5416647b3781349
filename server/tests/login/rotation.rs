//! Our client exchanges its refresh token, our server gives out another, and a copy of the old one
//! ends the login.

use crate::login::support::{FOREVER, Host, code, credentials};
use fastness_auth::{AuthServer, Token, response};
use fastness_client::{Client, Event, Session, SessionEvent};
use std::sync::mpsc::channel;
use std::time::Duration;

fn token(session: &Session) -> Token {
    loop {
        match session.recv_timeout(FOREVER) {
            Some(SessionEvent::Token(token)) => return token,
            Some(SessionEvent::Waiting(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The refresh token that the client has.
fn refresh(client: &Client) -> Token {
    client.current().unwrap().unwrap().user().token.clone()
}

fn status(host: &Host, refresh: &Token) -> u16 {
    let server = AuthServer::new(host.server.url()).unwrap();
    crate::login::wire::sent(&server.access_token(refresh, "/~/x")).0
}

#[test]
fn sessions_of_one_user_take_turns_and_end_up_with_one_token() {
    let host = Host::new();
    let client = host.client_with(|config| config.rotate_after = Some(Duration::ZERO));
    let user = host.register(&client, "alice");
    let first = refresh(&client);
    let sessions: Vec<Session> =
        (0..5).map(|number| client.session(&user.id(), &format!("/~/{number}"))).collect();
    for session in &sessions {
        assert_eq!(token(session).identity, user.id().identity);
    }
    let last = refresh(&client);
    assert_ne!(last.value, first.value);
    assert_eq!(status(&host, &last), 200);
    // A token of five exchanges ago counts as stolen.
    assert_eq!(status(&host, &first), 401);
    assert_eq!(status(&host, &last), 401, "which ends the login");
    let session = client.session(&user.id(), "/~/x");
    match session.recv_timeout(FOREVER) {
        Some(SessionEvent::Failed(error)) => assert_eq!(error.code().number(), 615),
        other => panic!("{other:?}"),
    }
    // A login resumes open sessions. They would exchange the token that is presented below.
    drop((session, sessions));
    host.log_in(&client, "alice", "password");
    assert_eq!(status(&host, &refresh(&client)), 200);
}

#[test]
fn an_exchange_is_delayed_and_logging_out_ends_it() {
    let host = Host::new();
    let client = host.client_with(|config| config.rotate_after = Some(Duration::ZERO));
    let user = host.register(&client, "alice");
    let first = refresh(&client);
    drop(token(&client.session(&user.id(), "/~/x")));
    let second = refresh(&client);
    assert_eq!(status(&host, &first), 200, "its successor was not presented yet");
    assert_eq!(status(&host, &second), 200);
    assert_eq!(status(&host, &first), 503);
    client.change_password(&user.id(), "new".into()).unwrap();
    let (done, told) = channel();
    client.on_event(move |_, notice| done.send(notice.clone()).unwrap_or_default());
    client.log_out(&user.id()).unwrap();
    assert_eq!(told.recv_timeout(FOREVER), Ok(Event::LoggedOut(user.id())));
    assert_eq!(status(&host, &second), 401);
    let outcome = client.log_in(&host.server.url(), credentials("alice", "password", false));
    assert_eq!(code(outcome), 611);
}

#[test]
fn without_the_option_nothing_is_exchanged() {
    let host = Host::new();
    let client = host.client();
    let user = host.register(&client, "alice");
    let first = refresh(&client);
    drop(token(&client.session(&user.id(), "/~/x")));
    assert_eq!(refresh(&client).value, first.value);
    let server = AuthServer::new(host.server.url()).unwrap();
    let (status, answer) = crate::login::wire::sent(&server.rotate(&first, "/~/x"));
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let (access, second) = response::rotation(status, body.as_bytes()).unwrap();
    assert_eq!(access.path, format!("/{}/x", user.id().identity));
    assert_ne!(second.unwrap().value, first.value);
}
