//! A program that speaks HTTP/2.

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::header::HOST;
use http::{HeaderMap, Request, Response};

use crate::program::{S3, Signed, connect, tls_offering};
use crate::stage::Stage;

/// A connection of a program on which requests are sent at once.
#[derive(Clone)]
pub(crate) struct Program(pub(crate) SendRequest<Bytes>);

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Program {
    /// Over TLS to S3, as its destination has chosen.
    pub(crate) async fn new(stage: &Stage) -> Self {
        let io = tls_offering(stage, (&format!("{S3}:443"), S3), &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(io).await
    }

    /// Without TLS, in a tunnel: it knows that its destination speaks HTTP/2.
    pub(crate) async fn in_clear(stage: &Stage, authority: &str) -> Self {
        Self::over(connect(stage, authority).await).await
    }

    /// One that takes no byte of any answer.
    pub(crate) async fn that_reads_nothing(stage: &Stage) -> Self {
        let io = tls_offering(stage, (&format!("{S3}:443"), S3), &[b"h2", b"http/1.1"]).await.unwrap();
        Self::with(Builder::new().initial_window_size(0), io).await
    }

    async fn over<I>(io: I) -> Self
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        Self::with(&Builder::new(), io).await
    }

    async fn with<I>(builder: &Builder, io: I) -> Self
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        Self(sender)
    }

    /// Sends a head; the body goes on through what comes back.
    pub(crate) async fn begin(&mut self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = self.0.clone().ready().await.unwrap();
        sender.send_request(request, ends).unwrap()
    }

    /// A request and its whole answer.
    pub(crate) async fn ask(&mut self, request: Request<()>, body: &[u8]) -> Whole {
        let (answer, mut stream) = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
        }
        whole(answer.await.unwrap()).await.unwrap()
    }
}

/// What is left of an answer.
pub(crate) async fn whole(answer: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body: body.into(), trailers })
}

/// A signed request as HTTP/2 has it.
pub(crate) fn request(signed: &Signed<'_>) -> Request<()> {
    at("https", signed)
}

/// The same with another scheme.
pub(crate) fn at(scheme: &str, signed: &Signed<'_>) -> Request<()> {
    let parts = signed.parts();
    let mut request = Request::builder().method(parts.method).uri(format!("{scheme}://{}{}", signed.host, parts.uri));
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != HOST) {
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}
