//! Property tests of the login protocol: generated answers, tokens, times and sequences of events.
//!
//! - U2 Reading an answer is total.
//! - U3 The code of an error is `code`, else `status`, else UNKNOWN; unlisted numbers are
//!   preserved.
//! - U4 A token and a user read back as they were written.
//! - U5 Arithmetic on times saturates.
//! - U8 Pauses grow exponentially up to five minutes.
//!
//! Specified in docs/auth.md. The assertions are in the body of the fuzz target `auth`.

use fastness_auth::{
    AuthError, AuthUrl, BACKOFF_MAX, Backoff, ErrorCode, Permission, Time, Token, User,
};
use fastness_proptests::bodies::{auth, auth_seeds};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::time::Duration;

/// Fragments of answers, so that generated ones get beyond the first brace.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u00e9",
    "\\ud800",
    "null",
    "true",
    "-1",
    "611.9",
    "1e999",
    "9223372036854775808",
    "\"token\":\"t\"",
    "\"token_data\":{\"identity\":\"i\",\"expires\":1,\"access\":[\"upload\"]}",
    "{\"access_token\":",
    "{\"refresh_token\":",
    "\"code\":",
    "\"status\":503",
    "\"title\":\"t\"",
    "\"userId\":\"u\",",
    "\"isAdmin\":true,",
    "\"metadata\":{}",
];

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let body = prop_oneof![pieces, vec(any::<u8>(), 0..80)];
    let status = prop_oneof![Just(200_u16), Just(401), Just(503), any::<u16>()];
    (status, body).prop_map(|(status, body)| [&[0], &status.to_le_bytes()[..], &body].concat())
}

fn address() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        4 => "(http|HTTPS)://(h|10.0.0.1|\\[::1\\])(:9080)?(/[a./]{0,4})?(\\?[a/]{0,2})?",
        1 => "(http|realm)://([a-z0-9.:@\\[\\]]|é){0,12}([/?#%a. ]|é){0,12}",
    ];
    let name = prop_oneof!["[a-z/.?#% é]{0,8}", any::<String>()];
    (text, name.clone(), name).prop_map(|(address, provider, id)| {
        [&[1][..], format!("{address}\n{}\n{id}", provider.replace('\n', "")).as_bytes()].concat()
    })
}

/// Sequences of events; most sessions start and get answers.
fn events() -> impl Strategy<Value = Vec<u8>> {
    let kind =
        prop_oneof![3 => Just(0_u8), 6 => Just(3), 4 => Just(4), 6 => Just(9), 8 => 0..10_u8];
    let event =
        (kind, any::<u8>(), any::<u8>()).prop_map(|(kind, step, detail)| [kind, step, detail]);
    (any::<u8>(), vec(event, 0..60))
        .prop_map(|(jitter, events)| [&[2, jitter][..], events.as_flattened()].concat())
}

fn permission() -> impl Strategy<Value = Permission> {
    let known = select(Permission::KNOWN.to_vec());
    prop_oneof![known, any::<String>().prop_map(Permission::parse)]
}

fn token() -> impl Strategy<Value = Token> {
    let texts = (any::<String>(), any::<String>(), any::<String>());
    let rest = (any::<i64>(), vec(permission(), 0..5), any::<bool>());
    (texts, rest).prop_map(|((value, identity, path), (expires_seconds, permissions, is_admin))| {
        Token { value: value.into(), identity, path, expires_seconds, permissions, is_admin }
    })
}

/// JSON codes, and their parsed values.
const CODES: &[(&str, Option<i64>)] = &[
    ("611", Some(611)),
    ("-1", Some(-1)),
    ("99999", Some(99_999)),
    ("611.9", Some(611)),
    ("\"401\"", Some(401)),
    ("\" 4.01e2\"", Some(401)),
    ("4294967907", Some(4_294_967_907)),
    ("1e30", Some(i64::MAX)),
    ("null", None),
    ("\"abc\"", None),
    ("{}", None),
    ("[611]", None),
    ("true", None),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_read(bytes in answer()) {
        auth(&bytes);
    }

    #[test]
    fn any_address_is_taken_or_refused(bytes in address()) {
        auth(&bytes);
    }

    #[test]
    fn renewal_survives_any_course_of_events(bytes in events()) {
        auth(&bytes);
    }

    #[test]
    fn seeds_survive_any_mutation(seed: Index, at: Index, byte: u8, cut: Index) {
        let mut bytes = seed.get(&auth_seeds()).clone();
        *at.get_mut(&mut bytes) = byte;
        auth(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        auth(&bytes);
    }

    #[test]
    fn tokens_and_users_read_back_as_they_were_written(token in token()) {
        let back = Token::from_json(token.to_json().expose().as_bytes());
        prop_assert_eq!(back.as_ref(), Ok(&token));
        let user = User { url: AuthUrl::parse("https://h/auth").unwrap(), token };
        let back = User::from_json(user.to_json().expose().as_bytes()).unwrap();
        prop_assert_eq!((back.url, back.token), (user.url, user.token));
    }

    #[test]
    fn permissions_are_read_in_any_case(permission in permission(), upper: bool) {
        let word = permission.as_str();
        prop_assert_eq!(&Permission::parse(word), &permission);
        if upper && Permission::KNOWN.contains(&permission) {
            prop_assert_eq!(Permission::parse(word.to_uppercase()), permission);
        }
    }

    #[test]
    fn the_code_is_code_else_status_else_unknown(
        code in proptest::option::of(select(CODES)),
        status in proptest::option::of(select(CODES)),
        http_status: u16,
    ) {
        let mut fields = Vec::new();
        fields.extend(code.map(|(text, _)| format!("\"code\": {text}")));
        fields.extend(status.map(|(text, _)| format!("\"status\": {text}")));
        let body = format!("{{{}}}", fields.join(", "));
        let chosen = code.or(status).map_or(Some(-1), |(_, number)| number);
        let error = AuthError::from_response(http_status, body.as_bytes());
        prop_assert_eq!(error.code().number(), chosen.unwrap_or(1), "{}", body);
    }

    #[test]
    fn codes_keep_their_number(number: i64) {
        let code = ErrorCode::from_number(number);
        prop_assert_eq!(code.number(), number);
        prop_assert_eq!(code.is_listed(), ErrorCode::all().any(|listed| listed == code));
        prop_assert_eq!(code.to_string(), format!("{}({number})", code.name()));
    }

    #[test]
    fn arithmetic_saturates(at: i64, other: i64, seconds: u64, nanos in 0..1_000_000_000_u32) {
        let clamp = |wide: i128| wide.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        let duration = Duration::new(seconds, nanos);
        let millis = i128::try_from(duration.as_millis()).unwrap();
        let (time, wide) = (Time(at), i128::from(at));
        prop_assert_eq!(i128::from(time.plus(duration).0), clamp(wide + clamp(millis)));
        prop_assert_eq!(i128::from(time.minus(duration).0), clamp(wide - clamp(millis)));
        prop_assert_eq!(i128::from(Time::from_seconds(at).0), clamp(wide * 1000));
        let since = i128::try_from(time.since(Time(other)).as_millis()).unwrap();
        prop_assert_eq!(since, (wide - i128::from(other)).max(0));
    }

    #[test]
    fn pauses_are_as_the_formula_says(attempt: u32, seed: u64, attempts in 0..200_u32) {
        let power = 1_u128.checked_shl(attempt.min(100)).unwrap();
        let millis = ((power - 1) * 500).min(BACKOFF_MAX.as_millis());
        prop_assert_eq!(Backoff::full_delay(attempt).as_millis(), millis);
        let mut backoff = Backoff::jittered(seed);
        for attempt in 0..attempts {
            let (whole, pause) = (Backoff::full_delay(attempt), backoff.next_delay());
            prop_assert!(pause <= whole && pause * 2 >= whole, "{:?} of {:?}", pause, whole);
        }
    }
}
