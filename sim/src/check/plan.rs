//! Plans: the input of a run, as bytes and as text.
//!
//! - PL1 Any bytes are a plan: a salt of four bytes, then operations of four bytes; a remainder is
//!   ignored.
//! - PL2 `Plan::from_bytes(&plan.to_bytes()) == plan`.

use super::store_harness::describe;
use crate::Rng;
use fastness_models::op::OP_BYTES;
use fastness_models::{Domain, Op, OpKind};
use std::fmt;

/// Maximum number of operations; later ones are ignored.
pub const PLAN_OPS_MAX: usize = 4096;

/// The input of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Seeds the sizes of keys and values, and all random choices of the simulated world.
    pub salt: u32,
    /// The operations, in order.
    pub ops: Vec<Op>,
}

impl Plan {
    /// Decodes any bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut salt = [0; 4];
        let head = bytes.len().min(salt.len());
        salt[..head].copy_from_slice(&bytes[..head]);
        let (ops, _) = bytes[head..].as_chunks::<OP_BYTES>();
        Self {
            salt: u32::from_le_bytes(salt),
            ops: ops.iter().take(PLAN_OPS_MAX).map(|op| Op::from_bytes(*op)).collect(),
        }
    }

    /// Encodes the plan.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.salt.to_le_bytes().to_vec();
        bytes.extend(self.ops.iter().flat_map(|op| op.to_bytes()));
        bytes
    }

    /// Returns the operations in words, with the operands that operations on trees have.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let domain = Domain::new(self.salt);
        self.ops.iter().map(|op| describe(&domain, *op)).collect()
    }

    /// Draws a plan of `ops` operations, with weighted kinds.
    pub(crate) fn draw(rng: &mut Rng, mix: &[(OpKind, usize)], ops: usize) -> Self {
        let total: usize = mix.iter().map(|(_, weight)| weight).sum();
        let salt = rng.next().to_le_bytes();
        let draw = |rng: &mut Rng| {
            let mut at = rng.below(total);
            let kind = mix.iter().find(|(_, weight)| {
                let here = at < *weight;
                at = at.wrapping_sub(*weight);
                here
            });
            let kind = kind.map_or(OpKind::Get, |(kind, _)| *kind);
            Op::new(kind, [rng.byte(), rng.byte(), rng.byte()])
        };
        Self {
            salt: u32::from_le_bytes([salt[0], salt[1], salt[2], salt[3]]),
            ops: (0..ops).map(|_| draw(rng)).collect(),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "salt {:#010x}", self.salt)?;
        for (index, op) in self.ops.iter().enumerate() {
            writeln!(f, "{index:4} {op}")?;
        }
        Ok(())
    }
}
