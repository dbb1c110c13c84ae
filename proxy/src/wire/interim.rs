//! Interim answers (1xx, RFC 9110 §15.2): heard from the destination, said to the program.
//!
//! `100 Continue` is said to the program when its body is asked for; over HTTP/1.1 the server does so by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use tokio::sync::mpsc;

use crate::wire::hop;
use crate::wire::ledger::Ledger;

/// Interim answers that wait to be said on a stream. Whoever sends more before the program's side is ready loses the rest.
const MAX_WAITING: usize = 8;

/// Says interim answers to a program.
#[derive(Debug, Clone)]
pub(crate) enum Mouth {
    /// Over HTTP/2: the task of the stream says them.
    Stream(mpsc::Sender<Response<()>>),
    /// Over HTTP/1.1: the connection does.
    Connection(Arc<Ledger>),
}

/// What was said through a [`Mouth`].
pub(crate) type Words = mpsc::Receiver<Response<()>>;

/// Hears the interim answers to one request.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    go_on: Option<Arc<GoOn>>,
    program: Option<(Mouth, Trust)>,
}

/// What of an interim answer reaches the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// All that is not meant for the hop.
    Head,
    /// Its status. Whoever was shown more than the program has could repeat it, or lead past us; no cloud's SDK reads more.
    Status,
}

/// Whether the destination wants the body.
#[derive(Debug, Default)]
pub(crate) struct GoOn {
    said: AtomicBool,
    waiting: AtomicWaker,
    program: Option<Mouth>,
}

impl Mouth {
    /// A mouth for one stream, and where its words come out.
    pub(crate) fn of_stream() -> (Self, Words) {
        let (sender, words) = mpsc::channel(MAX_WAITING);
        (Self::Stream(sender), words)
    }

    /// A mouth for the next request of a connection, until its answer is there. HTTP/1.0 knows no such answers.
    pub(crate) fn of_connection(ledger: &Arc<Ledger>, version: Version) -> Option<Self> {
        (version == Version::HTTP_11).then(|| {
            ledger.aside().open();
            Self::Connection(ledger.clone())
        })
    }

    /// Says `100 Continue`, where nobody else does.
    fn go_on(&self) {
        match self {
            Self::Stream(_) => self.say(StatusCode::CONTINUE, HeaderMap::new()),
            Self::Connection(_) => {}
        }
    }

    fn say(&self, status: StatusCode, headers: HeaderMap) {
        let is_said = match self {
            Self::Stream(words) => {
                let mut answer = Response::new(());
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                words.try_send(answer).is_ok()
            }
            Self::Connection(ledger) => ledger.aside().say(status, &headers),
        };
        if !is_said {
            tracing::debug!(%status, "an interim answer was not passed on");
        }
    }
}

impl Ear {
    /// An ear for the answers to the request with this head: whoever sends it finds it there, in either version of HTTP.
    pub(crate) fn on(head: &mut Parts, go_on: Option<Arc<GoOn>>, program: Option<(Mouth, Trust)>) {
        let ear = Self { go_on, program };
        let mut request = Request::new(());
        if !matches!(ear.program, Some((Mouth::Connection(_), _))) {
            // Who speaks HTTP/1.1 gets it on both sides.
            request.extensions_mut().insert(ear.clone());
        }
        hyper::ext::on_informational(&mut request, move |answer| ear.hear(answer.status(), answer.headers()));
        head.extensions.extend(request.into_parts().0.extensions);
    }

    /// An interim answer came.
    pub(crate) fn hear(&self, status: StatusCode, headers: &HeaderMap) {
        match (status, &self.program) {
            // Said to the program when its body is asked for.
            (StatusCode::CONTINUE, _) => self.go_on.iter().for_each(|go_on| go_on.say()),
            // A promise to change the protocol is none of HTTP/2 (RFC 9113 §8.6).
            (StatusCode::SWITCHING_PROTOCOLS, _) | (_, None) => {}
            (_, Some((program, Trust::Status))) => program.say(status, HeaderMap::new()),
            (_, Some((program, Trust::Head))) => {
                let mut headers = headers.clone();
                hop::strip_response(&mut headers);
                // RFC 9110 §8.6: it could only be wrong.
                headers.remove(CONTENT_LENGTH);
                program.say(status, headers);
            }
        }
    }
}

impl GoOn {
    /// What tells `program`, too.
    pub(crate) fn of(program: Option<Mouth>) -> Self {
        Self { program, ..Self::default() }
    }

    /// Tells the program, where that does not happen by itself.
    pub(crate) fn tell(&self) {
        self.program.iter().for_each(Mouth::go_on);
    }

    fn say(&self) {
        self.said.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Ready once it was said.
    pub(crate) fn poll_said(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiting.register(cx.waker());
        if self.said.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{CONNECTION, LINK};

    use super::*;

    #[tokio::test]
    async fn hints_are_passed_on_without_what_was_meant_for_the_hop_and_continue_is_kept() {
        let (mouth, mut words) = Mouth::of_stream();
        let go_on = Arc::<GoOn>::default();
        let ear = |trust| Ear { go_on: Some(go_on.clone()), program: Some((mouth.clone(), trust)) };
        let mut headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static("</a>; rel=preload"))]);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        for (trust, most) in [(Trust::Head, 1), (Trust::Status, 0)] {
            ear(trust).hear(StatusCode::EARLY_HINTS, &headers);
            let hint = words.recv().await.unwrap();
            assert_eq!((hint.status(), hint.headers().len()), (StatusCode::EARLY_HINTS, most));
        }
        let ear = ear(Trust::Head);
        drop(mouth);
        assert!(!go_on.said.load(Ordering::Acquire));
        ear.hear(StatusCode::CONTINUE, &HeaderMap::new());
        assert!(go_on.said.load(Ordering::Acquire));
        for _ in 0..2 * MAX_WAITING {
            ear.hear(StatusCode::PROCESSING, &HeaderMap::new());
        }
        drop(ear);
        let mut said = 0;
        while words.recv().await.is_some() {
            said += 1;
        }
        assert_eq!(said, MAX_WAITING);
    }
}
