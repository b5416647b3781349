//! Walking the entries of a tree while it, and others, are changed.

use super::transaction::Transaction;
use crate::error::Result;
use crate::txn::Source;
use std::ops::Bound;

/// Bytes of entries that are copied at a time, and no more than one entry beyond.
const CHUNK_BYTES: usize = 64 << 10;

/// What is done with each key and value.
type Body<'a> = dyn FnMut(&mut Transaction, &[u8], &[u8]) -> Result<()> + 'a;

impl Transaction {
    /// Calls `body` for every entry whose key begins with `prefix`, in order. It may change any
    /// tree; entries of this one that it puts in front of where it is are not met.
    pub(super) fn each(&mut self, tree: &str, prefix: &[u8], body: &mut Body<'_>) -> Result<()> {
        let mut from = Bound::Included(prefix.to_vec());
        loop {
            let chunk = self.chunk(tree, (&from, prefix))?;
            let Some((last, _)) = chunk.last() else { return Ok(()) };
            from = Bound::Excluded(last.clone());
            chunk.iter().try_for_each(|(key, value)| body(self, key, value))?;
        }
    }

    /// Copies the next entries.
    fn chunk(
        &self,
        tree: &str,
        (from, prefix): (&Bound<Vec<u8>>, &[u8]),
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let from = from.as_ref().map(|key| &key[..]);
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for entry in Source::Txn(&self.txn).tree(tree).range((from, Bound::Unbounded))? {
            let (key, value) = entry?;
            if bytes >= CHUNK_BYTES || !key.starts_with(prefix) {
                break;
            }
            bytes += key.len() + value.len();
            chunk.push((key.to_vec(), value.to_vec()));
        }
        Ok(chunk)
    }
}
