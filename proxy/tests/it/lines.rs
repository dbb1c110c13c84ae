//! Connections to destinations: kept, found dead, dialled anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Outcome, RefusalCode};
use jiff::SignedDuration;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::destination::{Mirror, Scripted};
use crate::http2::localhost;
use crate::program::{S3, Signed, answer, ask, connect, dial, exchange, head, tls};
use crate::stage::{Stage, Wish};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn line_that_one_program_leaves_is_used_by_the_next() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    for _ in 0..3 {
        let mut io = connect(&stage, &format!("{S3}:80")).await;
        assert_eq!(exchange(&mut io, &Signed::get(&stage, "/x").head()).await.status, 200);
        drop(io);
        stage.record().await;
        while stage.metrics.connections.value() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(mirror.connections(), 1);
}

#[tokio::test]
async fn line_that_the_destination_has_closed_is_not_used_again() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    for _ in 0..3 {
        io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
        let mut upstream = destination.connection().await;
        head(&mut upstream).await;
        upstream.write_all(OK).await.unwrap();
        assert_eq!(answer(&mut io).await.status, 200);
        drop(upstream);
    }
}

#[tokio::test]
async fn answer_that_announces_the_end_of_its_line_is_still_whole() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    for _ in 0..2 {
        io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
        let mut upstream = destination.connection().await;
        head(&mut upstream).await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end").await.unwrap();
        drop(upstream);
        let whole = answer(&mut io).await;
        assert_eq!((whole.status, whole.body.as_str()), (200, "until the end"));
    }
}

#[tokio::test]
async fn destination_that_breaks_off_is_reported_as_broken_and_may_be_tried_again() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    drop(upstream);
    assert_eq!(answer(&mut io).await.status, 503);
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
}

#[tokio::test]
async fn destination_that_cannot_be_reached_is_a_refusal_in_the_words_of_the_service() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::new(nobody).await;
    let answer = ask(&stage, &Signed::get(&stage, "/x").absolute_head()).await;
    assert!(answer.status == 503 && answer.body.contains("<Code>ServiceUnavailable</Code>"), "{answer:?}");
    let outcome = stage.outcome().await;
    assert!(matches!(outcome, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. }), "{outcome:?}");
}

/// A mirror behind TLS, and the file with the root that vouches for it.
pub(crate) async fn tls_mirror(directory: &TempDir) -> (Mirror, PathBuf) {
    let (tls, path) = localhost(directory, &[b"http/1.1"]);
    (Mirror::with_tls(tls.by_name().clone()).await, path)
}

#[tokio::test]
async fn destination_that_has_come_since_its_tunnel_was_opened_is_reached() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let stage = Stage::new(address).await;
    for (later, status) in [(Duration::ZERO, 503), (Duration::from_millis(1_100), 200)] {
        let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let serving = tokio::spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            head(&mut io).await;
            io.write_all(OK).await.unwrap();
        });
        tokio::time::sleep(later).await;
        io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        assert_eq!(answer(&mut io).await.status, status, "after {later:?}");
        serving.abort();
        drop(serving.await);
    }
}

#[tokio::test]
async fn destination_behind_tls_is_reached_if_its_root_is_trusted_and_refused_if_not() {
    let directory = tempfile::tempdir().unwrap();
    let (mirror, roots) = tls_mirror(&directory).await;
    for (upstream_roots, status) in [(Some(roots), 200), (None, 503)] {
        let mut wish = Wish::aws_at(mirror.address);
        wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
        wish.upstream_roots = upstream_roots;
        let stage = Stage::with(wish).await;
        let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
        let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(status == 200 || answer.body.contains("no TLS with localhost"), "{answer:?}");
    }
}

#[tokio::test]
async fn large_bodies_stream_through_tls_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let (mirror, roots) = tls_mirror(&directory).await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
    wish.upstream_roots = Some(roots);
    let stage = Stage::with(wish).await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let body: String = (0..300_000).map(|n| char::from(b'a' + u8::try_from(n % 23).unwrap())).collect();
    let length = body.len().to_string();
    let signed = Signed::put(&stage, "/x", vec![("content-length", &length)]);
    let answer = exchange(&mut io, &(signed.head() + &body)).await;
    assert!(answer.status == 200 && answer.body.ends_with(&body));
    let record = stage.record().await;
    assert_eq!((record.bytes_up, record.bytes_down), (300_000, answer.body.len() as u64));
}

#[tokio::test]
async fn silent_destination_times_out() {
    let mut destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.idle_timeout = SignedDuration::from_millis(300);
    let stage = Stage::with(wish).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
    let _upstream = destination.connection().await;
    let late = answer(&mut io).await;
    assert!(late.status == 503 && late.body.contains("did not answer in time"), "{late:?}");
}

#[tokio::test]
async fn proxy_does_not_go_round_through_itself() {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    let own = stage.proxy;
    for own in [own.to_string(), format!("[::ffff:127.0.0.1]:{}", own.port()), format!("0.0.0.0:{}", own.port())] {
        let answer = ask(&stage, &format!("GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\n\r\n")).await;
        assert!(answer.status == 400 && answer.body.contains("is this proxy itself"), "{own}: {answer:?}");
    }
}

/// A destination to which there may be so many connections, and for so many milliseconds one is waited for.
async fn kept_waiting(limit: usize, patience: i64) -> (Scripted, Stage) {
    let destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.connections_per_host = limit;
    wish.limits.connect_timeout = SignedDuration::from_millis(patience);
    (destination, Stage::with(wish).await)
}

async fn ask_for(stage: &Stage, path: &str) -> TcpStream {
    let mut io = connect(stage, &format!("{S3}:80")).await;
    io.write_all(Signed::get(stage, path).head().as_bytes()).await.unwrap();
    io
}

#[tokio::test]
async fn who_needs_more_connections_to_a_host_than_there_may_be_waits_for_one_to_end() {
    let (mut destination, stage) = kept_waiting(2, 10_000).await;
    let (mut one, mut two) = (ask_for(&stage, "/one").await, ask_for(&stage, "/two").await);
    let mut far = [destination.connection().await, destination.connection().await];
    for io in &mut far {
        head(io).await;
    }
    let mut three = ask_for(&stage, "/three").await;
    let fourth = tokio::time::timeout(Duration::from_millis(300), destination.connection()).await;
    assert!(fourth.is_err(), "two are open");
    // Its program keeps it; but somebody waits.
    for io in &mut far {
        io.write_all(OK).await.unwrap();
    }
    assert_eq!((answer(&mut one).await.status, answer(&mut two).await.status), (200, 200));
    let third = tokio::time::timeout(Duration::from_secs(5), destination.connection()).await;
    let mut third = third.expect("who kept a connection for nothing has given it up");
    assert!(head(&mut third).await.starts_with("GET /three "));
    third.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut three).await.status, 200);
}

#[tokio::test]
async fn programs_that_go_from_request_to_request_do_not_keep_a_host_to_themselves() {
    let (mut destination, stage) = kept_waiting(1, 5_000).await;
    let mut busy = ask_for(&stage, "/busy").await;
    let mut far = destination.connection().await;
    head(&mut far).await;
    let mut other = ask_for(&stage, "/other").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    far.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut busy).await.status, 200);
    busy.write_all(Signed::get(&stage, "/busy").head().as_bytes()).await.unwrap();
    let mut next = tokio::time::timeout(Duration::from_secs(4), destination.connection()).await.expect("another turn");
    assert!(head(&mut next).await.starts_with("GET /other "), "who waited comes first");
    next.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut other).await.status, 200);
    let mut last = tokio::time::timeout(Duration::from_secs(4), destination.connection()).await.expect("another turn");
    assert!(head(&mut last).await.starts_with("GET /busy "));
    last.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut busy).await.status, 200);
}

#[tokio::test]
async fn program_that_logs_in_keeps_its_connection_even_if_others_wait_for_one() {
    let (mut destination, stage) = kept_waiting(1, 5_000).await;
    let there = destination.address;
    let get = format!("GET http://{there}/ HTTP/1.1\r\nHost: {there}\r\n\r\n");
    let (mut alice, mut other) = (dial(&stage).await, dial(&stage).await);
    alice.write_all(get.as_bytes()).await.unwrap();
    let mut far = destination.connection().await;
    head(&mut far).await;
    other.write_all(get.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAAC\r\nContent-Length: 0\r\n\r\n";
    far.write_all(challenge.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut alice).await.status, 401);
    alice.write_all(get.as_bytes()).await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(4), head(&mut far)).await;
    assert!(answered.expect("on the same connection").starts_with("GET / "));
    far.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut alice).await.status, 200);
    drop(alice);
    let mut next = tokio::time::timeout(Duration::from_secs(4), destination.connection()).await.expect("its turn");
    head(&mut next).await;
    next.write_all(OK).await.unwrap();
    assert_eq!(answer(&mut other).await.status, 200);
}

#[tokio::test]
async fn who_waits_for_a_connection_in_vain_is_told_which_limit_it_is() {
    let (mut destination, stage) = kept_waiting(1, 200).await;
    let _one = ask_for(&stage, "/one").await;
    let _far = destination.connection().await;
    let mut two = ask_for(&stage, "/two").await;
    let full = answer(&mut two).await;
    assert!(full.status == 503 && full.body.contains("proxy.limits.connections_per_host"), "{full:?}");
    // Another host has its own, and tunnels are not counted.
    let mut other = Scripted::new().await;
    let tunnel = connect(&stage, &destination.address.to_string()).await;
    let host = other.address;
    let mut io = dial(&stage).await;
    io.write_all(format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    head(&mut other.connection().await).await;
    drop(tunnel);
}

#[tokio::test]
async fn connections_that_were_made_for_programs_that_ask_nothing_keep_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mirror, roots) = tls_mirror(&directory).await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", mirror.address.port()))];
    wish.upstream_roots = Some(roots);
    wish.limits.connections_per_host = 2;
    let stage = Stage::with(wish).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(tls(&stage, &format!("{S3}:443"), S3).await.unwrap());
    }
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let request = Signed::get(&stage, "/x").head();
    let answer = exchange(&mut io, &request);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), answer).await.expect("a line").status, 200);
    // And each of them can still ask.
    for io in &mut silent {
        assert_eq!(exchange(io, &request).await.status, 200);
    }
}

/// What TLS towards a destination that speaks only `versions` came to: which one was agreed on, and how, each time.
async fn handshakes(versions: &[&'static SupportedProtocolVersion]) -> Vec<(ProtocolVersion, HandshakeKind)> {
    let directory = tempfile::tempdir().unwrap();
    let (tls, roots) = localhost(&directory, &[b"http/1.1"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_no_client_auth().with_cert_resolver(tls.by_name().cert_resolver.clone());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut wish = Wish::aws_at(listener.local_addr().unwrap());
    wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", listener.local_addr().unwrap().port()))];
    wish.upstream_roots = Some(roots);
    let stage = Stage::with(wish).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let request = Signed::get(&stage, "/x").absolute_head();
        let there = async {
            let mut io = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            head(&mut io).await;
            io.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.unwrap();
            io.shutdown().await.unwrap();
            let tls = io.get_ref().1;
            (tls.protocol_version().unwrap(), tls.handshake_kind().unwrap())
        };
        let (answer, handshake) = tokio::join!(ask(&stage, &request), there);
        assert_eq!(answer.status, 200, "{answer:?}");
        seen.push(handshake);
    }
    seen
}

#[tokio::test]
async fn sessions_with_destinations_are_resumed_in_both_versions_of_tls() {
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let seen = handshakes(&[version]).await;
        let (first, later) = ((name, HandshakeKind::Full), (name, HandshakeKind::Resumed));
        assert_eq!(seen, [first, later, later]);
    }
}
