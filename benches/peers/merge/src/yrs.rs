//! yrs: a map of maps, and a text.

use crate::fields::{Fields, OBJECTS};
use crate::trace::Trace;
use crate::{Cost, Library, Outcome, TextCost};
use ::yrs::updates::decoder::Decode as _;
use ::yrs::{
    Doc, GetString as _, Map as _, MapPrelim, MapRef, Out, ReadTxn as _, StateVector, Text as _,
    Transact as _, Update,
};
use std::time::Instant;

/// yrs.
pub(crate) struct Yrs;

fn document() -> Doc {
    let doc = Doc::with_client_id(1);
    let tasks = doc.get_or_insert_map("tasks");
    let mut txn = doc.transact_mut();
    for key in 0..OBJECTS {
        let map = tasks.insert(&mut txn, key.to_string(), MapPrelim::default());
        map.insert(&mut txn, "count", 0_i64);
    }
    drop(txn);
    doc
}

fn copy(doc: &Doc, client: u64) -> Outcome<Doc> {
    let copy = Doc::with_client_id(client);
    let update = doc.transact().encode_state_as_update_v1(&StateVector::default());
    copy.transact_mut().apply_update(Update::decode_v1(&update)?)?;
    Ok(copy)
}

/// Makes updates; returns their bytes, and the seconds to encode them.
fn write(doc: &Doc, fields: &Fields) -> Outcome<(Vec<Vec<u8>>, f64)> {
    let tasks = doc.get_or_insert_map("tasks");
    let mut maps: Vec<MapRef> = Vec::new();
    let txn = doc.transact();
    for key in 0..OBJECTS {
        let Some(Out::YMap(map)) = tasks.get(&txn, &key.to_string()) else {
            return Err("a map is missing".into());
        };
        maps.push(map);
    }
    drop(txn);
    let (mut encoded, mut seconds) = (Vec::new(), 0.0);
    for transaction in &fields.transactions {
        let mut txn = doc.transact_mut();
        for (key, value) in transaction {
            maps[usize::try_from(*key)?].insert(&mut txn, "count", *value);
        }
        let begun = Instant::now();
        encoded.push(txn.encode_update_v1());
        drop(txn);
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok((encoded, seconds))
}

fn merge(doc: &Doc, updates: &[Vec<u8>]) -> Outcome<f64> {
    let begun = Instant::now();
    for update in updates {
        doc.transact_mut().apply_update(Update::decode_v1(update)?)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

impl Library for Yrs {
    fn name(&self) -> &'static str {
        "yrs"
    }

    fn updates(&self, fields: &Fields) -> Outcome<Cost> {
        let doc = document();
        let other = copy(&doc, 2)?;
        let (encoded, encode_s) = write(&doc, fields)?;
        let merge_s = merge(&other, &encoded)?;
        Ok(Cost { bytes: encoded.iter().map(Vec::len).sum(), encode_s, merge_s })
    }

    fn rebase(&self, fields: &Fields) -> Outcome<f64> {
        let doc = document();
        let other = copy(&doc, 2)?;
        let (encoded, _) = write(&doc, fields)?;
        write(&other, fields)?;
        merge(&other, &encoded)
    }

    fn text(&self, trace: &Trace) -> Outcome<TextCost> {
        let doc = Doc::with_client_id(1);
        let text = doc.get_or_insert_text("text");
        let begun = Instant::now();
        for transaction in &trace.transactions {
            let mut txn = doc.transact_mut();
            for (at, deleted, inserted) in transaction {
                let at = u32::try_from(*at)?;
                text.remove_range(&mut txn, at, u32::try_from(*deleted)?);
                text.insert(&mut txn, at, inserted);
            }
        }
        let apply_s = begun.elapsed().as_secs_f64();
        trace.check(&text.get_string(&doc.transact()))?;
        let begun = Instant::now();
        let update = doc.transact().encode_state_as_update_v1(&StateVector::default());
        let other = Doc::with_client_id(2);
        let merged = other.get_or_insert_text("text");
        other.transact_mut().apply_update(Update::decode_v1(&update)?)?;
        let merged = merged.get_string(&other.transact());
        let merge_s = begun.elapsed().as_secs_f64();
        trace.check(&merged)?;
        Ok(TextCost { apply_s, merge_s, bytes: update.len() })
    }
}
