//! Destinations that are reached through another proxy.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use access::{Outcome, RefusalCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::destination::Mirror;
use crate::http2::program::{Program, request};
use crate::http2::{Asked, Destination, localhost};
use crate::lines::tls_mirror;
use crate::program::{S3, Signed, ask, connect, exchange, head, tls};
use crate::stage::{REAL_KEY, Stage, Wish, ways};

/// A proxy that leads everybody to one place, whatever they ask for, or answers them with a status.
struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    async fn new(to: Result<SocketAddr, u16>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::default();
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                let (heard, tls) = (Arc::clone(&heard), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => lead(io, to, &heard).await,
                        Some(tls) => lead(tls.accept(io).await.unwrap(), to, &heard).await,
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn lead<I: AsyncRead + AsyncWrite + Unpin>(mut io: I, to: Result<SocketAddr, u16>, heard: &Mutex<Vec<String>>) {
    let asked = head(&mut io).await;
    heard.lock().unwrap().push(asked.clone());
    match to {
        Ok(there) => {
            let mut there = TcpStream::connect(there).await.unwrap();
            if asked.starts_with("CONNECT ") {
                io.write_all(b"HTTP/1.1 200 Fine\r\nVia: x\r\n\r\n").await.unwrap();
            } else {
                there.write_all(asked.as_bytes()).await.unwrap();
            }
            drop(copy_bidirectional(&mut io, &mut there).await);
        }
        Err(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            io.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

/// Nothing of a cloud is anywhere but where its name says, and names lead nowhere on this machine.
async fn through(upstream: &Upstream, scheme: &str, no_proxy: &str, roots: Option<&Path>) -> Stage {
    let port = upstream.address.port();
    let rules = format!(
        "upstream: {{proxy: {{url: \"{scheme}://localhost:{port}\", credentials: \"${{env:UPSTREAM}}\", no_proxy: [{no_proxy}]}}}}"
    );
    let mut wish = Wish::aws_at(upstream.address);
    wish.endpoints = Vec::new();
    wish.ways = ways(&rules);
    wish.upstream_roots = roots.map(Path::to_owned);
    Stage::with(wish).await
}

/// `us:hunter2`.
const OURS: &str = "dXM6aHVudGVyMg==";

#[tokio::test]
async fn tunnel_is_asked_of_the_proxy_upstream_by_name_and_with_our_credentials() {
    let mirror = Mirror::new().await;
    let upstream = Upstream::new(Ok(mirror.address), None).await;
    let stage = through(&upstream, "http", "", None).await;
    let mut io = connect(&stage, "far.test:7").await;
    io.write_all(b"\x00 not http\r\n\r\n").await.unwrap();
    assert!(crate::program::answer(&mut io).await.body.contains("not http"));
    let asked = format!("CONNECT far.test:7 HTTP/1.1\r\nHost: far.test:7\r\nProxy-Authorization: Basic {OURS}\r\n\r\n");
    assert_eq!(upstream.asked(), [asked]);
}

#[tokio::test]
async fn clear_text_is_sent_with_its_whole_url_and_without_the_programs_own_credentials() {
    let mirror = Mirror::new().await;
    let upstream = Upstream::new(Ok(mirror.address), None).await;
    let stage = through(&upstream, "http", "", None).await;
    let request = "GET http://far.test/x?y HTTP/1.1\r\nHost: far.test\r\nProxy-Authorization: Basic dGhlaXJz\r\n\r\n";
    assert_eq!(ask(&stage, request).await.status, 200);
    let asked = upstream.asked().join("");
    assert!(asked.starts_with("GET http://far.test:80/x?y HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("proxy-authorization: Basic {OURS}\r\n")) && !asked.contains("dGhlaXJz"),
        "{asked}"
    );
}

#[tokio::test]
async fn countersigned_call_goes_through_in_tls_that_the_proxy_upstream_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let (mirror, roots) = tls_mirror(&directory).await;
    let upstream = Upstream::new(Ok(mirror.address), None).await;
    let stage = through(&upstream, "http", "", Some(&roots)).await;
    let mut io = tls(&stage, &format!("{S3}:443"), S3).await.unwrap();
    let answer = exchange(&mut io, &Signed::get(&stage, "/x").head()).await;
    assert!(answer.status == 200 && answer.body.contains(REAL_KEY), "{answer:?}");
    assert!(!answer.body.to_lowercase().contains("proxy-authorization"), "{answer:?}");
    assert!(upstream.asked().iter().all(|asked| asked.starts_with(&format!("CONNECT {S3}:443 "))));
}

#[tokio::test]
async fn proxy_upstream_may_itself_be_spoken_to_in_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, roots) = localhost(&directory, &[b"http/1.1"]);
    let mirror = Mirror::new().await;
    let upstream = Upstream::new(Ok(mirror.address), Some(TlsAcceptor::from(tls.by_name().clone()))).await;
    for (roots, status) in [(Some(&*roots), 200), (None, 502)] {
        let stage = through(&upstream, "https", "", roots).await;
        let answer = ask(&stage, "GET http://far.test/x HTTP/1.1\r\nHost: far.test\r\n\r\n").await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn loopback_and_what_no_proxy_names_are_reached_without_it() {
    let mirror = Mirror::new().await;
    let upstream = Upstream::new(Err(500), None).await;
    let stage = through(&upstream, "http", "near.test", None).await;
    for host in [mirror.address.to_string(), format!("localhost:{}", mirror.address.port())] {
        let answer = ask(&stage, &format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let answer = ask(&stage, "GET http://db.near.test/ HTTP/1.1\r\nHost: db.near.test\r\n\r\n").await;
    assert!(answer.status == 502 && answer.body.contains("cannot be resolved"), "{answer:?}");
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test]
async fn no_of_the_proxy_upstream_is_told_in_words() {
    for (status, said) in [(407, "asks for other credentials"), (403, "answered with status 403")] {
        let upstream = Upstream::new(Err(status), None).await;
        let stage = through(&upstream, "http", "", None).await;
        let answer = ask(&stage, "CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n").await;
        assert!(answer.status == 502 && answer.body.contains(said), "{answer:?}");
        assert!(!answer.body.contains("hunter2") && !answer.body.contains(OURS), "{answer:?}");
        assert!(matches!(stage.outcome().await, Outcome::Refused { code: RefusalCode::UpstreamUnavailable, .. }));
    }
}

#[tokio::test]
async fn name_that_only_its_address_could_allow_is_not_asked_of_the_proxy_upstream() {
    let upstream = Upstream::new(Err(500), None).await;
    let mut wish = Wish::aws_at(upstream.address);
    let url = format!("http://{}", upstream.address);
    wish.ways = ways(&format!(
        "egress: {{default: deny, allow: [10.0.0.0/8, good.test]}}, upstream: {{proxy: {{url: \"{url}\"}}}}"
    ));
    let stage = Stage::with(wish).await;
    for (host, status) in [("far.test", 403), ("good.test", 502)] {
        let answer = ask(&stage, &format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(upstream.asked().len(), 1);
}

/// Answers with what was asked for, and by which version of HTTP.
async fn told(mut asked: Asked) {
    let (body, _) = asked.whole().await;
    let said = format!("{:?} {} {}", asked.request.version(), asked.request.uri(), body.len());
    asked.answer(200, said);
}

#[tokio::test]
async fn http_2_goes_through_the_proxy_upstream_as_its_destination_speaks_it() {
    let destination = Destination::new(told).await;
    let upstream = Upstream::new(Ok(destination.address), None).await;
    let stage = through(&upstream, "http", "", Some(destination.roots())).await;
    let mut program = Program::new(&stage).await;
    for body in [&b""[..], b"hello"] {
        let answer = program.ask(request(&Signed::put(&stage, "/x", vec![])), body).await;
        let said = format!("HTTP/2.0 https://{S3}/x {}", body.len());
        assert_eq!((answer.status, &*answer.body), (200, said.as_bytes()));
    }
    assert_eq!(destination.connections(), 1, "what was asked for its choice is what is used");
    assert!(upstream.asked().iter().all(|asked| asked.starts_with(&format!("CONNECT {S3}:443 "))));
}

#[tokio::test]
async fn http_2_in_clear_text_is_led_through_a_tunnel_of_the_proxy_upstream() {
    let destination = Destination::with((false, h2::server::Builder::new()), told).await;
    let upstream = Upstream::new(Ok(destination.address), None).await;
    let stage = through(&upstream, "http", "", None).await;
    let mut program = Program::in_clear(&stage, "far.test:50051").await;
    let call = http::Request::post("http://far.test:50051/pkg.Service/Method").body(()).unwrap();
    let answer = program.ask(call, b"hello").await;
    assert_eq!(&*answer.body, b"HTTP/2.0 http://far.test:50051/pkg.Service/Method 5");
    let asked = upstream.asked();
    assert!(
        asked.iter().all(|asked| asked.starts_with("CONNECT far.test:50051 ") && asked.contains(OURS)),
        "{asked:?}"
    );
}
