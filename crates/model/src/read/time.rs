//! Times of resources: RFC 3339.

/// Seconds since 1970 of a time such as `2026-11-24T15:04:05Z`, with or without a fraction and an offset. `None` if it is
/// none, or lies before.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let is_mark =
        |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|it| marks.contains(it));
    let is_time = is_mark(4, b"-")
        && is_mark(7, b"-")
        && is_mark(10, b"Tt ")
        && is_mark(13, b":")
        && is_mark(16, b":");
    let [year, month, day] = [number(0, 4)?, number(5, 7)?, number(8, 10)?];
    let [hour, minute, second] = [number(11, 13)?, number(14, 16)?, number(17, 19)?];
    if !is_time || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds - offset(zone)?).ok()
}

/// Seconds of `Z`, `+HH:MM` or `-HH:MM`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// The day counted from 1970-01-01. Years are taken to begin in March, so that the leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_everybody_writes_them() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400)),
            ("2000-03-01T00:00:00.5Z", Some(951_868_800)),
            ("2024-12-31T23:59:59Z", Some(1_735_689_599)),
            ("2025-01-01T01:59:59+02:00", Some(1_735_689_599)),
            ("2024-12-31T22:29:59-01:30", Some(1_735_689_599)),
            ("2100-03-01T00:00:00z", Some(4_107_542_400)),
            ("1969-12-31T23:59:59Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-12-31", None),
            ("2024-12-31T23:59:59", None),
            ("", None),
            ("yesterday, at about noon", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
