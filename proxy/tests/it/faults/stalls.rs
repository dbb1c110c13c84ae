//! Destinations that stop, or say what is no TLS: the configured time-outs act, and nobody takes rubbish for an answer.

use access::{Outcome, RefusalCode};
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::far::{End, Place};
use super::in_time;
use super::near::{Heard, hear};
use crate::program::{S3, Signed, connect};
use crate::stage::Stage;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreceipt";
const HEAD: usize = ANSWER.len() - "receipt".len();

/// As TLS writes it: application data, of a length that does not come true, that nobody has encrypted.
const RUBBISH: &[u8] = b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

async fn impatient(place: &Place) -> Stage {
    let mut wish = place.wish();
    wish.limits.idle_timeout = SignedDuration::from_millis(300);
    wish.limits.connect_timeout = SignedDuration::from_millis(300);
    Stage::with(wish).await
}

#[tokio::test]
async fn answer_that_stops_anywhere_ends_after_the_time_out() {
    for secure in [false, true] {
        let place = if secure { Place::tls(b"http/1.1").await } else { Place::clear().await };
        let stage = impatient(&place).await;
        for said in [0, 1, HEAD - 1, HEAD, ANSWER.len() - 1] {
            let mut io = connect(&stage, &format!("{S3}:80")).await;
            io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
            let mut far = place.far().await;
            far.asked().await;
            far.say(&ANSWER.as_bytes()[..said]).await;
            match in_time(hear(&mut io)).await {
                Heard::Whole(503, text) if said < HEAD => {
                    assert!(text.contains("did not answer in time"), "{said}: {text}");
                }
                heard => assert!(heard == Heard::Half(200) && said >= HEAD, "{said}: {heard:?}"),
            }
            let outcome = stage.outcome().await;
            assert!(matches!(outcome, Outcome::Broken { .. }), "{said}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn handshake_that_stops_is_a_refusal_after_the_time_out() {
    let place = Place::tls(b"http/1.1").await;
    let stage = impatient(&place).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let _silent = place.raw().await;
    let Heard::Whole(503, text) = in_time(hear(&mut io)).await else { panic!("no answer") };
    assert!(text.contains("no connection to localhost") && text.contains("within 300ms"), "{text}");
    let outcome = stage.outcome().await;
    assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::UpstreamTimeout, .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_is_no_tls_is_a_refusal_with_the_reason() {
    for rubbish in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], RUBBISH, b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03"] {
        let place = Place::tls(b"http/1.1").await;
        let stage = impatient(&place).await;
        let mut io = connect(&stage, &format!("{S3}:80")).await;
        io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
        let mut raw = place.raw().await;
        raw.write_all(rubbish).await.unwrap();
        raw.shutdown().await.unwrap();
        let Heard::Whole(503, text) = in_time(hear(&mut io)).await else { panic!("no answer") };
        assert!(text.contains("no TLS with localhost"), "{text}");
        let outcome = stage.outcome().await;
        assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. }), "{outcome:?}");
        // It is told why, by an alert, and hears no more.
        in_time(raw.read_to_end(&mut Vec::new())).await.unwrap_or_default();
    }
}

#[tokio::test]
async fn rubbish_among_the_records_of_an_answer_is_no_part_of_it() {
    for said in [0, 1, HEAD, ANSWER.len() - 1] {
        let place = Place::tls(b"http/1.1").await;
        let stage = Stage::with(place.wish()).await;
        let mut io = connect(&stage, &format!("{S3}:80")).await;
        io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
        let mut far = place.far().await;
        far.asked().await;
        far.say(&ANSWER.as_bytes()[..said]).await;
        far.say_below_tls(RUBBISH).await;
        match in_time(hear(&mut io)).await {
            // What comes with the rubbish may go with it.
            Heard::Whole(503, text) => assert!(text.contains("broke off"), "{said}: {text}"),
            heard => assert!(heard == Heard::Half(200) && said >= HEAD, "{said}: {heard:?}"),
        }
        assert!(matches!(stage.outcome().await, Outcome::Broken { .. }), "{said}");
        in_time(far.end(End::Cut)).await;
    }
}
