//! `report.html`: one page a person wants to read, with nothing loaded from anywhere.
//!
//! Order: verdict, how to run it again, findings, speed, each check, the canary, earlier runs.

mod checks;
mod svg;

use crate::history::Past;
use crate::summary::{FindingSummary, Summary, Verdict, counted, thousands, whole};

/// Returns the page.
#[must_use]
pub fn render(summary: &Summary, past: &[Past]) -> String {
    let title = format!("Fastness campaign: {}", headline(summary.verdict));
    let style = include_str!("style.css");
    let parts = [
        top(summary),
        banner(summary),
        tiles(summary),
        rerun(summary),
        findings(summary),
        checks::speed(summary),
        checks::cards(summary),
        canary(summary),
        trend(past),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{style}</style></head>\n<body><main>\n{}\n</main></body>\
         </html>\n",
        parts.join("\n")
    )
}

fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "all promises held",
        Verdict::Broken => "a promise is broken",
        Verdict::Blind => "blind: it could not have seen",
        Verdict::Interrupted => "interrupted",
    }
}

fn top(summary: &Summary) -> String {
    format!(
        "<div class=\"top\"><strong>Fastness campaign</strong><span class=\"soft small\">{} · {}\
         </span></div>",
        date(summary.started_unix),
        escape(&summary.program)
    )
}

fn banner(summary: &Summary) -> String {
    let word = summary.verdict.word();
    let headline = headline(summary.verdict);
    let (first, rest) = headline.split_at(1);
    format!(
        "<section class=\"banner {word}\">{}<div><h1>{}{rest}</h1><p>{}</p></div></section>",
        svg::sign(summary.verdict),
        first.to_uppercase(),
        escape(&summary.sentence)
    )
}

fn tiles(summary: &Summary) -> String {
    let totals = &summary.totals;
    let tile = |value: String, label: &str, bad: bool| {
        let class = if bad { "tile bad" } else { "tile" };
        format!("<div class=\"{class}\"><b>{value}</b><span>{label}</span></div>")
    };
    let canary = if summary.canary.caught { "caught" } else { "missed" };
    let tiles = [
        tile(short(totals.operations), "operations compared with a model", false),
        tile(short(totals.crash_points), "crashes recovered from", false),
        tile(short(whole(totals.operations_per_second)), "operations a second and core", false),
        tile(
            format!("{} of {}", totals.marks_hit, totals.marks),
            "marks hit",
            totals.marks_hit < totals.marks,
        ),
        tile(totals.findings.to_string(), "findings", totals.findings > 0),
        tile(canary.to_owned(), "canary, wrong on purpose", !summary.canary.caught),
    ];
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

fn rerun(summary: &Summary) -> String {
    let shard = match summary.shard.as_str() {
        "1/1" => String::new(),
        shard => format!(", shard {shard}"),
    };
    format!(
        "<h2>Run it again</h2><pre>{}</pre><p class=\"soft small\">Seed {}, {} s asked for and {} \
         taken, {}, {} plans{shard}. The same seed gives the same plans on any number of jobs.</p>",
        escape(&summary.rerun),
        summary.seed,
        summary.seconds,
        summary.elapsed_seconds.round(),
        counted(summary.jobs, "job"),
        thousands(summary.totals.plans),
    )
}

fn findings(summary: &Summary) -> String {
    let cards: String = summary
        .checks
        .iter()
        .flat_map(|check| check.findings.iter().map(move |finding| (check, finding)))
        .map(|(check, finding)| card(&format!("{}/{}", check.name, check.twin), finding))
        .collect();
    if cards.is_empty() { String::new() } else { format!("<h2>Findings</h2>{cards}") }
}

fn card(pair: &str, finding: &FindingSummary) -> String {
    let text = finding.text.lines().map(escape).collect::<Vec<_>>().join("<br>");
    format!(
        "<article class=\"card finding\"><header><span class=\"badge\">{}</span><h3>{}</h3>\
         <p>{pair}</p></header><p>{text}</p><h4>Minimal plan, {} (found with {})</h4><pre>{}</pre>\
         <h4>Replay</h4><pre>{}\n{}</pre><h4>Make it a regression test</h4>\
         <pre>cargo campaign promote {}</pre><p class=\"soft small\">Seen {}, first after {} s in \
         plan {}.</p></article>",
        escape(&finding.invariant),
        escape(&finding.promise),
        counted(finding.operations.len().saturating_sub(1), "operation"),
        finding.operations_before,
        finding.operations.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n"),
        escape(&finding.replay),
        escape(&finding.replay_origin),
        escape(&finding.file),
        counted(usize::try_from(finding.seen).unwrap_or(usize::MAX), "time"),
        finding.after_seconds,
        finding.plan_number,
    )
}

fn canary(summary: &Summary) -> String {
    let row = |twin: &crate::summary::CanaryTwin| {
        let (class, caught) = if twin.caught { ("", "caught") } else { ("never", "missed") };
        format!(
            "<tr><td>{}</td><td class=\"{class}\">{caught}</td><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&twin.twin),
            escape(&twin.text),
            twin.plans,
            twin.operations_min
        )
    };
    let rows: String = summary.canary.twins.iter().map(row).collect();
    format!(
        "<h2>Does the alarm work?</h2><div class=\"card\"><p class=\"soft\">A check that is wrong \
         on purpose goes the whole way of a finding: found, made small, saved, read back, \
         replayed. If it is not caught, the campaign is blind.</p><table><tr><th>twin</th><th></th>\
         <th>what was said</th><th class=\"n\">plans</th><th class=\"n\">minimal operations</th>\
         </tr>{rows}</table></div>"
    )
}

fn trend(past: &[Past]) -> String {
    let [first, .., last] = past else { return String::new() };
    let fastest = past.iter().map(|it| it.operations_per_second).fold(0.0, f64::max);
    let verdicts = [Verdict::Held, Verdict::Broken, Verdict::Blind, Verdict::Interrupted];
    let key = |verdict: Verdict| svg::key(&format!("--{}", verdict.word()), verdict.word());
    format!(
        "<h2>The last {}</h2><div class=\"card trend\">{}<p class=\"soft small keys\">Operations a \
         second and core, {} to {}; the top is {}. Each dot is a campaign: {}</p></div>",
        counted(past.len(), "campaign"),
        svg::trend(past),
        date(first.started_unix),
        date(last.started_unix),
        short(whole(fastest)),
        verdicts.map(key).concat(),
    )
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Writes a number in three or four digits.
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

/// Writes seconds since 1970 as a date and a time of day, in UTC.
fn date(unix: u64) -> String {
    // Days to a civil date, with years that begin in March, so that leap days come last.
    let (days, second) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_340), "2000-02-28 23:59 UTC");
        assert_eq!(date(1_709_164_800), "2024-02-29 00:00 UTC");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59 UTC");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(9_999), "9\u{202f}999");
        assert_eq!(short(123_456), "123\u{202f}k");
        assert_eq!(short(1_234_567), "1.2\u{202f}M");
    }

    #[test]
    fn text_of_a_finding_cannot_become_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
