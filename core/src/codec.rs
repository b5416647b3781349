//! Bounded little-endian reading and writing; the only place that slices raw bytes.
//!
//! - K1 Reading is total over any bytes: `None` if they end too early, never a panic.

/// A cursor over bytes, which reads forward from their start.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u48(&mut self) -> Option<u64> {
        let [a, b, c, d, e, f] = self.array()?;
        Some(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.rest.len()
    }
}

/// A writer that appends to a vector.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Encodes 48 bits. A value with more bits breaks K2.
pub(crate) fn u48_bytes(value: u64) -> [u8; 6] {
    assert!(value < 1 << 48, "K2: {value} does not fit in 48 bits");
    let [a, b, c, d, e, f, _, _] = value.to_le_bytes();
    [a, b, c, d, e, f]
}

/// Reads two bytes at `at`; the caller has checked the length.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads four bytes at `at`; the caller has checked the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Overwrites bytes at `at`; the caller has checked that they fit.
pub(crate) fn put_at(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Narrows a length, which the page size bounds.
pub(crate) fn u16_len(len: usize) -> u16 {
    u16::try_from(len).expect("K2: a length within a page fits in 16 bits")
}

/// Narrows a length, which the maximum length of a value bounds.
pub(crate) fn u32_len(len: usize) -> u32 {
    u32::try_from(len).expect("K2: a length of a value fits in 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_ends_early_without_panic() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u64(), None);
        assert_eq!(reader.u48(), None);
        assert_eq!(reader.take(4), None);
        assert_eq!(reader.take(2), Some(&[1, 2][..]));
        assert_eq!(reader.u8(), Some(3));
        assert!(reader.is_empty());
    }

    #[test]
    fn writer_and_reader_agree() {
        let mut writer = Writer::default();
        writer.u8(7);
        writer.u32(u32::MAX);
        writer.put(&u48_bytes((1 << 48) - 1));
        writer.u64(u64::MAX);
        let mut reader = Reader::new(writer.bytes());
        assert_eq!(reader.u8(), Some(7));
        assert_eq!(reader.u32(), Some(u32::MAX));
        assert_eq!(reader.u48(), Some((1 << 48) - 1));
        assert_eq!(reader.u64(), Some(u64::MAX));
        assert!(reader.is_empty());
    }

    #[test]
    #[should_panic(expected = "K2")]
    fn u48_refuses_to_narrow_silently() {
        u48_bytes(1 << 48);
    }
}
