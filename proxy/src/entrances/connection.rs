//! Requests of one connection, one after the other (HTTP/1.1).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lease::Lessor;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answers::refuse::with_causes;
use crate::app::App;
use crate::client::Client;
use crate::pipeline::Conversation;
use crate::places::aim::Aim;
use crate::upstream::Slot;
use crate::wire::arriving::Arriving;
use crate::wire::guard::Guard;
use crate::wire::head::MAX_HEADERS;

/// Bytes read ahead, and of an answer that waits for a slow program, per connection.
const MAX_BUFFER: usize = 128 * 1024;

/// Where the requests of a connection come through, and where the line upstream is kept for them.
pub(crate) type Way = (Option<Aim>, Arc<Slot>);

/// Serves requests until either side has had enough. `held`: what was read of them already.
pub(crate) async fn serve<I, L>(io: I, held: BytesMut, (app, client): (Arc<App<L>>, Client), way: Way)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    L: Lessor,
{
    let guard = Guard::new(io, held, app.patience());
    let shutdown = app.shutdown.clone();
    let conversation = Arc::new(Conversation::new(app, client, way, guard.ledger()));
    let service = service_fn(move |request: Request<Incoming>| {
        let conversation = conversation.now();
        // In a box: between requests there is none.
        Box::pin(async move { Ok::<_, Infallible>(conversation.answer(request.map(Arriving::Http1)).await) })
    });
    let requests = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(guard), service)
        .with_upgrades();
    let mut requests = pin!(requests);
    let ended = tokio::select! {
        ended = requests.as_mut() => ended,
        () = shutdown.begun() => {
            requests.as_mut().graceful_shutdown();
            requests.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(cause = with_causes(&error), "connection of a program ended early");
    }
}
