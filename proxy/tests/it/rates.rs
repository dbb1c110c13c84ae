//! Who asks too often, and whose share that is.

use std::time::Duration;

use access::{Outcome, RefusalCode};
use config::Rates;
use tokio::io::AsyncWriteExt;

use crate::destination::Mirror;
use crate::program::{Signed, answer, ask, dial};
use crate::stage::{Stage, Wish};

/// A call whose payload's hash is not said, so that its body is read before anything is proven.
fn undeclared<'a>(stage: &Stage, length: &'a str, body: &'a [u8]) -> Signed<'a> {
    Signed {
        method: "POST",
        host: "dynamodb.us-east-1.amazonaws.com",
        service: "dynamodb",
        headers: vec![("x-amz-target", "DynamoDB_20120810.PutItem"), ("content-length", length)],
        declared: None,
        body,
        ..Signed::get(stage, "/")
    }
}

async fn stage(rates: Rates) -> (Mirror, Stage) {
    let mirror = Mirror::new().await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.limits.rates = rates;
    let stage = Stage::with(wish).await;
    (mirror, stage)
}

#[tokio::test]
async fn tunnels_are_counted_among_the_requests_of_a_peer() {
    let (mirror, stage) = stage(Rates { requests_per_peer: Some(1), ..Rates::default() }).await;
    let request = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", mirror.address);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(&stage, &request).await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let outcome = stage.outcome().await;
    assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::RateLimited, .. }), "{outcome:?}");
}

#[tokio::test]
async fn whoever_knows_only_the_id_of_a_placeholder_uses_up_nothing() {
    let (_mirror, stage) = stage(Rates { requests_per_target: Some(1), ..Rates::default() }).await;
    let good = undeclared(&stage, "2", b"{}");
    let forged = Signed { key: (stage.placeholder().0, "guessed".into()), ..undeclared(&stage, "2", b"{}") };
    for _ in 0..5 {
        assert_eq!(ask(&stage, &(forged.absolute_head() + "{}")).await.status, 403);
    }
    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = ask(&stage, &(good.absolute_head() + "{}")).await;
        answers.push((answer.status, answer.header("x-countersign-refusal").map(str::to_owned)));
    }
    let throttled = (429, Some("rate-limited".to_owned()));
    assert_eq!(answers, [(200, None), (200, None), throttled.clone(), throttled]);
}

#[tokio::test]
async fn body_that_has_to_be_held_comes_at_a_pace() {
    let (mirror, stage) = stage(Rates::default()).await;
    let body = "x".repeat(60_000);
    let head = undeclared(&stage, "60000", body.as_bytes()).absolute_head();
    let mut io = dial(&stage).await;
    io.write_all((head + &body[1..]).as_bytes()).await.unwrap();
    let late = tokio::time::timeout(Duration::from_secs(20), answer(&mut io)).await.expect("an answer in time");
    assert!(late.status == 400 && late.body.contains("too slowly"), "{late:?}");
    assert_eq!(mirror.connections(), 0);
}
