//! Heads that two readers could read in two ways, and what a smuggler hides behind them.

use std::time::Duration;

use access::{Outcome, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, answer, ask, dial, exchange, head, tls};
use crate::stage::Stage;

#[tokio::test]
async fn ambiguous_heads_are_refused_with_the_reason_and_nothing_behind_them_is_read() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let cases = [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", "both Content-Length and Transfer-Encoding"),
        ("Content-Length: 4\r\nContent-Length: 5", "Content-Length is not one number"),
        ("Content-Length: +4", "Content-Length is not one number"),
        ("Transfer-Encoding: xchunked", "must be exactly chunked"),
        ("Transfer-Encoding: chunked, identity", "must be exactly chunked"),
        ("X-Folded: a\r\n b", "not HTTP/1.1"),
        ("Content-Length : 4", "not HTTP/1.1"),
        ("X: a\nContent-Length: 4", "bare line feed"),
        ("Host: other.test", "exactly one Host"),
    ];
    for (lines, reason) in cases {
        let smuggled = format!("0\r\n\r\nGET http://{S3}/smuggled HTTP/1.1\r\nHost: {S3}\r\n\r\n");
        let mut io = dial(&stage).await;
        let request = format!("POST http://{S3}/ HTTP/1.1\r\nHost: {S3}\r\n{lines}\r\n\r\n{smuggled}");
        io.write_all(request.as_bytes()).await.unwrap();
        let refused = answer(&mut io).await;
        assert_eq!((refused.status, refused.header("connection")), (400, Some("close")), "{lines:?}");
        assert!(refused.body.contains(reason), "{lines:?}: {refused:?}");
        io.shutdown().await.unwrap();
        let mut more = Vec::new();
        io.read_to_end(&mut more).await.unwrap();
        assert_eq!(more, b"", "{lines:?}: one answer only");
        let outcome = stage.outcome().await;
        assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::RequestMalformed, .. }), "{outcome:?}");
    }
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn ambiguous_head_behind_a_good_request_is_refused_after_the_good_answer() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let bad = format!("POST /b HTTP/1.1\r\nHost: {S3}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n");
    let good = Signed::get(&stage, "/a").head();
    let first = exchange(&mut io, &(good + &bad)).await;
    let second = answer(&mut io).await;
    assert_eq!((first.status, second.status), (200, 400), "{first:?} {second:?}");
}

#[tokio::test]
async fn target_and_host_that_disagree_are_refused() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    for request in [
        format!("GET http://{S3}/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
        format!("GET http://{S3}:8080/ HTTP/1.1\r\nHost: {S3}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {S3}\r\n\r\n"),
        format!("GET http://user@{S3}/ HTTP/1.1\r\nHost: {S3}\r\n\r\n"),
        "CONNECT s3.amazonaws.com HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n".into(),
        "CONNECT s3.amazonaws.com:0 HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n".into(),
        "CONNECT a@s3.amazonaws.com:443 HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n".into(),
        "CONNECT s3.amazonaws.com:443 HTTP/1.1\r\nHost: s3.amazonaws.com\r\nContent-Length: 3\r\n\r\nabc".into(),
        "CONNECT s3.amazonaws.com:443 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
    ] {
        assert_eq!(ask(&stage, &request).await.status, 400, "{request:?}");
    }
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn target_that_is_no_uri_is_refused_with_the_reason() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    for target in [":::", "http://[::1/", "http://a b/", "http://exa\"mple.test/"] {
        let refused = ask(&stage, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!((refused.status, refused.header("connection")), (400, Some("close")), "{target:?}");
        assert!(refused.body.contains("request"), "{target:?}: {refused:?}");
        let outcome = stage.outcome().await;
        assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::RequestMalformed, .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn connection_header_cannot_strip_the_signature() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let head = Signed::get(&stage, "/x").absolute_head();
    let head = head.trim_end().to_owned() + "\r\nConnection: authorization, host, x-amz-date\r\n\r\n";
    let seen = ask(&stage, &head).await.body;
    for kept in ["authorization: AWS4-HMAC-SHA256", "host: ", "x-amz-date: "] {
        assert!(seen.contains(kept), "{kept}: {seen}");
    }
}

/// One reader ends the trailers at a bare line feed, the other does not: heads behind it would be judged by neither.
#[tokio::test]
async fn bare_line_feed_in_a_trailer_hides_no_head() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = dial(&stage).await;
    let chunked =
        format!("POST http://{S3}/ HTTP/1.1\r\nHost: {S3}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\n");
    let swallowed = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n";
    let unjudged = format!("GET http://{S3}/unjudged HTTP/1.1\r\nHost: {S3}\r\nHost: evil.test\r\n\r\n");
    io.write_all((chunked + swallowed + &unjudged).as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), io.read_to_end(&mut all)).await;
    let all = String::from_utf8(all).unwrap();
    assert!(ended.is_ok() && !all.contains("unjudged"), "{all}");
}

/// Whoever believes the length takes the rest for the beginning of the next answer.
#[tokio::test]
async fn answer_with_two_lengths_is_not_passed_on() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    for lines in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let mut io = dial(&stage).await;
        io.write_all(Signed::get(&stage, "/x").absolute_head().as_bytes()).await.unwrap();
        let mut upstream = destination.connection().await;
        head(&mut upstream).await;
        let two = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nb\r\nhello world\r\n0\r\n\r\n");
        upstream.write_all(two.as_bytes()).await.unwrap();
        let refused = answer(&mut io).await;
        assert!(refused.status == 503 && refused.body.contains("both Content-Length"), "{refused:?}");
        assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
        assert_eq!(upstream.read(&mut [0]).await.unwrap_or_default(), 0, "nobody asks there again");
    }
}
