//! What a decision costs, and a hit in the lease cache: both stand on the path of every request.

use std::hint::black_box;
use std::sync::Arc;

use access::{
    Assurance, AwsCredential, ByIdOrName, Call, Caller, Clock, Cloud, Condition, Context, Credential, DisplayName,
    Epoch, Evidence, Grant, GrantName, GroupId, GroupName, Lease, LeaseId, Named, NamedCondition, Networks,
    OrganisationName, Pattern, Principal, PrincipalId, PrincipalKind, Record, Refusal, RequestId, Rules, Secret,
    SourceName, Spelling, Target, TargetName, TimeWindow, Weekdays, When, Who, Workload, decide,
};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lease::{Ask, Leases, Lessor, Need, ReportError};
use serve::Shutdown;

/// As many grants to one target as a busy account has; the last one covers the call.
const GRANTS: usize = 20;

/// A Monday at noon.
const NOON: i64 = 1_763_985_600;

fn now() -> Timestamp {
    Timestamp::from_second(NOON).expect("a time in range")
}

fn name(text: &str) -> TargetName {
    TargetName::new(text).expect("a name")
}

fn caller() -> Arc<Caller> {
    Arc::new(Caller {
        subject: "system:serviceaccount:shop:checkout".into(),
        issuer: "https://cluster".into(),
        sources: vec![SourceName::new("checkout").expect("a name")],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: Default::default(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: Timestamp::MAX,
    })
}

fn call() -> Call {
    Call {
        cloud: Cloud::Aws,
        service: "s3".into(),
        prefix: "s3".into(),
        region: Some("us-east-1".into()),
        action: Some("s3:GetObject".into()),
        resource: Some("arn:aws:s3:::receipts/2026/11/0001.pdf".into()),
        also: Vec::new(),
        method: "GET".into(),
        host: "receipts.s3.us-east-1.amazonaws.com".into(),
        path: "/2026/11/0001.pdf".into(),
        spelling: Spelling::Plain,
    }
}

fn rules() -> Rules {
    let target = Target {
        name: name("receipts"),
        cloud: Cloud::Aws,
        role: "arn:aws:iam::123456789012:role/receipts".into(),
        service: Some("s3".into()),
        resources: vec![Pattern::new("arn:aws:s3:::receipts/*").expect("a pattern")],
        region: "us-east-1".into(),
        session: SignedDuration::from_hours(1),
    };
    let hours = (Time::constant(9, 0, 0, 0), Time::constant(18, 0, 0, 0));
    let zone = TimeZone::get("Europe/Berlin").expect("a bundled zone");
    let conditions = [
        Condition::From(Networks::new(["127.0.0.0/8".parse().expect("a network")])),
        Condition::During(TimeWindow::new(Some(hours), Weekdays::ALL, zone).expect("a window")),
        Condition::MaxSession(SignedDuration::from_mins(30)),
    ]
    .map(|condition| NamedCondition { name: None, condition });
    let grant = |n: usize| Grant {
        name: GrantName::new(&format!("grant-{n}")).expect("a name"),
        from: vec![Who::Source(SourceName::new("checkout").expect("a name"))],
        to: name("receipts"),
        allow: vec![Pattern::new(if n + 1 == GRANTS { "s3:Get*" } else { "s3:Put*" }).expect("a pattern").into()],
        deny: Vec::new(),
        conditions: conditions.to_vec(),
        session: None,
        policies: Vec::new(),
    };
    Rules::new([target], (0..GRANTS).map(grant))
}

fn context() -> Context {
    Context { now: now(), from: Some([127, 0, 0, 1].into()) }
}

/// Lends at once.
struct Free(Rules);

impl Lessor for Free {
    async fn lease(&self, ask: Ask) -> Result<Lease, Refusal> {
        let permit = decide(&caller(), (&ask.target, &ask.call), &self.0, &context()).map_err(|d| Refusal::from(&d))?;
        let credential = Credential::Aws(AwsCredential {
            access_key_id: "ASIAEXAMPLEEXAMPLEEX".into(),
            secret_access_key: Secret::new("secret".into()),
            session_token: Secret::new("token".into()),
            expires: Timestamp::MAX,
        });
        Ok(Lease::new(LeaseId::new(uuid::Uuid::nil()), permit, credential, now()))
    }

    async fn recognise(&self, _: Arc<Evidence>) -> Result<String, Refusal> {
        Ok(String::new())
    }

    async fn recalls(&self, _: Option<lease::Position>) -> Result<lease::Heard, Refusal> {
        std::future::pending().await
    }

    async fn report(&self, _: &[Record]) -> Result<(), ReportError> {
        Ok(())
    }
}

/// Ten thousand grants to one target, each for whom `who` says. The very last that is for the caller covers the call.
fn many(who: impl Fn(usize) -> Who) -> Rules {
    let few = rules();
    let target = few.target(&name("receipts")).expect("the one that there is");
    let one = few.grants(&target.name).last().expect("the one that covers the call");
    let grant = |n: usize| Grant {
        from: vec![who(n)],
        allow: vec![Pattern::new(if n >= 9_950 { "s3:Get*" } else { "s3:Put*" }).expect("a pattern").into()],
        ..Grant::clone(one)
    };
    Rules::new([Target::clone(target)], (0..10_000).map(grant))
}

fn group(n: usize) -> GroupName {
    GroupName::new(&format!("group-{n}")).expect("a name")
}

/// A group of the directory: its number is in its id.
fn directory_group(n: usize) -> Named<GroupId> {
    let id = uuid::Uuid::from_u128(
        u128::try_from(n).expect("a number").wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834),
    );
    Named { id: GroupId::new(id), name: DisplayName::new(&format!("Group {n}")).expect("a name") }
}

/// Somebody in fifty groups of the directory.
fn person() -> Arc<Caller> {
    let principal = Principal {
        organisation: OrganisationName::new("acme").expect("a name"),
        id: PrincipalId::new(uuid::Uuid::nil()),
        kind: PrincipalKind::User,
        name: DisplayName::new("alice@acme.example").expect("a name"),
        epoch: Epoch::default(),
        groups: (0..50).map(|n| directory_group(n * 200 + 150)).collect(),
        roles: Vec::new(),
    };
    let assurance = Assurance { signed_in: Some(now()), mfa: Some(now()) };
    Arc::new(Caller { principal: Some(Arc::new(principal)), assurance, ..Caller::clone(&caller()) })
}

/// Ten thousand grants, found by who asks: each of the ways in which one can be for a caller.
fn crowds(criterion: &mut Criterion) {
    let (call, context, to) = (call(), context(), name("receipts"));
    let mut decided = |title: &str, rules: &Rules, caller: Caller| {
        let caller = Arc::new(caller);
        assert!(decide(&caller, (&to, &call), rules, &context).is_ok(), "{title}");
        criterion.bench_function(title, |bencher| {
            bencher.iter(|| decide(black_box(&caller), (&to, black_box(&call)), rules, &context).is_ok());
        });
    };
    let groups = (0..20).map(|n| group(n * 50)).collect();
    let member = Caller { sources: Vec::new(), groups, ..Caller::clone(&caller()) };
    let by_group = many(|n| Who::Group(group(n % 1_000)));
    decided("decide among 10,000 grants, of which 200 are for the caller's groups", &by_group, member);

    let by_id = many(|n| Who::DirectoryGroup(ByIdOrName::Id(directory_group(n).id)));
    decided(
        "decide among 10,000 grants by ids of directory groups, 50 of them the caller's",
        &by_id,
        Caller::clone(&person()),
    );

    let by_name = many(|n| Who::DirectoryGroup(ByIdOrName::Name(directory_group(n).name)));
    decided(
        "decide among 10,000 grants by names of directory groups, 50 of them the caller's",
        &by_name,
        Caller::clone(&person()),
    );

    let workload = |n: usize| {
        let value = |text: &str| Pattern::new(text).expect("a pattern");
        let account = format!("service-{n}");
        let attributes = [("namespace", value("shop")), ("pod", value("*")), ("service_account", value(&account))];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        Workload::new(SourceName::new("checkout").expect("a name"), attributes).expect("attributes")
    };
    let attributes = [("namespace", "shop"), ("pod", "checkout-0"), ("service_account", "service-9999")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let by_workload = many(|n| Who::Workload(workload(n)));
    let pod = Caller { attributes, ..Caller::clone(&caller()) };
    decided("decide among 10,000 grants by attributes of workloads", &by_workload, pod);
}

/// What an expression costs: to ask it, and, when it is saved, to parse it.
fn expressions(criterion: &mut Criterion) {
    const THREE: &str =
        "caller.mfa_age_s < 900 && call.region == 'us-east-1' && 'Group 9950' in caller.directory_groups";
    let (rules, to, call, context) = (rules(), name("receipts"), call(), context());
    let target = rules.target(&to).expect("the one that there is");
    let mut ask = |title: &str, source: &str, caller: &Caller| {
        let when = Condition::When(When::new(source).expect("an expression"));
        criterion.bench_function(title, |bencher| {
            bencher.iter(|| when.check(black_box(caller), (black_box(&call), target), &context).is_ok());
        });
    };
    let person = person();
    ask("when: one term", "call.region == 'us-east-1'", &person);
    ask("when: three terms", THREE, &person);
    let mut crowd = Caller::clone(&person);
    crowd.groups = (0..256).map(group).collect();
    let costly = "caller.groups.exists(g, g.endsWith('-x') || g.endsWith('-y') || g.endsWith('-z'))";
    ask("when: three questions about each of 256 groups", costly, &crowd);
    criterion.bench_function("when: parsing three terms", |bencher| {
        bencher.iter(|| When::new(black_box(THREE)).is_ok());
    });
}

fn bench(criterion: &mut Criterion) {
    let (rules, caller, call, context, to) = (rules(), caller(), call(), context(), name("receipts"));
    criterion.bench_function("decide among 20 grants with 3 conditions each", |bencher| {
        bencher.iter(|| decide(black_box(&caller), (&to, black_box(&call)), &rules, &context).is_ok());
    });

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let leases = Leases::new(Arc::new(Free(rules)), Clock::new(now), Shutdown::new());
    let evidence = Arc::new(Evidence::token(Secret::new("e".repeat(1000))));
    let need = Need {
        evidence: &evidence,
        target: &to,
        call: &call,
        from: context.from,
        request: RequestId::new(uuid::Uuid::nil()),
    };
    criterion.bench_function("lease hit, every condition asked again", |bencher| {
        bencher.to_async(&runtime).iter(|| leases.obtain(black_box(need)));
    });
}

criterion_group!(benches, bench, crowds, expressions);
criterion_main!(benches);
