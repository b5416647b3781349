//! Requests of the operator, and the policy for names and passwords (H20 to H22).

use super::*;

#[test]
fn the_operator_ends_logins_by_blocking_deleting_and_setting_a_password() {
    let bench = Bench::new();
    let name = || "alice".to_owned();
    let block = |is_blocked| AdminRequest::SetBlocked { name: name(), is_blocked };
    let token = bench.register("alice");
    assert_eq!(bench.operate(&block(true)), AdminReply::Done);
    assert!(!bench.works(&token));
    assert_eq!(bench.log_in("alice", "first").code(), ErrorCode::ACCESS_DENIED);
    assert_eq!(bench.log_in("alice", "other").code(), ErrorCode::INVALID_CREDENTIALS);
    assert_eq!(bench.operate(&block(false)), AdminReply::Done);
    let token = login_token(&bench.log_in("alice", "first"));
    let request = AdminRequest::SetPassword { name: name(), password: None };
    let AdminReply::Password(password) = bench.operate(&request) else { panic!("no password") };
    assert!(!bench.works(&token));
    let token = login_token(&bench.log_in("alice", password.expose()));
    let request = AdminRequest::SetAdmin { name: name(), is_admin: true };
    assert_eq!(bench.operate(&request), AdminReply::Done);
    assert_eq!(bench.access(&token, "/else/x").status(), 200, "an administrator at once");
    let delete = AdminRequest::DeleteUser { name: name() };
    assert_eq!(bench.operate(&delete), AdminReply::Done);
    assert!(!bench.works(&token));
    assert!(matches!(bench.operate(&delete), AdminReply::Refused(_)));
    assert_ne!(bench.register("alice").identity, token.identity, "a deleted identity stays so");
}

#[test]
fn the_operator_creates_and_lists_accounts() {
    let bench = Bench::with(Policy { registration: false, ..Policy::default() });
    let refused = bench.ask(&bench.credentials("alice", "first", true));
    assert_eq!(refused.code(), ErrorCode::ACCESS_DENIED);
    let create = |name: &str, is_admin| {
        let password = Some(Secret::from("first"));
        bench.operate(&AdminRequest::CreateUser { name: name.to_owned(), password, is_admin })
    };
    assert_eq!(create("alice", false), AdminReply::Done);
    assert_eq!(create(" bob ", true), AdminReply::Done);
    assert!(matches!(create("\u{ff42}ob", true), AdminReply::Refused(_)), "the name is taken");
    assert!(matches!(create("", true), AdminReply::Refused(_)));
    assert!(login_token(&bench.log_in("bob", "first")).is_admin);
    let AdminReply::Users(users) = bench.operate(&AdminRequest::ListUsers) else { panic!() };
    let shown: Vec<_> =
        users.iter().map(|user| (user.name.expose(), user.is_admin, user.logins)).collect();
    assert_eq!(shown, [("alice", false, 0), ("bob", true, 1)]);
    for bytes in
        [&b""[..], b"{", b"[]", b"{\"request\":\"none\"}", b"{\"request\":\"delete-user\"}"]
    {
        assert_eq!(AdminRequest::decode(bytes), None);
    }
}

#[test]
fn new_passwords_have_a_length_and_old_ones_still_work() {
    let bench = Bench::with(Policy { password_chars_min: 5, ..Policy::default() });
    let token = bench.register("alice");
    let short = bench.ask(&bench.credentials("bob", "\u{e9}\u{e9}\u{e9}\u{e9}", true));
    assert_eq!(short.code(), ErrorCode::INVALID_PARAMETERS);
    let change = |password: &str| {
        bench.ask(&bench.client.change_password(&token, &Secret::from(password))).code().number()
    };
    assert_eq!((change("four"), change("fives")), (601, 200));
    let request =
        AdminRequest::SetPassword { name: "alice".to_owned(), password: Some("x".into()) };
    assert_eq!(bench.operate(&request), AdminReply::Done, "the operator decides");
    assert_eq!(bench.log_in("alice", "x").status(), 200);
}

#[test]
fn names_of_earlier_versions_get_their_normal_form_once() {
    let store = StoreOptions::new().in_memory().unwrap();
    let open = || Accounts::open(store.clone(), Arc::new(OsRandom), Policy::default()).unwrap();
    drop(open());
    let mut txn = store.write().unwrap();
    let names = [("zoe\u{308}", "z"), ("a\u{200b}b", "i"), ("eve", "e"), (" eve", "f")];
    for (name, identity) in names {
        let account = format!(
            r#"{{"name": "{name}", "is_admin": false, "unused": false, "password": "[]first"}}"#
        );
        txn.tree("accounts").unwrap().insert(identity.as_bytes(), account.as_bytes()).unwrap();
        let key = format!("password\0{name}");
        txn.tree("names").unwrap().insert(key.as_bytes(), identity.as_bytes()).unwrap();
    }
    txn.tree("server").unwrap().remove(b"names").unwrap();
    txn.commit().unwrap();
    let bench = Bench { accounts: open(), ..Bench::new() };
    for (name, identity) in [("zo\u{eb}", "z"), ("zoe\u{308}", "z"), ("eve", "e")] {
        assert_eq!(login_token(&bench.log_in(name, "first")).identity, identity);
    }
    // The operator sees the accounts that no client can name any more.
    let AdminReply::Users(users) = bench.operate(&AdminRequest::ListUsers) else { panic!() };
    assert_eq!(users.len(), 4);
}
