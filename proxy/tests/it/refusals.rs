//! What is refused, and how it is said.

use access::{Outcome, Refusal, RefusalCode};
use jiff::SignedDuration;

use crate::destination::Mirror;
use crate::program::{Answer, EMPTY_HASH, S3, Signed, ask, connect, exchange, tls};
use crate::stage::{Stage, noon};

async fn stage() -> (Mirror, Stage) {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    (mirror, stage)
}

async fn code(stage: &Stage) -> RefusalCode {
    match stage.outcome().await {
        Outcome::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn is_s3_error(answer: &Answer, code: &str) -> bool {
    answer.header("content-type") == Some("application/xml") && answer.body.contains(&format!("<Code>{code}</Code>"))
}

#[tokio::test]
async fn refusal_of_the_lessor_is_told_in_the_words_of_the_service_under_the_id_of_the_record() {
    let (mirror, stage) = stage().await;
    let refusal = Refusal::new(RefusalCode::NotGranted, "no grant to target \"receipts\" allows s3:GetObject");
    *stage.lessor.refuse.lock().unwrap() = Some(refusal.help("ask the platform team"));
    let answer = ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert_eq!(answer.status, 403);
    assert!(is_s3_error(&answer, "AccessDenied"), "{answer:?}");
    assert!(answer.body.contains("allows s3:GetObject; ask the platform team"), "{answer:?}");
    let record = stage.record().await;
    assert_eq!(answer.header("x-amz-request-id"), Some(record.id.to_string().as_str()));
    assert!(matches!(record.outcome, Outcome::Refused { code: RefusalCode::NotGranted, .. }));
    assert_eq!(mirror.connections(), 0, "nothing was sent");
}

#[tokio::test]
async fn refusal_that_may_pass_is_one_that_sdks_try_again() {
    let (_mirror, stage) = stage().await;
    *stage.lessor.refuse.lock().unwrap() = Some(Refusal::new(RefusalCode::BrokerUnavailable, "the broker is away"));
    let signed = Signed {
        method: "POST",
        host: "dynamodb.us-east-1.amazonaws.com",
        service: "dynamodb",
        headers: vec![
            ("x-amz-target", "DynamoDB_20120810.GetItem"),
            ("content-type", "application/x-amz-json-1.0"),
            ("content-length", "2"),
        ],
        declared: None,
        body: b"{}",
        ..Signed::get(&stage, "/")
    };
    let answer = ask(&stage, &(signed.absolute_head() + "{}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/x-amz-json-1.0")));
    assert!(answer.body.starts_with("{\"__type\":\"ServiceUnavailableException\""), "{answer:?}");
    assert_eq!(answer.header("x-amzn-errortype"), Some("ServiceUnavailableException"));
}

#[tokio::test]
async fn key_that_is_no_placeholder_is_refused() {
    let (mirror, stage) = stage().await;
    let signed = Signed { key: ("AKIAIOSFODNN7EXAMPLE".into(), "x".into()), ..Signed::get(&stage, "/x") };
    let answer = ask(&stage, &signed.absolute_head()).await;
    assert!(answer.status == 403 && is_s3_error(&answer, "InvalidAccessKeyId"), "{answer:?}");
    assert_eq!((code(&stage).await, mirror.connections()), (RefusalCode::PlaceholderUnknown, 0));
}

#[tokio::test]
async fn signature_of_somebody_who_knows_only_the_key_id_is_refused() {
    let (mirror, stage) = stage().await;
    let signed = Signed { key: (stage.placeholder().0, "guessed".into()), ..Signed::get(&stage, "/x") };
    let answer = ask(&stage, &signed.absolute_head()).await;
    assert!(answer.status == 403 && is_s3_error(&answer, "SignatureDoesNotMatch"), "{answer:?}");
    assert_eq!((code(&stage).await, mirror.connections()), (RefusalCode::PlaceholderInvalid, 0));
}

#[tokio::test]
async fn stale_and_future_signatures_are_refused() {
    let (mirror, stage) = stage().await;
    for minutes in [-16, 16] {
        let at = noon() + SignedDuration::from_mins(minutes);
        let answer = ask(&stage, &Signed { at, ..Signed::get(&stage, "/x") }.absolute_head()).await;
        assert_eq!((answer.status, code(&stage).await), (403, RefusalCode::PlaceholderInvalid), "{minutes}");
    }
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn presigned_url_with_another_signature_is_refused() {
    let (mirror, stage) = stage().await;
    let (id, _) = stage.placeholder();
    let url = format!(
        "http://{S3}/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F20260705%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260705T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
        "0".repeat(64)
    );
    let answer = ask(&stage, &format!("GET {url} HTTP/1.1\r\nHost: {S3}\r\n\r\n")).await;
    assert!(answer.status == 403 && answer.body.contains("the signature does not match"), "{answer:?}");
    assert_eq!((code(&stage).await, mirror.connections()), (RefusalCode::PlaceholderInvalid, 0));
}

#[tokio::test]
async fn request_for_another_host_is_misdirected_at_any_time_of_a_connection() {
    let (_mirror, stage) = stage().await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    assert_eq!(exchange(&mut io, &Signed::get(&stage, "/x").head()).await.status, 200);
    let elsewhere = Signed { host: "other.s3.us-east-1.amazonaws.com", ..Signed::get(&stage, "/x") };
    let answer = exchange(&mut io, &elsewhere.head()).await;
    assert!(answer.status == 421 && is_s3_error(&answer, "InvalidRequest"), "{answer:?}");
    assert_eq!(exchange(&mut io, &Signed::get(&stage, "/x").head()).await.status, 200);
}

#[tokio::test]
async fn handshake_for_another_host_than_the_tunnels_fails() {
    let (_mirror, stage) = stage().await;
    assert!(tls(&stage, &format!("{S3}:443"), "sts.us-east-1.amazonaws.com").await.is_err());
}

#[tokio::test]
async fn placeholder_on_its_way_elsewhere_is_refused() {
    let (_aws, stage) = stage().await;
    let other = Mirror::new().await;
    let (id, _) = stage.placeholder();
    let host = format!("{}", other.address);
    for request in [
        format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nX-Key: {id}\r\n\r\n"),
        format!("GET http://{host}/?key={id} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        Signed { host: &host, ..Signed::get(&stage, "/") }.absolute_head(),
    ] {
        let answer = ask(&stage, &request).await;
        assert_eq!((answer.status, answer.header("x-countersign-refusal")), (403, Some("placeholder-astray")));
        assert_eq!(code(&stage).await, RefusalCode::PlaceholderAstray);
    }
    let mut io = connect(&stage, &host).await;
    let answer = exchange(&mut io, &Signed { host: &host, ..Signed::get(&stage, "/") }.head()).await;
    assert_eq!(answer.status, 403, "nor does it leave through a tunnel in clear text");
    assert!(!answer.body.contains(&id), "{answer:?}");
}

#[tokio::test]
async fn without_a_pod_token_nothing_is_signed() {
    let (mirror, stage) = stage().await;
    std::fs::remove_file(&stage.token).unwrap();
    let answer = ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert_eq!((answer.status, code(&stage).await), (403, RefusalCode::EvidenceMissing));
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn refused_upload_learns_why_although_nobody_reads_it() {
    let (_mirror, stage) = stage().await;
    let signed = Signed {
        key: ("AKIAIOSFODNN7EXAMPLE".into(), "x".into()),
        ..Signed::put(&stage, "/x", vec![("content-length", "8000000")])
    };
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let whole = [signed.head().as_bytes(), &vec![0; 8_000_000]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut io, &whole).await.expect("it is not cut off while it sends");
    let answer = crate::program::answer(&mut io).await;
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
}

/// `docs/decisions/0005-placeholders.md`, "What a captured request is worth".
#[tokio::test]
async fn captured_request_is_good_for_itself_only_and_for_another_body_only_where_none_was_signed() {
    let (mirror, stage) = stage().await;
    let captured = Signed::put(&stage, "/k", vec![("content-length", "3"), ("x-amz-acl", "private")]).absolute_head();
    for body in ["one", "two"] {
        assert_eq!(ask(&stage, &format!("{captured}{body}")).await.status, 200);
    }
    for (from, to) in [
        ("PUT ", "GET "),
        ("/k HTTP", "/other HTTP"),
        ("/k HTTP", "/k?acl HTTP"),
        ("acme.s3", "evil.s3"),
        ("x-amz-acl: private", "x-amz-acl: public-read"),
        ("x-amz-acl: private", "x-amz-acl: private\r\nx-amz-copy-source: /payroll/k"),
        ("x-amz-content-sha256: UNSIGNED-PAYLOAD", &format!("x-amz-content-sha256: {EMPTY_HASH}")),
        ("us-east-1/s3/", "us-east-2/s3/"),
        ("us-east-1/s3/", "us-east-1/sts/"),
    ] {
        let changed = captured.replace(from, to);
        assert_ne!(changed, captured, "{from}");
        assert!(matches!(ask(&stage, &format!("{changed}one")).await.status, 400 | 403), "{to}");
    }
    assert_eq!(mirror.connections(), 1, "nothing changed was sent on");
}
