//! Text of the report.

use crate::summary::thousands;

/// Escapes text for HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Formats a number with three or four digits.
#[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
pub(crate) fn short(number: u64) -> String {
    match number {
        0..10_000 => thousands(number),
        10_000..1_000_000 => format!("{:.0}\u{202f}k", number as f64 / 1e3),
        1_000_000..100_000_000 => format!("{:.1}\u{202f}M", number as f64 / 1e6),
        100_000_000..1_000_000_000 => format!("{:.0}\u{202f}M", number as f64 / 1e6),
        _ => format!("{:.1}\u{202f}G", number as f64 / 1e9),
    }
}
