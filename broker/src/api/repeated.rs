//! Requests that may come again: what was answered to `Idempotency-Key` is answered again, and nothing is done twice.
//!
//! As draft-ietf-httpapi-idempotency-key-header has it. The answer is written in the transaction of what was done.

use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use serde::Serialize;

use super::version::Versioned;
use super::{Authorised, Problem};
use crate::directory::{Answer, Edit};

const HEADER: &str = "idempotency-key";
/// The longest key: clients send UUIDs.
const LONGEST: usize = 255;
/// For so long the same key gets the same answer.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The key of a request, if it has one, and where it went.
#[derive(Debug)]
pub(super) struct Repeatable {
    key: Option<String>,
    place: String,
}

impl<S: Sync> FromRequestParts<S> for Repeatable {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wrong = || {
            Problem::malformed(format!("a key has 1 to {LONGEST} visible characters"))
                .at("Idempotency-Key", "this is none")
        };
        let key = parts.headers.get(HEADER).map(|value| value.to_str().map_err(|_| wrong())).transpose()?;
        if key.is_some_and(|key| key.is_empty() || key.len() > LONGEST) {
            return Err(wrong());
        }
        Ok(Self { key: key.map(str::to_owned), place: format!("{} {}", parts.method, parts.uri.path()) })
    }
}

impl Repeatable {
    /// Does what is asked once, however often it is asked.
    pub(super) async fn once<T: Serialize>(
        &self,
        (authorised, body): (&Authorised, &[u8]),
        work: impl AsyncFnOnce(&mut Edit) -> Result<Versioned<T>, Problem>,
    ) -> Result<Response, Problem> {
        let mut edit = authorised.edit().await?;
        let request = self.digest(body);
        if let Some(key) = &self.key
            && let Some(before) = edit.answer(authorised.principal(), key).await?
        {
            return answered_before(before, &request);
        }
        let done = work(&mut edit).await?;
        if let Some(key) = &self.key {
            let body = serde_json::to_string(&done.body).expect("what is shown has a JSON form");
            let answer = Answer { request, status: done.status.as_u16(), body, version: done.version };
            let until = authorised.now().saturating_add(KEPT).unwrap_or(jiff::Timestamp::MAX);
            edit.keep_answer((authorised.principal(), key), &answer, until).await?;
        }
        edit.commit().await?;
        Ok(done.into_response())
    }

    fn digest(&self, body: &[u8]) -> Vec<u8> {
        let mut digest = Context::new(&SHA256);
        digest.update(self.place.as_bytes());
        digest.update(b"\0");
        digest.update(body);
        digest.finish().as_ref().to_vec()
    }
}

fn answered_before(before: Answer, request: &[u8]) -> Result<Response, Problem> {
    if before.request != request {
        let problem = Problem::invalid("this key came with another request before");
        return Err(problem.at("Idempotency-Key", "take a new one for every new request"));
    }
    let status = StatusCode::from_u16(before.status).unwrap_or(StatusCode::OK);
    let mut response = (status, before.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let tag = HeaderValue::from_str(&format!("\"{}\"", before.version)).expect("digits in quotes");
    headers.insert(header::ETAG, tag);
    Ok(response)
}
