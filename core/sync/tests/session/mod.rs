//! Both session machines, connected by links with faults in virtual time.
//!
//! - SY8 Duplicated, reordered and lost frames give the same history.
//! - SY17 In a quiet network all pending entries drain, refused ones included.
//! - SY19 An entry is sent only if it is durable on the device.
//! - FR4 No input has more than a bounded number of outputs.
//! - FR5 A deadline that is handled is followed by a later one: no machine spins.

mod database;
mod hostile;
mod machines;
mod world;

use database::is_poison;
use fastness_sync::frame::Code;
use fastness_sync::session::ClientInput;
use world::{Faults, World};

/// Runs that `FASTNESS_SESSIONS` multiplies.
fn runs(count: u64) -> u64 {
    let factor = std::env::var("FASTNESS_SESSIONS").ok().and_then(|text| text.parse().ok());
    count * factor.unwrap_or(1_u64)
}

/// Writes entries while links fail, then runs without faults, and compares.
fn check(seed: u64, clients: usize, faults: Faults) -> World {
    let mut world = World::new(clients, seed);
    world.faults = faults;
    for round in 0..30 {
        for peer in 0..clients {
            for _ in 0..world.random.below(4) {
                let is_poison = world.random.one_in(9);
                let size = if world.random.one_in(100) { 400_000 } else { 10 };
                world.peers[peer].file.write(is_poison, size);
            }
            if world.random.one_in(3) {
                world.peers[peer].file.make_durable();
                let durable_client_seq = world.peers[peer].file.durable;
                world.client(peer, ClientInput::LocalEntries { durable_client_seq });
            }
        }
        let end = world.now + world.random.below(if round % 10 == 9 { 400_000 } else { 3000 });
        world.run_until(end);
    }
    drain(&mut world, seed);
    assert!(world.peers.iter().all(|peer| peer.new_identities == 0), "seed {seed}");
    world
}

/// Runs without faults until everything has arrived everywhere.
fn drain(world: &mut World, seed: u64) {
    world.faults = Faults::default();
    let count = world.peers.len();
    let mut entries = 0;
    for peer in 0..count {
        // A transport that lost a frame is broken.
        world.cut(peer);
        world.peers[peer].file.make_durable();
        let durable_client_seq = world.peers[peer].file.durable;
        entries += durable_client_seq;
        world.client(peer, ClientInput::LocalEntries { durable_client_seq });
    }
    let before = world.frames;
    // The longest backoff of the connection, then of the session, then a stall.
    world.run_until(world.now + 900_000);
    for peer in 0..count {
        world.client(peer, ClientInput::WantDownloadCompletion { number: 7 });
    }
    world.run_until(world.now + 60_000);
    let frames = world.frames - before;
    let most = count as u64 * (400 + 6 * entries);
    assert!(frames <= most, "SY17: seed {seed}: {frames} frames for {entries} entries");
    for (index, peer) in world.peers.iter().enumerate() {
        let file = &peer.file;
        let state = (file.acknowledged, file.cursor, &peer.completed);
        assert_eq!(file.acknowledged, file.durable, "SY17: seed {seed}, {index}: {state:?}");
        assert_eq!(file.cursor, world.database.head(), "SY17: seed {seed}, {index}: {state:?}");
        assert_eq!(peer.completed, [7], "SY17: seed {seed}, client {index}");
        let history: Vec<(u32, u64)> =
            world.database.history.iter().map(|(client, number, _)| (*client, *number)).collect();
        assert_eq!(file.applied, history, "SY8: seed {seed}, client {index}");
        let accepted = file.written.iter().filter(|(_, bytes)| !is_poison(bytes));
        let accepted: Vec<u64> = accepted.map(|(number, _)| *number).collect();
        let own = history.iter().filter(|(client, _)| *client == file.client);
        let own: Vec<u64> = own.map(|(_, number)| *number).collect();
        assert_eq!(own, accepted, "SY8: seed {seed}, client {index}: its entries, once, in order");
        let poison = file.written.iter().filter(|(_, bytes)| is_poison(bytes));
        let poison: Vec<u64> = poison.map(|(number, _)| *number).collect();
        let mut letters = file.dead_letters.clone();
        letters.sort_unstable();
        assert_eq!(letters, poison, "SY17: seed {seed}, client {index}: its dead letters");
    }
}

#[test]
fn a_link_without_faults_delivers_everything() {
    for seed in 0..runs(20) {
        let world = check(seed, 3, Faults::default());
        assert!(world.peers.iter().all(|peer| peer.resets.is_empty()), "seed {seed}");
    }
}

#[test]
fn links_that_are_cut_lose_nothing() {
    for seed in 0..runs(60) {
        let faults = Faults { cut: 12, half_open: seed % 2 == 0, ..Faults::default() };
        let world = check(seed, 3, faults);
        assert!(world.peers.iter().all(|peer| peer.resets.is_empty()), "seed {seed}");
    }
}

#[test]
fn lost_repeated_and_reordered_frames_change_nothing() {
    for seed in 0..runs(60) {
        let lose = [0, 10, 40][usize::try_from(seed % 3).unwrap()];
        let faults =
            Faults { lose, repeat: 10, reorder: 5, cut: 60, half_open: true, ..Faults::default() };
        check(seed, 3, faults);
    }
}

#[test]
fn sessions_and_tokens_that_are_refused_are_asked_for_again() {
    for seed in 0..runs(60) {
        check(seed, 3, Faults { refuse: 15, cut: 80, ..Faults::default() });
    }
}

/// Writes entries of each client and waits until they have arrived.
fn write_all(world: &mut World, count: usize) {
    for peer in 0..world.peers.len() {
        for number in 0..count {
            world.peers[peer].file.write(number % 4 == 3, 10);
        }
        world.peers[peer].file.make_durable();
        let durable_client_seq = world.peers[peer].file.durable;
        world.client(peer, ClientInput::LocalEntries { durable_client_seq });
    }
    world.run_until(world.now + 10_000);
}

#[test]
fn entries_that_a_restored_server_lost_are_sent_again() {
    for seed in 0..runs(20) {
        let mut world = World::new(3, seed);
        write_all(&mut world, 9);
        let count = world.database.history.len();
        assert_eq!(count, 3 * 7);
        world.database.restore(usize::try_from(seed).unwrap() % count);
        (0..3).for_each(|peer| world.cut(peer));
        write_all(&mut world, 4);
        drain(&mut world, seed);
        let resets = world.peers.iter().flat_map(|peer| &peer.resets);
        assert!(resets.clone().count() == 3 && resets.clone().all(|code| *code == Code::DIVERGED));
    }
}

#[test]
fn a_copied_file_gets_another_identity() {
    for seed in 0..runs(20) {
        let mut world = World::new(2, seed);
        world.run_until(world.now + 10_000);
        let identity = world.database.identify();
        for peer in 0..2 {
            world.peers[peer].file.identify(&identity);
            // Files of two sizes, so that their entries differ.
            world.peers[peer].file.write(false, 10 + peer);
            world.cut(peer);
        }
        write_all(&mut world, 5);
        drain(&mut world, seed);
        let new: Vec<u64> = world.peers.iter().map(|peer| peer.new_identities).collect();
        assert!(new.iter().sum::<u64>() == 1, "seed {seed}: {new:?}");
        assert_ne!(world.peers[0].file.client, world.peers[1].file.client);
    }
}
