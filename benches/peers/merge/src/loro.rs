//! loro: a map of maps, and a text.

use crate::fields::{Fields, OBJECTS};
use crate::trace::Trace;
use crate::{Cost, Library, Outcome, TextCost};
use ::loro::{ExportMode, LoroDoc, LoroMap};
use std::time::Instant;

/// loro.
pub(crate) struct Loro;

fn document() -> Outcome<LoroDoc> {
    let doc = LoroDoc::new();
    doc.set_peer_id(1)?;
    let tasks = doc.get_map("tasks");
    for key in 0..OBJECTS {
        tasks.insert_container(&key.to_string(), LoroMap::new())?.insert("count", 0)?;
    }
    doc.commit();
    Ok(doc)
}

fn copy(doc: &LoroDoc, peer: u64) -> Outcome<LoroDoc> {
    let copy = LoroDoc::new();
    copy.set_peer_id(peer)?;
    copy.import(&doc.export(ExportMode::all_updates())?)?;
    Ok(copy)
}

/// Makes updates; returns their bytes, and the seconds to export them.
fn write(doc: &LoroDoc, fields: &Fields) -> Outcome<(Vec<Vec<u8>>, f64)> {
    let tasks = doc.get_map("tasks");
    let map = |key: i64| {
        let found = tasks.get(&key.to_string())?.into_container().ok()?;
        found.into_map().ok()
    };
    let maps: Option<Vec<LoroMap>> = (0..OBJECTS).map(map).collect();
    let maps = maps.ok_or("a map is missing")?;
    let (mut exported, mut seconds) = (Vec::new(), 0.0);
    for transaction in &fields.transactions {
        let before = doc.oplog_vv();
        for (key, value) in transaction {
            maps[usize::try_from(*key)?].insert("count", *value)?;
        }
        let begun = Instant::now();
        doc.commit();
        exported.push(doc.export(ExportMode::updates(&before))?);
        seconds += begun.elapsed().as_secs_f64();
    }
    Ok((exported, seconds))
}

fn import(doc: &LoroDoc, updates: &[Vec<u8>]) -> Outcome<f64> {
    let begun = Instant::now();
    for update in updates {
        doc.import(update)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

impl Library for Loro {
    fn name(&self) -> &'static str {
        "loro"
    }

    fn updates(&self, fields: &Fields) -> Outcome<Cost> {
        let doc = document()?;
        let other = copy(&doc, 2)?;
        let (exported, encode_s) = write(&doc, fields)?;
        let merge_s = import(&other, &exported)?;
        Ok(Cost { bytes: exported.iter().map(Vec::len).sum(), encode_s, merge_s })
    }

    fn rebase(&self, fields: &Fields) -> Outcome<f64> {
        let doc = document()?;
        let other = copy(&doc, 2)?;
        let (exported, _) = write(&doc, fields)?;
        write(&other, fields)?;
        import(&other, &exported)
    }

    fn text(&self, trace: &Trace) -> Outcome<TextCost> {
        let doc = LoroDoc::new();
        let text = doc.get_text("text");
        let begun = Instant::now();
        for transaction in &trace.transactions {
            for (at, deleted, inserted) in transaction {
                text.delete(*at, *deleted)?;
                text.insert(*at, inserted)?;
            }
            doc.commit();
        }
        let apply_s = begun.elapsed().as_secs_f64();
        trace.check(&text.to_string())?;
        let begun = Instant::now();
        let other = LoroDoc::new();
        other.import(&doc.export(ExportMode::all_updates())?)?;
        let merged = other.get_text("text").to_string();
        let merge_s = begun.elapsed().as_secs_f64();
        trace.check(&merged)?;
        let bytes = doc.export(ExportMode::Snapshot)?.len();
        Ok(TextCost { apply_s, merge_s, bytes })
    }
}
