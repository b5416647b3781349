//! automerge: a map of maps, and a text.

use crate::fields::{Fields, OBJECTS};
use crate::trace::Trace;
use crate::{Cost, Library, Outcome, TextCost};
use ::automerge::transaction::Transactable as _;
use ::automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc as _};
use std::time::Instant;

/// automerge.
pub(crate) struct Automerge;

fn document() -> Outcome<(AutoCommit, Vec<ObjId>)> {
    let mut doc = AutoCommit::new();
    let mut maps = Vec::new();
    for key in 0..OBJECTS {
        let map = doc.put_object(ROOT, key.to_string(), ObjType::Map)?;
        doc.put(&map, "count", 0_i64)?;
        maps.push(map);
    }
    doc.commit();
    doc.save();
    Ok((doc, maps))
}

/// Makes updates; returns their bytes, and the seconds to encode them.
fn write(doc: &mut AutoCommit, maps: &[ObjId], fields: &Fields) -> Outcome<(Vec<Vec<u8>>, f64)> {
    let (mut encoded, mut seconds) = (Vec::new(), 0.0);
    for transaction in &fields.transactions {
        for (key, value) in transaction {
            doc.put(&maps[usize::try_from(*key)?], "count", *value)?;
        }
        let begun = Instant::now();
        doc.commit();
        encoded.push(doc.save_incremental());
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok((encoded, seconds))
}

fn merge(doc: &mut AutoCommit, updates: &[Vec<u8>]) -> Outcome<f64> {
    let begun = Instant::now();
    for update in updates {
        doc.load_incremental(update)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

impl Library for Automerge {
    fn name(&self) -> &'static str {
        "automerge"
    }

    fn updates(&self, fields: &Fields) -> Outcome<Cost> {
        let (mut doc, maps) = document()?;
        let mut other = doc.fork();
        let (encoded, encode_s) = write(&mut doc, &maps, fields)?;
        let merge_s = merge(&mut other, &encoded)?;
        Ok(Cost { bytes: encoded.iter().map(Vec::len).sum(), encode_s, merge_s })
    }

    fn rebase(&self, fields: &Fields) -> Outcome<f64> {
        let (mut doc, maps) = document()?;
        let mut other = doc.fork();
        let (encoded, _) = write(&mut doc, &maps, fields)?;
        write(&mut other, &maps, fields)?;
        merge(&mut other, &encoded)
    }

    fn text(&self, trace: &Trace) -> Outcome<TextCost> {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text)?;
        let begun = Instant::now();
        for transaction in &trace.transactions {
            for (at, deleted, inserted) in transaction {
                doc.splice_text(&text, *at, isize::try_from(*deleted)?, inserted)?;
            }
            doc.commit();
        }
        let apply_s = begun.elapsed().as_secs_f64();
        trace.check(&doc.text(&text)?)?;
        let begun = Instant::now();
        let mut other = AutoCommit::new();
        other.load_incremental(&doc.save_nocompress())?;
        let merged = other.text(&text)?;
        let merge_s = begun.elapsed().as_secs_f64();
        trace.check(&merged)?;
        Ok(TextCost { apply_s, merge_s, bytes: doc.save().len() })
    }
}
