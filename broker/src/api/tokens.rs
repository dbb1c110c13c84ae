//! `/api-tokens`: tokens for programs that administer.

use access::{DisplayName, Pattern, PrincipalId, Rule};
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::Body;
use super::query::{List, Paging};
use super::routes::{self, Endpoint};
use super::{Authorised, Problem};
use crate::directory::ApiToken;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new((Method::GET, "/api-tokens"), "ListApiTokens", list)
            .says("Tokens for the API, in the order in which they were made; not what they are.")
            .lists::<TokenView>(),
        Endpoint::new((Method::POST, "/api-tokens"), "CreateApiToken", create)
            .says("Makes a token, which may do no more than whoever asks. What it is is shown this once.")
            .takes::<TokenWritten>()
            .gives::<TokenShown>(StatusCode::CREATED),
        Endpoint::new((Method::GET, "/api-tokens/{token}"), "GetApiToken", get)
            .says("A token; not what it is.")
            .gives::<TokenView>(StatusCode::OK),
        Endpoint::new((Method::DELETE, "/api-tokens/{token}"), "RevokeApiToken", revoke)
            .says("Revokes a token: it counts no more from now on."),
    ]
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenWritten {
    /// What it is for.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "terraform")]
    name: DisplayName,
    /// What may be done with it.
    #[schema(min_items = 1, max_items = 100)]
    scopes: Vec<Scope>,
    /// When it ends: within 366 days.
    #[schema(value_type = String, format = "date-time")]
    expires: Timestamp,
}

/// What may be done, and to what.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scope {
    /// Actions: `countersign:GetUser`, `countersign:*Group*`.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100, example = json!(["countersign:Get*", "countersign:List*"]))]
    actions: Vec<Pattern>,
    /// Paths below the organisation's: `users/*`. None: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    resources: Vec<Pattern>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenView {
    /// Its id, which the audit shows.
    id: Uuid,
    /// What it is for.
    name: String,
    /// Whose it is; an operator's if nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Uuid>,
    /// What may be done with it.
    scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = "date-time")]
    expires: Timestamp,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    used: Option<Timestamp>,
    /// Whether nobody has revoked it.
    active: bool,
}

/// A token that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenShown {
    /// All that will be shown of it from now on.
    #[serde(flatten)]
    view: TokenView,
    /// What it is. Keep it: it is not shown again.
    token: String,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        let scopes = token.scopes.into_iter().map(|rule| Scope { actions: rule.actions, resources: rule.resources });
        Self {
            id: token.id.uuid(),
            name: token.name.to_string(),
            owner: token.owner.map(PrincipalId::uuid),
            scopes: scopes.collect(),
            created: token.created,
            expires: token.expires,
            used: token.used,
            active: token.is_active,
        }
    }
}

/// An id in a path. What is none is no token's.
fn id((_, token): (String, String)) -> Result<PrincipalId, Problem> {
    token.parse().map(PrincipalId::new).map_err(|_| Problem::not_found("there is no such API token"))
}

async fn list(authorised: Authorised, paging: Paging) -> Result<Json<List<TokenView>>, Problem> {
    let tokens = authorised.organisation().api_tokens(paging.after.map(PrincipalId::new), paging.limit).await?;
    Ok(Json(List::of(tokens, TokenView::from)))
}

async fn create(authorised: Authorised, Body { value, .. }: Body<TokenWritten>) -> Result<Response, Problem> {
    let TokenWritten { name, scopes, expires } = value;
    for (index, scope) in scopes.iter().enumerate() {
        let pointer = format!("/scopes/{index}");
        scope.check(&authorised).map_err(|why| Problem::forbidden(why.clone()).at(&pointer, why))?;
    }
    let rules =
        scopes.into_iter().map(|scope| Rule { actions: scope.actions, resources: scope.resources, ..Rule::default() });
    let mut edit = authorised.edit().await?;
    let (token, secret) = edit.create_api_token((name, None), rules.collect(), expires).await?;
    edit.commit().await?;
    let shown = TokenShown { view: token.into(), token: secret.expose().clone() };
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Scope {
    /// Whether whoever asks has all of it: of every action that it names, on everything that it names.
    fn check(&self, authorised: &Authorised) -> Result<(), String> {
        if self.actions.is_empty() {
            return Err("a scope names at least one action".to_owned());
        }
        let all = [Pattern::new("*").expect("one star")];
        let resources = if self.resources.is_empty() { &all[..] } else { &self.resources[..] };
        for endpoint in routes::all() {
            let action = format!("countersign:{}", endpoint.action);
            if !self.actions.iter().any(|pattern| pattern.matches(&action)) {
                continue;
            }
            if let Some(missing) = resources.iter().find(|resource| !authorised.may(endpoint.action, resource.as_str()))
            {
                return Err(format!("whoever asks may not do {action} on {missing}, and so cannot let a token do it"));
            }
        }
        Ok(())
    }
}

async fn get(authorised: Authorised, path: Path<(String, String)>) -> Result<Json<TokenView>, Problem> {
    Ok(Json(authorised.organisation().api_token_with(id(path.0)?).await?.into()))
}

async fn revoke(authorised: Authorised, path: Path<(String, String)>) -> Result<StatusCode, Problem> {
    let id = id(path.0)?;
    let mut edit = authorised.edit().await?;
    edit.revoke_api_token(id).await?;
    edit.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
