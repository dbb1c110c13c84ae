//! Streams of signed events: both directions are open at once.

use aws_lc_rs::{digest, hmac};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::{Mirror, Scripted};
use crate::program::{Signed, ask, dial, head};
use crate::stage::{REAL_KEY, REAL_SECRET, Stage};

const HOST: &str = "transcribestreaming.us-east-1.amazonaws.com";
const EVENTS: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";

/// 2026-07-05T12:00:00Z in milliseconds: noon of the stage.
const NOON: i64 = 1_783_252_800_000;

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn sha(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// CRC-32 bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
}

/// Signs events as the Transcribe guide says ("Event stream encoding"), written here once more so that nothing checks
/// itself.
struct Signer<'a> {
    secret: &'a str,
    previous: String,
}

impl<'a> Signer<'a> {
    /// Goes on from the signature of a head.
    fn behind(head: &str, secret: &'a str) -> Self {
        let signature = head.split_once("Signature=").unwrap().1;
        Self { secret, previous: signature[..64].to_owned() }
    }

    fn event(&mut self, payload: &[u8]) -> Vec<u8> {
        let date = [&b"\x05:date\x08"[..], &NOON.to_be_bytes()].concat();
        let day = hmac(format!("AWS4{}", self.secret).as_bytes(), b"20260705");
        let key = [&b"us-east-1"[..], b"transcribe", b"aws4_request"].iter().fold(day, |key, part| hmac(&key, part));
        let scope = "20260705/us-east-1/transcribe/aws4_request";
        let hashes = [sha(&date), sha(payload)].join("\n");
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n20260705T120000Z\n{scope}\n{}\n{hashes}", self.previous);
        let signature = hmac(&key, text.as_bytes());
        self.previous = hex(&signature);
        let mut frame = [u32::try_from(83 + payload.len()).unwrap().to_be_bytes(), 67u32.to_be_bytes()].concat();
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend([&date, &b"\x10:chunk-signature\x06\0\x20"[..], &signature, payload].concat());
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }
}

/// The head of a stream of events; `declared` says so as some SDKs do, others say nothing.
fn start(stage: &Stage, declared: bool) -> String {
    let mut signed = Signed {
        method: "POST",
        host: HOST,
        service: "transcribe",
        headers: vec![("transfer-encoding", "chunked")],
        declared: declared.then_some(EVENTS),
        ..Signed::get(stage, "/stream-transcription")
    };
    signed.body = b"";
    signed.absolute_head()
}

async fn send(io: &mut TcpStream, bytes: &[u8]) {
    io.write_all(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()).await.unwrap();
}

async fn chunk<I: AsyncRead + Unpin>(io: &mut I) -> Vec<u8> {
    let mut line = String::new();
    while !line.ends_with("\r\n") {
        line.push(char::from(io.read_u8().await.unwrap()));
    }
    let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).unwrap() + 2];
    io.read_exact(&mut chunk).await.unwrap();
    chunk.truncate(chunk.len() - 2);
    chunk
}

#[tokio::test]
async fn each_event_is_signed_again_while_the_answers_come() {
    for declared in [true, false] {
        let mut destination = Scripted::new().await;
        let stage = Stage::new(destination.address).await;
        let asked = start(&stage, declared);
        let secret = stage.placeholder().1;
        let mut ours = Signer::behind(&asked, &secret);
        let mut program = dial(&stage).await;
        program.write_all(asked.as_bytes()).await.unwrap();
        send(&mut program, &ours.event(b"one")).await;

        let mut cloud = destination.connection().await;
        let seen = head(&mut cloud).await;
        assert!(seen.contains(REAL_KEY) && seen.contains(EVENTS) == declared, "{seen}");
        let mut theirs = Signer::behind(&seen, REAL_SECRET);
        assert_eq!(chunk(&mut cloud).await, theirs.event(b"one"));

        cloud.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        assert!(head(&mut program).await.starts_with("HTTP/1.1 200 "));
        for payload in [&b"two"[..], &[7; 30_000], b""] {
            send(&mut cloud, b"heard").await;
            assert_eq!(chunk(&mut program).await, b"heard");
            send(&mut program, &ours.event(payload)).await;
            assert_eq!(chunk(&mut cloud).await, theirs.event(payload));
        }
        send(&mut program, b"").await;
        assert!(chunk(&mut cloud).await.is_empty());
        send(&mut cloud, b"").await;
        assert!(chunk(&mut program).await.is_empty());
        assert_eq!(stage.record().await.bytes_up, 4 * 83 + 3 + 3 + 30_000);
    }
}

#[tokio::test]
async fn forged_event_never_leaves() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let asked = start(&stage, true);
    let secret = stage.placeholder().1;
    let mut ours = Signer::behind(&asked, &secret);
    let mut program = dial(&stage).await;
    program.write_all(asked.as_bytes()).await.unwrap();
    send(&mut program, &ours.event(b"one")).await;
    let mut cloud = destination.connection().await;
    head(&mut cloud).await;
    chunk(&mut cloud).await;

    let forged = Signer { secret: "another secret", previous: ours.previous.clone() }.event(b"two");
    send(&mut program, &forged).await;
    let mut rest = Vec::new();
    cloud.read_to_end(&mut rest).await.unwrap_or_default();
    assert!(rest.is_empty(), "{rest:?}");
    let refused = head(&mut program).await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
}

#[tokio::test]
async fn body_behind_a_head_that_is_signed_for_none_is_a_stream_of_events_or_refused() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let answer = ask(&stage, &(start(&stage, false) + "5\r\nhello\r\n0\r\n\r\n")).await;
    assert!(answer.status == 400 && answer.body.contains("within an event"), "{answer:?}");
    assert_eq!(ask(&stage, &(start(&stage, false) + "0\r\n\r\n")).await.status, 200);
}

#[tokio::test]
async fn body_in_chunks_that_the_head_is_signed_for_is_held_and_hashed() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let signed = Signed {
        method: "POST",
        host: HOST,
        service: "transcribe",
        headers: vec![("transfer-encoding", "chunked")],
        declared: None,
        body: b"hello",
        ..Signed::get(&stage, "/")
    };
    for (body, status) in [("hello", 200), ("hallo", 403)] {
        let answer = ask(&stage, &format!("{}5\r\n{body}\r\n0\r\n\r\n", signed.absolute_head())).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
