//! Calls that are countersigned.

use access::{Outcome, Secret};
use cloud::aws::authorization;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::payload::Payload;
use cloud::aws::verify::{Check, check};
use http::Request;
use tokio::io::AsyncWriteExt;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, ask, connect, exchange, head, tls};
use crate::stage::{REAL_KEY, REAL_SECRET, REAL_TOKEN, Stage, noon};

/// Whether the head that the destination saw carries the real credential's signature, and nothing of the placeholder's.
fn is_countersigned(seen: &str, stage: &Stage) -> bool {
    let mut lines = seen.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, uri) = (first.next().unwrap(), first.next().unwrap());
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let header = parts.headers["authorization"].to_str().unwrap().to_owned();
    let claim = authorization::parse(&header).unwrap();
    let access_key = AccessKey { id: REAL_KEY, secret: &Secret::new(REAL_SECRET.into()) };
    let key = SigningKeys::new().key(access_key, claim.credential.scope);
    let verified = matches!(check(&parts, &claim, key, noon()), Ok(Check::Verified(_)));
    let clean = !seen.contains(&stage.placeholder().0) && !seen.contains("placeholder-token");
    verified && clean && claim.credential.access_key_id == REAL_KEY
}

#[tokio::test]
async fn calls_on_one_connection_are_countersigned_one_after_the_other() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    for path in ["/2026/07.pdf", "/a%20b+c", "/x?list-type=2&prefix=y"] {
        let answer = exchange(&mut io, &Signed::get(&stage, path).head()).await;
        assert_eq!(answer.status, 200);
        assert!(is_countersigned(&answer.body, &stage), "{}", answer.body);
        assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
    }
    assert_eq!(mirror.connections(), 1, "the line upstream is kept");
    assert_eq!(stage.lessor.asked.lock().unwrap().len(), 1, "the lease is kept");
}

#[tokio::test]
async fn record_says_who_did_what_as_whom() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let answer = ask(&stage, &Signed::get(&stage, "/2026/07.pdf").absolute_head()).await;
    let record = stage.record().await;
    let call = record.call.unwrap();
    assert_eq!(call.action.as_deref(), Some("s3:GetObject"));
    assert_eq!(call.resource.as_deref(), Some("arn:aws:s3:::acme/2026/07.pdf"));
    assert_eq!(record.caller.as_deref(), Some("system:serviceaccount:shop:billing"));
    assert_eq!(record.role.as_deref(), Some("arn:aws:iam::123456789012:role/receipts"));
    assert_eq!(record.grant.unwrap().as_str(), "billing-receipts");
    assert_eq!(record.target.unwrap().as_str(), "receipts");
    assert_eq!((record.bytes_up, record.bytes_down), (0, answer.body.len() as u64));
    assert_eq!(stage.lessor.asked.lock().unwrap()[0].request, record.id);
}

#[tokio::test]
async fn clear_text_http_inside_a_tunnel_is_countersigned_too() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(is_countersigned(&answer.body, &stage), "{}", answer.body);
}

#[tokio::test]
async fn nothing_of_the_hop_goes_on_and_nothing_is_added() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let head = Signed::get(&stage, "/x").absolute_head();
    let head = head.trim_end().to_owned()
        + "\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nConnection: X-Mine\r\nX-Mine: 1\r\nAccept-Encoding: gzip\r\n\r\n";
    let answer = ask(&stage, &head).await;
    let seen = answer.body.to_ascii_lowercase();
    for gone in ["proxy-", "x-mine", "connection:", "via:", "forwarded"] {
        assert!(!seen.contains(gone), "{gone} in {seen}");
    }
    assert!(seen.contains("accept-encoding: gzip"));
    assert_eq!((answer.header("x-hop"), answer.header("connection")), (None, None));
    assert_eq!(answer.header("date"), Some("Sun, 05 Jul 2026 12:00:00 GMT"), "clients set their clocks by it");
}

#[tokio::test]
async fn head_request_keeps_the_length_of_what_it_does_not_get() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let signed = Signed { method: "HEAD", ..Signed::get(&stage, "/x") };
    io.write_all(signed.head().as_bytes()).await.unwrap();
    let head = head(&mut io).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-length: "), "{head}");
    let next = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert_eq!(next.status, 200, "the connection goes on behind it");
}

/// JavaScript's SDK declares the hash of every body.
#[tokio::test]
async fn action_in_a_form_counts_also_where_the_head_declares_the_bodys_hash() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let body = "Action=DeleteTopic&TopicArn=abc";
    let hash = Payload::of(body.as_bytes());
    for (path, declared, action) in [
        ("/", hash.as_str(), Some("sns:DeleteTopic")),
        ("/?Action=ListTopics", hash.as_str(), None),
        ("/?Action=ListTopics", "UNSIGNED-PAYLOAD", None),
    ] {
        let request = Signed {
            method: "POST",
            host: "sns.us-east-1.amazonaws.com",
            path,
            service: "sns",
            headers: vec![("content-type", "application/x-www-form-urlencoded"), ("content-length", "31")],
            declared: Some(declared),
            ..Signed::get(&stage, "/")
        };
        let answer = ask(&stage, &(request.absolute_head() + body)).await;
        assert!(answer.body.ends_with(body), "{answer:?}");
        let call = stage.record().await.call.unwrap();
        assert_eq!(call.action.as_deref(), action, "{path} {declared}");
    }
}

#[tokio::test]
async fn form_that_hides_its_action_between_chunks_is_refused() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let request = Signed {
        method: "POST",
        host: "iam.amazonaws.com",
        service: "iam",
        headers: vec![("x-amz-decoded-content-length", "17"), ("content-length", "200")],
        declared: Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ..Signed::get(&stage, "/?Action=GetUser")
    };
    let answer = ask(&stage, &request.absolute_head()).await;
    assert_eq!((answer.status, answer.header("x-countersign-refusal")), (400, Some("not-supported")), "{answer:?}");
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn token_that_an_answer_repeats_is_masked_whatever_the_refusal() {
    for status in ["401 Unauthorized", "404 Not Found", "500 Internal Server Error"] {
        let mut destination = Scripted::new().await;
        let stage = Stage::new(destination.address).await;
        let request = Signed::get(&stage, "/x").absolute_head();
        let asking = ask(&stage, &request);
        let answering = async {
            let mut io = destination.connection().await;
            let seen = head(&mut io).await;
            assert!(seen.contains(REAL_TOKEN), "{seen}");
            let body = format!("you sent {REAL_TOKEN}");
            let answer =
                format!("HTTP/1.1 {status}\r\nx-seen: {REAL_TOKEN}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            io.write_all(answer.as_bytes()).await.unwrap();
            io
        };
        let (answer, _io) = tokio::join!(asking, answering);
        let masked = "*".repeat(REAL_TOKEN.len());
        assert_eq!(answer.header("x-seen"), Some(&*masked), "{answer:?}");
        assert_eq!(answer.body, format!("you sent {masked}"), "{status}");
    }
}
