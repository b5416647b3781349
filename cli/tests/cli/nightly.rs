//! Nights as processes: killed and resumed, sharded and merged, without a checkout.

use super::{CommandOutput, TestFolder, command, fastness, output_of, start};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn night(dir: &Path, args: &[&str]) -> CommandOutput {
    let mut command = command(&[&"campaign", &"nightly", &"--dir", &dir]);
    // A folder outside of any checkout.
    output_of(start(command.args(args).current_dir(dir.parent().unwrap())))
}

fn summary(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("night.json")).unwrap()).unwrap()
}

fn journal(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("journal.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_night_that_is_killed_continues_where_it_was() {
    let dir = TestFolder::new();
    let nights = dir.path("nights");
    let args = ["--parts", "checks", "--hours", "0.002", "--seed", "5"];
    let mut command = command(&[&"campaign", &"nightly", &"--dir", &nights]);
    let mut child = start(command.args(args).current_dir(nights.parent().unwrap()));
    for _ in 0..2400 {
        if journal(&nights).len() >= 3 {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = journal(&nights);
    assert!(before.len() >= 3, "the night did not come to its second step");
    let output = night(&nights, &["--resume"]);
    assert!(output.out.contains("resumed after"), "{}{}", output.out, output.err);
    let after = journal(&nights);
    assert_eq!(after[..before.len()], before, "a finished step is kept as it was");
    assert_eq!(after.last().unwrap()["entry"], "end");
    let summary = summary(&nights);
    assert_eq!(summary["exit_code"], output.code, "{}{}", output.out, output.err);
    assert_eq!(summary["shards"][0]["seed"], 5, "a resumed night keeps its seed");
    assert_eq!(summary["canary"]["caught"], true);
    let seeds: Vec<&Value> =
        after.iter().map(|entry| &entry["result"]["seed"]).filter(|seed| !seed.is_null()).collect();
    assert!(seeds.len() > 1 && seeds.windows(2).all(|pair| pair[0] != pair[1]), "{seeds:?}");
    let page = fs::read_to_string(nights.join("night.html")).unwrap();
    for foreign in ["<script", "http:", "https:", "<link", "@import"] {
        assert!(!page.contains(foreign), "the page loads a resource: {foreign}");
    }
    let junit = fs::read_to_string(nights.join("junit.xml")).unwrap();
    assert!(junit.contains("<testcase classname=\"checks\" name=\"store/plain\""), "{junit}");
    assert_eq!(fs::read_to_string(nights.join("history.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn a_part_that_cannot_run_makes_the_night_inconclusive() {
    let dir = TestFolder::new();
    let nights = dir.path("nights");
    let output = night(&nights, &["--parts", "fuzz,loom,faults", "--hours", "1"]);
    assert_eq!(output.code, 3, "{}{}", output.out, output.err);
    assert!(output.out.contains("did not run: fuzz, loom, faults"), "{}", output.out);
    assert!(output.out.contains("it is built from a checkout"), "{}", output.out);
}

#[test]
fn a_merge_joins_shards_and_names_those_that_are_missing() {
    let dir = TestFolder::new();
    let [first, second, all] = ["one", "two", "all"].map(|name| dir.path(name));
    let hours = ["--parts", "checks", "--hours", "0.0005", "--seed", "5"];
    for (nights, shard) in [(&first, "1/3"), (&second, "2/3")] {
        night(nights, &[&hours[..], &["--shard", shard]].concat());
    }
    let output = fastness(&[&"campaign", &"merge", &first, &second, &"--out", &all]);
    assert_eq!(output.code, 3, "{}{}", output.out, output.err);
    assert!(output.out.contains("These shards are missing: 3/3"), "{}", output.out);
    let again = fastness(&[&"campaign", &"merge", &first, &second, &"--out", &all]);
    assert_eq!((again.code, &again.out), (output.code, &output.out), "a merge can be repeated");
    let into = fastness(&[&"campaign", &"merge", &first, &second, &"--out", &first]);
    assert!(into.err.contains("a night ran in this folder"), "{}", into.err);
    let plans = |dir: &Path| summary(dir)["totals"]["plans"].as_u64().unwrap();
    assert_eq!(plans(&all), plans(&first) + plans(&second));
    let twice = fastness(&[&"campaign", &"merge", &first, &first, &"--out", &dir.path("x")]);
    assert!(twice.err.contains("given twice"), "{}", twice.err);
}

/// `corpus` finds the targets of the checkout that contains the current folder.
#[test]
fn corpora_are_counted_and_imported() {
    let dir = TestFolder::new();
    let (nights, other) = (dir.path("nights"), dir.path("other"));
    fs::create_dir_all(other.join("page")).unwrap();
    fs::write(other.join("page/input"), "bytes").unwrap();
    let corpus = |args: &[&str]| {
        let mut command = command(&[&"campaign", &"corpus", &"--dir", &nights]);
        output_of(start(command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"))))
    };
    let imported = corpus(&["--target", "page,file", "import", other.to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let lines: Vec<&str> = imported.out.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 2, "{}", imported.out);
    let stats = corpus(&["stats", "--json", "--target", "page"]);
    let rows: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(rows[0]["nights"]["inputs"], 1, "{}", stats.out);
    assert!(rows[0]["committed"]["inputs"].as_u64().unwrap() > 1, "{}", stats.out);
    let unknown = corpus(&["stats", "--target", "fly"]);
    assert_eq!(unknown.code, 4, "{}", unknown.err);
    assert!(unknown.err.contains("no target `fly`; known: adversary, "), "{}", unknown.err);
}

/// The checks and tests of a change are named before they run.
#[test]
fn a_change_names_what_attacks_it() {
    let dir = TestFolder::new();
    let root = dir.path("checkout");
    let list = || {
        let mut command = command(&[&"campaign", &"changed", &"--list"]);
        output_of(start(command.current_dir(&root)))
    };
    fs::create_dir_all(root.join("core/src/tree")).unwrap();
    let outside = list();
    assert_eq!(outside.code, 4, "{}{}", outside.out, outside.err);
    let name = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "first"];
    for args in [&["init", "--quiet"][..], &[&name[..], &commit].concat()] {
        assert!(Command::new("git").args(args).current_dir(&root).status().unwrap().success());
    }
    fs::write(root.join("core/src/tree/edit.rs"), "").unwrap();
    let listed = list();
    assert_eq!(listed.code, 0, "{}{}", listed.out, listed.err);
    for line in ["1 files changed since HEAD", "checks: crash, damage, store"] {
        assert!(listed.out.contains(line), "{}", listed.out);
    }
    assert!(listed.out.contains("cargo test -p fastness --lib tree::"), "{}", listed.out);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for args in [["--hours", "0"], ["--hours", "x"], ["--parts", "dreams"], ["--shard", "2/1"]] {
        let dir = TestFolder::new();
        let output = night(&dir.path("nights"), &args);
        assert_eq!(output.code, 2, "{args:?}: {}", output.err);
    }
}
