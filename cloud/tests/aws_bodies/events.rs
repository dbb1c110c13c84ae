//! Streams of signed events.

use std::convert::Infallible;

use bytes::Bytes;
use cloud::aws::body::{ResignBody, Resigner};
use cloud::aws::event::{self, EventError, MAX_EVENT};
use cloud::aws::payload::Payload;
use futures_util::FutureExt;
use http::Request;
use http::request::Parts;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use proptest::prelude::*;

use crate::peer::{self, DATE, LEASE, PLACEHOLDER, Peer, sha};

/// 2013-05-24T00:00:00Z
const SECOND: i64 = 1_369_353_600;
const TITLE: &str = "-PAYLOAD";

fn scope(day: &str) -> String {
    format!("{day}/us-east-1/transcribe/aws4_request")
}

/// CRC-32 bit by bit (ISO 3309), not by the library under test.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// A message of the event stream encoding, with its headers already encoded.
fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut out = [total.to_be_bytes(), u32::try_from(headers.len()).unwrap().to_be_bytes()].concat();
    out.extend(crc32(&out).to_be_bytes());
    out.extend([headers, payload].concat());
    out.extend(crc32(&out).to_be_bytes());
    out
}

fn date_header(milliseconds: i64) -> Vec<u8> {
    [&b"\x05:date\x08"[..], &milliseconds.to_be_bytes()].concat()
}

fn signature_header(signature: &str) -> Vec<u8> {
    [&b"\x10:chunk-signature\x06\x00\x20"[..], &hex::decode(signature).unwrap()].concat()
}

fn amz_date(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A peer whose key is that of the event's day.
struct Stream {
    secret: &'static str,
    previous: String,
}

impl Stream {
    fn peer(&self, date: &str) -> Peer {
        let mut peer = Peer::of_scope(&scope(&date[..8]), self.secret);
        peer.previous = self.previous.clone();
        peer
    }

    fn event(&mut self, at: i64, payload: &[u8], signature_first: bool) -> Vec<u8> {
        let (date, header) = (amz_date(at), date_header(at));
        self.previous = self.peer(&date).sign(TITLE, &date, &[sha(&header), sha(payload)]);
        let signature = signature_header(&self.previous);
        let headers = if signature_first { [signature, header] } else { [header, signature] };
        message(&headers.concat(), payload)
    }

    /// Reads all events as a service does; gives their times and payloads, if every signature and checksum is right.
    fn read(&mut self, mut body: &[u8]) -> Option<Vec<(i64, Vec<u8>)>> {
        let mut events = Vec::new();
        while !body.is_empty() {
            let total = u32::from_be_bytes(body.get(..4)?.try_into().ok()?) as usize;
            let (frame, rest) = body.split_at_checked(total)?;
            let header_end = 12 + u32::from_be_bytes(frame[4..8].try_into().ok()?) as usize;
            let (headers, payload) = (&frame[12..header_end], &frame[header_end..total - 4]);
            let name = headers.windows(6).position(|window| window == b"\x05:date")?;
            let at = i64::from_be_bytes(headers[name + 7..name + 15].try_into().ok()?);
            let name = headers.windows(17).position(|window| window == b"\x10:chunk-signature")?;
            let signature = hex::encode(&headers[name + 20..name + 52]);
            let date = amz_date(at);
            let good = self.peer(&date).accepts(TITLE, &date, &[sha(&date_header(at)), sha(payload)], &signature);
            if !good || message(headers, payload) != frame {
                return None;
            }
            self.previous = signature;
            events.push((at, payload.to_vec()));
            body = rest;
        }
        Some(events)
    }
}

/// How the head says that signed events follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// JavaScript, Go, Java: in `x-amz-content-sha256`.
    Declared,
    /// Rust, Python: nowhere; the head is signed as if there were no body.
    Nowhere,
}

/// A head, signed by the program at [`DATE`], and the stream that begins there.
fn head(said: Said) -> (Parts, Stream) {
    let mut client = Peer::of_scope(&scope("20130524"), PLACEHOLDER.1);
    let host = "transcribestreaming.us-east-1.amazonaws.com";
    let request = Request::post("/stream-transcription").header("host", host).header("x-amz-date", DATE);
    let (request, line, name, payload) = match said {
        Said::Declared => {
            let declared = "STREAMING-AWS4-HMAC-SHA256-EVENTS";
            let line = format!("x-amz-content-sha256:{declared}\n");
            (request.header("x-amz-content-sha256", declared), line, ";x-amz-content-sha256", declared.to_owned())
        }
        Said::Nowhere => (request, String::new(), "", sha(b"")),
    };
    let names = format!("host{name};x-amz-date");
    let canonical =
        format!("POST\n/stream-transcription\n\nhost:{host}\n{line}x-amz-date:{DATE}\n\n{names}\n{payload}");
    let request = request.header("authorization", client.authorization(&names, &canonical));
    (request.body(()).unwrap().into_parts().0, Stream { secret: PLACEHOLDER.1, previous: client.previous })
}

/// Countersigns a head `ahead` seconds later; gives what re-signs its events, and the service's view of the stream.
fn countersigned(mut parts: Parts, ahead: i64) -> (event::Resigner, Stream) {
    let (client, signed) = peer::countersigned_at(&mut parts, ahead);
    assert!(matches!(client.payload(), Payload::Events | Payload::UndeclaredEvents));
    let previous = signed.signature().as_str().to_owned();
    (event::Resigner::new(client.into_chain().unwrap(), signed.into_chain()), Stream { secret: LEASE.1, previous })
}

fn resign(resigner: &mut event::Resigner, pieces: &[&[u8]]) -> Result<Vec<u8>, EventError> {
    let mut out: Vec<Bytes> = Vec::new();
    for piece in pieces {
        resigner.push(Bytes::copy_from_slice(piece), &mut out)?;
        assert!(resigner.held() < MAX_EVENT, "holds one event at most");
    }
    resigner.finish()?;
    Ok(out.concat())
}

/// A stream of one event, which can then be spoiled, and of the end.
fn refusal(spoil: impl FnOnce(&mut Vec<u8>)) -> EventError {
    let (parts, mut client) = head(Said::Declared);
    let mut body = client.event(SECOND * 1000, b"sound", false);
    spoil(&mut body);
    let (mut resigner, _) = countersigned(parts, 0);
    resign(&mut resigner, &[&body]).unwrap_err()
}

/// Replaces headers and payload, with good checksums.
fn reframe(headers: &[&[u8]]) -> impl FnOnce(&mut Vec<u8>) {
    let frame = message(&headers.concat(), b"sound");
    move |body| *body = frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The law: whatever the events, and however their bytes arrive, the service accepts what comes out, finds the same
    /// payloads in it, and the same number of bytes.
    #[test]
    fn any_split_of_any_stream_verifies_at_the_service(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        steps in prop::collection::vec(0i64..100_000, 6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        said in prop_oneof![Just(Said::Declared), Just(Said::Nowhere)],
        signature_first: bool,
        ahead in -600i64..600,
    ) {
        let (parts, mut client) = head(said);
        let (mut resigner, mut service) = countersigned(parts, ahead);
        let (mut body, mut expected, mut at) = (Vec::new(), Vec::new(), SECOND * 1000);
        for (payload, step) in payloads.iter().zip(&steps) {
            at += step;
            body.extend(client.event(at, payload, signature_first));
            expected.push((at + ahead * 1000, payload.clone()));
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &body[ends[0]..ends[1]]).collect();
        let out = resign(&mut resigner, &pieces).unwrap();
        prop_assert_eq!(out.len(), body.len());
        prop_assert_eq!(service.read(&out), Some(expected));
    }

    #[test]
    fn any_changed_byte_cuts_the_stream_off(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let why = refusal(|body| {
            let at = at.index(body.len());
            body[at] ^= flip;
        });
        prop_assert!(matches!(why, EventError::Checksum | EventError::Truncated), "{why:?}");
    }

    #[test]
    fn any_bytes_are_answered_without_panic(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
        let (mut resigner, _) = countersigned(head(Said::Declared).0, 0);
        prop_assert!(resign(&mut resigner, &[&bytes]).is_err());
    }
}

#[test]
fn checksum_of_the_test_is_the_known_one() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn events_after_midnight_are_signed_with_the_key_of_their_day_and_the_day_after_is_too_late() {
    const DAY: i64 = 86_400_000;
    let (parts, mut client) = head(Said::Declared);
    let (mut resigner, mut service) = countersigned(parts, 0);
    let start = SECOND * 1000;
    let body = [start, start + DAY - 1000, start + DAY, start + 2 * DAY - 1000].map(|at| client.event(at, b"x", false));
    let out = resign(&mut resigner, &[&body.concat()]).unwrap();
    assert_eq!(service.read(&out).map(|events| events.len()), Some(4));
    let third = client.event(start + 2 * DAY, b"x", false);
    assert_eq!(resign(&mut resigner, &[&third]), Err(EventError::Date));
}

#[test]
fn an_event_that_is_not_what_was_signed_is_cut_off() {
    let (date, signature) = (date_header(SECOND * 1000), signature_header(&"0".repeat(64)));
    assert_eq!(refusal(reframe(&[&date, &signature])), EventError::Signature);
    let (parts, mut client) = head(Said::Declared);
    let (mut resigner, _) = countersigned(parts, 0);
    let first = client.event(SECOND * 1000, b"one", false);
    let second = client.event(SECOND * 1000, b"two", false);
    assert_eq!(resign(&mut resigner, &[&second, &first]), Err(EventError::Signature), "in another order");
}

#[test]
fn frames_of_another_make_are_cut_off() {
    let (date, signature) = (date_header(SECOND * 1000), signature_header(&"0".repeat(64)));
    let other = |name: &[u8]| [&[u8::try_from(name.len()).unwrap()], name, &[6, 0, 32], &[0; 32]].concat();
    let cases: [&[&[u8]]; 7] = [
        &[],
        &[&date],
        &[&signature],
        &[&date, &signature, b"\x01a\x00"],
        &[&date, &other(b":chunk-signaturf")],
        &[b"\x05:datf\x08\0\0\0\0\0\0\0\0", &signature],
        &[b"\x05:date\x05\0\0\0\0\0\0\0\0", &signature],
    ];
    for headers in cases {
        assert_eq!(refusal(reframe(headers)), EventError::Framing, "{headers:?}");
    }
}

#[test]
fn a_date_that_no_calendar_has_or_of_another_day_is_cut_off() {
    let signature = signature_header(&"0".repeat(64));
    for at in [i64::MIN, i64::MAX, SECOND * 1000 - 1, 0] {
        assert_eq!(refusal(reframe(&[&date_header(at), &signature])), EventError::Date, "{at}");
    }
}

#[test]
fn an_event_that_we_would_not_hold_is_refused_at_its_prelude() {
    for (total, expected) in [
        (u32::try_from(MAX_EVENT).unwrap() + 1, EventError::TooLarge(MAX_EVENT + 1)),
        (u32::MAX, EventError::TooLarge(u32::MAX as usize)),
        (82, EventError::Framing),
        (0, EventError::Framing),
    ] {
        let mut prelude = [total.to_be_bytes(), 67u32.to_be_bytes()].concat();
        prelude.extend(crc32(&prelude).to_be_bytes());
        assert_eq!(refusal(|body| *body = prelude), expected);
    }
}

#[test]
fn a_stream_that_ends_within_an_event_is_cut_off_and_one_between_events_is_not() {
    let length = {
        let (_, mut client) = head(Said::Declared);
        client.event(SECOND * 1000, b"sound", false).len()
    };
    for end in 1..length {
        assert_eq!(refusal(|body| body.truncate(end)), EventError::Truncated);
    }
    let (mut resigner, _) = countersigned(head(Said::Declared).0, 0);
    assert_eq!(resign(&mut resigner, &[]), Ok(Vec::new()));
}

#[test]
fn each_event_leaves_as_soon_as_it_is_whole() {
    let (parts, mut client) = head(Said::Nowhere);
    let (mut resigner, _) = countersigned(parts, 0);
    let mut out: Vec<Bytes> = Vec::new();
    for n in 1..=3 {
        let event = client.event(SECOND * 1000, b"sound", false);
        let (but_one, last) = event.split_at(event.len() - 1);
        resigner.push(Bytes::copy_from_slice(but_one), &mut out).unwrap();
        assert_eq!((out.len(), resigner.held()), (n - 1, but_one.len()));
        resigner.push(Bytes::copy_from_slice(last), &mut out).unwrap();
        assert_eq!((out.len(), resigner.held()), (n, 0));
    }
}

#[test]
fn a_body_of_events_streams_through_and_an_empty_one_is_empty() {
    let (parts, mut client) = head(Said::Declared);
    let (resigner, mut service) = countersigned(parts, 0);
    let events = [&b"one"[..], b"two", b""].map(|payload| client.event(SECOND * 1000, payload, false));
    let pieces = events.concat().chunks(17).map(Bytes::copy_from_slice).collect::<Vec<_>>();
    let frames = futures_util::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    let body = ResignBody::new(StreamBody::new(frames), Resigner::Events(resigner));
    let out = body.collect().now_or_never().expect("everything is there").unwrap().to_bytes();
    assert_eq!(service.read(&out).map(|events| events.len()), Some(3));

    let (resigner, _) = countersigned(head(Said::Nowhere).0, 0);
    assert!(ResignBody::new(Empty::<Bytes>::new(), Resigner::Events(resigner)).is_end_stream());
}
