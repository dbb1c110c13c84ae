//! An answer over HTTP/1.1 that ends at each of its bytes, in each way: before its head is out the program is told so, after
//! that it can tell half an answer from a whole one.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::Outcome;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::far::{End, Place};
use super::in_time;
use super::near::{Heard, hear};
use crate::program::{S3, Signed, connect, tls};
use crate::stage::Stage;

const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreceipt";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n4;n=v\r\nrece\r\n3\r\nipt\r\n0\r\nx-sum: 1\r\n\r\n";
const UNTIL_THE_END: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nreceipt";
const NONE: &str = "HTTP/1.1 204 No Content\r\nDate: Sun, 05 Jul 2026 12:00:00 GMT\r\n\r\n";

/// Cases at once.
const AT_ONCE: usize = 8;

/// What is to come of an answer of which `said` is said.
fn expected((answer, said): (&str, usize), end: End, secure: bool) -> Heard {
    let status = if answer == NONE { 204 } else { 200 };
    let head = answer.find("\r\n\r\n").unwrap() + 4;
    let body = if answer == NONE { "" } else { "receipt" };
    if said < head {
        Heard::Whole(503, String::new())
    } else if said == answer.len() && (answer != UNTIL_THE_END || end == End::Goodbye) {
        Heard::Whole(status, body.to_owned())
    } else if answer == UNTIL_THE_END && end != End::Reset && !(secure && end == End::Cut) {
        // Nobody can tell: HTTP of 1996. Under TLS one can (RFC 8446 §6.1).
        Heard::Whole(status, answer[head..said].to_owned())
    } else {
        Heard::Half(status)
    }
}

/// Says as much of `answer` to the request on each connection as its path says, and ends the connection. Whoever is not
/// done with half an answer is told.
async fn answer_each(place: Arc<Place>, (answer, end): (&'static str, End), asked_on: UnboundedSender<usize>) {
    loop {
        let tcp = place.raw().await;
        let (place, asked_on) = (place.clone(), asked_on.clone());
        tokio::spawn(async move {
            let mut far = place.over(tcp).await;
            let asked = far.asked().await;
            // One that was dialled early, and not needed.
            let Some(said) = asked.split([' ', '/']).nth(2) else { return };
            let said = said.parse().unwrap();
            far.say(&answer.as_bytes()[..said]).await;
            if !far.end(end).await.is_empty() && said < answer.len() {
                asked_on.send(said).unwrap();
            }
        });
    }
}

/// One request, whose path says how much of the answer it gets.
async fn ask(stage: &Stage, said: usize, secure: bool) -> Heard {
    let path = format!("/{said}");
    let request = Signed::get(stage, &path).head();
    if secure {
        let mut io = tls(stage, &format!("{S3}:443"), S3).await.unwrap();
        io.write_all(request.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        hear(&mut io).await
    } else {
        let mut io = connect(stage, &format!("{S3}:80")).await;
        io.write_all(request.as_bytes()).await.unwrap();
        hear(&mut io).await
    }
}

async fn ends_everywhere(answer: &'static str, end: End, secure: bool) {
    let place = if secure { Place::tls(b"http/1.1").await } else { Place::clear().await };
    let stage = Stage::with(place.wish()).await;
    let (asked_on, mut wrong) = unbounded_channel();
    let far = tokio::spawn(answer_each(Arc::new(place), (answer, end), asked_on));
    let all = 0..=answer.len();
    let asked_of = &stage;
    let heard: Vec<_> = stream::iter(all.clone())
        .map(|said| async move { (said, ask(asked_of, said, secure).await) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut outcomes = BTreeMap::new();
    for _ in all.clone() {
        let record = stage.record().await;
        let said: usize = record.call.unwrap().path[1..].parse().unwrap();
        assert!(outcomes.insert(said, record.outcome).is_none(), "one request, one record");
    }
    for (said, heard) in heard {
        let case = format!("{said} of {} bytes, {end:?}, TLS: {secure}", answer.len());
        let expected = expected((answer, said), end, secure);
        match (&heard, &expected) {
            (Heard::Whole(503, text), Heard::Whole(503, _)) => {
                assert!(text.contains("broke off before it had answered"), "{case}: {text}");
                assert!(matches!(outcomes[&said], Outcome::Broken { .. }), "{case}: {:?}", outcomes[&said]);
            }
            (_, Heard::Whole(status, _)) => {
                assert_eq!(heard, expected, "{case}");
                assert_eq!(outcomes[&said], Outcome::Countersigned { status: *status }, "{case}");
            }
            (_, Heard::Half(_) | Heard::Nothing) => {
                assert_eq!(heard, expected, "{case}");
                assert!(matches!(outcomes[&said], Outcome::Broken { .. }), "{case}: {:?}", outcomes[&said]);
            }
        }
    }
    assert_eq!(stage.metrics.records_dropped.value(), 0);
    far.abort();
    assert!(wrong.try_recv().is_err(), "a connection was used again that had brought half an answer");
}

#[tokio::test]
async fn answer_with_a_length_that_ends_anywhere_is_told_from_a_whole_one() {
    for (end, secure) in [(End::Reset, false), (End::Cut, false), (End::Reset, true), (End::Cut, true)] {
        in_time(ends_everywhere(LENGTH, end, secure)).await;
    }
}

#[tokio::test]
async fn answer_in_chunks_that_ends_anywhere_is_told_from_a_whole_one() {
    for (end, secure) in [(End::Reset, false), (End::Cut, false), (End::Goodbye, true)] {
        in_time(ends_everywhere(CHUNKS, end, secure)).await;
    }
}

#[tokio::test]
async fn answer_that_lasts_as_long_as_its_connection_is_whole_only_if_that_ended_in_order() {
    for (end, secure) in
        [(End::Reset, false), (End::Cut, false), (End::Reset, true), (End::Cut, true), (End::Goodbye, true)]
    {
        in_time(ends_everywhere(UNTIL_THE_END, end, secure)).await;
    }
}

#[tokio::test]
async fn answer_without_a_body_that_ends_anywhere_is_told_from_a_whole_one() {
    for (end, secure) in [(End::Reset, false), (End::Cut, true)] {
        in_time(ends_everywhere(NONE, end, secure)).await;
    }
}

#[tokio::test]
async fn program_of_http_1_0_can_tell_half_an_answer_by_the_end_of_its_tls() {
    let place = Place::tls(b"http/1.1").await;
    let stage = Stage::with(place.wish()).await;
    let (half, whole) = (CHUNKS.len() - 20, CHUNKS.len());
    for (said, expected) in [(half, Heard::Half(200)), (whole, Heard::Whole(200, "receipt".into()))] {
        let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
        let request = Signed::get(&stage, "/x").head().replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        let mut far = place.far().await;
        far.asked().await;
        far.say(&CHUNKS.as_bytes()[..said]).await;
        let (heard, _) = in_time(async { tokio::join!(hear(&mut io), far.end(End::Cut)) }).await;
        assert_eq!(heard, expected);
        assert_eq!(matches!(stage.outcome().await, Outcome::Broken { .. }), said == half);
    }
}
