//! The sections of the report about each check: speed, promises, operations, crashes, marks.

use super::svg;
use super::text::{escape, short};
use crate::summary::{CheckSummary, Summary, thousands};
use std::collections::BTreeMap;

/// Draws the speed of each twin of each check.
pub(super) fn speed(summary: &Summary) -> String {
    let fastest = summary.checks.iter().map(CheckSummary::speed).max().unwrap_or(0);
    let mut bars = String::new();
    let mut before = "";
    for check in &summary.checks {
        let name = if check.name == before { "" } else { check.name.as_str() };
        before = &check.name;
        bars += &row(name, check, &svg::bar(check.speed(), fastest, twin_colour(check)));
    }
    format!(
        "<h2>Speed</h2><div class=\"card\"><p class=\"soft small keys\">Operations compared with \
         the model per CPU second, simulated crashes included. {}{}</p>\
         <div class=\"bars\">{bars}</div></div>",
        svg::key("--plain", "plain"),
        svg::key("--encrypted", "encrypted"),
    )
}

fn row(name: &str, check: &CheckSummary, bar: &str) -> String {
    format!(
        "<strong>{}</strong><span class=\"soft small\">{}</span>{bar}<span>{}</span>",
        escape(name),
        escape(&check.twin),
        short(check.speed())
    )
}

fn twin_colour(check: &CheckSummary) -> &'static str {
    if check.twin == "plain" { "--plain" } else { "--encrypted" }
}

/// Draws a card for each check, with its twins side by side.
pub(super) fn cards(summary: &Summary) -> String {
    let colours = colours(&summary.checks);
    let mut cards = String::from("<h2>Checks</h2>");
    for twins in summary.checks.chunk_by(|one, other| one.name == other.name) {
        cards += &card(twins, &colours);
    }
    cards
}

fn card(twins: &[CheckSummary], colours: &Colours) -> String {
    let [first, ..] = twins else { return String::new() };
    let promises: String = first
        .invariants
        .iter()
        .map(|(id, promise)| format!("<li><b>{}</b>{}</li>", escape(id), escape(promise)))
        .collect();
    let halves: String = [marks(twins), crashes(twins)]
        .into_iter()
        .filter(|half| !half.is_empty())
        .map(|half| format!("<div>{half}</div>"))
        .collect();
    format!(
        "<article class=\"card\"><header><h3>{}</h3><p>{}</p></header>\
         <ul class=\"promises\">{promises}</ul>{}<div class=\"halves\">{halves}</div>{}</article>",
        escape(&first.name),
        escape(&first.about),
        numbers(twins),
        mix(twins, colours),
    )
}

fn numbers(twins: &[CheckSummary]) -> String {
    let row = |twin: &CheckSummary| {
        let findings = match twin.findings.len() {
            0 => "<td class=\"n\">0</td>".to_owned(),
            count => format!("<td class=\"n never\">{count}</td>"),
        };
        format!(
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             {findings}</tr>",
            escape(&twin.twin),
            thousands(twin.plans),
            short(twin.operations),
            short(twin.speed()),
        )
    };
    format!(
        "<h4>Work</h4><table><tr><th></th><th class=\"n\">plans</th><th class=\"n\">operations</th>\
         <th class=\"n\">per CPU second</th><th class=\"n\">findings</th></tr>{}</table>",
        twins.iter().map(row).collect::<String>()
    )
}

fn marks(twins: &[CheckSummary]) -> String {
    let [first, ..] = twins else { return String::new() };
    if first.marks.is_empty() {
        return String::new();
    }
    let cell = |count: u64| match count {
        0 => "<td class=\"n never\">never</td>".to_owned(),
        count => format!("<td class=\"n\">{}</td>", short(count)),
    };
    let rows: String = first
        .marks
        .keys()
        .map(|mark| {
            let count = |twin: &CheckSummary| cell(twin.marks.get(mark).copied().unwrap_or(0));
            let cells: String = twins.iter().map(count).collect();
            format!("<tr><td>{}</td>{cells}</tr>", escape(mark))
        })
        .collect();
    let head = |twin: &CheckSummary| format!("<th class=\"n\">{}</th>", escape(&twin.twin));
    format!(
        "<h4>Marks: rare events that a campaign must hit</h4>\
         <table><tr><th></th>{}</tr>{rows}</table>",
        twins.iter().map(head).collect::<String>()
    )
}

fn crashes(twins: &[CheckSummary]) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in twins.iter().flat_map(|twin| &twin.crash_points_by) {
        *kinds.entry(kind).or_default() += count;
    }
    let most = kinds.values().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let row = |(kind, count): (&&str, &u64)| {
        format!(
            "<span class=\"small\">{}</span>{}<span class=\"small\">{}</span>",
            escape(kind),
            svg::bar(*count, most, "--c2"),
            short(*count)
        )
    };
    format!(
        "<h4>Simulated crashes, by interrupted call and recursion depth</h4>\
         <div class=\"bars three\">{}</div>",
        kinds.iter().map(row).collect::<String>()
    )
}

/// Colours of operation kinds: a kind has the same colour in every card.
struct Colours(Vec<String>);

fn colours(checks: &[CheckSummary]) -> Colours {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in checks.iter().flat_map(|check| &check.mix) {
        *totals.entry(kind).or_default() += count;
    }
    let mut kinds: Vec<(&str, u64)> = totals.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = kinds.into_iter().take(svg::COLOURS - 1);
    Colours(named.map(|(kind, _)| kind.to_owned()).collect())
}

impl Colours {
    /// Splits a mix into coloured parts, with one part for the kinds without a colour.
    fn parts(&self, mix: &BTreeMap<String, u64>) -> Vec<(String, u64, usize)> {
        let mut parts: Vec<(String, u64, usize)> = self
            .0
            .iter()
            .enumerate()
            .filter_map(|(index, kind)| Some((escape(kind), *mix.get(kind)?, index)))
            .collect();
        let other = mix.iter().filter(|(kind, _)| !self.0.contains(kind));
        let count: u64 = other.clone().map(|(_, count)| count).sum();
        let names: Vec<String> = other.map(|(kind, _)| escape(kind)).collect();
        if count > 0 {
            parts.push((names.join(", "), count, svg::COLOURS - 1));
        }
        parts
    }
}

fn mix(twins: &[CheckSummary], colours: &Colours) -> String {
    let mut both: BTreeMap<String, u64> = BTreeMap::new();
    let mut bars = String::new();
    for twin in twins {
        for (kind, count) in &twin.mix {
            *both.entry(kind.clone()).or_default() += count;
        }
        let bar = svg::stack(&colours.parts(&twin.mix));
        bars += &format!("<span class=\"soft\">{}</span>{bar}", escape(&twin.twin));
    }
    let total: u64 = both.values().sum::<u64>().max(1);
    let entry = |(kind, count, colour): (String, u64, usize)| {
        let percent = match count * 100 / total {
            0 => "<1".to_owned(),
            percent => percent.to_string(),
        };
        format!(
            "<li><i style=\"background:var(--c{colour})\"></i>{kind} \
             <span class=\"soft\">{}\u{202f}%</span></li>",
            escape(&percent)
        )
    };
    let legend: String = colours.parts(&both).into_iter().map(entry).collect();
    format!("<h4>Operations</h4><div class=\"mix\">{bars}</div><ul class=\"legend\">{legend}</ul>")
}
