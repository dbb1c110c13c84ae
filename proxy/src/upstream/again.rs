//! Requests that got no answer, and whether they may be sent again.

use std::io::{self, ErrorKind};

use http::Request;
use http::request::Parts;

use crate::wire::body::RequestBody;

/// A request that got no answer.
#[derive(Debug)]
pub(super) enum Again {
    /// It is the program's to repeat: the destination may have begun with it, or it is not at hand any more.
    No,
    /// The destination has surely not begun with it.
    Unbegun(Box<Request<RequestBody>>),
    /// The destination may have, but asking twice is as good as asking once.
    Idempotent(Box<Request<RequestBody>>),
}

/// What a request is made of again.
pub(super) struct Spare {
    head: Parts,
    /// Its body, where that is at hand.
    body: Option<RequestBody>,
}

/// Marks a request that is on its way for the second time. There is no third.
#[derive(Debug, Clone, Copy)]
struct Repeated;

impl Spare {
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        Self::with(request, request.body().again())
    }

    /// The same, if the request may be asked twice.
    pub(super) fn of_idempotent(request: &Request<RequestBody>) -> Option<Self> {
        let may_be = request.method().is_idempotent() && !is_repeated(request.extensions());
        let body = may_be.then(|| request.body().again()).flatten()?;
        Some(Self::with(request, Some(body)))
    }

    fn with(request: &Request<RequestBody>, body: Option<RequestBody>) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        head.headers = request.headers().clone();
        head.extensions = request.extensions().clone();
        Self { head, body }
    }

    /// Its head.
    pub(super) const fn head(&self) -> &Parts {
        &self.head
    }

    /// The request, which was not begun with, if nothing of its body is lost: what was not asked for any of it yet comes
    /// back as `untouched`.
    pub(super) fn unbegun(self, untouched: Option<RequestBody>) -> Again {
        match self.body.or(untouched) {
            Some(body) => Again::Unbegun(Box::new(Request::from_parts(self.head, body))),
            None => Again::No,
        }
    }

    /// The request for the second time, if asking twice is as good as asking once (RFC 9110 §9.2.2).
    pub(super) fn repeated(mut self) -> Again {
        let Some(body) = self.body else { return Again::No };
        if !self.head.method.is_idempotent() || is_repeated(&self.head.extensions) {
            return Again::No;
        }
        self.head.extensions.insert(Repeated);
        Again::Idempotent(Box::new(Request::from_parts(self.head, body)))
    }
}

fn is_repeated(extensions: &http::Extensions) -> bool {
    extensions.get::<Repeated>().is_some()
}

/// Whether an error means that the connection was closed, in whatever way: not that it fell silent, or said what nobody
/// understands.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn request(method: Method, body: RequestBody) -> Request<RequestBody> {
        Request::builder().method(method).uri("/x").header("host", "x").body(body).unwrap()
    }

    #[test]
    fn only_what_may_be_asked_twice_is_repeated_and_only_once() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE] {
            let spare = Spare::of_idempotent(&request(method, RequestBody::Held(Some(Bytes::from_static(b"body")))));
            let Again::Idempotent(again) = spare.unwrap().repeated() else { panic!("not repeated") };
            assert!(matches!(again.body(), RequestBody::Held(Some(body)) if body == "body"));
            assert!(Spare::of_idempotent(&again).is_none());
            assert!(matches!(Spare::of(&again).repeated(), Again::No));
        }
        for method in [Method::POST, Method::PATCH, Method::CONNECT, Method::from_bytes(b"MOVE").unwrap()] {
            let request = request(method, RequestBody::Empty);
            assert!(Spare::of_idempotent(&request).is_none());
            assert!(matches!(Spare::of(&request).repeated(), Again::No));
        }
    }

    #[test]
    fn silence_and_nonsense_are_no_closed_connection() {
        for (kind, ends) in [
            (ErrorKind::ConnectionReset, true),
            (ErrorKind::UnexpectedEof, true),
            (ErrorKind::TimedOut, false),
            (ErrorKind::InvalidData, false),
        ] {
            assert_eq!(is_end(&io::Error::from(kind)), ends, "{kind:?}");
        }
    }
}
