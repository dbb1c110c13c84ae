//! Who takes long: nobody keeps a place, a line or the end of the proxy by doing nothing.

use std::time::{Duration, Instant};

use access::Outcome;
use jiff::SignedDuration;
use serve::Drained;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::destination::{Mirror, Scripted};
use crate::http2::program::Program;
use crate::program::{S3, Signed, answer, connect, dial, exchange, head};
use crate::stage::{Stage, Wish, ways};

const IDLE: Duration = Duration::from_millis(500);

/// Much longer than what is waited for, much shorter than what must not be waited for.
const SOON: Duration = Duration::from_secs(4);

fn impatient(mirror: &Mirror) -> Wish {
    let mut wish = Wish::aws_at(mirror.address);
    wish.limits.idle_timeout = SignedDuration::try_from(IDLE).unwrap();
    wish
}

/// What still comes until the connection ends, which it does soon.
async fn rest(io: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, io.read_to_end(&mut rest)).await.expect("the connection ends").unwrap();
    rest
}

#[tokio::test]
async fn connection_whose_last_answer_was_a_refusal_ends_when_it_is_idle() {
    let mirror = Mirror::new().await;
    let stage = Stage::with(impatient(&mirror)).await;
    let mut io = dial(&stage).await;
    let refused = exchange(&mut io, &format!("GET / HTTP/1.1\r\nHost: {S3}\r\n\r\n")).await;
    assert_eq!((refused.status, refused.header("connection")), (400, None), "it could go on");
    assert_eq!(rest(&mut io).await, b"");
}

#[tokio::test]
async fn stranger_gets_one_answer_and_keeps_no_place() {
    let mirror = Mirror::new().await;
    let ways = ways("shared: {listen: \"127.0.0.1:0\", tokens: true}");
    let stage = Stage::with(Wish { ways, ..Wish::aws_at(mirror.address) }).await;
    let mut io = TcpStream::connect(stage.shared.unwrap()).await.unwrap();
    let refused = exchange(&mut io, "GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n\r\n").await;
    assert_eq!((refused.status, refused.header("connection")), (407, Some("close")));
    assert_eq!(rest(&mut io).await, b"");
}

/// A program with so small a buffer that what it does not read stays with us.
async fn reader(stage: &Stage) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut io = socket.connect(stage.proxy).await.unwrap();
    io.write_all(Signed::get(stage, "/x").absolute_head().as_bytes()).await.unwrap();
    io
}

/// Answers with more than all buffers hold; ends when nobody takes it any more.
async fn pour(destination: &mut Scripted, length: usize) -> std::io::Result<()> {
    let mut io = destination.connection().await;
    head(&mut io).await;
    io.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
    let piece = vec![b'x'; 1 << 16];
    for _ in 0..length / piece.len() {
        io.write_all(&piece).await?;
    }
    Ok(())
}

#[tokio::test]
async fn program_that_does_not_read_its_answer_is_cut() {
    let mut destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.idle_timeout = SignedDuration::try_from(IDLE).unwrap();
    let stage = Stage::with(wish).await;
    let _io = reader(&stage).await;
    let poured = tokio::time::timeout(SOON, pour(&mut destination, 1 << 30)).await;
    assert!(poured.expect("the answer is given up").is_err());
    assert!(matches!(stage.outcome().await, Outcome::Broken { .. }));
}

#[tokio::test]
async fn program_that_reads_slowly_is_not() {
    const LENGTH: usize = 4 << 20;
    let mut destination = Scripted::new().await;
    let mut wish = Wish::aws_at(destination.address);
    wish.limits.idle_timeout = SignedDuration::try_from(IDLE).unwrap();
    let stage = Stage::with(wish).await;
    let mut io = reader(&stage).await;
    let poured = tokio::spawn(async move { pour(&mut destination, LENGTH).await });
    let began = Instant::now();
    head(&mut io).await;
    let (mut read, mut step) = (0, vec![0; 1 << 18]);
    while read < LENGTH {
        let room = step.len().min(LENGTH - read);
        read += io.read_exact(&mut step[..room]).await.unwrap();
        tokio::time::sleep(IDLE / 5).await;
    }
    assert!(began.elapsed() > 2 * IDLE);
    poured.await.unwrap().unwrap();
}

#[tokio::test]
async fn program_that_ends_its_side_after_its_request_gets_the_answer() {
    let mut destination = Scripted::new().await;
    let stage = Stage::new(destination.address).await;
    let mut io = dial(&stage).await;
    io.write_all(Signed::get(&stage, "/x").absolute_head().as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let mut upstream = destination.connection().await;
    head(&mut upstream).await;
    tokio::time::sleep(IDLE).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe").await.unwrap();
    tokio::time::sleep(IDLE).await;
    upstream.write_all(b"re").await.unwrap();
    assert_eq!(answer(&mut io).await.body, "here");
    assert_eq!(rest(&mut io).await, b"");
}

#[tokio::test]
async fn silent_connections_give_way_at_the_door_that_is_full_and_at_no_other() {
    let mirror = Mirror::new().await;
    let ways = ways("shared: {listen: \"127.0.0.1:0\", tokens: true}");
    let mut wish = Wish { ways, ..Wish::aws_at(mirror.address) };
    wish.limits.connections = 5;
    let stage = Stage::with(wish).await;
    let shared = stage.shared.unwrap();
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push((dial(&stage).await, TcpStream::connect(shared).await.unwrap()));
    }
    while stage.metrics.accepted.value() < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let request = "GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n\r\n";
    let mut stranger = TcpStream::connect(shared).await.unwrap();
    let answered = tokio::time::timeout(SOON, exchange(&mut stranger, request)).await;
    assert_eq!(answered.expect("a place is found").status, 407);
    assert_eq!(stage.metrics.shed.value(), 1);
    let (beside, at_the_door) = &mut silent[0];
    assert_eq!(rest(at_the_door).await, b"", "the one that has waited longest");
    let still = tokio::time::timeout(IDLE, beside.read(&mut [0])).await;
    assert!(still.is_err(), "it is at the other door");
}

#[tokio::test]
async fn connections_that_rest_after_their_answers_give_way_even_if_the_place_was_wanted_before() {
    let mirror = Mirror::new().await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.limits.connections = 2;
    let stage = Stage::with(wish).await;
    let request = Signed::get(&stage, "/x").absolute_head();
    let (mut one, mut other) = (dial(&stage).await, dial(&stage).await);
    for io in [&mut one, &mut other] {
        assert_eq!(exchange(io, &request).await.status, 200);
    }
    // Neither rests yet.
    let mut third = dial(&stage).await;
    let answered = tokio::time::timeout(SOON, exchange(&mut third, &request)).await.expect("a place");
    assert_eq!((answered.status, stage.metrics.shed.value()), (200, 1));
    let (mut from_one, mut from_other) = ([0], [0]);
    let ended = tokio::time::timeout(SOON, async {
        tokio::select! {
            read = one.read(&mut from_one) => read,
            read = other.read(&mut from_other) => read,
        }
    });
    assert_eq!(ended.await.expect("one of them gave way").unwrap(), 0);
}

#[tokio::test]
async fn connection_of_http_2_gives_way_when_nothing_is_under_way_on_it() {
    let mirror = Mirror::new().await;
    let mut wish = Wish::aws_at(mirror.address);
    wish.limits.connections = 1;
    let stage = Stage::with(wish).await;
    let _program = Program::in_clear(&stage, &format!("{S3}:80")).await;
    let mut io = dial(&stage).await;
    let request = Signed::get(&stage, "/x").absolute_head();
    let answered = tokio::time::timeout(SOON, exchange(&mut io, &request)).await.expect("a place");
    assert_eq!((answered.status, stage.metrics.shed.value()), (200, 1));
}

#[tokio::test]
async fn tunnels_in_which_nothing_is_said_give_way_too() {
    let (mirror, elsewhere) = (Mirror::new().await, Scripted::new().await);
    for (authority, said) in [
        (format!("{S3}:443"), &b""[..]),
        // A greeting that has begun.
        (format!("{S3}:443"), &b"\x16\x03\x01"[..]),
        (format!("127.0.0.1:{}", elsewhere.address.port()), &b""[..]),
    ] {
        let mut wish = Wish::aws_at(mirror.address);
        wish.limits.connections = 2;
        let stage = Stage::with(wish).await;
        let (mut oldest, mut other) = (connect(&stage, &authority).await, connect(&stage, &authority).await);
        for io in [&mut oldest, &mut other] {
            io.write_all(said).await.unwrap();
        }

        let mut io = dial(&stage).await;
        let request = Signed::get(&stage, "/x").absolute_head();
        let answered = tokio::time::timeout(SOON, exchange(&mut io, &request)).await;
        let answered = answered.unwrap_or_else(|_| panic!("no place: {authority}"));
        assert_eq!((answered.status, stage.metrics.shed.value()), (200, 1), "{authority}, {said:?}");
        assert_eq!(rest(&mut oldest).await, b"", "the one that has waited longest");
        let still = tokio::time::timeout(IDLE, other.read(&mut [0])).await;
        assert!(still.is_err(), "one place is enough");
    }
}

#[tokio::test]
async fn connection_that_says_nothing_does_not_hold_up_the_end() {
    let mirror = Mirror::new().await;
    let stage = Stage::with(Wish::aws_at(mirror.address)).await;
    let _silent = dial(&stage).await;
    let _tunnel = connect(&stage, &format!("{S3}:443")).await;
    while stage.metrics.accepted.value() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.shutdown.begin();
    let drained = tokio::time::timeout(SOON, stage.running).await.expect("nothing runs").unwrap();
    assert_eq!(drained, Drained::Whole);
}
