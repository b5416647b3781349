//! Fair scheduling: the pair with the least CPU time so far runs next.
//!
//! - CA3 Each plan number of a pair is scheduled once, in order, for any timing.
//! - CA18 With a limit of plans, each shard runs those of its numbers that are below the limit.
//! - CA12 A pair with marks that no plan has hit yet gets a multiple of the time of the others;
//!   when the time of a campaign is over, it goes on for up to half of that time.
//!
//! Plans are scheduled in batches of about [`BATCH`], which keeps the lock uncontended.

use crate::plans::Shard;
use std::time::Duration;

const BATCH: Duration = Duration::from_millis(10);
const BATCH_PLANS_MAX: u32 = 64;

/// Times as much time for a pair with marks that were not hit.
const UNSATURATED_SHARES: u32 = 8;

/// A batch of plans of one pair, for one worker.
pub(crate) struct Batch {
    pub(crate) pair_index: usize,
    pub(crate) numbers: Vec<u64>,
    estimate: Duration,
}

/// The queues of all pairs.
pub(crate) struct Scheduler {
    shard: Shard,
    /// No number from here on is scheduled.
    plans_max: u64,
    queues: Vec<PairQueue>,
}

#[derive(Clone, Default)]
struct PairQueue {
    next_number: u64,
    finished: u32,
    /// Time used, including the estimates of running batches.
    used: Duration,
    spent: Duration,
    is_saturated: bool,
}

impl Scheduler {
    pub(crate) fn new(shard: Shard, pair_count: usize) -> Self {
        Self { shard, plans_max: u64::MAX, queues: vec![PairQueue::default(); pair_count] }
    }

    /// Limits the plans of each pair, over all shards.
    pub(crate) fn with_plans(self, plans_max: Option<u64>) -> Self {
        Self { plans_max: plans_max.unwrap_or(u64::MAX), ..self }
    }

    /// Takes the next batch of any pair.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.take_of(|_| true)
    }

    /// Takes the next batch of a pair with marks that were not hit.
    pub(crate) fn take_unsaturated(&mut self) -> Option<Batch> {
        self.take_of(|queue| !queue.is_saturated)
    }

    /// Tells whether a pair has marks that were not hit.
    pub(crate) fn has_unsaturated(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_saturated)
    }

    fn take_of(&mut self, is_chosen: impl Fn(&PairQueue) -> bool) -> Option<Batch> {
        let (shard, plans_max) = (self.shard, self.plans_max);
        let is_open = |index: &usize| {
            let queue = &self.queues[*index];
            is_chosen(queue) && shard.number(queue.next_number) < plans_max
        };
        let open = (0..self.queues.len()).filter(is_open);
        let pair_index = open.min_by_key(|&index| self.queues[index].share())?;
        let queue = &mut self.queues[pair_index];
        let plan_estimate = queue.plan_estimate();
        let fitting = BATCH.as_nanos() / plan_estimate.as_nanos().max(1);
        let count = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, BATCH_PLANS_MAX);
        let next = queue.next_number..queue.next_number + u64::from(count);
        let numbers = next.map(|nth| shard.number(nth)).filter(|number| *number < plans_max);
        let numbers: Vec<u64> = numbers.collect();
        queue.next_number += u64::from(count);
        let estimate = plan_estimate * count;
        queue.used += estimate;
        Some(Batch { pair_index, numbers, estimate })
    }

    pub(crate) fn finish(&mut self, batch: &Batch, spent: Duration) {
        let queue = &mut self.queues[batch.pair_index];
        let count = u32::try_from(batch.numbers.len()).unwrap_or(u32::MAX);
        queue.finished = queue.finished.saturating_add(count);
        queue.spent += spent;
        queue.used = queue.used.saturating_sub(batch.estimate) + spent;
    }

    /// Notes that every mark of a pair was hit.
    pub(crate) fn set_saturated(&mut self, pair_index: usize) {
        self.queues[pair_index].is_saturated = true;
    }
}

impl PairQueue {
    /// Time used, per share.
    fn share(&self) -> Duration {
        if self.is_saturated { self.used } else { self.used / UNSATURATED_SHARES }
    }

    /// Expected time of a plan. Before the first has finished, an estimate that makes small
    /// batches.
    fn plan_estimate(&self) -> Duration {
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
            scheduler.finish(&batch, Duration::from_micros(step * 7919 % 3000));
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
            let plan_estimate = Duration::from_micros([50, 20_000][batch.pair_index]);
            let time = plan_estimate * u32::try_from(batch.numbers.len()).unwrap();
            spent[batch.pair_index] += time;
            scheduler.finish(&batch, time);
        }
        let ratio = spent[0].as_secs_f64() / spent[1].as_secs_f64();
        assert!((0.9..1.1).contains(&ratio), "{spent:?}");
    }

    #[test]
    fn shards_together_schedule_the_plans_of_a_whole_run() {
        let numbers = |shard| {
            let mut scheduler = Scheduler::new(shard, 2).with_plans(Some(1001));
            let mut seen = vec![Vec::new(); 2];
            while let Some(batch) = scheduler.take() {
                seen[batch.pair_index].extend_from_slice(&batch.numbers);
                scheduler.finish(&batch, Duration::from_micros(batch.numbers[0] % 7 * 900));
            }
            seen
        };
        let whole = numbers(Shard::WHOLE);
        let parts = [1, 2, 3].map(|index| numbers(format!("{index}/3").parse().unwrap()));
        for pair in 0..2 {
            let mut together: Vec<u64> = parts.iter().flat_map(|part| part[pair].clone()).collect();
            together.sort_unstable();
            assert_eq!(whole[pair], (0..1001).collect::<Vec<u64>>());
            assert_eq!(together, whole[pair]);
        }
    }

    #[test]
    fn a_pair_with_marks_to_hit_gets_a_multiple_of_the_time() {
        let mut scheduler = Scheduler::new(Shard::WHOLE, 3);
        (1..3).for_each(|index| scheduler.set_saturated(index));
        let mut spent = [Duration::ZERO; 3];
        for _ in 0..1000 {
            let batch = scheduler.take().unwrap();
            spent[batch.pair_index] += BATCH;
            scheduler.finish(&batch, BATCH);
        }
        let ratio = spent[0].as_secs_f64() / spent[1].as_secs_f64();
        assert!((7.5..8.5).contains(&ratio), "{spent:?}");
        assert!(scheduler.has_unsaturated());
        assert_eq!(scheduler.take_unsaturated().map(|batch| batch.pair_index), Some(0));
        // Then the others catch up.
        scheduler.set_saturated(0);
        assert!(!scheduler.has_unsaturated() && scheduler.take_unsaturated().is_none());
        for _ in 0..1000 {
            let batch = scheduler.take().unwrap();
            assert_ne!(batch.pair_index, 0);
            scheduler.finish(&batch, BATCH);
        }
    }
}
