//! Frames and sessions of sync, over any bytes.

use fastness_proptests::bodies::{frame, session};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn machines_of_both_sides_take_any_inputs(
        bytes in prop::collection::vec(prop_oneof![0..64_u8, any::<u8>()], 0..600),
    ) {
        session(&bytes);
    }

    #[test]
    fn any_body_behind_compression_is_an_error_or_a_frame(
        bytes in prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..600),
    ) {
        frame(&bytes);
    }
}
