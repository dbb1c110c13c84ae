//! What grants become in IAM's words, and that those mean the same.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn rule(actions: &[&str], resources: &[&str]) -> Rule {
    Rule { actions: patterns(actions), resources: patterns(resources), ..Rule::default() }
}

/// The statements of a policy, or why there is none; `null`: there is nothing to narrow.
fn compiled(what: Narrowing<'_>) -> Result<Value, PolicyError> {
    let policy = SessionPolicy::compile(what)?;
    Ok(policy.map_or(Value::Null, |policy| serde_json::from_str::<Value>(policy.as_str()).unwrap()["Statement"].take()))
}

fn statements(allow: &[Rule], deny: &[&Rule], resources: &[&str]) -> Value {
    let narrowing = Narrowing { allow, deny, resources: &patterns(resources), ..Narrowing::default() };
    compiled(narrowing).unwrap()
}

fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

const ENCRYPTION: &str = r#"{"Action":["kms:Decrypt","kms:DescribeKey","kms:Encrypt","kms:GenerateDataKey*","kms:ReEncrypt*"],"Condition":{"StringLike":{"kms:ViaService":"*"}},"Effect":"Allow","Resource":"*"}"#;

#[test]
fn a_grant_becomes_a_statement_and_what_encrypted_objects_need() {
    assert_eq!(
        statements(
            &[rule(&["s3:GetObject", "s3:ListBucket"], &[])],
            &[],
            &["arn:aws:s3:::acme", "arn:aws:s3:::acme/*"]
        ),
        read(&format!(
            r#"[{{"Action":["s3:GetObject","s3:ListBucket"],"Effect":"Allow","Resource":["arn:aws:s3:::acme","arn:aws:s3:::acme/*"]}},{ENCRYPTION}]"#
        ))
    );
}

#[test]
fn rules_on_the_same_resources_are_one_statement_and_denials_stand_behind() {
    let allow = [rule(&["s3:Get*"], &[]), rule(&["s3:PutObject"], &["arn:aws:s3:::a/in/*"]), rule(&["s3:List*"], &[])];
    assert_eq!(
        statements(&allow, &[&rule(&["s3:*"], &["arn:aws:s3:::a/private/*"])], &[]),
        read(&format!(
            r#"[{{"Action":["s3:Get*","s3:List*"],"Effect":"Allow","Resource":"*"}},{{"Action":"s3:PutObject","Effect":"Allow","Resource":"arn:aws:s3:::a/in/*"}},{ENCRYPTION},{{"Action":"s3:*","Effect":"Deny","Resource":"arn:aws:s3:::a/private/*"}}]"#
        ))
    );
}

#[test]
fn nothing_to_narrow_is_no_policy_and_everything_but_something_is_one() {
    assert_eq!(statements(&[rule(&["*"], &[])], &[], &[]), Value::Null);
    assert_eq!(
        statements(&[rule(&["*"], &[])], &[&rule(&["iam:*"], &[])], &[]),
        read(r#"[{"Action":"*","Effect":"Allow","Resource":"*"},{"Action":"iam:*","Effect":"Deny","Resource":"*"}]"#)
    );
}

#[test]
fn the_targets_service_is_said_in_the_prefixes_of_its_actions() {
    let of = |service, allow: &[Rule]| {
        let narrowing = Narrowing { allow, service: Some(service), ..Narrowing::default() };
        compiled(narrowing).map(|statements| statements[0]["Action"].to_string())
    };
    let everything = [rule(&["*"], &[])];
    assert_eq!(of("s3", &everything).unwrap(), r#"["s3:*","s3express:*","s3-outposts:*","s3-object-lambda:*"]"#);
    assert_eq!(of("monitoring", &everything).unwrap(), r#""cloudwatch:*""#);
    assert_eq!(of("newborn", &everything).unwrap(), r#""newborn:*""#);
    assert_eq!(of("s3", &[rule(&["s3:Get*", "sqs:*"], &[])]).unwrap(), r#""s3:Get*""#);
    assert_eq!(of("s3", &[rule(&["sqs:*"], &[])]), Err(PolicyError::OtherService("s3".into())));
    let by_service = [Rule { service: Some("sqs".into()), ..Rule::default() }, rule(&["s3:Get*"], &[])];
    assert_eq!(of("s3", &by_service).unwrap(), r#""s3:Get*""#);
}

#[test]
fn the_targets_resources_bound_those_of_rules() {
    let of = |own: &str, target: &[&str]| {
        let narrowing = patterns(target);
        let allow = [rule(&["s3:*"], &[own])];
        compiled(Narrowing { allow: &allow, resources: &narrowing, ..Narrowing::default() }).unwrap()
    };
    let target = ["arn:aws:s3:::a", "arn:aws:s3:::a/*"];
    let within = of("arn:aws:s3:::a/in/*", &target);
    assert_eq!((within[0]["Resource"].as_str(), &within[2]), (Some("arn:aws:s3:::a/in/*"), &Value::Null));
    assert_eq!(of("arn:aws:s3:::a*", &target)[0]["Resource"].to_string(), r#"["arn:aws:s3:::a","arn:aws:s3:::a/*"]"#);
    let across = of("arn:aws:s3:::*/in", &target);
    assert_eq!(across[0]["Resource"], "arn:aws:s3:::*/in");
    assert_eq!(
        across[2],
        read(
            r#"{"Action":"*","Condition":{"Null":{"kms:ViaService":"true"}},"Effect":"Deny","NotResource":["arn:aws:s3:::a","arn:aws:s3:::a/*"]}"#
        )
    );
}

#[test]
fn managed_policies_narrow_and_do_not_add() {
    let managed = ["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
    let of = |action: &str, resources: &[&str]| {
        let (allow, resources) = ([rule(&[action], &[])], patterns(resources));
        compiled(Narrowing { allow: &allow, resources: &resources, managed: &managed, ..Narrowing::default() }).unwrap()
    };
    assert_eq!(of("*", &[]), Value::Null);
    assert_eq!(
        of("s3:Get*", &["arn:aws:s3:::a/*"]),
        read(
            r#"[{"Condition":{"Null":{"kms:ViaService":"true"}},"Effect":"Deny","NotAction":"s3:Get*","Resource":"*"},{"Action":"*","Condition":{"Null":{"kms:ViaService":"true"}},"Effect":"Deny","NotResource":"arn:aws:s3:::a/*"}]"#
        )
    );
}

#[test]
fn what_iam_cannot_say_is_left_to_the_proxy_and_said_so() {
    let reads = Rule { methods: vec!["GET".into()], ..rule(&["execute-api:Invoke"], &[]) };
    let admin = Rule { paths: patterns(&["/admin/*"]), ..Rule::default() };
    let policy = SessionPolicy::compile(Narrowing { allow: &[reads], deny: &[&admin], ..Narrowing::default() });
    let policy = policy.unwrap().unwrap();
    assert_eq!(policy.left_out(), [LeftOut::AllowedRequests, LeftOut::DeniedRequests]);
    assert!(policy.as_str().contains("execute-api:Invoke") && !policy.as_str().contains("Deny"), "{}", policy.as_str());
}

#[test]
fn resources_that_have_no_room_become_their_services_and_denials_never_do() {
    let many: Vec<String> = (0..100).map(|i| format!("arn:aws:s3:::acme-receipts-{i}/*")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (listed, denied) = ([rule(&["s3:Get*"], &many)], rule(&["s3:Get*"], &["arn:aws:s3:::acme-receipts-7/x"]));
    let policy = SessionPolicy::compile(Narrowing { allow: &listed, deny: &[&denied], ..Narrowing::default() })
        .unwrap()
        .unwrap();
    assert_eq!(policy.left_out(), [LeftOut::Resources]);
    assert!(policy.as_str().contains(r#""Resource":"arn:aws:s3:*:*:*""#), "{}", policy.as_str());
    assert!(policy.as_str().contains(r#""Resource":"arn:aws:s3:::acme-receipts-7/x""#), "{}", policy.as_str());

    let denied = rule(&["s3:Get*"], &many);
    let answer = SessionPolicy::compile(Narrowing { allow: &listed, deny: &[&denied], ..Narrowing::default() });
    assert!(matches!(answer, Err(PolicyError::TooLong(n)) if n > 2048), "{answer:?}");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let compile = |actions: &[&str], resources: &[&str]| {
        SessionPolicy::compile(Narrowing { allow: &[rule(actions, resources)], ..Narrowing::default() })
    };
    assert_eq!(SessionPolicy::compile(Narrowing::default()), Err(PolicyError::NoAction));
    for action in ["s3", "s3:", ":Get", "s*:Get", "s3:Get Object", "s3:Get\""] {
        assert_eq!(compile(&[action], &[]), Err(PolicyError::Action(action.to_owned())));
    }
    for resource in ["acme", "arn:aws:s3:::", "s3://acme"] {
        assert_eq!(compile(&["s3:*"], &[resource]).is_err(), resource != "arn:aws:s3:::", "{resource}");
    }
    let variable = "arn:aws:s3:::${aws:username}";
    assert_eq!(compile(&["s3:*"], &[variable]), Err(PolicyError::Variable(variable.to_owned())));
    let letter = "arn:aws:s3:::日";
    assert_eq!(compile(&["s3:*"], &[letter]), Err(PolicyError::Character(letter.to_owned())));
}

/// IAM's evaluation, from its documentation, for calls of the caller's own.
fn admits(policy: Option<&SessionPolicy>, (action, resource): (&str, &str)) -> bool {
    let Some(policy) = policy else { return true };
    let document: Value = serde_json::from_str(policy.as_str()).unwrap();
    let list = |value: &Value| match value {
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    };
    let any =
        |value: &Value, text: &str| list(value).iter().any(|p| Pattern::new(p).unwrap().matches_ignoring_case(text));
    let applies = |statement: &&Value| {
        let is_via = statement["Condition"]["StringLike"].is_object();
        let action = any(&statement["Action"], action)
            || !statement["NotAction"].is_null() && !any(&statement["NotAction"], action);
        let resource = any(&statement["Resource"], resource)
            || !statement["NotResource"].is_null() && !any(&statement["NotResource"], resource);
        !is_via && action && resource
    };
    let statements: Vec<&Value> = document["Statement"].as_array().unwrap().iter().filter(applies).collect();
    statements.iter().any(|s| s["Effect"] == "Allow") && !statements.iter().any(|s| s["Effect"] == "Deny")
}

fn rules() -> impl Strategy<Value = Rule> {
    let actions = prop::sample::subsequence(vec!["*", "s3:*", "s3:Get*", "s3:PutObject", "sqs:Send*"], 0..=2);
    let resources = prop::sample::subsequence(
        vec!["arn:aws:s3:::a/*", "arn:aws:s3:::a/in/*", "arn:aws:s3:::*/in/x", "arn:aws:sqs:*:*:q"],
        0..=2,
    );
    let service = prop::option::of(prop::sample::select(vec!["s3", "sqs"]));
    (actions, resources, service).prop_map(|(actions, resources, service)| Rule {
        service: service.map(str::to_owned),
        ..rule(&actions, &resources)
    })
}

proptest! {
    /// Where nothing had to be left out, AWS admits exactly what the grant does.
    #[test]
    fn the_policy_admits_what_the_grant_admits(
        allow in prop::collection::vec(rules(), 1..4), deny in prop::collection::vec(rules(), 0..2),
        target in prop::sample::subsequence(vec!["arn:aws:s3:::a/*", "arn:aws:s3:::b/*", "arn:aws:sqs:*:*:*"], 0..=2),
        only in prop::option::of(Just("s3")),
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "sqs:SendMessage", "iam:GetRole"]),
        resource in prop::sample::select(vec!["arn:aws:s3:::a/1", "arn:aws:s3:::a/in/x", "arn:aws:s3:::b/in/x", "arn:aws:sqs:e:1:q", "*"]),
    ) {
        use access::{Call, Cloud, Spelling};
        let target = patterns(&target);
        let denying: Vec<&Rule> = deny.iter().collect();
        let prefix = action.split(':').next().unwrap();
        let call = Call {
            cloud: Cloud::Aws, service: prefix.into(), prefix: prefix.to_owned().into(), region: None,
            action: Some(action.into()), resource: Some(resource.into()), also: Vec::new(), method: "GET".into(),
            host: String::new(), path: "/".into(), spelling: Spelling::Plain,
        };
        let granted = granted(&call, (&allow, &deny), (&target, only));
        let policy = SessionPolicy::compile(Narrowing { allow: &allow, deny: &denying, service: only, resources: &target, managed: &[] });
        match policy {
            Ok(policy) => prop_assert_eq!(admits(policy.as_ref(), (action, resource)), granted, "{:?}", policy),
            Err(error) => prop_assert!(matches!(error, PolicyError::OtherService(_)) && !granted, "{}", error),
        }
    }
}

/// What `access` decides.
fn granted(
    call: &access::Call,
    (allow, deny): (&[Rule], &[Rule]),
    (resources, service): (&[Pattern], Option<&str>),
) -> bool {
    use std::sync::Arc;

    use access::{Assurance, Caller, Context, Grant, GrantName, Rules, SourceName, Target, TargetName, Who, decide};
    let source = SourceName::new("s").unwrap();
    let target = Target {
        name: TargetName::new("t").unwrap(),
        cloud: access::Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/r".into(),
        service: service.map(str::to_owned),
        resources: resources.to_vec(),
        region: "eu-west-1".into(),
        session: jiff::SignedDuration::from_hours(1),
    };
    let grant = Grant {
        name: GrantName::new("g").unwrap(),
        from: vec![Who::Source(source.clone())],
        to: target.name.clone(),
        allow: allow.to_vec(),
        deny: deny.to_vec(),
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    };
    let caller = Arc::new(Caller {
        subject: String::new(),
        issuer: String::new(),
        sources: vec![source],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: Default::default(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: jiff::Timestamp::MAX,
    });
    let context = Context { now: jiff::Timestamp::UNIX_EPOCH, from: None };
    let name = target.name.clone();
    decide(&caller, (&name, call), &Rules::new([target], [grant]), &context).is_ok()
}
