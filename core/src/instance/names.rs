//! Names of files that are preserved for the user: a time and a unique part.

use crate::crypto::RandomSource;
use crate::error::{Error, Result};
use crate::time::{Time, date};
use std::path::Path;

/// Letters of the unique part of a name.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Prefix of the names of backups.
const RECOVERED: &str = "recovered_realm-";
/// Prefix of the names of files of an older generation.
const OLDER_GENERATION: &str = "synced-realm-";

/// Names a backup that is made now.
pub(super) fn recovered(now: Time, unique: &str) -> String {
    format!("{RECOVERED}{}-{unique}", stamp(now))
}

/// Names a file of an older generation.
pub(super) fn older_generation(unique: &str) -> String {
    format!("{OLDER_GENERATION}{unique}")
}

/// The reason why a file is preserved, by its name. A name is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A client reset was to be made, then: `2017-11-22 09:30:15`, UTC.
    ClientReset {
        /// When it was recorded.
        recorded: String,
    },
    /// An older generation of the original made it, and it was renamed.
    OlderGeneration,
}

impl Origin {
    /// Reads the name of a file; none if it is any other.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if let Some(rest) = name.strip_prefix(OLDER_GENERATION) {
            return is_unique(rest, 7).then_some(Self::OlderGeneration);
        }
        let (day, rest) = name.strip_prefix(RECOVERED)?.split_at_checked(8)?;
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

/// Draws so many letters and digits.
pub(super) fn unique(random_source: &dyn RandomSource, count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    random_source.fill(&mut bytes).map_err(|_| Error::RandomSource)?;
    // Some letters are likelier than others, which does no harm to a name.
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

/// Writes a time as `20171122-093015`, UTC.
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
    fn names_tell_where_a_file_comes_from() {
        let now = Time::from_seconds(1_511_343_015);
        let path = Path::new("dir").join(recovered(now, "aB3dE6gH"));
        let recorded = "2017-11-22 09:30:15".to_owned();
        assert_eq!(Origin::of(&path), Some(Origin::ClientReset { recorded }));
        let older = Origin::of(Path::new(&older_generation("aB3dE6g")));
        assert_eq!(older, Some(Origin::OlderGeneration));
        for other in [
            "recovered_realm-20171122-093015-aB3dE6g",
            "recovered_realm-2017112x-093015-aB3dE6gH",
            "recovered_realm-20171122093015-aB3dE6gH",
            "recovered_realm-201711\u{e9}-093015-aB3dE6gH",
            "synced-realm-aB3dE6gH",
            "default.realm",
            "",
        ] {
            assert_eq!(Origin::of(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn times_are_written_as_dates() {
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
