//! Outcomes as bytes.
//!
//! Format: docs/sync.md#client-file.

use crate::codec::{Reader, put_varint};
use crate::outcome::{Outcome, Writer};

/// Writes the number of an outcome; then its writer, of which the client is 0 if it is not known.
pub(super) fn put_outcome(bytes: &mut Vec<u8>, outcome: Outcome) {
    let (number, writer) = match outcome {
        Outcome::Applied => (0, None),
        Outcome::Adjusted => (1, None),
        Outcome::NoOperation => (2, None),
        Outcome::Conflict(writer) => (3, Some(writer)),
        Outcome::Deleted(writer) => (4, Some(writer)),
        Outcome::Schema => (5, None),
        Outcome::Discarded => (6, None),
    };
    bytes.push(number);
    if let Some(writer) = writer {
        let Writer { client, seq } = writer.unwrap_or(Writer { client: 0, seq: 0 });
        put_varint(bytes, client.into());
        put_varint(bytes, seq);
    }
}

/// Reads an outcome.
pub(super) fn read_outcome(rest: &mut Reader<'_>) -> Option<Outcome> {
    let writer = |rest: &mut Reader<'_>| {
        let writer = Writer { client: rest.u32().ok()?, seq: rest.varint().ok()? };
        Some(Some(writer).filter(|writer| writer.client != 0))
    };
    Some(match rest.u8().ok()? {
        0 => Outcome::Applied,
        1 => Outcome::Adjusted,
        2 => Outcome::NoOperation,
        3 => Outcome::Conflict(writer(rest)?),
        4 => Outcome::Deleted(writer(rest)?),
        5 => Outcome::Schema,
        6 => Outcome::Discarded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_their_bytes() {
        let writer = Some(Writer { client: 7, seq: 300 });
        let all = [
            Outcome::Applied,
            Outcome::Adjusted,
            Outcome::NoOperation,
            Outcome::Conflict(writer),
            Outcome::Conflict(None),
            Outcome::Deleted(writer),
            Outcome::Deleted(None),
            Outcome::Schema,
            Outcome::Discarded,
        ];
        for outcome in all {
            let mut bytes = Vec::new();
            put_outcome(&mut bytes, outcome);
            let mut rest = Reader::new(&bytes);
            assert_eq!(read_outcome(&mut rest), Some(outcome));
            assert!(rest.is_empty());
        }
    }
}
