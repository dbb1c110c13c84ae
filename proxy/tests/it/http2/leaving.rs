//! Connections of HTTP/2 whose place is wanted.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::destination::{Asked, Destination};
use super::frames::{DATA, GOAWAY, PREFACE, RST_STREAM, frames, headers};
use crate::program::{S3, dial, tls_offering};
use crate::stage::Stage;

/// Longer than a connection rests before it gives way.
const SLOW: Duration = Duration::from_secs(3);

async fn full_stage() -> (Destination, Stage) {
    let slow = |mut asked: Asked| async move {
        tokio::time::sleep(SLOW).await;
        asked.answer(200, "here");
    };
    let destination = Destination::new(slow).await;
    let mut wish = destination.wish();
    wish.limits.connections = 1;
    let stage = Stage::with(wish).await;
    (destination, stage)
}

fn get() -> Vec<u8> {
    headers(1, &[(":method", "GET"), (":scheme", "https"), (":authority", S3), (":path", "/public")])
}

#[tokio::test]
async fn request_that_crosses_the_farewell_is_answered() {
    let (_destination, stage) = full_stage().await;
    let mut io = tls_offering(&stage, (&format!("{S3}:443"), S3), &[b"h2"]).await.unwrap();
    io.write_all(PREFACE).await.unwrap();
    let _waits = dial(&stage).await;
    let began = Instant::now();
    assert_eq!(frames(&mut io, GOAWAY).await.last().unwrap().0, GOAWAY);
    assert!(began.elapsed() > Duration::from_secs(1), "not before it has rested");
    // The ping behind the farewell is not answered: this program has not read it yet.
    io.write_all(&get()).await.unwrap();
    let answer = frames(&mut io, DATA).await;
    assert_eq!(answer.last(), Some(&(DATA, b"here".to_vec())), "{answer:?}");
}

#[tokio::test]
async fn request_that_is_under_way_keeps_the_place() {
    let (_destination, stage) = full_stage().await;
    let mut io = tls_offering(&stage, (&format!("{S3}:443"), S3), &[b"h2"]).await.unwrap();
    io.write_all(&[PREFACE, &get()].concat()).await.unwrap();
    let _waits = dial(&stage).await;
    let seen = frames(&mut io, DATA).await;
    assert_eq!(seen.last(), Some(&(DATA, b"here".to_vec())), "{seen:?}");
    assert!(seen.iter().all(|(kind, _)| ![GOAWAY, RST_STREAM].contains(kind)), "{seen:?}");
    assert_eq!(frames(&mut io, GOAWAY).await.last().unwrap().0, GOAWAY, "it has rested");
}
