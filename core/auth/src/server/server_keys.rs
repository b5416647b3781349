//! Records of the server itself: its keys, and the form of its names.
//!
//! - H4 H7 All keys derive from one random root, or are random themselves.
//! - H21 Names of earlier versions get their normal form once.
//!
//! Specified in docs/server.md#stored-data.

use super::access_token::SigningKeys;
use super::name::normal_form;
use super::record::{
    AccountsError, FORMAT, NAMES, ReadRecords, SERVER, account_of, entries_of, name_key,
};
use fastness::{RandomSource, Store};
use zeroize::Zeroizing;

/// Key of the record that all names have their normal form.
const NAMES_FORM: &[u8] = b"names";

/// Key of the record of signing keys.
pub(super) const SIGNING_KEYS: &[u8] = b"signing";

/// Returns the root key; generates one in a new store.
pub(super) fn root_key(
    store: &Store,
    entropy: &dyn RandomSource,
) -> Result<Zeroizing<[u8; 32]>, AccountsError> {
    let mut txn = store.write()?;
    let mut root = Zeroizing::new([0; 32]);
    if let Some(format) = txn.record(SERVER, b"format")? {
        if *format != *FORMAT {
            return Err(AccountsError::NotAnAccountFile("accounts of another version"));
        }
        return stored_root(&mut txn);
    }
    if store.snapshot().tree_names().next().is_some() {
        return Err(AccountsError::NotAnAccountFile("trees of something else"));
    }
    entropy.fill(&mut *root)?;
    let mut tree = txn.tree(SERVER)?;
    tree.insert(b"format", FORMAT)?;
    tree.insert(b"key", &*root)?;
    txn.commit()?;
    Ok(root)
}

/// Gives names of earlier versions their normal form, once. A name that has none, or whose form
/// another account has, stays as it is.
pub(super) fn normalize_names(store: &Store) -> Result<(), AccountsError> {
    if store.snapshot().record(SERVER, NAMES_FORM)?.is_some() {
        return Ok(());
    }
    let mut txn = store.write()?;
    for (key, identity) in entries_of(&txn.tree(NAMES)?)? {
        let Ok(identity) = String::from_utf8(identity.to_vec()) else { continue };
        let mut account = account_of(&mut txn, &identity)?;
        let Some(name) = normal_form(account.name.expose()) else { continue };
        if name == account.name || txn.named(&name)?.is_some() {
            continue;
        }
        txn.tree(NAMES)?.remove(&key)?;
        txn.tree(NAMES)?.insert(&name_key(&name), identity.as_bytes())?;
        account.name = name;
        account.put(&mut txn, &identity)?;
    }
    txn.tree(SERVER)?.insert(NAMES_FORM, b"1")?;
    txn.commit()?;
    Ok(())
}

/// Reads the root key.
pub(super) fn stored_root(
    records: &mut dyn ReadRecords,
) -> Result<Zeroizing<[u8; 32]>, AccountsError> {
    let mut root = Zeroizing::new([0; 32]);
    let key = records.record(SERVER, b"key")?.filter(|key| key.len() == root.len());
    root.copy_from_slice(&key.ok_or(AccountsError::NotAnAccountFile("no key"))?);
    Ok(root)
}

/// Reads the keys that sign access tokens.
pub(super) fn signing_keys(
    records: &mut dyn ReadRecords,
    root: &[u8; 32],
) -> Result<SigningKeys, AccountsError> {
    match records.record(SERVER, SIGNING_KEYS)? {
        Some(record) => SigningKeys::read(&record)
            .ok_or(AccountsError::NotAnAccountFile("signing keys of another version")),
        None => Ok(SigningKeys::derived(root)),
    }
}
