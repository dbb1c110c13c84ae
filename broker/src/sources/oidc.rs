//! Tokens of any OpenID provider: they say what the config lets them say.

use std::collections::BTreeMap;

use access::{Assurance, GroupName, Refusal, RefusalCode};
use config::{GroupsClaim, MfaClaims, OidcClaims};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use super::claims::Claims;
use super::fit::{Facts, time, union};
use super::jws::{Needed, Rules};
use super::keyset::Usage;
use super::shown;

/// What they are like (OpenID Connect Core §2).
pub(super) const RULES: Rules = Rules {
    noun: "token",
    whole: "an ID token of an OpenID provider",
    obtain: "show an ID token",
    audience: "ask the provider for a token for client or audience {}",
    renew: "ask the provider for a new one",
    types: &[],
    algorithms: &[
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ],
    kid: Needed::Yes,
    issued_at: Needed::Yes,
    keys: Usage::Signatures,
};

/// When a person signed in (OpenID Connect Core §2).
#[derive(Debug, Deserialize)]
struct SignIn {
    auth_time: Option<i64>,
}

/// How (RFC 8176; OpenID Connect Core §2).
#[derive(Debug, Deserialize)]
struct Factors {
    #[serde(default)]
    amr: Vec<String>,
    acr: Option<String>,
}

/// What the token says, as far as it is asked.
pub(super) fn facts(claims: &Claims, meaning: &OidcClaims, subject: &str) -> Result<Facts, Refusal> {
    let SignIn { auth_time } = claims.read(&RULES)?;
    let signed_in = auth_time.map(|at| time(at, RULES.noun)).transpose()?;
    let mfa = meaning.mfa.as_ref().map(|meaning| mfa(claims, meaning)).transpose()?.unwrap_or_default();
    Ok(Facts {
        attributes: attributes(claims, meaning, subject)?,
        groups: meaning.groups.as_ref().map(|groups| self::groups(claims, groups)).transpose()?.unwrap_or_default(),
        assurance: Assurance { signed_in, mfa: signed_in.filter(|_| mfa) },
    })
}

fn attributes(claims: &Claims, meaning: &OidcClaims, subject: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut attributes = BTreeMap::from([("subject".to_owned(), subject.to_owned())]);
    for (name, path) in &meaning.attributes {
        let text = match claims.at(&path.0) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            // A pattern over a list would have to mean "any" or "all": whoever means groups has `groups_claim`.
            Some(Value::Array(_) | Value::Object(_)) => return Err(other(name, "a list or an object")),
        };
        attributes.insert(name.clone(), text);
    }
    Ok(attributes)
}

/// Only those that are listed: an issuer must not make up a group of ours.
fn groups(claims: &Claims, groups: &GroupsClaim) -> Result<Vec<GroupName>, Refusal> {
    let said: Vec<&str> = match claims.at(&groups.claim.0) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => {
            let texts: Option<Vec<&str>> = many.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| other(&groups.claim.0.join("/"), "a list of something else than texts"))?
        }
        Some(_) => return Err(other(&groups.claim.0.join("/"), "no list of texts")),
    };
    Ok(union(said.into_iter().filter_map(|name| groups.names.get(name))))
}

/// Whether a second factor was shown at the sign-in: its methods or its class say so.
fn mfa(claims: &Claims, meaning: &MfaClaims) -> Result<bool, Refusal> {
    let Factors { amr, acr } = claims.read(&RULES)?;
    let by_class = acr.is_some_and(|class| meaning.acr.contains(&class));
    Ok(by_class || amr.iter().any(|method| meaning.amr.contains(method)))
}

fn other(claim: &str, what: &str) -> Refusal {
    let message = format!("the token's claim {} is {what}", shown(claim));
    Refusal::new(RefusalCode::EvidenceInvalid, message).help("is the path in the source's config the right one?")
}
