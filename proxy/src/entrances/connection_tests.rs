//! Connections that rest between requests, against hyper's own server.

use http::Response;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::wire::guard::Patience;

const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
const LONG: Duration = Duration::from_secs(5);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection to a server that answers with the request's body after `takes`; and what each server in use holds.
struct World {
    program: DuplexStream,
    serving: JoinHandle<bool>,
    servers: Arc<()>,
    shutdown: Shutdown,
}

impl World {
    fn new(takes: Duration) -> Self {
        let (program, io) = duplex(4096);
        let (servers, shutdown) = (Arc::new(()), Shutdown::new());
        let (guard, held, stop) = (Guard::new(io, BytesMut::new(), PATIENCE), servers.clone(), shutdown.clone());
        let ledger = guard.ledger();
        let service = service_fn(move |request: Request<Incoming>| {
            let (held, ledger) = (held.clone(), ledger.clone());
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                sleep(takes).await;
                ledger.answer_ended();
                drop(held);
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let wanted = Wanted::default();
        let serving = tokio::spawn(async move { go_on(guard, service, &stop, &wanted).await.is_ok() });
        Self { program, serving, servers, shutdown }
    }

    /// How many hold the service: this test, whoever makes servers, and a server.
    fn has_server(&self) -> bool {
        Arc::strong_count(&self.servers) > 2
    }

    async fn ask(&mut self, request: &[u8]) -> String {
        self.program.write_all(request).await.unwrap();
        self.hear().await
    }

    /// An answer with a body of at most 9 bytes.
    async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            heard.push(self.program.read_u8().await.unwrap());
        }
        let head = String::from_utf8(heard).unwrap();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let mut body = vec![0; length[..1].parse().unwrap()];
        self.program.read_exact(&mut body).await.unwrap();
        head + std::str::from_utf8(&body).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn connection_rests_without_a_server_and_loses_nothing() {
    let mut world = World::new(Duration::ZERO);
    for _ in 0..3 {
        assert!(world.ask(GET).await.starts_with("HTTP/1.1 200"));
        assert!(world.has_server());
        sleep(LONG).await;
        assert!(!world.has_server());
    }
    for byte in GET {
        world.program.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_millis(300)).await;
    }
    assert!(world.hear().await.starts_with("HTTP/1.1 200"));
    sleep(LONG).await;
    let two = [GET, b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"].concat();
    assert!(world.ask(&two).await.ends_with("\r\n\r\n"));
    assert!(world.hear().await.ends_with("ab"));
}

#[tokio::test(start_paused = true)]
async fn connection_does_not_rest_while_anything_is_under_way() {
    let mut world = World::new(LONG);
    assert!(world.ask(GET).await.starts_with("HTTP/1.1 200"), "an answer that takes its time");
    world.program.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab").await.unwrap();
    sleep(LONG).await;
    assert!(world.has_server(), "a body that takes its time");
    assert!(world.ask(b"cd").await.ends_with("abcd"));
    world.program.write_all(&GET[..9]).await.unwrap();
    sleep(LONG).await;
    assert!(world.has_server(), "a head that has begun");
    assert!(world.ask(&GET[9..]).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn resting_connection_ends_with_its_program_its_patience_or_the_proxy() {
    let ends: [fn(&mut World) -> Duration; 3] = [
        |world| {
            world.program = duplex(1).0;
            Duration::ZERO
        },
        |_| PATIENCE.idle,
        |world| {
            world.shutdown.begin();
            Duration::ZERO
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let mut world = World::new(Duration::ZERO);
        world.ask(GET).await;
        sleep(LONG).await;
        assert!(!world.has_server() && !world.serving.is_finished(), "{number}");
        sleep(end(&mut world)).await;
        sleep(Duration::from_millis(1)).await;
        assert!(world.serving.is_finished(), "{number}");
        assert!(world.serving.await.unwrap(), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_after_a_rest_is_refused() {
    let mut world = World::new(Duration::ZERO);
    world.ask(GET).await;
    sleep(LONG).await;
    let bad = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    // The test's service knows nothing of refusals: what counts is that the server reads the substitute, and then no more.
    assert!(world.ask(bad).await.contains("connection: close"));
    assert_eq!(world.program.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn head_that_begins_after_a_rest_has_no_longer_than_any_other() {
    let mut world = World::new(Duration::ZERO);
    world.ask(GET).await;
    sleep(LONG).await;
    let (mut heard, mut said) = tokio::io::split(world.program);
    let trickle = tokio::spawn(async move {
        while said.write_all(b"G").await.is_ok() {
            sleep(Duration::from_secs(3)).await;
        }
    });
    let ended = tokio::time::timeout(PATIENCE.head * 2, heard.read(&mut [0])).await.expect("it is cut off");
    assert_eq!(ended.unwrap(), 0);
    trickle.abort();
}
