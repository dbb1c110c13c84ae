//! Our own issuer, towards clouds: the discovery document and the JWKS (OpenID Connect Discovery 1.0 §3 and §4).

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use url::Url;

use crate::tokens::{PublicKey, Tokens};

/// Under the issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Under the issuer.
const JWKS: &str = "/.well-known/jwks.json";

/// How an answer may be kept: five minutes, far less than keys are published ahead.
const HEADERS: [(HeaderName, &str); 2] = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];

/// The claims that our tokens have.
const CLAIMS: [&str; 10] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "https://aws.amazon.com/tags",
    "https://aws.amazon.com/source_identity",
    "https://aws.amazon.com/roles",
];

/// Our issuer: who we are, and our public keys.
#[derive(Debug, Clone)]
pub struct Issuer(Arc<Tokens>);

/// What clouds read about us, as text: to serve it, or to put it where they can reach it (a bucket, a static site).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// For `<issuer>/.well-known/openid-configuration`.
    pub discovery: String,
    /// For `<issuer>/.well-known/jwks.json`. It changes when keys do: fetch it again at least every hour.
    pub jwks: String,
}

/// All fields that AWS demands: without any of the lists, it says that it could not retrieve our verification key.
#[derive(Serialize)]
struct Discovery<'a> {
    issuer: &'a str,
    jwks_uri: &'a str,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    claims_supported: [&'static str; 10],
}

#[derive(Serialize)]
struct Jwks {
    keys: Vec<PublicKey>,
}

impl Issuer {
    pub(crate) const fn of(tokens: Arc<Tokens>) -> Self {
        Self(tokens)
    }

    /// The `iss` of our tokens: what to register with a cloud.
    pub fn name(&self) -> &str {
        self.0.issuer()
    }

    /// Both documents as they are now.
    pub fn documents(&self) -> Documents {
        Documents { discovery: self.discovery(), jwks: self.jwks() }
    }

    fn discovery(&self) -> String {
        json(&Discovery {
            issuer: self.name(),
            jwks_uri: &format!("{}{JWKS}", self.name()),
            response_types_supported: ["id_token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["RS256"],
            claims_supported: CLAIMS,
        })
    }

    fn jwks(&self) -> String {
        json(&Jwks { keys: self.0.published() })
    }
}

/// The issuer's two routes, under the path of its URL; GET and HEAD.
pub fn routes(issuer: &Issuer) -> Router {
    let path = Url::parse(issuer.name()).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    // A path may have a segment that starts with `:`, which older routers took for a parameter.
    Router::new()
        .without_v07_checks()
        .route(&format!("{path}{DISCOVERY}"), document(issuer, Issuer::discovery))
        .route(&format!("{path}{JWKS}"), document(issuer, Issuer::jwks))
}

fn document(issuer: &Issuer, text: fn(&Issuer) -> String) -> MethodRouter {
    let issuer = issuer.clone();
    get(move || async move { (HEADERS, text(&issuer)) })
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("texts and lists of texts have a JSON form")
}
