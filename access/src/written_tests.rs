//! The shape in which rules are written down, and that what is read is what was written.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::principal::tests::{display, uuid};
use crate::rules::tests::callers;
use crate::*;

fn texts() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9ä:/ ]{0,8}[a-z]"
}

fn pattern() -> impl Strategy<Value = Pattern> {
    "[a-zé:/*?]{1,12}".prop_map(|text| Pattern::new(&text).unwrap())
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    prop::collection::vec(pattern(), 0..3)
}

fn rules() -> impl Strategy<Value = Rule> {
    (prop::option::of(texts()), patterns(), patterns(), prop::collection::vec("[A-Z]{3,6}", 0..3), patterns())
        .prop_map(|(service, actions, resources, methods, paths)| Rule { service, actions, resources, methods, paths })
        .prop_filter("says something", |rule| *rule != Rule::default())
}

fn seconds() -> impl Strategy<Value = SignedDuration> {
    (0i64..=366 * 86_400).prop_map(SignedDuration::from_secs)
}

fn names() -> impl Strategy<Value = String> {
    "[a-z][a-zA-Z0-9._/:@-]{0,8}[0-9]"
}

fn by_id_or_name<Id: std::fmt::Debug + Clone>(make: fn(Uuid) -> Id) -> impl Strategy<Value = ByIdOrName<Id>> {
    let id = any::<u128>().prop_map(move |id| ByIdOrName::Id(make(Uuid::from_u128(id))));
    prop_oneof![id, "\\PC{1,20}".prop_map(|name| ByIdOrName::Name(display(&name)))]
}

fn whos() -> impl Strategy<Value = Who> {
    let attributes = prop::collection::btree_map(texts(), pattern(), 1..4);
    let workload = (names(), attributes)
        .prop_map(|(source, attributes)| Workload::new(SourceName::new(&source).unwrap(), attributes).unwrap());
    prop_oneof![
        names().prop_map(|name| Who::Source(SourceName::new(&name).unwrap())),
        names().prop_map(|name| Who::Group(GroupName::new(&name).unwrap())),
        names().prop_map(|name| Who::Role(RoleName::new(&name).unwrap())),
        by_id_or_name(PrincipalId::new).prop_map(Who::User),
        by_id_or_name(GroupId::new).prop_map(Who::DirectoryGroup),
        by_id_or_name(RoleId::new).prop_map(Who::DirectoryRole),
        workload.prop_map(Who::Workload),
    ]
}

fn windows() -> impl Strategy<Value = TimeWindow> {
    let minutes = || (0i8..24, 0i8..60).prop_map(|(h, m)| Time::constant(h, m, 0, 0));
    let week = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let days = prop::sample::subsequence(week.to_vec(), 1..8).prop_map(Weekdays::new);
    let zones = prop::sample::select(vec!["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]);
    (prop::option::of((minutes(), minutes())), days, zones)
        .prop_filter_map("empty", |(hours, days, zone)| TimeWindow::new(hours, days, TimeZone::get(zone).ok()?).ok())
}

pub(crate) fn conditions() -> impl Strategy<Value = Condition> {
    let v4 = (any::<u32>(), 0u8..=32).prop_map(|(a, l)| ipnet::Ipv4Net::new(a.into(), l).unwrap().into());
    let v6 = (any::<u128>(), 0u8..=128).prop_map(|(a, l)| ipnet::Ipv6Net::new(a.into(), l).unwrap().into());
    prop_oneof![
        prop::option::of(seconds()).prop_map(|within| Condition::Mfa { within }),
        prop::collection::vec(prop_oneof![v4, v6], 0..3).prop_map(|all| Condition::From(Networks::new(all))),
        windows().prop_map(Condition::During),
        seconds().prop_map(Condition::MaxSession),
        "[a-zä '\\\\]{0,9}".prop_map(|text| {
            let text = serde_json::to_string(&text).expect("a string of JSON is one of the language");
            Condition::When(When::new(&format!("call.path != {text}")).expect("an expression"))
        }),
    ]
}

fn grants() -> impl Strategy<Value = Grant> {
    let named = (prop::option::of(names()), conditions()).prop_map(|(name, condition)| NamedCondition {
        name: name.map(|name| ConditionName::new(&name).unwrap()),
        condition,
    });
    let who = (names(), prop::collection::vec(whos(), 0..4), names());
    let what = (prop::collection::vec(rules(), 0..3), prop::collection::vec(rules(), 0..3));
    let rest = (prop::collection::vec(named, 0..3), prop::option::of(seconds()), prop::collection::vec(texts(), 0..3));
    (who, what, rest).prop_map(|((name, from, to), (allow, deny), (conditions, session, policies))| Grant {
        name: GrantName::new(&name).unwrap(),
        from,
        to: TargetName::new(&to).unwrap(),
        allow,
        deny,
        conditions,
        session,
        policies,
    })
}

fn targets() -> impl Strategy<Value = Target> {
    let cloud = prop::sample::select(vec![Cloud::Aws, Cloud::Gcp, Cloud::Azure, Cloud::Oci]);
    ((names(), cloud, texts()), prop::option::of(texts()), patterns(), (texts(), seconds())).prop_map(
        |((name, cloud, role), service, resources, (region, session))| Target {
            name: TargetName::new(&name).unwrap(),
            cloud,
            role,
            service,
            resources,
            region,
            session,
        },
    )
}

fn read_again<T: Serialize + DeserializeOwned>(written: &T) -> T {
    serde_json::from_str(&serde_json::to_string(written).expect("it can be written")).expect("it can be read")
}

proptest! {
    #[test]
    fn a_grant_is_read_as_it_was_written(grant in grants()) {
        prop_assert_eq!(read_again(&grant), grant);
    }

    #[test]
    fn a_target_is_read_as_it_was_written(target in targets()) {
        prop_assert_eq!(read_again(&target), target);
    }

    #[test]
    fn a_caller_is_read_as_it_was_written(caller in callers()) {
        prop_assert_eq!(read_again(&caller), caller);
    }
}

/// Whoever keeps grants or sends them relies on this text.
const GOLDEN: &str = r#"{
  "name": "accounting-reads-receipts",
  "from": [
    {"source": "billing-pods"},
    {"group": "billing"},
    {"role": "auditor"},
    {"user": {"id": "01920000-0000-7000-8000-000000000001"}},
    {"directory_group": {"name": "Team Ärzte / EU"}},
    {"directory_role": {"id": "01920000-0000-7000-8000-000000000002"}},
    {"workload": {"source": "shop-pods", "attributes": {"namespace": "shop", "pod": "checkout-*"}}}
  ],
  "to": "receipts",
  "allow": [
    {"actions": ["s3:Get*"]},
    {"service": "s3", "actions": ["s3:PutObject"], "resources": ["arn:aws:s3:::acme/*"], "methods": ["PUT"], "paths": ["/acme/*"]}
  ],
  "deny": [{"resources": ["arn:aws:s3:::acme/secret/*"]}],
  "conditions": [
    {"condition": {"mfa": {}}},
    {"condition": {"mfa": {"within_s": 900}}},
    {"condition": {"from": ["10.0.0.0/8", "2001:db8::/32"]}},
    {"name": "office-hours", "condition": {"during": {"start": "09:00", "end": "18:00", "days": ["mon", "fri"], "zone": "Europe/Berlin"}}},
    {"condition": {"during": {"days": ["sun"], "zone": "UTC"}}},
    {"condition": {"max_session_s": 3600}},
    {"condition": {"when": "caller.mfa_age_s < 900 && 'on-call' in caller.directory_groups"}}
  ],
  "session_s": 900,
  "policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
}"#;

fn golden() -> serde_json::Value {
    serde_json::from_str(GOLDEN).expect("JSON")
}

#[test]
fn a_grant_is_written_as_the_documents_say() {
    let grant: Grant = serde_json::from_str(GOLDEN).expect("a grant");
    assert_eq!(serde_json::to_value(&grant).expect("JSON"), golden());
    assert_eq!(grant.from[3], Who::User(ByIdOrName::Id(PrincipalId::new(uuid(1)))));
    let attributes = [("namespace", "shop"), ("pod", "checkout-*")];
    let attributes: BTreeMap<_, _> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), Pattern::new(value).unwrap())).collect();
    assert_eq!(grant.from[6], Who::Workload(Workload::new(SourceName::new("shop-pods").unwrap(), attributes).unwrap()));
    assert_eq!(grant.conditions[1].condition, Condition::Mfa { within: Some(SignedDuration::from_mins(15)) });
}

#[test]
fn what_a_grant_does_not_know_is_refused_wherever_it_stands() {
    let more = |pointer: &str| {
        let mut grant = golden();
        let map = grant.pointer_mut(pointer).and_then(|at| at.as_object_mut()).expect("a map");
        map.insert("surplus".into(), true.into());
        grant
    };
    let places = [
        "",
        "/from/0",
        "/from/3/user",
        "/from/6/workload",
        "/allow/0",
        "/conditions/0",
        "/conditions/1/condition",
        "/conditions/1/condition/mfa",
        "/conditions/3/condition/during",
    ];
    for pointer in places {
        assert!(serde_json::from_value::<Grant>(more(pointer)).is_err(), "{pointer}");
    }
    assert!(serde_json::from_value::<Grant>(golden()).is_ok());
}

#[test]
fn what_is_no_value_is_not_read_as_one() {
    for (pointer, wrong) in [
        ("/name", r#""a b""#),
        ("/to", r#""""#),
        ("/from/0/source", r#""-x""#),
        ("/from/3/user/id", r#""alice""#),
        ("/from/3/user", r#"{"id": "01920000-0000-7000-8000-000000000001", "name": "alice"}"#),
        ("/from/4/directory_group/name", r#""a\nb""#),
        ("/from/6/workload/attributes", "{}"),
        ("/from/6/workload/attributes", r#"{"": "x"}"#),
        ("/from/6/workload/attributes/pod", r#""""#),
        ("/allow/0", "{}"),
        ("/allow/0/actions", "[]"),
        ("/allow/0/actions/0", r#"" s3:*""#),
        ("/deny", "[]"),
        ("/conditions", "[]"),
        ("/conditions/1/condition/mfa/within_s", "-1"),
        ("/conditions/1/condition/mfa/within_s", "1.5"),
        ("/conditions/1/condition/mfa/within_s", "99999999999"),
        ("/conditions/2/condition/from/0", r#""10.0.0.0/33""#),
        ("/conditions/3/condition/during/start", r#""9:00""#),
        ("/conditions/3/condition/during/start", r#""18:00""#),
        ("/conditions/3/condition/during/end", "null"),
        ("/conditions/3/condition/during/days", "[]"),
        ("/conditions/3/condition/during/days/0", r#""someday""#),
        ("/conditions/3/condition/during/zone", r#""Mars/Olympus""#),
        ("/conditions/5/condition", r#"{"max_session_s": 1, "mfa": {}}"#),
        ("/conditions/6/condition/when", r#""caller.sbject == 'x'""#),
        ("/conditions/6/condition/when", r#""((((((((((true))))))))))""#),
        ("/session_s", r#""1h""#),
    ] {
        let mut grant = golden();
        *grant.pointer_mut(pointer).expect(pointer) = serde_json::from_str(wrong).expect("JSON");
        assert!(serde_json::from_value::<Grant>(grant).is_err(), "{pointer} = {wrong}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_and_not_rounded() {
    let odd = Condition::MaxSession(SignedDuration::from_millis(1500));
    assert!(serde_json::to_string(&odd).is_err());
    assert!(serde_json::to_string(&Condition::MaxSession(SignedDuration::from_secs(-1))).is_err());
    assert!(serde_json::to_string(&Rule::default()).unwrap_err().to_string().contains("says nothing"));
    let offset = TimeZone::fixed(jiff::tz::offset(2));
    assert!(serde_json::to_string(&TimeWindow::new(None, Weekdays::ALL, offset).unwrap()).is_err());
}

/// A mapped network that is read as it stands would never contain the address that it means.
#[test]
fn networks_are_read_as_those_that_they_mean() {
    let read: Networks = serde_json::from_str(r#"["::ffff:10.0.0.0/104"]"#).expect("networks");
    assert!(read.contain("10.1.2.3".parse().unwrap()));
}
