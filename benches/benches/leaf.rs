//! What a new host costs in certificates: one leaf minted, and one found again.

use std::hint::black_box;
use std::sync::Arc;

use ca::{Host, Leaves, Mint, Root, Scope};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};

fn now() -> Timestamp {
    Timestamp::from_second(1_763_985_600).expect("a time in range")
}

fn mint() -> Mint {
    let scope = Scope::of([Host::parse("amazonaws.com").expect("a host")]).expect("a scope");
    let root = Root::generate(&scope, now(), SignedDuration::from_hours(24)).expect("a root");
    Mint::new(root).expect("a mint")
}

fn bench(criterion: &mut Criterion) {
    let host = Host::parse("acme-receipts.s3.eu-central-1.amazonaws.com").expect("a host");
    let minting = mint();
    criterion.bench_function("mint a leaf", |bencher| bencher.iter(|| minting.mint(black_box(&host), now()).is_ok()));
    let leaves = Leaves::new(mint(), Arc::new(now));
    criterion.bench_function("find a leaf", |bencher| bencher.iter(|| leaves.leaf(black_box(&host)).is_ok()));
}

criterion_group!(benches, bench);
criterion_main!(benches);
