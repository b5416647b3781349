//! Names of the trees of a client's file, and their keys.
//!
//! Format: docs/sync.md#client-file.

/// Identity, cursor and clock.
pub(super) const META: &str = "sync/meta";
/// Entries that the history does not contain yet, by number.
pub(crate) const PENDING: &str = "sync/pending";
/// Runs of own entries that were ordered while later ones were pending, by the first number.
pub(super) const ORDERED: &str = "sync/ordered";
/// Pre-images of pending entries that are too many to be beside them, by number and place.
pub(super) const UNDO: &str = "sync/undo";
/// Own entries of the history that no backup contains yet, by client and number.
pub(super) const UNSAVED: &str = "sync/unsaved";
/// The ordered entries of earlier identities that own entries repeat, by client and number.
pub(super) const ORIGINALS: &str = "sync/originals";
/// Refused entries, by client and number: a reset gives the file another client.
pub(super) const DEAD_LETTERS: &str = "sync/dead";
/// Indexes and the version of the schema, which no entry has.
pub(super) const LOCAL: &str = "sync/local";

/// The key of the identity, the cursor and the clock in [`META`].
pub(super) const CLIENT: &[u8] = b"client";
/// The key of the number of the last report in [`META`].
pub(super) const REPORT: &[u8] = b"report";

/// The key of the version in [`LOCAL`]; those of indexes begin with another byte.
pub(super) const VERSION: &[u8] = &[0];

pub(crate) fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(super) fn read_number(key: &[u8]) -> Option<u64> {
    key.try_into().map(u64::from_be_bytes).ok()
}

/// The key of an entry of any identity that the file had.
pub(super) fn entry_key(client: u32, client_seq: u64) -> Vec<u8> {
    [&client.to_be_bytes()[..], &client_seq.to_be_bytes()].concat()
}

/// Reads the key of an entry of any identity.
pub(super) fn read_entry_key(key: &[u8]) -> Option<(u32, u64)> {
    let (client, client_seq) = key.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*client), read_number(client_seq)?))
}

/// The key of a part of the pre-images of an entry.
pub(super) fn undo_key(client_seq: u64, index: u32) -> Vec<u8> {
    [&client_seq.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// The key of an index of a property.
pub(super) fn index_key(class: &str, property: &str) -> Vec<u8> {
    [&[1], class.as_bytes(), &[0], property.as_bytes()].concat()
}

/// Reads the key of an index.
pub(super) fn read_index(key: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(key.get(1..)?).ok()?;
    text.split_once('\0')
}

/// A reset in progress.
pub(crate) const RESET: &str = "sync/reset";
/// Its state.
pub(super) const RESET_STATE: &[u8] = &[0];
/// Bytes of the snapshot that are no whole record yet.
pub(super) const RESET_REST: &[u8] = &[1];

/// Reports of resets that the app has not acknowledged, by number and place.
pub(super) const REPORTS: &str = "sync/reports";

/// The key of a part of a report: the cause at 0, its entries from 1 on.
pub(super) fn report_key(number: u64, place: u64) -> Vec<u8> {
    [number.to_be_bytes(), place.to_be_bytes()].concat()
}

/// Reads the key of a part of a report.
pub(super) fn read_report_key(key: &[u8]) -> Option<(u64, u64)> {
    let (number, place) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), read_number(place)?))
}

/// Prefix of the trees of a snapshot.
pub(super) const FRESH: &str = "fresh/";
/// Numbers that the entries of clients have used, as a snapshot names them, by client.
pub(super) const NUMBERS: &str = "fresh/numbers";
/// Refused entries that a snapshot names, by client and number.
pub(super) const REFUSED: &str = "fresh/refused";
