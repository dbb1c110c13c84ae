//! Whether a request may come in: its signature, session, expiry and date, and that its body is what was signed.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Session, State, elsewhere, open, query, sockets};
use crate::stage::events;
use crate::stage::payload::{By, Chain, Form, Unframer};
use crate::stage::program::Keys;
use crate::stage::sigv4::{Authorization, Reading, Scope, Signable, canonical, sha256_hex, signature};
use crate::stage::sigv4a;
use crate::stage::wire::Head;

/// How far a request's date may be from the cloud's clock.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// A refusal of the cloud.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The canonical request that should have been signed, and who says to have signed it.
    pub(super) expected: Option<(String, String)>,
}

impl Denied {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), expected: None }
    }
}

/// What a request's head claims, as far as it can be checked before the body.
#[derive(Debug)]
pub(super) struct Claim {
    head: Head,
    signed: Option<Signed>,
}

#[derive(Debug)]
pub(super) struct Signed {
    /// Path and query, as far as they are covered.
    pub(super) target: String,
    pub(super) session: Session,
    pub(super) authorization: Authorization,
    pub(super) date: String,
    pub(super) declared: Option<String>,
    /// By SigV4A.
    pub(super) is_for_regions: bool,
}

/// A body that is what was signed, unframed.
pub(super) struct Payload {
    pub(super) content: Vec<u8>,
}

/// The one value of a header.
pub(super) fn single<'a>(head: &'a Head, name: &'a str) -> Result<Option<&'a str>, Denied> {
    let mut values = head.all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Denied::new(400, "InvalidRequest", format!("more than one {name}"))),
    }
}

impl Claim {
    /// Reads the head, and checks all of it if it declares its payload.
    pub(super) fn read(head: &Head, state: &State) -> Result<Self, Denied> {
        for unwanted in ["proxy-authorization", "proxy-connection", "keep-alive", "te", "upgrade"] {
            if head.get(unwanted).is_some() && !(unwanted == "upgrade" && sockets::are_taken(head)) {
                return Err(Denied::new(400, "InvalidRequest", format!("{unwanted} is not for me")));
            }
        }
        let target = head.word(1);
        if !target.starts_with('/') {
            return Err(Denied::new(400, "InvalidURI", "not in origin form"));
        }
        let Some(header) = single(head, "authorization")? else {
            let signed = query::read(head, state)?;
            if let Some((signed, Some(declared))) = signed.as_ref().map(|signed| (signed, &signed.declared)) {
                signed.check(head, declared)?;
            }
            return Ok(Self { head: head.clone(), signed });
        };
        if target.contains("X-Amz-Signature=") || target.contains("X-Amz-Credential=") {
            return Err(Denied::new(400, "InvalidArgument", "only one auth mechanism allowed"));
        }
        if let Some(signed) = elsewhere::read(head, header, state)? {
            return Ok(Self { head: head.clone(), signed: Some(signed) });
        }
        let authorization = Authorization::parse(header)
            .ok_or_else(|| Denied::new(400, "AuthorizationHeaderMalformed", "no such authorization"))?;
        let (session, date) = current(head, &authorization, state)?;
        let target = target.to_owned();
        covers(head, &authorization)?;
        let declared = single(head, "x-amz-content-sha256")?.map(str::to_owned);
        let signed = Signed { target, session, authorization, date, declared, is_for_regions: false };
        if let Some(declared) = &signed.declared {
            signed.check(head, declared)?;
        } else if signed.authorization.scope.service == "s3" {
            return Err(Denied::new(
                400,
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            ));
        }
        Ok(Self { head: head.clone(), signed: Some(signed) })
    }

    /// The session that signed; `None`: nobody did.
    pub(super) fn session(&self) -> Option<&Session> {
        self.signed.as_ref().map(|signed| &signed.session)
    }

    /// Takes the body, as it stood on the wire, if it is the one that was signed.
    pub(super) fn admit(&self, body: &[u8]) -> Result<Payload, Denied> {
        let signed = self.signed.as_ref().ok_or_else(|| Denied::new(403, "AccessDenied", "nobody signed"))?;
        let Some(declared) = &signed.declared else {
            signed.check(&self.head, &sha256_hex(body))?;
            return Ok(Payload { content: body.to_vec() });
        };
        if declared == events::DECLARED {
            let wrong = |why| Denied::new(403, "InvalidSignatureException", why);
            return Ok(Payload { content: events::opened(signed.chain(), body).map_err(wrong)?.concat() });
        }
        let form = Form::of(declared).ok_or_else(|| Denied::new(400, "InvalidArgument", "no such payload"))?;
        if form.has_signatures() && form.is_for_regions() != signed.is_for_regions {
            return Err(Denied::new(400, "InvalidArgument", "the body is signed otherwise than the head"));
        }
        if form == Form::Hashed && sha256_hex(body) != *declared {
            return Err(Denied::new(400, "XAmzContentSHA256Mismatch", "the body is not the one that was signed"));
        }
        if !form.is_chunked() {
            return Ok(Payload { content: body.to_vec() });
        }
        self.unframed(body, (form, signed)).map(|content| Payload { content })
    }

    fn unframed(&self, body: &[u8], (form, signed): (Form, &Signed)) -> Result<Vec<u8>, Denied> {
        let wrong = |why: &'static str| Denied::new(403, "SignatureDoesNotMatch", why);
        if !self.head.get("content-encoding").is_some_and(|e| e.split(',').any(|e| e.trim() == "aws-chunked")) {
            return Err(Denied::new(400, "InvalidRequest", "a framed body without aws-chunked"));
        }
        let mut unframer = Unframer::new(form, signed.chain());
        let mut content = Vec::new();
        unframer.push(body, &mut content).map_err(wrong)?;
        unframer.finish(&content).map_err(wrong)?;
        let length = single(&self.head, "x-amz-decoded-content-length")?;
        if length != Some(content.len().to_string().as_str()) {
            return Err(Denied::new(400, "IncompleteBody", "x-amz-decoded-content-length is not the body's length"));
        }
        Ok(content)
    }
}

impl Signed {
    /// Compares signatures, with what is declared of the payload or its hash.
    pub(super) fn check(&self, head: &Head, payload: &str) -> Result<(), Denied> {
        let Authorization { scope, signed, signature: claimed, .. } = &self.authorization;
        let request = Signable { method: head.word(0), target: &self.target, headers: &head.headers, signed, payload };
        let canonical = canonical(request, &scope.service, Reading::Meaning);
        let is_right = if self.is_for_regions {
            let text = sigv4a::text((&self.date, &scope.service), &canonical);
            sigv4a::verifies(&self.keys(), &text, claimed)
        } else {
            signature(&scope.key(&self.session.secret), (&self.date, scope), &canonical) == *claimed
        };
        if is_right {
            return Ok(());
        }
        let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
        let denied = Denied::new(403, "SignatureDoesNotMatch", message);
        Err(Denied { expected: Some((canonical, self.session.key_id.clone())), ..denied })
    }

    fn chain(&self) -> Chain {
        let Authorization { scope, signature, .. } = &self.authorization;
        let by = match self.is_for_regions {
            true => By::Pair(self.keys()),
            false => By::Hmac(scope.key(&self.session.secret)),
        };
        Chain { by, date: self.date.clone(), scope: scope.clone(), last: signature.clone() }
    }

    fn keys(&self) -> Keys {
        Keys { id: self.session.key_id.clone(), secret: self.session.secret.clone() }
    }
}

/// The session whose key it is, if it has not ended, the request's date is near enough, and its scope fits both.
fn current(head: &Head, authorization: &Authorization, state: &State) -> Result<(Session, String), Denied> {
    let unknown =
        || Denied::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
    let session = open(&state.sessions).get(&authorization.key_id).cloned().ok_or_else(unknown)?;
    let (here, elsewhere) = match session.express {
        true => ("x-amz-s3session-token", "x-amz-security-token"),
        false => ("x-amz-security-token", "x-amz-s3session-token"),
    };
    if single(head, here)? != Some(&session.token) || head.get(elsewhere).is_some() {
        return Err(Denied::new(403, "InvalidToken", "The provided token is malformed or otherwise invalid."));
    }
    let now = state.clock.now();
    ended(&session, now)?;
    let date = single(head, "x-amz-date")?.unwrap_or_default();
    let at = read_date(date).ok_or_else(|| Denied::new(403, "AccessDenied", "no date"))?;
    if at.duration_since(now).abs() > MAX_SKEW {
        return Err(Denied::new(403, "RequestTimeTooSkewed", "the request's time is too far from the current time"));
    }
    fits(head, &authorization.scope, date)?;
    Ok((session, date.to_owned()))
}

pub(super) fn ended(session: &Session, now: Timestamp) -> Result<(), Denied> {
    if now < session.expires {
        return Ok(());
    }
    Err(Denied::new(400, "ExpiredToken", "The provided token has expired."))
}

/// Whether a scope is for the host and the day.
pub(super) fn fits(head: &Head, scope: &Scope, date: &str) -> Result<(), Denied> {
    let (service, region) = scope_of(head.get("host").unwrap_or_default());
    let fits = scope.day == date[..8] && scope.service == service && region.is_none_or(|region| region == scope.region);
    if fits {
        return Ok(());
    }
    if service == "s3" && scope.service == "s3" && scope.day == date[..8] {
        let expected = region.unwrap_or_default();
        let message = format!("the region '{}' is wrong; expecting '{expected}'", scope.region);
        return Err(Denied::new(400, "AuthorizationHeaderMalformed", message));
    }
    let message = format!("credential should be scoped to {service} {region:?} on {date}, not {}", scope.text());
    Err(Denied::new(403, "SignatureDoesNotMatch", message))
}

pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Signing name and region of the hosts that tests use.
pub(super) fn scope_of(host: &str) -> (&str, Option<&str>) {
    let name = host.strip_suffix(".amazonaws.com").unwrap_or(host);
    let parts: Vec<&str> = name.split('.').collect();
    if let Some(at) = parts.iter().position(|part| *part == "s3") {
        return ("s3", Some(parts.get(at + 1).copied().unwrap_or("us-east-1")));
    }
    if let [_, zone, region] = parts[..]
        && zone.starts_with("s3express-")
    {
        return ("s3express", Some(region));
    }
    match parts[..] {
        [_, "iot", region] => ("iotdevicegateway", Some(region)),
        ["bedrock-runtime", region] => ("bedrock", Some(region)),
        ["transcribestreaming", region] => ("transcribe", Some(region)),
        [_, "execute-api", region] => ("execute-api", Some(region)),
        [service, region] => (service, Some(region)),
        _ => (name, None),
    }
}

/// AWS demands `host` and all of its own headers; nothing may be covered that is not there.
fn covers(head: &Head, authorization: &Authorization) -> Result<(), Denied> {
    let is_signed = |name: &str| authorization.signed.iter().any(|signed| signed == name);
    let own = head.headers.iter().map(|(name, _)| name.to_lowercase()).filter(|name| name.starts_with("x-amz-"));
    if let Some(name) = own.chain(["host".to_owned()]).find(|name| !is_signed(name)) {
        return Err(Denied::new(
            403,
            "AccessDenied",
            format!("There were headers present in the request which were not signed: {name}"),
        ));
    }
    let sorted =
        authorization.signed.is_sorted() && authorization.signed.iter().all(|name| *name == name.to_lowercase());
    let there = authorization.signed.iter().all(|name| head.get(name).is_some());
    if sorted && there { Ok(()) } else { Err(Denied::new(403, "SignatureDoesNotMatch", "SignedHeaders is not right")) }
}
