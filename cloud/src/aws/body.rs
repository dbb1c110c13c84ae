//! A request body whose signed pieces are signed again while it streams.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::chain::Chain;
use super::chunk::{self, ChunkError};
use super::event::{self, EventError};
use super::payload::Payload;

/// Why such a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum ResignError<E: Error + 'static> {
    /// The client's body failed.
    #[error("the client's body failed")]
    Client(#[source] E),
    /// A piece was refused.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// HTTP trailers: the trailer of aws-chunked is part of the body, and nothing signs another one.
    #[error("HTTP trailers after a body that is signed in pieces are not passed on")]
    HttpTrailers,
}

/// Why a piece of a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// A chunk, or the framing around it.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// An event, or the framing around it.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// In what pieces a body is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// aws-chunked.
    Chunks(chunk::Framing),
    /// An event stream.
    Events,
}

/// Signs the pieces of a body again.
#[derive(Debug)]
pub enum Resigner {
    /// aws-chunked.
    Chunks(chunk::Resigner),
    /// An event stream.
    Events(event::Resigner),
}

impl Framing {
    /// Reads the head; `None` if the payload is not signed in pieces.
    pub fn declared(headers: &HeaderMap, payload: &Payload) -> Result<Option<Self>, ChunkError> {
        if payload.is_events() {
            return Ok(Some(Self::Events));
        }
        Ok(chunk::Framing::declared(headers, payload)?.map(Self::Chunks))
    }
}

impl Resigner {
    /// `inbound` begins at the client's verified signature, `outbound` at ours.
    pub fn new(framing: Framing, inbound: Chain, outbound: Chain) -> Self {
        match framing {
            Framing::Chunks(framing) => Self::Chunks(chunk::Resigner::new(inbound, outbound, framing)),
            Framing::Events => Self::Events(event::Resigner::new(inbound, outbound)),
        }
    }

    fn push(&mut self, data: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), PieceError> {
        match self {
            Self::Chunks(chunks) => Ok(chunks.push(data, out)?),
            Self::Events(events) => Ok(events.push(data, out)?),
        }
    }

    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), PieceError> {
        match self {
            Self::Chunks(chunks) => Ok(chunks.finish(out)?),
            Self::Events(events) => Ok(events.finish()?),
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Chunks(chunks) => chunks.held(),
            Self::Events(events) => events.held(),
        }
    }

    /// Whether a body that ends here is whole, and nothing is left to give out.
    fn may_end(&self) -> bool {
        match self {
            Self::Chunks(_) => false,
            Self::Events(events) => events.finish().is_ok(),
        }
    }
}

/// Takes the client's body and gives the same with our signatures, of the same length.
#[derive(Debug)]
pub struct ResignBody<B> {
    client: B,
    resigner: Resigner,
    ready: VecDeque<Bytes>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The client's body ended; what is ready is the rest.
    Ended,
    Failed,
}

impl<B> ResignBody<B> {
    /// Wraps the client's body.
    pub const fn new(client: B, resigner: Resigner) -> Self {
        Self { client, resigner, ready: VecDeque::new(), state: State::Reading }
    }
}

impl<B> ResignBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, B::Error>>) -> Result<(), ResignError<B::Error>> {
        let Some(frame) = frame else {
            self.resigner.finish(&mut self.ready)?;
            self.state = State::Ended;
            return Ok(());
        };
        let data = frame.map_err(ResignError::Client)?.into_data().map_err(|_| ResignError::HttpTrailers)?;
        Ok(self.resigner.push(data, &mut self.ready)?)
    }
}

impl<B> Body for ResignBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    type Data = Bytes;
    type Error = ResignError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(data) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if this.state != State::Reading {
                return Poll::Ready(None);
            }
            let frame = ready!(Pin::new(&mut this.client).poll_frame(cx));
            if let Err(error) = this.take(frame) {
                // Frames that are complete and verified are dropped too: the body will not be, so they are of no use.
                this.ready.clear();
                this.state = State::Failed;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = match self.state {
            State::Reading => self.client.is_end_stream() && self.resigner.may_end(),
            State::Ended | State::Failed => true,
        };
        ended && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let held = (self.resigner.held() + self.ready.iter().map(Bytes::len).sum::<usize>()) as u64;
        let client = self.client.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(client.lower().saturating_add(held));
        if let Some(upper) = client.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
