//! The laws of the decision, over small random worlds, and the refusals that people read.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::rules::tests::{callers, is_for, whos};
use crate::when::tests::when;
use crate::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn name<T>(make: fn(&str) -> Result<T, InvalidName>, text: &str) -> T {
    make(text).expect("a name")
}

pub(crate) fn checkout() -> Caller {
    Caller {
        subject: "system:serviceaccount:shop:checkout".into(),
        issuer: "https://cluster".into(),
        sources: vec![name(SourceName::new, "a")],
        groups: vec![name(GroupName::new, "b")],
        roles: Vec::new(),
        attributes: BTreeMap::new(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: NOW + SignedDuration::from_hours(2),
    }
}

pub(crate) fn receipts() -> Target {
    Target {
        name: name(TargetName::new, "receipts"),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/receipts".into(),
        service: Some("s3".into()),
        resources: vec![Pattern::new("arn:aws:s3:::receipts/*").unwrap()],
        region: "us-east-1".into(),
        session: SignedDuration::from_hours(1),
    }
}

pub(crate) fn grant(from: Who, allow: &[&str]) -> Grant {
    Grant {
        name: name(GrantName::new, "g"),
        from: vec![from],
        to: name(TargetName::new, "receipts"),
        allow: allow.iter().map(|a| Pattern::new(a).unwrap().into()).collect(),
        deny: Vec::new(),
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    }
}

pub(crate) fn unnamed(condition: Condition) -> NamedCondition {
    NamedCondition { name: None, condition }
}

pub(crate) fn put(key: &str) -> Call {
    Call {
        cloud: Cloud::Aws,
        service: "s3".into(),
        prefix: "s3".into(),
        region: Some("us-east-1".into()),
        action: Some("s3:PutObject".into()),
        resource: Some(format!("arn:aws:s3:::receipts/{key}")),
        also: Vec::new(),
        method: "PUT".into(),
        host: "receipts.s3.amazonaws.com".into(),
        path: format!("/{key}"),
        spelling: Spelling::Plain,
    }
}

fn asked(caller: &Caller, grants: &[Grant], call: &Call, from: Option<IpAddr>) -> Result<Permit, Denial> {
    let rules = Rules::new([receipts()], grants.iter().cloned());
    let to = name(TargetName::new, "receipts");
    decide(&Arc::new(caller.clone()), (&to, call), &rules, &Context { now: NOW, from })
}

fn pods() -> Who {
    Who::Source(name(SourceName::new, "a"))
}

#[test]
fn the_nearest_grant_says_what_stopped_it() {
    let mut at_night = grant(pods(), &["s3:*"]);
    let hours = (Time::constant(9, 0, 0, 0), Time::constant(18, 0, 0, 0));
    let office = TimeWindow::new(Some(hours), Weekdays::ALL, TimeZone::UTC).unwrap();
    at_night.conditions = vec![unnamed(Condition::During(office))];
    let denial = asked(&checkout(), &[grant(pods(), &["s3:Get*"]), at_night], &put("1.pdf"), None).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "grant \"g\" allows it, but time_window does not hold: Thu 1970-01-01 00:00 UTC is outside the time window; \
         it opens Thu 1970-01-01 09:00 UTC"
    );
    assert_eq!(Refusal::from(&denial).code, RefusalCode::ConditionUnmet);
    assert_eq!(denial.near.len(), 2);
}

#[test]
fn a_workload_never_meets_a_condition_that_wants_a_second_factor() {
    let mut strong = grant(pods(), &["*"]);
    strong.conditions = vec![unnamed(Condition::Mfa { within: None })];
    assert!(asked(&checkout(), &[strong.clone()], &put("1"), None).is_err());
    let mut person = checkout();
    person.assurance.mfa = Some(NOW - SignedDuration::from_mins(10));
    assert!(asked(&person, &[strong.clone()], &put("1"), None).is_ok());
    strong.conditions = vec![unnamed(Condition::Mfa { within: Some(SignedDuration::from_mins(9)) })];
    assert!(asked(&person, &[strong], &put("1"), None).is_err(), "shown too long ago");
}

#[test]
fn from_an_unknown_address_no_network_condition_holds() {
    let mut office = grant(pods(), &["*"]);
    office.conditions = vec![unnamed(Condition::From(Networks::new(["0.0.0.0/0".parse().unwrap()])))];
    assert!(asked(&checkout(), &[office.clone()], &put("1"), None).is_err());
    assert!(asked(&checkout(), &[office], &put("1"), Some("::ffff:10.0.0.1".parse().unwrap())).is_ok());
}

#[test]
fn a_session_is_as_long_as_the_shortest_of_what_is_said() {
    let mut short = grant(pods(), &["*"]);
    short.session = Some(SignedDuration::from_hours(4));
    let permit = asked(&checkout(), &[short.clone()], &put("1"), None).unwrap();
    assert_eq!(permit.session(), SignedDuration::from_hours(4));
    assert_eq!(permit.until(), checkout().until, "evidence ends first");
    short.conditions = vec![unnamed(Condition::MaxSession(SignedDuration::from_mins(15)))];
    let permit = asked(&checkout(), &[short], &put("1"), None).unwrap();
    assert_eq!(permit.session(), SignedDuration::from_mins(15));
    assert_eq!(permit.until(), NOW + SignedDuration::from_mins(15));
}

#[test]
fn what_the_wire_does_not_tell_is_covered_only_by_the_whole_service() {
    let mut blind = put("1");
    blind.action = None;
    for (allow, covered) in [("s3:Put*", false), ("s3:*", true), ("*", true), ("sqs:*", false)] {
        assert_eq!(asked(&checkout(), &[grant(pods(), &[allow])], &blind, None).is_ok(), covered, "{allow}");
    }
    blind.resource = None;
    assert!(asked(&checkout(), &[grant(pods(), &["*"])], &blind, None).is_err(), "the target lists resources");
}

#[test]
fn a_permit_asks_again_at_every_call() {
    let permit = asked(&checkout(), &[grant(pods(), &["s3:PutObject"])], &put("1"), None).unwrap();
    let now = Context { now: NOW, from: None };
    assert!(permit.admits(&put("2"), &now).is_ok());
    let delete = Call { action: Some("s3:DeleteObject".into()), ..put("2") };
    assert!(permit.admits(&delete, &now).is_err());
    let elsewhere = Call { resource: Some("arn:aws:s3:::other/2".into()), ..put("2") };
    assert!(permit.admits(&elsewhere, &now).is_err());
    let expired = Context { now: checkout().until, from: None };
    assert_eq!(permit.admits(&put("2"), &expired), Err(Reason::Expired));
}

/// One decision asks so many, and none twice; what is beyond does not hold.
#[test]
fn a_decision_asks_no_more_than_64_expressions() {
    let with =
        |source: &str| Grant { conditions: vec![unnamed(Condition::When(when(source)))], ..grant(pods(), &["*"]) };
    let mut all: Vec<Grant> = (0..63).map(|number| with(&format!("context.hour == {}", number + 1))).collect();
    all.push(with("context.hour == 0"));
    assert!(asked(&checkout(), &all, &put("1"), None).is_ok(), "the 64th");
    all.insert(0, with("context.hour == 64"));
    let denial = asked(&checkout(), &all, &put("1"), None).unwrap_err();
    let unmet = |near: &Near| matches!(&near.reason, Reason::Condition { unmet: Unmet::TooMuch, .. });
    assert_eq!((denial.near.len(), denial.near.iter().filter(|near| unmet(near)).count()), (65, 1));
    let others = (0..500).map(|_| Grant { to: name(TargetName::new, "receipts"), ..grant(pods(), &["sqs:*"]) });
    let unasked = others.map(|grant| Grant { conditions: all[0].conditions.clone(), ..grant });
    let all: Vec<Grant> = unasked.chain([with("context.hour == 0")]).collect();
    assert!(asked(&checkout(), &all, &put("1"), None).is_ok(), "those that do not fit otherwise are not asked");
}

/// A batch names a thousand things; a costly question about each of them is not asked.
#[test]
fn a_costly_expression_is_not_asked_of_a_thousand_things() {
    let deed = |number| Deed {
        action: Some("s3:PutObject".into()),
        resource: Some(format!("arn:aws:s3:::receipts/{number}")),
    };
    let batch = Call { also: (0..1000).map(deed).collect(), ..put("1") };
    let with =
        |source: &str| Grant { conditions: vec![unnamed(Condition::When(when(source)))], ..grant(pods(), &["*"]) };
    assert!(asked(&checkout(), &[with("call.action == 's3:PutObject'")], &batch, None).is_ok());
    let costly = with("!caller.groups.exists(g, g + g == call.action)");
    assert!(asked(&checkout(), std::slice::from_ref(&costly), &put("1"), None).is_ok());
    let denial = asked(&checkout(), &[costly], &batch, None).unwrap_err();
    assert!(matches!(denial.reason, Reason::Condition { unmet: Unmet::TooMuch, .. }), "{denial}");
}

#[test]
fn a_permit_asks_its_expressions_again_at_every_call() {
    let mut early = grant(pods(), &["*"]);
    early.conditions = vec![unnamed(Condition::When(when("context.hour == 0 && call.path != '/2'")))];
    let permit = asked(&checkout(), &[early], &put("1"), None).unwrap();
    let at = |minutes| Context { now: NOW + SignedDuration::from_mins(minutes), from: None };
    assert!(permit.admits(&put("1"), &at(59)).is_ok());
    assert!(permit.admits(&put("2"), &at(59)).is_err() && permit.admits(&put("1"), &at(60)).is_err());
}

fn conditions() -> impl Strategy<Value = NamedCondition> {
    prop_oneof![
        Just(Condition::Mfa { within: None }),
        Just(Condition::From(Networks::new(["10.0.0.0/8".parse().unwrap()]))),
        (1i64..48).prop_map(|h| Condition::MaxSession(SignedDuration::from_hours(h))),
        (0i8..24, 0i8..24).prop_filter_map("hours", |(from, to)| {
            let hours = (Time::constant(from, 0, 0, 0), Time::constant(to, 0, 0, 0));
            TimeWindow::new(Some(hours), Weekdays::ALL, TimeZone::UTC).ok().map(Condition::During)
        }),
        prop::sample::select(vec![
            "true",
            "context.hour == 0",
            "call.method == 'GET'",
            "has(caller.kind) && caller.kind == 'user'",
            "caller.kind != 'client'",
            "!('a' in caller.groups)",
            "caller.directory_groups.exists(group, group == 'A')",
            "context.address != '10.1.1.1'",
        ])
        .prop_map(|source| Condition::When(when(source))),
    ]
    .prop_map(unnamed)
}

pub(crate) fn grants() -> impl Strategy<Value = Grant> {
    let allow = prop::sample::subsequence(vec!["s3:Get*", "s3:PutObject", "s3:*", "sqs:*"], 0..3);
    let from = prop_oneof![Just(pods()), whos()];
    (from, allow, prop::collection::vec(conditions(), 0..3))
        .prop_map(|(from, allow, conditions)| Grant { conditions, ..grant(from, &allow) })
}

pub(crate) fn places() -> impl Strategy<Value = Option<IpAddr>> {
    prop::sample::select(vec![None, Some("10.1.1.1".parse().unwrap()), Some("11.1.1.1".parse().unwrap())])
}

/// Callers of whom something is granted more often than not.
fn askers() -> impl Strategy<Value = Caller> {
    prop_oneof![Just(checkout()), callers()]
}

proptest! {
    #[test]
    fn removing_a_grant_never_adds_a_permit(
        all in prop::collection::vec(grants(), 1..5), gone in any::<prop::sample::Index>(), from in places(),
        caller in askers(),
    ) {
        let mut fewer = all.clone();
        fewer.remove(gone.index(all.len()));
        if asked(&caller, &fewer, &put("1"), from).is_ok() {
            prop_assert!(asked(&caller, &all, &put("1"), from).is_ok());
        }
    }

    #[test]
    fn adding_a_condition_never_adds_a_permit_and_never_lengthens_one(
        one in grants(), more in conditions(), from in places(), caller in askers(),
    ) {
        let mut narrower = one.clone();
        narrower.conditions.push(more);
        if let Ok(narrow) = asked(&caller, &[narrower], &put("1"), from) {
            let wide = asked(&caller, &[one], &put("1"), from);
            prop_assert!(wide.is_ok_and(|wide| narrow.until() <= wide.until() && narrow.session() <= wide.session()));
        }
    }

    #[test]
    fn a_permit_admits_what_it_was_given_for_and_outlives_neither_evidence_nor_session(
        all in prop::collection::vec(grants(), 1..5), from in places(), caller in askers(),
    ) {
        if let Ok(permit) = asked(&caller, &all, &put("1"), from) {
            let context = Context { now: NOW, from };
            prop_assert!(permit.admits(&put("1"), &context).is_ok());
            prop_assert!(permit.until() <= caller.until && permit.until() <= NOW + permit.session());
            prop_assert!(is_for(permit.grant(), &caller));
        }
    }

    #[test]
    fn a_caller_that_no_grant_names_gets_nothing(all in prop::collection::vec(grants(), 0..5), from in places()) {
        let stranger = Caller { sources: Vec::new(), groups: Vec::new(), roles: Vec::new(), ..checkout() };
        let denial = asked(&stranger, &all, &put("1"), from).unwrap_err();
        prop_assert_eq!(denial.reason, Reason::NoGrant(name(TargetName::new, "receipts")));
    }
}
