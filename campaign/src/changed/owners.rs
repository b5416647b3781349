//! Which checks and tests attack which part of the source.

use fastness_sim::check::{CHECKS, Check};
use std::fmt::Write as _;

/// A part of the source, with what attacks it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// A folder or a file, from the root of the checkout.
    pub path: &'static str,
    /// Names of checks.
    pub checks: &'static [&'static str],
    /// Arguments of `cargo test`, one run each.
    pub tests: &'static [&'static str],
}

const fn owner(
    path: &'static str,
    checks: &'static [&'static str],
    tests: &'static [&'static str],
) -> Owner {
    Owner { path, checks, tests }
}

const LOOM: &str = "-p fastness-loom-tests";
const TIDY: &str = "-p fastness-proptests --test main tidy";
const SERVER: &str = "-p fastness-server";

/// All owners; of several that contain a file, the longest path counts.
pub const OWNERS: &[Owner] = &[
    owner("core/src", &["store", "crash"], &["-p fastness"]),
    owner("core/src/codec.rs", &["store", "damage"], &["-p fastness --lib codec::"]),
    owner("core/src/conc.rs", &["writers"], &[LOOM]),
    owner("core/src/config", &["file-actions"], &["-p fastness --test main configuration"]),
    owner("core/src/crypto", &["nonces", "adversary"], &["-p fastness --lib crypto::"]),
    owner("core/src/fault", &[], &["-p fastness-proptests --test main faults_page"]),
    owner("core/src/inspect", &["damage"], &["-p fastness-cli --test main tools"]),
    owner(
        "core/src/instance",
        &["instances", "file-actions"],
        &["-p fastness --test main instances", "-p fastness-loom-tests --test main instances"],
    ),
    owner("core/src/key_file.rs", &[], &["-p fastness --lib key_file::"]),
    owner(
        "core/src/object",
        &["objects", "queries", "observers"],
        &["-p fastness --lib object::", "-p fastness-loom-tests --test main observers"],
    ),
    owner("core/src/page", &["crash", "damage", "adversary"], &["-p fastness --lib page::"]),
    owner("core/src/pager", &["crash", "io-errors", "bounds"], &["-p fastness --lib pager::"]),
    owner("core/src/schema", &["schema"], &["-p fastness --lib schema::"]),
    owner("core/src/space", &["crash", "bounds", "compaction"], &["-p fastness --lib space::"]),
    owner("core/src/table", &["objects", "mirror", "queries"], &["-p fastness --lib table::"]),
    owner("core/src/tree", &["store", "crash", "damage"], &["-p fastness --lib tree::"]),
    owner(
        "core/src/txn",
        &["crash", "unsynced", "pins", "io-errors", "compaction", "writers", "interleaved"],
        &["-p fastness --lib txn::", LOOM],
    ),
    owner("core/src/typed", &["objects"], &["-p fastness --test main typed"]),
    owner("core/src/verify.rs", &["damage", "objects"], &["-p fastness --lib verify::"]),
    owner(
        "core/src/vfs",
        &["crash", "io-errors", "interleaved"],
        &["-p fastness --test main paths"],
    ),
    owner("core/derive", &[], &["-p fastness --test main derived"]),
    owner("core/auth", &["auth"], &["-p fastness-auth"]),
    owner("core/sync", &["merge", "sync", "sessions", "reset"], &["-p fastness-sync"]),
    owner(
        "core/sync/src/merge",
        &["merge", "sync"],
        &["-p fastness-sync --lib merge::", "-p fastness-proptests --test main merge"],
    ),
    owner(
        "core/sync/src/session",
        &["sessions", "reset"],
        &["-p fastness-sync --test main session"],
    ),
    owner("client", &["auth"], &["-p fastness-client", SERVER]),
    owner("server", &[], &[SERVER]),
    owner("cli", &[], &["-p fastness-cli"]),
    owner(
        "crashkit",
        &["crash", "io-errors"],
        &["-p fastness-crashkit", "-p fastness-proptests --test main sim_disk"],
    ),
    owner("models", &[], &["-p fastness-models", "-p fastness-proptests --test main replay"]),
    owner("sim", &[], &["-p fastness-proptests --test main checks"]),
    owner("foreign", &[], &["--manifest-path foreign/Cargo.toml -p foreign-harness"]),
    owner("campaign", &[], &["-p fastness-campaign", "-p fastness-cli --test main campaign"]),
    owner("examples", &[], &["-p fastness-examples"]),
    owner("snapshots", &[], &["-p fastness-snapshots"]),
    owner("proptests", &[], &["-p fastness-proptests"]),
    owner("loom-tests", &[], &[LOOM]),
    owner("testkit", &[], &["-p fastness-testkit"]),
    owner("docs", &[], &[TIDY]),
];

/// Returns the owner of a changed file, if there is one.
#[must_use]
pub fn owner_of(file: &str) -> Option<&'static Owner> {
    let contains = |owner: &&Owner| {
        file.strip_prefix(owner.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    OWNERS.iter().filter(contains).max_by_key(|owner| owner.path.len())
}

/// Returns the check that a file of `sim/src/check` implements, by its name.
#[must_use]
pub fn check_in(file: &str) -> Option<&'static Check> {
    let rest = file.strip_prefix("sim/src/check/")?;
    let parts = rest.split('/').map(|part| part.trim_end_matches(".rs").replace('_', "-"));
    let mut named = parts.filter_map(|part| CHECKS.iter().find(|check| check.name == part));
    named.next_back()
}

/// Returns the owners as a Markdown table.
#[must_use]
pub fn table() -> String {
    let mut text = "| part | checks | tests |\n|---|---|---|\n".to_owned();
    for Owner { path, checks, tests } in OWNERS {
        let tests: Vec<String> = tests.iter().map(|test| format!("`cargo test {test}`")).collect();
        let (checks, tests) = (checks.join(", "), tests.join("<br>"));
        writeln!(text, "| `{path}` | {checks} | {tests} |").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness_sim::check::by_name;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn every_owner_exists_and_every_check_is_owned() {
        let mut owned = BTreeSet::new();
        for owner in OWNERS {
            assert!(root().join(owner.path).exists(), "{}", owner.path);
            for name in owner.checks {
                assert!(by_name(name).is_some(), "{name}");
                owned.insert(*name);
            }
        }
        let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(owned, all);
    }

    #[test]
    fn every_module_of_the_store_has_an_owner_of_its_own() {
        // Files that every module uses belong to all of `core/src`.
        let shared = [
            "app_error.rs",
            "error.rs",
            "error_kind.rs",
            "error_text.rs",
            "format_doc.rs",
            "lib.rs",
            "sorted.rs",
            "time.rs",
            "unit.rs",
        ];
        for entry in fs::read_dir(root().join("core/src")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let owner = owner_of(&format!("core/src/{name}")).unwrap();
            assert_eq!(owner.path == "core/src", shared.contains(&&*name), "{name}: {owner:?}");
        }
    }

    #[test]
    fn the_longest_path_counts() {
        let path = |file| owner_of(file).map(|owner| owner.path);
        assert_eq!(path("core/src/tree/edit.rs"), Some("core/src/tree"));
        assert_eq!(path("core/src/trees.rs"), Some("core/src"));
        assert_eq!(path("core/sync/src/reset/mod.rs"), Some("core/sync"));
        assert_eq!(path("LICENSE"), None);
        let check = |file| check_in(file).map(|check| check.name);
        assert_eq!(check("sim/src/check/io_errors.rs"), Some("io-errors"));
        assert_eq!(check("sim/src/check/sync/sessions/link.rs"), Some("sessions"));
        assert_eq!(check("sim/src/check/sync/world.rs"), Some("sync"));
        assert_eq!(check("sim/src/check/plan.rs"), None);
    }

    #[test]
    fn contributing_has_the_table() {
        let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
        assert!(page.contains(&table()), "put this into CONTRIBUTING.md:\n{}", table());
    }
}
