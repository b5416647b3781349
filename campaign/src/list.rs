//! `campaign list`: the checks, their invariants and their marks.

use fastness_sim::check::{CANARY, CHECKS, Check, NO_PANIC};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes the checks as text.
///
/// # Errors
/// If `out` cannot be written.
pub fn print(out: &mut dyn Write) -> io::Result<()> {
    for check in CHECKS {
        writeln!(out, "{}  {}", check.name, check.about)?;
        for invariant in check.invariants {
            writeln!(out, "  {:<4} {}", invariant.id, invariant.promise)?;
        }
        for mark in check.marks {
            writeln!(out, "  mark {mark}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "every check")?;
    writeln!(out, "  {:<4} {}", NO_PANIC.id, NO_PANIC.promise)?;
    writeln!(out, "  {:<4} {}", crate::findings::HANG.id, crate::findings::HANG.promise)?;
    writeln!(out)?;
    writeln!(out, "{}  {}", CANARY.name, CANARY.about)
}

/// Returns the checks as JSON.
#[must_use]
pub fn json() -> Value {
    let check = |check: &Check| {
        let invariants: Vec<Value> = check
            .invariants
            .iter()
            .map(|invariant| json!({ "id": invariant.id, "promise": invariant.promise }))
            .collect();
        json!({
            "name": check.name, "about": check.about,
            "invariants": invariants, "marks": check.marks,
        })
    };
    json!({ "checks": CHECKS.iter().map(check).collect::<Vec<_>>() })
}
