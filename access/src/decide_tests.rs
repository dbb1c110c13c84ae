//! The laws of the decision, over small random worlds, and the refusals that people read.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::rules::tests::is_for;
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

fn unnamed(condition: Condition) -> NamedCondition {
    NamedCondition { name: None, condition }
}

fn put(key: &str) -> Call {
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

fn whos() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(pods()),
        Just(Who::Source(name(SourceName::new, "x"))),
        Just(Who::Group(name(GroupName::new, "b"))),
        Just(Who::Role(name(RoleName::new, "a"))),
    ]
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
    ]
    .prop_map(unnamed)
}

fn grants() -> impl Strategy<Value = Grant> {
    let allow = prop::sample::subsequence(vec!["s3:Get*", "s3:PutObject", "s3:*", "sqs:*"], 0..3);
    (whos(), allow, prop::collection::vec(conditions(), 0..3))
        .prop_map(|(from, allow, conditions)| Grant { conditions, ..grant(from, &allow) })
}

fn places() -> impl Strategy<Value = Option<IpAddr>> {
    prop::sample::select(vec![None, Some("10.1.1.1".parse().unwrap()), Some("11.1.1.1".parse().unwrap())])
}

proptest! {
    #[test]
    fn removing_a_grant_never_adds_a_permit(
        all in prop::collection::vec(grants(), 1..5), gone in any::<prop::sample::Index>(), from in places(),
    ) {
        let mut fewer = all.clone();
        fewer.remove(gone.index(all.len()));
        if asked(&checkout(), &fewer, &put("1"), from).is_ok() {
            prop_assert!(asked(&checkout(), &all, &put("1"), from).is_ok());
        }
    }

    #[test]
    fn adding_a_condition_never_adds_a_permit_and_never_lengthens_one(
        one in grants(), more in conditions(), from in places(),
    ) {
        let mut narrower = one.clone();
        narrower.conditions.push(more);
        if let Ok(narrow) = asked(&checkout(), &[narrower], &put("1"), from) {
            let wide = asked(&checkout(), &[one], &put("1"), from);
            prop_assert!(wide.is_ok_and(|wide| narrow.until() <= wide.until() && narrow.session() <= wide.session()));
        }
    }

    #[test]
    fn a_permit_admits_what_it_was_given_for_and_outlives_neither_evidence_nor_session(
        all in prop::collection::vec(grants(), 1..5), from in places(),
    ) {
        if let Ok(permit) = asked(&checkout(), &all, &put("1"), from) {
            let context = Context { now: NOW, from };
            prop_assert!(permit.admits(&put("1"), &context).is_ok());
            prop_assert!(permit.until() <= checkout().until && permit.until() <= NOW + permit.session());
            prop_assert!(is_for(permit.grant(), &checkout()));
        }
    }

    #[test]
    fn a_caller_that_no_grant_names_gets_nothing(all in prop::collection::vec(grants(), 0..5), from in places()) {
        let stranger = Caller { sources: Vec::new(), groups: Vec::new(), roles: Vec::new(), ..checkout() };
        let denial = asked(&stranger, &all, &put("1"), from).unwrap_err();
        prop_assert_eq!(denial.reason, Reason::NoGrant(name(TargetName::new, "receipts")));
    }
}
