//! How it is known that an issuer has signed.

use serde_json::Value;

use crate::at::At;
use crate::defaults;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::meaning::check::Check;
use crate::raw;
use crate::source::{Keys, TokenReview};
use crate::values::address;

pub(super) fn keys(check: &mut Check<'_>, raw: &raw::Source) -> Option<Keys> {
    match (&raw.token_review, &raw.jwks_file, &raw.ca_file) {
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let wrong = Wrong::new(Code::Contradiction, "with `token_review` no keys are needed, and none are fetched");
            check.flaw(other.node, wrong.help("keep one of the two; the cluster's CA is `token_review.ca_file`"));
            None
        }
        (Some(review), None, None) => token_review(check, review.get()?).map(Keys::Review),
        (None, Some(_), Some(ca)) => {
            let wrong =
                Wrong::new(Code::Contradiction, "`ca_file` is for discovery, and `jwks_file` leaves discovery out");
            check.flaw(ca.node, wrong.help("keep one of the two"));
            None
        }
        (None, Some(file), None) => {
            let jwks = check.content(file)?;
            check.take(file, |_| public_keys(&jwks))?;
            Some(Keys::Pinned { jwks })
        }
        (None, None, Some(ca)) => Some(Keys::Discovery { ca: Some(check.path(ca)?) }),
        (None, None, None) => Some(Keys::Discovery { ca: None }),
    }
}

fn token_review(check: &mut Check<'_>, raw: &raw::TokenReview) -> Option<TokenReview> {
    let api_server = check.or_default(raw.api_server.as_ref(), defaults::API_SERVER, address::origin);
    let token_file = check.path_or(raw.token_file.as_ref(), defaults::SERVICE_ACCOUNT_TOKEN);
    let ca = check.path_or(raw.ca_file.as_ref(), defaults::SERVICE_ACCOUNT_CA);
    Some(TokenReview { api_server: api_server?, token_file: token_file?, ca: ca? })
}

/// A SPIFFE trust domain's bundle: from a file or from an endpoint.
pub(super) fn bundle(check: &mut Check<'_>, raw: &raw::Source) -> Option<Keys> {
    match (&raw.bundle_file, &raw.bundle_url) {
        (Some(file), None) => {
            if let Some(ca) = &raw.ca_file {
                let wrong = Wrong::new(Code::Contradiction, "`ca_file` is for `bundle_url`, and a file needs none");
                check.flaw(ca.node, wrong.help("take it out"));
            }
            check.path(file).map(Keys::BundleFile)
        }
        (None, Some(url)) => {
            let ca = raw.ca_file.as_ref().map(|ca| check.path(ca));
            let url = check.take(url, |url| address::trusted_url(url));
            Some(Keys::BundleEndpoint { url: url?, ca: ca.map_or(Some(None), |ca| ca.map(Some))? })
        }
        (both, _) => {
            let node = both.as_ref().map_or(raw.kind.node, |file: &At<String>| file.node);
            let wrong = Wrong::new(Code::Contradiction, "a trust domain has one bundle, from a file or from a URL");
            check.flaw(node, wrong.help("write either `bundle_file` or `bundle_url`"));
            None
        }
    }
}

/// A JWKS (RFC 7517 §5) with at least one key, and none that should be kept secret.
fn public_keys(jwks: &str) -> Result<(), Wrong> {
    let wrong = |message: &str| {
        Wrong::new(Code::Unresolved, message).help("a cluster shows it with: kubectl get --raw /openid/v1/jwks")
    };
    let set: Value = serde_json::from_str(jwks).map_err(|error| wrong(&format!("the JWKS is not JSON: {error}")))?;
    let keys = set.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty());
    let keys = keys.ok_or_else(|| wrong("the JWKS has no `keys`"))?;
    // RFC 7518 §6: `d` is the private part of RSA and EC keys, `k` a symmetric key.
    if keys.iter().any(|key| key.get("d").is_some() || key.get("k").is_some()) {
        return Err(wrong("the JWKS holds a private key; whoever reads the file can make tokens"));
    }
    Ok(())
}
