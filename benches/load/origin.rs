//! The destination: TLS, keep-alive, 1 KiB to every GET, [`stage::STREAM`] bytes to `/stream`, any body drained and counted.
//! It answers the token service's one question as well, in clear text, because a credential is needed to start; it verifies
//! nothing, but shows what a signature it was asked with: what one costs is measured here, that it is right is tested elsewhere.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::multipart;
use crate::stage;

/// A piece of the stream, as large as a server reads from a disk at once.
const PIECE: usize = 64 * 1024;

/// Serves until the process is ended. Says its two ports: TLS, clear text.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let tls = TcpListener::bind("127.0.0.1:0").await?;
    let clear = TcpListener::bind("127.0.0.1:0").await?;
    let acceptor = TlsAcceptor::from(stage::server_tls(&stage::own_root()?, &[b"http/1.1"])?);
    say(&[&tls, &clear])?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = clear.accept().await {
            tokio::spawn(connection(TokioIo::new(stream)));
        }
    });
    loop {
        let stream = accept(&tls).await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                connection(TokioIo::new(stream)).await;
            }
        });
    }
}

/// Tells whoever started this role where it listens.
pub(crate) fn say(listeners: &[&TcpListener]) -> anyhow::Result<()> {
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port().to_string()));
    let line = ports.collect::<anyhow::Result<Vec<_>>>()?.join(" ");
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

/// The next connection, without Nagle.
pub(crate) async fn accept(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let (stream, _) = listener.accept().await.context("cannot accept")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What answers are made of.
pub(crate) fn piece() -> Bytes {
    Bytes::from(vec![b'x'; PIECE])
}

async fn connection(io: impl hyper::rt::Read + hyper::rt::Write + Unpin) {
    let piece = piece();
    // A client that hangs up ends a measurement, nothing more.
    let _ended = http1::Builder::new().serve_connection(io, service_fn(|request| answer(request, piece.clone()))).await;
}

pub(crate) async fn answer(
    request: Request<Incoming>,
    piece: Bytes,
) -> Result<Response<Either<Full<Bytes>, Stream>>, Infallible> {
    let exchange = request.uri().path() == "/" && request.method() == hyper::Method::POST;
    if request.uri().path() == "/stream" && request.method() == hyper::Method::GET {
        return Ok(Response::new(Either::Right(Stream { piece, left: stage::STREAM })));
    }
    if request.uri().path() == stage::SHOWN {
        let shown = request.headers().get(AUTHORIZATION).map_or(&b"none"[..], HeaderValue::as_bytes);
        return Ok(Response::new(Either::Left(Full::new(Bytes::copy_from_slice(shown)))));
    }
    let begins = request.uri().query() == Some(multipart::BEGIN);
    let mut body = request.into_body();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
    let answer = match received {
        _ if exchange => Bytes::from_static(stage::SESSION.as_bytes()),
        _ if begins => Bytes::from_static(multipart::BEGUN.as_bytes()),
        0 => piece.slice(..1024),
        received => Bytes::from(received.to_string()),
    };
    Ok(Response::new(Either::Left(Full::new(answer))))
}

/// The same piece, again and again.
pub(crate) struct Stream {
    piece: Bytes,
    left: u64,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let now = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        self.left -= now as u64;
        Poll::Ready((now > 0).then(|| Ok(Frame::data(self.piece.slice(..now)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
