//! Uploads with a form (Amazon S3 API reference, "Browser-based uploads using POST"): a policy that was written ahead is
//! signed, and the fields have to be what it says. It is verified here, of version 4 and of version 2, and written and
//! signed anew.

mod deeds;
mod multipart;
mod parameters;
mod policy;
mod rest;

use std::fmt;

use access::Secret;
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderName;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use http_body::Body;
use jiff::{SignedDuration, Timestamp};

use super::algorithm::Algorithm;
use super::authorization::{Credential, Scope};
use super::date::AmzDate;
use super::form::Form;
use super::host;
use super::key::{AccessKey, SigningKeys};
use super::payload::CONTENT_SHA256;
use super::presigned::MAX_EXPIRES;
use super::sign::{SignError, Signer};
use super::signature::Signature;
use super::verify::{MAX_SKEW, VerifyError};

pub use self::deeds::{NoPost, recognise};
pub use self::multipart::{BadForm, Boundary, Fields, Reader};
pub use self::policy::BadPolicy;
use self::policy::Policy;
pub use self::rest::{PostBody, PostError};

const POLICY: &str = "policy";
const ALGORITHM: &str = "x-amz-algorithm";
const CREDENTIAL: &str = "x-amz-credential";
const DATE: &str = "x-amz-date";
const TOKEN: &str = "x-amz-security-token";
const SIGNATURE: &str = "x-amz-signature";
/// Of version 2.
const KEY_ID_V2: &str = "awsaccesskeyid";
const SIGNATURE_V2: &str = "signature";

/// What signs, and goes with the client's signature.
const SIGNING: [&str; 8] = [POLICY, ALGORITHM, CREDENTIAL, DATE, TOKEN, SIGNATURE, KEY_ID_V2, SIGNATURE_V2];

/// Fields that need no condition in the policy.
const UNCONDITIONAL: [&str; 4] = [POLICY, SIGNATURE, KEY_ID_V2, SIGNATURE_V2];

/// Headers that say a hash of the whole body, which is another one then.
const HASHES: [HeaderName; 4] = [
    CONTENT_SHA256,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
];

/// How long a signature of version 4 is good whose policy is good for longer.
const LONGEST: SignedDuration = SignedDuration::from_secs(MAX_EXPIRES as i64);

/// A form whose policy is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct PostForm {
    fields: Fields,
    access_key_id: String,
    proof: Proof,
}

#[derive(Clone, PartialEq, Eq)]
enum Proof {
    V4 { date: AmzDate, signature: Signature },
    V2,
}

/// What is written of a form in the place of the client's.
pub struct Reposted {
    /// Up to the part with the file.
    pub beginning: Bytes,
    /// What of the policy holds the token, as the form says it: an answer may repeat it.
    pub secret: Secret<String>,
}

impl PostForm {
    /// Reads the fields of a form; `None` where none of them signs.
    ///
    /// # Errors
    /// [`BadForm`]: it looks signed and cannot be read.
    pub fn read(parts: &Parts, fields: Fields) -> Result<Option<Self>, BadForm> {
        let value = |name: &str| fields.value(name);
        let needed = |name: &'static str| value(name).filter(|text| !text.is_empty()).ok_or(BadForm::Missing(name));
        let signs = |names: &[&str]| names.iter().any(|name| value(name).is_some());
        let (is_v4, is_v2) = (signs(&[ALGORITHM, CREDENTIAL, DATE, SIGNATURE]), signs(&[KEY_ID_V2, SIGNATURE_V2]));
        if !(is_v4 || is_v2 || signs(&[POLICY])) {
            return Ok(None);
        }
        if is_v4 && is_v2 {
            return Err(BadForm::Twice);
        }
        if HASHES.iter().any(|name| parts.headers.contains_key(name)) || parts.uri.query().is_some() {
            return Err(BadForm::Head);
        }
        needed(POLICY)?;
        if fields.all().any(|(name, _)| name.contains("-source")) {
            return Err(BadForm::Copies);
        }
        let (access_key_id, proof) = if is_v2 {
            (needed(KEY_ID_V2)?.to_owned(), needed(SIGNATURE_V2).map(|_| Proof::V2)?)
        } else {
            if needed(ALGORITHM)? != Algorithm::Hmac.name() {
                return Err(BadForm::Field(ALGORITHM));
            }
            let credential = Credential::parse(needed(CREDENTIAL)?, Algorithm::Hmac);
            let credential = credential.ok().filter(|credential| credential.scope.service == "s3");
            let credential = credential.ok_or(BadForm::Field(CREDENTIAL))?;
            let date = AmzDate::parse(needed(DATE)?.as_bytes()).ok_or(BadForm::Field(DATE))?;
            let signature = Signature::parse(needed(SIGNATURE)?.as_bytes(), Algorithm::Hmac);
            let signature = signature.ok_or(BadForm::Field(SIGNATURE))?;
            (credential.access_key_id.to_owned(), Proof::V4 { date, signature })
        };
        Ok(Some(Self { fields, access_key_id, proof }))
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token, which is a field among the others.
    pub fn token(&self) -> Option<&str> {
        self.fields.value(TOKEN)
    }

    /// Where the part with the file begins.
    pub const fn file(&self) -> usize {
        self.fields.file()
    }

    /// What it is signed for; version 2 does not say it.
    fn scope(&self) -> Option<Scope<'_>> {
        let credential = self.fields.value(CREDENTIAL).filter(|_| self.proof != Proof::V2)?;
        Credential::parse(credential, Algorithm::Hmac).ok().map(|credential| credential.scope)
    }

    /// Checks that the policy was signed with `secret`, is still good, and says the same of the fields that sign as the form.
    /// What it says of the others stays in it, for S3 to judge.
    pub(super) fn check(
        &self,
        (access_key, keys): (AccessKey<'_>, &SigningKeys),
        now: Timestamp,
    ) -> Result<Form, VerifyError> {
        let text = self.fields.value(POLICY).unwrap_or_default();
        match (&self.proof, self.scope()) {
            (Proof::V4 { date, signature }, Some(scope)) => {
                let age = now.duration_since(date.timestamp());
                if age < -MAX_SKEW {
                    return Err(VerifyError::Stale(age));
                }
                if age >= LONGEST {
                    return Err(VerifyError::Expired(age - LONGEST));
                }
                if scope.date != date.day() {
                    return Err(VerifyError::Scope);
                }
                if !keys.key(access_key, scope).sign_policy(text).matches(signature) {
                    return Err(VerifyError::Mismatch);
                }
            }
            (Proof::V4 { .. } | Proof::V2, _) => self.check_v2(access_key.secret, text)?,
        }
        let policy = Policy::read(text, |name| SIGNING.contains(&name))?;
        if policy.expires() <= now {
            return Err(VerifyError::Expired(now.duration_since(policy.expires())));
        }
        let signing: Vec<_> =
            self.fields.all().filter(|(name, _)| SIGNING.contains(name) && !UNCONDITIONAL.contains(name)).collect();
        policy.unmet(&signing).map_or(Ok(Form::Post), |field| Err(BadPolicy::Unmet(field.to_owned()).into()))
    }

    fn check_v2(&self, secret: &Secret<String>, text: &str) -> Result<(), VerifyError> {
        let claimed = self.fields.value(SIGNATURE_V2).and_then(|signature| STANDARD.decode(signature).ok());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
        let made = hmac::sign(&key, text.as_bytes());
        let is_right =
            claimed.is_some_and(|claimed| constant_time::verify_slices_are_equal(made.as_ref(), &claimed).is_ok());
        if is_right { Ok(()) } else { Err(VerifyError::Mismatch) }
    }

    /// Signs the policy with the lease's credential, and writes the form's beginning anew. The token's condition is the
    /// first, so that what an answer may repeat of it stands in one place.
    pub fn countersign(&self, parts: &mut Parts, by: &Signer<'_>, at: Timestamp) -> Result<Reposted, SignError> {
        let host = host::canonical(parts)?;
        parts.headers.insert(HOST, host);
        // The form proves who asks. Of two proofs S3 takes neither, and these are of no use to it but to be told.
        for other in [AUTHORIZATION, HeaderName::from_static(TOKEN)] {
            parts.headers.remove(other);
        }
        let policy = Policy::read(self.fields.value(POLICY).unwrap_or_default(), |name| SIGNING.contains(&name))?;
        let date = AmzDate::new(at);
        let key = by.key(&date);
        let credential = format!("{}/{}", by.credential.access_key_id, key.scope());
        let token = by.credential.session_token.expose();
        let signing = [
            (TOKEN, token.as_str()),
            (ALGORITHM, Algorithm::Hmac.name()),
            (CREDENTIAL, credential.as_str()),
            (DATE, date.as_str()),
        ];
        let (policy, secret) = policy.rewritten(&signing);
        let signature = key.sign_policy(&policy);
        let with: Vec<_> = signing.into_iter().chain([(POLICY, &*policy), (SIGNATURE, signature.as_str())]).collect();
        let beginning = self.fields.rewritten(&SIGNING, &with).into();
        Ok(Reposted { beginning, secret: Secret::new(policy[..secret.min(policy.len())].to_owned()) })
    }

    /// The new form: its beginning, and `rest`, which begins with the part of the file. The head says its length, where
    /// the client's did.
    pub fn body<B: Body<Data = Bytes>>(&self, parts: &mut Parts, beginning: Bytes, rest: B) -> PostBody<B> {
        if let (Some(length), true) = (rest.size_hint().exact(), parts.headers.contains_key(CONTENT_LENGTH)) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length.saturating_add(beginning.len() as u64)));
        }
        PostBody::new(beginning, rest, (self.fields.boundary(), self.fields.before_content()))
    }
}

/// Token and policy stand in the beginning.
impl fmt::Debug for Reposted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reposted({} bytes)", self.beginning.len())
    }
}

impl fmt::Debug for PostForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostForm({:?})", self.fields)
    }
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
