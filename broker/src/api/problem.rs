//! What went wrong, as RFC 9457 has it.

use access::{Denial, Refusal, RefusalCode, Retry};
use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::directory::{DirectoryError, NotTaken};
use crate::outbound::in_words;

/// The media type of problems (RFC 9457 §6.1).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// What types are below of. Each is a place in the API's documentation.
const TYPES: &str = "https://countersign.dev/problems/";

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem; stable.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri", example = "https://countersign.dev/problems/not-found")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    #[serde(serialize_with = "number")]
    status: StatusCode,
    /// What went wrong this time, and what to do.
    detail: String,
    /// What of the request is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// What of a request is wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// Where: a JSON pointer into the body (RFC 6901), or the name of a parameter or header.
    pub(crate) pointer: String,
    /// What is wrong there.
    pub(crate) detail: String,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

macro_rules! kinds {
    ($($name:ident = $status:ident, $code:literal, $title:literal;)+) => {
        impl Problem {
            $(pub(crate) fn $name(detail: impl Into<String>) -> Self {
                Self::new((StatusCode::$status, $code, $title), detail.into())
            })+
        }
    };
}

kinds! {
    malformed = BAD_REQUEST, "malformed", "the request is malformed";
    unauthenticated = UNAUTHORIZED, "unauthenticated", "nobody is known to ask";
    forbidden = FORBIDDEN, "forbidden", "this is not allowed";
    not_found = NOT_FOUND, "not-found", "there is no such thing";
    bad_method = METHOD_NOT_ALLOWED, "method-not-allowed", "this cannot be done there";
    conflict = CONFLICT, "conflict", "this contradicts what is there";
    stale = PRECONDITION_FAILED, "stale", "it has changed since it was read";
    too_large = PAYLOAD_TOO_LARGE, "too-large", "the request is too large";
    unsupported = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "the body is no JSON";
    invalid = UNPROCESSABLE_ENTITY, "invalid", "the request says something that cannot be";
    unconditional = PRECONDITION_REQUIRED, "precondition-required", "the request must say which version it changes";
    unavailable = SERVICE_UNAVAILABLE, "unavailable", "this cannot be answered now";
}

impl Problem {
    fn new((status, code, title): (StatusCode, &str, &'static str), detail: String) -> Self {
        Self { kind: format!("{TYPES}{code}"), title, status, detail, errors: Vec::new() }
    }

    /// With what of the request is wrong.
    pub(crate) fn at(mut self, pointer: &str, detail: impl Into<String>) -> Self {
        self.errors.push(Fault { pointer: pointer.to_owned(), detail: detail.into() });
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).expect("texts and numbers have a JSON form");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        use DirectoryError as E;
        let text = error.to_string();
        match error {
            E::NotFound("member") => Self::invalid(text).at("/members", "nobody here has one of these ids"),
            E::NotFound(_) => Self::not_found(text),
            E::Taken { field, .. } => Self::conflict(text).at(&format!("/{field}"), "another has it"),
            E::Stale(_) => Self::stale(text),
            E::Circle => Self::conflict(text),
            E::TooMany(_) => Self::invalid(text),
            E::Invalid { field, why } => Self::invalid(text).at(&format!("/{field}"), why),
            E::Store(_) | E::Audit(_) | E::Damaged(_) => {
                tracing::error!(error = in_words(&error), "a request cannot be answered");
                Self::unavailable("the store does not answer; the same request may succeed soon")
            }
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Directory(error) => error.into(),
            NotTaken::Unknown | NotTaken::Expired(_) | NotTaken::Revoked => Self::unauthenticated(error.to_string()),
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        Self::forbidden(denial.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.message.clone();
        match refusal.code {
            code if code.retry() == Retry::Later => Self::unavailable(text),
            RefusalCode::NotGranted | RefusalCode::ConditionUnmet | RefusalCode::Deactivated => Self::forbidden(text),
            _ => Self::unauthenticated(text),
        }
    }
}

/// The path is not ours.
pub(crate) async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format!("nothing is at {}", uri.path()))
}

/// The path is, the method is not.
pub(crate) async fn no_such_method(method: Method) -> Problem {
    Problem::bad_method(format!("{method} means nothing there"))
}
