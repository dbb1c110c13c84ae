//! The destination of the soak: what [`crate::origin`] does, over HTTP/2 too, and WebSockets that say everything twice.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy, split};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::origin::{Stream, accept, answer, piece, say};
use crate::stage;

/// The answer to the key of [`super::work::SOCKET`] (RFC 6455 §1.3).
const ACCEPT: HeaderValue = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

/// Serves until the process is ended. Says its two ports: TLS, clear text.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let tls = TcpListener::bind("127.0.0.1:0").await?;
    let clear = TcpListener::bind("127.0.0.1:0").await?;
    let acceptor = TlsAcceptor::from(stage::server_tls(&stage::own_root()?, &[b"h2", b"http/1.1"])?);
    say(&[&tls, &clear])?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = clear.accept().await {
            tokio::spawn(alone(stream));
        }
    });
    loop {
        let stream = accept(&tls).await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor.accept(stream).await {
                Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => among_others(stream).await,
                Ok(stream) => alone(stream).await,
                // Whoever hangs up in the handshake has a reason of its own.
                Err(_) => {}
            }
        });
    }
}

/// HTTP/1.1.
async fn alone<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: I) {
    let piece = piece();
    let service = service_fn(move |request| {
        let piece = piece.clone();
        async move {
            if request.headers().contains_key(UPGRADE) {
                return Ok::<_, Infallible>(switch(request));
            }
            answer(request, piece).await
        }
    });
    // A client that hangs up ends its connection, nothing more.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(io), service).with_upgrades().await;
}

/// Gives back whatever comes.
fn switch(mut request: Request<Incoming>) -> Response<Either<Full<Bytes>, Stream>> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(socket) = upgrade.await {
            let (mut from, mut to) = split(TokioIo::new(socket));
            // It ends with the client.
            let _ended = copy(&mut from, &mut to).await;
        }
    });
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (hyper::header::SEC_WEBSOCKET_ACCEPT, ACCEPT),
    ]);
    response
}

/// HTTP/2: a kibibyte to whoever has said all.
async fn among_others<I: AsyncRead + AsyncWrite + Unpin>(io: I) {
    let Ok(mut requests) = h2::server::handshake(io).await else { return };
    while let Some(Ok((request, mut respond))) = requests.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let Ok(data) = data else { return };
                if body.flow_control().release_capacity(data.len()).is_err() {
                    return;
                }
            }
            if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
                // The client may have gone.
                let _sent = stream.send_data(piece().slice(..1024), true);
            }
        });
    }
}
