//! Tunnels: what is no cloud's business goes through untouched.

use access::{Outcome, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, answer, ask, connect, exchange, greeting, head};
use crate::stage::{Stage, ways};

async fn stage() -> (Mirror, Scripted, Stage) {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    (mirror, Scripted::new().await, stage)
}

#[tokio::test]
async fn bytes_go_both_ways_untouched_and_are_counted() {
    let (_mirror, mut destination, stage) = stage().await;
    let mut io = connect(&stage, &destination.address.to_string()).await;
    let hello = [22, 3, 1, 0, 4, 2, 0, 0, 0];
    io.write_all(&hello).await.unwrap();
    let mut theirs = destination.connection().await;
    let mut heard = [0; 9];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, hello, "a handshake with somewhere else is not ours");
    theirs.write_all(b"answer").await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    drop(io);
    while stage.metrics.bytes_down.value() < 6 {
        tokio::task::yield_now().await;
    }
    assert_eq!((stage.metrics.tunnels.value(), stage.metrics.bytes_up.value()), (1, 9));
}

#[tokio::test]
async fn destination_that_speaks_first_is_heard() {
    let (_mirror, mut destination, stage) = stage().await;
    let mut io = connect(&stage, &destination.address.to_string()).await;
    let mut theirs = destination.connection().await;
    theirs.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    let mut heard = [0; 11];
    io.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"SSH-2.0-x\r\n");
}

#[tokio::test]
async fn clear_text_http_in_a_tunnel_to_somewhere_else_is_answered() {
    let (_aws, _destination, stage) = stage().await;
    let other = Mirror::new().await;
    let host = other.address.to_string();
    let mut io = connect(&stage, &host).await;
    let answer = exchange(&mut io, &format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert!(answer.status == 200 && answer.body.starts_with("GET /x HTTP/1.1\r\n"), "{answer:?}");
}

#[tokio::test]
async fn tunnel_to_nowhere_is_refused_before_it_is_established() {
    let (_mirror, _destination, stage) = stage().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = ask(&stage, &format!("CONNECT {nobody} HTTP/1.1\r\nHost: {nobody}\r\n\r\n")).await;
    assert!(answer.status == 502 && answer.body.contains("cannot be reached"), "{answer:?}");
    let record = stage.record().await;
    assert!(answer.body.contains(&record.id.to_string()), "{answer:?}");
    assert!(matches!(record.outcome, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. }));
}

/// The connection that a request comes on: the one that was dialled to hear who speaks first is given up.
async fn asked(destination: &mut Scripted) -> (TcpStream, String) {
    loop {
        let mut theirs = destination.connection().await;
        let asked = head(&mut theirs).await;
        if !asked.is_empty() {
            return (theirs, asked);
        }
    }
}

#[tokio::test]
async fn websocket_in_clear_text_is_read_and_goes_through() {
    let (_mirror, mut destination, stage) = stage().await;
    let host = destination.address.to_string();
    let handshake = format!("GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let mut io = connect(&stage, &host).await;
    io.write_all(handshake.as_bytes()).await.unwrap();
    let (mut theirs, wish) = asked(&mut destination).await;
    assert!(wish.starts_with("GET /chat HTTP/1.1\r\n"), "{wish}");
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x02hi";
    theirs.write_all(switched).await.unwrap();
    assert!(head(&mut io).await.starts_with("HTTP/1.1 101 "));
    let mut frame = [0; 4];
    io.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x02hi");

    let leaking = handshake.trim_end().to_owned() + &format!("\r\nX-Key: {}\r\n\r\n", stage.placeholder().0);
    let mut io = connect(&stage, &host).await;
    assert_eq!(exchange(&mut io, &leaking).await.header("x-countersign-refusal"), Some("placeholder-astray"));

    // Nobody is led past the reader by a handshake that the destination declines.
    let mut io = connect(&stage, &host).await;
    io.write_all(handshake.as_bytes()).await.unwrap();
    let (mut theirs, _) = asked(&mut destination).await;
    theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut io).await.status, 200);
    let behind = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Key: {}\r\n\r\n", stage.placeholder().0);
    assert_eq!(exchange(&mut io, &behind).await.header("x-countersign-refusal"), Some("placeholder-astray"));
}

#[tokio::test]
async fn unusual_methods_are_read_like_any_other() {
    let (_aws, _destination, stage) = stage().await;
    let other = Mirror::new().await;
    let host = other.address.to_string();
    for method in ["M-SEARCH", "get", "AVERYLONGMETHODINDEED"] {
        let mut io = connect(&stage, &host).await;
        let answer = exchange(&mut io, &format!("{method} /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.body.starts_with(&format!("{method} /x HTTP/1.1\r\n")), "{answer:?}");
        let leaking = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nX-Key: {}\r\n\r\n", stage.placeholder().0);
        let mut io = connect(&stage, &host).await;
        assert_eq!(exchange(&mut io, &leaking).await.header("x-countersign-refusal"), Some("placeholder-astray"));
    }
}

#[tokio::test]
async fn words_of_other_protocols_go_through_though_they_do_not_end() {
    let (_mirror, mut destination, stage) = stage().await;
    for words in [&b"ruok"[..], b"JDWP-Handshake", b"set key 0 0 5\r\n", b"*1\r\n$4\r\nPING\r\n"] {
        let mut io = connect(&stage, &destination.address.to_string()).await;
        io.write_all(words).await.unwrap();
        let mut heard = vec![0; words.len()];
        destination.connection().await.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, words);
    }
}

#[tokio::test]
async fn cloud_host_that_is_to_be_left_alone_gets_the_programs_own_greeting_and_answers_it() {
    let (_mirror, mut destination, stage) = stage().await;
    let there = destination.address.to_string();
    let hello = greeting(S3);
    stage.change(|settings| {
        let alone = ways(&format!("egress: {{allow: [\"{S3}\"]}}")).egress.allow;
        settings.endpoints = settings.endpoints.clone().leaving_alone(alone);
    });
    // Asked for by number, so that nobody has to be asked where it is.
    let mut io = connect(&stage, &there).await;
    io.write_all(&hello).await.unwrap();
    let mut theirs = destination.connection().await;
    let mut heard = vec![0; hello.len()];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, hello);
    theirs.write_all(b"their own certificate").await.unwrap();
    let mut shown = [0; 21];
    io.read_exact(&mut shown).await.unwrap();
    assert_eq!(&shown, b"their own certificate");
    assert_eq!(stage.metrics.tunnels.value(), 1);

    stage.change(|_| {});
    let mut io = connect(&stage, &there).await;
    io.write_all(&hello).await.unwrap();
    let handshake = 22;
    assert_eq!(io.read_u8().await.unwrap(), handshake, "intercepted: we answer it");
    assert_eq!(stage.metrics.tunnels.value(), 1);
}
