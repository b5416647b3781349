//! The fuzz targets of a checkout as programs.

use crate::files::{self, EnvironmentError};
use crate::tool::{Ending, Tool, problem_line};
use fastness_sim::check::{Check, by_name};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How the coverage that libFuzzer needs is compiled in, on any toolchain.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const INPUT_SECONDS: u64 = 60;
const MEMORY_MIB: u64 = 2560;

/// The fuzz targets of a checkout, built below the folder of a night.
pub(super) struct FuzzPrograms<'a> {
    /// Root of the checkout.
    pub(super) root: &'a Path,
    /// Target triple of the compiler's host.
    pub(super) host: &'a str,
    /// The folder of the night, absolute.
    pub(super) dir: &'a Path,
}

impl FuzzPrograms<'_> {
    /// Builds every target; returns the problem if they do not build.
    pub(super) fn build(&self, stop: &AtomicBool) -> Result<Result<(), String>, EnvironmentError> {
        let manifest = self.root.join("fuzz/Cargo.toml");
        let tool = Tool::new("cargo", self.root, self.log("build-fuzz"))
            .args(["build", "--release", "--target", self.host, "--manifest-path"])
            .args([manifest.as_os_str(), "--target-dir".as_ref(), self.builds().as_os_str()])
            .env("RUSTFLAGS", RUSTFLAGS);
        let (ending, output) = tool.run(BUILD_LIMIT, stop)?;
        Ok(match ending {
            Ending::Success => Ok(()),
            Ending::Failure | Ending::TimeLimit | Ending::Stopped => {
                Err(format!("its targets do not build: {}", problem_line(&output)))
            }
        })
    }

    /// Returns the program of a target.
    pub(super) fn program(&self, target: &str) -> PathBuf {
        self.builds().join(self.host).join("release").join(target)
    }

    /// Returns a run of a target with these arguments, and with bounds for each input.
    pub(super) fn tool(&self, target: &str, args: &[String]) -> Tool {
        let log = self.log(&format!("fuzz-{target}"));
        Tool::new(self.program(target), self.root, log).args(args).args([
            format!("-max_len={}", max_len(target)),
            format!("-timeout={INPUT_SECONDS}"),
            format!("-rss_limit_mb={MEMORY_MIB}"),
            "-reload=0".to_owned(),
        ])
    }

    fn builds(&self) -> PathBuf {
        self.dir.join("build").join("fuzz")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.txt"))
    }
}

/// Returns the names of the targets of a checkout.
pub(super) fn targets(root: &Path) -> Result<Vec<String>, EnvironmentError> {
    let folder = root.join("fuzz/fuzz_targets");
    let list = fs::read_dir(&folder).map_err(files::error(&folder, "list the folder"))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = list.filter_map(|it| stem(it.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// Returns the folder of the committed inputs of a target.
pub(super) fn committed(root: &Path, target: &str) -> PathBuf {
    root.join("fuzz/corpus").join(target)
}

/// Returns the check whose plans a target reads.
pub(super) fn check_of(target: &str) -> Option<&'static Check> {
    match target {
        "auth_users" => by_name("auth"),
        "sync_merge" => by_name("merge"),
        "sync_replicas" => by_name("sync"),
        "sync_sessions" => by_name("sessions"),
        "sync_resets" => by_name("reset"),
        // The target of this name reads answers of a server, the check has another.
        "auth" => None,
        _ => by_name(&target.replace('_', "-")),
    }
}

/// Returns the useful length of an input, in bytes.
fn max_len(target: &str) -> usize {
    match target {
        "file" | "object_file" => 16_384,
        "page" => 8192,
        "seal" => 4128,
        "auth" => 512,
        _ if check_of(target).is_some() => 1024,
        _ => 4096,
    }
}
