//! Shrinking: reduces a plan to a smaller one that violates the same invariant.
//!
//! Delta debugging removes runs of operations, halving the length of the run (ddmin); then operands
//! and salt are simplified. The result is a function of the plan and the budget.

use super::definition::{Check, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use fastness_models::Op;
use fastness_models::op::OP_BYTES;

impl Check {
    /// Shrinks a plan: returns the smallest plan found within `tries_max` runs that violates the
    /// same invariant.
    #[must_use]
    pub fn shrink(&self, plan: &Plan, twin: Twin, violation: &Violation, tries_max: u32) -> Plan {
        let invariant = violation.invariant;
        let mut shrinker = Shrinker { check: self, twin, invariant, tries_left: tries_max };
        shrinker.shrink(plan, violation)
    }
}

struct Shrinker<'a> {
    check: &'a Check,
    twin: Twin,
    invariant: &'static str,
    tries_left: u32,
}

impl Shrinker<'_> {
    fn shrink(&mut self, plan: &Plan, violation: &Violation) -> Plan {
        let mut best = plan.clone();
        if let Some(step) = violation.step {
            let mut cut = best.clone();
            cut.ops.truncate(step + 1);
            self.keep_if_violated(&mut best, cut);
        }
        loop {
            let before = best.clone();
            self.take_out(&mut best);
            self.simplify(&mut best);
            if best == before || self.tries_left == 0 {
                return best;
            }
        }
    }

    fn take_out(&mut self, best: &mut Plan) {
        let mut run = best.ops.len().div_ceil(2);
        while run > 0 {
            let mut at = 0;
            while at < best.ops.len() && self.tries_left > 0 {
                let mut smaller = best.clone();
                smaller.ops.drain(at..(at + run).min(best.ops.len()));
                if !self.keep_if_violated(best, smaller) {
                    at += run;
                }
            }
            run = if run == 1 { 0 } else { run.div_ceil(2) };
        }
    }

    fn simplify(&mut self, best: &mut Plan) {
        for bit in (0..32).rev().map(|bit| 1_u32 << bit) {
            let salt = best.salt & !bit;
            if salt != best.salt {
                let simpler = Plan { salt, ops: best.ops.clone() };
                self.keep_if_violated(best, simpler);
            }
        }
        for index in 0..best.ops.len() {
            for operand in 1..OP_BYTES {
                self.simplify_operand(best, index, operand);
            }
        }
    }

    fn simplify_operand(&mut self, best: &mut Plan, index: usize, operand: usize) {
        for value in [0, 1, 2, 4, 8, 16, 64] {
            let mut bytes = best.ops[index].to_bytes();
            if bytes[operand] <= value {
                return;
            }
            bytes[operand] = value;
            let mut simpler = best.clone();
            simpler.ops[index] = Op::from_bytes(bytes);
            if self.keep_if_violated(best, simpler) {
                return;
            }
        }
    }

    fn keep_if_violated(&mut self, best: &mut Plan, candidate: Plan) -> bool {
        if self.tries_left == 0 || candidate == *best {
            return false;
        }
        self.tries_left -= 1;
        let outcome = self.check.run(&candidate, self.twin, &mut Probe::default());
        let unexpected_error =
            outcome.is_err_and(|violation| violation.invariant == self.invariant);
        if unexpected_error {
            *best = candidate;
        }
        unexpected_error
    }
}
