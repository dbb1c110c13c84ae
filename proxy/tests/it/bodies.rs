//! Bodies: streamed, held, waited for, broken off.

use std::time::Duration;

use access::{Outcome, RefusalCode};
use aws_lc_rs::{digest, hmac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::destination::{Mirror, Scripted};
use crate::program::{EMPTY_HASH, S3, Signed, answer, ask, connect, exchange, head, tls};
use crate::stage::{REAL_KEY, REAL_SECRET, Stage};

const LIMIT: usize = 64 * 1024;

#[tokio::test]
async fn unsigned_trailer_upload_passes_byte_for_byte() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let signed = Signed {
        declared: Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ..Signed::put(
            &stage,
            "/x",
            vec![
                ("content-encoding", "aws-chunked"),
                ("transfer-encoding", "chunked"),
                ("x-amz-decoded-content-length", "5"),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
            ],
        )
    };
    let inner = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let body = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let seen = exchange(&mut io, &(signed.head() + &body)).await.body;
    assert!(seen.contains(REAL_KEY) && seen.to_lowercase().ends_with(&body.to_lowercase()), "{seen}");
    assert_eq!(stage.record().await.bytes_up, inner.len() as u64);
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `text` in aws-chunks of 8 KiB, signed with `secret` behind `seed` ("Signature calculations: transferring payload in
/// multiple chunks", S3 API reference), written here once more so that nothing checks itself.
fn chunk_signed(secret: &str, seed: &str, text: &str) -> String {
    let day = hmac(format!("AWS4{secret}").as_bytes(), b"20260705");
    let key = [&b"us-east-1"[..], b"s3", b"aws4_request"].iter().fold(day, |key, part| hmac(&key, part));
    let chunks = text.as_bytes().chunks(8192).chain([&b""[..]]);
    let (mut previous, mut body) = (seed.to_owned(), String::new());
    for chunk in chunks {
        let hash = hex(digest::digest(&digest::SHA256, chunk).as_ref());
        let lines = [
            "AWS4-HMAC-SHA256-PAYLOAD",
            "20260705T120000Z",
            "20260705/us-east-1/s3/aws4_request",
            &previous,
            EMPTY_HASH,
            &hash,
        ];
        previous = hex(&hmac(&key, lines.join("\n").as_bytes()));
        let data = std::str::from_utf8(chunk).unwrap();
        body += &format!("{:x};chunk-signature={previous}\r\n{data}\r\n", chunk.len());
    }
    body
}

fn signature(head: &str) -> &str {
    head.split_once("Signature=").unwrap().1.split("\r\n").next().unwrap()
}

#[tokio::test]
async fn chunk_signed_upload_arrives_with_our_chunk_signatures_and_a_forged_one_does_not() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let text = "receipt ".repeat(3000);
    let length = chunk_signed("", &"0".repeat(64), &text).len().to_string();
    let signed = Signed {
        declared: Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ..Signed::put(
            &stage,
            "/x",
            vec![
                ("content-encoding", "aws-chunked"),
                ("content-length", &length),
                ("x-amz-decoded-content-length", "24000"),
            ],
        )
    };
    let head = signed.head();
    let body = chunk_signed(&stage.placeholder().1, signature(&head), &text);
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let seen = exchange(&mut io, &(head.clone() + &body)).await.body;
    let (seen_head, seen_body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(seen_body, chunk_signed(REAL_SECRET, signature(seen_head), &text));

    let forged = body.replacen("receipt", "forgery", 1);
    let refused = exchange(&mut io, &(head + &forged)).await;
    assert!(refused.status == 403 && refused.body.contains("SignatureDoesNotMatch"), "{refused:?}");
}

fn dynamodb<'a>(stage: &Stage, length: &'a str, body: &'a [u8]) -> Signed<'a> {
    Signed {
        method: "POST",
        host: "dynamodb.us-east-1.amazonaws.com",
        service: "dynamodb",
        headers: vec![
            ("x-amz-target", "DynamoDB_20120810.PutItem"),
            ("content-type", "application/x-amz-json-1.0"),
            ("content-length", length),
        ],
        declared: None,
        body,
        ..Signed::get(stage, "/")
    }
}

#[tokio::test]
async fn body_whose_hash_is_not_said_is_held_up_to_the_limit_and_refused_beyond() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    for (length, status) in [(0, 200), (17, 200), (LIMIT, 200), (LIMIT + 1, 413)] {
        let (body, digits) = ("x".repeat(length), length.to_string());
        let answer = ask(&stage, &(dynamodb(&stage, &digits, body.as_bytes()).absolute_head() + &body)).await;
        assert_eq!(answer.status, status, "{length}: {}", answer.head);
        assert!(status != 200 || answer.body.ends_with(&format!("\r\n\r\n{body}")));
        let refused = matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::RequestTooLarge, .. });
        assert_eq!(refused, status == 413);
    }
}

#[tokio::test]
async fn body_that_is_not_what_was_signed_is_refused() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let answer = ask(&stage, &(dynamodb(&stage, "4", b"good").absolute_head() + "evil")).await;
    assert!(answer.status == 403 && answer.body.contains("InvalidSignatureException"), "{answer:?}");
    assert_eq!(mirror.connections(), 0);
}

fn expecting<'a>(stage: &Stage) -> Signed<'a> {
    Signed::put(stage, "/x", vec![("content-length", "5"), ("expect", "100-continue")])
}

#[tokio::test]
async fn program_is_told_to_go_on_when_the_destination_says_so() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(expecting(&stage).head().as_bytes()).await.unwrap();

    let mut upstream = destination.connection().await;
    assert!(head(&mut upstream).await.to_lowercase().contains("expect: 100-continue"));
    let told = tokio::time::timeout(Duration::from_millis(100), io.read_u8()).await;
    assert!(told.is_err(), "nobody says 100 before the destination does");
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert!(head(&mut io).await.starts_with("HTTP/1.1 100 "));
    io.write_all(b"hello").await.unwrap();
    let mut body = [0; 5];
    upstream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hello");
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut io).await.status, 200);
    assert_eq!(stage.record().await.bytes_up, 5);
}

#[tokio::test]
async fn program_that_waits_never_uploads_what_the_destination_refuses() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(expecting(&stage).head().as_bytes()).await.unwrap();

    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    upstream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope").await.unwrap();
    let refused = answer(&mut io).await;
    assert_eq!((refused.status, refused.body.as_str()), (403, "nope"), "and no 100 before it");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 403 }));
}

#[tokio::test]
async fn program_that_waits_never_uploads_what_we_refuse() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let signed = Signed { key: (stage.placeholder().0, "guessed".into()), ..expecting(&stage) };
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let refused = exchange(&mut io, &signed.head()).await;
    assert_eq!((refused.status, refused.header("connection")), (403, Some("close")));
}

#[tokio::test]
async fn destination_that_ignores_the_expectation_gets_the_body_after_a_second() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(expecting(&stage).head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    assert!(head(&mut io).await.starts_with("HTTP/1.1 100 "));
}

#[tokio::test]
async fn early_answer_reaches_a_program_that_is_still_uploading() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let signed = Signed::put(&stage, "/x", vec![("content-length", "1000000")]);
    io.write_all(signed.head().as_bytes()).await.unwrap();
    io.write_all(&[0; 1000]).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    upstream.write_all(b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\n\r\nfull").await.unwrap();
    let early = answer(&mut io).await;
    assert_eq!((early.status, early.body.as_str()), (507, "full"));
    let mut more = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), io.read_to_end(&mut more))
        .await
        .expect("the connection ends")
        .unwrap();
}

#[tokio::test]
async fn trailers_of_an_answer_are_kept_for_who_asked_for_them() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let head_bytes = Signed::get(&stage, "/x").head();
    let request = head_bytes.trim_end().to_owned() + "\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    io.write_all(request.as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    assert!(head(&mut upstream).await.contains("te: trailers"));
    upstream
        .write_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n",
        )
        .await
        .unwrap();
    assert_eq!(answer(&mut io).await.body, "hix-sum: 7");
}
