//! A slow side holds back a fast one.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use http::Response;

use super::destination::{Asked, Destination};
use super::program::{Program, request, whole};
use crate::program::Signed;

/// What is poured as far as it is taken.
const ALL: usize = 24 << 20;

/// More than the windows of both connections and the buffers between them may hold.
const HELD: usize = 8 << 20;

/// Pours, as fast as the other side takes it, and counts.
async fn pour(stream: SendStream<Bytes>, poured: Arc<AtomicUsize>) {
    pour_up_to(ALL, stream, poured).await;
}

async fn pour_up_to(all: usize, mut stream: SendStream<Bytes>, poured: Arc<AtomicUsize>) {
    let piece = Bytes::from(vec![7; 64 << 10]);
    while poured.load(Ordering::SeqCst) < all {
        stream.reserve_capacity(piece.len());
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let now = room.min(piece.len());
        stream.send_data(piece.slice(..now), false).unwrap();
        poured.fetch_add(now, Ordering::SeqCst);
    }
    stream.send_data(Bytes::new(), true).unwrap();
}

/// The count once it stands still.
async fn standing(poured: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = poured.load(Ordering::SeqCst);
        if now == last && now > 0 {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn program_that_reads_slowly_holds_its_destination_back() {
    let poured: Arc<AtomicUsize> = Arc::default();
    let count = poured.clone();
    let destination = Destination::new(move |mut asked: Asked| {
        let count = count.clone();
        async move {
            let stream = asked.respond.send_response(Response::new(()), false).unwrap();
            pour(stream, count).await;
        }
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, _) = program.begin(request(&Signed::get(&stage, "/x")), true).await;
    let answer = answer.await.unwrap();
    let held = standing(&poured).await;
    assert!(held < HELD, "{held}");
    assert_eq!(whole(answer).await.unwrap().body.len(), poured.load(Ordering::SeqCst));
}

#[tokio::test]
async fn destination_that_reads_slowly_holds_its_program_back() {
    let go_on = Arc::new(tokio::sync::Notify::new());
    let told = go_on.clone();
    let destination = Destination::new(move |mut asked: Asked| {
        let told = told.clone();
        async move {
            told.notified().await;
            let (body, _) = asked.whole().await;
            asked.answer(200, body.len().to_string());
        }
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let (answer, stream) = program.begin(request(&Signed::put(&stage, "/x", vec![])), false).await;
    let poured: Arc<AtomicUsize> = Arc::default();
    tokio::spawn(pour(stream, poured.clone()));
    let held = standing(&poured).await;
    assert!(held < HELD, "{held}");
    go_on.notify_one();
    let read = whole(answer.await.unwrap()).await.unwrap().body;
    assert_eq!(read, poured.load(Ordering::SeqCst).to_string());
}

#[tokio::test]
async fn program_that_reads_nothing_does_not_hold_up_another() {
    let destination = Destination::new(|mut asked: Asked| async move {
        let length = if asked.request.uri().path() == "/large" { 3 << 20 } else { 5 };
        asked.answer(200, vec![7; length]);
    })
    .await;
    let stage = destination.stage().await;
    let mut silent = Program::that_reads_nothing(&stage).await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        let (answer, _) = silent.begin(request(&Signed::get(&stage, "/large")), true).await;
        answers.push(answer.await.unwrap());
    }
    // As much of them as there is room for is under way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut other = Program::new(&stage).await;
    let small = request(&Signed::get(&stage, "/small"));
    let answer = tokio::time::timeout(Duration::from_secs(5), other.ask(small, b"")).await;
    assert_eq!(answer.expect("an answer").body.len(), 5);
    assert_eq!(destination.connections(), 1, "on the same connection");
}

#[tokio::test]
async fn answers_that_nobody_reads_have_a_bound_and_hold_up_no_other_program() {
    /// What all connections share, what eight have beyond that, and a little for what is on its way.
    const BOUND: usize = (64 + 8 * 4 + 2) << 20;
    let poured: Arc<AtomicUsize> = Arc::default();
    let count = poured.clone();
    let destination = Destination::new(move |mut asked: Asked| {
        let count = count.clone();
        async move {
            if asked.request.uri().path() == "/small" {
                return asked.answer(200, "small");
            }
            let stream = asked.respond.send_response(Response::new(()), false).unwrap();
            pour_up_to(2 * BOUND, stream, count).await;
        }
    })
    .await;
    let stage = destination.stage().await;
    let mut silent = Program::that_reads_nothing(&stage).await;
    let mut answers = Vec::new();
    for number in 0..125 {
        let (answer, _) = silent.begin(request(&Signed::get(&stage, "/large")), true).await;
        // The last ones may find no room even for a head.
        answers.push(tokio::spawn(answer));
        if number == 70 {
            assert!(standing(&poured).await > 60 << 20);
            let small = request(&Signed::get(&stage, "/small"));
            let mut other = Program::new(&stage).await;
            let answer = tokio::time::timeout(Duration::from_secs(5), other.ask(small, b"")).await;
            assert_eq!(answer.expect("an answer").body.len(), 5);
            assert!(destination.connections() > 1, "there was no room on the first");
        }
    }
    let held = standing(&poured).await;
    assert!(held < BOUND, "{held}");
}
