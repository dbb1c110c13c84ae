//! Records are closed and arrive, whatever happens.

use std::time::Duration;

use access::Outcome;
use serve::Drained;
use tokio::io::AsyncWriteExt;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, answer, ask, connect, head};
use crate::stage::Stage;

#[tokio::test]
async fn program_that_leaves_before_the_answer_leaves_a_record() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    drop(io);
    let Outcome::Broken { message } = stage.outcome().await else { panic!("not broken") };
    assert!(message.contains("before there was an answer"), "{message}");
}

#[tokio::test]
async fn program_that_leaves_in_the_middle_of_an_answer_leaves_a_record() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    head(&mut io).await;
    drop(io);
    let record = stage.record().await;
    let Outcome::Broken { message } = record.outcome else { panic!("{:?}", record.outcome) };
    assert!(message.contains("before the answer was whole"), "{message}");
    assert!(record.lease.is_some());
}

#[tokio::test]
async fn destination_that_breaks_off_in_the_middle_of_an_answer_breaks_the_programs_connection() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
    drop(upstream);
    head(&mut io).await;
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut io, &mut rest).await;
    assert!(rest.len() < 100, "never more than came: {read:?}");
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Broken { .. }), "{:?}", record.outcome);
}

#[tokio::test]
async fn records_wait_for_a_lessor_that_cannot_take_them() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    *stage.lessor.deaf.lock().unwrap() = 2;
    ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
    assert_eq!(stage.metrics.records_dropped.value(), 0);
}

#[tokio::test]
async fn what_runs_finishes_after_the_shutdown_begins_and_its_record_arrives() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    stage.shutdown.begin();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(answer(&mut io).await.body, "ok");
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
    let drained = tokio::time::timeout(Duration::from_secs(10), stage.running).await.unwrap().unwrap();
    assert_eq!(drained, Drained::Whole);
    assert!(tokio::net::TcpStream::connect(stage.proxy).await.is_err());
}
