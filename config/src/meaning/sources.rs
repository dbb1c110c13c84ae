//! Where identities come from.

use std::collections::BTreeMap;

use access::{GroupName, InvalidName, Pattern, RoleName, SourceName};
use serde_json::Value;

use super::check::Check;
use crate::at::At;
use crate::defaults;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::later;
use crate::raw;
use crate::settings::{Keys, Source};
use crate::values::address;
use crate::values::duration::Bounds;

const KIND: &str = "kubernetes/service-account";

/// The kubelet asks for no less than 10 minutes (Kubernetes, `TokenRequest`); the API server's long tokens have a year.
const TOKEN_LIFETIME: Bounds =
    Bounds::seconds(600, 366 * 86_400, "the kubelet asks for tokens of 10 minutes or more, usually one hour");

pub(super) fn sources<'r>(
    check: &mut Check<'_>,
    raw: impl Iterator<Item = (&'r At<String>, &'r At<raw::Source>)>,
) -> Vec<Source> {
    raw.filter_map(|(name, source)| self::source(check, name, source.get()?)).collect()
}

fn source(check: &mut Check<'_>, name: &At<String>, raw: &raw::Source) -> Option<Source> {
    let name = check.name(name, SourceName::new);
    let kind = check.take(&raw.kind, |kind| match kind.as_str() {
        KIND => Ok(()),
        other => Err(later::kind("sources", other, KIND)),
    });
    let issuer = check.take(&raw.issuer, |issuer| address::trusted_url(issuer).map(|_| issuer.clone()));
    let audience = check.or_default(raw.audience.as_ref(), defaults::SOURCE_AUDIENCE, audience);
    let keys = keys(check, raw);
    let matches = matches(check, &raw.matches);
    let groups = check.each(raw.groups.as_ref(), |group| named(group, GroupName::new));
    let roles = check.each(raw.roles.as_ref(), |role| named(role, RoleName::new));
    let lifetime = check.period(raw.max_token_lifetime.as_ref(), defaults::MAX_TOKEN_LIFETIME, TOKEN_LIFETIME);
    kind?;
    Some(Source {
        name: name?,
        issuer: issuer?,
        audience: audience?,
        keys: keys?,
        matches: matches?,
        groups,
        roles,
        max_token_lifetime: lifetime?,
    })
}

fn named<N>(text: &str, new: fn(&str) -> Result<N, InvalidName>) -> Result<N, Wrong> {
    new(text).map_err(|error| Wrong::new(Code::BadName, error))
}

/// An `aud`: any text that a person can read (RFC 7519 §4.1.3 asks no more).
pub(super) fn audience(text: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 255;
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::value("an audience has 1 to 255 visible ASCII characters"))
}

fn keys(check: &mut Check<'_>, raw: &raw::Source) -> Option<Keys> {
    match (&raw.jwks_file, &raw.ca_file) {
        (Some(_), Some(ca)) => {
            let wrong =
                Wrong::new(Code::Contradiction, "`ca_file` is for discovery, and `jwks_file` leaves discovery out");
            check.flaw(ca.node, wrong.help("keep one of the two"));
            None
        }
        (Some(file), None) => {
            let jwks = check.content(file)?;
            check.take(file, |_| public_keys(&jwks))?;
            Some(Keys::Pinned { jwks })
        }
        (None, Some(ca)) => Some(Keys::Discovery { ca: Some(check.path(ca)?) }),
        (None, None) => Some(Keys::Discovery { ca: None }),
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

fn matches(check: &mut Check<'_>, raw: &At<raw::Match>) -> Option<BTreeMap<String, Pattern>> {
    let written = raw.get()?;
    let keys = [
        ("namespace", &written.namespace),
        ("service_account", &written.service_account),
        ("pod", &written.pod),
        ("node", &written.node),
    ];
    if keys.iter().all(|(_, value)| value.is_none()) {
        let wrong = Wrong::value("`match` says nothing, and would take in every pod of the cluster");
        check.flaw(raw.node, wrong.help("name a namespace and a service account; `namespace: \"*\"` means every pod"));
        return None;
    }
    let mut patterns = BTreeMap::new();
    for (key, value) in keys {
        if let Some(value) = value {
            let pattern = check.take(value, |text| Pattern::new(text).map_err(Wrong::value))?;
            patterns.insert(key.to_owned(), pattern);
        }
    }
    Some(patterns)
}
