//! Names of accounts in one normal form.
//!
//! - H21 Two spellings of one name are one name, and a name contains nothing invisible. Reserved
//!   names are compared in the normal form, in any case.
//!
//! The form is that of the PRECIS profile `UsernameCasePreserved` (RFC 8265): narrow characters for
//! wide ones, then NFC. Other than the profile, inner spaces and symbols are allowed, as accounts
//! have them. Specified in docs/server.md#calls.

use crate::fault::{self, Fault};
use crate::secret::Secret;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Name of the administrator of a new server.
pub const ADMIN_NAME: &str = "realm-admin";

/// Longest name, in bytes of its normal form.
const NAME_BYTES_MAX: usize = 255;

/// Invisible characters that no category excludes: joiners, fillers, and variation selectors.
const INVISIBLE: [(char, char); 7] = [
    ('\u{034f}', '\u{034f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{e0100}', '\u{e01ef}'),
];

/// Returns the normal form of a name; `None` if it cannot be one.
pub(super) fn normal_form(text: &str) -> Option<Secret> {
    if text.len() > NAME_BYTES_MAX * 4 {
        return None;
    }
    if fault::on(Fault::Sv20) {
        return Some(text.into());
    }
    // The sum of two normal steps may need the first one again, so both are repeated once.
    let once = narrow_nfc(text.trim());
    let name = Secret::new(narrow_nfc(once.expose().trim()).expose().trim().to_owned());
    let text = name.expose();
    let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.chars().all(is_visible);
    fits.then_some(name)
}

/// Returns whether the name is one that no client may register, in any case.
pub(super) fn is_reserved(name: &Secret) -> bool {
    name.expose().to_lowercase() == ADMIN_NAME
}

/// Replaces wide and half-wide characters by their usual form, and composes.
fn narrow_nfc(text: &str) -> Secret {
    let narrow = text.chars().flat_map(|letter| {
        let is_form = matches!(letter, '\u{ff01}'..='\u{ffef}' | '\u{3000}');
        let usual: Vec<char> =
            if is_form { std::iter::once(letter).nfkc().collect() } else { vec![letter] };
        usual
    });
    Secret::new(narrow.nfc().collect::<String>())
}

/// Returns whether a character shows where it is: no control, format or private character, and no
/// space but the usual one.
fn is_visible(letter: char) -> bool {
    if INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&letter)) {
        return false;
    }
    let is_hidden = matches!(
        letter.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    letter == ' ' || !is_hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let found = normal_form(text);
        assert_eq!(found.as_ref().map(Secret::expose), expect, "{text:?}");
        if let Some(name) = found {
            let again = normal_form(name.expose());
            assert_eq!(again, Some(name), "{text:?}: the form is not stable");
        }
    }

    #[test]
    fn spellings_of_one_name_have_one_form() {
        for text in
            ["zo\u{eb}", "zoe\u{308}", " zo\u{eb}\t", "\u{ff5a}\u{ff4f}\u{eb}", "\u{3000}zo\u{eb}"]
        {
            check(text, Some("zo\u{eb}"));
        }
        check("A b/2@x.org", Some("A b/2@x.org"));
        check("\u{ff76}\u{ff9e}", Some("\u{30ac}"));
        check("\u{2126}", Some("\u{3a9}"));
        check(&"a".repeat(255), Some(&"a".repeat(255)));
    }

    #[test]
    fn invisible_and_empty_names_are_none() {
        for letter in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{e0001}',
            '\u{2028}',
            '\u{a0}',
            '\u{e000}',
            '\u{378}',
        ] {
            check(&format!("a{letter}b"), None);
        }
        for text in ["", " ", "\u{3000}", &"a".repeat(256), &"\u{e9}".repeat(128)] {
            check(text, None);
        }
    }

    #[test]
    fn reserved_names_are_reserved_in_any_case() {
        for text in ["realm-admin", "Realm-Admin", " REALM-ADMIN ", "\u{ff52}ealm-admin"] {
            assert!(is_reserved(&normal_form(text).unwrap()), "{text}");
        }
        assert!(!is_reserved(&"realm-admin2".into()));
    }
}
