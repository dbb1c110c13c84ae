//! The way to destinations: connections kept per origin. Over HTTP/1.1 each carries one request at a time, over HTTP/2
//! many.

mod again;
mod dial;
mod dialled;
mod hub;
mod lane;
mod line;
mod names;
mod pool;
mod seats;
mod slot;
mod trunk;
mod via;
mod windows;
mod wire;

pub(crate) use dial::{DialError, Dialer, Era, Outbound};
pub(crate) use hub::Hub;
pub(crate) use lane::Lane;
pub(crate) use line::Line;
pub(crate) use pool::Pool;
pub(crate) use seats::Seats;
pub(crate) use slot::Slot;
pub(crate) use via::Via;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use serve::Shutdown;
use tokio::time::Instant;

use self::again::Again;
use self::hub::Way;
use self::slot::{Early, Found};
use crate::places::destination::Destination;
use crate::wire::arriving::{ArrivalError, Arriving};
use crate::wire::body::{BodyError, RequestBody};
use crate::wire::protocol::Protocol;

/// How often a request is sent in all, where the destination has surely not begun with it.
const TRIES: usize = 4;

/// Dials, keeps and hands out connections to destinations.
#[derive(Debug)]
pub(crate) struct Upstreams {
    dialer: Dialer,
    pool: Arc<Pool>,
    shutdown: Shutdown,
}

/// An answer whose head is here, and what its body still comes on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Arriving>,
    pub(crate) carrier: Carrier,
}

/// What an answer comes on. Whoever reads the answer drives it.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// A connection of its own.
    Line(Box<Line>),
    /// Its part of a connection.
    Lane(Box<Lane>),
}

impl Answered {
    /// Reads the body to its end, or `limit` bytes of it and a frame at most, and lets `look` see and change its data.
    pub(crate) async fn look_ahead(
        &mut self,
        limit: usize,
        look: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ArrivalError> {
        let (mut data, mut trailers) = (Vec::new(), None);
        while data.len() < limit && trailers.is_none() && !self.response.body().is_end_stream() {
            let next = poll_fn(|cx| self.carrier.poll_frame(self.response.body_mut(), cx));
            let Some(frame) = next.await.transpose()? else { break };
            match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => trailers = Some(frame),
            }
        }
        look(&mut data);
        self.response.body_mut().give_back(data.into(), trailers);
        Ok(())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There was no connection to be had.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The request was sent, in part at least, and then something broke.
    #[error("the destination broke off before it had answered")]
    Broken(#[source] hyper::Error),
    /// The same, on a connection that other requests go on with.
    #[error("the destination broke off before it had answered")]
    Stream(#[from] h2::Error),
    /// The request's own body failed.
    #[error("the request's body ended early")]
    Body(#[source] BodyError),
    /// The destination takes no requests for other protocols, though it may have announced so once.
    #[error("the destination takes no WebSockets over HTTP/2")]
    NoProtocols,
    /// Nothing moved for too long.
    #[error("the destination did not answer in time")]
    Silent,
}

impl SendError {
    /// What a stream that failed means. Silence may end the connection before it ends the stream.
    fn of_stream(error: h2::Error) -> Self {
        match error.get_io().map(std::io::Error::kind) {
            Some(std::io::ErrorKind::TimedOut) => Self::Silent,
            Some(_) | None => Self::Stream(error),
        }
    }
}

impl Carrier {
    /// Moves whatever can be moved besides the answer.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Line(line) => line.drive(cx),
            Self::Lane(lane) => lane.drive(cx),
        }
    }

    /// The next frame of the answer. A line is driven only when nothing is there: its reads fill one frame at a time.
    pub(crate) fn poll_frame(
        &mut self,
        arriving: &mut Arriving,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ArrivalError>>> {
        let mut frame = Pin::new(&mut *arriving).poll_frame(cx);
        if frame.is_pending() {
            self.drive(cx);
            frame = Pin::new(arriving).poll_frame(cx);
        }
        match self {
            Self::Lane(lane) if frame.is_ready() => lane.moved(),
            Self::Lane(lane) => return lane.poll_silence(cx).map(|()| Some(Err(ArrivalError::Silent))),
            // Its connection is watched.
            Self::Line(_) => {}
        }
        frame
    }
}

impl Upstreams {
    /// Nothing is dialled until it is needed.
    pub(crate) fn new(dialer: Dialer, shutdown: Shutdown) -> Self {
        Self { dialer, pool: Arc::default(), shutdown }
    }

    /// Another way to make connections. Those that were made before end with what is under way on them.
    pub(crate) fn through(&self, dialer: Dialer) -> Self {
        let (era, before) = (self.dialer.era.next(), &self.dialer.seats);
        // Connections that were made before go on for a while, and count.
        let same = before.per_host() == dialer.seats.per_host();
        let dialer = Dialer { era, seats: if same { before.clone() } else { dialer.seats }, ..dialer };
        Self { dialer, pool: self.pool.clone(), shutdown: self.shutdown.clone() }
    }

    /// What the sweeper works on.
    pub(crate) const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The dialer, for tunnels.
    pub(crate) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A place for what a connection from a program uses that speaks `protocol`.
    pub(crate) fn slot(&self, protocol: Protocol) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(self.pool.clone(), protocol));
        self.pool.watch(&slot);
        slot
    }

    /// What `origin` speaks, as far as that can be told without asking.
    pub(crate) fn speaks(&self, origin: &Destination) -> Option<Protocol> {
        self.pool.hub(origin, self.dialer.era).speaks()
    }

    /// Asks `origin` whether it speaks HTTP/2, by dialling it: a slot for a program that does, or else speaks
    /// `otherwise`. The connection is kept for the first request, and so is a failure.
    pub(crate) async fn ask(&self, origin: &Destination, otherwise: Protocol) -> Arc<Slot> {
        let found = match self.pool.hub(origin, self.dialer.era).way(&self.dialer, &self.shutdown).await {
            Ok(Way::Place(_)) => return self.slot(Protocol::Http2),
            Ok(Way::Line(line)) => Ok(line),
            Err(error) => Err(error),
        };
        let slot = self.slot(otherwise);
        match found {
            Ok(line) => slot.put(line),
            Err(error) => slot.put_early(Early::failed((origin.clone(), self.dialer.era), error)),
        }
        slot
    }

    /// Sees to it that a connection to `origin` is there soon: one that is kept, or one that is dialled while
    /// `meanwhile` runs (the program's own handshake).
    pub(crate) async fn prepare<T>(&self, slot: &Slot, origin: &Destination, meanwhile: impl Future<Output = T>) -> T {
        let Some(mut early) = self.begin(slot, origin).await else { return meanwhile.await };
        tokio::pin!(meanwhile);
        let done = poll_fn(|cx| {
            early.poll_on(cx);
            meanwhile.as_mut().poll(cx)
        });
        let done = done.await;
        slot.put_early(early);
        done
    }

    /// Begins to dial, if nothing is at hand.
    async fn begin(&self, slot: &Slot, origin: &Destination) -> Option<Early> {
        if slot.has_early(origin, self.dialer.era) {
            return None;
        }
        let (dialer, wanted, under) = (self.dialer.clone(), origin.clone(), (origin.clone(), self.dialer.era));
        if slot.protocol() == Protocol::Http2 {
            let (hub, shutdown) = (self.pool.hub(origin, dialer.era), self.shutdown.clone());
            if hub.place().is_some() {
                return None;
            }
            return Some(Early::new(under, async move { hub.way(&dialer, &shutdown).await.map(Found::from) }));
        }
        if let Some(line) = self.kept(slot, origin).await {
            slot.put(line);
            return None;
        }
        // Nobody moves what is dialled early but who asks for it: it must not stand in a queue.
        let seat = dialer.seats.free(origin)?;
        Some(Early::new(under, async move { dialer.line_on(seat, &wanted).await.map(Found::Line) }))
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// A kept connection may turn out closed at the moment of sending: as long as nothing of the request was written,
    /// it is sent on another; over HTTP/2 the destination may say that it has not begun with a request. Once anything was
    /// written, the program decides about another try, not we; but a request that may be asked twice, and whose body is
    /// at hand, is sent once more on a new connection if the kept one is closed without a byte of an answer.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
        origin: &Destination,
        slot: &Slot,
    ) -> Result<Answered, SendError> {
        match slot.protocol() {
            Protocol::Http1 => self.send_alone(request, origin, slot).await,
            Protocol::Http2 => Box::pin(self.send_among_others(request, origin, slot)).await,
        }
    }

    async fn send_alone(
        &self,
        mut request: Request<RequestBody>,
        origin: &Destination,
        slot: &Slot,
    ) -> Result<Answered, SendError> {
        let mut is_repeated = false;
        loop {
            let kept = if is_repeated { None } else { self.kept(slot, origin).await };
            let kept = match kept {
                Some(line) => Some(line).inspect(|_| self.pool.reused.add(1)),
                None => self.counted(slot.early(origin, self.dialer.era).await)?.inspect(|_| self.pool.fresh.add(1)),
            };
            let (line, is_fresh) = match kept {
                Some(line) => (line, false),
                None => {
                    let dialled = self.counted(Box::pin(self.dialer.line(origin)).await)?;
                    self.pool.fresh.add(1);
                    (dialled, true)
                }
            };
            match line.send(request).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => match failed.again {
                    Again::Unbegun(unsent) if !is_fresh => request = *unsent,
                    Again::Idempotent(again) => {
                        self.pool.repeated.add(1);
                        (request, is_repeated) = (*again, true);
                    }
                    Again::Unbegun(_) | Again::No => return Err(SendError::Broken(failed.error)),
                },
            }
        }
    }

    /// Counts what could not be dialled.
    fn counted<T>(&self, dialled: Result<T, DialError>) -> Result<T, DialError> {
        dialled.inspect_err(|_| self.pool.failed.add(1))
    }

    async fn send_among_others(
        &self,
        mut request: Request<RequestBody>,
        origin: &Destination,
        slot: &Slot,
    ) -> Result<Answered, SendError> {
        let hub = slot.hub(origin, self.dialer.era);
        let mut tries = 1..=TRIES;
        let mut broke = None;
        loop {
            tries.next();
            let way = match broke {
                Some(broke) => self.counted(hub.way_since(Some(broke), &self.dialer, &self.shutdown).await)?,
                None => self.way(&hub, origin, slot).await?,
            };
            let place = match way {
                Way::Place(place) if asks_for_protocol(&request) && !place.trunk().takes_protocols() => {
                    return Err(SendError::NoProtocols);
                }
                Way::Place(place) => place,
                Way::Line(_) if asks_for_protocol(&request) => return Err(SendError::NoProtocols),
                Way::Line(line) => {
                    slot.put(line);
                    join_cookies(request.headers_mut());
                    return self.send_alone(request, origin, slot).await;
                }
            };
            let trunk = place.trunk().clone();
            match place.send(request, origin, self.dialer.idle_timeout).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => {
                    if failed.ends_the_trunk() {
                        hub.forget(&trunk);
                    }
                    match failed.again {
                        Again::Unbegun(again) if !tries.is_empty() => request = *again,
                        Again::Idempotent(again) if !tries.is_empty() => {
                            self.pool.repeated.add(1);
                            (request, broke) = (*again, Some(Instant::now()));
                        }
                        Again::Unbegun(_) | Again::Idempotent(_) | Again::No => return Err(failed.error),
                    }
                }
            }
        }
    }

    /// A way to `origin`: what is at hand, what was dialled early, or a new one.
    async fn way(&self, hub: &Arc<Hub>, origin: &Destination, slot: &Slot) -> Result<Way, DialError> {
        if let Some(place) = hub.place() {
            self.pool.reused.add(1);
            return Ok(Way::Place(place));
        }
        if let Some(line) = self.counted(slot.early(origin, self.dialer.era).await)? {
            return Ok(Way::Line(line));
        }
        if hub.speaks() == Some(Protocol::Http1) {
            return match self.kept(slot, origin).await {
                Some(line) => Ok(Way::Line(line)),
                None => self.counted(self.dialer.line(origin).await).map(Way::Line),
            };
        }
        let way = self.counted(hub.way(&self.dialer, &self.shutdown).await)?;
        if matches!(way, Way::Place(_)) {
            self.pool.fresh.add(1);
        }
        Ok(way)
    }

    /// A line that was used before and is still alive.
    async fn kept(&self, slot: &Slot, origin: &Destination) -> Option<Box<Line>> {
        while let Some(mut line) =
            slot.take(origin, self.dialer.era).or_else(|| self.pool.take(origin, self.dialer.era))
        {
            if poll_fn(|cx| Poll::Ready(line.is_alive(cx))).await {
                return Some(line);
            }
        }
        None
    }
}

/// Whether a request asks for another protocol on its stream (RFC 8441 §4).
fn asks_for_protocol<B>(request: &Request<B>) -> bool {
    request.extensions().get::<h2::ext::Protocol>().is_some()
}

/// HTTP/2 may send cookies in pieces, HTTP/1.1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() < 2 {
        return;
    }
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}
