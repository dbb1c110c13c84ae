//! Bodies of requests: JSON, within limits, nothing in it that means nothing.

use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::Problem;

/// The longest body: a group with ten thousand members.
const LONGEST: usize = 512 * 1024;

/// A body, and the bytes that it was read from.
#[derive(Debug)]
pub(super) struct Body<T> {
    pub(super) value: T,
    pub(super) bytes: Bytes,
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            return Err(Problem::unsupported("send `Content-Type: application/json`"));
        }
        let bytes = match Limited::new(request.into_body(), LONGEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Problem::too_large(format!("a body has at most {LONGEST} bytes")));
            }
            Err(_) => return Err(Problem::malformed("the body broke off")),
        };
        let value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error))?;
        Ok(Self { value, bytes })
    }
}

/// What cannot be read as JSON is malformed; what can, and means nothing, is invalid.
fn wrong(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(error.to_string()),
        _ => Problem::malformed(error.to_string()),
    }
}
