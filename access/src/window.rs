//! Hours of the week in somebody's time zone.
//!
//! A window speaks of the clock on the wall: 09:00–18:00 in New York is what New Yorkers read there, so on the day
//! that the clocks change it is an hour longer or shorter in fact, never in words. What the wall clock skips is not
//! open; what it shows twice counts twice.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

/// Days of the week, as JSON a list: `["mon", "tue"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<WrittenDay>", into = "Vec<WrittenDay>")]
pub struct Weekdays(u8);

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0b111_1111);

    /// Takes the days.
    pub fn new(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | Self::bit(day)))
    }

    fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// Whether `day` is one of them.
    pub fn contain(self, day: Weekday) -> bool {
        self.0 & Self::bit(day) != 0
    }

    fn bit(day: Weekday) -> u8 {
        1 << day.to_monday_zero_offset()
    }
}

/// Not a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Opens and closes at the same minute: never or always?
    #[error("the window starts and ends at the same time; leave both out to mean the whole day")]
    Empty,
    /// No day is left.
    #[error("the window names no day; leave `days` out to mean every day")]
    NoDay,
    /// One of start and end.
    #[error("start and end are written together, or neither for the whole day")]
    HalfOpen,
    /// Not hours and minutes.
    #[error("a time of day has hours and minutes: \"09:00\"")]
    Time,
    /// Not a time zone.
    #[error("a time zone is named as IANA names it: \"Europe/Berlin\", \"UTC\"")]
    Zone,
}

/// Hours (`09:00`–`18:00`, or overnight `22:00`–`06:00`) on days of the week, read off the wall clock in a time zone.
///
/// The start is inside, the end is not. An overnight window belongs to the day on which it starts: `fri 22:00–06:00`
/// is open on Saturday at 05:59.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenWindow")]
pub struct TimeWindow {
    hours: Option<(Time, Time)>,
    days: Weekdays,
    zone: TimeZone,
}

impl TimeWindow {
    /// Takes start and end (`None`: the whole day), the days on which it starts, and an IANA time zone.
    pub fn new(hours: Option<(Time, Time)>, days: Weekdays, zone: TimeZone) -> Result<Self, WindowError> {
        if hours.is_some_and(|(start, end)| start == end) {
            return Err(WindowError::Empty);
        }
        if days.0 == 0 {
            return Err(WindowError::NoDay);
        }
        Ok(Self { hours, days, zone })
    }

    /// Whether the window is open at `now`.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.started_on(&now.to_zoned(self.zone.clone())).is_some()
    }

    /// When the window that is open at `now` closes: the first instant at which the wall clock is outside.
    /// `None` if it is closed at `now`, or never closes.
    pub fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(self.zone.clone());
        let mut day = self.started_on(&local)?;
        if self.hours.is_none() {
            day = self.last_of_the_run(day)?;
        }
        let end = self.end_of(day, now)?;
        let clocks_change = self.zone.following(now).map(|t| t.timestamp()).take_while(|&t| t < end);
        clocks_change.into_iter().find(|&t| !self.contains(t)).or(Some(end))
    }

    /// When the window opens next, seen from `now`; `None` if it is open, or not within the next two weeks.
    pub fn opens(&self, now: Timestamp) -> Option<Zoned> {
        let local = now.to_zoned(self.zone.clone());
        if self.started_on(&local).is_some() {
            return None;
        }
        let start = self.hours.map_or(Time::midnight(), |(start, _)| start);
        let days = (0..=14).filter_map(|ahead| local.date().checked_add(ahead.days()).ok());
        days.filter(|day| self.days.contain(day.weekday()))
            .filter_map(|day| self.reached(day.to_datetime(start)))
            // What the wall clock skips whole does not open.
            .find(|opening| *opening > local && self.contains(opening.timestamp()))
    }

    /// When the wall clock first shows `time`, or a later one.
    fn reached(&self, time: DateTime) -> Option<Zoned> {
        let ambiguous = self.zone.to_ambiguous_zoned(time);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.compatible().ok(),
            // It jumps over it. Read with the offset of afterwards, the time lies before the jump.
            AmbiguousOffset::Gap { after, .. } => {
                let jump = self.zone.following(after.to_timestamp(time).ok()?).next()?;
                Some(jump.timestamp().to_zoned(self.zone.clone()))
            }
        }
    }

    /// The zone that the hours are read in.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The day on which the window that is open at `local` started.
    fn started_on(&self, local: &Zoned) -> Option<Date> {
        let (today, time) = (local.date(), local.time());
        let yesterday = today.yesterday().ok();
        let day = match self.hours {
            None => Some(today),
            Some((start, end)) if start < end => (start <= time && time < end).then_some(today),
            Some((start, _)) if start <= time => Some(today),
            Some((_, end)) if time < end => yesterday,
            Some(_) => None,
        };
        day.filter(|day| self.days.contain(day.weekday()))
    }

    /// The last of the whole days in a row that start with `day`; `None` when every day is one.
    fn last_of_the_run(&self, day: Date) -> Option<Date> {
        let mut last = day;
        for _ in 0..7 {
            let next = last.tomorrow().ok()?;
            if !self.days.contain(next.weekday()) {
                return Some(last);
            }
            last = next;
        }
        None
    }

    /// The instant, after `now`, at which the wall clock reaches the end of the window that started on `day`.
    fn end_of(&self, day: Date, now: Timestamp) -> Option<Timestamp> {
        let end = match self.hours {
            Some((start, end)) if start < end => day.to_datetime(end),
            Some((_, end)) => day.tomorrow().ok()?.to_datetime(end),
            None => day.tomorrow().ok()?.to_datetime(Time::midnight()),
        };
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(end).ok();
        match self.zone.to_ambiguous_timestamp(end).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            // The wall clock jumps over the end: it is outside from the jump on, which `closes` finds.
            AmbiguousOffset::Gap { before, .. } => at(before),
            AmbiguousOffset::Fold { before, after } => at(before).filter(|&first| first > now).or_else(|| at(after)),
        }
    }
}

/// A window as it is written: `{"start": "09:00", "end": "18:00", "days": ["mon"], "zone": "Europe/Berlin"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWindow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(default = "every_day", skip_serializing_if = "Weekdays::is_all")]
    days: Weekdays,
    zone: String,
}

const fn every_day() -> Weekdays {
    Weekdays::ALL
}

impl TryFrom<WrittenWindow> for TimeWindow {
    type Error = WindowError;

    fn try_from(written: WrittenWindow) -> Result<Self, WindowError> {
        let hours = match (written.start, written.end) {
            (Some(start), Some(end)) => Some((read(&start)?, read(&end)?)),
            (None, None) => None,
            _ => return Err(WindowError::HalfOpen),
        };
        let zone = TimeZone::get(&written.zone).map_err(|_| WindowError::Zone)?;
        Self::new(hours, written.days, zone)
    }
}

impl Serialize for TimeWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let zone = self.zone.iana_name().ok_or_else(|| S::Error::custom(WindowError::Zone))?.to_owned();
        let write = |time: Time| write(time).ok_or_else(|| S::Error::custom(WindowError::Time));
        let start = self.hours.map(|(start, _)| write(start)).transpose()?;
        let end = self.hours.map(|(_, end)| write(end)).transpose()?;
        WrittenWindow { start, end, days: self.days, zone }.serialize(serializer)
    }
}

/// Hours and minutes, two digits each.
fn read(text: &str) -> Result<Time, WindowError> {
    let two = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse::<i8>().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').ok_or(WindowError::Time)?;
    let (hour, minute) = two(hour).zip(two(minute)).ok_or(WindowError::Time)?;
    Time::new(hour, minute, 0, 0).map_err(|_| WindowError::Time)
}

fn write(time: Time) -> Option<String> {
    let whole = time.second() == 0 && time.subsec_nanosecond() == 0;
    whole.then(|| format!("{:02}:{:02}", time.hour(), time.minute()))
}

/// A day, as it is written.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenDay {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl WrittenDay {
    const ALL: [(Self, Weekday); 7] = [
        (Self::Mon, Weekday::Monday),
        (Self::Tue, Weekday::Tuesday),
        (Self::Wed, Weekday::Wednesday),
        (Self::Thu, Weekday::Thursday),
        (Self::Fri, Weekday::Friday),
        (Self::Sat, Weekday::Saturday),
        (Self::Sun, Weekday::Sunday),
    ];
}

impl From<Vec<WrittenDay>> for Weekdays {
    fn from(days: Vec<WrittenDay>) -> Self {
        Self::new(days.into_iter().map(|day| WrittenDay::ALL[day as usize].1))
    }
}

impl From<Weekdays> for Vec<WrittenDay> {
    fn from(days: Weekdays) -> Self {
        WrittenDay::ALL.into_iter().filter(|(_, day)| days.contain(*day)).map(|(day, _)| day).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).expect("a bundled zone")
    }

    fn window(hours: (Time, Time), days: &[Weekday], name: &str) -> TimeWindow {
        TimeWindow::new(Some(hours), Weekdays::new(days.iter().copied()), zone(name)).expect("a window")
    }

    fn at(text: &str) -> Timestamp {
        text.parse::<Zoned>().expect("a zoned time").timestamp()
    }

    const WEEK: [Weekday; 5] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

    #[test]
    fn office_hours_include_their_start_and_exclude_their_end() {
        let office = window((time(9, 0, 0, 0), time(18, 0, 0, 0)), &WEEK, "America/New_York");
        assert!(!office.contains(at("2026-11-23T08:59:59[America/New_York]")));
        assert!(office.contains(at("2026-11-23T09:00:00[America/New_York]")));
        assert!(!office.contains(at("2026-11-23T18:00:00[America/New_York]")));
        assert!(!office.contains(at("2026-11-22T12:00:00[America/New_York]")), "a Sunday");
    }

    #[test]
    fn an_overnight_window_belongs_to_the_day_it_starts_on() {
        let night = window((time(22, 0, 0, 0), time(6, 0, 0, 0)), &[Weekday::Friday], "Europe/Berlin");
        assert!(night.contains(at("2026-11-27T23:00:00[Europe/Berlin]")));
        assert!(night.contains(at("2026-11-28T05:59:59[Europe/Berlin]")), "Saturday morning");
        assert!(!night.contains(at("2026-11-28T06:00:00[Europe/Berlin]")));
        assert!(!night.contains(at("2026-11-28T23:00:00[Europe/Berlin]")), "Saturday night");
        assert!(!night.contains(at("2026-11-27T05:00:00[Europe/Berlin]")), "Friday morning");
    }

    #[test]
    fn the_hour_that_spring_skips_closes_a_window_that_ends_in_it() {
        // 2026-03-08: New York's clocks go from 02:00 to 03:00.
        let early = window((time(1, 0, 0, 0), time(2, 30, 0, 0)), &[Weekday::Sunday], "America/New_York");
        let before = at("2026-03-08T01:59:59[America/New_York]");
        assert!(early.contains(before));
        assert_eq!(early.closes(before), Some(at("2026-03-08T03:00:00[America/New_York]")));
        assert!(!early.contains(at("2026-03-08T03:00:00[America/New_York]")));
    }

    #[test]
    fn the_hour_that_autumn_repeats_counts_twice() {
        // 2026-11-01: New York's clocks go from 02:00 back to 01:00.
        let early = window((time(0, 0, 0, 0), time(1, 30, 0, 0)), &[Weekday::Sunday], "America/New_York");
        for offset in ["-04", "-05"] {
            assert!(early.contains(format!("2026-11-01T01:29:00{offset}").parse().unwrap()), "{offset}");
            assert!(!early.contains(format!("2026-11-01T01:30:00{offset}").parse().unwrap()), "{offset}");
        }
    }

    #[test]
    fn a_day_that_the_zone_skips_is_never_open() {
        // Samoa had no 2011-12-30, a Friday.
        let friday = TimeWindow::new(None, Weekdays::new([Weekday::Friday]), zone("Pacific/Apia")).unwrap();
        let thursday = at("2011-12-29T23:59:59[Pacific/Apia]");
        assert!(!friday.contains(thursday));
        assert!(!friday.contains(thursday + 1.second()));
    }

    #[test]
    fn the_next_opening_is_told() {
        let office = window((time(9, 0, 0, 0), time(18, 0, 0, 0)), &WEEK, "America/New_York");
        let opening = office.opens(at("2026-11-21T21:14:00[America/New_York]")).unwrap();
        assert_eq!(opening.to_string(), "2026-11-23T09:00:00-05:00[America/New_York]");
        assert_eq!(office.opens(opening.timestamp()), None);
    }

    #[test]
    fn a_window_that_starts_in_the_hour_that_spring_skips_opens_with_the_jump() {
        let late = window((time(2, 1, 0, 0), time(0, 0, 0, 0)), &[Weekday::Sunday], "Europe/Berlin");
        let opening = late.opens(at("2026-03-23T00:00:00[Europe/Berlin]")).unwrap();
        assert_eq!(opening.to_string(), "2026-03-29T03:00:00+02:00[Europe/Berlin]");
        let skipped = window((time(2, 1, 0, 0), time(2, 59, 0, 0)), &[Weekday::Sunday], "Europe/Berlin");
        let opening_later = skipped.opens(at("2026-03-23T00:00:00[Europe/Berlin]")).unwrap();
        assert_eq!(opening_later.to_string(), "2026-04-05T02:01:00+02:00[Europe/Berlin]");
        assert!(late.contains(opening.timestamp()) && !late.contains(opening.timestamp() - 1.nanosecond()));
    }

    #[test]
    fn a_window_without_hours_or_days_is_refused() {
        let nine = time(9, 0, 0, 0);
        assert_eq!(TimeWindow::new(Some((nine, nine)), Weekdays::ALL, TimeZone::UTC), Err(WindowError::Empty));
        assert_eq!(TimeWindow::new(None, Weekdays::new([]), TimeZone::UTC), Err(WindowError::NoDay));
    }

    const ZONES: [&str; 6] =
        ["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"];

    fn windows() -> impl Strategy<Value = TimeWindow> {
        let minutes = (0i8..24, 0i8..60).prop_map(|(h, m)| time(h, m, 0, 0));
        let hours = prop::option::of((minutes.clone(), minutes));
        (hours, 1u8..128, prop::sample::select(&ZONES[..]))
            .prop_filter_map("not empty", |(hours, days, name)| TimeWindow::new(hours, Weekdays(days), zone(name)).ok())
    }

    /// Minutes of 2026, where all those zones but two change their clocks twice.
    fn minutes() -> impl Strategy<Value = Timestamp> {
        let start = date(2026, 1, 1).to_zoned(TimeZone::UTC).expect("a date").timestamp();
        (0i64..365 * 24 * 60).prop_map(move |minute| start + minute.minutes())
    }

    proptest! {
        #[test]
        fn a_window_is_open_until_it_closes_and_shut_then(window in windows(), now in minutes()) {
            if let Some(closes) = window.closes(now) {
                prop_assert!(closes > now && !window.contains(closes), "{now} {closes}");
                let mut between = now;
                while between < closes {
                    prop_assert!(window.contains(between), "{between} before {closes}");
                    between += 15.minutes();
                }
                prop_assert!(window.contains(closes - 1.nanosecond()));
            }
        }

        #[test]
        fn a_closed_window_stays_closed_until_it_opens(window in windows(), now in minutes()) {
            if let Some(opens) = window.opens(now) {
                prop_assert!(window.contains(opens.timestamp()));
                prop_assert!(!window.contains(opens.timestamp() - 1.nanosecond()));
            }
        }
    }
}
