//! Who runs next: the pair that has used the least time so far.
//!
//! - K3 Each plan number of a pair is handed out once, in order, whatever the timing.
//!
//! Plans are handed out in batches of about [`BATCH`], so that the lock is not in the way.

use crate::plans::Shard;
use std::time::Duration;

const BATCH: Duration = Duration::from_millis(10);
const BATCH_PLANS_MAX: u32 = 64;

/// Plans for one worker to run, all of one pair.
pub(crate) struct Batch {
    pub(crate) pair_index: usize,
    pub(crate) numbers: Vec<u64>,
    estimate: Duration,
}

/// The queue of every pair.
pub(crate) struct Scheduler {
    shard: Shard,
    lanes: Vec<Lane>,
}

#[derive(Clone, Default)]
struct Lane {
    handed_out: u64,
    finished: u32,
    /// Time used, with the estimates of what is running.
    used: Duration,
    spent: Duration,
}

impl Scheduler {
    pub(crate) fn new(shard: Shard, pair_count: usize) -> Self {
        Self { shard, lanes: vec![Lane::default(); pair_count] }
    }

    pub(crate) fn take(&mut self) -> Option<Batch> {
        let pair_index = (0..self.lanes.len()).min_by_key(|&index| self.lanes[index].used)?;
        let shard = self.shard;
        let lane = &mut self.lanes[pair_index];
        let each = lane.each();
        let fitting = BATCH.as_nanos() / each.as_nanos().max(1);
        let count = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, BATCH_PLANS_MAX);
        let first = lane.handed_out;
        lane.handed_out += u64::from(count);
        let estimate = each * count;
        lane.used += estimate;
        let numbers = (first..lane.handed_out).map(|nth| shard.number(nth)).collect();
        Some(Batch { pair_index, numbers, estimate })
    }

    pub(crate) fn put_back(&mut self, batch: &Batch, spent: Duration) {
        let lane = &mut self.lanes[batch.pair_index];
        let count = u32::try_from(batch.numbers.len()).unwrap_or(u32::MAX);
        lane.finished = lane.finished.saturating_add(count);
        lane.spent += spent;
        lane.used = lane.used.saturating_sub(batch.estimate) + spent;
    }
}

impl Lane {
    /// What a plan is expected to take; before any has finished, a guess that makes small batches.
    fn each(&self) -> Duration {
        self.spent.checked_div(self.finished).unwrap_or(BATCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_handed_out_once_and_in_order() {
        let mut scheduler = Scheduler::new(Shard::WHOLE, 3);
        let mut seen = vec![Vec::new(); 3];
        for step in 0..200_u64 {
            let batch = scheduler.take().unwrap();
            seen[batch.pair_index].extend_from_slice(&batch.numbers);
            scheduler.put_back(&batch, Duration::from_micros(step * 7919 % 3000));
        }
        for numbers in seen {
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
        }
    }

    #[test]
    fn slow_pairs_get_as_much_time_as_fast_ones_not_as_many_plans() {
        let mut scheduler = Scheduler::new(Shard::WHOLE, 2);
        let mut spent = [Duration::ZERO; 2];
        for _ in 0..2000 {
            let batch = scheduler.take().unwrap();
            let each = Duration::from_micros([50, 20_000][batch.pair_index]);
            let time = each * u32::try_from(batch.numbers.len()).unwrap();
            spent[batch.pair_index] += time;
            scheduler.put_back(&batch, time);
        }
        let ratio = spent[0].as_secs_f64() / spent[1].as_secs_f64();
        assert!((0.9..1.1).contains(&ratio), "{spent:?}");
    }
}
