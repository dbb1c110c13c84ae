//! The load: HTTP/1.1 over TLS, directly or in a CONNECT tunnel, requests written from memory, answers read to their end.
//! It does as little as it can, because its cost is part of every figure.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// How the origin is reached.
#[derive(Clone)]
pub(crate) struct Route {
    /// The origin itself, or a proxy.
    pub(crate) address: SocketAddr,
    /// Whether to ask for a tunnel first.
    pub(crate) tunnel: bool,
    /// Trusts what answers there.
    pub(crate) tls: TlsConnector,
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Route {
    /// Connects to `host`, through the tunnel if it is one.
    pub(crate) async fn connect(&self, host: &str) -> anyhow::Result<Connection> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        if self.tunnel {
            stream.write_all(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n").as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head);
            ensure!(head.split(' ').nth(1) == Some("200"), "no tunnel: {head}");
        }
        let stream = self.tls.connect(ServerName::try_from(host.to_owned())?, stream).await.context("TLS")?;
        Ok(Connection { stream, buffer: Vec::new() })
    }
}

impl Connection {
    /// Sends `request` whole and reads the answer to its end; gives the time that took.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.answer().await?;
        Ok(begun.elapsed())
    }

    /// The same for whatever is answered; gives the status.
    pub(crate) async fn status(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.any_answer().await
    }

    /// The body of the last answer, as far as it fits.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.buffer)
    }

    /// The connection itself.
    pub(crate) fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    /// Sends `head`, then `total` bytes of body in pieces of `piece`, and reads the answer.
    pub(crate) async fn upload(&mut self, head: &[u8], piece: &[u8], total: u64) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.stream.write_all(head).await?;
        let mut left = total;
        while left > 0 {
            let part = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            self.stream.write_all(&piece[..part]).await?;
            left -= part as u64;
        }
        self.stream.flush().await?;
        self.answer().await?;
        Ok(begun.elapsed())
    }

    /// Sends `head` and a body in pieces that are there or made one by one, and reads the answer.
    pub(crate) async fn upload_pieces(
        &mut self,
        head: &[u8],
        pieces: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> anyhow::Result<()> {
        self.stream.write_all(head).await?;
        for piece in pieces {
            self.stream.write_all(piece.as_ref()).await?;
        }
        self.stream.flush().await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<()> {
        let status = self.any_answer().await?;
        ensure!(status == 200, "refused with {status}: {}", String::from_utf8_lossy(&self.buffer));
        Ok(())
    }

    async fn any_answer(&mut self) -> anyhow::Result<u16> {
        self.buffer.clear();
        self.buffer.reserve(READ);
        let (status, mut left) = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the connection ended before the answer");
            let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end])?;
            let status = head.split(' ').nth(1).context("a status")?.parse()?;
            let left = (end + 4 + content_length(head)?).checked_sub(self.buffer.len());
            break (status, left.context("more than the answer")?);
        };
        while left > 0 {
            self.buffer.clear();
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection ended within the answer");
            left = left.checked_sub(read).context("more than the answer")?;
        }
        Ok(status)
    }
}

fn content_length(head: &str) -> anyhow::Result<usize> {
    for line in head.split("\r\n") {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    bail!("the answer has no content-length: {head}")
}
