//! Expressions: any text is understood or refused, at once; what is understood is within what it may cost, and true, false
//! or says why not.
#![no_main]

use access::{
    Assurance, Call, Caller, Cloud, Condition, Context, Pattern, SourceName, Spelling, Target, TargetName, When,
};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

/// As `access` has it.
const MAX_COST: u64 = 10_000;

fn caller() -> Caller {
    Caller {
        subject: "system:serviceaccount:shop:checkout".into(),
        issuer: "https://cluster".into(),
        sources: vec![SourceName::new("checkout").expect("a name")],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: [("namespace".to_owned(), "shop".to_owned())].into(),
        assurance: Assurance { signed_in: Some(Timestamp::UNIX_EPOCH), mfa: None },
        principal: None,
        actor: None,
        until: Timestamp::MAX,
    }
}

fn call() -> Call {
    Call {
        cloud: Cloud::Aws,
        service: "s3".into(),
        prefix: "s3".into(),
        region: None,
        action: Some("s3:GetObject".into()),
        resource: Some("arn:aws:s3:::receipts/1".into()),
        also: Vec::new(),
        method: "GET".into(),
        host: "receipts.s3.amazonaws.com".into(),
        path: "/1".into(),
        spelling: Spelling::Plain,
    }
}

fn target() -> Target {
    Target {
        name: TargetName::new("receipts").expect("a name"),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/receipts".into(),
        service: None,
        resources: vec![Pattern::new("*").expect("a pattern")],
        region: "us-east-1".into(),
        session: SignedDuration::from_hours(1),
    }
}

fuzz_target!(|source: &str| {
    match When::new(source) {
        Ok(when) => {
            assert!(when.cost() <= MAX_COST);
            assert_eq!(When::new(when.as_str()).as_ref(), Ok(&when));
            let context = Context { now: Timestamp::UNIX_EPOCH, from: None };
            if let Err(unmet) = Condition::When(when).check(&caller(), (&call(), &target()), &context) {
                assert!(!unmet.to_string().contains("cannot be evaluated"), "{unmet}");
            }
        }
        Err(errors) => assert!(errors.iter().count() > 0 && !errors.to_string().is_empty()),
    }
});
