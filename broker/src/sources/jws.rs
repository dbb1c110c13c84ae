//! A compact JWS from outside: read without believing it, then verified with the issuer's key (RFC 7515 §5.2).

use std::sync::Arc;

use access::{Refusal, RefusalCode};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::Deserialize;

use super::claims::Claims;
use super::keyset::{Usage, VerifyingKey};
use super::shown;

/// Longest token. Those of Kubernetes have one or two kilobytes; AWS itself takes no more than 20,000 bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Longest key id; thumbprints have 43 characters.
const MAX_KID: usize = 256;
/// Most keys that are tried for a token that names none. Trust domains have two or three.
const MAX_TRIED: usize = 16;

/// What tokens of a kind are like, and the words for them.
#[derive(Debug)]
pub(super) struct Rules {
    /// What people call one: `pod token`.
    pub(super) noun: &'static str,
    /// What one is, if nothing is missing.
    pub(super) whole: &'static str,
    /// How a right one is obtained.
    pub(super) obtain: &'static str,
    /// How it gets the right audience; `{}` stands for it.
    pub(super) audience: &'static str,
    /// What to do about one that has ended.
    pub(super) renew: &'static str,
    /// Types besides `JWT` and none (RFC 8725 §3.11).
    pub(super) types: &'static [&'static str],
    /// What it may be signed with.
    pub(super) algorithms: &'static [Algorithm],
    /// Whether it must say which key signed it.
    pub(super) kid: Needed,
    /// Whether it must say when it was issued.
    pub(super) issued_at: Needed,
    /// Which keys of the issuer are for such tokens.
    pub(super) keys: Usage,
}

/// Whether something must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Yes,
    No,
}

/// A token whose form is right and whose signature nobody has checked yet.
pub(super) struct Unverified<'a> {
    token: &'a str,
    header: Header,
    named: Named,
}

/// The claims that are needed to find the key.
#[derive(Deserialize)]
struct Named {
    iss: Option<String>,
    sub: Option<String>,
}

/// Reads the header, and who the token says issued it.
pub(super) fn read(token: &str) -> Result<Unverified<'_>, Refusal> {
    let token = token.trim_end();
    if token.is_empty() {
        return Err(Refusal::new(RefusalCode::EvidenceMissing, "the token is empty")
            .help("is the projected volume mounted, and is `token_file` its path?"));
    }
    if token.len() > MAX_TOKEN {
        return Err(no_token(&format!("is longer than {MAX_TOKEN} bytes")));
    }
    if token.bytes().filter(|&b| b == b'.').count() != 2 {
        return Err(no_token("does not have three parts"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| no_token("has no header that can be read"))?;
    let named: Named = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| no_token("names no issuer that can be read"))?;
    Ok(Unverified { token, header, named })
}

impl Unverified<'_> {
    /// As it was shown.
    pub(super) const fn text(&self) -> &str {
        self.token
    }

    /// Who it says issued it.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.named.iss.as_deref()
    }

    /// Whom it says it is about.
    pub(super) fn subject(&self) -> Option<&str> {
        self.named.sub.as_deref()
    }

    /// Which key it says signed it.
    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether the header is one of such tokens, and asks for nothing that we do not do.
    pub(super) fn conforms(&self, rules: &Rules) -> Result<(), Refusal> {
        let (header, noun) = (&self.header, rules.noun);
        // RFC 7515 §4.1.11: what is critical and not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(invalid(format!("the {noun} has critical header fields, and none is understood")));
        }
        // RFC 8725 §3.11: a token made for another use (`at+jwt`, `secevent+jwt`) is not this one.
        let fits = |typ: &str| {
            typ.eq_ignore_ascii_case("JWT") || rules.types.iter().any(|known| typ.eq_ignore_ascii_case(known))
        };
        if let Some(typ) = header.typ.as_deref().filter(|typ| !fits(typ)) {
            return Err(invalid(format!("the {noun} is of type {}, not a JWT", shown(typ))));
        }
        let named = self.kid().map_or(rules.kid == Needed::No, |kid| !kid.is_empty() && kid.len() <= MAX_KID);
        if !named {
            return Err(invalid(format!("the {noun} does not name the key that signed it (`kid`)")));
        }
        if !rules.algorithms.contains(&header.alg) {
            return Err(self.wrong_algorithm(rules));
        }
        Ok(())
    }

    /// Its claims, if one of the keys signed them. Times and audience are the caller's to check: here is no clock.
    pub(super) fn verify(&self, keys: &[Arc<VerifyingKey>], rules: &Rules) -> Result<Claims, Refusal> {
        // RFC 8725 §3.1: the key says which algorithms it is for, the token does not get to choose another.
        let fitting: Vec<_> = keys.iter().filter(|key| key.algorithms().contains(&self.header.alg)).collect();
        if fitting.is_empty() {
            return Err(self.wrong_algorithm(rules));
        }
        let mut validation = Validation::new(self.header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        for key in fitting.into_iter().take(MAX_TRIED) {
            match jsonwebtoken::decode(self.token, key.key(), &validation) {
                Ok(verified) => return Ok(verified.claims),
                Err(error) => {
                    if let ErrorKind::Json(why) = error.kind() {
                        return Err(unreadable(why, rules));
                    }
                }
            }
        }
        Err(invalid(format!("the {}'s signature is wrong", rules.noun))
            .help("was it changed, or does another issuer use the same name and key id?"))
    }

    /// Its claims although nobody has verified them: for whoever asks somebody else whether the token is good.
    pub(super) fn unverified_claims(&self, rules: &Rules) -> Result<Claims, Refusal> {
        jsonwebtoken::dangerous::insecure_decode_claims(self.token).map_err(|error| match error.kind() {
            ErrorKind::Json(why) => unreadable(why, rules),
            _ => no_token("has no claims that can be read"),
        })
    }

    fn wrong_algorithm(&self, rules: &Rules) -> Refusal {
        invalid(format!("the {} is signed with {:?}, and its key is not for that", rules.noun, self.header.alg))
    }
}

fn unreadable(why: &serde_json::Error, rules: &Rules) -> Refusal {
    invalid(format!("the claims of the {} cannot be read: {why}", rules.noun)).help(rules.obtain)
}

fn no_token(why: &str) -> Refusal {
    Refusal::new(RefusalCode::EvidenceMissing, format!("what the caller shows is no token: it {why}"))
        .help("is `token_file` the path of a projected service-account token?")
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::EvidenceInvalid, message)
}
