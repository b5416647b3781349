//! Bounded reading and writing of the wire's primitives: varints, zigzag, lengths.
//!
//! Specification: docs/protocol.md#primitives.

use crate::entry::error::Problem;

/// Longest varint of 64 bits.
const VARINT_BYTES_MAX: usize = 10;

/// Reads forward; every method returns an error where the bytes end early.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let end = self.at.checked_add(count).ok_or(Problem::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(Problem::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        self.take(N)?.try_into().map_err(|_| Problem::Truncated)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Problem> {
        let byte = *self.bytes.get(self.at).ok_or(Problem::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    /// A number of seven bits a byte, low bits first, in as few bytes as possible.
    pub(crate) fn varint(&mut self) -> Result<u64, Problem> {
        let mut value = 0;
        for index in 0..VARINT_BYTES_MAX {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if index + 1 == VARINT_BYTES_MAX && byte > 1 {
                return Err(Problem::Number);
            }
            value |= bits << (7 * index);
            if byte < 0x80 {
                let is_minimal = index == 0 || byte != 0;
                return if is_minimal { Ok(value) } else { Err(Problem::Number) };
            }
        }
        Err(Problem::Number)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Problem> {
        let value = self.varint()?;
        let magnitude = (value >> 1).cast_signed();
        Ok(if value & 1 == 0 { magnitude } else { !magnitude })
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Problem> {
        u32::try_from(self.varint()?).map_err(|_| Problem::Number)
    }

    /// A length, then so many bytes.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Problem> {
        let count = self.varint()?;
        self.take(usize::try_from(count).map_err(|_| Problem::Truncated)?)
    }
}

pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

pub(crate) fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put_varint(bytes, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

pub(crate) fn put_binary(bytes: &mut Vec<u8>, value: &[u8]) {
    put_varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: u64, expect: &[u8]) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        assert_eq!(bytes, expect);
        assert_eq!(Reader::new(&bytes).varint(), Ok(value));
    }

    #[test]
    fn varints_are_minimal() {
        check(0, &[0]);
        check(127, &[127]);
        check(128, &[0x80, 1]);
        check(u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        for long in [&[0x80, 0][..], &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]] {
            assert_eq!(Reader::new(long).varint(), Err(Problem::Number));
        }
        assert_eq!(Reader::new(&[0x80]).varint(), Err(Problem::Truncated));
        assert_eq!(Reader::new(&[0x80; 11]).varint(), Err(Problem::Number));
    }

    #[test]
    fn signed_numbers_alternate() {
        for (value, expect) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MIN, u64::MAX)] {
            let (mut signed, mut unsigned) = (Vec::new(), Vec::new());
            put_signed(&mut signed, value);
            put_varint(&mut unsigned, expect);
            assert_eq!(signed, unsigned);
            assert_eq!(Reader::new(&signed).signed(), Ok(value));
        }
    }
}
