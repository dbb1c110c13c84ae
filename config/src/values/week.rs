//! Times of day, days of the week and time zones.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::document::shown;
use crate::flaw::Wrong;
use crate::nearest::nearest;

/// A time of day. `24:00`, where it may stand, is the midnight at which the day ends (ISO 8601-1:2019 §5.3.2).
pub(crate) fn time(text: &str, midnight_may_end: bool) -> Result<Time, Wrong> {
    if text == "24:00" && midnight_may_end {
        return Ok(Time::midnight());
    }
    parse(text).ok_or_else(|| {
        let help =
            if text == "24:00" { "a day starts at \"00:00\"" } else { "write hours and minutes in quotes: \"09:00\"" };
        Wrong::value(format!("{} is no time of day", shown(text))).help(help)
    })
}

fn parse(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
    };
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

/// A time zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Wrong> {
    TimeZone::get(name).map_err(|_| {
        let wrong = Wrong::value(format!("there is no time zone {}", shown(name)));
        let zones: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
        match nearest(name, zones.iter().map(String::as_str)) {
            Some(zone) => wrong.help(format!("did you mean {zone:?}?")),
            None => wrong.help("write an IANA name: Europe/Berlin, America/New_York, UTC"),
        }
    })
}

const DAYS: [(&str, &str, Weekday); 7] = [
    ("mon", "monday", Weekday::Monday),
    ("tue", "tuesday", Weekday::Tuesday),
    ("wed", "wednesday", Weekday::Wednesday),
    ("thu", "thursday", Weekday::Thursday),
    ("fri", "friday", Weekday::Friday),
    ("sat", "saturday", Weekday::Saturday),
    ("sun", "sunday", Weekday::Sunday),
];

/// A day, `mon`, or a range that may go round the end of the week, `fri-mon`.
pub(crate) fn days(text: &str) -> Result<Vec<Weekday>, Wrong> {
    let Some((first, last)) = text.split_once('-') else { return Ok(vec![day(text)?]) };
    let (first, last) = (day(first)?, day(last)?);
    let mut days = vec![first];
    let mut next = first;
    while next != last {
        next = next.wrapping_add(1);
        days.push(next);
    }
    Ok(days)
}

fn day(text: &str) -> Result<Weekday, Wrong> {
    let lower = text.trim().to_ascii_lowercase();
    let found = DAYS.iter().find(|(short, long, _)| *short == lower || *long == lower);
    found.map(|(_, _, day)| *day).ok_or_else(|| {
        let names = DAYS.iter().map(|(short, _, _)| *short);
        let wrong = Wrong::value(format!("{} is no day of the week", shown(text)));
        match nearest(&lower, names) {
            Some(day) => wrong.help(format!("did you mean {day}?")),
            None => wrong.help("write mon, tue, wed, thu, fri, sat, sun, or a range: mon-fri"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_days_go_round_the_end_of_the_week() {
        use Weekday::{Friday, Monday, Saturday, Sunday};
        assert_eq!(days("sat-mon"), Ok(vec![Saturday, Sunday, Monday]));
        assert_eq!(days("Friday"), Ok(vec![Friday]));
        assert_eq!(days("mon-fri").map(|days| days.len()), Ok(5));
        assert_eq!(days("mon-mon"), Ok(vec![Monday]));
        assert_eq!(days("fry").unwrap_err().help.as_deref(), Some("did you mean fri?"));
        assert!(days("mon-").is_err() && days("mon-wed-fri").is_err());
    }

    #[test]
    fn times_have_two_digits_each_and_only_an_end_is_midnight_at_24() {
        assert_eq!(time("09:00", false), Ok(jiff::civil::time(9, 0, 0, 0)));
        assert_eq!(time("24:00", true), Ok(Time::midnight()));
        for text in ["24:00", "9:00", "09:60", "25:00", "09:00:00", "0900", "+9:00", "09.00"] {
            assert!(time(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_that_is_nearly_right_is_suggested() {
        assert!(zone("Europe/Berlin").is_ok());
        assert_eq!(zone("America/NewYork").unwrap_err().help.as_deref(), Some("did you mean \"America/New_York\"?"));
    }
}
