//! An issuer's public keys, out of a JWKS (RFC 7517 §5).

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Most keys in a set. Clusters have two or three; AWS gives up at about a hundred.
const MAX_KEYS: usize = 100;

/// A JWKS that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    /// It is not JSON with `keys`.
    #[error("it is not a JWKS: `{{\"keys\": […]}}` is expected")]
    Json(#[source] serde_json::Error),
    /// There are more keys than anybody needs.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    /// None of its keys can verify a signature.
    #[error("it has no RSA or EC (P-256, P-384) key with a `kid`")]
    NoKey,
}

/// A key that verifies, and the algorithms that it is for.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// What a key of a set must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// Signatures, or anything: `use: sig`, or no `use`.
    Signatures,
    /// JWT-SVIDs and nothing else: `use: jwt-svid` (SPIFFE JWT-SVID §6.1). Others in a bundle sign certificates.
    JwtSvids,
}

/// Keys by id.
#[derive(Debug, Clone)]
pub(super) struct KeySet(HashMap<String, Arc<VerifyingKey>>);

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a JWKS. Keys of kinds that we do not know are none of our business (RFC 7517 §5).
    pub(super) fn parse(json: &[u8], usage: Usage) -> Result<Self, KeySetError> {
        let Jwks { keys } = serde_json::from_slice(json).map_err(KeySetError::Json)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = HashMap::new();
        for key in keys {
            let Some((kid, key)) = serde_json::from_value(key).ok().and_then(|jwk| verifying(&jwk, usage)) else {
                continue;
            };
            set.entry(kid).or_insert_with(|| Arc::new(key));
        }
        if set.is_empty() { Err(KeySetError::NoKey) } else { Ok(Self(set)) }
    }

    /// The key with that id; all, where none is named.
    pub(super) fn find(&self, kid: Option<&str>) -> Vec<Arc<VerifyingKey>> {
        match kid {
            Some(kid) => self.0.get(kid).cloned().into_iter().collect(),
            None => self.0.values().cloned().collect(),
        }
    }
}

impl VerifyingKey {
    pub(super) const fn key(&self) -> &DecodingKey {
        &self.key
    }

    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }
}

fn verifying(jwk: &Jwk, usage: Usage) -> Option<(String, VerifyingKey)> {
    let common = &jwk.common;
    let is_for = match (usage, &common.public_key_use) {
        (Usage::Signatures, written) => written.as_ref().is_none_or(|written| *written == PublicKeyUse::Signature),
        (Usage::JwtSvids, Some(PublicKeyUse::Other(written))) => written == "jwt-svid",
        (Usage::JwtSvids, _) => false,
    };
    let may_verify =
        is_for && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !may_verify {
        return None;
    }
    let mut algorithms = algorithms(&jwk.algorithm);
    if let Some(only) = common.key_algorithm {
        algorithms.retain(|&algorithm| KeyAlgorithm::from(algorithm) == only);
    }
    if algorithms.is_empty() {
        return None;
    }
    Some((common.key_id.clone()?, VerifyingKey { key: DecodingKey::from_jwk(jwk).ok()?, algorithms }))
}

/// What a key of that type may be used with: asymmetric algorithms only, so that nobody can sign with a public key.
fn algorithms(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn parse(keys: &[String]) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes(), Usage::Signatures)
    }

    #[test]
    fn a_key_is_for_the_algorithms_of_its_type_only() {
        let set = parse(&[format!(r#"{{{EC},"kid":"a"}}"#)]).unwrap();
        assert_eq!(set.find(Some("a"))[0].algorithms(), [Algorithm::ES256]);
        assert!(parse(&[format!(r#"{{{EC},"kid":"a","alg":"ES384"}}"#)]).is_err(), "of another curve");
        assert!(parse(&[format!(r#"{{{EC},"kid":"a","alg":"HS256"}}"#)]).is_err());
    }

    #[test]
    fn secrets_and_keys_for_encryption_verify_nothing() {
        let secret = r#"{"kty":"oct","kid":"a","k":"AAAA","alg":"HS256"}"#.to_owned();
        assert!(matches!(parse(&[secret]), Err(KeySetError::NoKey)));
        assert!(matches!(parse(&[format!(r#"{{{EC},"kid":"a","use":"enc"}}"#)]), Err(KeySetError::NoKey)));
        assert!(matches!(parse(&[format!(r#"{{{EC},"kid":"a","key_ops":["sign"]}}"#)]), Err(KeySetError::NoKey)));
    }

    #[test]
    fn only_keys_for_jwt_svids_verify_jwt_svids_and_they_verify_nothing_else() {
        let keys = ["\"kid\":\"a\",\"use\":\"jwt-svid\"", "\"kid\":\"b\",\"use\":\"x509-svid\"", "\"kid\":\"c\""];
        let keys = keys.map(|rest| format!("{{{EC},{rest}}}")).join(",");
        let bundle = format!(r#"{{"keys":[{keys}],"spiffe_sequence":1,"spiffe_refresh_hint":300}}"#);
        let found = |usage| {
            let set = KeySet::parse(bundle.as_bytes(), usage).unwrap();
            ["a", "b", "c"].map(|kid| set.find(Some(kid)).len())
        };
        assert_eq!((found(Usage::JwtSvids), found(Usage::Signatures)), ([1, 0, 0], [0, 0, 1]));
    }

    #[test]
    fn keys_of_unknown_kinds_do_not_spoil_the_set() {
        let unknown = r#"{"kty":"AKP","kid":"x","alg":"ML-DSA-44","pub":"AAAA"}"#.to_owned();
        let set = parse(&[unknown, "42".to_owned(), format!(r#"{{{EC},"kid":"a"}}"#)]).unwrap();
        assert!(set.find(Some("a")).len() == 1 && set.find(Some("x")).is_empty());
    }

    #[test]
    fn what_is_not_a_jwks_is_refused() {
        assert!(matches!(KeySet::parse(b"<html>", Usage::Signatures), Err(KeySetError::Json(_))));
        assert!(matches!(KeySet::parse(br#"{"keys":[]}"#, Usage::Signatures), Err(KeySetError::NoKey)));
        let many = vec![format!(r#"{{{EC},"kid":"a"}}"#); MAX_KEYS + 1];
        assert!(matches!(parse(&many), Err(KeySetError::TooMany)));
    }
}
