//! What goes through as it is.

use std::time::Duration;

use access::Outcome;
use config::Limits;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, answer, ask, dial, exchange, head};
use crate::stage::{Stage, Wish};

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
            tokio::time::sleep(Duration::from_millis(5)).await;
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

#[tokio::test]
async fn events_of_a_server_come_one_by_one_as_they_happen() {
    let (mut events, stage) = elsewhere(|_| {}).await;
    let mut io = ask_elsewhere(&stage, &events, "Accept: text/event-stream\r\n").await;
    let mut upstream = events.connection().await;
    head(&mut upstream).await;
    let begin = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    upstream.write_all(begin.as_bytes()).await.unwrap();
    let began = in_time(head(&mut io)).await;
    assert!(began.to_lowercase().contains("content-type: text/event-stream\r\n"), "{began}");
    for number in 0..3 {
        let event = format!("id: {number}\ndata: x\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        upstream.write_all(chunk.as_bytes()).await.unwrap();
        let mut heard = vec![0; chunk.len()];
        in_time(io.read_exact(&mut heard)).await.unwrap();
        assert_eq!(String::from_utf8(heard).unwrap().to_lowercase(), chunk, "before the next one has happened");
    }
    drop(io);
    let mut rest = [0; 1];
    assert_eq!(in_time(upstream.read(&mut rest)).await.unwrap_or(0), 0, "who listens no more is told to the server");
}

#[tokio::test]
async fn answer_may_be_waited_for_longer_than_a_head_may_take_and_a_stream_may_be_silent_for_as_long() {
    let (mut polled, stage) = elsewhere(|limits| {
        limits.head_timeout = SignedDuration::from_millis(200);
        limits.connect_timeout = SignedDuration::from_millis(200);
        limits.idle_timeout = SignedDuration::from_secs(5);
    })
    .await;
    let mut io = ask_elsewhere(&stage, &polled, "").await;
    let mut upstream = polled.connection().await;
    head(&mut upstream).await;
    let long = Duration::from_millis(800);
    tokio::time::sleep(long).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nlong").await.unwrap();
    tokio::time::sleep(long).await;
    upstream.write_all(b"poll").await.unwrap();
    let answer = in_time(answer(&mut io)).await;
    assert_eq!((answer.status, &*answer.body), (200, "longpoll"));
}

/// Everything that a body of chunks is on the wire, trailers included.
async fn chunks(io: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let is_over = |all: &[u8]| {
        let last = all.windows(5).position(|five| five == b"\r\n0\r\n");
        last.is_some_and(|last| all[last + 3..].ends_with(b"\r\n\r\n"))
    };
    while !is_over(&all) {
        all.push(in_time(io.read_u8()).await.unwrap());
    }
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn trailers_of_a_request_are_passed_on_where_they_were_announced() {
    for (announced, passed) in [("Trailer: x-sum\r\n", "0\r\nx-sum: 7\r\n\r\n"), ("", "0\r\n\r\n")] {
        let (mut there, stage) = elsewhere(|_| {}).await;
        let mut io = ask_elsewhere(&stage, &there, &format!("{announced}Transfer-Encoding: chunked\r\n")).await;
        io.write_all(b"5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n").await.unwrap();
        let mut upstream = there.connection().await;
        assert_eq!(head(&mut upstream).await.to_lowercase().contains("\r\ntrailer: x-sum\r\n"), !announced.is_empty());
        assert_eq!(chunks(&mut upstream).await, format!("5\r\nhello\r\n{passed}"));
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(in_time(answer(&mut io)).await.status, 200);
    }
}

#[tokio::test]
async fn trailers_of_an_answer_end_here_where_nobody_asked_for_them() {
    let (mut there, stage) = elsewhere(|_| {}).await;
    let mut io = ask_elsewhere(&stage, &there, "").await;
    let mut upstream = there.connection().await;
    head(&mut upstream).await;
    let answered =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n";
    upstream.write_all(answered).await.unwrap();
    assert_eq!(in_time(answer(&mut io)).await.body, "hi");
}

/// A destination that is no cloud's, and a proxy with other limits.
async fn elsewhere(change: impl FnOnce(&mut Limits)) -> (Scripted, Stage) {
    let there = Scripted::new().await;
    let mut wish = Wish::aws_at(there.address);
    wish.endpoints = Vec::new();
    change(&mut wish.limits);
    (there, Stage::with(wish).await)
}

/// Asks it for something, with that in the head besides.
async fn ask_elsewhere(stage: &Stage, there: &Scripted, besides: &str) -> TcpStream {
    let mut io = dial(stage).await;
    let host = there.address;
    let head = format!("POST http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{besides}\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    io
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.expect("it hangs")
}
