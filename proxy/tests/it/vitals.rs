//! What is told in numbers is what has happened.

use access::{Refusal, RefusalCode};
use tokio::io::AsyncWriteExt;

use crate::destination::{Mirror, Scripted};
use crate::lines::tls_mirror;
use crate::program::{S3, Signed, answer, ask, connect, dial, exchange, head, tls};
use crate::stage::{Stage, Wish};

/// After an upload of five bytes that took 300 ms and was answered with four, and a call that was refused.
const NUMBERS: [(&str, u64); 8] = [
    (r#"countersign_requests_total{cloud="aws",service="s3",decision="countersigned",status="2xx"}"#, 1),
    (r#"countersign_requests_total{cloud="aws",service="sqs",decision="refused",status="none"}"#, 1),
    (r#"countersign_request_duration_seconds_count{cloud="aws",service="s3",decision="countersigned"}"#, 1),
    (r#"countersign_request_duration_seconds_bucket{cloud="aws",service="s3",decision="countersigned",le="0.25"}"#, 0),
    (r#"countersign_request_duration_seconds_bucket{cloud="aws",service="s3",decision="countersigned",le="60"}"#, 1),
    (r#"countersign_bytes_total{direction="up"}"#, 5),
    (r#"countersign_bytes_total{direction="down"}"#, 4),
    ("countersign_audit_lost_total", 0),
];

/// Waits until a number is as expected: some are counted beside the work.
async fn becomes(stage: &Stage, name: &str, expected: u64) {
    let counted = async {
        while stage.number(name) != expected {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let counted = tokio::time::timeout(std::time::Duration::from_secs(10), counted).await;
    assert!(counted.is_ok(), "{name} is {} and not {expected}", stage.number(name));
}

#[tokio::test]
async fn connections_and_certificates_are_counted_by_whether_they_were_there() {
    let directory = tempfile::tempdir().unwrap();
    let (mirror, roots) = tls_mirror(&directory).await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
    wish.upstream_roots = Some(roots);
    let stage = Stage::with(wish).await;
    for _ in 0..2 {
        let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
        for _ in 0..2 {
            assert_eq!(exchange(&mut io, &Signed::get(&stage, "/x").head()).await.status, 200);
        }
        drop(io);
        becomes(&stage, "countersign_connections", 0).await;
        becomes(&stage, "countersign_upstream_idle_connections", 1).await;
    }
    for (name, expected) in [
        ("countersign_upstream_requests_total{connection=\"fresh\"}", 1),
        ("countersign_upstream_requests_total{connection=\"reused\"}", 3),
        ("countersign_upstream_requests_total{connection=\"failed\"}", 0),
        ("countersign_leaf_certificates_total{result=\"minted\"}", 1),
        ("countersign_leaf_certificates_total{result=\"found\"}", 1),
        ("countersign_leaf_cache_entries", 1),
        ("countersign_connections_total", 2),
    ] {
        assert_eq!(stage.number(name), expected, "{name}");
    }
    assert_eq!(mirror.connections(), 1);
}

#[tokio::test]
async fn requests_are_counted_by_service_and_decision_with_how_long_they_took() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    *stage.lessor.refuse.lock().unwrap() = Some(Refusal::new(RefusalCode::NotGranted, "no grant"));
    let other = Signed { service: "sqs", host: "sqs.us-east-1.amazonaws.com", ..Signed::get(&stage, "/q") };
    assert_eq!(ask(&stage, &other.absolute_head()).await.status, 403);
    *stage.lessor.refuse.lock().unwrap() = None;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::put(&stage, "/x", vec![("content-length", "5")]).head().as_bytes()).await.unwrap();
    io.write_all(b"hello").await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere").await.unwrap();
    assert_eq!(answer(&mut io).await.status, 200);
    becomes(&stage, "countersign_refusals_total{code=\"not-granted\"}", 1).await;
    becomes(&stage, "countersign_audit_queued", 0).await;
    for (name, expected) in NUMBERS {
        assert_eq!(stage.number(name), expected, "{name}");
    }
}

#[tokio::test]
async fn body_that_is_held_is_counted_while_it_is_held() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let body = "x".repeat(10_000);
    let call = Signed {
        method: "POST",
        host: "dynamodb.us-east-1.amazonaws.com",
        service: "dynamodb",
        headers: vec![("x-amz-target", "DynamoDB_20120810.PutItem"), ("content-length", "10000")],
        declared: None,
        body: body.as_bytes(),
        ..Signed::get(&stage, "/")
    };
    let mut io = dial(&stage).await;
    io.write_all((call.absolute_head() + &body[1..]).as_bytes()).await.unwrap();
    becomes(&stage, "countersign_held_body_bytes", 9_999).await;
    io.write_all(b"x").await.unwrap();
    assert_eq!(answer(&mut io).await.status, 200);
    becomes(&stage, "countersign_held_body_bytes", 0).await;
}
