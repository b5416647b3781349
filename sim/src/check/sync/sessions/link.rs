//! Connections in virtual time: each keeps the order of its messages, and may end or go silent.
//!
//! - A connection that loses a message delivers nothing behind it: its frames are never reordered.
//! - Either side notices the end of a connection later than the other, or only by its silence.

use super::super::network::{Direction, LATENCY_MS, Quality};
use crate::Rng;
use fastness_sync::frame::Packet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) connection: u64,
    pub(super) direction: Direction,
}

/// An event of a connection, or of the login of a client.
#[derive(Clone, Debug)]
pub(super) enum LinkEvent {
    /// A connection is established.
    Connected { connection: u64 },
    /// A message arrives.
    Frame { connection: u64, direction: Direction, bytes: Vec<u8> },
    /// A side notices that the connection has ended: the one that the direction leads to.
    Ended { connection: u64, direction: Direction },
    /// A client gets an access token.
    Token { client: usize },
}

impl fmt::Display for LinkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { connection } => write!(f, "connected {connection}"),
            Self::Ended { connection, direction } => write!(f, "{direction:?} {connection} ended"),
            Self::Token { client } => write!(f, "token for {client}"),
            Self::Frame { connection, direction, bytes } => {
                write!(f, "{direction:?} {connection}: ")?;
                let packet = Packet::open(bytes).ok();
                match packet.as_ref().and_then(|packet| packet.frame().ok()) {
                    Some(frame) => write!(f, "{} {:?}", frame.session, frame.message),
                    None => write!(f, "{} bytes", bytes.len()),
                }
            }
        }
    }
}

/// All connections between clients and the server.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Both directions of each client's network.
    networks: Vec<[Quality; 2]>,
    /// Client of each connection.
    clients: BTreeMap<u64, usize>,
    /// Events by time and order.
    events: BTreeMap<(u64, u64), LinkEvent>,
    order: u64,
    /// Last arrival in each direction of a connection.
    latest: BTreeMap<(u64, bool), u64>,
    /// Directions that have lost a message.
    silent: BTreeSet<(u64, bool)>,
    last_connection: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) ended: u64,
}

const fn is_back(direction: Direction) -> bool {
    matches!(direction, Direction::ToClient)
}

impl Links {
    pub(super) fn add_client(&mut self) {
        self.networks.push([Quality::GOOD; 2]);
    }

    pub(super) fn network_mut(&mut self, client: usize) -> &mut [Quality; 2] {
        &mut self.networks[client]
    }

    pub(super) fn heal(&mut self) {
        self.networks.fill([Quality::GOOD; 2]);
    }

    pub(super) fn client_of(&self, connection: u64) -> Option<usize> {
        self.clients.get(&connection).copied()
    }

    pub(super) fn at(&mut self, at_ms: u64, event: LinkEvent) {
        self.order += 1;
        self.events.insert((at_ms, self.order), event);
    }

    /// Connects a client; over a network that is cut, nothing comes of it.
    pub(super) fn connect(&mut self, now_ms: u64, client: usize, rng: &mut Rng) -> u64 {
        self.last_connection += 1;
        let connection = self.last_connection;
        self.clients.insert(connection, client);
        if self.networks[client].iter().all(|way| !way.is_cut) {
            let delay = self.delay(client, Direction::ToServer, rng);
            self.at(now_ms + delay, LinkEvent::Connected { connection });
        }
        connection
    }

    fn delay(&self, client: usize, direction: Direction, rng: &mut Rng) -> u64 {
        let jitter = self.networks[client][usize::from(is_back(direction))].jitter_ms;
        LATENCY_MS
            + rng.below(usize::try_from(jitter).unwrap_or(usize::MAX).saturating_add(1)) as u64
    }

    /// Sends a message.
    pub(super) fn send(
        &mut self,
        now_ms: u64,
        Way { connection, direction }: Way,
        bytes: Vec<u8>,
        rng: &mut Rng,
    ) {
        let Some(client) = self.client_of(connection) else { return };
        let way = (connection, is_back(direction));
        let quality = self.networks[client][usize::from(way.1)];
        self.sent += 1;
        if quality.is_cut || (quality.loss > 0 && rng.one_in(quality.loss)) {
            self.silent.insert(way);
            // Half of the breaks are noticed.
            if !quality.is_cut && rng.one_in(2) {
                self.end(now_ms, connection, rng);
            }
        }
        if self.silent.contains(&way) {
            self.lost += 1;
            return;
        }
        let latest = self.latest.get(&way).copied().unwrap_or_default();
        let at_ms = latest.max(now_ms + self.delay(client, direction, rng));
        self.latest.insert(way, at_ms);
        self.at(at_ms, LinkEvent::Frame { connection, direction, bytes });
    }

    /// Ends a connection; each side notices that at a time of its own.
    pub(super) fn end(&mut self, now_ms: u64, connection: u64, rng: &mut Rng) {
        let Some(client) = self.client_of(connection) else { return };
        self.ended += 1;
        for direction in [Direction::ToServer, Direction::ToClient] {
            let way = (connection, is_back(direction));
            let latest = self.latest.get(&way).copied().unwrap_or_default();
            let at_ms = latest.max(now_ms + self.delay(client, direction, rng));
            self.at(at_ms, LinkEvent::Ended { connection, direction });
            self.silent.insert(way);
        }
    }

    /// Ends a connection whose one side has stopped; the other side notices that later, or never.
    pub(super) fn abandon(&mut self, now_ms: u64, to: Way, rng: &mut Rng) {
        let Way { connection, direction: to } = to;
        let Some(client) = self.client_of(connection) else { return };
        let is_noticed = !self.networks[client].iter().any(|way| way.is_cut) && !rng.one_in(4);
        self.silent.extend([(connection, false), (connection, true)]);
        if is_noticed {
            let latest = self.latest.get(&(connection, is_back(to))).copied().unwrap_or_default();
            let at_ms = latest.max(now_ms + self.delay(client, to, rng));
            self.at(at_ms, LinkEvent::Ended { connection, direction: to });
        }
    }

    /// Returns the time of the next event.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.events.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the next event.
    pub(super) fn next(&mut self) -> Option<LinkEvent> {
        self.events.pop_first().map(|(_, event)| event)
    }
}
