//! Minimiser: reduces a plan that fails to a smaller one that still fails.
//!
//! Delta debugging removes runs of steps, halving the length of the run (ddmin); then each place of
//! the plan, such as an operand, takes simpler values. The result is a function of the plan, the
//! test and the budget.
//!
//! - KM1 The result fails, and is the plan itself if no smaller one does.
//! - KM2 The test runs at most as often as the budget says.

use std::ops::Range;

/// A plan that can be reduced.
pub trait Plan: Clone + PartialEq {
    /// Returns the number of steps.
    fn steps(&self) -> usize;

    /// Removes a range of steps.
    fn remove(&mut self, steps: Range<usize>);

    /// Returns the number of places that may take simpler values.
    fn places(&self) -> usize {
        0
    }

    /// Returns the plan with the simplest value at a place, the second simplest, and so on; `None`
    /// when no simpler one is left.
    fn simpler(&self, _place: usize, _attempt: usize) -> Option<Self> {
        None
    }
}

/// A list of steps; no step has a simpler form.
impl<T: Clone + PartialEq> Plan for Vec<T> {
    fn steps(&self) -> usize {
        self.len()
    }

    fn remove(&mut self, steps: Range<usize>) {
        self.drain(steps);
    }
}

/// Returns the smallest plan found within `tries_max` runs for which `fails` returns true. The plan
/// fails, after the step `failed_at` if that is known.
pub fn minimise<P: Plan>(
    plan: &P,
    failed_at: Option<usize>,
    tries_max: u32,
    fails: impl FnMut(&P) -> bool,
) -> P {
    let mut best = plan.clone();
    let mut minimiser = Minimiser { fails, tries_left: tries_max };
    if let Some(step) = failed_at.filter(|step| step + 1 < best.steps()) {
        let mut cut = best.clone();
        cut.remove(step + 1..best.steps());
        minimiser.keep_if_it_fails(&mut best, cut);
    }
    loop {
        let before = best.clone();
        minimiser.remove_runs(&mut best);
        minimiser.simplify(&mut best);
        if best == before || minimiser.tries_left == 0 {
            return best;
        }
    }
}

struct Minimiser<F> {
    fails: F,
    tries_left: u32,
}

impl<F> Minimiser<F> {
    fn remove_runs<P: Plan>(&mut self, best: &mut P)
    where
        F: FnMut(&P) -> bool,
    {
        let mut run = best.steps().div_ceil(2);
        while run > 0 {
            let mut at = 0;
            while at < best.steps() && self.tries_left > 0 {
                let mut smaller = best.clone();
                smaller.remove(at..(at + run).min(best.steps()));
                if !self.keep_if_it_fails(best, smaller) {
                    at += run;
                }
            }
            run = if run == 1 { 0 } else { run.div_ceil(2) };
        }
    }

    fn simplify<P: Plan>(&mut self, best: &mut P)
    where
        F: FnMut(&P) -> bool,
    {
        for place in 0..best.places() {
            let mut attempt = 0;
            while let Some(simpler) = best.simpler(place, attempt) {
                if self.keep_if_it_fails(best, simpler) {
                    break;
                }
                attempt += 1;
            }
        }
    }

    fn keep_if_it_fails<P: Plan>(&mut self, best: &mut P, candidate: P) -> bool
    where
        F: FnMut(&P) -> bool,
    {
        if self.tries_left == 0 || candidate == *best {
            return false;
        }
        self.tries_left -= 1;
        let failed = (self.fails)(&candidate);
        if failed {
            *best = candidate;
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, minimise};
    use std::ops::Range;

    #[test]
    fn a_list_is_reduced_to_the_steps_that_fail_together() {
        let plan: Vec<u32> = (0..500).collect();
        let fails = |plan: &Vec<u32>| plan.contains(&123) && plan.contains(&400);
        assert_eq!(minimise(&plan, Some(450), 1000, fails), [123, 400]);
    }

    #[test]
    fn the_budget_bounds_the_runs() {
        let plan: Vec<u32> = (0..500).collect();
        let mut runs = 0;
        let least = minimise(&plan, None, 7, |plan| {
            runs += 1;
            plan.contains(&499)
        });
        assert_eq!(runs, 7);
        assert!(least.len() < 500 && least.contains(&499), "{least:?}");
        assert_eq!(minimise(&plan, Some(10), 0, |_| true), plan);
    }

    /// One number for each step.
    #[derive(Clone, PartialEq, Debug)]
    struct Numbers(Vec<u8>);

    impl Plan for Numbers {
        fn steps(&self) -> usize {
            self.0.len()
        }

        fn remove(&mut self, steps: Range<usize>) {
            self.0.drain(steps);
        }

        fn places(&self) -> usize {
            self.0.len()
        }

        fn simpler(&self, place: usize, attempt: usize) -> Option<Self> {
            let value = u8::try_from(attempt).ok().filter(|value| *value < self.0[place])?;
            let mut simpler = self.clone();
            simpler.0[place] = value;
            Some(simpler)
        }
    }

    #[test]
    fn places_take_the_simplest_value_that_fails() {
        let plan = Numbers(vec![9, 200, 3, 77]);
        let fails = |plan: &Numbers| plan.0.iter().any(|number| *number >= 60);
        assert_eq!(minimise(&plan, None, 1000, fails), Numbers(vec![60]));
        assert_eq!(minimise(&plan, Some(1), 2, |_| true).0.len(), 1);
    }
}
