//! Freed memory, as the system still has it: to show that secrets are zeroed before.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

/// Bytes that are read back.
const BYTES: usize = 64;

/// Bytes at the start of freed memory that the allocator uses itself.
const ALLOCATOR_BYTES: usize = 16;

/// The memory of this process.
#[derive(Debug)]
pub struct OwnMemory(File);

impl OwnMemory {
    /// Opens the memory of this process.
    ///
    /// # Panics
    /// If the system does not offer it as a file, or the allocator clears what is freed.
    #[must_use]
    pub fn open() -> Self {
        let memory = Self(File::open("/proc/self/mem").expect("the system shows a process itself"));
        let secret = black_box(Box::new([0x5a_u8; BYTES]));
        let address = std::ptr::from_ref(&*secret).addr();
        drop(secret);
        assert!(!memory.is_cleared(address, 0x5a), "freed memory keeps its content");
        memory
    }

    /// Tells whether 64 bytes of freed memory, which all were `filler`, are something else now.
    ///
    /// # Panics
    /// If the memory cannot be read.
    #[must_use]
    pub fn is_cleared(&self, address: usize, filler: u8) -> bool {
        // An allocation would take the freed memory again.
        let mut bytes = [0; BYTES];
        let offset = u64::try_from(address).expect("an address has 64 bits");
        self.0.read_exact_at(&mut bytes, offset).expect("freed memory stays mapped");
        bytes[ALLOCATOR_BYTES..].iter().all(|byte| *byte != filler)
    }
}
