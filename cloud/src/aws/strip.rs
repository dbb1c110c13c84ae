//! What the client's own signature left in the request, and what of the rest may be signed again.

use http::HeaderValue;
use http::header::{AUTHORIZATION, DATE, HeaderMap, HeaderName};

use super::authorization::SignedHeaders;
use super::payload::CONTENT_SHA256;

/// When the request was signed.
pub(super) const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// The session token that belongs to the access key.
pub(super) const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The regions that a signature of SigV4A is good in.
pub(super) const REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");

/// The session of an S3 Express bucket, in place of the token (Amazon S3 API reference, `CreateSession`).
pub(super) const EXPRESS_SESSION: HeaderName = HeaderName::from_static("x-amz-s3session-token");

/// Authentication that must not be guessed at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripError {
    /// Each reader could believe another one.
    #[error("the request has more than one `{0}` header; send it once")]
    Repeated(HeaderName),
    /// A URL and a header that both sign: AWS takes only one mechanism.
    #[error("the URL carries authentication (`{0}`), and the header does too; sign in one of them")]
    InQuery(&'static str),
    /// AWS would have to choose.
    #[error(
        "the request has both x-amz-security-token and x-amz-s3session-token; a session of S3 Express has the latter"
    )]
    TwoTokens,
}

/// Query parameters that authenticate: SigV4 presigned, and SigV2.
const IN_QUERY: [&str; 9] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-S3session-Token",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "AWSAccessKeyId",
];

/// What a client had signed with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stripped {
    /// The `Authorization` header, if there was one.
    pub(super) authorization: Option<HeaderValue>,
    /// Where the token belongs: in the header where the client had its own.
    pub(super) token: HeaderName,
}

/// Removes the client's signature, dates and token.
pub(super) fn strip(headers: &mut HeaderMap) -> Result<Stripped, StripError> {
    // As many names as lines: then none is repeated, and nothing has to be looked up.
    if headers.keys_len() != headers.len() {
        let repeated = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
        let names = [AUTHORIZATION, AMZ_DATE, DATE, SECURITY_TOKEN, EXPRESS_SESSION, CONTENT_SHA256, REGION_SET];
        if let Some(name) = names.into_iter().find(repeated) {
            return Err(StripError::Repeated(name));
        }
    }
    let token = if headers.remove(EXPRESS_SESSION).is_some() { EXPRESS_SESSION } else { SECURITY_TOKEN };
    if token == EXPRESS_SESSION && headers.contains_key(SECURITY_TOKEN) {
        return Err(StripError::TwoTokens);
    }
    // `Date` goes too: AWS would read a client's wrong clock there.
    for name in [AMZ_DATE, DATE, SECURITY_TOKEN] {
        headers.remove(name);
    }
    Ok(Stripped { authorization: headers.remove(AUTHORIZATION), token })
}

/// Refuses authentication in a query. Takes the canonical form, in which no escape can hide a name.
pub(super) fn refuse_in_query(canonical: &[u8]) -> Result<(), StripError> {
    for pair in canonical.split(|b| *b == b'&') {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        if let Some(known) = IN_QUERY.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            return Err(StripError::InQuery(known));
        }
    }
    Ok(())
}

/// Whether to sign a header, given the client's own list. What a hop between here and the service may change is never
/// signed; what the service acts on always is; of the rest, what the client signed.
pub(super) fn is_signed(name: &str, by_client: Option<SignedHeaders<'_>>) -> bool {
    let always = matches!(name, "host" | "content-type" | "content-md5") || name.starts_with("x-amz-");
    always || (!never_signed(name) && by_client.is_some_and(|signed| signed.contains(name)))
}

/// Headers that proxies, load balancers and tracing change, and `Authorization` itself.
fn never_signed(name: &str) -> bool {
    matches!(
        name,
        "accept-encoding"
            | "authorization"
            | "baggage"
            | "connection"
            | "expect"
            | "forwarded"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "traceparent"
            | "tracestate"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "user-agent"
            | "via"
            | "x-amzn-trace-id"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn all_that_the_client_signed_with_goes_and_the_rest_stays() {
        let mut map = headers(&[
            ("authorization", "AWS4-HMAC-SHA256 Credential=x"),
            ("date", "Sun, 30 Aug 2015 12:36:00 GMT"),
            ("x-amz-date", "20150830T123600Z"),
            ("x-amz-security-token", "placeholder"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("range", "bytes=0-1"),
        ]);
        let stripped = strip(&mut map).unwrap();
        assert!(stripped.authorization.is_some() && stripped.token == SECURITY_TOKEN);
        assert_eq!(map, headers(&[("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("range", "bytes=0-1")]));
    }

    #[test]
    fn repeated_authentication_is_refused() {
        let names = ["authorization", "x-amz-date", "date", "x-amz-security-token", "x-amz-content-sha256"];
        for name in names.into_iter().chain(["x-amz-s3session-token", "x-amz-region-set"]) {
            let mut map = HeaderMap::new();
            map.append(name, HeaderValue::from_static("same"));
            map.append(name, HeaderValue::from_static("same"));
            assert_eq!(strip(&mut map), Err(StripError::Repeated(HeaderName::from_static(name))));
        }
    }

    #[test]
    fn token_of_an_express_session_goes_and_ours_takes_its_place() {
        let mut map = headers(&[("x-amz-s3session-token", "t")]);
        assert_eq!(strip(&mut map), Ok(Stripped { authorization: None, token: EXPRESS_SESSION }));
        assert!(map.is_empty());
        let mut both = headers(&[("x-amz-s3session-token", "t"), ("x-amz-security-token", "t")]);
        assert_eq!(strip(&mut both), Err(StripError::TwoTokens));
    }

    #[test]
    fn authentication_in_a_query_is_refused_whatever_its_case() {
        assert_eq!(refuse_in_query(b"a=1&x-amz-signature=2"), Err(StripError::InQuery("X-Amz-Signature")));
        assert_eq!(refuse_in_query(b"AWSAccessKeyId=AKIA"), Err(StripError::InQuery("AWSAccessKeyId")));
        assert_eq!(refuse_in_query(b"list-type=2&prefix=X-Amz-Signature"), Ok(()));
    }

    #[test]
    fn what_hops_change_is_not_signed_even_if_the_client_did() {
        let by_client = SignedHeaders::parse("accept-encoding;host;if-match;user-agent;x-forwarded-for").ok();
        assert!(by_client.is_some());
        for name in ["accept-encoding", "user-agent", "x-forwarded-for", "via", "expect", "x-amzn-trace-id"] {
            assert!(!is_signed(name, by_client), "{name}");
        }
        for name in ["host", "content-type", "x-amz-meta-a", "if-match"] {
            assert!(is_signed(name, by_client), "{name}");
        }
        assert!(!is_signed("if-none-match", by_client));
    }
}
