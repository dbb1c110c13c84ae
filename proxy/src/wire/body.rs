//! What a request's body is on its way up: streamed as it comes, signed again piece by piece, or held whole.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use cloud::aws::body::{ResignBody, ResignError};
use cloud::aws::post::{PostBody, PostError};
use http_body::{Body, Frame, SizeHint};

use crate::wire::arriving::{ArrivalError, Arriving};
use crate::wire::expect::Gate;

/// The program's body, counted, and held back while its gate is closed.
#[derive(Debug)]
pub(crate) struct Upload {
    arriving: Arriving,
    gate: Option<Gate>,
    carried: Option<Arc<AtomicU64>>,
}

/// A request's body. The kinds are few and known, so nothing is boxed.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// As the program sends it.
    Streamed(Upload),
    /// The signatures of its pieces replaced by ours.
    Resigned(Box<ResignBody<Upload>>),
    /// Read to its end, because its hash had to be known.
    Held(Option<Bytes>),
    /// A form whose first fields are ours.
    Posted(Box<PostBody<Upload>>),
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The program went away, or broke HTTP's framing.
    #[error("the program's body ended early")]
    Program(#[source] ArrivalError),
    /// Its pieces are not signed as its head is.
    #[error("the program's body is not signed as its head is")]
    Resign(#[source] ResignError<ArrivalError>),
    /// A form goes on behind its file.
    #[error("the program's form cannot be passed on")]
    Post(#[source] PostError<ArrivalError>),
}

impl Upload {
    /// Takes the program's body; its bytes are added to `carried`.
    pub(crate) const fn new(arriving: Arriving, gate: Option<Gate>, carried: Option<Arc<AtomicU64>>) -> Self {
        Self { arriving, gate, carried }
    }

    /// The same without its gate: reading it tells the program to go on.
    pub(crate) fn ungated(self) -> Self {
        if let Some(gate) = &self.gate {
            gate.open();
        }
        Self { gate: None, ..self }
    }

    /// Lets the program begin, and gives what it sends; what was read of it can be given back.
    pub(crate) fn arriving(&mut self) -> &mut Arriving {
        if let Some(gate) = self.gate.take() {
            gate.open();
        }
        &mut self.arriving
    }

    /// Counts what was read of it and is not given back.
    pub(crate) fn has_carried(&self, bytes: usize) {
        if let Some(carried) = &self.carried {
            carried.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// As the program sends it.
    pub(crate) fn streamed(self) -> RequestBody {
        if self.is_end_stream() { RequestBody::Empty } else { RequestBody::Streamed(self) }
    }
}

/// What is held may be a form with a secret key in it.
impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Streamed(upload) => f.debug_tuple("Streamed").field(upload).finish(),
            Self::Resigned(body) => f.debug_tuple("Resigned").field(body).finish(),
            Self::Held(bytes) => write!(f, "Held({} bytes)", bytes.as_ref().map_or(0, Bytes::len)),
            Self::Posted(body) => f.debug_tuple("Posted").field(body).finish(),
        }
    }
}

impl RequestBody {
    /// The same once more, where it is at hand.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Held(bytes) => Some(Self::Held(bytes.clone())),
            Self::Streamed(_) | Self::Resigned(_) | Self::Posted(_) => None,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = ArrivalError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ArrivalError>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.poll_open(cx));
            self.gate = None;
        }
        let frame = ready!(Pin::new(&mut self.arriving).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let (Some(data), Some(carried)) = (frame.data_ref(), &self.carried)
        {
            carried.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.arriving.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.arriving.size_hint()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Streamed(upload) => Pin::new(upload).poll_frame(cx).map_err(BodyError::Program),
            Self::Resigned(resigned) => Pin::new(resigned.as_mut()).poll_frame(cx).map_err(|error| match error {
                ResignError::Client(error) => BodyError::Program(error),
                ResignError::Piece(_) | ResignError::HttpTrailers => BodyError::Resign(error),
            }),
            Self::Held(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Posted(posted) => Pin::new(posted.as_mut()).poll_frame(cx).map_err(|error| match error {
                PostError::Client(error) => BodyError::Program(error),
                PostError::AfterFile => BodyError::Post(error),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Held(None) => true,
            Self::Held(Some(bytes)) => bytes.is_empty(),
            Self::Streamed(upload) => upload.is_end_stream(),
            Self::Resigned(resigned) => resigned.is_end_stream(),
            Self::Posted(posted) => posted.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Held(None) => SizeHint::with_exact(0),
            Self::Held(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(upload) => upload.size_hint(),
            Self::Resigned(resigned) => resigned.size_hint(),
            Self::Posted(posted) => posted.size_hint(),
        }
    }
}
