//! Servers on loopback: accepting, counting, answering, and ending with the test.

use std::future::Future;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::faults::{Fault, Faults};

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection, as the stage reads and writes it.
pub(crate) type Wire = BufReader<Box<dyn Duplex>>;

/// A server; it ends when this is dropped, with all its connections.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Served {
    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves on a free port; `handle` gets every connection with its number, from 1.
pub(crate) async fn serve<F, R>(tls: Option<Arc<ServerConfig>>, handle: F) -> Served
where
    F: Fn(Wire, usize) -> R + Clone + Send + 'static,
    R: Future<Output = Result<()>> + Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let acceptor = tls.map(TlsAcceptor::from);
    let accepting = tokio::spawn(async move {
        let mut running = JoinSet::new();
        while let Ok((stream, _)) = socket.accept().await {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            let (acceptor, handle) = (acceptor.clone(), handle.clone());
            running.spawn(async move {
                let stream: Box<dyn Duplex> = match acceptor {
                    None => Box::new(stream),
                    Some(acceptor) => Box::new(acceptor.accept(stream).await?),
                };
                handle(BufReader::new(stream), number).await
            });
        }
    });
    Served { address, connections, accepting: accepting.abort_handle() }
}

/// An answer of a server.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".into(), content_type.into())], body: body.into() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Writes it, or what `fault` makes of it; `false`: the connection has to end.
    pub(crate) async fn send(
        self,
        wire: &mut Wire,
        method: &str,
        (faults, fault): (&Faults, Option<Fault>),
    ) -> Result<bool> {
        let Self { status, headers, mut body } = self;
        match fault {
            Some(Fault::Stall) => faults.stall().await,
            Some(Fault::CloseBeforeAnswer) => return Ok(false),
            Some(Fault::Noise) => {
                wire.write_all(b"\x00\x16 this is not the service that you asked for\r\n\r\n").await?;
                wire.flush().await?;
                return Ok(false);
            }
            Some(Fault::Garbage) => body = b"<html>welcome to the hotel's network".to_vec(),
            _ => {}
        }
        let is_chunked = headers.iter().any(|(name, _)| name == "Transfer-Encoding");
        if is_chunked {
            body = in_chunks(&body);
        }
        let mut head = format!("HTTP/1.1 {status} -\r\n");
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status != 204 && !is_chunked {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        if fault == Some(Fault::CloseInAnswerHead) {
            wire.write_all(&head.as_bytes()[..head.len() / 2]).await?;
            wire.flush().await?;
            return Ok(false);
        }
        if method == "HEAD" {
            body.clear();
        }
        let cut = if fault == Some(Fault::CloseInAnswerBody) { body.len() / 2 } else { body.len() };
        wire.write_all(&[head.as_bytes(), &body[..cut]].concat()).await?;
        wire.flush().await?;
        Ok(fault != Some(Fault::CloseInAnswerBody))
    }
}

/// A body in HTTP's chunks (RFC 9112 §7.1).
pub(crate) fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    // Sizes of no relation to those of anything inside.
    for piece in body.chunks(10_007) {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}
