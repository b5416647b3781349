//! The run: processes and connections that end at random, a server that is restored from its backup
//! and one whose disk is full.

use super::Draw;
use super::check::{Ledger, State, check};
use super::proxy::Proxy;
use super::roles::{FOREVER, Place, Process, credentials, database};
use crate::{fastness, fork_lock};
use ::fastness::{Key, StoreOptions};
use fastness_client::Client;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Devices that commit.
const DEVICES: usize = 4;

/// An event at a part of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Milestone {
    /// The server makes a backup.
    BackUp,
    /// The server is replaced by its backup.
    Restore,
    /// The files of the server cannot grow.
    Full,
    /// They can again.
    Space,
    /// Nothing is killed, and everything is checked.
    Check,
}

/// The milestones, with their parts of the time.
pub(crate) const MILESTONES: [(f64, Milestone); 9] = [
    (0.15, Milestone::BackUp),
    (0.3, Milestone::Check),
    (0.3, Milestone::Restore),
    (0.45, Milestone::Full),
    (0.6, Milestone::Space),
    (0.6, Milestone::Check),
    (0.65, Milestone::BackUp),
    (0.8, Milestone::Restore),
    (1.0, Milestone::Check),
];

/// Counts of a run.
#[derive(Debug, Default)]
struct Figures {
    device_kills: u64,
    server_kills: u64,
    backups: u64,
    restores: u64,
    checks: u64,
    cuts: u64,
}

/// The processes, and their ledgers.
pub(crate) struct Chaos {
    folder: TempDir,
    identity: String,
    proxy: Proxy,
    /// None if it could not start on a full disk.
    server: Option<Process>,
    blocks_max: Option<u64>,
    devices: Vec<Process>,
    ledgers: Vec<Ledger>,
    draw: Draw,
    figures: Figures,
}

impl Chaos {
    pub(crate) fn begin(seed: u64) -> Self {
        let mut chaos = Self {
            folder: tempfile::tempdir().unwrap(),
            identity: String::new(),
            proxy: Proxy::new(seed),
            server: None,
            blocks_max: None,
            devices: Vec::new(),
            ledgers: vec![Ledger::default(); DEVICES + 1],
            draw: Draw::new(seed),
            figures: Figures::default(),
        };
        let url = chaos.start_server().expect("a server");
        let users = StoreOptions::new().key(Key::new([7; 64]));
        let users = {
            let _fork_lock = fork_lock();
            users.create(chaos.folder.path().join("users")).unwrap()
        };
        let config =
            fastness_client::Config { proxy: fastness_client::Proxy::None, ..Default::default() };
        let client = Client::open(users, config).unwrap();
        let user = client.log_in(&url, credentials("killer", "password", true)).unwrap();
        user.user().identity().clone_into(&mut chaos.identity);
        chaos.devices = (1..=DEVICES).map(|index| chaos.start_device(index)).collect();
        chaos
    }

    /// Starts the server; returns its URL, or nothing if the disk is full.
    fn start_server(&mut self) -> Option<String> {
        let server = Process::server(
            self.folder.path(),
            &Place { blocks_max: self.blocks_max, ..Place::HERE },
        );
        let begun = server.lines().recv_timeout(FOREVER).ok();
        assert!(begun.is_some() || self.blocks_max.is_some(), "the server does not start");
        let url = begun?;
        self.proxy.set_target(url.strip_prefix("http://").unwrap().parse().unwrap());
        self.server = Some(server);
        Some(url)
    }

    fn kill_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
            self.figures.server_kills += 1;
        }
    }

    fn start_device(&self, index: usize) -> Process {
        let folder = self.folder.path().join(format!("device-{index}"));
        std::fs::create_dir_all(&folder).unwrap();
        let (next, url) = (self.ledgers[index].begun + 1, self.proxy.address);
        let role = format!("device {index} {next} http://{url} {}", folder.display());
        Process::device(&role, &Place::HERE)
    }

    /// Does one thing at random.
    pub(crate) fn step(&mut self) {
        thread::sleep(Duration::from_millis(20 + self.draw.below(120)));
        match self.draw.below(100) {
            0..40 => {
                let at = usize::try_from(self.draw.below(DEVICES as u64)).unwrap();
                self.kill_device(at);
            }
            40..55 => {
                self.kill_server();
                self.start_server();
            }
            55..75 => self.proxy.cut(),
            75..85 => drop(self.back_up()),
            _ => {}
        }
        (0..DEVICES).for_each(|at| self.hear(at));
    }

    /// Kills a device; `at` is its place.
    fn kill_device(&mut self, at: usize) {
        let device = self.devices.remove(at);
        let ledger = &mut self.ledgers[at + 1];
        device.kill().iter().for_each(|line| ledger.note(line));
        let device = self.start_device(at + 1);
        self.devices.insert(at, device);
        self.figures.device_kills += 1;
    }

    /// Notes what a device has said.
    fn hear(&mut self, at: usize) {
        loop {
            match self.devices[at].lines().try_recv() {
                Ok(line) => self.ledgers[at + 1].note(&line),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => panic!("device {} has ended", at + 1),
            }
        }
    }

    pub(crate) fn reach(&mut self, milestone: Milestone) {
        match milestone {
            Milestone::BackUp => {
                let begun = Instant::now();
                while !self.back_up() {
                    assert!(begun.elapsed() < FOREVER, "no backup");
                }
            }
            Milestone::Restore => {
                self.kill_server();
                std::fs::copy(self.database("backup"), self.database("server/databases")).unwrap();
                self.figures.restores += 1;
                self.start_server();
            }
            Milestone::Full => {
                let file = std::fs::metadata(self.database("server/databases")).unwrap();
                self.blocks_max = Some(file.len().div_ceil(512));
                self.kill_server();
                self.start_server();
            }
            Milestone::Space => {
                self.blocks_max = None;
                self.kill_server();
                self.start_server();
            }
            Milestone::Check => self.check(),
        }
    }

    fn database(&self, folder: &str) -> PathBuf {
        database(&self.folder.path().join(folder), &self.identity)
    }

    /// Makes a backup, if the server runs and has room for it.
    fn back_up(&mut self) -> bool {
        let data = self.folder.path().join("server");
        let upkeep = fastness(&[&"server", &"upkeep", &"--data", &data]);
        let is_made = upkeep.code == 0 && self.database("backup").is_file();
        self.figures.backups += u64::from(is_made);
        is_made
    }

    /// Lets all devices have everything, and checks it. They go on afterwards.
    fn check(&mut self) {
        self.proxy.set_calm(true);
        self.kill_server();
        self.start_server();
        self.order("drain");
        self.ledgers.iter_mut().for_each(Ledger::begin_strict_phase);
        self.order("last");
        let mut states = self.order("dump");
        // A device that has nothing gets all of it.
        self.devices.insert(0, self.start_device(0));
        self.devices[0].tell("dump");
        states.insert(0, self.devices[0].answer(&mut self.ledgers[0]));
        self.devices.remove(0).kill();
        std::fs::remove_dir_all(self.folder.path().join("device-0")).unwrap();
        check(&self.ledgers, &states);
        self.figures.checks += 1;
        self.proxy.set_calm(false);
        self.devices.iter_mut().for_each(|device| device.tell("go"));
    }

    /// Returns the figures of the run.
    pub(crate) fn end(mut self) -> String {
        self.figures.cuts = self.proxy.cuts();
        format!("kill run: {}, {}", self.figures, Ledger::figures(&self.ledgers))
    }

    /// Gives an order to all devices, and waits until they have done it.
    fn order(&mut self, order: &str) -> Vec<State> {
        order_all(&mut self.devices, &mut self.ledgers[1..], order)
    }
}

/// Gives an order to devices, and waits until they have done it.
pub(crate) fn order_all(
    devices: &mut [Process],
    ledgers: &mut [Ledger],
    order: &str,
) -> Vec<State> {
    devices.iter_mut().for_each(|device| device.tell(order));
    devices.iter_mut().zip(ledgers).map(|(device, ledger)| device.answer(ledger)).collect()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device_kills, server_kills, backups, restores, checks, cuts } = self;
        write!(
            f,
            "{device_kills} devices and {server_kills} servers killed, {backups} backups, \
             {restores} restores, {checks} checks, {cuts} streams cut"
        )
    }
}
