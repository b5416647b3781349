//! `night.html`: a self-contained page that loads nothing.
//!
//! Order: verdict and what to do first, contents, findings, rarest marks, parts, checks, fuzz
//! targets, models, planted faults, earlier nights, canary, machine.

use super::finding::NightFinding;
use super::history::PastNight;
use super::step::{FaultRun, LoomRun};
use super::summary::{CurvePoint, FuzzSummary, NightSummary, PartSummary};
use crate::report::{banner, canary, date, document, escape, short, svg};
use crate::summary::{CheckSummary, counted, thousands, whole};
use std::collections::BTreeMap;

const RAREST: usize = 12;

/// Returns the page.
pub(super) fn render(summary: &NightSummary, past: &[PastNight]) -> String {
    let sections = [
        ("findings", "Findings", findings(&summary.findings)),
        ("marks", "Rarest marks", marks(summary)),
        ("parts", "Parts", parts(summary)),
        ("checks", "Checks", checks(summary)),
        ("fuzz", "Fuzz targets", fuzz(&summary.fuzz)),
        ("loom", "Models of threads", loom(summary)),
        ("faults", "Planted faults", faults(summary)),
        ("trend", "Earlier nights", trend(past)),
        ("canary", "Canary", canary(&summary.canary)),
        ("machine", "Machine", machine(summary)),
    ];
    let shown = sections.iter().filter(|(_, _, body)| !body.is_empty());
    let links: String =
        shown.clone().map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>")).collect();
    let bodies: String =
        shown.map(|(id, title, body)| format!("<h2 id=\"{id}\">{title}</h2>{body}\n")).collect();
    let sentence = format!("{} {}", summary.sentence, summary.advice);
    let parts = [
        top(summary),
        banner(summary.verdict, &sentence),
        format!("<nav class=\"contents\">{links}</nav>"),
        tiles(summary),
        bodies,
    ];
    document(&format!("Fastness night: {}", summary.verdict.word()), &parts)
}

fn top(summary: &NightSummary) -> String {
    let id = summary.shards.first();
    let started = id.map_or(0, |id| id.started_unix);
    let commit = id.map_or("", |id| id.commit.as_str());
    format!(
        "<div class=\"top\"><strong>Fastness night</strong><span class=\"soft small\">{} · {} · \
         {}</span></div>",
        date(started),
        hours(summary.seconds()),
        escape(if commit.is_empty() { "no checkout" } else { commit }),
    )
}

fn tiles(summary: &NightSummary) -> String {
    let totals = &summary.totals;
    let runs: u64 = summary.fuzz.iter().map(|target| target.run.runs).sum();
    let interleavings: u64 = summary.loom.iter().map(|run| run.interleavings).sum();
    let caught = summary.faults.iter().filter(|run| !run.check.is_empty()).count();
    let tile = |value: String, label: &str, bad: bool| {
        let class = if bad { "tile bad" } else { "tile" };
        format!("<div class=\"{class}\"><b>{value}</b><span>{label}</span></div>")
    };
    let missed = totals.marks_hit < totals.marks;
    let tiles = [
        tile(short(totals.operations), "operations compared with a model", false),
        tile(format!("{} of {}", totals.marks_hit, totals.marks), "marks hit", missed),
        tile(short(runs), "fuzz inputs", false),
        tile(short(interleavings), "interleavings", false),
        tile(format!("{caught} of {}", summary.faults.len()), "planted faults caught", false),
        tile(summary.findings.len().to_string(), "findings", !summary.findings.is_empty()),
    ];
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

fn findings(findings: &[NightFinding]) -> String {
    let code = |label: &str, command: &str| match command {
        "" => String::new(),
        command => format!("<h4>{label}</h4><pre>{}</pre>", escape(command)),
    };
    let card = |finding: &NightFinding| {
        let text = finding.text.lines().map(escape).collect::<Vec<_>>().join("<br>");
        let steps = finding.operations.join("\n");
        let commit = match finding.first_commit.as_str() {
            "" => String::new(),
            commit => format!(" at {}", escape(commit)),
        };
        format!(
            "<article class=\"card finding\" id=\"{}\"><header><span class=\"badge\">{}</span>\
             <h3>{}</h3><p>{}</p></header><p>{text}</p>{}{}{}<p class=\"soft small\">Found by {}, \
             {}; first {}{commit}.</p></article>",
            escape(&finding.name),
            escape(&finding.invariant),
            escape(&finding.promise),
            escape(&finding.place),
            code("Shrunk plan", &steps),
            code("Replay", &finding.replay),
            code("Promote to a regression test", &finding.promote),
            escape(&finding.found_by.join(", ")),
            counted(usize::try_from(finding.seen).unwrap_or(usize::MAX), "time"),
            date(finding.first_unix),
        )
    };
    findings.iter().map(card).collect()
}

fn marks(summary: &NightSummary) -> String {
    let mut rows: Vec<(u64, String)> = summary
        .checks
        .iter()
        .flat_map(|check| {
            let name = format!("{}/{}", check.name, check.twin);
            check.marks.iter().map(move |(mark, count)| (*count, format!("{name}: {mark}")))
        })
        .collect();
    rows.sort();
    let row = |(count, name): &(u64, String)| match count {
        0 => format!("<tr><td>{}</td><td class=\"n never\">never</td></tr>", escape(name)),
        count => {
            format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>", escape(name), short(*count))
        }
    };
    let shown = rows.len().min(RAREST.max(summary.missed_marks().count()));
    let body: String = rows[..shown].iter().map(row).collect();
    match body.as_str() {
        "" => String::new(),
        body => format!(
            "<div class=\"card\"><p class=\"soft small\">Rare events that give a check its value. \
             A mark that is never hit makes the night inconclusive.</p><table><tr><th>mark</th>\
             <th class=\"n\">hits</th></tr>{body}</table></div>"
        ),
    }
}

fn parts(summary: &NightSummary) -> String {
    let row = |part: &PartSummary| {
        let state = match part.problem.as_str() {
            "" => "<td>ran</td>".to_owned(),
            problem => format!("<td class=\"never\">left out: {}</td>", escape(problem)),
        };
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>{state}</tr>",
            part.part,
            hours(part.seconds),
            part.steps
        )
    };
    format!(
        "<div class=\"card\"><table><tr><th>part</th><th class=\"n\">time</th>\
         <th class=\"n\">steps</th><th></th></tr>{}</table></div>",
        summary.parts.iter().map(row).collect::<String>()
    )
}

fn checks(summary: &NightSummary) -> String {
    if summary.checks.is_empty() {
        return String::new();
    }
    let row = |check: &CheckSummary| {
        let name = format!("{}/{}", check.name, check.twin);
        let missed = check.marks_missed().count();
        let hit = check.marks.len() - missed;
        let class = if missed > 0 { "n never" } else { "n" };
        let curve = summary.curves.get(&name).map_or_else(String::new, |points| curve(points));
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"curve\">{curve}</td><td class=\"{class}\">{hit}/{}</td></tr>",
            escape(&name),
            short(check.plans),
            short(check.operations),
            short(check.speed()),
            check.marks.len(),
        )
    };
    let head = "<tr><th>check</th><th class=\"n\">plans</th><th class=\"n\">operations</th>\
        <th class=\"n\">per CPU second</th><th>marks over time</th><th class=\"n\">marks</th></tr>";
    let (open, done): (Vec<&CheckSummary>, Vec<&CheckSummary>) =
        summary.checks.iter().partition(|check| check.marks_missed().next().is_some());
    let table = |checks: &[&CheckSummary]| {
        let rows: String = checks.iter().map(|check| row(check)).collect();
        format!("<div class=\"scroll\"><table>{head}{rows}</table></div>")
    };
    let first = if open.is_empty() { String::new() } else { table(&open) };
    format!(
        "<div class=\"card\">{first}<details{}><summary>{} with every mark hit</summary>{}\
         </details></div>",
        if open.is_empty() { " open" } else { "" },
        counted(done.len(), "check"),
        table(&done)
    )
}

fn fuzz(targets: &[FuzzSummary]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&FuzzSummary> = targets.iter().collect();
    sorted.sort_by_key(|target| std::cmp::Reverse(target.run.new_features));
    let row = |target: &&FuzzSummary| {
        let run = &target.run;
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"curve\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&run.target),
            short(whole(target.seconds)),
            short(run.runs),
            short(run.edges),
            short(run.features),
            curve(&target.curve),
            short(run.new_features),
        )
    };
    format!(
        "<div class=\"card\"><p class=\"soft small\">Targets that still find new features first. \
         A feature is an edge of the program with its count, or a compared value.</p>\
         <div class=\"scroll\"><table><tr><th>target</th><th class=\"n\">seconds</th>\
         <th class=\"n\">inputs</th><th class=\"n\">edges</th><th class=\"n\">features</th>\
         <th>features over time</th><th class=\"n\">new</th></tr>{}</table></div></div>",
        sorted.iter().map(row).collect::<String>()
    )
}

fn loom(summary: &NightSummary) -> String {
    let row = |run: &LoomRun| {
        let state = if run.complete { "all" } else { "so far" };
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{state}</td></tr>",
            escape(&run.model),
            run.preemptions,
            thousands(run.interleavings)
        )
    };
    let rows: String = summary.loom.iter().map(row).collect();
    match rows.as_str() {
        "" => String::new(),
        rows => format!(
            "<div class=\"card\"><div class=\"scroll\"><table><tr><th>model</th>\
             <th class=\"n\">preemptions</th><th class=\"n\">interleavings</th><th></th></tr>{rows}\
             </table></div></div>"
        ),
    }
}

fn faults(summary: &NightSummary) -> String {
    if summary.faults.is_empty() {
        return String::new();
    }
    let mut runs: Vec<&FaultRun> = summary.faults.iter().collect();
    runs.sort_by(|one, other| {
        let key = |run: &FaultRun| !run.check.is_empty();
        key(one).cmp(&key(other)).then(other.seconds.total_cmp(&one.seconds))
    });
    let row = |run: &&FaultRun| {
        let by = match run.check.as_str() {
            "" if run.reached == 0 => "<td class=\"never\">never ran</td>".to_owned(),
            "" => "<td class=\"never\">missed</td>".to_owned(),
            check => format!("<td>{} ({})</td>", escape(check), escape(&run.invariant)),
        };
        format!(
            "<tr><td>{}</td><td>{}</td>{by}<td class=\"n\">{:.1}</td></tr>",
            escape(&run.id),
            escape(&run.about),
            run.seconds
        )
    };
    format!(
        "<div class=\"card trend\">{}<p class=\"soft small\">Share of the planted faults that is \
         not caught yet, over CPU seconds.</p><details><summary>{}</summary><div class=\"scroll\">\
         <table><tr><th>fault</th><th>planted</th><th>caught by</th>\
         <th class=\"n\">CPU seconds</th></tr>{}</table></div></details></div>",
        svg::line(&survival(&runs), "faults not caught, over time"),
        counted(runs.len(), "fault"),
        runs.iter().map(row).collect::<String>()
    )
}

/// Returns the faults that are not caught yet over time.
fn survival(runs: &[&FaultRun]) -> Vec<(f64, f64)> {
    let mut times: Vec<f64> =
        runs.iter().filter(|run| !run.check.is_empty()).map(|run| run.seconds).collect();
    times.sort_by(f64::total_cmp);
    let end = runs.iter().map(|run| run.seconds).fold(1.0, f64::max);
    let mut left = as_float(runs.len());
    let mut points = vec![(0.0, left)];
    for time in times {
        points.push((time, left));
        left -= 1.0;
        points.push((time, left));
    }
    points.push((end, left));
    points
}

fn curve(points: &[CurvePoint]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a picture has few pixels")]
    let place = |point: &CurvePoint| (point.seconds, point.count as f64);
    let from_start = std::iter::once((0.0, 0.0)).chain(points.iter().map(place));
    svg::spark(&from_start.collect::<Vec<_>>())
}

fn trend(past: &[PastNight]) -> String {
    if past.len() < 2 {
        return String::new();
    }
    let row = |night: &PastNight| {
        let (planted, caught) = night.faults;
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{caught}/{planted}</td>\
             <td class=\"n\">{}</td></tr>",
            date(night.started_unix),
            escape(&night.commit),
            night.verdict.word(),
            hours(night.seconds),
            short(whole(night.operations_per_second)),
            short(night.features),
            night.findings.len(),
        )
    };
    let rows: String = past.iter().rev().map(row).collect();
    let speed: Vec<(f64, f64)> = past
        .iter()
        .enumerate()
        .map(|(index, night)| (as_float(index), night.operations_per_second))
        .collect();
    format!(
        "<div class=\"card trend\">{}<p class=\"soft small\">Operations per CPU second, night by \
         night.</p><div class=\"scroll\"><table><tr><th>started</th><th>commit</th><th>verdict</th>\
         <th class=\"n\">time</th><th class=\"n\">operations per CPU second</th>\
         <th class=\"n\">features</th><th class=\"n\">faults</th><th class=\"n\">findings</th></tr>\
         {rows}</table></div></div>",
        svg::line(&speed, "operations per CPU second, night by night"),
    )
}

fn machine(summary: &NightSummary) -> String {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for id in &summary.shards {
        let shard = format!("shard {}", id.shard);
        let facts = [
            id.machine.clone(),
            id.compiler.clone(),
            id.program.clone(),
            counted(id.jobs, "job"),
            format!("seed {}", id.seed),
        ];
        let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        rows.insert(shard, facts.join(" · "));
    }
    let row = |(shard, facts): (&String, &String)| {
        format!("<tr><td>{shard}</td><td>{}</td></tr>", escape(facts))
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"card\"><table>{rows}</table></div>")
}

#[expect(clippy::cast_precision_loss, reason = "a picture has few pixels")]
fn as_float(count: usize) -> f64 {
    count as f64
}

/// Formats a time like `3 h 05 min` or `40 s`.
fn hours(seconds: f64) -> String {
    let seconds = whole(seconds.round());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3600 => format!("{minutes} min"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(hours(59.6), "60 s");
        assert_eq!(hours(600.0), "10 min");
        assert_eq!(hours(3.0 * 3600.0 + 300.0), "3 h 05 min");
    }
}
