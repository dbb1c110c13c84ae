//! A presigned URL signed again: the same URL, with the lease's credential in the place of the placeholder's.
//!
//! The new URL is good for no longer than its program asked for, counted from when its program signed it, and for no
//! longer than the lease.

use access::AwsCredential;
use http::header::HOST;
use http::request::Parts;
use jiff::Timestamp;

use super::algorithm::Algorithm;
use super::authorization::SignedHeaders;
use super::canonical::{Canonical, Headers, Line};
use super::chain::Chain;
use super::date::AmzDate;
use super::host;
use super::payload::Payload;
use super::presigned::{self, ALGORITHM, CREDENTIAL, DATE, EXPIRES, Left, SIGNATURE, SIGNED_HEADERS, TOKEN};
use super::query::{Query, decode};
use super::sign::{SignError, Signed, Signer, url};
use super::strip::{EXPRESS_SESSION, SECURITY_TOKEN, is_signed};
use super::uri::{self, Spelling};
use super::v2;

/// The session of an S3 Express bucket, in place of the token.
const EXPRESS_TOKEN: &str = "X-Amz-S3session-Token";

/// Signs a request in its query. All other parameters keep their bytes and their order, unless they were not spelled
/// canonically (see [`super::sign::countersign`]).
pub(super) fn in_query(
    parts: &mut Parts,
    payload: &Payload,
    by: &Signer<'_>,
    (Left(seconds), at): (Left, Timestamp),
) -> Result<Signed, SignError> {
    let host = host::canonical(parts)?;
    parts.headers.insert(HOST, host);
    // The token stands in the query; one in a header would be another, or the placeholder's.
    parts.headers.remove(SECURITY_TOKEN);
    parts.headers.remove(EXPRESS_SESSION);

    let date = AmzDate::new(at);
    let key = by.key(&date);
    let token = token_name(parts.uri.query().unwrap_or_default());
    let headers = headers_to_sign(parts)?;
    let query = Authentication {
        credential: format!("{}/{}", by.credential.access_key_id, key.scope()),
        date: date.as_str(),
        expires: seconds.map(|seconds| left(seconds, by.credential, at)).transpose()?,
        signed_headers: names(&headers),
    }
    .put_into(parts.uri.query().unwrap_or_default())?;
    let token = format!("&{token}={}", encoded(by.credential.session_token.expose()));
    let follows = presigned::token_follows_signature(by.service);
    let signed_query = if follows { query.clone() } else { query.clone() + &token };

    let method = by.form.method(&parts.method);
    let line = Line { method, query: &signed_query, ..Line::new(parts, by.service) };
    let canonical = Canonical::new(line, headers)?;
    let path = match canonical.path() {
        (path, Spelling::Other) => path.to_vec(),
        (_, Spelling::Canonical) => parts.uri.path().as_bytes().to_vec(),
    };
    let (hash, canonical) = canonical.finish(payload.as_str());
    let signature = key.sign_request(&date, &hash);
    let query = format!("{query}{token}&{SIGNATURE}={}", signature.as_str());
    parts.uri = url(parts, &path, Some(query.as_bytes()))?;
    Ok(Signed::new(Chain::new(key, date, signature), canonical))
}

/// Puts the parameters of version 4 in the place of those of version 2, to be filled in by [`in_query`]. What version 2
/// covers of the headers, version 4 covers too.
pub(super) fn translate(parts: &mut Parts) -> Result<(), SignError> {
    let is_covered =
        |name: &&str| matches!(*name, "host" | "content-type" | "content-md5") || name.starts_with("x-amz-");
    let mut covered: Vec<&str> = parts.headers.keys().map(|name| name.as_str()).filter(is_covered).collect();
    covered.push("host");
    covered.sort_unstable();
    covered.dedup();
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !v2::signs(pair));
    let signing = [
        format!("{ALGORITHM}={}", Algorithm::Hmac.name()),
        format!("{CREDENTIAL}="),
        format!("{DATE}="),
        format!("{EXPIRES}="),
        format!("{SIGNED_HEADERS}={}", encoded(&covered.join(";"))),
    ];
    let query = pairs.chain(signing.iter().map(String::as_str)).collect::<Vec<_>>().join("&");
    parts.uri = url(parts, parts.uri.path().as_bytes(), Some(query.as_bytes()))?;
    Ok(())
}

/// Where the token belongs: in the parameter where the client had its own.
fn token_name(query: &str) -> &'static str {
    let mut names = query.split('&').map(|pair| decode(pair.split_once('=').map_or(pair, |(name, _)| name)));
    if names.any(|name| name == EXPRESS_TOKEN) { EXPRESS_TOKEN } else { TOKEN }
}

/// For how many seconds it is good.
fn left(asked: u32, credential: &AwsCredential, at: Timestamp) -> Result<u32, SignError> {
    let of_lease = credential.expires.duration_since(at).as_secs().clamp(0, u32::MAX.into());
    let of_lease = u32::try_from(of_lease).expect("clamped");
    if of_lease > 0 { Ok(asked.min(of_lease)) } else { Err(SignError::Expired) }
}

/// The headers that the client signed, as they stand.
fn headers_to_sign(parts: &Parts) -> Result<Headers<'_>, SignError> {
    let signed_headers = Query::parse(parts.uri.query()).one(SIGNED_HEADERS).ok().flatten().unwrap_or_default();
    let by_client = SignedHeaders::parse(&signed_headers)?;
    let lines = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Ok(lines.filter(|(name, _)| by_client.contains(name) && is_signed(name, Some(by_client))).collect())
}

/// `host;x-amz-date`
fn names(headers: &Headers<'_>) -> String {
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(";")
}

/// The parameters that are put in the place of the client's.
struct Authentication<'a> {
    credential: String,
    date: &'a str,
    expires: Option<u32>,
    signed_headers: String,
}

impl Authentication<'_> {
    /// The client's query with our values, without token and signature.
    fn put_into(&self, query: &str) -> Result<String, SignError> {
        let mut out = String::with_capacity(query.len() + 32);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = decode(pair.split_once('=').map_or(pair, |(name, _)| name));
            let value = match &*name {
                TOKEN | EXPRESS_TOKEN | SIGNATURE => continue,
                CREDENTIAL => Some(encoded(&self.credential)),
                DATE => Some(self.date.to_owned()),
                EXPIRES => self.expires.map(|seconds| seconds.to_string()),
                SIGNED_HEADERS => Some(encoded(&self.signed_headers)),
                _ => None,
            };
            if !out.is_empty() {
                out.push('&');
            }
            match value {
                Some(value) => out.extend([&*name, "=", &value]),
                None => out.push_str(&String::from_utf8_lossy(&uri::respell_query(pair)?)),
            }
        }
        Ok(out)
    }
}

/// As the canonical query has it.
fn encoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    uri::encode_all(text, &mut out);
    String::from_utf8(out).expect("what is escaped is ASCII")
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use http::Request;

    use super::*;
    use crate::aws::form::Form;
    use crate::aws::key::SigningKeys;

    #[test]
    fn the_session_token_goes_where_the_client_had_its_own() {
        let credential = AwsCredential {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new("secret".to_owned()),
            session_token: Secret::new("ours".to_owned()),
            expires: "2026-07-05T13:00:00Z".parse().unwrap(),
        };
        for (name, other) in [(TOKEN, EXPRESS_TOKEN), (EXPRESS_TOKEN, TOKEN)] {
            let url = format!(
                "/k?{CREDENTIAL}=x&{DATE}=x&{EXPIRES}=60&{name}=placeholder&{SIGNED_HEADERS}=host&{SIGNATURE}=x"
            );
            let request = Request::builder()
                .uri(url)
                .header(HOST, "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com");
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let (form, keys) = (Form::Query(Left(Some(60))), SigningKeys::new());
            let by = Signer { form, credential: &credential, keys: &keys, region: "us-east-1", service: "s3express" };
            in_query(&mut parts, &Payload::Unsigned, &by, (Left(Some(60)), "2026-07-05T12:00:00Z".parse().unwrap()))
                .unwrap();
            let query = parts.uri.query().unwrap();
            assert!(query.contains(&format!("&{name}=ours&")), "{query}");
            assert!(!query.contains(other) && !query.contains("placeholder"), "{query}");
        }
    }
}
