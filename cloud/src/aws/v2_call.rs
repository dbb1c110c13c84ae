//! Signature version 2 of calls whose parameters stand in the query or in a form (AWS General Reference, "Signature Version
//! 2 signing process"): what SimpleDB takes to this day, and nothing else, and what SDKs of before 2014 send to all the
//! query services. It is verified here, and leaves as SigV4, but for SimpleDB.

use std::borrow::Cow;

use access::Secret;
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::form::Form;
use super::host;
use super::mismatch::CanonicalRequest;
use super::payload::Payload;
use super::query::Query;
use super::sign::{self, SignError, Signer, url};
use super::strip;
use super::uri;
use super::v2::BadV2;
use super::verify::{MAX_SKEW, VerifyError};

const KEY_ID: &str = "AWSAccessKeyId";
const SIGNATURE: &str = "Signature";
const VERSION: &str = "SignatureVersion";
const METHOD: &str = "SignatureMethod";
const TIMESTAMP: &str = "Timestamp";
const EXPIRES: &str = "Expires";
const TOKEN: &str = "SecurityToken";

/// All that signs, and goes with the client's signature.
const NAMES: [&str; 7] = [KEY_ID, SIGNATURE, VERSION, METHOD, TIMESTAMP, EXPIRES, TOKEN];

/// Where the parameters of such a call stand, and its signature among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the URL.
    Query,
    /// In the body.
    Form,
}

/// A call signed with version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallV2<'a> {
    place: Place,
    /// As they stand, the signature among them.
    parameters: &'a str,
    access_key_id: Cow<'a, str>,
    token: Option<Cow<'a, str>>,
    signature: Cow<'a, str>,
    hash: Hash,
    validity: Validity,
}

/// With what it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha1,
    Sha256,
}

/// When it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    /// About this time.
    Made(Timestamp),
    /// Until then.
    Ends(Timestamp),
}

impl<'a> CallV2<'a> {
    /// Reads the form in a body; `None` where it is not signed so.
    ///
    /// # Errors
    /// [`BadV2`]: it looks signed and cannot be read.
    pub fn in_form(body: &'a [u8]) -> Result<Option<Self>, BadV2> {
        let Ok(text) = std::str::from_utf8(body) else { return Ok(None) };
        Self::read(Query::parse(Some(text)), Place::Form)
    }

    /// Reads parameters; `None` where they are not signed so.
    pub(super) fn read(parameters: Query<'a>, place: Place) -> Result<Option<Self>, BadV2> {
        if ![KEY_ID, SIGNATURE, VERSION].iter().all(|name| parameters.has(name)) {
            return Ok(None);
        }
        let at_most_one = |name: &'static str| {
            let mut values = parameters.pairs().filter(|(found, _)| found.eq_ignore_ascii_case(name));
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some((found, value)), None) if found == name => Ok(Some(value)),
                _ => Err(BadV2::Parameter(name)),
            }
        };
        let one = |name: &'static str| at_most_one(name)?.ok_or(BadV2::Parameter(name));
        if one(VERSION)? != "2" {
            return Err(BadV2::Parameter(VERSION));
        }
        let hash = match &*one(METHOD)? {
            "HmacSHA256" => Hash::Sha256,
            "HmacSHA1" => Hash::Sha1,
            _ => return Err(BadV2::Parameter(METHOD)),
        };
        let validity = match (at_most_one(TIMESTAMP)?, at_most_one(EXPIRES)?) {
            (Some(made), None) => Validity::Made(time(&made).ok_or(BadV2::Parameter(TIMESTAMP))?),
            (None, Some(ends)) => Validity::Ends(time(&ends).ok_or(BadV2::Parameter(EXPIRES))?),
            _ => return Err(BadV2::Parameter(TIMESTAMP)),
        };
        Ok(Some(Self {
            place,
            parameters: parameters.text(),
            access_key_id: one(KEY_ID)?,
            token: at_most_one(TOKEN)?,
            signature: one(SIGNATURE)?,
            hash,
            validity,
        }))
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token, which is a parameter among the others.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Checks that it was made with `secret`, for this request, and is good. What stands elsewhere than the parameters is not
    /// covered: beside a signed query no body is taken, and beside a signed form no query.
    pub(super) fn check(&self, parts: &Parts, secret: &Secret<String>, now: Timestamp) -> Result<Form, VerifyError> {
        match self.validity {
            Validity::Ends(ends) if ends <= now => return Err(VerifyError::Expired(now.duration_since(ends))),
            Validity::Made(made) if now.duration_since(made).abs() > MAX_SKEW => {
                return Err(VerifyError::Stale(now.duration_since(made)));
            }
            Validity::Ends(_) | Validity::Made(_) => {}
        }
        if self.place == Place::Form && parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(VerifyError::Mismatch);
        }
        let claimed = STANDARD.decode(&*self.signature).map_err(|_| VerifyError::Mismatch)?;
        let host = host::canonical(parts)?;
        let sent = host::on_wire(parts)?.unwrap_or(&host);
        for host in [&host, sent] {
            let text = string_to_sign(parts, host, self.parameters);
            if constant_time::verify_slices_are_equal(hmac(self.hash, secret, &text).as_ref(), &claimed).is_ok() {
                return Ok(Form::CallV2(self.place));
            }
        }
        Err(VerifyError::Mismatch)
    }
}

/// Takes the client's signature out of the call's parameters, and signs it anew. `form`: the body, where they stand there;
/// the new one comes back, for the head says its length now.
///
/// # Errors
/// [`SignError`]: the request is half changed then and must not be sent.
pub fn countersign(
    parts: &mut Parts,
    form: Option<&[u8]>,
    by: &Signer<'_>,
    at: Timestamp,
) -> Result<(Option<Vec<u8>>, CanonicalRequest), SignError> {
    let in_form = form.map(|form| std::str::from_utf8(form).unwrap_or_default());
    let mut parameters = unsigned(in_form.or(parts.uri.query()).unwrap_or_default());
    let is_version_2 = takes_nothing_else(by.service);
    let mut canonical = None;
    if is_version_2 {
        strip::strip(&mut parts.headers)?;
        canonical = Some(add_signature(&mut parameters, parts, by, at)?);
    }
    match in_form {
        Some(_) => drop(parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(parameters.len()))),
        None => parts.uri = url(parts, parts.uri.path().as_bytes(), Some(parameters.as_bytes()))?,
    }
    let body = in_form.map(|_| parameters.into_bytes());
    let canonical = match canonical {
        Some(canonical) => canonical,
        None => {
            let payload = Payload::of(body.as_deref().unwrap_or_default());
            sign::countersign(parts, &payload, &Signer { form: Form::Header, ..*by }, at)?.into_parts().1
        }
    };
    Ok((body, canonical))
}

/// "All AWS services support Signature Version 4, except Amazon SimpleDB, which requires Signature Version 2."
fn takes_nothing_else(service: &str) -> bool {
    service == "sdb"
}

/// The parameters without those that sign, in their order and canonical spelling.
fn unsigned(parameters: &str) -> String {
    let kept = Query::parse(Some(parameters)).pairs().filter(|(name, _)| !NAMES.contains(&&**name));
    kept.map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect::<Vec<_>>().join("&")
}

fn add_signature(
    parameters: &mut String,
    parts: &mut Parts,
    by: &Signer<'_>,
    at: Timestamp,
) -> Result<CanonicalRequest, SignError> {
    let host = host::canonical(parts)?;
    let made = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (key_id, token) = (&by.credential.access_key_id, by.credential.session_token.expose());
    let signing =
        [(KEY_ID, &**key_id), (VERSION, "2"), (METHOD, "HmacSHA256"), (TIMESTAMP, &made), (TOKEN, token.as_str())];
    for (name, value) in signing {
        let between = if parameters.is_empty() { "" } else { "&" };
        parameters.extend([between, name, "=", &encoded(value)]);
    }
    let text = string_to_sign(parts, &host, parameters);
    let signature = STANDARD.encode(hmac(Hash::Sha256, &by.credential.secret_access_key, &text));
    parameters.extend(["&", SIGNATURE, "=", &encoded(&signature)]);
    parts.headers.insert(HOST, host);
    Ok(CanonicalRequest::new(text.into_bytes()))
}

/// Method, host, path, and the parameters but for the signature, sorted by their bytes.
fn string_to_sign(parts: &Parts, host: &HeaderValue, parameters: &str) -> String {
    let mut pairs: Vec<_> = Query::parse(Some(parameters)).pairs().filter(|(name, _)| name != SIGNATURE).collect();
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    let (host, path) = (host.to_str().unwrap_or_default(), parts.uri.path());
    let path = if path.is_empty() { "/" } else { path };
    format!("{}\n{host}\n{path}\n{}", parts.method, pairs.collect::<Vec<_>>().join("&"))
}

fn hmac(hash: Hash, secret: &Secret<String>, text: &str) -> hmac::Tag {
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(algorithm, secret.expose().as_bytes()), text.as_bytes())
}

fn encoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    uri::encode_all(text, &mut out);
    String::from_utf8(out).expect("what is escaped is ASCII")
}

/// `2011-10-03T15:19:30Z`; some clients leave the zone out and mean the same.
fn time(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(civil)
}

#[cfg(test)]
mod tests {
    use access::AwsCredential;
    use http::Request;

    use super::*;
    use crate::aws::key::SigningKeys;

    /// The example of the AWS General Reference.
    const DOCUMENTED: &str = "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Action=DescribeJobFlows&SignatureMethod=HmacSHA256\
        &SignatureVersion=2&Timestamp=2011-10-03T15%3A19%3A30&Version=2009-03-31\
        &Signature=i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf%2FMj6vPxyYIs%3D";

    fn get(target: &str) -> Parts {
        let request = Request::get(target).header("host", "elasticmapreduce.amazonaws.com");
        request.body(()).unwrap().into_parts().0
    }

    fn check(parts: &Parts, text: &str, now: &str) -> Result<Form, VerifyError> {
        let call = CallV2::read(Query::parse(Some(text)), Place::Query).unwrap().unwrap();
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        call.check(parts, &secret, now.parse().unwrap())
    }

    #[test]
    fn the_documented_signature_verifies_for_a_quarter_of_an_hour() {
        let parts = get("/");
        for now in ["2011-10-03T15:04:30Z", "2011-10-03T15:34:30Z"] {
            assert_eq!(check(&parts, DOCUMENTED, now), Ok(Form::CallV2(Place::Query)));
        }
        assert!(matches!(check(&parts, DOCUMENTED, "2011-10-03T15:34:31Z"), Err(VerifyError::Stale(_))));
        let others = [get("/x"), Request::post("/").header("host", "a.test").body(()).unwrap().into_parts().0];
        for other in others {
            assert_eq!(check(&other, DOCUMENTED, "2011-10-03T15:19:30Z"), Err(VerifyError::Mismatch));
        }
        for changed in [DOCUMENTED.replace("JobFlows", "Steps"), format!("{DOCUMENTED}&Marker=x")] {
            assert_eq!(check(&parts, &changed, "2011-10-03T15:19:30Z"), Err(VerifyError::Mismatch));
        }
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        let refused = |text: &str| CallV2::read(Query::parse(Some(text)), Place::Query).unwrap_err();
        for (from, to, name) in [
            ("SignatureVersion=2", "SignatureVersion=1", VERSION),
            ("SignatureVersion=2", "SignatureVersion=2&signatureversion=2", VERSION),
            ("HmacSHA256", "HmacMD5", METHOD),
            ("SignatureMethod=HmacSHA256&", "", METHOD),
            ("Timestamp=", "Expires=", EXPIRES),
            ("Timestamp=2011-10-03T15%3A19%3A30", "Timestamp=now", TIMESTAMP),
            ("Timestamp=", "Expires=2011-10-03T15:00:00Z&Timestamp=", TIMESTAMP),
            ("&Signature=", "&Signature=x&Signature=", SIGNATURE),
        ] {
            let changed = DOCUMENTED.replace(from, to);
            let changed = if name == EXPIRES { changed.replace("19%3A30", "") } else { changed };
            assert_eq!(refused(&changed), BadV2::Parameter(name), "{changed}");
        }
        assert_eq!(CallV2::read(Query::parse(Some("Action=x&Signature=y")), Place::Query), Ok(None));
        assert_eq!(CallV2::in_form(b"\xff"), Ok(None));
    }

    fn sent(service: &str, form: Option<&[u8]>, target: &str) -> (Parts, String) {
        let credential = AwsCredential {
            access_key_id: "ASIALEASE".to_owned(),
            secret_access_key: Secret::new("secret".to_owned()),
            session_token: Secret::new("to+ken".to_owned()),
            expires: Timestamp::MAX,
        };
        let (keys, form_of) = (SigningKeys::new(), Form::CallV2(Place::Form));
        let by = Signer { form: form_of, credential: &credential, keys: &keys, region: "us-east-1", service };
        let mut parts = get(target);
        let at = "2011-10-03T15:19:30Z".parse().unwrap();
        let (body, _) = countersign(&mut parts, form, &by, at).unwrap();
        (parts, String::from_utf8(body.unwrap_or_default()).unwrap())
    }

    #[test]
    fn what_signs_goes_and_the_rest_stays_in_its_order() {
        let (parts, body) = sent("sqs", Some(DOCUMENTED.as_bytes()), "/");
        assert_eq!(body, "Action=DescribeJobFlows&Version=2009-03-31");
        assert_eq!(parts.headers[CONTENT_LENGTH], body.len().to_string());
        assert!(parts.headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=ASIALEASE/"));
        let (parts, _) = sent("sqs", None, &format!("/q?{DOCUMENTED}"));
        assert_eq!(parts.uri, "/q?Action=DescribeJobFlows&Version=2009-03-31");
        assert!(parts.headers.contains_key("authorization"));
    }

    #[test]
    fn simpledb_is_signed_to_in_version_2_and_what_is_made_is_read() {
        let (parts, body) = sent("sdb", Some(DOCUMENTED.as_bytes()), "/");
        assert!(!parts.headers.contains_key("authorization") && !body.contains("AKIAIOSFODNN7EXAMPLE"), "{body}");
        let call = CallV2::in_form(body.as_bytes()).unwrap().unwrap();
        assert_eq!((call.access_key_id(), call.token()), ("ASIALEASE", Some("to+ken")));
        let at = "2011-10-03T15:19:30Z".parse().unwrap();
        assert!(call.check(&parts, &Secret::new("secret".to_owned()), at).is_ok());
        let (parts, _) = sent("sdb", None, &format!("/?{DOCUMENTED}"));
        let call = CallV2::read(Query::parse(parts.uri.query()), Place::Query).unwrap().unwrap();
        assert!(call.check(&parts, &Secret::new("secret".to_owned()), at).is_ok());
    }
}
