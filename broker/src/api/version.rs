//! Versions: `ETag` of what is read, `If-Match` of what is changed (RFC 9110 §8.8.3, §13.1.1).

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Problem;
use crate::directory::Version;

/// Which version a request changes. It must say so: `*` for whichever there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct IfMatch(pub(super) Version);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unconditional = || {
            Problem::unconditional(
                "send `If-Match` with the `ETag` that was read, or `*` to overwrite whatever is there",
            )
            .at("If-Match", "it is missing")
        };
        let value = parts.headers.get(header::IF_MATCH).ok_or_else(unconditional)?;
        if value == "*" {
            return Ok(Self(Version::Any));
        }
        let tag = value.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        // One that is none of ours is not the version that is there.
        Ok(Self(Version::Only(tag.and_then(|tag| tag.parse().ok()).unwrap_or(0))))
    }
}

/// Something that is there, in one of its versions.
#[derive(Debug)]
pub(super) struct Versioned<T> {
    pub(super) status: StatusCode,
    pub(super) version: u64,
    pub(super) body: T,
}

impl<T: Serialize> Versioned<T> {
    pub(super) const fn found(version: u64, body: T) -> Self {
        Self { status: StatusCode::OK, version, body }
    }

    pub(super) const fn created(version: u64, body: T) -> Self {
        Self { status: StatusCode::CREATED, version, body }
    }

    /// What to answer to somebody who may have it already (RFC 9110 §13.1.2).
    pub(super) fn unless_known(self, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let tag = tag(self.version);
        if known.is_some_and(|known| known == "*" || known.split(',').any(|it| it.trim() == tag)) {
            return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
        }
        self.into_response()
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let tag = HeaderValue::from_str(&tag(self.version)).expect("digits in quotes");
        response.headers_mut().insert(header::ETAG, tag);
        response
    }
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}
