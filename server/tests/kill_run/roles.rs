//! The processes: started from this binary, spoken to by lines, and killed.

use super::device;
use fastness_auth::server::{Rate, RateLimits};
use fastness_server::{Config, HashCosts, start};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// The variable with the role of a process.
pub(crate) const ROLE: &str = "FASTNESS_KILL_RUN_ROLE";

/// Begin of the lines of a process that the run reads.
const MARK: &str = "@ ";

/// Says a line to the run.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The line is one write, so that a kill leaves the whole of it or nothing.
    let written = out.write_all(format!("\n{MARK}{line}\n").as_bytes());
    written.and_then(|()| out.flush()).unwrap();
}

/// Plays the role of a process.
pub(crate) fn run(role: &str) {
    let (name, arguments) = role.split_once(' ').unwrap();
    match name {
        "server" => serve(Path::new(arguments)),
        "device" => device::run(arguments),
        _ => panic!("no such role: {role}"),
    }
}

/// Returns the configuration of the server.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::new(folder.join("server"), ([127, 0, 0, 1], 0));
    config.hashing = HashCosts { memory_kib: 8, passes: 1 };
    let often = Rate { burst: 100_000, interval: Duration::from_micros(1) };
    config.limits = RateLimits { name: often, address: often, token: often, line: often };
    config.backup = Some(folder.join("backup"));
    config.sync.upkeep_interval = Duration::from_secs(3600);
    config
}

fn serve(folder: &Path) {
    let server = start(config(folder)).unwrap();
    say(&format!("listening {}", server.address()));
    // The run keeps its side open.
    std::io::stdin().lock().lines().for_each(drop);
}

/// A process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a process in a role. Files that it writes may have so many blocks of 512 bytes.
    pub(crate) fn start(role: &str, blocks_max: Option<u64>) -> Self {
        let binary = std::env::current_exe().unwrap();
        let mut command = match blocks_max {
            None => Command::new(binary),
            Some(blocks) => {
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                let mut shell = Command::new("sh");
                shell.args(["-c", &script]).arg(binary);
                shell
            }
        };
        command.args(["kill_run::process", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines): (Sender<String>, _) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix(MARK) {
                    sender.send(line.to_owned()).unwrap_or_default();
                }
            }
        });
        Self { child, input, lines }
    }

    /// Says a line to the process, if it still runs.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap_or_default();
    }

    /// Returns the lines of the process; it ends with them.
    pub(crate) const fn lines(&self) -> &Receiver<String> {
        &self.lines
    }

    /// Kills the process, and returns its last lines.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// The file of a database of a user below a folder of databases.
pub(crate) fn database(folder: &Path, identity: &str) -> PathBuf {
    folder.join(format!("{identity}.d/list.fastness"))
}
