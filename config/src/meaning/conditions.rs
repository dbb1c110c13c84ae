//! What must hold besides being named in a grant.

use std::collections::BTreeMap;

use access::{Condition, ConditionName, NamedCondition, Networks, TimeWindow, Weekdays, When};
use jiff::civil::Time;

use super::check::{Check, known};
use crate::at::At;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::{self, Conditions, Days, Inline, Item, Mfa};
use crate::values::duration::Bounds;
use crate::values::{address, week};

/// Shorter and it is over before the first call is made; longer and it limits nothing.
const MAX_SESSION: Bounds = Bounds::seconds(60, 30 * 86_400, "a session has a minute or more, and at most 30 days");
const MFA_WITHIN: Bounds =
    Bounds::seconds(60, 30 * 86_400, "people need a minute to sign in, and forget within 30 days");

/// Conditions under their names; empty for those that are wrong, so that no second error follows from the first.
pub(super) type ByName<'r> = BTreeMap<&'r str, Vec<Condition>>;

pub(super) fn by_name<'r>(
    check: &mut Check<'_>,
    raw: impl Iterator<Item = (&'r At<String>, &'r At<Inline>)>,
) -> ByName<'r> {
    let mut named = ByName::new();
    for (name, raw) in raw {
        let valid = check.name(name, ConditionName::new).is_some();
        let conditions = raw.get().map(|inline| self::inline(check, raw.node, inline)).unwrap_or_default();
        named.insert(name.text(), if valid { conditions } else { Vec::new() });
    }
    named
}

/// The conditions of a grant, those with names looked up.
pub(super) fn of_grant(check: &mut Check<'_>, raw: Option<&At<Conditions>>, named: &ByName<'_>) -> Vec<NamedCondition> {
    let Some(raw) = raw else { return Vec::new() };
    match raw.get() {
        None => Vec::new(),
        Some(Conditions::One(inline)) => unnamed(self::inline(check, raw.node, inline)),
        Some(Conditions::List(items)) => items.iter().flat_map(|item| self::item(check, item, named)).collect(),
    }
}

fn item(check: &mut Check<'_>, item: &At<Item>, named: &ByName<'_>) -> Vec<NamedCondition> {
    match item.get() {
        None => Vec::new(),
        Some(Item::Inline(inline)) => unnamed(self::inline(check, item.node, inline)),
        Some(Item::Name(name)) => {
            let names: Vec<&str> = named.keys().copied().collect();
            check.take(item, |_| known("condition", name, &names));
            let conditions = named.get(name.as_str()).into_iter().flatten().cloned();
            conditions.map(|condition| NamedCondition { name: ConditionName::new(name).ok(), condition }).collect()
        }
    }
}

fn unnamed(conditions: Vec<Condition>) -> Vec<NamedCondition> {
    conditions.into_iter().map(|condition| NamedCondition { name: None, condition }).collect()
}

/// The longest session, as a condition of its own.
pub(super) fn max_session(check: &mut Check<'_>, raw: Option<&At<raw::Period>>) -> Option<Condition> {
    raw.and_then(|raw| check.period(Some(raw), "", MAX_SESSION)).map(Condition::MaxSession)
}

fn inline(check: &mut Check<'_>, node: crate::document::NodeId, raw: &Inline) -> Vec<Condition> {
    let Inline { require_mfa, allowed_ips, time_window, max_session, when } = raw;
    let written =
        [require_mfa.is_some(), allowed_ips.is_some(), time_window.is_some(), max_session.is_some(), when.is_some()];
    if !written.contains(&true) {
        let wrong = Wrong::value("this condition says nothing, and would always hold");
        check.flaw(node, wrong.help("write require_mfa, allowed_ips, time_window, max_session or when"));
    }
    let mfa = require_mfa.as_ref().and_then(|raw| mfa(check, raw));
    let networks = allowed_ips.as_ref().map(|raw| networks(check, raw));
    let window = time_window.as_ref().and_then(|raw| window(check, raw));
    let longest = self::max_session(check, max_session.as_ref());
    let when = when.as_ref().and_then(|raw| self::when(check, raw));
    [mfa, networks, window, longest, when].into_iter().flatten().collect()
}

fn mfa(check: &mut Check<'_>, raw: &At<Mfa>) -> Option<Condition> {
    match raw.get()? {
        Mfa::Ever(true) => Some(Condition::Mfa { within: None }),
        Mfa::Ever(false) => {
            let wrong = Wrong::value("`require_mfa: false` requires nothing");
            check.flaw(raw.node, wrong.help("take it out: what is not required is not written"));
            None
        }
        Mfa::Within(fresh) => {
            check.period(Some(&fresh.within), "", MFA_WITHIN).map(|within| Condition::Mfa { within: Some(within) })
        }
    }
}

/// All that is wrong with an expression is told, each with its place in it.
fn when(check: &mut Check<'_>, raw: &At<String>) -> Option<Condition> {
    match When::new(raw.get()?) {
        Ok(when) => Some(Condition::When(when)),
        Err(errors) => {
            for error in errors.iter() {
                let place = error.at.map(|(line, column)| format!("{line}:{column}: ")).unwrap_or_default();
                check.flaw(raw.node, Wrong::value(format!("{place}{}", error.message)).maybe_help(error.help.clone()));
            }
            None
        }
    }
}

fn networks(check: &mut Check<'_>, raw: &At<Vec<At<String>>>) -> Condition {
    check.not_empty(Some(raw), "an empty list lets nobody in; take it out, or write networks");
    Condition::From(Networks::new(check.each(Some(raw), |text| address::network(text))))
}

fn window(check: &mut Check<'_>, at: &At<raw::TimeWindow>) -> Option<Condition> {
    let raw = at.get()?;
    let hours = hours(check, at.node, raw);
    let days = raw.days.as_ref().map_or(Some(Weekdays::ALL), |days| self::days(check, days));
    let zone = check.take(&raw.tz, |name| week::zone(name));
    match TimeWindow::new(hours?, days?, zone?) {
        Ok(window) => Some(Condition::During(window)),
        Err(error) => {
            check.flaw(at.node, Wrong::value(error));
            None
        }
    }
}

/// Start and end; `Some(None)` for the whole day, `None` if they are wrong.
fn hours(check: &mut Check<'_>, node: crate::document::NodeId, raw: &raw::TimeWindow) -> Option<Option<(Time, Time)>> {
    let start = raw.start.as_ref().map(|start| check.take(start, |text| week::time(text, false)));
    let end = raw.end.as_ref().map(|end| check.take(end, |text| week::time(text, true)));
    let from_midnight_to_midnight = raw.end.as_ref().is_some_and(|end| end.text() == "24:00");
    match (start, end) {
        (None, None) => Some(None),
        (Some(start), Some(end)) => match (start?, end?) {
            (start, end) if start == end && from_midnight_to_midnight => Some(None),
            hours => Some(Some(hours)),
        },
        _ => {
            let wrong = Wrong::new(Code::Contradiction, "`start` and `end` are written together or not at all");
            check.flaw(node, wrong);
            None
        }
    }
}

fn days(check: &mut Check<'_>, raw: &At<Days>) -> Option<Weekdays> {
    let days = match raw.get()? {
        Days::One(text) => check.take(raw, |_| week::days(text))?,
        Days::Many(items) => {
            let each: Vec<_> = items.iter().map(|item| check.take(item, |text| week::days(text))).collect();
            each.into_iter().collect::<Option<Vec<_>>>()?.concat()
        }
    };
    Some(Weekdays::new(days))
}
