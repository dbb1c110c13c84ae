//! What a rule covers and denies, and the laws that hold for any of them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn call(action: Option<&str>, resource: Option<&str>) -> Call {
    Call {
        cloud: Cloud::Aws,
        service: "monitoring".into(),
        prefix: "cloudwatch".into(),
        region: Some("eu-west-1".into()),
        action: action.map(str::to_owned),
        resource: resource.map(str::to_owned),
        also: Vec::new(),
        method: "POST".into(),
        host: "monitoring.eu-west-1.amazonaws.com".into(),
        path: "/".into(),
        spelling: Spelling::Plain,
    }
}

fn at(method: &str, path: &str, spelling: Spelling) -> Call {
    Call { method: method.into(), path: path.into(), spelling, ..call(Some("cloudwatch:PutMetricData"), Some("*")) }
}

fn covers(rule: &Rule, call: &Call) -> bool {
    call.deeds().all(|deed| rule.fit(call, deed) == Fit::Whole)
}

fn denies(rule: &Rule, call: &Call) -> bool {
    call.deeds().any(|deed| rule.denies(call, deed))
}

#[test]
fn an_action_that_the_wire_does_not_tell_is_covered_by_the_whole_service_and_denied_by_any_rule_of_it() {
    let unknown = call(None, None);
    for (pattern, covered, denied) in [
        ("cloudwatch:*", true, true),
        ("CloudWatch:*", true, true),
        ("*", true, true),
        ("cloudwatch:Put*", false, true),
        ("cloudwatch:?*", false, true),
        ("cloud*:Put*", false, true),
        ("monitoring:*", false, false),
        ("s3:*", false, false),
    ] {
        let rule = Rule::from(Pattern::new(pattern).unwrap());
        assert_eq!((covers(&rule, &unknown), denies(&rule, &unknown)), (covered, denied), "{pattern}");
    }
}

#[test]
fn a_resource_that_the_wire_does_not_tell_is_never_covered_and_may_be_any_of_its_service() {
    let rule = |resource: &str| Rule { resources: patterns(&[resource]), ..Rule::default() };
    for (pattern, covered, denied) in [
        ("arn:aws:cloudwatch:*:*:alarm:night-*", false, true),
        ("arn:aws:s3:::acme/*", false, false),
        ("arn:aws:*:*:*:*", false, true),
        ("*", false, true),
    ] {
        for action in [None, Some("cloudwatch:PutMetricAlarm")] {
            let call = call(action, None);
            assert_eq!((covers(&rule(pattern), &call), denies(&rule(pattern), &call)), (covered, denied), "{pattern}");
        }
    }
}

#[test]
fn a_denial_by_action_or_service_counts_whatever_the_untold_resource_is() {
    let denied = Rule { resources: patterns(&["arn:aws:iam::123456789012:role/admin"]), ..Rule::default() };
    let assume = Call { prefix: "sts".into(), ..call(Some("sts:AssumeRole"), None) };
    assert!(!denies(&denied, &assume), "which roles sts names nobody told us");
    assert!(denies(&Rule { actions: patterns(&["sts:*"]), ..denied.clone() }, &assume));
    assert!(denies(&Rule { service: Some("sts".into()), ..denied }, &assume));
}

#[test]
fn a_service_is_also_what_the_action_begins_with() {
    let express = Call { service: "s3".into(), prefix: "s3".into(), ..call(Some("s3express:CreateSession"), None) };
    let rule = Rule { service: Some("s3express".into()), ..Rule::default() };
    assert!(covers(&rule, &express) && denies(&rule, &express));
}

#[test]
fn what_acts_on_nothing_in_particular_is_neither_covered_nor_denied_by_a_named_resource() {
    let list = call(Some("cloudwatch:ListMetrics"), Some(NO_RESOURCE));
    let named = Rule { resources: patterns(&["arn:aws:cloudwatch:*:*:*"]), ..Rule::default() };
    assert!(!covers(&named, &list) && !denies(&named, &list));
    let any = Rule { resources: patterns(&["*"]), ..Rule::default() };
    assert!(covers(&any, &list) && denies(&any, &list));
}

/// DeleteObjects whose keys could not be read, a secret whose random suffix is not on the wire.
#[test]
fn a_resource_with_wildcards_is_covered_as_a_whole_and_denied_in_part() {
    let rule = |pattern: &str| Rule { resources: patterns(&[pattern]), ..Rule::default() };
    let all_keys = call(None, Some("arn:aws:s3:::acme/*"));
    for (pattern, covered, denied) in [
        ("arn:aws:s3:::acme/*", true, true),
        ("arn:aws:s3:::acme*", true, true),
        ("arn:aws:s3:::acme/?", false, true),
        ("arn:aws:s3:::acme/private/*", false, true),
        ("arn:aws:s3:::other/*", false, false),
    ] {
        assert_eq!(
            (covers(&rule(pattern), &all_keys), denies(&rule(pattern), &all_keys)),
            (covered, denied),
            "{pattern}"
        );
    }
}

#[test]
fn paths_are_matched_as_the_service_reads_them() {
    let rule = Rule { paths: patterns(&["/prod/orders/*"]), ..Rule::default() };
    for (path, spelling, covered, denied) in [
        ("/prod/orders/7", Spelling::Plain, true, true),
        ("/prod/%6frders/7", Spelling::Escaped, true, true),
        ("/prod/admin", Spelling::Plain, false, false),
        ("/prod/orders/../admin", Spelling::Doubtful, false, true),
        ("/prod/orders/%zz", Spelling::Escaped, false, true),
    ] {
        let call = at("POST", path, spelling);
        assert_eq!((covers(&rule, &call), denies(&rule, &call)), (covered, denied), "{path}");
    }
}

#[test]
fn methods_and_services_are_names_not_patterns() {
    let reads = Rule { methods: vec!["GET".into(), "HEAD".into()], ..Rule::default() };
    assert!(covers(&reads, &at("GET", "/", Spelling::Plain)) && !covers(&reads, &at("POST", "/", Spelling::Plain)));
    assert!(!covers(&reads, &at("get", "/", Spelling::Plain)), "HTTP methods are case-sensitive (RFC 9110 §9.1)");
    for (service, covered) in [("monitoring", true), ("cloudwatch", true), ("cloud*", false), ("s3", false)] {
        let rule = Rule { service: Some(service.into()), ..Rule::default() };
        assert_eq!(covers(&rule, &at("GET", "/", Spelling::Plain)), covered, "{service}");
    }
}

#[test]
fn every_deed_of_a_call_needs_a_rule_and_one_denied_deed_is_enough() {
    let (caller, rules) = world(
        vec![
            Rule {
                actions: patterns(&["s3:PutObject"]),
                resources: patterns(&["arn:aws:s3:::to/*"]),
                ..Rule::default()
            },
            Rule {
                actions: patterns(&["s3:GetObject"]),
                resources: patterns(&["arn:aws:s3:::from/*"]),
                ..Rule::default()
            },
        ],
        vec![Rule { resources: patterns(&["arn:aws:s3:::from/private/*"]), ..Rule::default() }],
    );
    let copy = |source: &str| Call {
        service: "s3".into(),
        prefix: "s3".into(),
        also: vec![Deed { action: Some("s3:GetObject".into()), resource: Some(source.into()) }],
        ..call(Some("s3:PutObject"), Some("arn:aws:s3:::to/1"))
    };
    let asked = |source| decide(&caller, (&target().name, &copy(source)), &rules, &now());
    assert!(asked("arn:aws:s3:::from/1").is_ok());
    assert_eq!(
        asked("arn:aws:s3:::elsewhere/1").unwrap_err().to_string(),
        "grant \"g\" allows s3:GetObject, but not on arn:aws:s3:::elsewhere/1"
    );
    assert_eq!(
        asked("arn:aws:s3:::from/private/1").unwrap_err().to_string(),
        "grant \"g\" denies everything on arn:aws:s3:::from/private/* (deny[0])"
    );
}

#[test]
fn the_account_that_the_wire_leaves_out_is_the_roles() {
    let resource = format!("arn:aws:cloudwatch:eu-west-1:{OWN_ACCOUNT}:alarm:night");
    let alarm = call(Some("cloudwatch:PutMetricAlarm"), Some(&resource));
    for (account, covered) in [("123456789012", true), ("*", true), ("210987654321", false)] {
        let arn = format!("arn:aws:cloudwatch:eu-west-1:{account}:alarm:*");
        let (caller, rules) = world(vec![Rule { resources: patterns(&[&arn]), ..Rule::default() }], Vec::new());
        assert_eq!(decide(&caller, (&target().name, &alarm), &rules, &now()).is_ok(), covered, "{account}");
    }
    let key = call(Some("s3:GetObject"), Some("arn:aws:s3:::acme/{account}/a:b"));
    let (caller, rules) =
        world(vec![Rule { resources: patterns(&["arn:aws:s3:::acme/123456789012/*"]), ..Rule::default() }], Vec::new());
    assert!(decide(&caller, (&target().name, &key), &rules, &now()).is_err(), "a key means its letters");
    let mut settled = alarm;
    settled.settle(target().account());
    assert_eq!(settled.resource.as_deref(), Some("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:night"));
}

#[test]
fn a_denial_holds_whatever_another_grant_allows_and_whether_or_not_its_own_conditions_hold() {
    let (caller, _) = world(Vec::new(), Vec::new());
    let open = grant("open", vec![Rule::default()], Vec::new());
    let mut shut = grant("shut", vec![Rule::default()], vec![Rule::from(Pattern::new("cloudwatch:Put*").unwrap())]);
    shut.conditions = vec![NamedCondition { name: None, condition: Condition::Mfa { within: None } }];
    let put = call(Some("cloudwatch:PutMetricData"), Some("*"));
    let read = call(Some("cloudwatch:ListMetrics"), Some("*"));
    for grants in [[open.clone(), shut.clone()], [shut, open]] {
        let rules = Rules::new([target()], grants);
        let denial = decide(&caller, (&target().name, &put), &rules, &now()).unwrap_err();
        assert!(
            matches!(denial.reason, Reason::Denied { ref grant, rule: 0, .. } if grant.as_str() == "shut"),
            "{denial}"
        );
        let permit = decide(&caller, (&target().name, &read), &rules, &now()).unwrap();
        assert!(matches!(permit.admits(&put, &now()), Err(Reason::Denied { .. })), "the permit asks it again");
    }
}

fn target() -> Target {
    Target {
        name: TargetName::new("t").unwrap(),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/r".into(),
        service: None,
        resources: Vec::new(),
        region: "eu-west-1".into(),
        session: SignedDuration::from_hours(1),
    }
}

fn grant(name: &str, allow: Vec<Rule>, deny: Vec<Rule>) -> Grant {
    Grant {
        name: GrantName::new(name).unwrap(),
        from: vec![Who::Source(SourceName::new("s").unwrap())],
        to: target().name,
        allow,
        deny,
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    }
}

fn now() -> Context {
    Context { now: Timestamp::UNIX_EPOCH, from: None }
}

fn world(allow: Vec<Rule>, deny: Vec<Rule>) -> (Arc<Caller>, Rules) {
    let caller = Caller {
        subject: "checkout".into(),
        issuer: "https://cluster".into(),
        sources: vec![SourceName::new("s").unwrap()],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: Default::default(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: Timestamp::MAX,
    };
    (Arc::new(caller), Rules::new([target()], [grant("g", allow, deny)]))
}

fn some_patterns(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<Pattern>> {
    prop::sample::subsequence(texts, 0..=1).prop_map(|texts| patterns(&texts))
}

fn rules() -> impl Strategy<Value = Rule> {
    (
        prop::option::of(prop::sample::select(vec!["monitoring", "cloudwatch", "s3"]).prop_map(str::to_owned)),
        some_patterns(&["*", "cloudwatch:*", "cloudwatch:Put*", "s3:Get*", "s3:?etObject"]),
        some_patterns(&["*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/b?", "arn:aws:cloudwatch:*:123456789012:*"]),
        prop::sample::subsequence(vec!["GET".to_owned(), "POST".to_owned()], 0..=1),
        some_patterns(&["/", "/a/*", "*"]),
    )
        .prop_map(|(service, actions, resources, methods, paths)| Rule {
            service,
            actions,
            resources,
            methods,
            paths,
        })
}

fn calls() -> impl Strategy<Value = Call> {
    let actions = vec![None, Some("cloudwatch:PutMetricData"), Some("cloudwatch:List"), Some("s3:GetObject")];
    let resources = vec![
        None,
        Some("*"),
        Some("arn:aws:s3:::a/b"),
        Some("arn:aws:s3:::a/*"),
        Some("arn:aws:cloudwatch:e:{account}:x"),
    ];
    let deed = (prop::sample::select(actions), prop::sample::select(resources));
    let spelling = prop::sample::select(vec![Spelling::Plain, Spelling::Escaped, Spelling::Doubtful]);
    let http =
        (prop::sample::select(vec!["GET", "POST"]), prop::sample::select(vec!["/", "/a/%62", "/a/../c"]), spelling);
    (deed.clone(), prop::option::of(deed), http).prop_map(|((action, resource), also, (method, path, spelling))| Call {
        also: Vec::from_iter(also.map(|(action, resource): (Option<&str>, Option<&str>)| Deed {
            action: action.map(str::to_owned),
            resource: resource.map(str::to_owned),
        })),
        method: method.into(),
        path: path.into(),
        spelling,
        ..call(action, resource)
    })
}

fn allowed(call: &Call, allow: &[Rule], deny: &[Rule]) -> bool {
    let (caller, rules) = world(allow.to_vec(), deny.to_vec());
    decide(&caller, (&target().name, call), &rules, &now()).is_ok()
}

proptest! {
    #[test]
    fn adding_a_denial_never_adds_a_permit(
        call in calls(), allow in prop::collection::vec(rules(), 0..4), deny in prop::collection::vec(rules(), 0..3), more in rules(),
    ) {
        let wider = [&deny[..], &[more]].concat();
        prop_assert!(!allowed(&call, &allow, &wider) || allowed(&call, &allow, &deny));
    }

    #[test]
    fn removing_what_is_allowed_never_adds_a_permit(
        call in calls(), allow in prop::collection::vec(rules(), 1..4), deny in prop::collection::vec(rules(), 0..3),
        gone in any::<prop::sample::Index>(),
    ) {
        let mut fewer = allow.clone();
        fewer.remove(gone.index(allow.len()));
        prop_assert!(!allowed(&call, &fewer, &deny) || allowed(&call, &allow, &deny));
    }

    #[test]
    fn the_order_of_rules_decides_nothing(
        call in calls(), allow in prop::collection::vec(rules(), 0..4), deny in prop::collection::vec(rules(), 0..3),
    ) {
        let (mut turned, mut turned_too) = (allow.clone(), deny.clone());
        turned.reverse();
        turned_too.reverse();
        prop_assert_eq!(allowed(&call, &allow, &deny), allowed(&call, &turned, &turned_too));
    }

    #[test]
    fn a_rule_that_allows_a_call_denies_it_when_it_is_written_so(call in calls(), rule in rules()) {
        let itself = std::slice::from_ref(&rule);
        prop_assert!(!allowed(&call, itself, &[]) || !allowed(&call, &[Rule::default()], itself), "{}", rule);
    }
}
