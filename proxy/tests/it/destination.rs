//! Destinations: one that tells what it saw, and ones that follow a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::program::head;

/// A destination that answers each request with what it saw of it.
pub(crate) struct Mirror {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Mirror {
    pub(crate) async fn new() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with_tls(config: Arc<ServerConfig>) -> Self {
        Self::with(Some(TlsAcceptor::from(config))).await
    }

    async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => mirror(io).await,
                        Some(tls) => {
                            if let Ok(io) = tls.accept(io).await {
                                mirror(io).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Answers with the head and the body as they came on the wire, until the connection ends.
async fn mirror<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) {
    loop {
        let head = head(&mut io).await;
        if head.is_empty() {
            return;
        }
        let body = body(&mut io, &head).await;
        let seen = format!("{head}{body}");
        let length = if head.starts_with("HEAD ") { String::new() } else { seen.clone() };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: Sun, 05 Jul 2026 12:00:00 GMT\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\r\n{length}",
            seen.len()
        );
        if io.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body on the wire, chunk framing included.
async fn body<I: AsyncRead + Unpin>(io: &mut I, head: &str) -> String {
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some((_, rest)) = lower.split_once("\r\ncontent-length: ") {
        body.resize(rest.split("\r\n").next().unwrap().parse().unwrap(), 0);
        io.read_exact(&mut body).await.unwrap();
    } else if lower.contains("\r\ntransfer-encoding: chunked") {
        while chunk(io, &mut body).await {}
    }
    String::from_utf8(body).unwrap()
}

/// One chunk, or the last one with its trailers, as it is on the wire; `false` if it was the last.
async fn chunk<I: AsyncRead + Unpin>(io: &mut I, body: &mut Vec<u8>) -> bool {
    let Some(size) = line(io, body).await else { return false };
    let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
    if size == 0 {
        while line(io, body).await.is_some_and(|line| !line.is_empty()) {}
        return false;
    }
    let mut data = vec![0; size + 2];
    io.read_exact(&mut data).await.unwrap();
    body.extend(data);
    true
}

/// A line without its end; none where the connection ends.
async fn line<I: AsyncRead + Unpin>(io: &mut I, body: &mut Vec<u8>) -> Option<String> {
    let start = body.len();
    while !body[start..].ends_with(b"\r\n") {
        body.push(io.read_u8().await.ok()?);
    }
    Some(String::from_utf8(body[start..body.len() - 2].to_vec()).unwrap())
}

/// A destination whose connections the test itself plays.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    accepted: mpsc::Receiver<TcpStream>,
}

impl Scripted {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((io, _)) = listener.accept().await {
                if sender.send(io).await.is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }

    pub(crate) async fn connection(&mut self) -> TcpStream {
        self.accepted.recv().await.unwrap()
    }
}
