//! Our own HTTP routes on a listener: limits, time-outs, graceful end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::{Accepted, Listener, Shutdown};

/// For a whole request head to arrive: generous for a slow line, short for a slow-loris.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// For a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Our routes read no header of their own beyond a few; a request with more than this is not meant for us.
const MAX_HEADERS: usize = 64;

/// Bytes of a request head and its buffers.
const MAX_BUFFER: usize = 32 * 1024;

/// Serves `routes` until the shutdown begins; running requests finish within the drain's grace.
pub async fn router(listener: Listener, routes: Router, tls: Option<Arc<ServerConfig>>, shutdown: Shutdown) {
    let acceptor = tls.map(TlsAcceptor::from);
    while let Some((Accepted { stream, place, .. }, ())) = listener.accept(&shutdown, |_| Some(())).await {
        let (routes, acceptor, stopping) = (routes.clone(), acceptor.clone(), shutdown.clone());
        shutdown.spawn(async move {
            match acceptor {
                None => connection(stream, routes, stopping).await,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, routes, stopping).await,
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake took too long"),
                },
            }
            drop(place);
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, routes: Router, stopping: Shutdown) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopping.begun() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
