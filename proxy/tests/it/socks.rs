//! Programs that come by SOCKS 5.

use access::{Outcome, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::destination::{Mirror, Scripted};
use crate::program::{S3, Signed, dial, exchange, over_tls, tls};
use crate::stage::{Stage, Wish, ways};

const CONNECT: u8 = 1;

/// A greeting that offers to come without a name.
const GREETING: &[u8] = b"\x05\x01\x00";

async fn stage() -> (Mirror, Stage) {
    let mirror = Mirror::new().await;
    let stage = Stage::new(mirror.address).await;
    (mirror, stage)
}

fn by_name(host: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(host.len()).unwrap();
    [&[5, CONNECT, 0, 3, length], host.as_bytes(), &port.to_be_bytes()].concat()
}

fn by_number(address: std::net::SocketAddr) -> Vec<u8> {
    let std::net::IpAddr::V4(v4) = address.ip() else { panic!("tests are on 127.0.0.1") };
    [&[5, CONNECT, 0, 1], &v4.octets()[..], &address.port().to_be_bytes()].concat()
}

/// Greets, wishes, and gives the connection and the reply's code.
async fn wish(stage: &Stage, wish: &[u8]) -> (TcpStream, u8) {
    let mut io = dial(stage).await;
    io.write_all(GREETING).await.unwrap();
    let mut method = [0; 2];
    io.read_exact(&mut method).await.unwrap();
    assert_eq!(method, [5, 0]);
    io.write_all(wish).await.unwrap();
    let mut reply = [0; 10];
    io.read_exact(&mut reply).await.unwrap();
    assert_eq!((reply[0], reply[2..].to_vec()), (5, vec![0, 1, 0, 0, 0, 0, 0, 0]));
    (io, reply[1])
}

#[tokio::test]
async fn cloud_is_countersigned_by_name() {
    let (_mirror, stage) = stage().await;
    let (io, reply) = wish(&stage, &by_name(S3, 443)).await;
    assert_eq!(reply, 0);
    let mut io = over_tls(&stage, io, S3).await.unwrap();
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(answer.status == 200 && answer.body.contains(crate::stage::REAL_KEY), "{answer:?}");
    assert!(matches!(stage.outcome().await, Outcome::Countersigned { status: 200 }));
}

#[tokio::test]
async fn what_is_no_cloud_is_reached_by_name_and_by_number() {
    let (_aws, stage) = stage().await;
    let other = Mirror::new().await;
    let port = other.address.port();
    let number = other.address.to_string();
    for (wanted, host) in [
        (by_number(other.address), number.clone()),
        (by_name("127.0.0.1", port), number),
        (by_name("localhost", port), format!("localhost:{port}")),
    ] {
        let (mut io, reply) = wish(&stage, &wanted).await;
        assert_eq!(reply, 0);
        let answer = exchange(&mut io, &format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.status == 200 && answer.body.starts_with("GET /x HTTP/1.1\r\n"), "{answer:?}");
    }
}

#[tokio::test]
async fn everything_said_at_once_is_understood() {
    let (_aws, stage) = stage().await;
    let other = Mirror::new().await;
    let mut io = dial(&stage).await;
    let request = format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", other.address);
    io.write_all(&[GREETING, &by_number(other.address), request.as_bytes()].concat()).await.unwrap();
    let mut replies = [0; 12];
    io.read_exact(&mut replies).await.unwrap();
    assert_eq!(replies[..4], [5, 0, 5, 0]);
    assert_eq!(crate::program::answer(&mut io).await.status, 200);
}

#[tokio::test]
async fn other_commands_and_other_addresses_are_refused_by_their_code() {
    let (_aws, stage) = stage().await;
    for (wanted, code, kind) in [
        (&b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"[..], 7, RefusalCode::NotSupported),
        (b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 7, RefusalCode::NotSupported),
        (b"\x05\x01\x00\x09", 8, RefusalCode::RequestMalformed),
        (b"\x05\x01\x00\x03\x03a b\x00\x50", 1, RefusalCode::RequestMalformed),
        (b"\x05\x01\x00\x03\x01a\x00\x00", 1, RefusalCode::RequestMalformed),
    ] {
        let (mut io, reply) = wish(&stage, wanted).await;
        assert_eq!(reply, code, "{wanted:?}");
        assert_eq!(io.read(&mut [0; 1]).await.unwrap(), 0, "the connection ends");
        let outcome = stage.outcome().await;
        assert!(matches!(outcome, Outcome::Refused { code, .. } if code == kind), "{wanted:?} {outcome:?}");
    }
}

#[tokio::test]
async fn whoever_must_give_a_name_or_speaks_nonsense_is_sent_away() {
    let (_aws, stage) = stage().await;
    for (said, heard) in [(&b"\x05\x01\x02"[..], &[5, 0xff][..]), (b"\x05\x00", &[])] {
        let mut io = dial(&stage).await;
        io.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, heard, "{said:?}");
        assert!(matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::RequestMalformed, .. }));
    }
}

#[tokio::test]
async fn what_cannot_or_must_not_be_reached_is_refused_by_its_code() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = Mirror::new().await;
    let rules = ways("egress: {deny: [\"evil.test\"]}");
    let stage = Stage::with(Wish { ways: rules, ..Wish::aws_at(mirror.address) }).await;
    assert_eq!(wish(&stage, &by_number(nobody)).await.1, 4);
    assert!(matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. }));
    assert_eq!(wish(&stage, &by_name("evil.test", 443)).await.1, 2);
    assert!(matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::EgressDenied, .. }));
}

/// Programs with a resolver of their own ask for numbers. The greeting of TLS says then which host is meant.
#[tokio::test]
async fn cloud_that_is_asked_for_by_number_is_countersigned_at_the_host_that_the_greeting_names() {
    let (aws, stage) = stage().await;
    let mut claimed = Scripted::new().await;
    let mut io = tls(&stage, &claimed.address.to_string(), S3).await.unwrap();
    let host = format!("{S3}:{}", claimed.address.port());
    let answer = exchange(&mut io, &Signed { host: &host, ..Signed::get(&stage, "/x") }.head()).await;
    assert!(answer.status == 200 && answer.body.contains(crate::stage::REAL_KEY), "{answer:?}");
    assert_eq!(aws.connections(), 1, "the call went where the host is");
    let mut heard = Vec::new();
    claimed.connection().await.read_to_end(&mut heard).await.unwrap();
    assert!(heard.is_empty(), "the number that was asked for got nothing");
}

#[tokio::test]
async fn name_that_must_not_be_reached_is_not_reached_by_number_either() {
    let mirror = Mirror::new().await;
    let rules = ways("egress: {deny: [\"*.amazonaws.com\", evil.test]}");
    let stage = Stage::with(Wish { ways: rules, ..Wish::aws_at(mirror.address) }).await;
    for name in [S3, "evil.test"] {
        assert!(tls(&stage, &mirror.address.to_string(), name).await.is_err(), "{name}");
        assert!(matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::EgressDenied, .. }), "{name}");
    }
}
