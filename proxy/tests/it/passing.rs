//! What goes through as it is.

use access::Outcome;
use tokio::io::AsyncWriteExt;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, ask, dial, exchange, head};
use crate::stage::Stage;

#[tokio::test]
async fn unsigned_call_to_a_cloud_goes_on_as_it_is_and_is_recorded() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let sts = "sts.us-east-1.amazonaws.com";
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
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
async fn connection_that_a_program_has_logged_in_on_serves_nobody_else() {
    for (authorization, connections) in [("Basic YTpi", 1), ("NTLM TlRMTVNTUAAB", 2), ("negotiate YII=", 2)] {
        let mirror = Mirror::new().await;
        let stage = Stage::new(mirror.address).await;
        let there = mirror.address.to_string();
        let get = format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n");
        let mut alice = dial(&stage).await;
        for _ in 0..2 {
            exchange(&mut alice, &format!("{get}Authorization: {authorization}\r\n\r\n")).await;
        }
        assert_eq!(mirror.connections(), 1, "the program itself goes on with it");
        drop(alice);
        while stage.metrics.connections.value() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(ask(&stage, &format!("{get}\r\n")).await.status, 200);
        assert_eq!(mirror.connections(), connections, "{authorization}");
    }
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

#[tokio::test]
async fn intercepted_host_does_not_lead_its_programs_past_the_proxy() {
    let mut aws = Scripted::new().await;
    let stage = Stage::new(aws.address).await;
    let answering = tokio::spawn(async move {
        let mut io = aws.connection().await;
        head(&mut io).await;
        let answer = "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"; ma=86400\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n";
        io.write_all(answer.as_bytes()).await.unwrap();
    });
    let answer = ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert_eq!((answer.header("alt-svc"), answer.header("x-kept")), (None, Some("1")), "{answer:?}");
    answering.await.unwrap();
}
