//! The program gets what its destination speaks.

use access::Outcome;
use http::Request;
use tokio::net::TcpListener;

use super::destination::{Asked, Destination, localhost};
use super::program::{Program, request, whole};
use crate::destination::Mirror;
use crate::program::{S3, Signed, exchange, tls_offering};
use crate::stage::{REAL_KEY, Stage, Wish};

const S3_443: (&str, &str) = ("acme.s3.us-east-1.amazonaws.com:443", S3);
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Answers with the head that it saw, a line per field.
async fn mirror(mut asked: Asked) {
    let (body, trailers) = asked.whole().await;
    let head = &asked.request;
    let mut seen = format!("{} {}\n", head.method(), head.uri());
    for (name, value) in head.headers() {
        seen += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    seen += &format!("\n{}{trailers:?}", String::from_utf8(body).unwrap());
    asked.answer(200, seen);
}

#[tokio::test]
async fn call_is_countersigned_from_http2_to_http2_with_the_authority_in_the_place_of_the_host() {
    let destination = Destination::new(mirror).await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    let mut call = request(&Signed::get(&stage, "/x?y=z"));
    call.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = program.ask(call, b"").await;
    let seen = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(seen.starts_with(&format!("GET https://{S3}/x?y=z\n")), "{seen}");
    assert!(seen.contains(REAL_KEY) && seen.contains("te: trailers\n"), "{seen}");
    assert!(!seen.contains("host:") && !seen.contains("connection:"), "{seen}");
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Countersigned { status: 200 }), "{record:?}");
    assert_eq!(record.bytes_down, seen.len() as u64);
}

#[tokio::test]
async fn body_with_a_length_and_one_without_arrive_whole() {
    let destination = Destination::new(mirror).await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    for headers in [vec![("content-length", "5")], vec![]] {
        let answer = program.ask(request(&Signed::put(&stage, "/x", headers)), b"hello").await;
        let seen = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 200 && seen.ends_with("\n\nhelloNone"), "{seen}");
        assert_eq!(stage.record().await.bytes_up, 5);
    }
}

#[tokio::test]
async fn body_that_is_held_to_be_hashed_gets_its_length() {
    let destination = Destination::new(mirror).await;
    let stage = destination.stage().await;
    let sqs = "sqs.us-east-1.amazonaws.com";
    let io = tls_offering(&stage, (&format!("{sqs}:443"), sqs), BOTH).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let body = b"{\"QueueUrl\":\"x\"}";
    let headers = vec![("x-amz-target", "AmazonSQS.ReceiveMessage"), ("content-type", "application/x-amz-json-1.0")];
    let signed =
        Signed { method: "POST", host: sqs, service: "sqs", declared: None, body, headers, ..Signed::get(&stage, "/") };
    let (answer, mut stream) = sender.send_request(request(&signed), false).unwrap();
    stream.send_data(bytes::Bytes::from_static(body), true).unwrap();
    let seen = whole(answer.await.unwrap()).await.unwrap();
    let seen = String::from_utf8(seen.body.to_vec()).unwrap();
    assert!(seen.contains(&format!("content-length: {}\n", body.len())), "{seen}");
}

#[tokio::test]
async fn program_that_offers_http1_only_gets_it_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, roots) = localhost(&directory, BOTH);
    let mirror = Mirror::with_tls(tls.by_name().clone()).await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
    wish.upstream_roots = Some(roots);
    let stage = Stage::with(wish).await;
    let mut io = tls_offering(&stage, S3_443, &[b"http/1.1"]).await.unwrap();
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(answer.status == 200 && answer.body.starts_with("GET /x HTTP/1.1\r\n"), "{answer:?}");
}

/// A stage whose cloud speaks HTTP/1.1 and nothing newer; the directory holds its root.
async fn before_http1() -> (Mirror, Stage, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (tls, roots) = localhost(&directory, &[b"http/1.1"]);
    let mirror = Mirror::with_tls(tls.by_name().clone()).await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
    wish.upstream_roots = Some(roots);
    let stage = Stage::with(wish).await;
    (mirror, stage, directory)
}

#[tokio::test]
async fn program_gets_http1_where_its_destination_speaks_nothing_newer() {
    let (mirror, stage, _directory) = before_http1().await;
    for _ in 0..2 {
        let mut io = tls_offering(&stage, S3_443, BOTH).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
        assert_eq!(answer.status, 200);
        stage.record().await;
        drop(io);
        while stage.metrics.connections.value() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(mirror.connections(), 1, "the connection that was asked is the one that is used");
}

#[tokio::test]
async fn program_that_speaks_nothing_older_is_translated() {
    let (_mirror, stage, _directory) = before_http1().await;
    let io = tls_offering(&stage, S3_443, &[b"h2"]).await.unwrap();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut program = Program(sender);
    for body in [&b""[..], b"hello"] {
        let mut call = request(&Signed::put(&stage, "/x", vec![]));
        call.headers_mut().append("cookie", "a=1".parse().unwrap());
        call.headers_mut().append("cookie", "b=2".parse().unwrap());
        let answer = program.ask(call, body).await;
        let seen = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(seen.starts_with("PUT /x HTTP/1.1\r\n") && seen.contains(&format!("host: {S3}\r\n")), "{seen}");
        assert!(seen.contains("cookie: a=1; b=2\r\n") && seen.contains(std::str::from_utf8(body).unwrap()), "{seen}");
        assert!(!answer.headers.contains_key("connection") && !answer.headers.contains_key("x-hop"));
    }
}

#[tokio::test]
async fn requests_of_all_programs_share_one_connection() {
    let destination = Destination::new(|mut asked: Asked| async move {
        asked.whole().await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        asked.answer(200, "here");
    })
    .await;
    let stage = destination.stage().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let mut program = Program::new(&stage).await;
        let calls: Vec<_> = (0..20).map(|_| request(&Signed::get(&stage, "/x"))).collect();
        asking.spawn(async move {
            for call in &calls {
                let (mut program, call) = (program.clone(), copy(call));
                let asked = tokio::spawn(async move { program.ask(call, b"").await.status });
                drop(asked);
            }
            program.ask(copy(&calls[0]), b"").await.status
        });
    }
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(destination.connections(), 1);
}

fn copy(request: &Request<()>) -> Request<()> {
    request.clone()
}

#[tokio::test]
async fn destination_that_takes_few_requests_at_once_gets_more_connections() {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(2);
    let destination = Destination::with((true, builder), |mut asked: Asked| async move {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        asked.answer(200, asked.connection.to_string());
    })
    .await;
    let stage = destination.stage().await;
    let mut program = Program::new(&stage).await;
    // After the first answer the proxy knows the limit.
    assert_eq!(program.ask(request(&Signed::get(&stage, "/x")), b"").await.status, 200);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (mut program, call) = (program.clone(), request(&Signed::get(&stage, "/x")));
        asking.spawn(async move { program.ask(call, b"").await.status });
    }
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert!((2..=8).contains(&destination.connections()), "{}", destination.connections());
}

#[tokio::test]
async fn destination_that_cannot_be_reached_is_a_refusal_in_http1() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut wish = Wish::aws_at(nobody);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", nobody.port()))];
    let stage = Stage::with(wish).await;
    let mut io = tls_offering(&stage, S3_443, BOTH).await.unwrap();
    assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(answer.status == 503 && answer.body.contains("<Code>ServiceUnavailable</Code>"), "{answer:?}");

    let io = tls_offering(&stage, S3_443, &[b"h2"]).await.unwrap();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let answer = Program(sender).ask(request(&Signed::get(&stage, "/x")), b"").await;
    assert_eq!((answer.status, answer.headers["content-length"] != "0"), (503, true));
}

#[tokio::test]
async fn program_in_clear_text_reaches_its_cloud_over_tls_and_its_own_servers_as_it_speaks() {
    let destination = Destination::new(mirror).await;
    let stage = destination.stage().await;
    let mut program = Program::in_clear(&stage, &format!("{S3}:80")).await;
    let answer = program.ask(super::program::at("http", &Signed::get(&stage, "/x")), b"").await;
    let seen = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(seen.starts_with(&format!("GET https://{S3}/x\n")) && seen.contains(REAL_KEY), "{seen}");

    let own = Destination::with((false, h2::server::Builder::new()), mirror).await;
    let mut program = Program::in_clear(&stage, &own.address.to_string()).await;
    let call = Request::post(format!("http://{}/pkg.Service/Method", own.address)).body(()).unwrap();
    let answer = program.ask(call, b"hello").await;
    let seen = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(seen.starts_with(&format!("POST http://{}/pkg.Service/Method\n", own.address)), "{seen}");

    let mut astray = request(&Signed::get(&stage, "/x"));
    *astray.uri_mut() = format!("http://{}/x", own.address).parse().unwrap();
    let answer = program.ask(astray, b"").await;
    assert_eq!(
        (answer.status, &answer.headers["x-countersign-refusal"]),
        (403, &"placeholder-astray".parse().unwrap())
    );
}

#[tokio::test]
async fn socket_that_waits_to_be_told_what_is_spoken_is_not_dialled_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut wish = Wish::aws_at(address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", address.port()))];
    wish.limits.connect_timeout = jiff::SignedDuration::from_millis(300);
    let stage = Stage::with(wish).await;
    let accepting = tokio::spawn(async move {
        let first = listener.accept().await.unwrap();
        let second = tokio::time::timeout(std::time::Duration::from_millis(800), listener.accept()).await;
        (first, second.is_ok())
    });
    let mut io = tls_offering(&stage, S3_443, BOTH).await.unwrap();
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(answer.status == 503 && answer.body.contains("no connection to localhost"), "{answer:?}");
    assert!(!accepting.await.unwrap().1);
}

#[tokio::test]
async fn trailers_of_a_program_that_is_translated_are_passed_on_where_they_were_announced() {
    let (_mirror, stage, _directory) = before_http1().await;
    let io = tls_offering(&stage, S3_443, &[b"h2"]).await.unwrap();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut program = Program(sender);
    for (headers, passed) in [(vec![("trailer", "x-sum")], "x-sum: 7\r\n\r\n"), (vec![], "0\r\n\r\n")] {
        let (answer, mut stream) = program.begin(request(&Signed::put(&stage, "/x", headers)), false).await;
        stream.send_data("hello".into(), false).unwrap();
        stream.send_trailers(http::HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())])).unwrap();
        let answer = whole(answer.await.unwrap()).await.unwrap();
        let seen = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == 200 && seen.ends_with(passed), "{seen}");
    }
}
