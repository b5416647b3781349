//! A recorded editing session.

use crate::Outcome;
use flate2::read::GzDecoder;
use serde::Deserialize;

const TRACE: &[u8] = include_bytes!("../data/automerge-paper.json.gz");
/// Recorded transactions that are one transaction here.
const TOGETHER: usize = 100;

/// A change of a text: position, characters deleted, text inserted.
pub(crate) type Patch = (usize, usize, String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    end_content: String,
    txns: Vec<Typed>,
}

#[derive(Deserialize)]
struct Typed {
    patches: Vec<Patch>,
}

/// A text that one person typed. Characters beyond ASCII are replaced, so that all libraries count
/// alike.
pub(crate) struct Trace {
    pub(crate) end: String,
    pub(crate) transactions: Vec<Vec<Patch>>,
}

impl Trace {
    pub(crate) fn read() -> Outcome<Self> {
        let Recorded { end_content, txns } = serde_json::from_reader(GzDecoder::new(TRACE))?;
        let patches: Vec<Vec<Patch>> = txns
            .chunks(TOGETHER)
            .map(|typed| {
                let patches = typed.iter().flat_map(|typed| &typed.patches);
                patches.map(|(at, deleted, text)| (*at, *deleted, ascii(text))).collect()
            })
            .collect();
        Ok(Self { end: ascii(&end_content), transactions: patches })
    }

    /// Returns the number of characters that were inserted or deleted.
    pub(crate) fn edits(&self) -> usize {
        self.patches().map(|(_, deleted, text)| deleted + text.len()).sum()
    }

    fn patches(&self) -> impl Iterator<Item = &Patch> {
        self.transactions.iter().flatten()
    }

    /// Fails unless a text is the one at the end.
    pub(crate) fn check(&self, text: &str) -> Outcome<()> {
        if text == self.end { Ok(()) } else { Err("the text is not the recorded one".into()) }
    }
}

fn ascii(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect()
}
