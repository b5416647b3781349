//! Names of backups: a time and a unique suffix.

use crate::crypto::RandomSource;
use crate::error::{Error, Result};
use crate::time::{Time, date};
use std::path::Path;

/// The letters of a unique suffix.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The prefix of a client reset's backup.
const RESET: &str = "recovered_realm-";
/// The prefix of a file of an older generation.
const OLDER: &str = "synced-realm-";

/// Returns the name of a client reset's backup.
pub(super) fn reset_name(now: Time, unique: &str) -> String {
    format!("{RESET}{}-{unique}", stamp(now))
}

/// Returns the name of a file of an older generation.
pub(super) fn older_name(unique: &str) -> String {
    format!("{OLDER}{unique}")
}

/// The reason for a backup, by its file name. A name is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupOrigin {
    /// A client reset.
    ClientReset {
        /// When the reset was recorded: `2017-11-22 09:30:15`, UTC.
        recorded: String,
    },
    /// An older generation of the original wrote the file.
    OlderGeneration,
}

impl BackupOrigin {
    /// Parses the name of a file; `None` for any other file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if let Some(rest) = name.strip_prefix(OLDER) {
            return is_unique(rest, 7).then_some(Self::OlderGeneration);
        }
        let (day, rest) = name.strip_prefix(RESET)?.split_at_checked(8)?;
        let (time, unique) = rest.strip_prefix('-')?.split_at_checked(6)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(day) || !digits(time) || !is_unique(unique.strip_prefix('-')?, 8) {
            return None;
        }
        let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
        let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
        let recorded = format!("{year}-{month}-{day} {hour}:{minute}:{second}");
        Some(Self::ClientReset { recorded })
    }
}

fn is_unique(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| LETTERS.contains(&byte))
}

/// Draws a unique suffix of letters and digits.
pub(super) fn unique(random_source: &dyn RandomSource, count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    random_source.fill(&mut bytes).map_err(|_| Error::RandomSource)?;
    // Some letters are likelier than others, which a name tolerates.
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

/// Formats a time as `20171122-093015`, UTC.
pub(super) fn stamp(time: Time) -> String {
    let seconds = time.0.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_to_the_origin_of_a_backup() {
        let now = Time::from_seconds(1_511_343_015);
        let path = Path::new("dir").join(reset_name(now, "aB3dE6gH"));
        let recorded = "2017-11-22 09:30:15".to_owned();
        assert_eq!(BackupOrigin::of(&path), Some(BackupOrigin::ClientReset { recorded }));
        let older = BackupOrigin::of(Path::new(&older_name("aB3dE6g")));
        assert_eq!(older, Some(BackupOrigin::OlderGeneration));
        for other in [
            "recovered_realm-20171122-093015-aB3dE6g",
            "recovered_realm-2017112x-093015-aB3dE6gH",
            "recovered_realm-20171122093015-aB3dE6gH",
            "recovered_realm-201711\u{e9}-093015-aB3dE6gH",
            "synced-realm-aB3dE6gH",
            "default.realm",
            "",
        ] {
            assert_eq!(BackupOrigin::of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn times_format_as_dates() {
        for (seconds, expected) in [
            (0, "19700101-000000"),
            (951_782_400, "20000229-000000"),
            (1_506_816_000, "20171001-000000"),
            (1_511_343_015, "20171122-093015"),
            (4_107_542_399, "21000228-235959"),
            (4_107_542_400, "21000301-000000"),
            (-1, "19691231-235959"),
        ] {
            assert_eq!(stamp(Time::from_seconds(seconds)), expected);
        }
    }
}
