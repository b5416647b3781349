//! Resets: the server loses the end of its history, and its clients write their operations again.

use crate::EFFORT;
use crate::laws::{self, Intentions};
use crate::replicas::{self, Replica};
use fastness_models::merge::behaviours::Random;
use fastness_models::merge::behaviours::letters::foundation;
use fastness_models::merge::recover::{Recovered, Reset};
use fastness_models::merge::server::Server;
use fastness_models::merge::{
    Element, ListOperation, ObjectRef, Operation, PENDING, PropertyNumber, SyncEntry,
};
use std::collections::{BTreeMap, BTreeSet};

const STEPS: u64 = 60;

/// A replica that keeps its entries until it knows them in a backup: here, for ever.
struct Client {
    replica: Replica,
    sent: Vec<SyncEntry>,
    epoch: u32,
}

/// Counts of outcomes.
type Report = BTreeMap<Recovered, u64>;

/// Property or element that a Set writes.
fn written_place(operation: &Operation) -> Option<(ObjectRef, PropertyNumber, Option<Element>)> {
    match *operation {
        Operation::Set(object, property, _) => Some((object, property, None)),
        Operation::List(object, property, ListOperation::Set(element, _)) => {
            Some((object, property, Some(element)))
        }
        Operation::AddClass(..)
        | Operation::AddProperty(..)
        | Operation::Create(_)
        | Operation::Delete(_)
        | Operation::Increment(..)
        | Operation::List(..) => None,
    }
}

/// Resets a client onto the server's state.
fn reset(
    client: &mut Client,
    server: &Server,
    epoch: u32,
    report: &mut Report,
) -> Result<(), String> {
    let replica = &mut client.replica;
    let is_lost = |entry: &&SyncEntry| {
        let is_it = |other: &SyncEntry| {
            (other.client, other.client_seq) == (entry.client, entry.client_seq)
        };
        !server.history.iter().any(is_it)
    };
    let working = replica.working();
    let fresh = server.state().clone();
    let (canonical, created) = (&replica.canonical, BTreeSet::new());
    let mut reset = Reset { fresh, canonical, working: &working, created, mutant: None };
    let (mut pending, identity) = (Vec::new(), replica.client + 10 * (epoch - client.epoch));
    let mut stamp = server.history.iter().map(|entry| entry.stamp).fold(replica.stamp, u64::max);
    for entry in client.sent.iter().filter(is_lost) {
        stamp += 1;
        let mut again = SyncEntry {
            seq: PENDING,
            client: identity,
            client_seq: pending.len() as u64 + 1,
            base: server.head(),
            stamp,
            operations: Vec::new(),
        };
        let outcomes = reset.recover(entry, &mut again);
        let is_written = |o: &&Recovered| matches!(o, Recovered::Applied | Recovered::Adjusted);
        let written = outcomes.iter().filter(is_written).count();
        if outcomes.len() != entry.operations.len() || written != again.operations.len() {
            return Err(format!("SY12: {outcomes:?} for {entry:?}"));
        }
        for (operation, outcome) in entry.operations.iter().zip(&outcomes) {
            let mut rewritten = pending.iter().chain([&again]).flat_map(|e| &e.operations);
            let is_own = |other| written_place(other) == written_place(operation);
            if *outcome == Recovered::Conflict && rewritten.any(is_own) {
                return Err(format!("SY12: {operation:?} conflicts with the client's own write"));
            }
            *report.entry(*outcome).or_default() += 1;
        }
        if !again.operations.is_empty() {
            pending.push(again);
        }
    }
    let recovered = reset.fresh.visible();
    (replica.canonical, replica.cursor) = (server.state().clone(), server.head());
    (replica.client, replica.client_seq) = (identity, pending.len() as u64);
    (replica.elements, replica.stamp) = (0, stamp);
    client.sent.clone_from(&pending);
    replica.pending = pending;
    client.epoch = epoch;
    if replica.working().visible() == recovered {
        return Ok(());
    }
    Err(format!("SY12: {:?}, but recovered {recovered:?}", replica.working().visible()))
}

/// All pending entries arrive, and all clients download.
fn drain(clients: &mut [Client], server: &mut Server, random: &mut Random) -> Result<(), String> {
    for client in &mut *clients {
        while !client.replica.pending.is_empty() {
            client.replica.upload(server, random, u64::MAX / 2)?;
            client.replica.download(server, server.head());
        }
    }
    for client in clients {
        client.replica.download(server, server.head());
    }
    Ok(())
}

fn run(seed: u64, report: &mut Report) -> Result<(), String> {
    let random = &mut Random::new(seed);
    let mut server = Server::new(None);
    let mut now = 1_000_000;
    let _founded = server.submit(&foundation(random.below(2) == 0), now);
    let client = |identity| Client {
        replica: Replica::new(identity, &server, None),
        sent: Vec::new(),
        epoch: 0,
    };
    let mut clients: Vec<Client> = (1..=3).map(client).collect();
    let (mut backup, mut epoch) = (server.clone(), 0);
    for step in 0..STEPS {
        now += random.below(50);
        if step % 20 == 5 + seed % 5 {
            backup = server.clone();
        }
        if step % 20 == 19 {
            server = backup.clone();
            epoch += 1;
        }
        let at = usize::try_from(random.below(clients.len() as u64)).unwrap_or_default();
        let client = &mut clients[at];
        let action = random.below(8);
        if action >= 4 && client.epoch != epoch {
            reset(client, &server, epoch, report)?;
        }
        let replica = &mut client.replica;
        match action {
            0..4 => {
                let count = replica.pending.len();
                replica.write(random, now, &mut Intentions::default());
                client.sent.extend_from_slice(&replica.pending[count..]);
            }
            4..6 => replica.upload(&mut server, random, now)?,
            6 => replica.download(&server, server.head()),
            _ => {
                let of_epoch = clients.iter().filter(|client| client.epoch == epoch);
                let lowest = of_epoch.map(|client| client.replica.horizon()).min();
                server.purge(random.below(lowest.unwrap_or_default() + 1));
            }
        }
    }
    for client in &mut clients {
        if client.epoch != epoch {
            reset(client, &server, epoch, report)?;
        }
    }
    let pending: Vec<SyncEntry> =
        clients.iter().flat_map(|client| client.replica.pending.clone()).collect();
    drain(&mut clients, &mut server, random)?;
    let is_lost = |entry: &&SyncEntry| {
        let author = (entry.client, entry.client_seq);
        let mut history = server.history.iter();
        server.refusal(author.0, author.1).is_none()
            && !history.any(|other| (other.client, other.client_seq) == author)
    };
    if let Some(entry) = pending.iter().find(is_lost) {
        return Err(format!("SY13: {entry:?} is not in the history"));
    }
    let replicas: Vec<Replica> = clients.into_iter().map(|client| client.replica).collect();
    replicas::check(&replicas, &server, None)?;
    laws::statement(&server.history, server.history.len() - 1, None)?;
    laws::moves(&server.history, None)
}

#[test]
fn clients_recover_their_operations_after_a_restore() {
    let mut report = Report::new();
    for seed in 1..=200 * *EFFORT {
        run(seed, &mut report).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    println!("{report:?}");
    let outcomes = [
        Recovered::Applied,
        Recovered::Adjusted,
        Recovered::NoOperation,
        Recovered::Conflict,
        Recovered::Deleted,
        Recovered::Schema,
    ];
    for outcome in outcomes {
        assert!(report.contains_key(&outcome), "{outcome:?} never happened");
    }
}
