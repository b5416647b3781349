//! Child processes of a night: builds, fuzz targets, models.

use crate::files::{self, EnvironmentError};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
    /// It was killed at its time limit.
    TimeLimit,
    /// It was killed because the night stops.
    Stopped,
}

/// A command whose output goes to a file.
pub(crate) struct Tool {
    command: Command,
    log: PathBuf,
}

impl Tool {
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path, log: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        Self { command, log }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end, `limit` or `stop`; returns how it ended, and its output.
    pub(crate) fn run(
        mut self,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<(Ending, String), EnvironmentError> {
        if let Some(folder) = self.log.parent() {
            files::make_folder(folder)?;
        }
        File::create(&self.log).map_err(files::error(&self.log, "create the file"))?;
        // Two descriptors that append, so that neither overwrites the other.
        let open = || OpenOptions::new().append(true).open(&self.log);
        let program = PathBuf::from(self.command.get_program());
        let child = open().and_then(|out| {
            self.command.stdout(out).stderr(open()?);
            self.command.spawn()
        });
        let child = child.map_err(files::error(&program, "start the program"))?;
        let ending = wait(child, limit, stop).map_err(files::error(&program, "wait for it"))?;
        let output = std::fs::read(&self.log).map_err(files::error(&self.log, "read the file"))?;
        Ok((ending, String::from_utf8_lossy(&output).into_owned()))
    }
}

fn wait(mut child: Child, limit: Duration, stop: &AtomicBool) -> std::io::Result<Ending> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ending::Success } else { Ending::Failure });
        }
        let is_stopped = stop.load(Ordering::Relaxed);
        if is_stopped || start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(if is_stopped { Ending::Stopped } else { Ending::TimeLimit });
        }
        thread::sleep(POLL);
    }
}

/// Returns the first error in the output of a failed program, or else its last line.
pub(crate) fn problem_line(output: &str) -> &str {
    let says = |line: &&str| line.starts_with("error");
    output.lines().find(says).or_else(|| output.lines().last()).unwrap_or("no output")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration, stop: bool) -> (Ending, String) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let tool = Tool::new("sh", folder.path(), log).args(["-c", script]).env("WORD", "hello");
        tool.run(limit, &AtomicBool::new(stop)).unwrap()
    }

    #[test]
    fn both_outputs_are_kept_in_order() {
        let long = Duration::from_secs(600);
        let (ending, output) = run("echo $WORD; echo error >&2; echo end", long, false);
        assert_eq!((ending, output.as_str()), (Ending::Success, "hello\nerror\nend\n"));
        assert_eq!(run("exit 3", long, false).0, Ending::Failure);
    }

    #[test]
    fn a_child_that_does_not_end_is_killed() {
        let long = Duration::from_secs(600);
        assert_eq!(run("exec sleep 600", Duration::ZERO, false).0, Ending::TimeLimit);
        assert_eq!(run("exec sleep 600", long, true).0, Ending::Stopped);
    }
}
