//! The to-do list does what README.md says of it, with a server that loses its disk.

use fastness_server::{Config, SyncRequest, operate, start};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const README: &str = include_str!("../../README.md");
/// A time-out that only a failing test reaches.
const FOREVER: Duration = Duration::from_secs(60);

/// A terminal with a to-do list.
struct Terminal {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Terminal {
    fn open(url: &str, folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_todo"))
            .args([url, "alice", "s3cret-word"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                sender.send(line.unwrap()).unwrap_or_default();
            }
        });
        Self { process, input, lines, seen: Vec::new() }
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Waits for a line that begins like this.
    #[track_caller]
    fn shows(&mut self, expected: &str) {
        loop {
            let line = self.lines.recv_timeout(FOREVER).unwrap_or_else(|_| {
                panic!("`{expected}` is not shown: {:#?}", self.seen);
            });
            self.seen.push(line.clone());
            if line.starts_with(expected) {
                return;
            }
        }
    }

    /// Ends the input, and waits for the end of the program.
    fn close(self) -> Vec<String> {
        let Self { mut process, input, lines, mut seen } = self;
        drop(input);
        seen.extend(lines.iter());
        assert!(process.wait().unwrap().success(), "{seen:#?}");
        seen
    }
}

/// Returns the file of the only database below a folder.
fn database(folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("todo.fastness") {
                return path;
            }
        }
    }
    panic!("no database");
}

#[test]
fn two_terminals_share_a_list_that_survives_the_loss_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (data, backups) = (folder.path().join("server"), folder.path().join("backups"));
    let mut config = Config::new(&data, ([127, 0, 0, 1], 0));
    config.backup = Some(backups.clone());
    let server = start(config.clone()).unwrap();
    // The first terminal registers the name.
    let mut first = Terminal::open(&server.url(), &one);
    first.shows("nothing to do");
    let mut second = Terminal::open(&server.url(), &two);
    second.shows("nothing to do");
    first.type_line("add milk");
    second.shows("[ ] milk");
    second.type_line("done milk");
    first.shows("[x] milk");
    second.close();
    operate(&config, &SyncRequest::Upkeep).unwrap();
    first.type_line("add bread");
    first.type_line("sync");
    first.shows("in sync");
    first.close();

    // The server loses its disk, and the operator restores the backup, which has no bread.
    server.stop();
    std::fs::copy(database(&backups), database(&data)).unwrap();
    let server = start(config).unwrap();
    let mut first = Terminal::open(&server.url(), &one);
    first.shows("The list in the backup: ");
    first.type_line("sync");
    first.shows("in sync");
    let seen = first.close();
    let mut second = Terminal::open(&server.url(), &two);
    second.shows("[ ] bread  [x] milk");
    second.close();
    for line in shown() {
        assert!(seen.contains(&line), "README.md shows `{line}`, which is not in {seen:#?}");
    }
}

/// Returns what README.md shows of the terminal after the restore.
fn shown() -> Vec<String> {
    let (_, section) = README.split_once("## Sync\n").unwrap();
    let block = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    block.lines().map(str::to_owned).collect()
}
