//! Random histories: four replicas with skewed clocks write, upload, download and purge at
//! different times, over a network that repeats and reorders messages.

use crate::EFFORT;
use crate::laws::{self, Intentions};
use fastness_models::merge::behaviours::Random;
use fastness_models::merge::behaviours::letters::{Author, LETTERS, LIST, X, foundation};
use fastness_models::merge::fold::State;
use fastness_models::merge::mutant::Mutant;
use fastness_models::merge::server::{Answer, Refusal, Server};
use fastness_models::merge::{Client, PENDING, SyncEntry};

/// Differences of the clients' clocks from the server's, in milliseconds.
const SKEWS: [i64; 4] = [0, 1_000_000_000, -900_000, 40];
const STEPS: u64 = 80;

pub(crate) struct Replica {
    pub(crate) client: Client,
    pub(crate) canonical: State,
    pub(crate) cursor: u64,
    pub(crate) pending: Vec<SyncEntry>,
    pub(crate) client_seq: u64,
    pub(crate) elements: u64,
    /// Greatest stamp written or seen.
    pub(crate) stamp: u64,
}

impl Replica {
    pub(crate) fn new(client: Client, server: &Server, mutant: Option<Mutant>) -> Self {
        let canonical = State::new(mutant);
        let pending = Vec::new();
        let (cursor, client_seq, elements, stamp) = (0, 0, 0, 0);
        let mut replica = Self { client, canonical, cursor, pending, client_seq, elements, stamp };
        replica.download(server, 1);
        replica
    }

    /// SY3: the fold of the pending entries over the canonical state.
    pub(crate) fn working(&self) -> State {
        let mut working = self.canonical.clone();
        self.pending.iter().for_each(|entry| drop(working.apply(entry)));
        working
    }

    pub(crate) fn write(&mut self, random: &mut Random, now: u64, intentions: &mut Intentions) {
        let skew = SKEWS[usize::try_from(self.client).unwrap_or_default() % SKEWS.len()];
        let stamp = now.saturating_add_signed(skew).max(self.stamp + 1);
        let (client, client_seq) = (self.client, self.client_seq + 1);
        let (base, operations) = (self.cursor, Vec::new());
        let entry = SyncEntry { seq: PENDING, client, client_seq, base, stamp, operations };
        let mut view = self.working();
        let before = view.elements(X, LIST).into_iter().map(|(element, _)| element).collect();
        let value = i64::try_from(stamp).unwrap_or_default();
        let (elements, orders) = (&mut self.elements, Vec::new());
        let mut author = Author { view: &mut view, entry, elements, value, orders };
        let letter = usize::try_from(random.below(LETTERS.len() as u64)).unwrap_or_default();
        if author.write(LETTERS[letter]) {
            intentions.orders.push(before);
            intentions.orders.extend(author.orders);
            self.pending.push(author.entry);
            (self.client_seq, self.stamp) = (client_seq, stamp);
        }
    }

    pub(crate) fn download(&mut self, server: &Server, to: u64) {
        let is_new = |entry: &&SyncEntry| entry.seq > self.cursor && entry.seq <= to;
        for entry in server.history.iter().filter(is_new) {
            self.canonical.apply(entry);
            self.stamp = self.stamp.max(entry.stamp);
            if entry.client == self.client {
                self.pending.retain(|own| own.client_seq != entry.client_seq);
            }
        }
        self.cursor = self.cursor.max(to);
    }

    /// Sends one pending entry, not always the oldest.
    pub(crate) fn upload(
        &mut self,
        server: &mut Server,
        random: &mut Random,
        now: u64,
    ) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(random.below(self.pending.len().min(2) as u64)).unwrap_or(0);
        let entry = &self.pending[at];
        match server.submit(entry, now) {
            Ok(Answer::Sequenced(_) | Answer::Acknowledged) | Err(Refusal::Gap) => Ok(()),
            Err(Refusal::Schema) => {
                self.pending.remove(at);
                Ok(())
            }
            Err(refusal) => Err(format!("MR9: {refusal:?} for {entry:?}")),
        }
    }

    /// The oldest entry that this replica may still need or refer to.
    pub(crate) fn horizon(&self) -> u64 {
        self.pending.first().map_or(self.cursor, |oldest| oldest.base)
    }
}

/// Checks SY1 and SY9 for every replica: its state is the unpurged fold up to its cursor.
pub(crate) fn check(
    replicas: &[Replica],
    server: &Server,
    mutant: Option<Mutant>,
) -> Result<(), String> {
    for replica in replicas {
        let mut unpurged = State::new(mutant);
        for entry in server.history.iter().filter(|entry| entry.seq <= replica.cursor) {
            unpurged.apply(entry);
        }
        if replica.canonical.visible() != unpurged.visible() {
            return Err(format!("SY1: client {} at {}", replica.client, replica.cursor));
        }
    }
    Ok(())
}

/// Runs one random history.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let random = &mut Random::new(seed);
    let mut server = Server::new(mutant);
    let mut now = 1_000_000;
    let _founded = server.submit(&foundation(random.below(2) == 0), now);
    let mut replicas: Vec<Replica> =
        (1..=4).map(|client| Replica::new(client, &server, mutant)).collect();
    let mut intentions = Intentions::default();
    for _ in 0..STEPS {
        now += random.below(50);
        let at = usize::try_from(random.below(replicas.len() as u64)).unwrap_or_default();
        let lowest = replicas.iter().map(Replica::horizon).min().unwrap_or_default();
        let replica = &mut replicas[at];
        match random.below(10) {
            0..4 => replica.write(random, now, &mut intentions),
            4..6 => replica.upload(&mut server, random, now)?,
            6..8 => {
                let to = replica.cursor + random.below(server.head() - replica.cursor + 1);
                replica.download(&server, to);
            }
            8 => server.purge(random.below(lowest + 1)),
            _ => replica.canonical.purge(random.below(server.horizon() + 1)),
        }
    }
    check(&replicas, &server, mutant)?;
    for replica in &mut replicas {
        while !replica.pending.is_empty() {
            replica.upload(&mut server, random, now)?;
            replica.download(&server, server.head());
        }
    }
    replicas.iter_mut().for_each(|replica| replica.download(&server, server.head()));
    check(&replicas, &server, mutant)?;
    let shown: Vec<_> = server.state().elements(X, LIST).into_iter().map(|(e, _)| e).collect();
    laws::statement(&server.history, server.history.len() - 1, mutant)?;
    laws::moves(&server.history, mutant)?;
    laws::stamps(&server, now)?;
    laws::intentions(&server.history, &shown, &intentions)
}

#[test]
fn random_histories_converge() {
    for seed in 1..=300 * *EFFORT {
        run(seed, None).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
