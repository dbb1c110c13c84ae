//! Requests of one connection, one after the other (HTTP/1.1).

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::Request;
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use lease::Lessor;
use serve::{Shutdown, Wanted};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::answers::refuse::with_causes;
use crate::entrances::intercept::Caller;
use crate::pipeline::Conversation;
use crate::places::aim::Aim;
use crate::upstream::Slot;
use crate::wire::arriving::Arriving;
use crate::wire::guard::Guard;
use crate::wire::head::MAX_HEADERS;
use crate::wire::interim::Mouth;
use crate::wire::ledger::Ledger;
use crate::wire::lent::lend;

/// Bytes read ahead, and of an answer that waits for a slow program, per connection.
const MAX_BUFFER: usize = 128 * 1024;

/// Where the requests of a connection come through, and where the line upstream is kept for them.
pub(crate) type Way = (Option<Aim>, Arc<Slot>);

/// How long a connection keeps its HTTP server between two requests, and its place. The server's buffers are most of what
/// an idle connection takes, and making another one costs next to nothing.
pub(super) const REST: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// One side had enough.
    Over,
    /// It rested, and its place was wanted.
    GaveWay,
}

/// Serves requests until either side has had enough. `held`: what was read of them already. `wanted` tells when the
/// connection's place is: it gives way while it rests.
pub(crate) async fn serve<I, L>(io: I, held: BytesMut, (app, client): Caller<L>, way: Way, wanted: &Wanted)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    L: Lessor,
{
    let (guard, shutdown, metrics) = (Guard::new(io, held, app.patience()), app.shutdown.clone(), app.metrics.clone());
    let ledger = guard.ledger();
    let (conversation, heard) = (Conversation::new(app, client, way, ledger.clone()), ledger.clone());
    let conversation = Arc::new(conversation);
    let service = service_fn(move |request: Request<Incoming>| {
        let (conversation, ledger) = (conversation.now(), heard.clone());
        let mouth = Mouth::of_connection(&ledger, request.version());
        // In a box: between requests there is none.
        Box::pin(async move {
            let answer = conversation.answer(request.map(Arriving::Http1), mouth).await;
            ledger.aside().close();
            Ok::<_, Infallible>(answer)
        })
    });
    let ended = go_on(guard, service, &shutdown, wanted).await;
    // What goes on in another protocol, on a task of its own, keeps the connection's place.
    poll_fn(|cx| ledger.poll_sockets_over(cx)).await;
    match ended {
        Ok(Ended::Over) => {}
        Ok(Ended::GaveWay) => metrics.shed.add(1),
        Err(error) => tracing::debug!(cause = with_causes(&*error), "connection of a program ended early"),
    }
}

/// Serves requests as long as they come, and rests between them.
async fn go_on<I, S, B>(
    mut guard: Guard<I>,
    service: S,
    shutdown: &Shutdown,
    wanted: &Wanted,
) -> Result<Ended, Box<dyn Error + Send + Sync>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B, Error = Infallible> + Clone,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    loop {
        match Box::pin(converse(guard, service.clone(), shutdown)).await? {
            Some(resting) => guard = resting,
            None => return Ok(Ended::Over),
        }
        let ended = tokio::select! {
            // What is here already is heard, whatever else happens.
            biased;
            says_more = guard.says_more() => if says_more? { continue } else { Ended::Over },
            () = shutdown.begun() => Ended::Over,
            () = wanted.waits() => Ended::GaveWay,
        };
        guard.shutdown().await?;
        return Ok(ended);
    }
}

/// Serves requests until there is no more to say, or none for a while: then the connection comes back.
async fn converse<I, S, B>(guard: Guard<I>, service: S, shutdown: &Shutdown) -> Result<Option<Guard<I>>, hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let ledger = guard.ledger();
    let (lent, home) = lend(guard);
    let mut requests = Box::pin(
        http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(lent), service)
            .with_upgrades(),
    );
    tokio::select! {
        // What is here already is heard, whatever else happens.
        biased;
        ended = requests.as_mut() => ended.map(|()| None),
        () = shutdown.begun() => {
            requests.as_mut().graceful_shutdown();
            requests.await.map(|()| None)
        }
        () = rests(&ledger) => {
            drop(requests);
            Ok(home.take())
        }
    }
}

/// Ready when no request has come for a while, and nothing of the last one is left to do.
async fn rests(ledger: &Ledger) {
    let mut seen = None;
    loop {
        poll_fn(|cx| ledger.poll_settled(cx)).await;
        tokio::time::sleep(REST / 2).await;
        let now = ledger.at_rest();
        if now.is_some() && now == seen {
            return;
        }
        seen = now;
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
