//! A request body whose signed chunks are signed again while it streams.

use std::collections::VecDeque;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::chunk::{ChunkError, Resigner};

/// Why such a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum ResignError<E: Error + 'static> {
    /// The client's body failed.
    #[error("the client's body failed")]
    Client(#[source] E),
    /// A chunk was refused.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// HTTP trailers: the trailer of aws-chunked is part of the body, and nothing signs another one.
    #[error("HTTP trailers after a chunk-signed body are not passed on")]
    HttpTrailers,
}

/// Takes the client's chunk-signed body and gives the same with our signatures, of the same length.
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
        self.state != State::Reading && self.ready.is_empty()
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
