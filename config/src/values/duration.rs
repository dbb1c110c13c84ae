//! Lengths of time: `15m`, `1h30m`, `30d`, or seconds.

use jiff::SignedDuration;

use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::Period;

/// Far above every bound, far below what overflows.
const MOST_SECONDS: u64 = 100 * 366 * 86_400;
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// From when to when a length of time makes sense, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) least: SignedDuration,
    pub(crate) most: SignedDuration,
    pub(crate) why: &'static str,
}

impl Bounds {
    pub(crate) const fn seconds(least: i64, most: i64, why: &'static str) -> Self {
        Self { least: SignedDuration::from_secs(least), most: SignedDuration::from_secs(most), why }
    }
}

/// A length of time within bounds.
pub(crate) fn period(period: &Period, bounds: Bounds) -> Result<SignedDuration, Wrong> {
    let seconds = match period {
        Period::Seconds(seconds) => Some(*seconds),
        Period::Text(text) => Some(seconds(text).ok_or_else(|| {
            Wrong::value(format!("{} is no length of time", shown(text)))
                .help("write 15m, 1h30m, 30d, or a number of seconds")
        })?),
    };
    let seconds = seconds.filter(|seconds| *seconds <= MOST_SECONDS).and_then(|seconds| i64::try_from(seconds).ok());
    let duration = SignedDuration::from_secs(seconds.unwrap_or(i64::MAX));
    let (least, most) = (in_words(bounds.least), in_words(bounds.most));
    if duration < bounds.least {
        return Err(Wrong::new(
            Code::OutOfBounds,
            format!("{} is too short; the least is {least}", in_words(duration)),
        )
        .help(bounds.why));
    }
    if duration > bounds.most {
        let this = if seconds.is_some() { in_words(duration) } else { "this".to_owned() };
        return Err(Wrong::new(Code::OutOfBounds, format!("{this} is too long; the most is {most}")).help(bounds.why));
    }
    Ok(duration)
}

/// Numbers with units, each unit once and the largest first.
fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    for (unit, length) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let Some(after) = rest[digits..].strip_prefix(unit) else { continue };
        let number: u64 = rest[..digits].parse().ok()?;
        total = total.saturating_add(number.saturating_mul(length));
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

/// As it would be written: `1h30m`.
pub(crate) fn in_words(duration: SignedDuration) -> String {
    let mut left = duration.as_secs().unsigned_abs();
    let mut text = String::new();
    for (unit, length) in UNITS {
        let number = left / length;
        left %= length;
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read_largest_first_and_each_once() {
        assert_eq!(seconds("1h30m"), Some(5_400));
        assert_eq!(seconds("30d"), Some(2_592_000));
        assert_eq!(seconds("90m"), Some(5_400));
        for text in ["", "h", "30m1h", "1h1h", "1.5h", "-1h", "1 h", "1H", "15", "15min", "1é"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_overflow_are_too_long() {
        let bounds = Bounds::seconds(1, 60, "");
        for period in [
            Period::Text("99999999999999999999d".into()),
            Period::Text("18446744073709551615d".into()),
            Period::Seconds(u64::MAX),
        ] {
            assert!(super::period(&period, bounds).is_err(), "{period:?}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_in_words_reads_back(total in 1i64..1_000_000_000) {
            let duration = SignedDuration::from_secs(total);
            prop_assert_eq!(seconds(&in_words(duration)), u64::try_from(total).ok());
        }
    }
}
