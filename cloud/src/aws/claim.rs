//! What a request claims with its signature, whatever the form, and how that is checked.

use http::request::Parts;
use jiff::Timestamp;

use super::authorization::Authorization;
use super::credentialing::Credentialing;
use super::git::Git;
use super::key::{AccessKey, SigningKeys};
use super::payload::Payload;
use super::post::PostForm;
use super::presigned::{self, Presigned};
use super::v2::V2;
use super::v2_call::CallV2;
use super::verify::{self, Check, Verified, VerifyError};

/// A signature that can be verified by who knows the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<'a> {
    /// SigV4 in the header.
    Header(Authorization<'a>),
    /// SigV4 in the query.
    Query(Presigned<'a>),
    /// Version 2, in the header or in the query.
    V2(V2<'a>),
    /// Version 2 among the parameters of a call.
    CallV2(CallV2<'a>),
    /// A password for git.
    Git(Git),
    /// The fields of a form with a file.
    Post(&'a PostForm),
}

impl<'a> Claim<'a> {
    /// The claim of a request that makes one.
    pub fn of(credentialing: Credentialing<'a>) -> Option<Self> {
        match credentialing {
            Credentialing::Header(claim) => Some(Self::Header(claim)),
            Credentialing::Presigned(claim) => Some(Self::Query(claim)),
            Credentialing::HeaderV2(claim) | Credentialing::PresignedV2(claim) => Some(Self::V2(claim)),
            Credentialing::CallV2(claim) => Some(Self::CallV2(claim)),
            Credentialing::Git(claim) => Some(Self::Git(claim)),
            Credentialing::Bearer | Credentialing::OtherScheme | Credentialing::Unsigned => None,
        }
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        match self {
            Self::Header(claim) => claim.credential.access_key_id,
            Self::Query(claim) => claim.authorization().credential.access_key_id,
            Self::V2(claim) => claim.access_key_id(),
            Self::CallV2(claim) => claim.access_key_id(),
            Self::Git(claim) => claim.access_key_id(),
            Self::Post(claim) => claim.access_key_id(),
        }
    }

    /// The session token, where it belongs to the proof itself and to no header or parameter of its own.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Git(claim) => claim.token(),
            Self::CallV2(claim) => claim.token(),
            Self::Post(claim) => claim.token(),
            Self::Header(_) | Self::Query(_) | Self::V2(_) => None,
        }
    }

    /// Whether it stands in a URL that is handed on, so that whoever has the URL has it.
    pub fn is_in_query(&self) -> bool {
        match self {
            Self::Query(_) => true,
            Self::Header(_) | Self::CallV2(_) | Self::Git(_) | Self::Post(_) => false,
            Self::V2(claim) => claim.is_in_query(),
        }
    }

    /// Checks it against the head, with the access key that it names.
    pub fn check(
        &self,
        parts: &Parts,
        (access_key, keys): (AccessKey<'_>, &SigningKeys),
        now: Timestamp,
    ) -> Result<Check, VerifyError> {
        let key = |scope| keys.key(access_key, scope);
        match self {
            Self::Header(claim) => {
                let scope = claim.credential.scope;
                let check = verify::check(parts, claim, key(scope), now)?;
                Ok(check.through_midnight(keys, (access_key, scope)))
            }
            Self::Query(claim) => {
                let scope = claim.authorization().credential.scope;
                let check = presigned::check(parts, claim, key(scope), now)?;
                Ok(check.through_midnight(keys, (access_key, scope)))
            }
            Self::V2(claim) => {
                let payload = Payload::declared(&parts.headers)?;
                verify::uncovered(claim.check(parts, access_key.secret, now)?, payload)
            }
            Self::CallV2(claim) => {
                let form = claim.check(parts, access_key.secret, now)?;
                Ok(Check::Verified(Verified::of_nothing_else(form)))
            }
            Self::Git(claim) => verify::uncovered(claim.check(parts, (access_key, keys), now)?, None),
            Self::Post(claim) => verify::uncovered(claim.check((access_key, keys), now)?, None),
        }
    }
}
