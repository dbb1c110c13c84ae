//! Destinations that speak HTTP/2: each test says what they do with a request.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ca::{Host, Leaves, Mint, Root, Scope, ServerTls};
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::stage::{Stage, Wish};

/// One request at a destination.
pub(crate) struct Asked {
    pub(crate) request: Request<()>,
    pub(crate) body: RecvStream,
    pub(crate) respond: SendResponse<Bytes>,
    /// The connection that it came on, from 1.
    pub(crate) connection: usize,
}

impl Asked {
    /// The whole body, and what came after it.
    pub(crate) async fn whole(&mut self) -> (Vec<u8>, Option<http::HeaderMap>) {
        let mut whole = Vec::new();
        while let Some(data) = self.body.data().await {
            let data = data.unwrap();
            self.body.flow_control().release_capacity(data.len()).unwrap();
            whole.extend_from_slice(&data);
        }
        (whole, self.body.trailers().await.unwrap())
    }

    /// An answer of one piece.
    pub(crate) fn answer(&mut self, status: u16, body: impl Into<Bytes>) {
        let answer = Response::builder().status(status).body(()).unwrap();
        let mut stream = self.respond.send_response(answer, false).unwrap();
        stream.send_data(body.into(), true).unwrap();
    }
}

/// A destination that speaks HTTP/2, over TLS or not.
pub(crate) struct Destination {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _directory: TempDir,
    roots: PathBuf,
}

impl Destination {
    /// Over TLS; every request is handled beside the others.
    pub(crate) async fn new<F, R>(handle: F) -> Self
    where
        F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::with((true, Builder::new()), handle).await
    }

    pub(crate) async fn with<F, R>((is_secure, builder): (bool, Builder), handle: F) -> Self
    where
        F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let directory = tempfile::tempdir().unwrap();
        let (tls, roots) = localhost(&directory, &[b"h2", b"http/1.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            let tls = TlsAcceptor::from(tls.by_name().clone());
            while let Ok((io, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (tls, builder, handle) = (tls.clone(), builder.clone(), handle.clone());
                tokio::spawn(async move {
                    if is_secure {
                        let io = tls.accept(io).await.unwrap();
                        assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                        serve(io, (builder, number), handle).await;
                    } else {
                        serve(io, (builder, number), handle).await;
                    }
                });
            }
        });
        Self { address, connections, _directory: directory, roots }
    }

    /// The root that vouches for it.
    pub(crate) fn roots(&self) -> &Path {
        &self.roots
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A proxy for which all of AWS is here.
    pub(crate) fn wish(&self) -> Wish {
        let mut wish = Wish::aws_at(self.address);
        wish.endpoints = vec![("*amazonaws.com", format!("https://localhost:{}", self.address.port()))];
        wish.upstream_roots = Some(self.roots.clone());
        wish
    }

    pub(crate) async fn stage(&self) -> Stage {
        Stage::with(self.wish()).await
    }
}

async fn serve<I, F, R>(io: I, (builder, connection): (Builder, usize), handle: F)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let Ok(mut requests) = builder.handshake::<_, Bytes>(io).await else { return };
    while let Some(Ok((request, respond))) = requests.accept().await {
        let (head, body) = request.into_parts();
        let asked = Asked { request: Request::from_parts(head, ()), body, respond, connection };
        tokio::spawn(handle(asked));
    }
}

/// What a server on localhost presents, and the file with the root that vouches for it.
pub(crate) fn localhost(directory: &TempDir, alpn: &[&[u8]]) -> (ServerTls, PathBuf) {
    let hosts = ["localhost", "amazonaws.com"].map(|host| Host::parse(host).unwrap());
    // The proxy trusts by the machine's clock here, as it must towards real destinations.
    #[expect(clippy::disallowed_methods, reason = "rustls checks certificates by the real time")]
    let now = Timestamp::now();
    let root = Root::generate(&Scope::of(hosts).unwrap(), now, SignedDuration::from_hours(1)).unwrap();
    let path = directory.path().join("roots.pem");
    std::fs::write(&path, root.pem()).unwrap();
    let leaves = Leaves::new(Mint::new(root).unwrap(), Arc::new(move || now));
    (ServerTls::new(Arc::new(leaves), alpn).unwrap(), path)
}
