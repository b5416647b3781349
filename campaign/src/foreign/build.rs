//! Builds an adapter with another version of its store: a workspace of its own, made from that of
//! `foreign/`.

use super::{Foreign, ForeignError};
use crate::files;
use crate::tool::{Ending, Tool, problem_line};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const BUILD_LIMIT: Duration = Duration::from_secs(3600);

impl Foreign {
    /// Returns the program of the adapter with the version.
    pub(super) fn build(
        &self,
        root: &Path,
        interface: &str,
        stop: &AtomicBool,
    ) -> Result<PathBuf, ForeignError> {
        let folder = self.folder();
        let manifest = folder.join("Cargo.toml");
        let foreign = root.join("foreign");
        let adapter = foreign.join(self.store.name);
        files::write(&manifest, &workspace(&files::read(&foreign.join("Cargo.toml"))?, root))?;
        let text = files::read(&adapter.join("Cargo.toml"))?;
        let text = self.package(&text, interface, &adapter);
        files::write(&folder.join("program/Cargo.toml"), &text)?;
        files::write(&folder.join("Cargo.lock"), &files::read(&foreign.join("Cargo.lock"))?)?;
        let builds = folder.with_file_name("build");
        let tool = Tool::new("cargo", &folder, folder.join("build.txt"))
            .args(["build", "--release", "--manifest-path"])
            .args([manifest.as_os_str(), "--target-dir".as_ref(), builds.as_os_str()])
            .env("FOREIGN_VERSION", &self.version);
        let (ending, output) = tool.run(BUILD_LIMIT, stop)?;
        if ending != Ending::Success {
            return Err(ForeignError::Usage(format!(
                "{} {} does not build: {}; {} has the whole output",
                self.store.name,
                self.version,
                problem_line(&output),
                folder.join("build.txt").display()
            )));
        }
        // The next version overwrites the program of the build.
        let name = format!("foreign-{}", self.store.name);
        let program = folder.join(&name);
        fs::copy(builds.join("release").join(&name), &program)
            .map_err(files::error(&program, "copy the program"))?;
        Ok(program)
    }

    /// The manifest of the adapter with the version, the interface and absolute paths.
    fn package(&self, text: &str, interface: &str, adapter: &Path) -> String {
        let dependency = format!("{} = ", self.store.dependency);
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            lines.push(if line.starts_with(&dependency) {
                with_version(line, &self.version)
            } else if line.starts_with("default = ") {
                format!("default = [\"{interface}\"]")
            } else {
                line.to_owned()
            });
        }
        let main = adapter.join("src/main.rs");
        let name = self.store.name;
        lines.push(format!("\n[[bin]]\nname = \"foreign-{name}\"\npath = {main:?}\n"));
        lines.join("\n")
    }
}

/// Replaces the first exact version of a line.
fn with_version(line: &str, version: &str) -> String {
    let Some((head, tail)) = line.split_once("\"=") else { return line.to_owned() };
    let tail = tail.split_once('"').map_or("", |(_, tail)| tail);
    format!("{head}\"={version}\"{tail}")
}

/// The manifest of the workspace with one member and absolute paths.
fn workspace(text: &str, root: &Path) -> String {
    let (head, tail) = text.split_once("members = [").unwrap_or((text, "]"));
    let tail = tail.split_once("]\n").map_or("", |(_, tail)| tail);
    let text = format!("{head}members = [\"program\"]\n{tail}");
    let root = root.display();
    text.replace("path = \"../", &format!("path = \"{root}/"))
        .replace("path = \"harness\"", &format!("path = \"{root}/foreign/harness\""))
}

#[cfg(test)]
mod tests {
    use super::{Foreign, workspace};
    use crate::foreign::by_name;
    use std::path::{Path, PathBuf};

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn the_manifests_of_the_checkout_take_a_version() {
        let text = std::fs::read_to_string(checkout().join("foreign/Cargo.toml")).unwrap();
        let workspace = workspace(&text, Path::new("/c"));
        assert!(workspace.contains("members = [\"program\"]\n"), "{workspace}");
        assert!(workspace.contains("path = \"/c/sim\""), "{workspace}");
        assert!(workspace.contains("path = \"/c/foreign/harness\""), "{workspace}");
        assert!(!workspace.contains("\"../"), "{workspace}");
        let text = std::fs::read_to_string(checkout().join("foreign/redb/Cargo.toml")).unwrap();
        let foreign = Foreign {
            store: by_name("redb").unwrap(),
            version: "2.1.4".to_owned(),
            checks: Vec::new(),
            ignore: Vec::new(),
            seconds: 1,
            runs: 1,
            seed: 1,
            out: PathBuf::new(),
            here: PathBuf::new(),
        };
        let package = foreign.package(&text, "api-2", Path::new("/c/foreign/redb"));
        assert!(package.contains("\nredb = \"=2.1.4\"\n"), "{package}");
        assert!(package.contains("\ndefault = [\"api-2\"]\n"), "{package}");
        assert!(package.contains("path = \"/c/foreign/redb/src/main.rs\"\n"), "{package}");
    }
}
