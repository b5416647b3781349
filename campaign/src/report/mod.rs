//! `report.html`: a self-contained page that loads nothing.
//!
//! Order: verdict, command to rerun, findings, speed, checks, canary, earlier campaigns.

mod checks;
pub(crate) mod svg;
mod text;

pub(crate) use self::text::{escape, short};

use crate::history::HistoryEntry;
use crate::summary::{Canary, FindingSummary, Summary, Verdict, counted, thousands, whole};

/// Returns the page.
#[must_use]
pub fn render(summary: &Summary, past: &[HistoryEntry]) -> String {
    let parts = [
        top(summary),
        banner(summary.verdict, &summary.sentence),
        tiles(summary),
        rerun(summary),
        findings(summary),
        checks::speed(summary),
        checks::cards(summary),
        format!("<h2>Canary</h2>{}", canary(&summary.canary)),
        trend(past),
    ];
    document(&format!("Fastness campaign: {}", headline(summary.verdict)), &parts)
}

/// Returns a page with this title and these sections.
pub(crate) fn document(title: &str, parts: &[String]) -> String {
    let style = include_str!("style.css");
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
        Verdict::Passed => "passed: all promises held",
        Verdict::Failed => "failed: a promise is violated",
        Verdict::Inconclusive => "inconclusive: a violation may have been missed",
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

/// Draws the verdict.
pub(crate) fn banner(verdict: Verdict, sentence: &str) -> String {
    let word = verdict.word();
    let (first, rest) = headline(verdict).split_at(1);
    format!(
        "<section class=\"banner {word}\">{}<div><h1>{}{rest}</h1><p>{}</p></div></section>",
        svg::sign(verdict),
        first.to_uppercase(),
        escape(sentence)
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
        tile(short(totals.crash_points), "simulated crashes", false),
        tile(short(whole(totals.operations_per_second)), "operations per CPU second", false),
        tile(
            format!("{} of {}", totals.marks_hit, totals.marks),
            "marks hit",
            totals.marks_hit < totals.marks,
        ),
        tile(totals.findings.to_string(), "findings", totals.findings > 0),
        tile(canary.to_owned(), "canary, a deliberate bug", !summary.canary.caught),
    ];
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

fn rerun(summary: &Summary) -> String {
    let shard = match summary.shard.as_str() {
        "1/1" => String::new(),
        shard => format!(", shard {shard}"),
    };
    let limit = match summary.plans {
        Some(plans) => format!("{} plans of each check and twin", thousands(plans)),
        None => format!("time limit {} s", summary.seconds),
    };
    format!(
        "<h2>Rerun</h2><pre>{}</pre><p class=\"soft small\">Seed {}, {limit}, \
         elapsed {} s, {}, {} plans{shard}. A seed gives the same plans for any number of \
         jobs.</p>",
        escape(&summary.rerun),
        summary.seed,
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
         <p>{pair}</p></header><p>{text}</p><h4>Shrunk plan, {} (originally {})</h4><pre>{}</pre>\
         <h4>Replay</h4><pre>{}\n{}</pre><h4>Promote to a regression test</h4>\
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

/// Draws what happened to each twin of the canary.
pub(crate) fn canary(canary: &Canary) -> String {
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
    let rows: String = canary.twins.iter().map(row).collect();
    format!(
        "<div class=\"card\"><p class=\"soft\">A check with a deliberate bug takes \
         the whole path of a finding: detected, shrunk, saved, read back, replayed. If it is \
         missed, the verdict is inconclusive.</p><table><tr><th>twin</th><th></th>\
         <th>violation</th><th class=\"n\">plans</th><th class=\"n\">shrunk operations</th>\
         </tr>{rows}</table></div>"
    )
}

fn trend(past: &[HistoryEntry]) -> String {
    let [first, .., last] = past else { return String::new() };
    let fastest = past.iter().map(|it| it.operations_per_second).fold(0.0, f64::max);
    let verdicts = [Verdict::Passed, Verdict::Failed, Verdict::Inconclusive, Verdict::Interrupted];
    let key = |verdict: Verdict| svg::key(&format!("--{}", verdict.word()), verdict.word());
    format!(
        "<h2>The last {}</h2><div class=\"card trend\">{}<p class=\"soft small keys\">Operations \
         per CPU second, {} to {}; maximum {}. The colour of a dot is the verdict: {}</p></div>",
        counted(past.len(), "campaign"),
        svg::trend(past),
        date(first.started_unix),
        date(last.started_unix),
        short(whole(fastest)),
        verdicts.map(key).concat(),
    )
}

/// Formats seconds since 1970 as date and time in UTC.
pub(crate) fn date(unix: u64) -> String {
    // Converts days to a civil date, in years that begin in March, so that leap days come last.
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
