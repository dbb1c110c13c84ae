//! One request on an HTTP/2 connection. Like a line it is driven by whoever works with it: while the answer comes down,
//! the request's body goes on up.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri, Version};
use http_body::Body;

use super::again::{Again, Spare, is_end};
use super::trunk::Place;
use super::{Answered, Carrier, SendError};
use crate::places::destination::{Destination, Scheme};
use crate::wire::arriving::Arriving;
use crate::wire::body::{BodyError, RequestBody};
use crate::wire::interim::Ear;
use crate::wire::pour::{Pour, Spilt};
use crate::wire::silence::Silence;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What is left of its body.
    pour: Option<Pour<RequestBody>>,
    moves: u64,
    /// The destination has said something of an answer.
    is_heard: bool,
    silence: Silence,
    idle: Duration,
    place: Place,
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(super) error: SendError,
    pub(super) again: Again,
}

impl Failed {
    /// Whether the connection takes no more requests. One that is silent may lead nowhere: what is under way on it waits
    /// for its own time-out, and nothing else has to.
    pub(crate) fn ends_the_trunk(&self) -> bool {
        match &self.error {
            SendError::Stream(error) => !error.is_reset(),
            SendError::Silent => true,
            SendError::Dial(_) | SendError::Broken(_) | SendError::Body(_) | SendError::NoProtocols => false,
        }
    }
}

/// Refused before anything was done with it (RFC 9113 §8.7): by name, or because the destination stopped taking
/// requests before this one. The library tells the latter only to requests above the last one that was taken.
fn is_unprocessed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

impl Place {
    /// Sends `request` to `origin` and waits for the head of its answer; `idle`: how long nothing may move.
    pub(crate) async fn send(
        self,
        request: Request<RequestBody>,
        origin: &Destination,
        idle: Duration,
    ) -> Result<Answered, Failed> {
        let mut sender = match self.sender().await {
            Ok(sender) => sender,
            Err(error) => return Err(Failed { error: error.into(), again: Again::Unbegun(Box::new(request)) }),
        };
        let spare = Spare::of(&request);
        let (mut answer, pour) = match begin(&mut sender, request, origin) {
            Ok(begun) => begun,
            Err((error, body)) => {
                return Err(Failed { error: error.into(), again: spare.unbegun(Some(body)) });
            }
        };
        drop(sender);
        let ear: Option<Ear> = spare.head().extensions.get().cloned();
        let mut lane =
            Box::new(Lane { pour, moves: 0, is_heard: false, silence: Silence::default(), idle, place: self });
        match poll_fn(|cx| lane.poll_head(&mut answer, ear.as_ref(), cx)).await {
            Ok(response) => {
                lane.place.served();
                let (head, stream) = response.into_parts();
                let body = Arriving::on(stream, &head.headers);
                Ok(Answered { response: Response::from_parts(head, body), carrier: Carrier::Lane(lane) })
            }
            Err(SendError::Stream(error)) => {
                let untouched = lane.pour.take().and_then(Pour::untouched);
                let again = lane.again(&error, (spare, untouched));

                Err(Failed { error: SendError::of_stream(error), again })
            }
            Err(error) => Err(Failed { error, again: Again::No }),
        }
    }
}

type Begun = (ResponseFuture, Option<Pour<RequestBody>>);

/// Sends the head; the body comes back if that fails.
fn begin(
    sender: &mut SendRequest<Bytes>,
    request: Request<RequestBody>,
    origin: &Destination,
) -> Result<Begun, (h2::Error, RequestBody)> {
    let (head, body) = request.into_parts();
    let is_whole = body.is_end_stream();
    let sent = sender.send_request(Request::from_parts(translated(head, origin, &body), ()), is_whole);
    match sent {
        Ok((answer, _)) if is_whole => Ok((answer, None)),
        Ok((answer, stream)) => Ok((answer, Some(Pour::new(body, stream)))),
        Err(error) => Err((error, body)),
    }
}

/// A head as HTTP/2 has it: the place of `Host` is taken by `:authority` (RFC 9113 §8.3.1), and nothing is said of the
/// connection (§8.2.2). What is signed as `host` is what stands there.
fn translated(mut head: Parts, origin: &Destination, body: &RequestBody) -> Parts {
    let host = head.headers.remove(HOST);
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    if let Some(length @ 1..) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.scheme = Some(match origin.scheme {
        Scheme::Http => http::uri::Scheme::HTTP,
        Scheme::Https => http::uri::Scheme::HTTPS,
    });
    uri.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
    // Without an authority the library refuses what is sent, and every request names its host.
    head.uri = Uri::from_parts(uri).unwrap_or_default();
    head.version = Version::HTTP_2;
    head
}

impl Lane {
    fn poll_head(
        &mut self,
        answer: &mut ResponseFuture,
        ear: Option<&Ear>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, SendError>> {
        if let Err(error) = self.poll_up(cx) {
            return Poll::Ready(Err(SendError::Body(error)));
        }
        while let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
            self.silence.broken();
            match interim {
                Ok(interim) => {
                    self.is_heard = true;
                    ear.iter().for_each(|ear| ear.hear(interim.status(), interim.headers()));
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        match Pin::new(answer).poll(cx) {
            Poll::Ready(answered) => {
                self.silence.broken();
                Poll::Ready(answered.map_err(SendError::Stream))
            }
            Poll::Pending => self.poll_silence(cx).map(|()| Err(SendError::Silent)),
        }
    }

    /// Whether what failed so is sent again.
    fn again(&self, error: &h2::Error, (spare, untouched): (Spare, Option<RequestBody>)) -> Again {
        if is_unprocessed(error) {
            return spare.unbegun(untouched);
        }
        // As on a line: where the connection was good before, and has brought nothing of an answer.
        let has_ended = error.get_io().is_some_and(is_end);
        if has_ended && self.place.trunk().has_served() && !self.is_heard { spare.repeated() } else { Again::No }
    }

    /// Moves the body up as far as the destination takes it.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        let Some(pour) = &mut self.pour else { return Ok(()) };
        let poured = pour.poll_through(cx);
        if pour.moves() != self.moves {
            self.moves = pour.moves();
            self.silence.broken();
        }
        match poured {
            Poll::Pending => return Ok(()),
            // It wants no more of it, or is gone: what it has answered, or why not, is told with the answer.
            Poll::Ready(Err(Spilt::Stream(_))) if pour.is_untouched() => return Ok(()),
            Poll::Ready(Ok(()) | Err(Spilt::Stream(_))) => self.pour = None,
            Poll::Ready(Err(Spilt::Body(error))) => {
                pour.reset(Reason::CANCEL);
                self.pour = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Moves whatever can be moved besides the answer.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.poll_up(cx) {
            // The stream is reset: the answer ends early, and says so.
            tracing::debug!(%error, "a request's body ended early");
        }
    }

    /// Something of the answer came.
    pub(crate) const fn moved(&mut self) {
        self.silence.broken();
    }

    /// Ready when neither direction has moved for too long.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.silence.poll_for(cx, self.idle)
    }
}
