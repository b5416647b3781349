//! Keys from a file or from the environment, zeroed after use.
//!
//! - Y2 No message contains bytes of a key, only their number.

use crate::failure::Failure;
use fastness::Key;
use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_VARIABLE: &str = "FASTNESS_KEY";
const KEY_BYTES: usize = 64;
const HEX_DIGITS: usize = 2 * KEY_BYTES;
/// Maximum length of a key file: hexadecimal digits and a line end of two bytes.
const FILE_BYTES_MAX: usize = HEX_DIGITS + 2;
const KEY_FORMAT: &str = "a key is 64 bytes, or 128 hexadecimal digits";

const KEY_HELP: &str = "File with the key: 64 bytes, or 128 hexadecimal digits [default: the \
    variable FASTNESS_KEY, in hexadecimal digits]";

/// The key of the file.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// The key file.
    #[arg(long, value_name = "FILE", help = KEY_HELP)]
    key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Returns the key, if there is one.
    pub(crate) fn key(&self) -> Result<Option<Key>, Failure> {
        if let Some(path) = &self.key_file {
            return from_file(path).map(Some);
        }
        let Some(text) = env::var_os(KEY_VARIABLE).map(|text| text.into_encoded_bytes()) else {
            return Ok(None);
        };
        let text = Zeroizing::new(text);
        from_hex(text.trim_ascii()).map(Some).ok_or_else(|| {
            let bytes = text.len();
            Failure::usage(format!(
                "{KEY_VARIABLE} holds {bytes} bytes that are not a key; {KEY_FORMAT}"
            ))
        })
    }
}

impl KeyArgs {
    /// Returns the flags that pass the same key to another command, or no key.
    pub(crate) fn key_flags(&self, uses_key: bool) -> KeyFlags {
        let in_variable = self.key_file.is_none() && env::var_os(KEY_VARIABLE).is_some();
        let prefix = if !uses_key && in_variable { "env -u FASTNESS_KEY " } else { "" };
        let file = self.key_file.as_deref().filter(|_| uses_key);
        let suffix =
            file.map(|file| format!(" --key-file {}", shell_quote(file))).unwrap_or_default();
        KeyFlags { prefix, suffix }
    }
}

/// Arguments of `keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeygenArgs {
    /// The key file; it must not exist.
    file: PathBuf,
}

/// Makes a key file.
pub(crate) fn generate(args: &KeygenArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let file = args.file.display();
    match Key::create_file(&args.file) {
        Ok(_) => writeln!(out, "{file}: a new key; without it, files under it cannot be read")?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = format!("{file}: exists already, and a key is never replaced");
            return Err(Failure::problem(format!("{text}; choose another path")));
        }
        Err(error) => {
            let text = format!("{file}: cannot write the key: {}", error.kind());
            return Err(Failure::environment(text));
        }
    }
    Ok(0)
}

/// Command-line flags that pass the same key.
pub(crate) struct KeyFlags {
    /// Prefix of the command.
    pub(crate) prefix: &'static str,
    /// Suffix of the command.
    pub(crate) suffix: String,
}

/// Quotes a path for a shell, if necessary.
pub(crate) fn shell_quote(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:,@%".contains(&byte);
    if !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Reads a key file.
pub(crate) fn from_file(path: &Path) -> Result<Key, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::environment(format!("{}: cannot read the key: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    // The buffer never grows, so no copy of the key remains.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 32));
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    let key = if bytes.len() == KEY_BYTES {
        Key::from_slice(&bytes).ok()
    } else {
        from_hex(bytes.trim_ascii_end())
    };
    key.ok_or_else(|| {
        let (path, count) = (path.display(), bytes.len());
        let more = if count > FILE_BYTES_MAX { " or more" } else { "" };
        Failure::usage(format!("{path}: {count} bytes{more} that are not a key; {KEY_FORMAT}"))
    })
}

fn from_hex(text: &[u8]) -> Option<Key> {
    if text.len() != HEX_DIGITS {
        return None;
    }
    let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
    for (byte, digits) in bytes.iter_mut().zip(text.chunks(2)) {
        for digit in digits {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Key::from_slice(bytes.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_128_digits_are_a_key() {
        assert!(from_hex("0F".repeat(64).as_bytes()).is_some());
        assert!(from_hex("0f".repeat(63).as_bytes()).is_none());
        assert!(from_hex("0g".repeat(64).as_bytes()).is_none());
        assert!(from_hex("é".repeat(64).as_bytes()).is_none());
    }

    #[test]
    fn key_files_hold_bytes_or_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let check = |content: &[u8], expect: bool| {
            std::fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).is_ok(), expect, "{} bytes", content.len());
        };
        check(&[7; 64], true);
        check("ab".repeat(64).as_bytes(), true);
        check(format!("{}\r\n", "ab".repeat(64)).as_bytes(), true);
        check(&[7; 63], false);
        check(b"", false);
        check(&[b'a'; 4096], false);
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        for (path, expected) in [
            ("a/b-c_1.realm", "a/b-c_1.realm"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
            ("\u{e9}", "'\u{e9}'"),
        ] {
            assert_eq!(shell_quote(Path::new(path)), expected);
        }
    }
}
