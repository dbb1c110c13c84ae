//! Lists: a page at a time.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Problem;
use crate::directory::{MAX_PAGE, Page};

/// How many a page has if nobody says.
const USUAL_PAGE: u32 = 50;

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    pub(super) after: Option<Uuid>,
    pub(super) limit: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cursor: Option<String>,
    limit: Option<u32>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(written) = Query::<Written>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::malformed(error.body_text()))?;
        let limit = written.limit.unwrap_or(USUAL_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            let why = format!("{limit} is not between 1 and {MAX_PAGE}");
            return Err(Problem::invalid(why.clone()).at("limit", why));
        }
        let after = written.cursor.map(|cursor| parse(&cursor)).transpose()?;
        Ok(Self { after, limit })
    }
}

fn parse(cursor: &str) -> Result<Uuid, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
    id.ok_or_else(|| Problem::invalid("this is no cursor of a list here").at("cursor", "take `next` of a page"))
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    /// What is on it, in the order in which it came.
    items: Vec<T>,
    /// The `cursor` of the next page; none: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<T> List<T> {
    pub(super) fn of<U>(page: Page<U>, show: impl Fn(U) -> T) -> Self {
        let next = page.next.map(|id| URL_SAFE_NO_PAD.encode(id.as_bytes()));
        Self { items: page.items.into_iter().map(show).collect(), next }
    }
}
