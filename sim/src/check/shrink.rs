//! Shrinking: reduces a plan to a smaller one that violates the same invariant.
//!
//! The minimiser of the crash kit removes operations; then salt and operands take simpler values.
//! The result is a function of the plan and the budget.

use super::definition::{Check, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use fastness_crashkit::minimise;
use fastness_models::Op;
use fastness_models::op::OP_BYTES;
use std::ops::Range;

/// Bits of the salt, each of which may be cleared.
const SALT_BITS: usize = 32;
/// Operands of an operation; its kind is not simplified.
const OPERANDS: usize = OP_BYTES - 1;
/// Values that an operand takes, the simplest first.
const SIMPLE: [u8; 7] = [0, 1, 2, 4, 8, 16, 64];

impl Check {
    /// Shrinks a plan: returns the smallest plan found within `tries_max` runs that violates the
    /// same invariant.
    #[must_use]
    pub fn shrink(&self, plan: &Plan, twin: Twin, violation: &Violation, tries_max: u32) -> Plan {
        minimise::minimise(plan, violation.step, tries_max, |candidate| {
            let outcome = self.run(candidate, twin, &mut Probe::default());
            outcome.is_err_and(|found| found.invariant == violation.invariant)
        })
    }
}

impl minimise::Plan for Plan {
    fn steps(&self) -> usize {
        self.ops.len()
    }

    fn remove(&mut self, steps: Range<usize>) {
        self.ops.drain(steps);
    }

    /// The bits of the salt from the highest, then the operands of each operation.
    fn places(&self) -> usize {
        SALT_BITS + self.ops.len() * OPERANDS
    }

    fn simpler(&self, place: usize, attempt: usize) -> Option<Self> {
        let Some(place) = place.checked_sub(SALT_BITS) else {
            let salt = self.salt & !(1_u32 << (SALT_BITS - 1 - place));
            let is_simpler = attempt == 0 && salt != self.salt;
            return is_simpler.then(|| Self { salt, ops: self.ops.clone() });
        };
        let (index, operand) = (place / OPERANDS, 1 + place % OPERANDS);
        let mut bytes = self.ops[index].to_bytes();
        bytes[operand] = *SIMPLE.get(attempt).filter(|value| **value < bytes[operand])?;
        let mut simpler = self.clone();
        simpler.ops[index] = Op::from_bytes(bytes);
        Some(simpler)
    }
}
