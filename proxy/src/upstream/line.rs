//! One connection to a destination. Whoever works with it drives it: there is no task of its own, so both sides of a
//! program's connection stay on one thread.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use http::Request;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::again::{Again, Spare, is_end};
use super::dial::Era;
use super::seats::Seat;
use super::wire::{Heard, Wire};
use super::{Answered, Carrier};
use crate::places::destination::Destination;
use crate::wire::arriving::Arriving;
use crate::wire::body::RequestBody;
use crate::wire::head::MAX_HEADERS;

/// Longest head of an answer. CloudFront and S3 answer with a few KiB; user metadata may add 2 KiB.
pub(super) const MAX_ANSWER_HEAD: usize = 64 * 1024;

/// Bytes of an answer read ahead of the program, per line.
const MAX_BUFFER: usize = 128 * 1024;

/// A connection that carries one request at a time (HTTP/1.1). What carries many is a [`super::trunk::Trunk`].
#[derive(Debug)]
pub(crate) struct Line {
    origin: Destination,
    era: Era,
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Wire>, RequestBody>,
    is_closed: bool,
    /// It has brought an answer before.
    has_served: bool,
    heard: Heard,
    seat: Option<Arc<Seat>>,
    is_bound: bool,
    idle_since: Instant,
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(super) error: hyper::Error,
    pub(super) again: Again,
}

impl Line {
    /// Speaks HTTP/1.1 on `wire`.
    pub(crate) async fn new((origin, era): (Destination, Era), wire: Wire) -> Result<Box<Self>, hyper::Error> {
        let (heard, seat) = (wire.heard(), wire.seat());
        let (sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_ANSWER_HEAD)
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(wire))
            .await?;
        Ok(Box::new(Self {
            origin,
            era,
            sender,
            connection,
            is_closed: false,
            has_served: false,
            heard,
            seat,
            is_bound: false,
            idle_since: Instant::now(),
        }))
    }

    /// Where it leads.
    pub(crate) const fn origin(&self) -> &Destination {
        &self.origin
    }

    /// Whether it leads to `origin`, and was made as connections are made now.
    pub(crate) fn serves(&self, origin: &Destination, era: Era) -> bool {
        self.era == era && self.origin == *origin
    }

    /// Whether the destination knows by the connection who asks.
    pub(crate) const fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Whether somebody waits for it to end, because no more connections may be open to its destination.
    pub(crate) fn is_in_the_way(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.is_wanted())
    }

    /// Whether it has brought an answer.
    pub(crate) const fn has_served(&self) -> bool {
        self.has_served
    }

    /// Since when nothing is under way on it.
    pub(crate) const fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Says that nothing is under way any more.
    pub(crate) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }

    /// Moves whatever can be moved.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        // How it ended is told to whoever waits for the answer or its body.
        self.is_closed = self.is_closed || poll_once(&mut self.connection, cx).is_some();
    }

    /// Whether another request can be sent: the destination has not closed it, said anything unasked, or left the last
    /// request's body half read.
    pub(crate) fn is_alive(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.is_free()
    }

    /// Whether, as far as it was driven, nothing is under way on it and it is not closed.
    pub(crate) fn is_free(&self) -> bool {
        !self.is_closed && self.sender.is_ready()
    }

    /// What is below HTTP, after the destination has changed to another protocol; and what it has said in it.
    pub(crate) async fn into_wire(mut self: Box<Self>) -> (Wire, BytesMut) {
        // It stops at the change of protocol, once it has seen it.
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf.into())
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// A destination may close a connection that it has kept just when we send on it. Without a byte of an answer that is
    /// no fault of the request, so one that may be asked twice is worth another try; on a connection that was never used
    /// it is a fault.
    pub(crate) async fn send(mut self: Box<Self>, request: Request<RequestBody>) -> Result<Answered, Failed> {
        let spare = self.has_served.then(|| Spare::of_idempotent(&request)).flatten();
        self.heard.nothing_yet();
        self.is_bound |= binds(request.headers(), &AUTHORIZATION);
        let answer = self.sender.try_send_request(request);
        let mut answer = pin!(answer);
        let (connection, is_closed) = (&mut self.connection, &mut self.is_closed);
        let answer = poll_fn(|cx| {
            if !*is_closed {
                *is_closed = poll_once(connection, cx).is_some();
            }
            answer.as_mut().poll(cx)
        });
        match answer.await {
            Ok(response) => {
                self.has_served = true;
                self.is_bound |= binds(response.headers(), &WWW_AUTHENTICATE);
                Ok(Answered { response: response.map(Arriving::Http1), carrier: Carrier::Line(self) })
            }
            Err(mut failed) => {
                let unsent = failed.take_message();
                let error = failed.into_error();
                let again = match (unsent, spare) {
                    (Some(unsent), _) => Again::Unbegun(Box::new(unsent)),
                    (None, Some(spare)) if has_ended(&error) && !self.heard.anything() => spare.repeated(),
                    (None, _) => Again::No,
                };
                Err(Failed { error, again })
            }
        }
    }
}

/// Whether the connection was closed before the answer.
fn has_ended(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.source().and_then(|cause| cause.downcast_ref()).is_some_and(is_end)
}

/// Whether a header logs the connection in, and not only the request: what came on it after that would come from whoever
/// did (RFC 4559 §6; MS-NTHT §1.3).
fn binds(headers: &HeaderMap, name: &HeaderName) -> bool {
    let logs_in = |challenge: &[u8]| {
        let scheme = challenge.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    };
    headers.get_all(name).iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(logs_in))
}

/// Polls `future` once, to see whether it is done.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F, cx: &mut Context<'_>) -> Option<F::Output> {
    match Pin::new(future).poll(cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
