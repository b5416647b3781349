//! The report as one page that needs nothing else: a chart for each row, its goals below.

use crate::engine::Result;
use crate::fast::OURS;
use crate::judge::{Better, Row};
use crate::report::{Report, figure, spread, word};
use crate::samples::Spread;
use std::fmt::Write as _;

const STYLE: &str = "
body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1d2430;background:#fff}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.05rem;margin:2.2rem 0 .3rem}
p{color:#566;margin:.2rem 0}.noisy{color:#b3261e;font-weight:600}
table{border-collapse:collapse;margin:.4rem 0 0;font-variant-numeric:tabular-nums}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;font-weight:400}th{color:#566}
.met{color:#1a7f4b}.missed{color:#b3261e;font-weight:600}.none{color:#889}
svg text{font:13px system-ui,sans-serif;fill:currentColor}
@media(prefers-color-scheme:dark){body{background:#14181f;color:#e4e8ee}p,th{color:#9aa4b2}
.met{color:#5fd39a}.missed,.noisy{color:#ff8a80}}";

const NAMES_WIDTH: f64 = 130.0;
const BARS_WIDTH: f64 = 560.0;
const BAR_HEIGHT: f64 = 20.0;

/// Returns the page.
///
/// # Errors
/// None is known.
pub(crate) fn page(report: &Report) -> Result<String> {
    let mut html = String::new();
    let noisy = if report.noisy > 0 { " class=noisy" } else { "" };
    write!(
        html,
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\">\
         <title>Fastness and its peers</title><style>{STYLE}</style>\
         <h1>Fastness and its peers</h1><p>{}</p><p>{}</p><p{noisy}>{}</p>",
        escape(&report.machine),
        escape(&report.run),
        escape(&report.trust()),
    )?;
    let mut failures = report.failures.iter();
    failures.try_for_each(|failure| write!(html, "<p>{}</p>", escape(failure)))?;
    html.push_str(
        "<p>Bars are medians over rounds, whiskers the range. Ratios are ours, encrypted, over \
         theirs, taken within each round.</p>",
    );
    summary(&mut html, &report.rows)?;
    for row in &report.rows {
        section(&mut html, row)?;
    }
    html.push_str("</html>\n");
    Ok(html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const fn class(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "none",
    }
}

fn summary(html: &mut String, rows: &[Row]) -> Result<()> {
    html.push_str("<table><tr><th>row<th>ours<th>must");
    for row in rows.iter().filter(|row| row.goals.iter().any(|goal| goal.must.is_some())) {
        let ours = row.ours.map_or("n/a".to_owned(), |ours| figure(ours.median));
        write!(
            html,
            "<tr><td><a href=\"#{0}\">{1}</a><td>{ours} {2}<td class={3}>{4}",
            row.key,
            escape(&row.name),
            escape(&row.unit),
            class(row.must_met),
            word(row.must_met),
        )?;
    }
    html.push_str("</table>");
    Ok(())
}

fn section(html: &mut String, row: &Row) -> Result<()> {
    let better = match row.better {
        Better::Less => "less is better",
        Better::More => "more is better",
    };
    let (key, name, unit) = (&row.key, escape(&row.name), escape(&row.unit));
    let unit = if unit.is_empty() { String::new() } else { format!("{unit}, ") };
    write!(html, "<h2 id=\"{key}\">{name}</h2><p>{unit}{better}; <code>--only {key}</code></p>")?;
    chart(html, row)?;
    if row.goals.is_empty() {
        return Ok(());
    }
    html.push_str("<table><tr><th>against<th>ratio<th>must<th>aim<th>");
    for goal in &row.goals {
        let ratio = goal.ratio.map_or("n/a".to_owned(), spread);
        let [must, aim] = [goal.must, goal.aim].map(|goal| goal.map_or(String::new(), figure));
        let against = escape(&goal.against);
        // An aim that is not reached is no failure.
        let (class, word) = match goal.must {
            Some(_) => (class(goal.must_met), word(goal.must_met)),
            None => ("none", ""),
        };
        let word = if goal.aim_met == Some(true) { format!("{word} + aim") } else { word.into() };
        write!(html, "<tr><td>{against}<td>{ratio}<td>{must}<td>{aim}<td class={class}>{word}")?;
    }
    html.push_str("</table>");
    Ok(())
}

fn chart(html: &mut String, row: &Row) -> Result<()> {
    let ours = row.ours.map(|figure| (OURS, figure));
    let others = row.peers.iter().map(|peer| (peer.name.as_str(), peer.figure));
    let bars: Vec<(&str, Spread)> = ours.into_iter().chain(others).collect();
    let most = bars.iter().map(|(_, figure)| figure.max).fold(f64::MIN_POSITIVE, f64::max);
    let width = NAMES_WIDTH + BARS_WIDTH + 80.0;
    let height = BAR_HEIGHT * bars.len() as f64;
    let label = escape(&row.name);
    write!(
        html,
        "<svg role=img aria-label=\"{label}\" viewBox=\"0 0 {width} {height}\" width=\"100%\">"
    )?;
    for (index, (name, spread)) in bars.iter().enumerate() {
        let top = BAR_HEIGHT * index as f64;
        let scale = |value: f64| value / most * BARS_WIDTH;
        let colour = match *name {
            OURS => "#1a7f4b",
            "plain" => "#7cc4a0",
            "floor" | "two syncs" | "together" => "#a9b1bd",
            _ => "#5b7fb5",
        };
        let (text_y, middle) = (top + 14.0, top + 10.0);
        let (low, high) = (NAMES_WIDTH + scale(spread.min), NAMES_WIDTH + scale(spread.max));
        write!(
            html,
            "<text x=0 y={text_y}>{name}</text>\
             <rect x={NAMES_WIDTH} y={} width={:.1} height=14 rx=2 fill=\"{colour}\"/>\
             <path d=\"M{low:.1} {middle}H{high:.1}\" stroke=currentColor stroke-width=1.5 />\
             <text x={:.1} y={text_y}>{}</text>",
            top + 3.0,
            scale(spread.median),
            high + 6.0,
            figure(spread.median),
        )?;
    }
    html.push_str("</svg>");
    Ok(())
}
