//! Bearers of EKS clusters: a presigned `sts:GetCallerIdentity` in base64url, made without a call to anybody.
//!
//! As `aws eks get-token` and aws-iam-authenticator make it. The cluster's name stands in a header that the signature
//! covers and that is not sent: the cluster knows its own, and so must whoever signs again.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};

const PREFIX: &str = "k8s-aws-v1.";

/// The header that carries the cluster's name to the signer.
const CLUSTER: HeaderName = HeaderName::from_static("x-k8s-aws-id");

/// Longest bearer that is read. A presigned URL with a session token has some 2 KiB.
const MAX_BYTES: usize = 16 * 1024;

/// What hosts of API servers end with.
const API_SERVERS: [&str; 2] = [".eks.amazonaws.com", ".eks.amazonaws.com.cn"];

/// Whether `host`, in lower case, is the API server of some cluster: `0abc.gr7.us-east-1.eks.amazonaws.com`.
pub fn is_api_server(host: &str) -> bool {
    API_SERVERS.iter().any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
}

/// A bearer that looks like one of these and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bearer is not `k8s-aws-v1.` and a presigned https URL in base64url")]
pub struct BadBearer;

/// The request that a bearer stands for, with the cluster's name where the signature covers it; `None` where the bearer is
/// of another kind.
///
/// # Errors
/// [`BadBearer`]: what looks like one and cannot be read is never taken for another kind.
pub fn open(headers: &HeaderMap, cluster: &str) -> Result<Option<Parts>, BadBearer> {
    let Some(url) = url_in(headers)? else { return Ok(None) };
    let uri: Uri = url.parse().map_err(|_| BadBearer)?;
    let host = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or(BadBearer)?;
    let host = HeaderValue::from_str(host.as_str()).map_err(|_| BadBearer)?;
    let name = HeaderValue::from_str(cluster).map_err(|_| BadBearer)?;
    let request = Request::builder().method(Method::GET).uri(uri).header(HOST, host).header(CLUSTER, name);
    request.body(()).map(|request| Some(request.into_parts().0)).map_err(|_| BadBearer)
}

/// A signed request → the header that stands for it.
pub fn seal(signed: &Parts) -> Result<HeaderValue, BadBearer> {
    let bearer = format!("Bearer {PREFIX}{}", URL_SAFE_NO_PAD.encode(signed.uri.to_string()));
    let mut header = HeaderValue::from_str(&bearer).map_err(|_| BadBearer)?;
    header.set_sensitive(true);
    Ok(header)
}

/// The URL inside; `None` where the bearer is of another kind.
pub(super) fn url_in(headers: &HeaderMap) -> Result<Option<String>, BadBearer> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bearer = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(encoded) = token.and_then(|token| token.strip_prefix(PREFIX)) else { return Ok(None) };
    if values.next().is_some() || encoded.len() > MAX_BYTES {
        return Err(BadBearer);
    }
    let url = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| BadBearer)?;
    String::from_utf8(url).map(Some).map_err(|_| BadBearer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15";

    fn bearer(text: &str) -> HeaderMap {
        [(AUTHORIZATION, HeaderValue::from_str(text).unwrap())].into_iter().collect()
    }

    #[test]
    fn what_is_sealed_is_opened() {
        let parts = Request::get(URL).body(()).unwrap().into_parts().0;
        let sealed = [(AUTHORIZATION, seal(&parts).unwrap())].into_iter().collect();
        let opened = open(&sealed, "prod").unwrap().unwrap();
        assert_eq!(opened.uri, URL);
        assert_eq!(opened.headers[HOST], "sts.eu-west-1.amazonaws.com");
        assert_eq!(opened.headers["x-k8s-aws-id"], "prod");
        assert!(!format!("{sealed:?}").contains("k8s-aws"), "it is marked sensitive");
    }

    #[test]
    fn other_bearers_are_of_another_kind() {
        for header in
            ["Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Basic azhzLWF3cy12MS4", "Bearer", "k8s-aws-v1.aHR0cHM6Ly8"]
        {
            assert!(open(&bearer(header), "prod").unwrap().is_none(), "{header}");
        }
        assert!(open(&HeaderMap::new(), "prod").unwrap().is_none());
    }

    #[test]
    fn bearers_that_cannot_be_read_are_refused() {
        let plain = URL_SAFE_NO_PAD.encode("http://sts.amazonaws.com/");
        let path = URL_SAFE_NO_PAD.encode("/?Action=GetCallerIdentity");
        let long = "A".repeat(MAX_BYTES + 1);
        for encoded in ["!", "/w==", plain.as_str(), path.as_str(), long.as_str()] {
            assert_eq!(
                open(&bearer(&format!("Bearer k8s-aws-v1.{encoded}")), "prod").err(),
                Some(BadBearer),
                "{encoded}"
            );
        }
    }
}
