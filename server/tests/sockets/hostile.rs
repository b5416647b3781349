//! Requests that are slow, too large, malformed, not text, several at once, or half-closed: each
//! gets a clear answer or an end, no secret comes back, and no other client has to wait (H11).

use crate::sockets::support::{SocketHost, Wire, host, patient, register, request};
use fastness_server::HttpLimits;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(300);

/// The server still answers another client.
#[track_caller]
fn works(host: &SocketHost) {
    let mut wire = Wire::to(host);
    wire.send(request("GET", "/health", b""));
    assert_eq!(wire.answer(), (200, "healthy\n".to_owned()));
}

#[track_caller]
fn answered(bytes: impl AsRef<[u8]>, status: u16, code: Option<u16>) {
    let host = host(patient());
    let mut wire = Wire::to(&host);
    wire.send(bytes);
    let (found, body) = wire.answer();
    assert_eq!(found, status, "{body}");
    match code {
        Some(code) => assert!(body.contains(&format!("\"code\":{code}")), "{body}"),
        None => assert_eq!(body, ""),
    }
    works(&host);
}

#[test]
fn bytes_that_are_no_http_get_400_and_an_end() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], // a client that wants TLS
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    ] {
        answered(bytes, 400, None);
    }
}

#[test]
fn bodies_that_are_no_object_in_utf8_get_601() {
    for body in [&b""[..], b"\xff\xfe", b"{\"provider\": \"\xff\"}", b"[]", b"{}{}", &[b'['; 9999]]
    {
        answered(request("POST", "/auth", body), 400, Some(601));
    }
    answered(request("GET", "/auth//users/password/%ff", b""), 400, Some(601));
    answered(request("POST", "/auth", b"{}"), 400, Some(602));
    answered(request("POST", "/nowhere", b"{}"), 404, Some(404));
    answered(request("DELETE", "/auth", b""), 405, Some(405));
    let chunk = b"POST /auth HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    answered(chunk, 400, Some(400));
}

#[test]
fn a_large_request_is_answered_and_not_buffered() {
    let body = vec![b' '; 17 << 10];
    answered(request("POST", "/auth", &body), 413, Some(413));
    answered(request("POST", "/auth", &vec![b' '; 500 << 10]), 413, Some(413));
    let promised = b"POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n";
    answered(promised, 413, Some(413));
    let chunked = [
        &b"POST /auth HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n110000\r\n"[..],
        &vec![b' '; 0x0011_0000],
    ];
    answered(chunked.concat(), 413, Some(413));
    let headers = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(20 << 10));
    answered(headers, 431, None);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    answered(many, 431, None);
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(15 << 10));
    answered(long, 404, Some(404));
}

#[test]
fn a_head_that_drips_and_a_connection_that_idles_end() {
    let host = host(HttpLimits { head_timeout: SOON, ..patient() });
    let begun = Instant::now();
    let mut slow = Wire::to(&host);
    slow.send("GET /health HTTP/1.1\r\nHost:");
    let mut silent = Wire::to(&host);
    let mut idle = Wire::to(&host);
    idle.send(request("GET", "/health", b""));
    assert_eq!(idle.answer().0, 200);
    works(&host);
    for wire in [&mut slow, &mut silent, &mut idle] {
        assert_eq!(wire.rest(), b"", "nothing to say to who asked nothing");
    }
    assert!(begun.elapsed() >= SOON);
}

#[test]
fn a_body_that_drips_gets_408() {
    let host = host(HttpLimits { body_timeout: SOON, ..patient() });
    let mut slow = Wire::to(&host);
    slow.send("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{");
    works(&host);
    let (status, body) = slow.answer();
    assert_eq!(status, 408);
    assert!(body.contains("\"code\":408"), "{body}");
    assert_eq!(slow.rest(), b"");
}

#[test]
fn a_client_that_never_reads_loses_the_connection() {
    // Shorter than the kernel waits between probes of a full receiver, each of which may pass a few
    // bytes.
    let host = host(HttpLimits { write_timeout: Duration::from_millis(100), ..patient() });
    let mut greedy = Wire::to(&host);
    greedy.receive_little();
    let sent = greedy.send_while_taken(&request("GET", "/health", b"").repeat(100));
    assert!(sent < 64 << 20, "the server took everything and kept the answers");
    works(&host);
    greedy.rest();
}

#[test]
fn requests_sent_at_once_are_answered_in_their_order() {
    let host = host(patient());
    let mut wire = Wire::to(&host);
    let requests = [
        register("alice"),
        request("GET", "/health", b""),
        register("alice"),
        request("POST", "/auth/revoke", b"{\"token\": \"x\"}"),
    ];
    wire.send(requests.concat());
    let statuses: Vec<u16> = requests.iter().map(|_| wire.answer().0).collect();
    assert_eq!(statuses, [200, 200, 409, 401]);
}

#[test]
fn a_client_that_closes_one_half_still_gets_the_answer() {
    let host = host(patient());
    let mut wire = Wire::to(&host);
    wire.send(register("alice"));
    wire.half_close();
    assert_eq!(wire.answer().0, 200);
    assert_eq!(wire.rest(), b"");

    let mut cut = Wire::to(&host);
    cut.send("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{");
    cut.half_close();
    let text = String::from_utf8(cut.rest()).unwrap();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    works(&host);
}

#[test]
fn there_are_only_so_many_connections_from_one_address() {
    let host = host(HttpLimits { connections_per_address_max: 3, ..patient() });
    let mut held: Vec<Wire> = (0..3).map(|_| Wire::to(&host)).collect();
    for wire in &mut held {
        wire.send(request("GET", "/health", b""));
        assert_eq!(wire.answer().0, 200);
    }
    assert_eq!(Wire::to(&host).rest(), b"");
    held[0].half_close();
    assert_eq!(held[0].rest(), b"");
    // Its place is free as soon as the server has noticed, too.
    loop {
        let mut wire = Wire::to(&host);
        wire.try_send(request("GET", "/health", b""));
        wire.half_close();
        if wire.rest().starts_with(b"HTTP/1.1 200 ") {
            break;
        }
    }
}

#[test]
fn no_answer_repeats_what_was_sent() {
    let host = host(patient());
    let secret = "hunter2-hunter2";
    for bytes in [
        request("POST", "/auth", format!("{{\"provider\": \"{secret}\"}}").as_bytes()),
        request("POST", "/auth", format!("{{\"x\": \"{secret}").as_bytes()),
        request("POST", "/auth/revoke", format!("{{\"token\": \"{secret}\"}}").as_bytes()),
        request("POST", &format!("/auth/{secret}"), b""),
        request("GET", &format!("/auth//users/{secret}/{secret}%"), b""),
        request(secret, "/auth", b""),
    ] {
        let mut wire = Wire::to(&host);
        wire.send(&bytes);
        let (status, body) = wire.answer();
        assert!(status >= 400 && !body.contains("hunter2"), "{status} {body}");
    }
}

#[test]
fn stopping_answers_what_is_under_way() {
    let host = host(patient());
    let mut wire = Wire::to(&host);
    let whole = register("alice");
    let (first, rest) = whole.split_at(whole.len() - 5);
    wire.send(first);
    // Another connection shows that the first one was taken in.
    works(&host);
    std::thread::scope(|scope| {
        scope.spawn(move || host.server.stop());
        wire.send(rest);
        assert_eq!(wire.answer().0, 200);
        assert_eq!(wire.rest(), b"");
    });
}
