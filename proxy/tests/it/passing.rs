//! What goes through as it is.

use access::Outcome;

use crate::destination::Mirror;
use crate::program::{S3, ask};
use crate::stage::Stage;

#[tokio::test]
async fn unsigned_call_to_a_cloud_goes_on_as_it_is_and_is_recorded() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let sts = "sts.us-east-1.amazonaws.com";
    let body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=x";
    let request = format!(
        "POST http://{sts}/ HTTP/1.1\r\nHost: {sts}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let seen = ask(&stage, &request).await.body;
    assert!(seen.starts_with("POST / HTTP/1.1\r\n") && seen.ends_with(body), "{seen}");
    assert!(!seen.to_lowercase().contains("authorization") && !seen.contains("x-amz"), "{seen}");
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Passed { status: 200 }));
    assert_eq!(record.call.unwrap().service, "sts");
    assert!(stage.lessor.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn anonymous_object_is_fetched_as_anonymous() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let seen = ask(&stage, &format!("GET http://{S3}/public HTTP/1.0\r\n\r\n")).await.body;
    assert!(seen.starts_with("GET /public HTTP/1.1\r\n") && !seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn request_to_somewhere_else_is_passed_on_and_counted_but_not_recorded() {
    let mirror = Mirror::new().await;
    let other = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let host = other.address;
    let request = format!("GET http://{host}/x?y HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer mine\r\n\r\n");
    let answer = ask(&stage, &request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("GET /x?y HTTP/1.1\r\n") && answer.body.contains("Bearer mine"), "{answer:?}");
    while stage.metrics.passed.value() == 0 {
        tokio::task::yield_now().await;
    }
    // The next record is of the next call: of this one there is none.
    ask(&stage, &format!("GET http://{S3}/public HTTP/1.1\r\nHost: {S3}\r\n\r\n")).await;
    assert_eq!(stage.record().await.call.unwrap().host, S3);
}
