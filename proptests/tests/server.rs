//! Requests to a server and tokens, mutated without a fuzzer: every body of the target `server`.

use fastness_proptests::bodies::{server, server_seeds};
use proptest::prelude::*;
use proptest::sample::Index;

/// What stands for tokens and parts of requests, so that chance finds whole ones.
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

/// Where, what, and a byte to put there.
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
}
