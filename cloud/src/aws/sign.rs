//! The signature that the cloud sees: takes the client's out of a request's head and puts the lease's in.

use std::sync::Arc;

use access::AwsCredential;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::request::Parts;
use http::uri::{InvalidUri, InvalidUriParts, PathAndQuery, Uri};
use jiff::Timestamp;

use super::algorithm::Algorithm;
use super::authorization::{self, BadAuthorization, Scope, SignedHeaders};
use super::canonical::{Canonical, Headers, Line};
use super::chain::Chain;
use super::date::AmzDate;
use super::form::Form;
use super::git;
use super::host::{self, HostError};
use super::key::{AccessKey, SigningKey, SigningKeys};
use super::mismatch::CanonicalRequest;
use super::payload::{CONTENT_SHA256, Payload};
use super::post::BadPolicy;
use super::presign;
use super::signature::Signature;
use super::strip::{self, AMZ_DATE, StripError};
use super::uri::{self, MalformedEscape, PathRule, Spelling};

/// With what to sign, and for where.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Where the client's signature stands, and the new one will.
    pub form: Form,
    /// The credential of the lease.
    pub credential: &'a AwsCredential,
    /// The keys derived so far.
    pub keys: &'a SigningKeys,
    /// `us-east-1`, as the call's scope has it. SigV4A has none there: the client's `X-Amz-Region-Set` stays.
    pub region: &'a str,
    /// The signing name: `s3`.
    pub service: &'a str,
}

impl Signer<'_> {
    /// The key for requests of a day.
    pub(super) fn key(&self, date: &AmzDate) -> Arc<SigningKey> {
        let AwsCredential { access_key_id, secret_access_key, .. } = self.credential;
        let region = match self.form.algorithm() {
            Algorithm::Hmac => Some(self.region),
            Algorithm::Ecdsa => None,
        };
        let scope = Scope { date: date.day(), region, service: self.service };
        self.keys.key(AccessKey { id: access_key_id, secret: secret_access_key }, scope)
    }
}

/// A head that is signed. What is left to do is its body.
#[derive(Debug)]
pub struct Signed {
    chain: Chain,
    canonical: CanonicalRequest,
}

impl Signed {
    pub(super) const fn new(chain: Chain, canonical: CanonicalRequest) -> Self {
        Self { chain, canonical }
    }

    /// The head's signature.
    pub const fn signature(&self) -> &Signature {
        self.chain.signature()
    }

    /// For a body with signed chunks: the chain that begins at the head's signature.
    pub fn into_chain(self) -> Chain {
        self.chain
    }

    /// The chain, and what was signed: that explains a refused signature.
    pub fn into_parts(self) -> (Chain, CanonicalRequest) {
        (self.chain, self.canonical)
    }
}

/// Why a request cannot be countersigned. It is half changed then and must not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Its authentication is ambiguous or of a kind that we do not take.
    #[error(transparent)]
    Authentication(#[from] StripError),
    /// It is authenticated otherwise than by SigV4, or not as AWS would take it.
    #[error(transparent)]
    Authorization(#[from] BadAuthorization),
    /// It does not name one host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Its URL can be read in two ways.
    #[error(transparent)]
    Escape(#[from] MalformedEscape),
    /// The caller signs for another payload than the request declares.
    #[error("the payload to sign is not the one that x-amz-content-sha256 declares")]
    PayloadContradiction,
    /// Key id, token, region or service cannot be written into a header.
    #[error("the credential or its scope holds characters that no header may hold")]
    Credential(#[source] InvalidHeaderValue),
    /// The canonical path and query are longer than a URL may be.
    #[error("the URL is too long once it is written canonically")]
    Path(#[source] InvalidUri),
    /// No URL can be good for longer than the lease that signs it.
    #[error("the lease to presign with has expired")]
    Expired,
    /// The policy of a form.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    /// The rewritten URL lacks a part.
    #[error("the URL cannot be put together again")]
    Url(#[source] InvalidUriParts),
}

/// Signs a request's head: strips what the client signed with, sets host, date and token, and adds `Authorization`.
/// `at` is the time at the cloud. Bodies are not touched; `payload` is what the client declares, or the body's hash.
///
/// Path and query are rewritten into canonical spelling where they were not: a server that signs the bytes it sees and
/// one that signs what they mean then compute the same, and what was decided about is what is acted on (a raw `+`
/// is the known trap: a space to some, a plus to others). Paths of services other than S3 stay: there the signature
/// covers the wire form itself.
pub fn countersign(parts: &mut Parts, payload: &Payload, by: &Signer<'_>, at: Timestamp) -> Result<Signed, SignError> {
    match by.form {
        // What signs is taken out of a call's parameters before, by `v2_call::countersign`. A form is signed by
        // `PostForm::countersign` instead.
        Form::Header | Form::Asymmetric | Form::HeaderV2 | Form::CallV2(_) | Form::Post => {
            in_header(parts, payload, by, at)
        }
        Form::Git => git::in_password(parts, by, at),
        Form::Query(left) | Form::QueryAsymmetric(left) => presign::in_query(parts, payload, by, (left, at)),
        Form::QueryV2(left) => {
            presign::translate(parts)?;
            presign::in_query(parts, payload, by, (left, at))
        }
    }
}

fn in_header(parts: &mut Parts, payload: &Payload, by: &Signer<'_>, at: Timestamp) -> Result<Signed, SignError> {
    let host = host::canonical(parts)?;
    let client = strip::strip(&mut parts.headers)?;
    let date = AmzDate::new(at);
    parts.headers.insert(HOST, host);
    parts.headers.insert(AMZ_DATE, date.header());
    insert_token(parts, client.token, by.credential)?;
    declare_payload(parts, payload, PathRule::of(by.service))?;

    // A signature of version 2 has no list of what it covers.
    let authorization = client.authorization.filter(|_| by.form != Form::HeaderV2);
    let headers = headers_to_sign(parts, signed_by(authorization.as_ref())?);
    let canonical = Canonical::new(Line::new(parts, by.service), headers)?;
    strip::refuse_in_query(canonical.query().0)?;
    if let Some(respelled) = respelled(parts, &canonical)? {
        parts.uri = respelled;
    }

    let key = by.key(&date);
    let mut header = unsigned_header(&by.credential.access_key_id, &key, canonical.signed_headers());
    let (hash, canonical) = canonical.finish(payload.as_str());
    let signature = key.sign_request(&date, &hash);
    header.extend_from_slice(signature.as_bytes());
    let header = HeaderValue::from_maybe_shared(bytes::Bytes::from(header)).map_err(SignError::Credential)?;
    parts.headers.insert(AUTHORIZATION, header);
    let chain = Chain::new(key, date, signature);
    let chain = if payload.is_events() { chain.through_midnight(|date| by.key(date)) } else { chain };
    Ok(Signed::new(chain, canonical))
}

/// What the client covered with its signature, if it signed.
fn signed_by(client: Option<&HeaderValue>) -> Result<Option<SignedHeaders<'_>>, BadAuthorization> {
    let Some(header) = client else { return Ok(None) };
    let text = header.to_str().map_err(|_| BadAuthorization::Algorithm)?;
    authorization::parse(text).map(|claim| Some(claim.signed_headers))
}

/// The `Authorization` header up to its signature.
fn unsigned_header(access_key_id: &str, key: &SigningKey, signed_headers: &str) -> Vec<u8> {
    let (algorithm, names) = (key.algorithm(), [", SignedHeaders=", signed_headers, ", Signature="]);
    let parts = [&[algorithm.name(), " Credential=", access_key_id, "/", key.scope()][..], &names].concat();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut header = Vec::with_capacity(length + algorithm.width());
    parts.iter().for_each(|part| header.extend_from_slice(part.as_bytes()));
    header
}

fn insert_token(parts: &mut Parts, name: HeaderName, credential: &AwsCredential) -> Result<(), SignError> {
    let mut token = HeaderValue::from_str(credential.session_token.expose()).map_err(SignError::Credential)?;
    token.set_sensitive(true);
    parts.headers.insert(name, token);
    Ok(())
}

/// S3 demands the declaration; others are sent it only if the client did.
fn declare_payload(parts: &mut Parts, payload: &Payload, rule: PathRule) -> Result<(), SignError> {
    match parts.headers.get(CONTENT_SHA256) {
        Some(declared) if declared.as_bytes() == payload.as_str().as_bytes() => {}
        Some(_) => return Err(SignError::PayloadContradiction),
        None if rule == PathRule::Object => {
            let value = HeaderValue::from_str(payload.as_str()).map_err(SignError::Credential)?;
            parts.headers.insert(CONTENT_SHA256, value);
        }
        None => {}
    }
    Ok(())
}

fn headers_to_sign<'a>(parts: &'a Parts, by_client: Option<SignedHeaders<'_>>) -> Headers<'a> {
    let mut headers = Headers::with_capacity(parts.headers.len());
    headers.extend(
        parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .filter(|(name, _)| strip::is_signed(name, by_client)),
    );
    headers
}

/// The URL in canonical spelling, if the wire has another.
fn respelled(parts: &Parts, canonical: &Canonical) -> Result<Option<Uri>, SignError> {
    let ((path, path_spelling), (_, query_spelling)) = (canonical.path(), canonical.query());
    if (path_spelling, query_spelling) == (Spelling::Canonical, Spelling::Canonical) {
        return Ok(None);
    }
    let path = if path_spelling == Spelling::Other { path } else { parts.uri.path().as_bytes() };
    let query = parts.uri.query().map(uri::respell_query).transpose()?;
    url(parts, path, query.as_deref()).map(Some)
}

/// The URL with another path and query.
pub(super) fn url(parts: &Parts, path: &[u8], query: Option<&[u8]>) -> Result<Uri, SignError> {
    let mut text = Vec::with_capacity(path.len() + 1 + query.map_or(0, <[u8]>::len));
    text.extend_from_slice(path);
    if let Some(query) = query {
        text.push(b'?');
        text.extend_from_slice(query);
    }
    let mut uri = parts.uri.clone().into_parts();
    let text = bytes::Bytes::from(text);
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(text).map_err(SignError::Path)?);
    Uri::from_parts(uri).map_err(SignError::Url)
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use http::Request;
    use http::header::DATE;

    use super::*;
    use crate::aws::digest::HexDigest;
    use crate::aws::strip::SECURITY_TOKEN;

    fn credential() -> AwsCredential {
        AwsCredential {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: Secret::new("IQoJb3JpZ2luX2VjE==".to_owned()),
            expires: "2026-07-05T13:00:00Z".parse().unwrap(),
        }
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri).header(HOST, "acme.s3.amazonaws.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn sign(parts: &mut Parts, service: &str) -> Result<Signed, SignError> {
        let (credential, keys) = (credential(), SigningKeys::new());
        let signer = Signer { form: Form::Header, credential: &credential, keys: &keys, region: "us-east-1", service };
        countersign(parts, &Payload::Unsigned, &signer, "2026-07-05T12:00:00Z".parse().unwrap())
    }

    fn signed_headers(parts: &Parts) -> String {
        let header = parts.headers[AUTHORIZATION].to_str().unwrap();
        authorization::parse(header).unwrap().signed_headers.as_str().to_owned()
    }

    const CLAIM: &str = "AWS4-HMAC-SHA256 Credential=AKIAPLACEHOLDER/20260705/us-east-1/s3/aws4_request, \
        SignedHeaders=accept-encoding;host;range;user-agent;x-amz-date, \
        Signature=fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";

    #[test]
    fn nothing_of_the_clients_signature_reaches_the_cloud() {
        let mut parts = request(
            "/k",
            &[
                ("authorization", CLAIM),
                ("x-amz-date", "20260705T115900Z"),
                ("date", "Sun, 05 Jul 2026 11:59:00 GMT"),
                ("x-amz-security-token", "placeholder"),
            ],
        );
        sign(&mut parts, "s3").unwrap();
        assert_eq!(parts.headers[AMZ_DATE], "20260705T120000Z");
        assert_eq!(parts.headers[SECURITY_TOKEN], "IQoJb3JpZ2luX2VjE==");
        assert!(!parts.headers.contains_key(DATE));
        let shown = format!("{:?}", parts.headers);
        assert!(!shown.to_lowercase().contains("placeholder"), "{shown}");
    }

    #[test]
    fn what_the_client_signed_and_what_aws_acts_on_is_covered_and_what_hops_change_is_not() {
        let mut parts = request(
            "/k",
            &[
                ("authorization", CLAIM),
                ("accept-encoding", "identity"),
                ("content-type", "text/plain"),
                ("if-match", "x"),
                ("range", "bytes=0-9"),
                ("user-agent", "Boto3"),
                ("x-amz-meta-a", "1"),
                ("x-amzn-trace-id", "Root=1"),
            ],
        );
        sign(&mut parts, "s3").unwrap();
        let expected = "content-type;host;range;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token";
        assert_eq!(signed_headers(&parts), expected);
    }

    #[test]
    fn only_s3_is_sent_a_payload_declaration_that_the_client_did_not_make() {
        for (service, declared) in [("s3", true), ("s3-outposts", true), ("dynamodb", false)] {
            let mut parts = request("/", &[]);
            sign(&mut parts, service).unwrap();
            assert_eq!(parts.headers.contains_key(CONTENT_SHA256), declared, "{service}");
        }
        let mut parts = request("/", &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
        sign(&mut parts, "glacier").unwrap();
        assert!(signed_headers(&parts).contains("x-amz-content-sha256"));
    }

    #[test]
    fn another_payload_than_the_declared_one_is_not_signed() {
        let mut parts = request("/", &[("x-amz-content-sha256", HexDigest::EMPTY.as_str())]);
        assert!(matches!(sign(&mut parts, "s3"), Err(SignError::PayloadContradiction)));
    }

    #[test]
    fn a_url_is_sent_in_canonical_spelling_and_its_own_order() {
        let rows = [
            ("/plain.txt", "s3", "/plain.txt"),
            ("/a%20b%2Bc?z=1&a", "s3", "/a%20b%2Bc?z=1&a"),
            ("/a+b@c//d/../e", "s3", "/a%2Bb%40c//d/../e"),
            ("/k?prefix=a+b&delimiter=/&list", "s3", "/k?prefix=a%20b&delimiter=%2F&list"),
            ("/model/a+b/x%2Fy//z?q=a+b&&c", "bedrock", "/model/a+b/x%2Fy//z?q=a%20b&c"),
            ("https://acme.s3.amazonaws.com/it's", "s3", "https://acme.s3.amazonaws.com/it%27s"),
        ];
        for (wire, service, sent) in rows {
            let mut parts = request(wire, &[]);
            sign(&mut parts, service).unwrap();
            assert_eq!(parts.uri.to_string(), sent);
        }
    }

    #[test]
    fn the_host_is_sent_as_it_is_signed() {
        let mut parts = request("/", &[]);
        parts.headers.insert(HOST, HeaderValue::from_static("Acme.S3.amazonaws.com:443"));
        sign(&mut parts, "s3").unwrap();
        assert_eq!(parts.headers[HOST], "acme.s3.amazonaws.com");
        let mut h2 = request("https://acme.s3.amazonaws.com/", &[]);
        h2.headers.remove(HOST);
        sign(&mut h2, "s3").unwrap();
        assert_eq!(h2.headers[HOST], "acme.s3.amazonaws.com");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_signed() {
        let refused = |uri: &str, headers: &[(&str, &str)]| sign(&mut request(uri, headers), "s3").unwrap_err();
        let presigned = "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0";
        assert!(matches!(refused(presigned, &[]), SignError::Authentication(StripError::InQuery(_))));
        assert!(matches!(refused("/k?x%2Damz-signature=0", &[]), SignError::Authentication(StripError::InQuery(_))));
        assert!(matches!(refused("/k", &[("host", "b.example")]), SignError::Host(HostError::Repeated)));
        assert!(matches!(refused("/%zz", &[]), SignError::Escape(MalformedEscape)));
        let twice = [("x-amz-date", "20260705T115900Z"), ("x-amz-date", "20260705T115900Z")];
        assert!(matches!(refused("/k", &twice), SignError::Authentication(StripError::Repeated(_))));
        for other in ["Basic eDp5", "Bearer x", "AWS AKIA:sig", "AWS4-ECDSA-P256-SHA256 Credential=x"] {
            assert!(matches!(refused("/k", &[("authorization", other)]), SignError::Authorization(_)), "{other}");
        }
    }

    #[test]
    fn the_token_is_marked_sensitive() {
        let mut parts = request("/", &[]);
        sign(&mut parts, "s3").unwrap();
        assert!(!format!("{:?}", parts.headers).contains("IQoJ"));
    }
}
