//! The operations of the store alphabet in words, for the steps of a finding.

use fastness_models::domain::Domain;
use fastness_models::{Op, OpKind};
use std::fmt::Write as _;

/// Bytes of a key or a name that are shown; the rest is counted.
const SHOWN: usize = 12;

/// Describes an operation with its operands, as a plan of this domain means them.
pub(in crate::check) fn describe(domain: &Domain, op: Op) -> String {
    let tree = || text(domain.tree(op.a).as_bytes());
    let key = |operand| text(&domain.key(operand));
    match op.kind {
        OpKind::Insert => {
            format!(
                "insert key {} with {} bytes into {}",
                key(op.b),
                domain.value_len(op.c),
                tree()
            )
        }
        OpKind::Remove => format!("remove key {} from {}", key(op.b), tree()),
        OpKind::Fill => {
            let (count, sizes) = (domain.run_len(op.c), sizes(domain, op.c));
            format!("fill {count} keys from {}, {sizes} each, in {}", key(op.b), tree())
        }
        OpKind::Prune => {
            format!("remove {} keys from {} in {}", domain.run_len(op.c), key(op.b), tree())
        }
        OpKind::Clear => format!("clear {}", tree()),
        OpKind::Move => format!("move {} to {}", tree(), text(domain.tree(op.b).as_bytes())),
        OpKind::Get => format!("get key {} of {}", key(op.b), tree()),
        OpKind::Range => format!("read {} from key {} to key {}", tree(), key(op.b), key(op.c)),
        OpKind::Ends => format!("read the first and the last entry of {}", tree()),
        OpKind::Len => format!("count {}", tree()),
        OpKind::ReadSnapshot => {
            let tree = text(domain.tree(op.b).as_bytes());
            format!("get key {} of {tree} in snapshot {}", key(op.c), op.a)
        }
        OpKind::Abort => "roll back".to_owned(),
        OpKind::Commit
        | OpKind::TakeSnapshot
        | OpKind::Scan
        | OpKind::Verify
        | OpKind::Info
        | OpKind::Reopen
        | OpKind::Kill
        | OpKind::PowerLoss
        | OpKind::Compact
        | OpKind::ClearFault
        | OpKind::KeepCopy => op.kind.name().replace('-', " "),
        _ => op.to_string(),
    }
}

/// Returns the lengths of the values that a run of keys gets.
fn sizes(domain: &Domain, operand: u8) -> String {
    let run =
        (0..domain.run_len(operand)).map(|index| domain.value_len(operand.wrapping_add(index)));
    match (run.clone().min(), run.max()) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most} bytes"),
        (Some(least), _) => format!("{least} bytes"),
        (None, _) => "no bytes".to_owned(),
    }
}

/// Shows bytes as text if they are, else in hexadecimal; long ones by their start and length.
fn text(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(SHOWN)];
    let mut shown = match str::from_utf8(start) {
        Ok(text) if text.chars().all(|it| it.is_ascii_graphic()) => format!("\"{text}\""),
        _ => start.iter().fold("0x".to_owned(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap_or_default();
            hex
        }),
    };
    if start.len() < bytes.len() {
        write!(shown, ".. ({} bytes)", bytes.len()).unwrap_or_default();
    }
    shown
}
