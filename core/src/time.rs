//! Points in time, which come in from outside; arithmetic on them saturates.
//!
//! - U5 A far future never becomes the past, nor the past a far future.

use std::time::Duration;

/// A point in time: milliseconds since the beginning of 1970, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub i64);

impl Time {
    /// The end of time: a token that expires then never does.
    pub const NEVER: Self = Self(i64::MAX);

    /// Returns the time so many seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the time later by this much.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the time earlier by this much.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns how long it is from `earlier` to this; nothing if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns year, month and day of a day counted from the beginning of 1970.
pub(crate) fn date(days: i64) -> (i64, i64, i64) {
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

/// Returns the day of a date, counted from the beginning of 1970; none if there is no such date.
pub(crate) fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let year_from_march = year.checked_sub(i64::from(month <= 2))?;
    let (era, years) = (year_from_march.div_euclid(400), year_from_march.rem_euclid(400));
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let of_era = 365 * years + years / 4 - years / 100 + of_year;
    let days = era.checked_mul(146_097)?.checked_add(of_era)?.checked_sub(719_468)?;
    // The numbers may name no date, as the 30th of February.
    let is_date = days <= i64::MAX - 719_468 && date(days) == (year, month, day);
    is_date.then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Time::from_seconds(1_512_345_678), Time(1_512_345_678_000));
        assert_eq!(Time::from_seconds(i64::MAX), Time::NEVER);
        assert_eq!(Time::from_seconds(i64::MIN), Time(i64::MIN));
        assert_eq!(Time::from_seconds(-1), Time(-1000));
        assert_eq!(Time::NEVER.plus(Duration::MAX), Time::NEVER);
        assert_eq!(Time(0).plus(Duration::MAX), Time::NEVER);
        assert_eq!(Time(i64::MIN).minus(Duration::MAX), Time(i64::MIN));
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time::NEVER.since(Time(i64::MIN)), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut last = date(-1);
        for day in 0..146_097 {
            let next = date(day);
            let (year, month, number) = last;
            let follows = [(year, month, number + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(follows.contains(&next), "{last:?} {next:?}");
            assert_eq!(day_of(next.0, next.1, next.2), Some(day));
            last = next;
        }
        assert_eq!(last, (2369, 12, 31));
        for (year, month, day) in [(2023, 2, 29), (1900, 2, 29), (2023, 4, 31), (2023, 13, 1)] {
            assert_eq!(day_of(year, month, day), None);
        }
        assert_eq!(day_of(i64::MAX, 1, 1), None);
        assert_eq!(day_of(i64::MIN, 1, 1), None);
    }
}
