//! Writes the seed corpora of the fuzz targets: `seeds DIR [TARGET..]` writes `DIR/TARGET/` for
//! each target. Seeds of a check are few plans of a campaign that together hit every mark its first
//! plans hit.

use fastness_proptests::BODIES;
use fastness_proptests::bodies::{
    auth_seeds, entry_seeds, file_seeds, frame_seeds, http_seeds, object_file_seeds, page_seeds,
    seal_seeds, server_seeds, session_seeds, snapshot_seeds,
};
use fastness_sim::check::{self, Plan, Probe, Twin};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs, io};

/// Number of candidate plans.
const PLANS: u64 = 300;

/// Returns plans of a check, for both twins: a small cover of all marks that the candidates hit.
fn plans(target: &str) -> Vec<Vec<u8>> {
    let Some(check) = check::by_name(&target.replace('_', "-")) else { return Vec::new() };
    let mut seeds = Vec::new();
    for (first, twin) in Twin::ALL.into_iter().enumerate() {
        let mut tried = Vec::new();
        for seed in 0..PLANS {
            let (plan, mut probe) = (check.plan(seed), Probe::default());
            if check.run(&plan, twin, &mut probe).is_ok() {
                tried.push((plan, probe.marks));
            }
        }
        let mut left: BTreeSet<&str> = check.marks.iter().copied().collect();
        loop {
            let meets = |marks: &BTreeMap<&'static str, u64>| {
                left.iter().filter(|mark| marks.contains_key(*mark)).count()
            };
            let most = |(plan, marks): &&(Plan, _)| (meets(marks), Reverse(plan.ops.len()));
            let Some((plan, marks)) = tried.iter().max_by_key(most) else { break };
            if meets(marks) == 0 {
                break;
            }
            let twin = u8::try_from(first).unwrap_or_default();
            seeds.push([vec![twin], plan.to_bytes()].concat());
            left.retain(|mark| !marks.contains_key(mark));
        }
    }
    seeds
}

fn main() -> io::Result<()> {
    let mut args = env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "fuzz/corpus".to_owned()));
    let wanted: Vec<String> = args.collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|other| other == name);
    for body in BODIES.iter().filter(|body| is_wanted(body.name)) {
        let seeds = match body.name {
            "auth" => auth_seeds(),
            "entry" => entry_seeds(),
            "file" => file_seeds(),
            "frame" => frame_seeds(),
            "object_file" => object_file_seeds(),
            "http" => http_seeds(),
            "page" => page_seeds(),
            "seal" => seal_seeds(),
            "server" => server_seeds(),
            "session" => session_seeds(),
            "snapshot" => snapshot_seeds(),
            "auth_users" => plans("auth"),
            "sync_merge" => plans("merge"),
            "sync_replicas" => plans("sync"),
            "sync_sessions" => plans("sessions"),
            "sync_resets" => plans("reset"),
            check => plans(check),
        };
        fs::create_dir_all(dir.join(body.name))?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(dir.join(body.name).join(format!("seed-{index:02}")), seed)?;
        }
    }
    Ok(())
}
