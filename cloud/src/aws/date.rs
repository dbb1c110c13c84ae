//! The time as SigV4 writes it: `20150830T123600Z`, and its day, `20150830`.

use std::fmt;

use http::HeaderValue;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

const LENGTH: usize = 16;
const DAY: usize = 8;
const DAY_LONG: SignedDuration = SignedDuration::from_hours(24);

/// A second in UTC in ISO 8601 basic format, as `X-Amz-Date` and the string to sign hold it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct AmzDate([u8; LENGTH]);

impl AmzDate {
    /// The second that `at` falls in. Years outside 0–9999 cannot be written; they take the nearest that can.
    pub(super) fn new(at: Timestamp) -> Self {
        let t = Offset::UTC.to_datetime(at);
        let mut text = *b"00000000T000000Z";
        digits(&mut text[0..4], t.year().clamp(0, 9999).unsigned_abs());
        digits(&mut text[4..6], t.month().unsigned_abs().into());
        digits(&mut text[6..8], t.day().unsigned_abs().into());
        digits(&mut text[9..11], t.hour().unsigned_abs().into());
        digits(&mut text[11..13], t.minute().unsigned_abs().into());
        digits(&mut text[13..15], t.second().unsigned_abs().into());
        Self(text)
    }

    /// Takes exactly `YYYYMMDDTHHMMSSZ`; `None` for anything else, and for days that no calendar has.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = text.try_into().ok()?;
        let date = Self(text);
        (text[8] == b'T' && text[15] == b'Z' && date.civil().is_some()).then_some(date)
    }

    /// The same time of the next day.
    pub(super) fn next_day(&self) -> Self {
        Self::new(self.timestamp().checked_add(DAY_LONG).unwrap_or(Timestamp::MAX))
    }

    /// The instant that it names.
    pub(super) fn timestamp(&self) -> Timestamp {
        let civil = self.civil().expect("`new` and `parse` only let real dates in");
        Offset::UTC.to_timestamp(civil).unwrap_or(Timestamp::MAX)
    }

    /// `20150830T123600Z`.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII by construction")
    }

    /// `20150830`.
    pub(super) fn day(&self) -> &str {
        &self.as_str()[..DAY]
    }

    /// As the value of `X-Amz-Date`.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("digits and letters are a header value")
    }

    fn civil(&self) -> Option<DateTime> {
        let number = |from: usize, to: usize| {
            self.0[from..to].iter().try_fold(0i16, |n, b| b.is_ascii_digit().then(|| n * 10 + i16::from(b - b'0')))
        };
        let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
        DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(9)?, small(11)?, small(13)?, 0).ok()
    }
}

fn digits(into: &mut [u8], mut number: u16) {
    for place in into.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}

impl fmt::Debug for AmzDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_second_is_written_in_basic_format() {
        let date = AmzDate::new("2015-08-30T12:36:00.999Z".parse().unwrap());
        assert_eq!((date.as_str(), date.day()), ("20150830T123600Z", "20150830"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["20150830T123600", "20150830t123600Z", "20150230T123600Z", "2015-08-30T12:36Z", "+0150830T123600Z"]
        {
            assert_eq!(AmzDate::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_new(second in -62_000_000_000i64..250_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let date = AmzDate::new(at);
            prop_assert_eq!(AmzDate::parse(date.as_str().as_bytes()), Some(date));
            prop_assert_eq!(date.timestamp(), at);
        }
    }
}
