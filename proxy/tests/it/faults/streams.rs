//! The same over HTTP/2: a stream whose connection ends at each byte of the answer is reset, or refused.

use std::time::Duration;

use access::{Outcome, RefusalCode};
use http::Request;
use jiff::SignedDuration;

use super::far::{End, Far, Place};
use super::in_time;
use crate::http2::program::{Program, request, whole};
use crate::program::Signed;
use crate::stage::Stage;

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame (RFC 9113 §4.1).
fn frame((kind, flags): (u8, u8), stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:status: 200` of the static table (RFC 7541, appendix A), and a trailer in letters.
const STATUS: &[u8] = &[0x88];
const TRAILER: &[u8] = b"\x00\x05x-sum\x011";

/// Head, body in two pieces, trailers.
fn answer(stream: u32) -> Vec<Vec<u8>> {
    vec![
        frame((HEADERS, END_HEADERS), stream, STATUS),
        frame((DATA, 0), stream, b"rece"),
        frame((DATA, 0), stream, b"ipt"),
        frame((HEADERS, END_HEADERS | END_STREAM), stream, TRAILER),
    ]
}

/// The far end of a connection that speaks HTTP/2 by hand.
struct Frames(Far);

impl Frames {
    /// Settles everything that comes before requests.
    async fn new(place: &Place) -> Self {
        let mut far = place.far().await;
        far.say(&frame((SETTINGS, 0), 0, b"")).await;
        assert!(far.read(24).await.starts_with(b"PRI * HTTP/2.0"));
        let mut frames = Self(far);
        while frames.next().await.0 != PING {}
        frames
    }

    /// The next frame, by its kind and stream; what has to be acknowledged is.
    async fn next(&mut self) -> (u8, u32) {
        let head = self.0.read(9).await;
        let payload = self.0.read(usize::from(head[1]) << 8 | usize::from(head[2])).await;
        let (kind, flags) = (head[3], head[4]);
        match kind {
            SETTINGS if flags & ACK == 0 => self.0.say(&frame((SETTINGS, ACK), 0, b"")).await,
            PING if flags & ACK == 0 => self.0.say(&frame((PING, ACK), 0, &payload)).await,
            _ => {}
        }
        (kind, u32::from_be_bytes([head[5], head[6], head[7], head[8]]))
    }

    /// The next request's stream.
    async fn asked(&mut self) -> u32 {
        loop {
            if let (HEADERS, stream) = self.next().await {
                return stream;
            }
        }
    }

    /// The next request is answered.
    async fn answer(&mut self) {
        let stream = self.asked().await;
        self.0.say(&answer(stream).concat()).await;
    }

    /// The same, and no other is taken (RFC 9113 §6.8).
    async fn retired(mut self) {
        let stream = self.asked().await;
        let last = [stream.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        self.0.say(&frame((GOAWAY, 0), 0, &last)).await;
        self.0.say(&answer(stream).concat()).await;
        self.0.end(End::Goodbye).await;
    }
}

/// What a program hears on one stream.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Whole(u16, String),
    /// A head, and then a reset.
    Half(u16),
    /// A reset at once.
    Reset,
}

fn get(stage: &Stage) -> Request<()> {
    request(&Signed::get(stage, "/x"))
}

async fn hear(program: &mut Program, request: Request<()>) -> Heard {
    let (answer, _) = program.begin(request, true).await;
    let Ok(answer) = answer.await else { return Heard::Reset };
    let status = answer.status().as_u16();
    match whole(answer).await {
        Ok(whole) => {
            assert!(status != 200 || whole.trailers.is_some(), "an answer without its trailers");
            Heard::Whole(status, String::from_utf8(whole.body.to_vec()).unwrap())
        }
        Err(error) => {
            assert!(error.is_reset() && error.is_remote(), "the program's own connection goes on: {error}");
            Heard::Half(status)
        }
    }
}

/// One program whose streams go on, and a connection of the destination's for each case.
async fn ends_everywhere(end: End) {
    let place = Place::tls(b"h2").await;
    let stage = Stage::with(place.wish()).await;
    let (mut program, first) = tokio::join!(Program::new(&stage), Frames::new(&place));
    let mut first = Some(first);
    let (head, total) = (answer(1)[0].len(), answer(1).concat().len());
    let mut all = Vec::new();
    for said in 0..=total {
        let far = async {
            let mut frames = match first.take() {
                Some(frames) => frames,
                None => Frames::new(&place).await,
            };
            let stream = frames.asked().await;
            frames.0.say(&answer(stream).concat()[..said]).await;
            frames.0.end(end).await;
        };
        let (heard, ()) = tokio::join!(hear(&mut program, get(&stage)), far);
        all.push(heard);
    }
    for (said, heard) in all.into_iter().enumerate() {
        let case = format!("{said} of {total} bytes, {end:?}");
        let outcome = stage.outcome().await;
        if said == total {
            assert_eq!(heard, Heard::Whole(200, "receipt".into()), "{case}");
            assert_eq!(outcome, Outcome::Countersigned { status: 200 }, "{case}");
            continue;
        }
        assert!(matches!(outcome, Outcome::Broken { .. }), "{case}: {outcome:?}");
        match heard {
            Heard::Whole(503, text) if said < head => {
                assert!(text.contains("broke off before it had answered"), "{case}: {text}");
            }
            heard => assert!(heard == Heard::Half(200) && said >= head, "{case}: {heard:?}"),
        }
    }
}

#[tokio::test]
async fn answer_whose_connection_is_reset_anywhere_is_told_from_a_whole_one() {
    in_time(ends_everywhere(End::Reset)).await;
}

#[tokio::test]
async fn answer_whose_connection_ends_anywhere_is_told_from_a_whole_one() {
    in_time(ends_everywhere(End::Cut)).await;
}

#[tokio::test]
async fn answer_whose_connection_ends_in_order_anywhere_is_told_from_a_whole_one() {
    in_time(ends_everywhere(End::Goodbye)).await;
}

#[tokio::test]
async fn connection_that_ends_before_it_is_settled_is_a_refusal() {
    let place = Place::tls(b"h2").await;
    let stage = Stage::with(place.wish()).await;
    let (mut program, first) = tokio::join!(Program::new(&stage), Frames::new(&place));
    tokio::join!(first.retired(), answered(&mut program, &stage));
    let greeting = [frame((SETTINGS, 0), 0, b""), frame((SETTINGS, ACK), 0, b"")].concat();
    let mut all = Vec::new();
    for said in 0..greeting.len() {
        let far = async {
            let mut far = place.far().await;
            far.say(&greeting[..said]).await;
            far.end(End::Cut).await;
        };
        let (heard, ()) = in_time(async { tokio::join!(hear(&mut program, get(&stage)), far) }).await;
        all.push(heard);
    }
    for (said, heard) in all.into_iter().enumerate() {
        let Heard::Whole(503, text) = heard else { panic!("{said}: {heard:?}") };
        assert!(text.contains("no HTTP/2 with localhost"), "{said}: {text}");
        let outcome = stage.outcome().await;
        let expected = matches!(outcome, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. });
        assert!(expected, "{said}: {outcome:?}");
    }
}

async fn answered(program: &mut Program, stage: &Stage) {
    assert_eq!(hear(program, get(stage)).await, Heard::Whole(200, "receipt".into()));
    assert_eq!(stage.outcome().await, Outcome::Countersigned { status: 200 });
}

/// A program and a destination, and a connection between them that has been good for one request.
async fn kept() -> (Place, Stage, Program, Frames) {
    let place = Place::tls(b"h2").await;
    let stage = Stage::with(place.wish()).await;
    let (mut program, mut frames) = tokio::join!(Program::new(&stage), Frames::new(&place));
    tokio::join!(answered(&mut program, &stage), frames.answer());
    (place, stage, program, frames)
}

#[tokio::test]
async fn what_may_be_asked_twice_is_asked_again_when_a_kept_connection_ends() {
    for end in [End::Reset, End::Cut, End::Goodbye] {
        let (place, stage, mut program, mut frames) = kept().await;
        let far = async {
            frames.asked().await;
            tokio::join!(frames.0.end(end), async { Frames::new(&place).await.answer().await });
        };
        in_time(async { tokio::join!(answered(&mut program, &stage), far) }).await;
        assert_eq!(stage.repeated(), 1, "{end:?}");
    }
}

#[tokio::test]
async fn what_was_asked_twice_is_not_asked_again() {
    let (place, stage, mut program, mut frames) = kept().await;
    let far = async {
        frames.asked().await;
        let second = async {
            let mut frames = Frames::new(&place).await;
            frames.asked().await;
            frames.0.end(End::Reset).await;
        };
        tokio::join!(frames.0.end(End::Reset), second);
    };
    let (heard, ()) = in_time(async { tokio::join!(hear(&mut program, get(&stage)), far) }).await;
    assert!(matches!(heard, Heard::Whole(503, _)), "{heard:?}");
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
    let next = async { Frames::new(&place).await.answer().await };
    in_time(async { tokio::join!(answered(&mut program, &stage), next) }).await;
}

#[tokio::test]
async fn post_and_what_was_begun_to_be_answered_are_the_programs_to_repeat() {
    let hint = frame((HEADERS, END_HEADERS), 3, b"\x08\x03103");
    for (method, said) in [("POST", vec![]), ("GET", hint)] {
        let (place, stage, mut program, mut frames) = kept().await;
        let far = async {
            assert_eq!(frames.asked().await, 3);
            frames.0.say(&said).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            frames.0.end(End::Cut).await;
        };
        let asked = request(&Signed { method, ..Signed::get(&stage, "/x") });
        let (heard, ()) = in_time(async { tokio::join!(hear(&mut program, asked), far) }).await;
        assert!(matches!(heard, Heard::Whole(503, _)), "{method}: {heard:?}");
        assert!(matches!(stage.outcome().await, Outcome::Broken { .. }), "{method}");
        assert_eq!(stage.repeated(), 0, "{method}");
        let next = async { Frames::new(&place).await.answer().await };
        in_time(async { tokio::join!(answered(&mut program, &stage), next) }).await;
    }
}

#[tokio::test]
async fn connection_that_has_fallen_silent_takes_no_more_requests() {
    let place = Place::tls(b"h2").await;
    let mut wish = place.wish();
    wish.limits.idle_timeout = SignedDuration::from_millis(300);
    let stage = Stage::with(wish).await;
    let (mut program, mut frames) = tokio::join!(Program::new(&stage), Frames::new(&place));
    tokio::join!(answered(&mut program, &stage), frames.answer());
    let (heard, _) = in_time(async { tokio::join!(hear(&mut program, get(&stage)), frames.asked()) }).await;
    let Heard::Whole(503, text) = heard else { panic!("{heard:?}") };
    assert!(text.contains("did not answer in time"), "{text}");
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
    let next = async { Frames::new(&place).await.answer().await };
    in_time(async { tokio::join!(answered(&mut program, &stage), next) }).await;
}

#[tokio::test]
async fn answer_that_stops_in_the_middle_is_reset_after_the_time_out() {
    let place = Place::tls(b"h2").await;
    let mut wish = place.wish();
    wish.limits.idle_timeout = SignedDuration::from_millis(300);
    let stage = Stage::with(wish).await;
    let (mut program, mut frames) = tokio::join!(Program::new(&stage), Frames::new(&place));
    let far = async {
        let stream = frames.asked().await;
        frames.0.say(&answer(stream)[..2].concat()).await;
    };
    let (heard, ()) = in_time(async { tokio::join!(hear(&mut program, get(&stage)), far) }).await;
    assert_eq!(heard, Heard::Half(200));
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
}
