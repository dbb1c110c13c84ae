//! A compact JWS from outside: read without believing it, then verified with the issuer's key (RFC 7515 §5.2).

use access::{Refusal, RefusalCode};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::keyset::VerifyingKey;
use super::shown;

/// Longest token. Those of Kubernetes have one or two kilobytes; AWS itself takes no more than 20,000 bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Longest key id; thumbprints have 43 characters.
const MAX_KID: usize = 256;

/// A token whose form is right and whose signature nobody has checked yet.
pub(super) struct Unverified<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: String,
    issuer: String,
}

/// The one claim that is needed to find the key.
#[derive(Deserialize)]
struct Issued {
    iss: String,
}

/// Reads the header and the issuer.
pub(super) fn read(token: &str) -> Result<Unverified<'_>, Refusal> {
    let token = token.trim_end();
    if token.is_empty() {
        return Err(Refusal::new(RefusalCode::EvidenceMissing, "the pod token is empty")
            .help("is the projected volume mounted, and is `token_file` its path?"));
    }
    if token.len() > MAX_TOKEN {
        return Err(no_token(&format!("is longer than {MAX_TOKEN} bytes")));
    }
    if token.bytes().filter(|&b| b == b'.').count() != 2 {
        return Err(no_token("does not have three parts"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| no_token("has no header that can be read"))?;
    let issued: Issued = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| no_token("names no issuer that can be read"))?;
    let (algorithm, kid) = acceptable(header)?;
    Ok(Unverified { token, algorithm, kid, issuer: issued.iss })
}

/// The algorithm and the key id, unless the header asks for something that we do not do.
fn acceptable(header: Header) -> Result<(Algorithm, String), Refusal> {
    // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid.
    if header.crit.is_some() {
        return Err(invalid("the pod token has critical header fields, and none is understood"));
    }
    // RFC 8725 §3.11: a token made for another use (`at+jwt`, `secevent+jwt`) is not this one.
    if let Some(typ) = header.typ.filter(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(invalid(format!("the pod token is of type {}, not a JWT", shown(&typ))));
    }
    let kid = header.kid.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID);
    Ok((header.alg, kid.ok_or_else(|| invalid("the pod token does not name the key that signed it (`kid`)"))?))
}

impl Unverified<'_> {
    /// Who it says issued it.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which key it says signed it.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Its claims, if `key` signed them. Times and audience are the caller's to check: here is no clock.
    pub(super) fn verify<T: DeserializeOwned>(&self, key: &VerifyingKey) -> Result<T, Refusal> {
        // RFC 8725 §3.1: the key says which algorithms it is for, the token does not get to choose another.
        if !key.algorithms().contains(&self.algorithm) {
            return Err(invalid(format!(
                "the pod token is signed with {:?}, and its key is not for that",
                self.algorithm
            )));
        }
        let mut validation = Validation::new(self.algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let verified = jsonwebtoken::decode(self.token, key.key(), &validation);
        verified.map(|data| data.claims).map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::Json(_) => {
                invalid("the token is signed by its issuer, and is not a Kubernetes service-account token with an end")
                    .help("show a projected service-account token (`serviceAccountToken` volume)")
            }
            _ => invalid("the pod token's signature is wrong")
                .help("was it changed, or does another cluster use the same issuer and key id?"),
        })
    }
}

fn no_token(why: &str) -> Refusal {
    Refusal::new(RefusalCode::EvidenceMissing, format!("what the caller shows is no token: it {why}"))
        .help("is `token_file` the path of a projected service-account token?")
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::EvidenceInvalid, message)
}
