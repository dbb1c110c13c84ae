//! What an access record costs on its way into the audit book: into JSON, hashed into the chain, and into SQLite.

use access::{Call, Clock, Cloud, GrantName, LeaseId, Outcome, Record, RequestId, Spelling, TargetName};
use broker::Broker;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use lease::Lessor;
use uuid::Uuid;

/// As many as are handed over at once when there is much to do.
const BATCH: u64 = 256;

fn record(number: u64) -> Record {
    let call = Call {
        cloud: Cloud::Aws,
        service: "s3".into(),
        prefix: "s3".into(),
        region: Some("us-east-1".into()),
        action: Some("s3:GetObject".into()),
        resource: Some(format!("arn:aws:s3:::receipts/2026/11/{number}.pdf")),
        also: Vec::new(),
        method: "GET".into(),
        host: "receipts.s3.us-east-1.amazonaws.com".into(),
        path: format!("/2026/11/{number}.pdf"),
        spelling: Spelling::Plain,
    };
    Record {
        id: RequestId::new(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, 1_763_985_600 + number, 0))),
        at: Timestamp::UNIX_EPOCH,
        from: Some([127, 0, 0, 1].into()),
        caller: Some("system:serviceaccount:shop:checkout".into()),
        target: Some(TargetName::new("receipts").expect("a name")),
        role: Some("arn:aws:iam::123456789012:role/receipts".into()),
        derived: None,
        grant: Some(GrantName::new("checkout-reads").expect("a name")),
        lease: Some(LeaseId::new(Uuid::from_u128(7))),
        call: Some(call),
        outcome: Outcome::Countersigned { status: 200 },
        bytes_up: 0,
        bytes_down: 1024,
        took: SignedDuration::from_micros(1500),
        upstream: Some(SignedDuration::from_micros(1200)),
        times: 1,
        app: None,
        destination: None,
    }
}

fn settings(directory: &std::path::Path) -> config::Settings {
    let text = include_str!("../../docs/examples/countersign.yaml");
    let file = directory.join("countersign.yaml");
    std::fs::write(&file, text).expect("a file in a new directory");
    config::load(&file, &|_| None).expect("the example is a config")
}

fn report(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let broker = runtime
        .block_on(Broker::open(&settings(directory.path()), Clock::new(|| Timestamp::UNIX_EPOCH)))
        .expect("a broker on a new store");
    let records: Vec<_> = (0..BATCH).map(record).collect();
    let mut group = criterion.benchmark_group("audit");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("256 records into the book", |bencher| {
        bencher.to_async(&runtime).iter(|| async { broker.report(&records).await.expect("room on the disk") });
    });
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
