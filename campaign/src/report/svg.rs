//! Charts of the report: inline SVG that scales with the page; labels are HTML beside it.

use crate::history::HistoryEntry;
use crate::summary::Verdict;

/// Number of colours of a stacked bar; the last one is for all remaining parts.
pub(super) const COLOURS: usize = 10;

/// Draws a bar of `value` out of `of`.
#[expect(clippy::cast_precision_loss, reason = "a picture has few pixels")]
pub(super) fn bar(value: u64, of: u64, colour: &str) -> String {
    let width = if of == 0 { 0.0 } else { value as f64 / of as f64 * 1000.0 };
    // A small value stays visible.
    let width = if value > 0 { width.max(3.0) } else { 0.0 };
    format!(
        "<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"1000\" height=\"10\" style=\"fill:var(--track)\"/>\
         <rect width=\"{width:.1}\" height=\"10\" style=\"fill:var({colour})\"/></svg>"
    )
}

/// Draws a stacked bar: each part has a title, a count and the index of its colour.
#[expect(clippy::cast_precision_loss, reason = "a picture has few pixels")]
pub(super) fn stack(parts: &[(String, u64, usize)]) -> String {
    let total: u64 = parts.iter().map(|(_, count, _)| count).sum();
    let mut at = 0.0;
    let mut rects = String::new();
    for (title, count, colour) in parts {
        let width = *count as f64 / total.max(1) as f64 * 1000.0;
        rects += &format!(
            "<rect x=\"{at:.1}\" width=\"{:.1}\" height=\"10\" style=\"fill:var(--c{colour})\">\
             <title>{title}: {count}</title></rect>",
            (width - 1.0).max(width * 0.5)
        );
        at += width;
    }
    format!(
        "<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"operations mix\">{rects}</svg>"
    )
}

/// Draws the icon of a verdict.
pub(super) fn sign(verdict: Verdict) -> String {
    let path = match verdict {
        Verdict::Passed => "M14 28 L24 38 L42 18",
        Verdict::Failed => "M18 18 L38 38 M38 18 L18 38",
        Verdict::Inconclusive => "M12 28 Q28 10 44 28 Q28 46 12 28 M16 42 L40 14",
        Verdict::Interrupted => "M22 18 L22 38 M34 18 L34 38",
    };
    format!(
        "<svg viewBox=\"0 0 56 56\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" \
         stroke-width=\"4.5\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\
         <circle cx=\"28\" cy=\"28\" r=\"25\" stroke-width=\"3\" opacity=\"0.55\"/>\
         <path d=\"{path}\"/></svg>"
    )
}

/// Draws one entry of a legend.
pub(super) fn key(colour: &str, label: &str) -> String {
    format!("<span><i class=\"key\" style=\"background:var({colour})\"></i>{label}</span> ")
}

/// Draws a small curve without labels; a flat end means that more time finds nothing new.
pub(crate) fn spark(points: &[(f64, f64)]) -> String {
    let size = (120.0, 26.0);
    let line = polyline(points, size);
    format!(
        "<svg viewBox=\"0 0 {} {}\" aria-hidden=\"true\"><polyline points=\"{line}\" \
         style=\"fill:none;stroke:var(--c0);stroke-width:2\"/></svg>",
        size.0, size.1
    )
}

/// Draws a curve over the whole width.
pub(crate) fn line(points: &[(f64, f64)], label: &str) -> String {
    let (width, height) = TREND;
    let floor = height - MARGIN;
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\
         <path d=\"M0 {floor} H{width}\" style=\"stroke:var(--line)\"/><polyline points=\"{}\" \
         style=\"fill:none;stroke:var(--c0);stroke-width:2.5\"/></svg>",
        polyline(points, TREND)
    )
}

const MARGIN: f64 = 4.0;

/// Scales points to a picture; both axes begin at 0.
fn polyline(points: &[(f64, f64)], (width, height): (f64, f64)) -> String {
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let (x_max, y_max) = (most(|point| point.0), most(|point| point.1));
    let place = |(x, y): &(f64, f64)| {
        let x = MARGIN + x / x_max * (width - 2.0 * MARGIN);
        let y = height - MARGIN - y / y_max * (height - 2.0 * MARGIN);
        format!("{x:.1},{y:.1}")
    };
    points.iter().map(place).collect::<Vec<_>>().join(" ")
}

const TREND: (f64, f64) = (1000.0, 150.0);

/// Draws the speed of consecutive campaigns; the colour of a dot is the verdict.
#[expect(clippy::cast_precision_loss, reason = "a picture has few pixels")]
pub(super) fn trend(past: &[HistoryEntry]) -> String {
    let (width, height) = TREND;
    let fastest = past.iter().map(|it| it.operations_per_second).fold(1.0, f64::max);
    let steps = past.len().saturating_sub(1).max(1) as f64;
    let place = |index: usize, speed: f64| {
        let x = 12.0 + index as f64 / steps * (width - 24.0);
        (x, height - 14.0 - speed / fastest * (height - 34.0))
    };
    let mut line = String::new();
    let mut dots = String::new();
    for (index, it) in past.iter().enumerate() {
        let (x, y) = place(index, it.operations_per_second);
        line += &format!("{x:.1},{y:.1} ");
        let (word, speed) = (it.verdict.word(), it.operations_per_second);
        dots += &format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" style=\"fill:var(--{word});\
             stroke:var(--card);stroke-width:2\"><title>seed {}: {word}, {speed} operations per \
             second</title></circle>",
            it.seed
        );
    }
    let floor = height - 14.0;
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"speed of past campaigns\">\
         <path d=\"M0 {floor} H{width}\" style=\"stroke:var(--line)\"/>\
         <polyline points=\"{line}\" style=\"fill:none;stroke:var(--c0);stroke-width:2.5\"/>\
         {dots}</svg>"
    )
}
