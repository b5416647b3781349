//! The checkout that a night builds its programs from, and what identifies it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// A checkout of the project.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    pub(crate) root: PathBuf,
}

impl Checkout {
    /// Returns the checkout that contains `here`.
    pub(crate) fn around(here: &Path) -> Option<Self> {
        let is_root = |root: &Path| root.join("fuzz/Cargo.toml").is_file();
        let root = here.ancestors().find(|root| is_root(root))?;
        Some(Self { root: root.to_path_buf() })
    }

    /// Returns the commit, with `+` if files have changed since.
    pub(crate) fn commit(&self) -> String {
        let commit = self.output("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
        let changes = self.output("git", &["status", "--porcelain", "--untracked-files=no"]);
        if changes.is_some_and(|changes| !changes.is_empty()) { commit + "+" } else { commit }
    }

    /// Returns the version of the compiler.
    pub(crate) fn compiler(&self) -> String {
        self.output("rustc", &["--version"]).unwrap_or_default()
    }

    /// Returns the target triple of the compiler's host.
    pub(crate) fn host(&self) -> Option<String> {
        let text = self.output("rustc", &["--version", "--verbose"])?;
        text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
    }

    fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        let output = Command::new(program).args(args).current_dir(&self.root).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }
}

/// Returns the model of the processor, and the number of cores.
pub(crate) fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    format!("{}, {cores} cores", model.trim())
}
