//! A destination that ends at each byte of the request: the program is told, nothing is sent twice, and the next request
//! is answered.

use access::Outcome;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::far::{End, Place};
use super::in_time;
use super::near::{Heard, hear};
use crate::program::{S3, Signed, connect, tls};
use crate::stage::Stage;

const BODY: &[u8] = b"receipt";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";

async fn put<I: AsyncWrite + Unpin>(stage: &Stage, io: &mut I) {
    let head = Signed::put(stage, "/x", vec![("content-length", "7")]).head();
    io.write_all(&[head.as_bytes(), BODY].concat()).await.unwrap();
    io.flush().await.unwrap();
}

async fn ask<I: AsyncRead + AsyncWrite + Unpin>(stage: &Stage, io: &mut I) -> Heard {
    put(stage, io).await;
    hear(io).await
}

/// One request on a connection of its own.
async fn asked(stage: &Stage, secure: bool) -> Heard {
    if secure {
        ask(stage, &mut tls(stage, &format!("{S3}:443"), S3).await.unwrap()).await
    } else {
        ask(stage, &mut connect(stage, &format!("{S3}:80")).await).await
    }
}

async fn ends_everywhere(end: End, secure: bool, step: usize) {
    let place = if secure { Place::tls(b"http/1.1").await } else { Place::clear().await };
    let stage = Stage::with(place.wish()).await;
    let answered = async {
        let mut far = place.far().await;
        let length = far.asked().await.len() + far.read(BODY.len()).await.len();
        far.say(OK).await;
        far.end(End::Goodbye).await;
        length
    };
    let (heard, length) = in_time(async { tokio::join!(asked(&stage, secure), answered) }).await;
    assert_eq!(heard, Heard::Whole(200, "here".into()));
    stage.record().await;
    for read in (1..length).step_by(step).chain(length - BODY.len() - 1..=length) {
        let case = format!("{read} of {length} bytes, {end:?}, TLS: {secure}");
        let broken = async {
            let mut far = place.far().await;
            far.read(read).await;
            far.end(end).await;
        };
        let (heard, ()) = in_time(async { tokio::join!(asked(&stage, secure), broken) }).await;
        assert!(matches!(&heard, Heard::Whole(503, said) if said.contains("broke off")), "{case}: {heard:?}");
        let outcome = stage.outcome().await;
        assert!(matches!(outcome, Outcome::Broken { .. }), "{case}: {outcome:?}");
    }
    assert_eq!(stage.repeated(), 0, "a body that streams is not at hand any more");
    let (heard, _) = in_time(async {
        tokio::join!(asked(&stage, secure), async {
            let mut far = place.far().await;
            far.asked().await;
            far.read(BODY.len()).await;
            far.say(OK).await;
            far
        })
    })
    .await;
    assert_eq!(heard, Heard::Whole(200, "here".into()));
}

#[tokio::test]
async fn destination_that_resets_while_it_reads_a_request_is_told_as_broken() {
    ends_everywhere(End::Reset, false, 3).await;
    ends_everywhere(End::Reset, true, 31).await;
}

#[tokio::test]
async fn destination_that_ends_while_it_reads_a_request_is_told_as_broken() {
    ends_everywhere(End::Cut, false, 31).await;
    ends_everywhere(End::Goodbye, true, 61).await;
}
