//! The destination: TLS, keep-alive, 1 KiB to every GET, any body drained. It answers the token service's one question
//! as well, in clear text, because a credential is needed to start; it verifies nothing: what a signature costs is
//! measured here, that it is right is tested elsewhere.

use std::convert::Infallible;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::stage;

/// Serves until the process is ended. Prints its two ports: TLS, clear text.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let tls = TcpListener::bind("127.0.0.1:0").await?;
    let clear = TcpListener::bind("127.0.0.1:0").await?;
    let acceptor = TlsAcceptor::from(stage::server_tls(&stage::own_root()?)?);
    println!("{} {}", tls.local_addr()?.port(), clear.local_addr()?.port());
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

/// The next connection, without Nagle.
pub(crate) async fn accept(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let (stream, _) = listener.accept().await.context("cannot accept")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connection(io: impl hyper::rt::Read + hyper::rt::Write + Unpin) {
    let body = Bytes::from(vec![b'x'; 1024]);
    let served = http1::Builder::new().serve_connection(io, service_fn(|request| answer(request, body.clone())));
    if let Err(error) = served.await {
        eprintln!("origin: {error}");
    }
}

async fn answer(request: Request<Incoming>, kibibyte: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let exchange = request.uri().path() == "/" && request.method() == hyper::Method::POST;
    let mut body = request.into_body();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
    let answer = match (exchange, received) {
        (true, _) => Bytes::from(stage::SESSION),
        (false, 0) => kibibyte,
        (false, received) => Bytes::from(received.to_string()),
    };
    Ok(Response::new(Full::new(answer)))
}
