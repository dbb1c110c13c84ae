//! Signature version 2 of Amazon S3 (Amazon S3 API reference, "Signing and authenticating REST requests"): what boto3
//! presigns in us-east-1 to this day, and what old clients send. It is verified here, and leaves as SigV4.

use std::borrow::Cow;

use access::Secret;
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, HeaderName};
use http::request::Parts;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::endpoints::resolve;
use super::form::Form;
use super::host;
use super::presigned::{Left, MAX_EXPIRES};
use super::query::{Query, decode};
use super::s3_action::shapes_the_answer;
use super::strip::AMZ_DATE;
use super::verify::{self, MAX_SKEW, VerifyError};

const KEY_ID: &str = "AWSAccessKeyId";
const EXPIRES: &str = "Expires";
const SIGNATURE: &str = "Signature";
/// In the query of this version only; that of version 4 is `X-Amz-Security-Token`.
const TOKEN: &str = "x-amz-security-token";

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// HMAC-SHA1 in base64.
const SIGNATURE_BYTES: usize = 28;

/// The parameters that are part of the resource, as AWS lists them and SDKs (botocore) add to them.
const SUB_RESOURCES: [&str; 37] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "encryption",
    "publicAccessBlock",
];

/// A signature of version 2, in the header or in the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V2<'a> {
    access_key_id: Cow<'a, str>,
    signature: Cow<'a, str>,
    /// In the query: until when it is good.
    ends: Option<Timestamp>,
}

/// Why a signature of version 2 cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadV2 {
    /// Not `AWS key:signature`.
    #[error("the authorization header is not `AWS key:signature`")]
    Header,
    /// A parameter is missing, repeated or malformed.
    #[error("what is signed with version 2 has not exactly one {0} that can be read here")]
    Parameter(&'static str),
}

impl<'a> V2<'a> {
    /// `key:signature`, which follows `AWS ` in the header.
    pub(super) fn in_header(text: &'a str) -> Result<Self, BadV2> {
        let (key, signature) = text.trim_matches(' ').split_once(':').ok_or(BadV2::Header)?;
        if key.is_empty() || signature.len() != SIGNATURE_BYTES {
            return Err(BadV2::Header);
        }
        Ok(Self { access_key_id: key.into(), signature: signature.into(), ends: None })
    }

    /// Reads a query; `None` where it is not signed so.
    pub(super) fn in_query(query: Query<'a>) -> Result<Option<Self>, BadV2> {
        if !query.has(KEY_ID) || !query.has(SIGNATURE) {
            return Ok(None);
        }
        let single = |name: &'static str| {
            let mut values = query.pairs().filter(|(found, _)| found.eq_ignore_ascii_case(name));
            match (values.next(), values.next()) {
                (Some((found, value)), None) if found == name => Ok(value),
                _ => Err(BadV2::Parameter(name)),
            }
        };
        // A date of version 4's beside it would be read by one side and not by the other.
        for name in ["X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"] {
            if query.pairs().any(|(found, _)| found.eq_ignore_ascii_case(name)) {
                return Err(BadV2::Parameter(name));
            }
        }
        let ends = single(EXPIRES)?.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(Some(Self {
            access_key_id: single(KEY_ID)?,
            signature: single(SIGNATURE)?,
            ends: Some(ends.ok_or(BadV2::Parameter(EXPIRES))?),
        }))
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Whether it stands in the query.
    pub(super) const fn is_in_query(&self) -> bool {
        self.ends.is_some()
    }

    /// Checks that it was made with `secret`, for this request, and is still good. The body is not covered by it.
    pub(super) fn check(&self, parts: &Parts, secret: &Secret<String>, now: Timestamp) -> Result<Form, VerifyError> {
        let (form, date) = match self.ends {
            Some(ends) if ends <= now => return Err(VerifyError::Expired(now.duration_since(ends))),
            Some(ends) => (Form::QueryV2(until(ends, now)), ends.as_second().to_string()),
            None => (Form::HeaderV2, dated(parts, now)?),
        };
        uncovered(parts.uri.query()).map_or(Ok(()), |name| Err(VerifyError::Uncovered(name)))?;
        let claimed = STANDARD.decode(&*self.signature).map_err(|_| VerifyError::Mismatch)?;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
        for resource in resources(parts)? {
            for moved in [Moved::Counts, Moved::Ignored] {
                let text = string_to_sign(parts, (&date, &resource), moved);
                let signature = hmac::sign(&key, text.as_bytes());
                if constant_time::verify_slices_are_equal(signature.as_ref(), &claimed).is_ok() {
                    return Ok(form);
                }
            }
        }
        Err(VerifyError::Mismatch)
    }
}

/// Whether `Content-Type` and `Content-MD5` are taken from the query too, where clients move them when they presign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Counts,
    Ignored,
}

/// The date line of a header's signature; it is empty where `x-amz-date` is signed with the other headers.
fn dated(parts: &Parts, now: Timestamp) -> Result<String, VerifyError> {
    let age = now.duration_since(verify::date(parts)?.timestamp());
    if age.abs() > MAX_SKEW {
        return Err(VerifyError::Stale(age));
    }
    let date = if parts.headers.contains_key(AMZ_DATE) { None } else { parts.headers.get(DATE) };
    Ok(date.and_then(|date| date.to_str().ok()).unwrap_or_default().trim().to_owned())
}

fn string_to_sign(parts: &Parts, (date, resource): (&str, &str), moved: Moved) -> String {
    let query = Query::parse(parts.uri.query());
    let standard = |name: HeaderName| {
        let in_header =
            parts.headers.get(&name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
        let in_query =
            || query.pairs().find(|(found, _)| *found == name.as_str()).map(|(_, value)| value.trim().to_owned());
        in_header.or_else(|| if moved == Moved::Counts { in_query() } else { None }).unwrap_or_default()
    };
    let (md5, content_type) = (standard(CONTENT_MD5), standard(CONTENT_TYPE));
    let own = own_headers(&parts.headers, query);
    format!("{}\n{md5}\n{content_type}\n{date}\n{own}{resource}", parts.method)
}

/// Headers of AWS's, and parameters of that name, sorted, a line each.
fn own_headers(headers: &HeaderMap, query: Query<'_>) -> String {
    let named = |name: &str| name.starts_with("x-amz-");
    let in_header = headers.iter().filter(|(name, _)| named(name.as_str()));
    let in_header = in_header.map(|(name, value)| {
        (Cow::Borrowed(name.as_str()), Cow::Owned(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    let mut own: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        in_header.chain(query.pairs().filter(|(name, _)| named(name))).collect();
    own.sort_by(|a, b| a.0.cmp(&b.0));
    let mut lines = String::new();
    for same in own.chunk_by(|a, b| a.0 == b.0) {
        let values: Vec<&str> = same.iter().map(|(_, value)| value.trim()).collect();
        lines.extend([&*same[0].0, ":", &values.join(","), "\n"]);
    }
    lines
}

/// Bucket, path and sub-resources. A bucket in the host belongs in front of the path; where the host's rules are not
/// known (a custom domain, an emulator), each way to read it is tried: each takes the secret.
fn resources(parts: &Parts) -> Result<Vec<String>, VerifyError> {
    let host = host::canonical(parts)?;
    let host = host.to_str().unwrap_or_default().split(':').next().unwrap_or_default();
    let rest = format!("{}{}", parts.uri.path(), sub_resources(parts.uri.query().unwrap_or_default()));
    Ok(match resolve(host) {
        Ok(endpoint) if endpoint.prefix.is_empty() => vec![rest],
        Ok(endpoint) => vec![format!("/{}{rest}", endpoint.prefix)],
        Err(_) => {
            let label = host.split('.').next().unwrap_or_default();
            vec![format!("/{label}{rest}"), format!("/{host}{rest}"), rest]
        }
    })
}

/// A parameter that this version leaves out and that could choose another operation, or order something, in the version
/// that the request leaves in.
fn uncovered(query: Option<&str>) -> Option<String> {
    let names = Query::parse(query).pairs().map(|(name, _)| name);
    let is_covered = |name: &str| {
        let own_use = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        let orders = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"));
        SUB_RESOURCES.contains(&name)
            || name.starts_with("x-amz-")
            || (own_use && !orders)
            || shapes_the_answer(name)
            || [CONTENT_MD5.as_str(), CONTENT_TYPE.as_str()].contains(&name)
    };
    names.into_iter().find(|name| !is_covered(name)).map(Cow::into_owned)
}

fn sub_resources(query: &str) -> String {
    let pairs = query.split('&').map(|pair| pair.split_once('=').map_or((pair, None), |(n, v)| (n, Some(v))));
    let mut found: Vec<_> =
        pairs.map(|(name, value)| (decode(name), value)).filter(|(name, _)| SUB_RESOURCES.contains(&&**name)).collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let mut text = String::new();
    for (i, (name, value)) in found.into_iter().enumerate() {
        text.push(if i == 0 { '?' } else { '&' });
        text.push_str(&name);
        if let Some(value) = value {
            // A `+` is itself here: what signs so writes blanks as `%20`.
            text.extend(["=", &percent_decode_str(value).decode_utf8_lossy()]);
        }
    }
    text
}

/// Whether a parameter of this name signs, and has to go when the request is signed otherwise.
pub(super) fn signs(pair: &str) -> bool {
    let name = decode(pair.split_once('=').map_or(pair, |(name, _)| name));
    [KEY_ID, EXPIRES, SIGNATURE].contains(&&*name) || name.eq_ignore_ascii_case(TOKEN)
}

/// What is left of it, but no more than version 4 allows.
fn until(ends: Timestamp, now: Timestamp) -> Left {
    let seconds = ends.duration_since(now).as_secs().clamp(1, MAX_EXPIRES.into());
    Left(u32::try_from(seconds).ok())
}
