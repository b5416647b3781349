//! Inputs of the plan targets: a twin and a plan, for libFuzzer and its printer.

use arbitrary::{Arbitrary, Result, Unstructured};
use fastness_sim::check::{Plan, Probe, Twin, by_name};
use std::fmt;

/// A plan and the twin that runs it: any bytes but none. The first byte selects the twin, so that
/// both twins share one corpus.
#[derive(Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// The twin.
    pub twin: Twin,
    /// The plan.
    pub plan: Plan,
}

impl PlanInput {
    /// Decodes an input; an empty one is no plan.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, plan) = bytes.split_first()?;
        let twin = if first % 2 == 0 { Twin::Plain } else { Twin::Encrypted };
        Some(Self { twin, plan: Plan::from_bytes(plan) })
    }

    /// Runs the plan of the check with this name.
    ///
    /// # Panics
    /// With the violated promise.
    pub fn run(&self, check: &str) {
        let Some(found) = by_name(check) else { panic!("no check is called {check}") };
        if let Err(violation) = found.run(&self.plan, self.twin, &mut Probe::default()) {
            panic!("{check} {}: {violation}\n{self:?}", self.twin.name());
        }
    }
}

impl<'a> Arbitrary<'a> for PlanInput {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let len = bytes.len();
        Self::from_bytes(bytes.bytes(len)?).ok_or(arbitrary::Error::NotEnoughData)
    }

    fn arbitrary_take_rest(bytes: Unstructured<'a>) -> Result<Self> {
        Self::from_bytes(bytes.take_rest()).ok_or(arbitrary::Error::NotEnoughData)
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (1, None)
    }
}

/// The operations in words, one a line, as a reader of a finding wants them.
impl fmt::Debug for PlanInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} plan of salt {:#010x}:", self.twin.name(), self.plan.salt)?;
        for (index, step) in self.plan.story().iter().enumerate() {
            writeln!(f, "{index:4} {step}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PlanInput;
    use arbitrary::{Arbitrary as _, Unstructured};
    use fastness_sim::check::{Plan, Twin};

    const BYTES: [u8; 14] = [3, 0, 0x40, 0, 0, 0, 1, 2, 3, 9, 0, 0, 0, 77];

    #[test]
    fn the_bytes_of_a_corpus_keep_their_meaning() {
        let of = |bytes| PlanInput::arbitrary_take_rest(Unstructured::new(bytes));
        let input = of(&BYTES).unwrap();
        assert_eq!((input.twin, &input.plan), (Twin::Encrypted, &Plan::from_bytes(&BYTES[1..])));
        assert_eq!(PlanInput::arbitrary(&mut Unstructured::new(&BYTES)), Ok(input));
        assert_eq!(of(&[2]).unwrap().twin, Twin::Plain);
        assert!(of(&[]).is_err());
        assert_eq!(PlanInput::size_hint(0), (1, None));
    }

    #[test]
    fn an_input_prints_its_operations_in_words() {
        let input = PlanInput::from_bytes(&BYTES).unwrap();
        let printed = format!("{input:?}");
        let expect = "encrypted plan of salt 0x00004000:\n   0 insert key \"k0002\" with 24 bytes \
                      into \"a\"\n   1 commit\n";
        assert_eq!(printed, expect);
    }
}
