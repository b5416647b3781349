//! Inspection of the file format, for the file tools and the verification suite. It is no part of
//! the stable interface.
//!
//! - I1 Everything here is total over any bytes: no panic, no loop, bounded memory.

mod decode;
mod dump;
mod ledger;
mod reseal;
mod sealer;

pub use crate::object::visits::visits;
pub use crate::table::limits::{Limits, limits, set_limits};
pub use crate::table::trees::{Holds, trees};
pub use decode::{decode_log, decode_page, decode_prelude, decode_slot};
pub use dump::{dump_file, dump_page};
pub use ledger::{
    Ledger, WriterBooks, cached_bytes, is_sync_awaited, is_writing, last_in_place, ledger,
    spilled_pages, waiting_writers, writable, writer_books,
};
pub use reseal::{reseal, unseal};
pub use sealer::TestSealer;
