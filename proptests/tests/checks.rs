//! Property tests of the checks: generated plans for both twins, promoted regressions, and
//! self-tests: a plan is deterministic, the canary is caught and shrinks.

use fastness_sim::Rng;
use fastness_sim::check::{
    CANARY, CHECKS, Check, NO_PANIC, Op, OpKind, Plan, Probe, Twin, by_name,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Plans per check and twin; campaigns run many more.
const CASES: u32 = 300;
/// Checks whose plans take longest; campaigns run them as long as others.
const SLOW: [&str; 2] = ["bounds", "reset"];
const OPS_MAX: usize = 60;

fn plans(check: &'static Check) -> impl Strategy<Value = Plan> {
    let mix = check.mix().iter();
    let kinds: Vec<OpKind> = mix.flat_map(|(kind, weight)| vec![*kind; *weight]).collect();
    let op = (select(kinds), any::<[u8; 3]>()).prop_map(|(kind, operands)| Op::new(kind, operands));
    (any::<u32>(), vec(op, 0..OPS_MAX)).prop_map(|(salt, ops)| Plan { salt, ops })
}

#[track_caller]
fn check_passes(name: &str, twin: Twin) {
    let check = by_name(name).unwrap();
    // Deterministic plans; campaigns are random.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let cases = if SLOW.contains(&name) { CASES / 4 } else { CASES };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, rng).run(&plans(check), |plan| {
        let outcome = check.run(&plan, twin, &mut Probe::default());
        outcome.map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    if let Err(violation) = outcome {
        panic!("{name} {}: {violation}", twin.name());
    }
}

macro_rules! check_tests {
    ($($name:literal => $plain:ident, $encrypted:ident;)*) => {$(
        #[test]
        fn $plain() {
            check_passes($name, Twin::Plain);
        }

        #[test]
        fn $encrypted() {
            check_passes($name, Twin::Encrypted);
        }
    )*};
}

check_tests! {
    "store" => store_holds, store_holds_encrypted;
    "crash" => crash_holds, crash_holds_encrypted;
    "io-errors" => io_errors_hold, io_errors_hold_encrypted;
    "damage" => damage_holds, damage_holds_encrypted;
    "adversary" => adversary_holds, adversary_holds_encrypted;
    "nonces" => nonces_hold, nonces_hold_encrypted;
    "pins" => pins_hold, pins_hold_encrypted;
    "compaction" => compaction_holds, compaction_holds_encrypted;
    "unsynced" => unsynced_holds, unsynced_holds_encrypted;
    "writers" => writers_hold, writers_hold_encrypted;
    "auth" => auth_holds, auth_holds_encrypted;
    "objects" => objects_hold, objects_hold_encrypted;
    "schema" => schema_holds, schema_holds_encrypted;
    "queries" => queries_hold, queries_hold_encrypted;
    "instances" => instances_hold, instances_hold_encrypted;
    "file-actions" => file_actions_hold, file_actions_hold_encrypted;
    "observers" => observers_hold, observers_hold_encrypted;
    "mirror" => mirror_holds, mirror_holds_encrypted;
    "bounds" => bounds_hold, bounds_hold_encrypted;
    "interleaved" => interleaved_holds, interleaved_holds_encrypted;
    "merge" => merge_holds, merge_holds_encrypted;
    "sync" => sync_holds, sync_holds_encrypted;
    "sessions" => sessions_hold, sessions_hold_encrypted;
    "reset" => resets_hold, resets_hold_encrypted;
}

#[test]
fn every_check_is_tested_here_and_can_be_found() {
    let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    let tested = "store crash io-errors damage adversary nonces pins compaction unsynced writers \
                  auth objects schema queries instances file-actions observers \
                  mirror bounds interleaved merge sync sessions reset";
    assert_eq!(names.join(" "), tested);
    for check in CHECKS {
        assert_eq!(by_name(check.name).unwrap().name, check.name);
        assert!(!check.marks.is_empty() && !check.invariants.is_empty());
    }
}

#[test]
fn promises_of_checks_are_those_of_the_register() {
    let register = crate::tidy::WorkTree::here().text("docs/promises.md").unwrap();
    for invariant in CHECKS.iter().flat_map(|check| check.invariants).chain([&NO_PANIC]) {
        let row = format!("| {} | {} |", invariant.id, invariant.promise);
        assert!(register.contains(&row), "not in docs/promises.md: {row}");
    }
}

#[test]
fn any_bytes_are_a_plan_and_plans_survive_their_bytes() {
    let mut rng = Rng::new(7);
    for len in 0..64 {
        let bytes: Vec<u8> = (0..len).map(|_| rng.byte()).collect();
        let plan = Plan::from_bytes(&bytes);
        assert_eq!(Plan::from_bytes(&plan.to_bytes()), plan);
    }
}

#[test]
fn the_same_plan_gives_the_same_result_and_trace() {
    for check in CHECKS {
        for twin in Twin::ALL {
            for seed in 0..2 {
                let plan = check.plan(seed);
                let [one, two] = [(); 2].map(|()| {
                    let mut probe = Probe::tracing();
                    (check.run(&plan, twin, &mut probe), probe)
                });
                assert_eq!(one, two, "{} {} {seed}", check.name, twin.name());
            }
        }
    }
}

#[test]
fn the_canary_is_caught_and_shrinks_to_its_minimum() {
    for twin in Twin::ALL {
        for seed in 0..4 {
            let plan = CANARY.plan(seed);
            let violation = CANARY.run(&plan, twin, &mut Probe::default()).unwrap_err();
            let small = CANARY.shrink(&plan, twin, &violation, 5000);
            let kinds: Vec<OpKind> = small.ops.iter().map(|op| op.kind).collect();
            let minimum = [OpKind::Insert, OpKind::Insert, OpKind::Insert, OpKind::Commit];
            assert_eq!((violation.invariant, &kinds[..]), ("Y1", &minimum[..]), "{small}");
        }
    }
}

/// Replays a plan file: `fastness-plan 1 CHECK TWIN INVARIANT`, hexadecimal bytes, comments.
#[track_caller]
fn replay(text: &str) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_eq!(words[..2], ["fastness-plan", "1"]);
    let check = by_name(words[2]).unwrap();
    let twin = *Twin::ALL.iter().find(|twin| twin.name() == words[3]).unwrap();
    let digits: Vec<char> = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    let outcome = check.run(&Plan::from_bytes(&bytes), twin, &mut Probe::default());
    assert_eq!(outcome, Ok(()), "{text}");
}

#[test]
fn promoted_findings_stay_fixed() {
    let tree = crate::tidy::WorkTree::here();
    for path in tree.under("proptests/regressions/").filter(|path| path.ends_with(".plan")) {
        replay(&tree.text(path).unwrap());
    }
}

/// A failed sync loses the length of the file, the file is reopened, and the power is cut. Recovery
/// trusted data from the page cache.
#[test]
fn recovery_rewrites_data_that_a_failed_sync_lost() {
    replay("fastness-plan 1 io-errors plain C5\n090d005a1a0000001a02000200000000090000001a000002");
    replay(
        "fastness-plan 1 io-errors encrypted C5\n090d005a1a0000001a02000200000000090000001a000002",
    );
}

/// Inserting and removing the same entry still creates a commit, and the previous slot needs
/// different pages than the one before.
#[test]
fn pins_of_both_slots_hold_across_an_empty_commit() {
    for twin in ["plain", "encrypted"] {
        let plan = "000000001b0200000002000009000000000000000800000109000000";
        replay(&format!("fastness-plan 1 pins {twin} S2\n{plan}"));
    }
}

#[test]
fn a_page_map_draws_every_page_of_both_twins() {
    let ops = [
        Op::new(OpKind::Fill, [0, 0, 60]),
        Op::new(OpKind::Commit, [0; 3]),
        Op::new(OpKind::Reopen, [0; 3]),
    ];
    let plan = Plan { salt: 0x4004, ops: ops.to_vec() };
    let check = by_name("store").unwrap();
    for twin in Twin::ALL {
        let map = check.page_map(&plan, twin);
        let rows: Vec<&str> = map.lines().filter(|line| line.contains("HHH")).collect();
        assert_eq!(rows.len(), 1, "{map}");
        assert!(rows[0].contains('L') && !rows[0].contains('!'), "{map}");
        let path = "/sim/store.fast: ";
        let bytes = map.lines().find_map(|line| line.strip_prefix(path)?.strip_suffix(" bytes"));
        let pages = bytes.unwrap().parse::<usize>().unwrap() / 4096;
        assert_eq!(rows[0].trim_start_matches([' ', '0']).len(), pages, "{map}");
    }
}
