//! Requests that stop on the way: what each kind of stop means for the program and for the record.

use access::{Refusal, RefusalCode};
use cloud::aws::body::ResignError;
use cloud::aws::endpoints;
use http::{Response, StatusCode};

use crate::answers::answer::AnswerBody;
use crate::answers::refuse::{self, Dialect, with_causes};
use crate::books::record::Entry;
use crate::places::aim::{Aim, Kind};
use crate::upstream::{DialError, SendError};
use crate::wire::arriving::ArrivalError;
use crate::wire::body::BodyError;

/// Why a request gets no answer of its destination's.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// It came on a connection that is for another host.
    Misdirected(Refusal),
    /// It was sent, and then the destination failed.
    Broken(Refusal),
    /// Its program went away.
    Left(String),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What a destination that gave no answer means.
pub(crate) fn unanswered(error: &SendError) -> Stop {
    let broken: &(dyn std::error::Error + 'static) = match error {
        SendError::Dial(error) => return Stop::Refused(unreachable(error)),
        SendError::Silent => return Stop::Broken(late()),
        SendError::NoProtocols => return Stop::Refused(Refusal::new(RefusalCode::NotSupported, error.to_string())),
        SendError::Broken(error) => error,
        SendError::Stream(error) => error,
        SendError::Body(error) => error,
    };
    match cause::<BodyError>(broken) {
        Some(BodyError::Program(_)) => return Stop::Left(with_causes(broken)),
        Some(BodyError::Resign(error)) => return Stop::Refused(not_resigned(error)),
        Some(BodyError::Post(error)) => {
            return Stop::Refused(Refusal::new(RefusalCode::RequestMalformed, error.to_string()));
        }
        None => {}
    }
    broken_off(broken)
}

/// What a destination that breaks off means.
pub(crate) fn broken_off(broken: &(dyn std::error::Error + 'static)) -> Stop {
    tracing::debug!(cause = with_causes(broken), "destination broke off");
    let timed_out = cause::<std::io::Error>(broken).is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
    Stop::Broken(if timed_out {
        late()
    } else {
        Refusal::new(RefusalCode::UpstreamUnavailable, "the destination broke off before it had answered")
    })
}

fn late() -> Refusal {
    Refusal::new(RefusalCode::UpstreamTimeout, "the destination did not answer in time")
}

/// The answer to a request that stopped, in the words of what stands at `aim`; its record says why.
pub(crate) fn answer(
    stop: Stop,
    (aim, hint): (Option<&Aim>, Option<Dialect>),
    mut entry: Box<Entry>,
) -> Response<AnswerBody> {
    let dialect = match aim {
        Some(Aim { kind: Kind::Cloud, destination, .. }) => {
            let from_host = || endpoints::resolve(&destination.host).ok().map(|endpoint| endpoint.service);
            Dialect::of(entry.called().map(|call| call.service.as_str()).or_else(from_host), hint)
        }
        Some(Aim { kind: Kind::Cluster | Kind::Elsewhere, .. }) | None => {
            hint.filter(|hint| *hint == Dialect::Grpc).unwrap_or(Dialect::Plain)
        }
    };
    let (refusal, status) = match stop {
        Stop::Refused(refusal) => (refusal, None),
        Stop::Misdirected(refusal) => (refusal, Some(StatusCode::MISDIRECTED_REQUEST)),
        Stop::Broken(refusal) => {
            entry.broken(refusal.message.clone());
            (refusal, None)
        }
        Stop::Left(message) => {
            entry.broken(message);
            (Refusal::new(RefusalCode::RequestMalformed, "the request's body ended early"), None)
        }
    };
    let mut answer = refuse::answer(&refusal, dialect, entry.id()).map(|text| AnswerBody::Text(Some(text)));
    if let Some(status) = status {
        *answer.status_mut() = status;
    }
    tracing::info!(request = %entry.id(), code = %refusal.code, reason = refusal.message, "request refused");
    entry.told(answer.status());
    entry.refused(refusal);
    answer
}

/// What a destination that cannot be reached means.
pub(crate) fn unreachable(error: &DialError) -> Refusal {
    let code = match error {
        DialError::Barred(barred) => return Refusal::from(barred),
        DialError::Late(..) => RefusalCode::UpstreamTimeout,
        DialError::Loop(_) | DialError::Name(_) => RefusalCode::RequestMalformed,
        DialError::Resolve(..)
        | DialError::Full(..)
        | DialError::Connect(..)
        | DialError::Via(..)
        | DialError::Tls(..)
        | DialError::Http(..)
        | DialError::Http2(..) => RefusalCode::UpstreamUnavailable,
    };
    Refusal::new(code, with_causes(error))
}

fn not_resigned(error: &ResignError<ArrivalError>) -> Refusal {
    use cloud::aws::body::PieceError::{Chunk, Event};
    use cloud::aws::chunk::ChunkError;
    use cloud::aws::event::EventError;
    let code = match error {
        ResignError::Piece(Chunk(ChunkError::Signature) | Event(EventError::Signature)) => {
            RefusalCode::PlaceholderInvalid
        }
        ResignError::Piece(Chunk(ChunkError::TooLarge(_)) | Event(EventError::TooLarge(_))) => {
            RefusalCode::RequestTooLarge
        }
        ResignError::Piece(_) | ResignError::Client(_) | ResignError::HttpTrailers => RefusalCode::RequestMalformed,
    };
    Refusal::new(code, error.to_string())
}

/// The first error of type `E` among an error's causes.
fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}
