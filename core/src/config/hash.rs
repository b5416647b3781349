//! Hashes of values, in 32 bits that wrap: those of the Java platform, so that they can be held
//! against the original's.

/// An incremental hash.
#[derive(Default)]
pub(super) struct Hash(i32);

impl Hash {
    pub(super) fn term(self, term: i32) -> Self {
        Self(self.0.wrapping_mul(31).wrapping_add(term))
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.term(i32::from(flag))
    }

    pub(super) fn text(self, value: &str) -> Self {
        self.term(text(value))
    }

    pub(super) fn option<T>(self, value: Option<&T>, term: impl FnOnce(&T) -> i32) -> Self {
        self.term(value.map_or(0, term))
    }

    pub(super) const fn value(&self) -> i32 {
        self.0
    }
}

/// Hashes the UTF-16 units of a text.
pub(super) fn text(value: &str) -> i32 {
    value.encode_utf16().fold(Hash::default(), |hash, unit| hash.term(i32::from(unit))).value()
}

/// Hashes the path of a directory.
pub(super) fn directory(path: &str) -> i32 {
    text(path) ^ 1_234_321
}

/// Hashes bytes, with their signs.
pub(super) fn bytes(value: &[u8]) -> i32 {
    value.iter().fold(Hash(1), |hash, byte| hash.term(i32::from(byte.cast_signed()))).value()
}

/// Folds 64 bits to 32.
pub(super) const fn fold(value: u64) -> i32 {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    i32::from_be_bytes([a, b, c, d]) ^ i32::from_be_bytes([e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::{bytes, directory, fold, text};

    #[test]
    fn texts_hash_as_in_the_original() {
        for (value, hash) in [
            ("", 0),
            ("a", 97),
            ("default.realm", -87_742_302),
            ("/tmp/a.realm", 888_966_715),
            ("\u{1F600}", 1_772_899),
        ] {
            assert_eq!(text(value), hash, "{value:?}");
        }
    }

    #[test]
    fn directories_hash_as_in_the_original() {
        assert_eq!(directory("/tmp"), 379_673);
        assert_eq!(directory("/data/data/io.realm/files"), 1_716_386_287);
    }

    #[test]
    fn bytes_hash_as_in_the_original() {
        let counting: Vec<u8> = (0..64).collect();
        assert_eq!(bytes(&[]), 1);
        assert_eq!(bytes(&[0; 64]), 1_304_393_729);
        assert_eq!(bytes(&counting), -832_096_223);
        assert_eq!(bytes(&[0xff; 64]), 974_582_785);
    }

    #[test]
    fn versions_fold_as_in_the_original() {
        for (version, hash) in
            [(0, 0), (1, 1), (1 << 32, 1), (u64::MAX >> 1, i32::MIN), (u64::MAX, 0)]
        {
            assert_eq!(fold(version), hash, "{version}");
        }
    }
}
