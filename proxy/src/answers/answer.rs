//! The body of an answer on its way down: relayed as it comes, or a refusal's text.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use access::{Refusal, RefusalCode};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::answers::trouble::Stop;
use crate::books::record::Entry;
use crate::upstream::{Answered, Carrier, Slot};
use crate::wire::arriving::{ArrivalError, Arriving};
use crate::wire::hop;

/// An answer's body.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// What a refusal says.
    Text(Option<Bytes>),
    /// What the destination sends.
    Relayed(Relay),
    /// Nothing, or nothing more.
    Empty,
}

/// A body that is being relayed. It drives what it comes on, gives a line back at the end, and then closes the
/// request's record.
#[derive(Debug)]
pub(crate) struct Relay {
    arriving: Arriving,
    carrier: Carrier,
    slot: Arc<Slot>,
    entry: Box<Entry>,
    /// Why it breaks off, until that is told.
    failed: Option<ArrivalError>,
}

/// Refuses an answer that says twice how long it is. Our reader believes the chunks and the program's may believe the length,
/// so that somebody's answer would end early, and what is left be taken for the next (RFC 9112 §6.3).
pub(crate) fn refuse_two_lengths(headers: &HeaderMap) -> Result<(), Stop> {
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        let why = "the destination's answer has both Content-Length and Transfer-Encoding";
        return Err(Stop::Broken(Refusal::new(RefusalCode::UpstreamUnavailable, why)));
    }
    Ok(())
}

/// Passes an answer on, without what was meant for this hop.
pub(crate) async fn relay(answered: Answered, slot: Arc<Slot>, mut entry: Box<Entry>) -> Response<AnswerBody> {
    let Answered { response, carrier } = answered;
    let (mut head, arriving) = response.into_parts();
    hop::strip_response(&mut head.headers);
    entry.answered(&head);
    let mut relay = Relay { arriving, carrier, slot, entry, failed: None };
    if relay.arriving.is_end_stream() || head.status == StatusCode::NO_CONTENT {
        std::future::poll_fn(|cx| {
            relay.end(cx);
            Poll::Ready(())
        })
        .await;
        relay.into_empty(head)
    } else {
        Response::from_parts(head, AnswerBody::Relayed(relay))
    }
}

impl Relay {
    /// The answer is whole: the line is free for the next request, unless the last one's body is still on its way.
    fn end(&mut self, cx: &mut Context<'_>) {
        self.entry.whole();
        self.carrier.drive(cx);
    }

    fn into_empty(self, head: http::response::Parts) -> Response<AnswerBody> {
        self.finish();
        Response::from_parts(head, AnswerBody::Empty)
    }

    fn finish(self) {
        let Self { carrier, slot, entry, .. } = self;
        match carrier {
            Carrier::Line(line) if line.is_free() => slot.put(line),
            // A lane that ends before its request's body resets it: nobody reads on.
            Carrier::Line(_) | Carrier::Lane(_) => {}
        }
        drop(entry);
    }
}

impl AnswerBody {
    /// Moves what else belongs to the exchange, while the program takes nothing of the answer.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Self::Relayed(relay) = self {
            relay.carrier.drive(cx);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ArrivalError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ArrivalError>>> {
        let this = self.get_mut();
        let relay = match this {
            Self::Empty => return Poll::Ready(None),
            Self::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Relayed(relay) => relay,
        };
        if let Some(error) = relay.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(relay.carrier.poll_frame(&mut relay.arriving, cx));
        match frame {
            Some(Ok(ref frame)) => relay.entry.carry_down(frame.data_ref().map_or(0, |data| data.len() as u64)),
            Some(Err(error)) => {
                relay.entry.broken(crate::answers::refuse::with_causes(&error));
                // The server throws away what it has not written yet when it hears of an error: the head, for one. Told a
                // turn later, the program hears what came, and that it is not all.
                relay.failed = Some(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {}
        }
        // The server asks for nothing after the last byte of a known length, nor after trailers: the end is acted on here.
        let is_last = |frame: &Frame<Bytes>| frame.is_trailers() || relay.arriving.is_end_stream();
        if frame.as_ref().is_none_or(|frame| frame.as_ref().is_ok_and(is_last)) {
            relay.end(cx);
            if let Self::Relayed(relay) = std::mem::replace(this, Self::Empty) {
                relay.finish();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Text(None) => true,
            Self::Text(Some(text)) => text.is_empty(),
            Self::Relayed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Text(None) => SizeHint::with_exact(0),
            Self::Text(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Self::Relayed(relay) => relay.arriving.size_hint(),
        }
    }
}
