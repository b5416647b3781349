//! The network in virtual time: messages arrive late, twice, in another order, or never.
//!
//! - Time advances from one arrival or timer to the next.
//! - A link has two directions, each of which can be cut by itself: a half-open link loses messages
//!   silently, as real ones do.

use crate::Rng;

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quality {
    pub(super) is_cut: bool,
    /// Most milliseconds that a message takes, beside the least one.
    pub(super) jitter_ms: u64,
    /// One in so many messages is lost; 0 for none.
    pub(super) loss: usize,
    /// One in so many messages arrives twice; 0 for none.
    pub(super) duplicates: usize,
}

impl Quality {
    pub(super) const GOOD: Self = Self { is_cut: false, jitter_ms: 20, loss: 0, duplicates: 0 };
}

/// Direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// One direction of a client's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) client: usize,
    pub(super) direction: Direction,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Arrival<M> {
    pub(super) at_ms: u64,
    pub(super) route: Route,
    pub(super) message: M,
}

/// The links between clients and the server.
#[derive(Debug)]
pub(super) struct Network<M> {
    /// Both directions of each client's link.
    links: Vec<[Quality; 2]>,
    in_flight: Vec<Arrival<M>>,
    /// Messages that were sent.
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) overtaken: u64,
}

/// Least milliseconds that a message takes.
pub(super) const LATENCY_MS: u64 = 1;

impl<M: Clone> Network<M> {
    pub(super) const fn new() -> Self {
        let links = Vec::new();
        Self { links, in_flight: Vec::new(), sent: 0, lost: 0, duplicated: 0, overtaken: 0 }
    }

    pub(super) fn add_link(&mut self) {
        self.links.push([Quality::GOOD; 2]);
    }

    /// Returns both directions of a client's link, to the server and back.
    pub(super) fn link_mut(&mut self, client: usize) -> &mut [Quality; 2] {
        &mut self.links[client]
    }

    /// Makes all links good.
    pub(super) fn heal(&mut self) {
        self.links.fill([Quality::GOOD; 2]);
    }

    /// Sends a message at a time.
    pub(super) fn send(&mut self, now_ms: u64, route: Route, message: M, rng: &mut Rng) {
        let is_back = route.direction == Direction::ToClient;
        let quality = self.links[route.client][usize::from(is_back)];
        let happens = |one_in: usize, rng: &mut Rng| one_in > 0 && rng.one_in(one_in);
        self.sent += 1;
        let copies = 1 + u64::from(happens(quality.duplicates, rng));
        if quality.is_cut || happens(quality.loss, rng) {
            self.lost += 1;
            return;
        }
        self.duplicated += copies - 1;
        for _ in 0..copies {
            let jitter = usize::try_from(quality.jitter_ms).unwrap_or(usize::MAX);
            let delay = LATENCY_MS + rng.below(jitter.saturating_add(1)) as u64;
            let arrival = Arrival { at_ms: now_ms + delay, route, message: message.clone() };
            let is_overtaken =
                |other: &Arrival<M>| other.route == route && other.at_ms > arrival.at_ms;
            self.overtaken += u64::from(self.in_flight.iter().any(is_overtaken));
            self.in_flight.push(arrival);
        }
    }

    /// Takes the next message that arrives until a time.
    pub(super) fn next(&mut self, until_ms: u64) -> Option<Arrival<M>> {
        let arrivals = self.in_flight.iter().enumerate();
        let (index, first) = arrivals.min_by_key(|(index, arrival)| (arrival.at_ms, *index))?;
        (first.at_ms <= until_ms).then(|| self.in_flight.remove(index))
    }
}
