//! What a request is: a call to countersign, something to pass on as it is, or something to refuse.

use access::{Call, Refusal, RefusalCode, TargetName};
use cloud::aws::authorization::Authorization;
use cloud::aws::credentialing::Credentialing;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::placeholder::{Placeholder, Placeholders};
use cloud::aws::recognise::{Head, Recognised, Unrecognised, recognise};
use cloud::aws::verify::{self, Check, VerifyError};
use http::header::UPGRADE;
use http::request::Parts;

use crate::skews::Moment;

/// What a request is.
#[derive(Debug)]
pub(crate) enum Class {
    /// Signed with a placeholder of ours.
    Placeheld(Box<Placeheld>),
    /// It carries no credential of ours, nor needs one from us. The call, where the wire tells it, is for the record.
    Unsigned(Option<Box<Call>>),
    /// No cloud's business at all.
    Elsewhere,
}

/// A call that is to be countersigned.
#[derive(Debug)]
pub(crate) struct Placeheld {
    pub(crate) call: Call,
    /// What its placeholder stands for.
    pub(crate) target: TargetName,
    /// How far its own signature is verified: wholly, or but for the body's hash.
    pub(crate) check: Check,
    /// Whether the body says what the call is.
    pub(crate) body_decides: bool,
}

/// Tells what requests to clouds are.
#[derive(Debug)]
pub(crate) struct Classifier {
    placeholders: Placeholders,
    keys: SigningKeys,
}

impl Classifier {
    /// `placeholders`: all that were given to programs.
    pub(crate) fn new(placeholders: Placeholders) -> Self {
        Self { placeholders, keys: SigningKeys::new() }
    }

    /// Reads the head of a request to `host`, which is a cloud's or stands in for one.
    ///
    /// What looks signed and cannot be read is refused, never taken for unsigned.
    pub(crate) fn classify(&self, head: &Parts, host: &str, now: Moment) -> Result<Class, Refusal> {
        if head.headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Err(not_yet("WebSockets", "use the service's HTTP API, or let the host be tunnelled"));
        }
        let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
        let recognised = match recognise(Head { method, uri, headers, host }) {
            Ok(recognised) => recognised,
            Err(Unrecognised::Host(_)) => return self.unsigned(head, None),
            Err(error @ (Unrecognised::Proof(_) | Unrecognised::OtherService { .. })) => {
                return Err(Refusal::new(RefusalCode::RequestMalformed, error.to_string()));
            }
        };
        let Recognised { call, credentialing, body_decides, .. } = recognised;
        let claim = match credentialing {
            Credentialing::Header(claim) => claim,
            Credentialing::Unsigned | Credentialing::Bearer | Credentialing::OtherScheme => {
                return self.unsigned(head, Some(call));
            }
            Credentialing::Presigned(_) | Credentialing::PresignedV2 | Credentialing::PresignedAsymmetric => {
                return Err(not_yet("presigned URLs", "sign in the Authorization header"));
            }
            Credentialing::HeaderV2 => {
                return Err(not_yet("signatures of version 2", "let the client sign with SigV4"));
            }
        };
        let placeholder = self.placeholders.find(claim.credential.access_key_id).ok_or_else(unknown)?;
        let check = self.verify(head, &claim, placeholder, now)?;
        let target = placeholder.target.clone();
        Ok(Class::Placeheld(Box::new(Placeheld { call, target, check, body_decides })))
    }

    /// The signing keys in use.
    pub(crate) const fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// Refuses a request that carries a placeholder to where none is exchanged: whoever got it could come back with it.
    pub(crate) fn refuse_astray(&self, head: &Parts) -> Result<(), Refusal> {
        let Some(placeholder) = self.placeholders.mentioned_in_head(head) else { return Ok(()) };
        let message = format!("a placeholder for target {:?} was on its way to another host", placeholder.target);
        Err(Refusal::new(RefusalCode::PlaceholderAstray, message).help(
            "placeholders stand for credentials at their own cloud only; if this host is one, name it in `endpoints`",
        ))
    }

    /// Whether bytes carry a placeholder in plain sight.
    pub(crate) fn is_mentioned(&self, bytes: &[u8]) -> bool {
        self.placeholders.mentioned_in(bytes).is_some()
    }

    fn unsigned(&self, head: &Parts, call: Option<Call>) -> Result<Class, Refusal> {
        self.refuse_astray(head)?;
        Ok(Class::Unsigned(call.map(Box::new)))
    }

    fn verify(
        &self,
        head: &Parts,
        claim: &Authorization<'_>,
        placeholder: &Placeholder,
        now: Moment,
    ) -> Result<Check, Refusal> {
        let access_key = AccessKey { id: &placeholder.access_key_id, secret: &placeholder.secret_access_key };
        let scope = claim.credential.scope;
        let key = self.keys.key(access_key, scope);
        // A program that has corrected its clock by the destination's signs by that one.
        let checked = match verify::check(head, claim, key.clone(), now.ours) {
            Err(VerifyError::Stale(_)) if now.theirs != now.ours => verify::check(head, claim, key, now.theirs),
            checked => checked,
        };
        match checked.map_err(|error| unverified(&error))? {
            Check::Verified(verified) => {
                Ok(Check::Verified(verified.through_midnight(&self.keys, (access_key, scope))))
            }
            pending @ Check::Pending(_) => Ok(pending),
        }
    }
}

/// Why a signature proves nothing, as a refusal.
pub(crate) fn unverified(error: &VerifyError) -> Refusal {
    use cloud::aws::payload::PayloadError;
    let code = match error {
        VerifyError::Payload(PayloadError::Repeated | PayloadError::Malformed | PayloadError::OtherAlgorithm)
        | VerifyError::NoDate
        | VerifyError::Host(_)
        | VerifyError::Escape(_) => RefusalCode::RequestMalformed,
        VerifyError::Stale(_)
        | VerifyError::Scope
        | VerifyError::Uncovered(_)
        | VerifyError::Absent(_)
        | VerifyError::Mismatch => RefusalCode::PlaceholderInvalid,
    };
    Refusal::new(code, error.to_string())
}

fn unknown() -> Refusal {
    Refusal::new(RefusalCode::PlaceholderUnknown, "the request is signed with an access key that is no placeholder of this proxy")
        .help("take the keys from `aws/credentials` or `program.env` in the proxy's directory, and unset other AWS_* credentials")
}

fn not_yet(what: &str, instead: &str) -> Refusal {
    Refusal::new(RefusalCode::NotSupported, format!("{what} are not countersigned yet")).help(instead)
}
