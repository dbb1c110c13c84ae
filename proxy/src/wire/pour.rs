//! Pours a body into an HTTP/2 stream, no faster than the other side takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

/// A body and the stream that it goes into. At most one frame of it is held at a time: what the other side does not
/// take is not asked for.
#[derive(Debug)]
pub(crate) struct Pour<B> {
    body: B,
    into: SendStream<Bytes>,
    /// What the body gave and the other side has not taken yet.
    held: Bytes,
    /// Nothing was asked of the body yet.
    is_whole: bool,
    /// The body ends with what is held.
    is_last: bool,
    /// Counts what happens, so that silence can be told.
    moves: u64,
}

/// Why it ended early.
#[derive(Debug)]
pub(crate) enum Spilt<E> {
    /// The body failed.
    Body(E),
    /// The stream did, or the other side wants no more.
    Stream(h2::Error),
}

impl<B: Body<Data = Bytes> + Unpin> Pour<B> {
    /// Nothing moves before it is polled.
    pub(crate) const fn new(body: B, into: SendStream<Bytes>) -> Self {
        Self { body, into, held: Bytes::new(), is_whole: true, is_last: false, moves: 0 }
    }

    /// The body, for what else it has to do than be poured.
    pub(crate) const fn body(&mut self) -> &mut B {
        &mut self.body
    }

    /// Whether nothing was asked of the body yet.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.is_whole
    }

    /// The body, if nothing was asked of it yet.
    pub(crate) fn untouched(self) -> Option<B> {
        self.is_whole.then_some(self.body)
    }

    /// Whether the other side has to take something before there is more to do.
    pub(crate) const fn waits_for_room(&self) -> bool {
        !self.held.is_empty()
    }

    /// How often something has moved.
    pub(crate) const fn moves(&self) -> u64 {
        self.moves
    }

    /// Ends the stream before its time.
    pub(crate) fn reset(&mut self, reason: Reason) {
        self.into.send_reset(reason);
    }

    /// Moves what can be moved; ready when all of it is in the stream.
    pub(crate) fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Spilt<B::Error>>> {
        loop {
            if let Poll::Ready(reset) = self.into.poll_reset(cx) {
                return Poll::Ready(Err(Spilt::Stream(reset.map_or_else(|error| error, h2::Error::from))));
            }
            if !self.held.is_empty() {
                if ready!(self.poll_send(cx)).map_err(Spilt::Stream)? {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            self.is_whole = false;
            let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
            self.moves += 1;
            let Some(frame) = frame else {
                return Poll::Ready(self.into.send_data(Bytes::new(), true).map_err(Spilt::Stream));
            };
            match frame.map_err(Spilt::Body)?.into_data() {
                Ok(data) => {
                    self.is_last = self.body.is_end_stream();
                    if data.is_empty() && self.is_last {
                        return Poll::Ready(self.into.send_data(data, true).map_err(Spilt::Stream));
                    }
                    // Only for what is in hand: capacity that waits for a body is kept from other streams.
                    self.into.reserve_capacity(data.len());
                    self.held = data;
                }
                Err(frame) => {
                    let Ok(trailers) = frame.into_trailers() else { continue };
                    return Poll::Ready(self.into.send_trailers(trailers).map_err(Spilt::Stream));
                }
            }
        }
    }

    /// Sends as much of what is held as the other side takes; `true` if that was the end.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        let mut room = self.into.capacity();
        while room == 0 {
            room = match ready!(self.into.poll_capacity(cx)) {
                Some(room) => room?,
                None => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
            };
        }
        let now = self.held.split_to(room.min(self.held.len()));
        let ends = self.is_last && self.held.is_empty();
        self.into.send_data(now, ends)?;
        self.moves += 1;
        Poll::Ready(Ok(ends))
    }
}
