//! A body on its way here, over whichever version of HTTP it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body that another side sends.
#[derive(Debug)]
pub(crate) enum Arriving {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// Over HTTP/2, as one stream of a connection.
    Http2(Strand),
    /// No body.
    Nothing,
    /// Either, and its beginning was read before.
    Begun(Box<Begun>),
}

/// A body whose beginning was read before.
#[derive(Debug)]
pub(crate) struct Begun {
    read: VecDeque<Frame<Bytes>>,
    rest: Arriving,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub(crate) struct Strand {
    stream: RecvStream,
    /// Bytes to come, where the head says how many. The library holds the stream to it.
    left: Option<u64>,
    /// Whether the data has ended, so that only trailers may come.
    data_ended: bool,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArrivalError {
    /// Its connection broke, or its framing.
    #[error(transparent)]
    Http1(hyper::Error),
    /// Its stream was reset, or its connection broke.
    #[error(transparent)]
    Http2(h2::Error),
    /// Nothing has moved on its stream for too long.
    #[error("nothing has moved for too long")]
    Silent,
}

impl Arriving {
    /// The body that comes on `stream` after a head with `headers`.
    pub(crate) fn on(stream: RecvStream, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let left = if stream.is_end_stream() { Some(0) } else { length };
        Self::Http2(Strand { stream, left, data_ended: false })
    }
}

impl Arriving {
    /// Gives back what was read of it, so that it comes again.
    pub(crate) fn give_back(&mut self, data: Bytes, trailers: Option<Frame<Bytes>>) {
        let data = Some(data).filter(|data| !data.is_empty()).map(Frame::data);
        let read: VecDeque<_> = data.into_iter().chain(trailers).collect();
        if !read.is_empty() {
            let rest = std::mem::replace(self, Self::Nothing);
            *self = Self::Begun(Box::new(Begun { read, rest }));
        }
    }
}

impl Strand {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = match ready!(self.stream.poll_data(cx)) {
            Some(Ok(data)) => data,
            Some(Err(error)) if self.is_early_end(&error) => return Poll::Ready(None),
            other => return Poll::Ready(other),
        };
        // Whoever asks for a frame has passed the last one on, so the sender may send as much again. It fails only for
        // more than was received.
        self.stream.flow_control().release_capacity(data.len())?;
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Poll::Ready(Some(Ok(data)))
    }

    /// A whole answer may be followed by a reset that only says "send no more" (RFC 9113 §8.1).
    fn is_early_end(&self, error: &h2::Error) -> bool {
        error.is_remote() && error.reason() == Some(Reason::NO_ERROR) && self.left.is_none_or(|left| left == 0)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            match ready!(self.poll_data(cx)) {
                Some(data) => return Poll::Ready(Some(data.map(Frame::data))),
                None => self.data_ended = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => trailers.map(Frame::trailers).map(Ok),
            Err(error) if self.is_early_end(&error) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = ArrivalError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ArrivalError>>> {
        match self.get_mut() {
            Self::Http1(incoming) => Pin::new(incoming).poll_frame(cx).map_err(ArrivalError::Http1),
            Self::Http2(strand) => strand.poll_frame(cx).map_err(ArrivalError::Http2),
            Self::Begun(begun) => match begun.read.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(&mut begun.rest).poll_frame(cx),
            },
            Self::Nothing => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(strand) => strand.stream.is_end_stream(),
            Self::Begun(begun) => begun.read.is_empty() && begun.rest.is_end_stream(),
            Self::Nothing => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(strand) => strand.left.map(SizeHint::with_exact).unwrap_or_default(),
            Self::Begun(begun) => {
                let read = begun.read.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
                let rest = begun.rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(read));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(read));
                }
                hint
            }
            Self::Nothing => SizeHint::with_exact(0),
        }
    }
}
