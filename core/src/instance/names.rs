//! Names for files that are kept for the user: when it was, and what makes them unique.

use crate::crypto::Entropy;
use crate::error::{Error, Result};
use crate::time::Time;

/// What the unique part of a name is made of.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Draws so many letters and digits.
pub(super) fn unique(entropy: &dyn Entropy, count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    entropy.fill(&mut bytes).map_err(|_| Error::Entropy)?;
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

/// Returns year, month and day of a day counted from the beginning of 1970.
fn date(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the day that some have more comes last.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = date(-1);
        for day in 0..146_097 {
            let next = date(day);
            let (year, month, number) = last;
            let follows = [(year, month, number + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(follows.contains(&next), "{last:?} {next:?}");
            last = next;
        }
        assert_eq!(last, (2369, 12, 31));
    }
}
