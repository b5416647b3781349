//! Two hosts: network namespaces of the kernel with a cable between them, on which packets are late
//! and get lost, or which is unplugged for a while.
//!
//! A proxy ends a connection, and both sides see that. A packet that is lost tells no one.
//!
//! Skipped, with the reason, where the test may not make namespaces.

use super::chaos::order_all;
use super::check::{Ledger, check};
use super::roles::{FOREVER, Place, Process};
use fastness_server::auth::Secret;
use fastness_server::auth::server::{AdminReply, AdminRequest};
use fastness_server::{Config, administer};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Address of the server.
const ADDRESS: &str = "10.213.7.1";

/// Latency of the cable with netem.
const NETEM: [&str; 7] = ["netem", "delay", "20ms", "5ms", "loss", "2%", "25%"];

/// The two hosts; removed when dropped.
struct Hosts {
    server: String,
    devices: String,
}

/// Runs `ip`, or says why it failed.
fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| error.to_string())?;
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{arguments:?}: {reason}")) }
}

impl Hosts {
    fn new() -> Result<Self, String> {
        let id = std::process::id();
        let hosts = Self { server: format!("fs{id}a"), devices: format!("fs{id}b") };
        let (server, devices) = (&*hosts.server, &*hosts.devices);
        ip(&["netns", "add", server])?;
        ip(&["netns", "add", devices])?;
        // The ends of the cable have the names of their hosts.
        let cable = ["link", "add", server, "netns", server, "type", "veth"];
        ip(&[&cable[..], &["peer", "name", devices, "netns", devices]].concat())?;
        for (host, address) in [(server, "10.213.7.1/24"), (devices, "10.213.7.2/24")] {
            ip(&["-n", host, "addr", "add", address, "dev", host])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
            ip(&["-n", host, "link", "set", host, "up"])?;
        }
        Ok(hosts)
    }

    /// Makes packets late and lost; false if this kernel cannot.
    fn add_loss(&self) -> bool {
        let add = |host: &str| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", host, "tc", "qdisc", "add", "dev", host, "root"]);
            let output = command.args(NETEM).output();
            output.is_ok_and(|output| output.status.success())
        };
        add(&self.server) && add(&self.devices)
    }

    /// Unplugs the cable for a while.
    fn unplug(&self, time: Duration) {
        ip(&["-n", &self.server, "link", "set", &self.server, "down"]).unwrap();
        thread::sleep(time);
        ip(&["-n", &self.server, "link", "set", &self.server, "up"]).unwrap();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in [&self.server, &self.devices] {
            drop(ip(&["netns", "del", host]));
        }
    }
}

#[test]
fn two_hosts_on_a_bad_cable_lose_nothing() {
    let hosts = match Hosts::new() {
        Ok(hosts) => hosts,
        Err(reason) => return println!("skipped: no network namespaces: {reason}"),
    };
    if !hosts.add_loss() {
        println!("no netem in this kernel: packets are lost only while the cable is unplugged");
    }
    let folder = tempfile::tempdir().unwrap();
    let place =
        Place { namespace: Some(&hosts.server), address: &format!("{ADDRESS}:0"), ..Place::HERE };
    let server = Process::server(folder.path(), &place);
    let url = server.lines().recv_timeout(FOREVER).expect("the server starts");
    let config = Config::new(folder.path().join("server"), ([127, 0, 0, 1], 0));
    let create = AdminRequest::CreateUser {
        name: "killer".to_owned(),
        password: Some(Secret::from("password")),
        is_admin: false,
    };
    assert_eq!(administer(&config, &create).unwrap(), AdminReply::Done);
    let place = Place { namespace: Some(&hosts.devices), ..Place::HERE };
    let mut devices: Vec<Process> = (1..=2)
        .map(|index| {
            let folder = folder.path().join(format!("device-{index}"));
            std::fs::create_dir_all(&folder).unwrap();
            Process::device(&format!("device {index} 1 {url} {}", folder.display()), &place)
        })
        .collect();
    for time in [100, 700, 300] {
        thread::sleep(Duration::from_millis(500));
        hosts.unplug(Duration::from_millis(time));
    }
    let mut ledgers = vec![Ledger::default(); 3];
    order_all(&mut devices, &mut ledgers[1..], "drain");
    ledgers.iter_mut().for_each(Ledger::begin_strict_phase);
    order_all(&mut devices, &mut ledgers[1..], "last");
    let states = order_all(&mut devices, &mut ledgers[1..], "dump");
    check(&ledgers, &states);
    println!("two hosts: {}", Ledger::figures(&ledgers));
}
