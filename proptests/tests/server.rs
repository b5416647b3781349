//! Property tests of the server: mutated requests, tokens and connections, with the bodies of the
//! fuzz targets `server` and `http`.

use fastness_proptests::bodies::{http, http_seeds, server, server_seeds};
use proptest::prelude::*;
use proptest::sample::Index;

/// Placeholders and fragments of requests.
const PIECES: [&[u8]; 12] = [
    b"\x11",
    b"\x12",
    b"\x13",
    b"\x14",
    b"\x1e",
    b"\n",
    b"/auth",
    b"//users/password/",
    b"\"path\":\"/",
    b"\"rotate\":true,",
    b"\"userId\":\"",
    b"%2",
];

/// The same for connections.
const HTTP_PIECES: [&[u8]; 11] = [
    b"\x11",
    b"\x12",
    b"\x15",
    b"\x1e",
    b"\r\n",
    b"\r\n\r\n",
    b"GET /health HTTP/1.1\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
];

/// Mutations: position, kind, byte.
fn changes() -> impl Strategy<Value = Vec<(Index, usize, u8)>> {
    prop::collection::vec((any::<Index>(), 0..14_usize, any::<u8>()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_request_or_a_token_breaks_a_promise(
        seed in 0..server_seeds().len(),
        changes in changes(),
    ) {
        let mut bytes = server_seeds().swap_remove(seed);
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len());
            match PIECES.get(kind) {
                Some(piece) => drop(bytes.splice(at..at, piece.iter().copied())),
                None if kind == PIECES.len() => bytes[at] = byte,
                None => bytes.truncate(at.max(1)),
            }
        }
        server(&bytes);
    }

    #[test]
    fn no_bytes_of_a_connection_break_a_promise(
        seed in 0..http_seeds().len(),
        changes in changes(),
    ) {
        let mut bytes = http_seeds().swap_remove(seed);
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len());
            match HTTP_PIECES.get(kind) {
                Some(piece) => drop(bytes.splice(at..at, piece.iter().copied())),
                None if kind.is_multiple_of(2) => bytes[at] = byte,
                None => bytes.truncate(at.max(1)),
            }
        }
        http(&bytes);
    }
}
