//! What a decision costs, and a hit in the lease cache: both stand on the path of every request.

use std::hint::black_box;
use std::sync::Arc;

use access::{
    Assurance, AwsCredential, Call, Caller, Clock, Cloud, Condition, Context, Credential, Evidence, Grant, GrantName,
    GroupName, Lease, LeaseId, NamedCondition, Networks, Pattern, Record, Refusal, RequestId, Rules, Secret,
    SourceName, Spelling, Target, TargetName, TimeWindow, Weekdays, Who, decide,
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

/// Ten thousand grants to one target, each for one of a thousand groups, of which a caller is in twenty.
fn many() -> (Rules, Arc<Caller>) {
    let (few, group) = (rules(), |n: usize| GroupName::new(&format!("group-{n}")).expect("a name"));
    let target = few.target(&name("receipts")).expect("the one that there is");
    let one = few.grants(&target.name).last().expect("the one that covers the call");
    let grant = |n: usize| Grant {
        from: vec![Who::Group(group(n % 1_000))],
        // The very last that is for the caller.
        allow: vec![Pattern::new(if n >= 9_950 { "s3:Get*" } else { "s3:Put*" }).expect("a pattern").into()],
        ..Grant::clone(one)
    };
    let caller =
        Caller { sources: Vec::new(), groups: (0..20).map(|n| group(n * 50)).collect(), ..Caller::clone(&caller()) };
    (Rules::new([Target::clone(target)], (0..10_000).map(grant)), Arc::new(caller))
}

fn bench(criterion: &mut Criterion) {
    let (rules, caller, call, context, to) = (rules(), caller(), call(), context(), name("receipts"));
    criterion.bench_function("decide among 20 grants with 3 conditions each", |bencher| {
        bencher.iter(|| decide(black_box(&caller), (&to, black_box(&call)), &rules, &context).is_ok());
    });

    let (crowded, member) = many();
    criterion.bench_function("decide among 10,000 grants, of which 200 are for the caller's groups", |bencher| {
        bencher.iter(|| decide(black_box(&member), (&to, black_box(&call)), &crowded, &context).is_ok());
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

criterion_group!(benches, bench);
criterion_main!(benches);
