//! The processes: the command and this binary, spoken to by lines, and killed.

use super::check::{Ledger, State};
use super::device;
use crate::fork_lock;
use fastness_client::auth::{Credentials, Secret};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// A timeout that only a failing test reaches.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

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
        "device" => device::run(arguments),
        _ => panic!("no such role: {role}"),
    }
}

/// Where a process runs.
pub(crate) struct Place<'p> {
    /// Most blocks of 512 bytes of a file that it writes.
    pub(crate) blocks_max: Option<u64>,
    /// Network namespace; none for that of the test.
    pub(crate) namespace: Option<&'p str>,
    /// Address of a server.
    pub(crate) address: &'p str,
}

impl Place<'_> {
    /// In the network of the test, on a disk with space.
    pub(crate) const HERE: Self =
        Self { blocks_max: None, namespace: None, address: "127.0.0.1:0" };

    /// Returns the command of a program.
    fn command(&self, program: &Path) -> Command {
        if let Some(blocks) = self.blocks_max {
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).arg(program);
            return shell;
        }
        let Some(namespace) = self.namespace else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    }
}

/// A process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a device: this binary in a role.
    pub(crate) fn device(role: &str, place: &Place<'_>) -> Self {
        let mut command = place.command(&std::env::current_exe().unwrap());
        command.args(["kill_run::process", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role);
        Self::start(command, MARK)
    }

    /// Starts the server.
    pub(crate) fn server(folder: &Path, place: &Place<'_>) -> Self {
        let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_fastness")));
        command.args(["serve", "--upkeep-interval", "3600", "--listen", place.address]);
        command.args(["--attempts", "1000000", "--connections", "4096"]);
        command.arg("--data").arg(folder.join("server"));
        command.arg("--backup-to").arg(folder.join("backup"));
        command.env_remove("FASTNESS_KEY").stderr(Stdio::null());
        Self::start(command, "listening on ")
    }

    /// Notes what a device says until it has done an order; returns what it said of its state.
    pub(crate) fn answer(&mut self, ledger: &mut Ledger) -> State {
        let mut state = State::default();
        loop {
            let line = self.lines.recv_timeout(2 * FOREVER).expect("a device has ended");
            if line == "done" {
                return state;
            }
            state.note(&line);
            ledger.note(&line);
        }
    }

    /// Starts a process, and reads its lines that begin with a mark.
    fn start(mut command: Command, mark: &'static str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = {
            let _fork_lock = fork_lock();
            command.spawn().unwrap()
        };
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines): (Sender<String>, _) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix(mark) {
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

pub(crate) fn credentials(name: &str, password: &str, create: bool) -> Credentials {
    Credentials::username_password(name, Some(Secret::from(password)), create).unwrap()
}

/// The file of a database of a user below a folder of databases.
pub(crate) fn database(folder: &Path, identity: &str) -> PathBuf {
    folder.join(format!("{identity}.d/list.fastness"))
}
