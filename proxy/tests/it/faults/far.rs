//! The far end of a connection, which ends as the test says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http2::localhost;
use crate::program::head;
use crate::stage::Wish;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A TCP reset.
    Reset,
    /// The end of the stream; under TLS without the word that it is one.
    Cut,
    /// The same with TLS's `close_notify` before it.
    Goodbye,
}

/// One connection, seen from its far end.
pub(crate) enum Far {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Where connections arrive.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    tls: Option<(Arc<ServerConfig>, PathBuf)>,
    _directory: TempDir,
}

impl Place {
    /// In clear text.
    pub(crate) async fn clear() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, listener, tls: None, _directory: tempfile::tempdir().unwrap() }
    }

    /// Over TLS, speaking `protocol`.
    pub(crate) async fn tls(protocol: &[u8]) -> Self {
        let mut place = Self::clear().await;
        let (tls, roots) = localhost(&place._directory, &[protocol]);
        place.tls = Some((tls.by_name().clone(), roots));
        place
    }

    /// All of AWS is here.
    pub(crate) fn wish(&self) -> Wish {
        let mut wish = Wish::aws_at(self.address);
        if let Some((_, roots)) = &self.tls {
            wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", self.address.port()))];
            wish.upstream_roots = Some(roots.clone());
        }
        wish
    }

    /// The next connection, before anything was said on it.
    pub(crate) async fn raw(&self) -> TcpStream {
        let (tcp, _) = self.listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// The next connection.
    pub(crate) async fn far(&self) -> Far {
        self.over(self.raw().await).await
    }

    /// The connection on `tcp`.
    pub(crate) async fn over(&self, tcp: TcpStream) -> Far {
        match &self.tls {
            None => Far::Clear(tcp),
            Some((tls, _)) => Far::Tls(Box::new(TlsAcceptor::from(tls.clone()).accept(tcp).await.unwrap())),
        }
    }
}

impl Far {
    /// A request without a body.
    pub(crate) async fn asked(&mut self) -> String {
        match self {
            Self::Clear(io) => head(io).await,
            Self::Tls(io) => head(io.as_mut()).await,
        }
    }

    pub(crate) async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        match self {
            Self::Clear(io) => io.read_exact(&mut read).await.unwrap(),
            Self::Tls(io) => io.read_exact(&mut read).await.unwrap(),
        };
        read
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        match self {
            Self::Clear(io) => io.write_all(bytes).await.unwrap(),
            Self::Tls(io) => {
                io.write_all(bytes).await.unwrap();
                io.flush().await.unwrap();
            }
        }
    }

    /// Says what is no TLS.
    pub(crate) async fn say_below_tls(&mut self, bytes: &[u8]) {
        self.tcp().write_all(bytes).await.unwrap();
    }

    /// Ends the connection. Unless it is reset, the other side is heard out until it ends, too: what it still says.
    pub(crate) async fn end(mut self, end: End) -> Vec<u8> {
        match (end, &mut self) {
            (End::Reset, _) => {
                self.tcp().set_zero_linger().unwrap();
                return Vec::new();
            }
            (End::Goodbye, Self::Tls(io)) => io.shutdown().await.unwrap_or_default(),
            (End::Cut | End::Goodbye, _) => self.tcp().shutdown().await.unwrap_or_default(),
        }
        let mut rest = Vec::new();
        match &mut self {
            Self::Clear(io) => io.read_to_end(&mut rest).await,
            Self::Tls(io) => io.read_to_end(&mut rest).await,
        }
        .unwrap_or_default();
        rest
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Clear(io) => io,
            Self::Tls(io) => io.get_mut().0,
        }
    }
}
