//! The campaign as a process: outputs, exit codes, replays.

use super::{CommandOutput, TestFolder, command, fastness, json, output_of, start};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

fn summary(out: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(out.join("summary.json")).unwrap()).unwrap()
}

fn findings(out: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(out.join("findings")).unwrap().map(|entry| entry.unwrap().path());
    let mut plans: Vec<_> = all.filter(|path| path.extension() == Some("plan".as_ref())).collect();
    plans.sort();
    plans
}

fn campaign(out: &Path, args: &[&dyn AsRef<OsStr>]) -> CommandOutput {
    let mut all: Vec<&dyn AsRef<OsStr>> = vec![&"campaign", &"--out", &out];
    all.extend(args);
    fastness(&all)
}

#[test]
fn a_campaign_writes_three_outputs_that_match_its_exit_code() {
    let dir = TestFolder::new();
    let out = dir.path("out");
    let output = campaign(&out, &[&"--only", &"store", &"--seconds", &"2", &"--seed", &"7"]);
    let summary = summary(&out);
    assert_eq!(summary["exit_code"], output.code, "{}{}", output.out, output.err);
    assert_eq!(
        summary["verdict"],
        ["passed", "", "", "inconclusive"][usize::try_from(output.code).unwrap()]
    );
    assert_eq!((&summary["seed"], &summary["seconds"]), (&7.into(), &2.into()));
    assert_eq!(summary["canary"]["caught"], true);
    let checks = summary["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 2);
    for (check, twin) in checks.iter().zip(["plain", "encrypted"]) {
        assert_eq!((&check["name"], &check["twin"]), (&"store".into(), &twin.into()));
        assert!(check["plans"].as_u64().unwrap() > 0);
        assert!(check["operations_per_second"].as_f64().unwrap() > 0.0);
        assert_eq!(check["findings"], serde_json::json!([]));
    }
    let events = fs::read_to_string(out.join("events.jsonl")).unwrap();
    let names: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].as_str().unwrap().into())
        .collect();
    assert_eq!(names.first().unwrap(), "start");
    assert!(names.contains(&"canary".to_owned()) && names.contains(&"progress".to_owned()));
    assert_eq!(names.last().unwrap(), "end");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("<h1>") && report.contains("--seed 7"));
    for foreign in ["<script", "http:", "https:", "<link", "@import"] {
        assert!(!report.contains(foreign), "the report loads a resource: {foreign}");
    }
    assert!(output.out.contains("seed 7"), "{}", output.out);
    assert!(output.err.contains("plans") && output.err.contains("marks"), "{}", output.err);
}

#[test]
fn list_names_checks_invariants_and_marks() {
    let output = fastness(&[&"campaign", &"list"]);
    assert_eq!(output.code, 0);
    let value = json(&fastness(&[&"campaign", &"list", &"--json"]));
    for check in value["checks"].as_array().unwrap() {
        assert!(output.out.contains(check["name"].as_str().unwrap()));
        for invariant in check["invariants"].as_array().unwrap() {
            assert!(output.out.contains(invariant["promise"].as_str().unwrap()));
        }
    }
}

#[test]
fn replay_prints_the_same_bytes_twice() {
    let checks = json(&fastness(&[&"campaign", &"list", &"--json"]));
    for check in checks["checks"].as_array().unwrap() {
        let plan = format!("{}:17", check["name"].as_str().unwrap());
        for twin in ["plain", "encrypted"] {
            let run = || fastness(&[&"campaign", &"replay", &plan, &"--twin", &twin]);
            let (first, second) = (run(), run());
            assert_eq!(first.code, 0, "{plan} {twin}: {}", first.out);
            assert!(first.out.lines().count() > 5, "{plan} {twin}: {}", first.out);
            assert!(first.out == second.out, "two replays of {plan} {twin} differ");
        }
    }
}

/// Operations of the store name their operands: keys, lengths, trees.
#[test]
fn the_steps_of_a_plan_read_as_a_story() {
    let text: String = (17..27)
        .map(|seed| fastness(&[&"campaign", &"replay", &format!("store:{seed}")]).out)
        .collect();
    let story = |words: &[&str]| {
        text.lines().any(|line| {
            let mut rest = line;
            words.iter().all(|word| {
                let found = rest.split_once(word);
                rest = found.map_or("", |(_, rest)| rest);
                found.is_some()
            })
        })
    };
    for words in [
        &["insert key ", " with ", " bytes into \""][..],
        &["fill ", " keys from ", " bytes each, in \""],
        &["remove ", " keys from ", " in \""],
        &["get key ", " of \"", ": "],
        &["0x", ".. (", " bytes)"],
    ] {
        assert!(story(words), "{words:?} in:\n{text}");
    }
}

#[test]
fn a_finding_is_saved_small_replayed_and_promoted() {
    let dir = TestFolder::new();
    let out = dir.path("out");
    let output = campaign(&out, &[&"--only", &"canary", &"--seconds", &"1", &"--jobs", &"3"]);
    assert_eq!(output.code, 1, "{}{}", output.out, output.err);
    let plans = findings(&out);
    assert_eq!(plans.len(), 2, "{plans:?}");
    for plan in &plans {
        assert!(plan.with_extension("txt").is_file());
        let first = fastness(&[&"campaign", &"replay", plan]);
        assert_eq!(first.code, 1);
        assert!(first.out.contains("FAILED Y1"), "{}", first.out);
        assert_eq!(first.out, fastness(&[&"campaign", &"replay", plan]).out);
    }
    let all = fastness(&[&"campaign", &"replay", &out.join("findings")]);
    assert_eq!(all.code, 1, "{}", all.err);
    assert!(all.out.contains("2 plans, 2 failed"), "{}", all.out);
    let folder = dir.path("regressions");
    let refused = fastness(&[&"campaign", &"promote", &plans[0]]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("is no regression test"), "{}", refused.err);
    let promote = || fastness(&[&"campaign", &"promote", &plans[0], &"--to", &folder]);
    let promoted = promote();
    assert_eq!(promoted.code, 0, "{}", promoted.err);
    assert!(promoted.out.contains("it still fails: Y1"), "{}", promoted.out);
    assert!(promote().out.contains("already exists"));
    let test = folder.join(plans[0].file_name().unwrap());
    assert_eq!(fs::read(&test).unwrap(), fs::read(&plans[0]).unwrap());
    assert!(folder.join("README.md").is_file());
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("Failed") && report.contains("campaign promote"));
}

/// The results of each check that depend on the plans alone.
fn results(out: &Path) -> Vec<Value> {
    let summary = summary(out);
    let checks = summary["checks"].as_array().unwrap();
    let names = ["name", "twin", "plans", "operations", "crash_points", "mix", "marks"];
    checks.iter().map(|check| names.iter().map(|name| check[name].clone()).collect()).collect()
}

#[test]
fn shards_with_a_limit_of_plans_are_together_the_whole_run() {
    let dir = TestFolder::new();
    let [whole, first, second, all] = ["whole", "one", "two", "all"].map(|name| dir.path(name));
    let args = ["--only", "store,crash", "--plans", "41", "--seed", "5"];
    for (out, shard) in [(&whole, "1/1"), (&first, "1/2"), (&second, "2/2")] {
        let mut command = command(&[&"campaign", &"--out", &out]);
        let output = output_of(start(command.args(args).args(["--shard", shard])));
        assert!([0, 3].contains(&output.code), "{}{}", output.out, output.err);
    }
    fastness(&[&"campaign", &"merge", &first, &second, &"--out", &all]);
    assert_eq!(results(&all), results(&whole));
    assert_eq!(results(&whole)[0][2], 41);
    assert_eq!(results(&first)[0][2], 20, "plans 1, 3, .. 39");
    assert_ne!(results(&first)[0], results(&second)[0]);
}

#[test]
fn shards_are_merged_into_one_campaign() {
    let dir = TestFolder::new();
    let [first, second, all] = ["one", "two", "all"].map(|name| dir.path(name));
    for (out, shard) in [(&first, "1/2"), (&second, "2/2")] {
        let output = campaign(
            out,
            &[&"--only", &"canary", &"--seconds", &"1", &"--seed", &"5", &"--shard", &shard],
        );
        assert_eq!(output.code, 1);
    }
    let output = fastness(&[&"campaign", &"merge", &first, &second, &"--out", &all]);
    assert_eq!(output.code, 1, "{}", output.err);
    let plans = |out: &Path| summary(out)["totals"]["plans"].as_u64().unwrap();
    assert_eq!(plans(&all), plans(&first) + plans(&second));
    assert_eq!(findings(&all).len(), 2);
}

#[cfg(unix)]
#[test]
fn an_interrupted_campaign_writes_its_report() {
    let dir = TestFolder::new();
    let out = dir.path("out");
    let mut command =
        command(&[&"campaign", &"--only", &"store", &"--seconds", &"600", &"--out", &out]);
    let child = start(&mut command);
    let running = out.join("events.jsonl");
    for _ in 0..600 {
        let text = fs::read_to_string(&running).unwrap_or_default();
        if text.contains("progress") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = output_of(child);
    assert_eq!(output.code, 130, "{}{}", output.out, output.err);
    assert_eq!(summary(&out)["verdict"], "interrupted");
    assert!(out.join("report.html").is_file());
}

#[test]
fn exit_codes_of_usage_and_environment_errors() {
    let dir = TestFolder::new();
    let file = dir.write("file", b"");
    let output = campaign(&file.join("out"), &[&"--only", &"canary", &"--seconds", &"1"]);
    assert_eq!(output.code, 4);
    assert!(output.err.contains("cannot create the folder"), "{}", output.err);
    let usages: [&[&str]; 8] = [
        &["campaign", "--only", "nothing"],
        &["campaign", "--shard", "3/2"],
        &["campaign", "--seconds", "0"],
        &["campaign", "--jobs", "0"],
        &["campaign", "--seed", "x"],
        &["campaign", "replay", "nothing:1"],
        &["campaign", "replay", "store:x"],
        &["campaign", "promote", "no-such-file.plan"],
    ];
    for usage in usages {
        let args: Vec<&dyn AsRef<OsStr>> = usage.iter().map(|arg| arg as _).collect();
        assert_eq!(fastness(&args).code, 2, "{usage:?}");
    }
}

#[cfg(feature = "faults")]
#[test]
fn a_planted_fault_is_caught_and_reported() {
    let dir = TestFolder::new();
    let out = dir.path("faults");
    let args: [&dyn AsRef<OsStr>; 8] =
        [&"faults", &"--only", &"BT-01", &"--seconds", &"5", &"--json", &"--out", &out];
    let value = json(&fastness(&args));
    assert_eq!(value["clean_findings"], serde_json::json!([]));
    assert_eq!(value["faults"][0]["id"], "BT-01");
    assert!(value["faults"][0]["reached"].as_u64().unwrap() > 0);
    assert_eq!(value["faults"][0]["catches"][0]["invariant"], "A1");
    assert!(fs::read_to_string(out.join("faults.md")).unwrap().contains("| BT-01 |"));
    assert_eq!(fastness(&[&"faults", &"--only", &"XX-99"]).code, 2);
}

#[cfg(not(feature = "faults"))]
#[test]
fn a_build_without_faults_has_no_faults_command() {
    assert_eq!(fastness(&[&"faults"]).code, 2);
}
