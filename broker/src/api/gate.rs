//! What every request passes: who asks, and may they do that there?
//!
//! Whoever shows nothing that counts learns nothing: not whether an organisation exists, nor what is in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use access::{
    Assurance, Call, Caller, Cloud, Context, Grant, GrantName, Named, OrganisationName, Permit, Principal, PrincipalId,
    PrincipalKind, RequestId, Rules, SourceName, Spelling, Target, TargetName, Who, decide,
};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::{Api, Authorised, Problem};
use crate::directory::ApiToken;
use crate::outbound::in_words;
use crate::store::{Organisation, new_id};

/// What the audit shows the request under, and problems that are told to support.
const REQUEST_ID: &str = "x-request-id";
/// The target that all of the API is.
const TARGET: &str = "countersign";
/// Where API tokens come from, as the decision sees it.
const TOKENS: &str = "api-token";

/// What stands before one route.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) broker: Api,
    pub(super) action: &'static str,
}

/// Lets a request through, with who it is from.
pub(super) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let now = gate.broker.now();
    let id = RequestId::new(new_id(now));
    let mut response = match gate.authorise(&parts, id, now).await {
        Ok(authorised) => {
            parts.extensions.insert(authorised);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    let value = HeaderValue::from_str(&id.to_string()).expect("an id has nothing but hexadecimal digits and hyphens");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

impl Gate {
    async fn authorise(&self, request: &Parts, id: RequestId, now: Timestamp) -> Result<Authorised, Problem> {
        let token = bearer(&request.headers)?;
        let (slug, resource) = place(request.uri.path())?;
        let organisation = self.organisation(&slug).await?;
        let token = organisation.api_token(token, now).await?;
        let permit = permit(&organisation, &token, &self.call(request, resource), now)?;
        Ok(Authorised::new(organisation, permit, (token.named(), id), now))
    }

    async fn organisation(&self, slug: &OrganisationName) -> Result<Organisation, Problem> {
        let unknown = || Problem::unauthenticated("this is no API token of this organisation");
        self.broker.organisation_named(slug).await?.ok_or_else(unknown)
    }

    fn call(&self, request: &Parts, resource: &str) -> Call {
        Call {
            cloud: Cloud::Countersign,
            service: TARGET.to_owned(),
            prefix: Cow::Borrowed(TARGET),
            region: None,
            action: Some(format!("{TARGET}:{}", self.action)),
            resource: Some(resource.to_owned()),
            also: Vec::new(),
            method: request.method.to_string(),
            host: String::new(),
            path: request.uri.path().to_owned(),
            spelling: Spelling::Plain,
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1). In queries it would stand in logs.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (shown.next(), shown.next()) else {
        return Err(Problem::unauthenticated("show an API token: `Authorization: Bearer csat_…`"));
    };
    let words = only.to_str().ok().and_then(|text| text.split_once(' '));
    match words {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::unauthenticated("`Authorization` has no bearer token")),
    }
}

/// Which organisation a path is about, and what of it.
fn place(path: &str) -> Result<(OrganisationName, &str), Problem> {
    let unknown = || Problem::unauthenticated("this is no API token of this organisation");
    let rest = path.strip_prefix("/api/v1/organisations/").ok_or_else(unknown)?;
    let (slug, resource) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((OrganisationName::new(slug).map_err(|_| unknown())?, resource))
}

/// A token may do what its scopes say, and nothing else: they are its grants.
fn permit(organisation: &Organisation, token: &ApiToken, call: &Call, now: Timestamp) -> Result<Permit, Problem> {
    let caller = Arc::new(caller(organisation, token)?);
    let rules = Rules::new([target()], [grant(token)]);
    let context = Context { now, from: None };
    Ok(decide(&caller, (&name(TARGET), call), &rules, &context)?)
}

fn caller(organisation: &Organisation, token: &ApiToken) -> Result<Caller, Problem> {
    let Named { id, name } = token.named();
    let slug = OrganisationName::new(organisation.slug()).map_err(|error| {
        tracing::error!(error = in_words(&error), "an organisation has a name that is none");
        Problem::unavailable("the organisation cannot be read")
    })?;
    Ok(Caller {
        subject: format!("api-token:{id}"),
        issuer: slug.to_string(),
        sources: vec![source()],
        groups: Vec::new(),
        roles: Vec::new(),
        attributes: BTreeMap::new(),
        assurance: Assurance::default(),
        until: token.expires,
        principal: Some(Arc::new(principal(slug, (id, name)))),
        actor: None,
    })
}

fn principal(organisation: OrganisationName, (id, name): (PrincipalId, access::DisplayName)) -> Principal {
    let (groups, roles) = (Vec::new(), Vec::new());
    Principal { organisation, id, kind: PrincipalKind::ApiToken, name, epoch: access::Epoch::default(), groups, roles }
}

fn source() -> SourceName {
    SourceName::new(TOKENS).expect("letters and a hyphen")
}

fn name(name: &str) -> TargetName {
    TargetName::new(name).expect("letters")
}

fn target() -> Target {
    Target {
        name: name(TARGET),
        cloud: Cloud::Countersign,
        role: String::new(),
        service: None,
        resources: Vec::new(),
        region: String::new(),
        session: SignedDuration::from_hours(1),
    }
}

fn grant(token: &ApiToken) -> Grant {
    Grant {
        name: GrantName::new("scopes").expect("letters"),
        from: vec![Who::Source(source())],
        to: name(TARGET),
        allow: token.scopes.clone(),
        deny: Vec::new(),
        conditions: Vec::new(),
        session: None,
        policies: Vec::new(),
    }
}

impl Authorised {
    /// Whether whoever asks may do this too: nobody gives what they have not got.
    pub(super) fn may(&self, action: &str, resource: &str) -> bool {
        let call = Call {
            cloud: Cloud::Countersign,
            service: TARGET.to_owned(),
            prefix: Cow::Borrowed(TARGET),
            region: None,
            action: Some(format!("{TARGET}:{action}")),
            resource: Some(resource.to_owned()),
            also: Vec::new(),
            method: String::new(),
            host: String::new(),
            path: String::new(),
            spelling: Spelling::Plain,
        };
        self.permit().admits(&call, &Context { now: self.now(), from: None }).is_ok()
    }
}
