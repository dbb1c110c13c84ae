//! Puts the lease's signature in the place of the placeholder's, on the head and, where it carries one, on the body.

use std::net::IpAddr;

use access::{Call, Credential, Lease, Refusal, RefusalCode};
use bytes::Bytes;
use cloud::aws::body::{Framing, ResignBody, Resigner};
use cloud::aws::form::Form;
use cloud::aws::key::SigningKeys;
use cloud::aws::mismatch::CanonicalRequest;
use cloud::aws::payload::Payload;
use cloud::aws::post::{PostForm, Reposted};
use cloud::aws::sign::{SignError, Signer, countersign};
use cloud::aws::v2_call::{self, Place};
use cloud::aws::verify::{Check, Verified, VerifyError};
use http::request::Parts;
use http_body::Body;
use jiff::Timestamp;
use lease::{AnothersCredential, Derived};

use crate::calls::classify::unverified;
use crate::calls::echo::Echo;
use crate::wire::body::{RequestBody, Upload};
use crate::wire::holding::Holding;

/// A request whose signature is verified, and what is to become of its body.
#[derive(Debug)]
pub(crate) struct Proven {
    verified: Verified,
    body: ProvenBody,
}

/// The body of a verified request.
#[derive(Debug)]
enum ProvenBody {
    /// Still with the program.
    Streamed(Upload),
    /// Here, because it had to be hashed or read.
    Held(Bytes),
    /// A form whose fields are read; the part with the file is still with the program.
    Posted(Box<PostForm>, Upload),
}

/// When a body is held instead of streamed, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold<'a> {
    pub(crate) room: &'a Holding,
    /// Whose bodies count against whose share.
    pub(crate) peer: IpAddr,
    /// The body says what the call is, so it is read whatever the head declares of it.
    pub(crate) body_decides: bool,
}

/// A body as it comes into a verification.
#[derive(Debug)]
pub(crate) enum Brought {
    /// Still with the program.
    Coming(Upload),
    /// Here: the signature was looked for in it.
    Here(Bytes),
    /// A form that is signed, and the rest of it.
    Posted(Box<PostForm>, Upload),
}

/// Finishes the verification of a request. A body is read only where it says what the call is, or where its hash is
/// needed and the head does not say it.
pub(crate) async fn prove(head: &mut Parts, check: Check, body: Brought, how: Hold<'_>) -> Result<Proven, Refusal> {
    let body = match body {
        Brought::Coming(body) => body,
        Brought::Here(bytes) => return prove_held(check, bytes),
        Brought::Posted(form, rest) => {
            let verified = verified(check, &[])?;
            return Ok(Proven { verified, body: ProvenBody::Posted(form, rest) });
        }
    };
    match check {
        Check::Verified(verified) => {
            let body = match (how.body_decides, verified.payload()) {
                (_, Payload::UndeclaredEvents) if body.is_end_stream() => ProvenBody::Held(Bytes::new()),
                (false, _) => ProvenBody::Streamed(body),
                (true, Payload::Hash(_) | Payload::Unsigned) => ProvenBody::Held(hold(head, body, how).await?),
                (true, Payload::UnsignedTrailer | Payload::SignedChunks(_) | Payload::SignedChunksTrailer(_))
                | (true, Payload::Events | Payload::UndeclaredEvents) => return Err(framed_form()),
            };
            Ok(Proven { verified, body })
        }
        Check::Pending(pending) => {
            let held = hold(head, body, how).await?;
            let payload = Payload::of(&held);
            let verified = pending.finish(&payload).map_err(|error| unverified(&error))?;
            Ok(Proven { verified, body: ProvenBody::Held(held) })
        }
    }
}

/// Few bodies have to be held, and waiting for one takes room.
async fn hold(head: &mut Parts, body: Upload, how: Hold<'_>) -> Result<Bytes, Refusal> {
    Box::pin(async move { how.room.of(how.peer).whole(head, body).await }).await
}

/// The same for a request whose body is here: none, where it stands in another's bearer.
pub(crate) fn prove_held(check: Check, body: Bytes) -> Result<Proven, Refusal> {
    Ok(Proven { verified: verified(check, &body)?, body: ProvenBody::Held(body) })
}

fn verified(check: Check, body: &[u8]) -> Result<Verified, Refusal> {
    let verified = match check {
        Check::Verified(verified) => Ok(verified),
        Check::Pending(pending) => pending.finish(&Payload::of(body)),
    };
    verified.map_err(|error| unverified(&error))
}

/// Between the headers of chunks or events the parameters of a form cannot be read. No service takes forms so.
fn framed_form() -> Refusal {
    Refusal::new(RefusalCode::NotSupported, "a form that names its action cannot be read in chunks or events")
        .help("send the form as it is, with its hash in x-amz-content-sha256 or without")
}

/// With what a call is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) lease: &'a Lease,
    /// What the cloud gave to an earlier call, if the program signs with what stands for it.
    pub(crate) derived: Option<&'a Derived>,
    pub(crate) keys: &'a SigningKeys,
    /// The time at the cloud.
    pub(crate) now: Timestamp,
}

/// Puts the lease's signature on a proven call. The head is final then; the body is made by what comes back.
pub(crate) fn sign(head: &mut Parts, proven: Proven, call: Option<&Call>, by: By<'_>) -> Result<Signed, Refusal> {
    let Proven { verified, body } = proven;
    let payload = *verified.payload();
    let Credential::Aws(credential) = credential(by.lease, by.derived)?;
    let malformed = |error: &dyn std::error::Error| Refusal::new(RefusalCode::RequestMalformed, error.to_string());
    let scope = call.and_then(|call| Some((call.region.as_deref()?, call.service.as_str())));
    let (region, service) = scope.ok_or_else(|| malformed(&NoScope))?;
    let framing = Framing::declared(&head.headers, &payload).map_err(|error| malformed(&error))?;
    let signer = Signer { form: verified.form(), credential, keys: by.keys, region, service };
    let body = match (signer.form, body) {
        (Form::CallV2(place), body) => return sign_call(head, (body, place), &signer, by.now),
        (_, ProvenBody::Posted(form, rest)) => return sign_form(head, (&form, rest), &signer, by.now),
        (_, body) => body,
    };
    let asked = signer.form.is_in_query().then(|| head.uri.query().unwrap_or_default().to_owned());
    let signed = countersign(head, &payload, &signer, by.now).map_err(|error| unsigned(&error))?;
    let (ours, canonical) = signed.into_parts();
    let resigner = match (framing, verified.into_chain()) {
        (None, _) => None,
        (Some(framing), Some(theirs)) => Some(Resigner::new(framing, theirs, ours)),
        (Some(_), None) => return Err(unverified(&VerifyError::Mismatch)),
    };
    Ok(Signed { body: body.signed(resigner), echo: Echo { canonical, asked, also: None } })
}

/// The same where the signature is one of the call's parameters, and nothing may stand beside them.
fn sign_call(
    head: &mut Parts,
    (body, place): (ProvenBody, Place),
    signer: &Signer<'_>,
    now: Timestamp,
) -> Result<Signed, Refusal> {
    let form = match (place, &body) {
        (Place::Form, ProvenBody::Held(form)) => Some(&form[..]),
        (Place::Query, ProvenBody::Held(body)) if body.is_empty() => None,
        (Place::Query, ProvenBody::Streamed(body)) if body.is_end_stream() => None,
        (Place::Form | Place::Query, _) => return Err(unverified(&VerifyError::Mismatch)),
    };
    let (form, canonical) = v2_call::countersign(head, form, signer, now).map_err(|error| unsigned(&error))?;
    let body = RequestBody::Held(Some(form.unwrap_or_default().into()));
    Ok(Signed { body, echo: Echo { canonical, asked: None, also: None } })
}

/// The same where the signature is a field of a form with a file.
fn sign_form(
    head: &mut Parts,
    (form, rest): (&PostForm, Upload),
    signer: &Signer<'_>,
    now: Timestamp,
) -> Result<Signed, Refusal> {
    let Reposted { beginning, secret } = form.countersign(head, signer, now).map_err(|error| unsigned(&error))?;
    let body = RequestBody::Posted(Box::new(form.body(head, beginning, rest)));
    let canonical = CanonicalRequest::unsaid();
    Ok(Signed { body, echo: Echo { canonical, asked: None, also: Some(secret) } })
}

/// What signs under a lease: its own credential, or the one that the program's placeholder stands for.
pub(crate) fn credential<'a>(lease: &'a Lease, derived: Option<&'a Derived>) -> Result<&'a Credential, Refusal> {
    let Some(derived) = derived else { return Ok(lease.credential()) };
    let anothers = |error: AnothersCredential| Refusal::new(RefusalCode::PlaceholderInvalid, error.to_string());
    derived.credential(lease).map_err(anothers)
}

/// A call whose head is signed.
#[derive(Debug)]
pub(crate) struct Signed {
    body: RequestBody,
    echo: Echo,
}

impl Proven {
    /// The whole body, if it had to be read.
    pub(crate) const fn held(&self) -> Option<&Bytes> {
        match &self.body {
            ProvenBody::Held(bytes) => Some(bytes),
            ProvenBody::Streamed(_) | ProvenBody::Posted(..) => None,
        }
    }
}

impl ProvenBody {
    fn signed(self, resigner: Option<Resigner>) -> RequestBody {
        match (self, resigner) {
            (Self::Held(bytes), _) => RequestBody::Held(Some(bytes)),
            (Self::Streamed(upload) | Self::Posted(_, upload), None) => upload.streamed(),
            (Self::Streamed(upload) | Self::Posted(_, upload), Some(resigner)) => {
                RequestBody::Resigned(Box::new(ResignBody::new(upload, resigner)))
            }
        }
    }
}

impl Signed {
    /// The body to send, and what an answer may repeat of the head.
    pub(crate) fn into_parts(self) -> (RequestBody, Echo) {
        (self.body, self.echo)
    }
}

/// Every signature's scope names region and service, so this does not happen to a call that was verified.
#[derive(Debug, thiserror::Error)]
#[error("the call names no region and service to sign for")]
struct NoScope;

fn unsigned(error: &SignError) -> Refusal {
    use cloud::aws::strip::StripError;
    let code = match error {
        SignError::Authentication(StripError::InQuery(_)) => RefusalCode::NotSupported,
        SignError::Authentication(StripError::Repeated(_) | StripError::TwoTokens)
        | SignError::Authorization(_)
        | SignError::Host(_)
        | SignError::Escape(_)
        | SignError::PayloadContradiction
        | SignError::Policy(_)
        | SignError::Path(_)
        | SignError::Url(_) => RefusalCode::RequestMalformed,
        SignError::Credential(_) | SignError::Expired => RefusalCode::ExchangeRefused,
    };
    Refusal::new(code, error.to_string())
}
