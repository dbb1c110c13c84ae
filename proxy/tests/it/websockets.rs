//! WebSockets: the handshake is a request like any other, what follows is not.

use std::time::Duration;

use access::{Outcome, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::Scripted;
use crate::program::{S3, Signed, answer, connect, dial, exchange, head};
use crate::stage::{REAL_KEY, Stage, Wish};

const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nSec-WebSocket-Accept: s3p\r\n\r\nhello";

/// What is no HTTP at all, and what looks like a smuggled request.
const FRAMES: &[u8] =
    b"\x81\x05\x00\xff\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";

fn upgrade(stage: &Stage) -> String {
    let asked = [("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
    let signed = Signed { headers: asked.to_vec(), ..Signed::get(stage, "/socket") };
    signed.head().replacen("\r\n\r\n", "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 1)
}

/// An open WebSocket: the program's side, the destination's side, and the heads that were said.
async fn open(stage: &Stage, destination: &mut Scripted) -> (TcpStream, TcpStream, (String, String)) {
    let mut io = connect(stage, &format!("{S3}:80")).await;
    io.write_all(upgrade(stage).as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    let asked = head(&mut upstream).await;
    upstream.write_all(SWITCHED).await.unwrap();
    let switched = head(&mut io).await;
    (io, upstream, (asked, switched))
}

#[tokio::test]
async fn handshake_is_countersigned_and_frames_go_both_ways_untouched() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let (mut io, mut upstream, (asked, switched)) = open(&stage, &mut destination).await;
    assert!(asked.contains("upgrade: websocket\r\n") && asked.contains("connection: upgrade\r\n"), "{asked}");
    assert!(asked.contains(REAL_KEY) && asked.contains("sec-websocket-key: dGhl"), "{asked}");
    assert!(switched.starts_with("HTTP/1.1 101 ") && switched.contains("upgrade: websocket\r\n"), "{switched}");
    assert!(switched.contains("connection: upgrade\r\n") && !switched.contains("x-hop"), "{switched}");

    let mut said = [0; 5];
    io.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
    io.write_all(FRAMES).await.unwrap();
    let mut heard = vec![0; FRAMES.len()];
    upstream.read_exact(&mut heard).await.unwrap();
    assert!(heard == FRAMES);

    // Each side may end its direction first.
    io.shutdown().await.unwrap();
    assert_eq!(upstream.read(&mut said).await.unwrap(), 0);
    upstream.write_all(b"bye").await.unwrap();
    drop(upstream);
    let mut rest = String::new();
    io.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");

    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Countersigned { status: 101 }), "{record:?}");
    assert_eq!((record.bytes_up, record.bytes_down), (FRAMES.len() as u64, 8));
}

#[tokio::test]
async fn socket_in_which_nothing_moves_is_closed() {
    let mut destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.idle_timeout = jiff::SignedDuration::from_millis(300);
    let stage = Stage::with(wish).await;
    let (mut io, _upstream, _) = open(&stage, &mut destination).await;
    let mut rest = Vec::new();
    drop(io.read_to_end(&mut rest).await);
    assert_eq!(rest, b"hello");
    let record = stage.record().await;
    assert!(matches!(record.outcome, Outcome::Broken { .. }), "{record:?}");
    assert_eq!(record.bytes_down, 5);
}

#[tokio::test]
async fn destination_may_decline_and_the_connection_goes_on() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = connect(&stage, &format!("{S3}:80")).await;
    io.write_all(upgrade(&stage).as_bytes()).await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    for status in [400, 200] {
        upstream.write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 2\r\n\r\nno").as_bytes()).await.unwrap();
        let answer = answer(&mut io).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.header("connection")), (status, "no", None));
        if status == 400 {
            io.write_all(Signed::get(&stage, "/x").head().as_bytes()).await.unwrap();
            let next = head(&mut upstream).await;
            assert!(!next.contains("upgrade"), "{next}");
        }
    }
}

#[tokio::test]
async fn another_protocol_than_was_asked_for_is_an_error() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    for (asked, to) in [(upgrade(&stage), "h2c"), (Signed::get(&stage, "/x").head(), "websocket")] {
        let mut io = connect(&stage, &format!("{S3}:80")).await;
        io.write_all(asked.as_bytes()).await.unwrap();
        let mut upstream = destination.connection().await;
        head(&mut upstream).await;
        let switched = format!("HTTP/1.1 101 x\r\nUpgrade: {to}\r\nConnection: upgrade\r\n\r\n");
        upstream.write_all(switched.as_bytes()).await.unwrap();
        let refused = answer(&mut io).await;
        assert!(refused.status == 503 && refused.body.contains("changed the protocol unasked"), "{refused:?}");
    }
}

#[tokio::test]
async fn placeholder_does_not_leave_with_a_handshake_to_somewhere_else() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut other = Scripted::new().await;
    let host = other.address.to_string();
    let signed = upgrade(&stage).replace(S3, &host).replacen("GET /", &format!("GET http://{host}/"), 1);
    let mut io = dial(&stage).await;
    let refused = exchange(&mut io, &signed).await;
    assert_eq!(refused.header("x-countersign-refusal"), Some(RefusalCode::PlaceholderAstray.as_str()));

    let plain = format!(
        "GET http://{host}/socket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    );
    let mut io = dial(&stage).await;
    io.write_all(plain.as_bytes()).await.unwrap();
    let mut upstream = other.connection().await;
    assert!(head(&mut upstream).await.starts_with("GET /socket HTTP/1.1\r\n"));
    upstream.write_all(SWITCHED).await.unwrap();
    assert!(head(&mut io).await.starts_with("HTTP/1.1 101 "));
    upstream.write_all(FRAMES).await.unwrap();
    let mut heard = vec![0; 5 + FRAMES.len()];
    io.read_exact(&mut heard).await.unwrap();
    assert!(heard == [b"hello", FRAMES].concat());
    drop(destination.connection());
}

#[tokio::test]
async fn socket_keeps_the_place_of_its_connection() {
    let mut destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.connections = 1;
    let stage = Stage::with(wish).await;
    let (io, upstream, _) = open(&stage, &mut destination).await;
    let mut other = dial(&stage).await;
    other.write_all(Signed::get(&stage, "/x").absolute_head().as_bytes()).await.unwrap();
    let served = tokio::time::timeout(Duration::from_millis(500), destination.connection()).await;
    assert!(served.is_err(), "there is one place");
    drop((io, upstream));
    let served = tokio::time::timeout(Duration::from_secs(4), destination.connection()).await;
    let mut served = served.expect("the place is free with the socket's end");
    assert!(head(&mut served).await.starts_with("GET /x "));
}
