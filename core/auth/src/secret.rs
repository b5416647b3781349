//! Secret strings and bytes: zeroed on drop, never printed.

use std::fmt;
use zeroize::Zeroize as _;

/// Secret string, such as a password or a token. It is zeroed on drop and never printed;
/// [`Secret::expose`] returns the text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Creates a secret. A `String` is moved, so no copy remains.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Secret bytes, such as a body.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct SecretBytes(Vec<u8>);

impl SecretBytes {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Converts the bytes to text; serialized JSON is UTF-8.
    pub(crate) fn into_secret(mut self) -> Secret {
        match String::from_utf8(std::mem::take(&mut self.0)) {
            Ok(text) => Secret(text),
            Err(error) => {
                drop(Self(error.into_bytes()));
                unreachable!("U4: what is written as JSON is UTF-8")
            }
        }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U1
    #[test]
    #[cfg(target_os = "linux")]
    fn a_dropped_secret_leaves_no_bytes_in_freed_memory() {
        let memory = fastness_testkit::OwnMemory::open();
        let (text, bytes) = (Secret::from("z".repeat(64)), SecretBytes::new(vec![b'z'; 64]));
        let addresses = [text.0.as_ptr().addr(), bytes.0.as_ptr().addr()];
        drop(text);
        assert!(memory.is_cleared(addresses[0], b'z'), "U1");
        drop(bytes);
        assert!(memory.is_cleared(addresses[1], b'z'), "U1");
    }

    #[test]
    fn a_secret_never_prints_its_text() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(..) Secret(..)");
        assert_eq!(format!("{:?}", SecretBytes::new(vec![0x41])), "SecretBytes(..)");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!secret.is_empty() && Secret::default().is_empty());
    }
}
