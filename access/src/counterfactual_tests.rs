//! What is told would be so, is enough by itself, and is not too much.

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::decide::tests::{checkout, grant, grants, places, put, receipts, unnamed};
use crate::principal::tests::{alice, display};
use crate::rules::tests::callers;
use crate::when::tests::when;
use crate::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn pods() -> Who {
    Who::Source(SourceName::new("a").expect("a name"))
}

fn told(caller: &Caller, grants: &[Grant], from: Option<IpAddr>) -> Vec<(Change, String)> {
    let rules = Rules::new([receipts()], grants.iter().cloned());
    let context = Context { now: NOW, from };
    let told = otherwise(&Arc::new(caller.clone()), (&receipts().name, &put("1")), &rules, &context);
    told.into_iter().map(|one| (one.change, one.allowed_by.to_string())).collect()
}

fn with(condition: Condition) -> Grant {
    Grant { conditions: vec![unnamed(condition)], ..grant(pods(), &["*"]) }
}

fn without(condition: Condition) -> (Change, String) {
    let grant = GrantName::new("g").expect("a name");
    (Change::Without { grant, condition: unnamed(condition) }, "g".to_owned())
}

#[test]
fn what_would_meet_a_condition_is_told() {
    let hours = (Time::constant(9, 0, 0, 0), Time::constant(18, 0, 0, 0));
    let office = TimeWindow::new(Some(hours), Weekdays::ALL, TimeZone::UTC).expect("a window");
    let network = Networks::new(["10.0.0.0/8".parse().expect("a network")]);
    let mut old = checkout();
    old.assurance.signed_in = Some(NOW - SignedDuration::from_hours(8));
    let g = "g".to_owned();
    for (condition, change) in [
        (Condition::Mfa { within: None }, Change::SecondFactor),
        (Condition::From(network), Change::From("10.0.0.1".parse().expect("an address"))),
        (Condition::During(office), Change::At(NOW + SignedDuration::from_hours(9))),
        (Condition::MaxSession(SignedDuration::from_hours(1)), Change::SignedIn),
    ] {
        assert_eq!(told(&old, &[with(condition.clone())], None), [(change, g.clone()), without(condition)]);
    }
    let late = Condition::When(when("context.hour > 9"));
    assert_eq!(told(&old, &[with(late.clone())], None), [without(late)]);
}

#[test]
fn a_change_that_is_not_enough_by_itself_is_not_told() {
    let mut strict = with(Condition::Mfa { within: None });
    strict.conditions.push(unnamed(Condition::When(when("false"))));
    assert_eq!(told(&checkout(), &[strict], None), []);
    let denied = Grant { deny: vec![Pattern::new("*").expect("a pattern").into()], ..grant(pods(), &[]) };
    assert_eq!(told(&checkout(), &[with(Condition::Mfa { within: None }), denied], None), []);
}

#[test]
fn whom_another_grant_is_for_is_told() {
    let group = Who::DirectoryGroup(ByIdOrName::Name(display("On call")));
    let workload = Workload::new(
        SourceName::new("shop").expect("a name"),
        [("pod".to_owned(), Pattern::new("x-?*").expect("a pattern"))].into(),
    );
    let whos = [
        Who::Role(RoleName::new("admin").expect("a name")),
        group.clone(),
        Who::User(ByIdOrName::Name(display("bob"))),
        Who::Workload(workload.expect("a workload")),
    ];
    let grants = whos.clone().map(|who| grant(who, &["s3:Put*"]));
    let person = Caller { principal: Some(Arc::new(alice())), ..checkout() };
    let beings: Vec<_> = whos.iter().map(|who| (Change::Being(who.clone()), "g".to_owned())).collect();
    assert_eq!(told(&person, &grants, None), beings);
    assert_eq!(told(&checkout(), &[grant(group, &["*"])], None), [], "a pod is not in the directory");
    assert_eq!(told(&person, &[grant(pods(), &["s3:Get*"])], None), [], "another action");
}

#[test]
fn people_are_told_in_a_sentence() {
    let role = Who::DirectoryRole(ByIdOrName::Name(display("On call")));
    let person = Caller { principal: Some(Arc::new(alice())), ..checkout() };
    let rules = Rules::new([receipts()], [grant(role, &["*"]), with(Condition::Mfa { within: None })]);
    let context = Context { now: NOW, from: None };
    let told = otherwise(&Arc::new(person), (&receipts().name, &put("1")), &rules, &context);
    assert_eq!(
        told.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "a second factor was just shown: grant \"g\" allows it then",
            "grant \"g\" has no require_mfa: grant \"g\" allows it then",
            "the caller is of directory role \"On call\": grant \"g\" allows it then",
        ]
    );
    let json = serde_json::to_value(&told).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!([
            {"change": "second_factor", "allowed_by": "g"},
            {"change": {"without": {"grant": "g", "condition": {"condition": {"mfa": {}}}}}, "allowed_by": "g"},
            {"change": {"being": {"directory_role": {"name": "On call"}}}, "allowed_by": "g"},
        ])
    );
}

#[test]
fn no_more_than_sixteen_changes_are_tried() {
    let role = |number: usize| Who::Role(RoleName::new(&format!("r{number}")).expect("a name"));
    let many: Vec<_> = (0..1000).map(|number| grant(role(number), &["*"])).collect();
    assert_eq!(told(&checkout(), &many, None).len(), 16);
}

proptest! {
    #[test]
    fn nothing_is_told_of_what_is_allowed_and_only_what_is_so_of_what_is_not(
        all in prop::collection::vec(grants(), 1..5), from in places(), caller in callers(),
    ) {
        let rules = Rules::new([receipts()], all.iter().cloned());
        let context = Context { now: NOW, from };
        let (caller, to, call) = (Arc::new(caller), receipts().name, put("1"));
        let told = otherwise(&caller, (&to, &call), &rules, &context);
        prop_assert!(told.len() <= MAX_TRIES);
        if decide(&caller, (&to, &call), &rules, &context).is_ok() {
            prop_assert!(told.is_empty());
        }
        // The other way round: what meets the only unmet condition of the only grant is found.
        let alone = Rules::new([receipts()], [with(Condition::Mfa { within: None })]);
        let is_for = caller.sources.iter().any(|name| name.as_str() == "a") && caller.assurance.mfa.is_none();
        let found = otherwise(&caller, (&to, &call), &alone, &context);
        prop_assert_eq!(is_for, found.iter().any(|one| one.change == Change::SecondFactor));
    }
}
