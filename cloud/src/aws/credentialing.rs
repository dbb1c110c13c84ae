//! How a request proves who sent it: in a header, in the query, or not at all.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::authorization::{self, Authorization, BadAuthorization};
use super::git::Git;
use super::presigned::{BadPresigned, Presigned};
use super::query::Query;
use super::v2::{BadV2, V2};
use super::v2_call::{CallV2, Place};

/// The proof that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentialing<'a> {
    /// SigV4 or SigV4A in the `Authorization` header: what SDKs send. The body may be signed piece by piece on top of it;
    /// `x-amz-content-sha256` or `content-type` say so.
    Header(Authorization<'a>),
    /// SigV4 or SigV4A in the query: a presigned URL.
    Presigned(Presigned<'a>),
    /// Signature version 2 in the header (`AWS key:signature`): old S3 clients.
    HeaderV2(V2<'a>),
    /// Signature version 2 in the query: what boto3 still presigns in us-east-1.
    PresignedV2(V2<'a>),
    /// Signature version 2 among the parameters of a call, in the query: SimpleDB, and old clients.
    CallV2(CallV2<'a>),
    /// SigV4 in the password of Basic credentials: git, to CodeCommit.
    Git(Git),
    /// A bearer token.
    Bearer,
    /// Another scheme: Basic for registries and git, Negotiate …
    OtherScheme,
    /// Nothing: a public object, or an operation that takes its proof in the body (`AssumeRoleWithWebIdentity`).
    Unsigned,
}

/// Why the proof cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// More than one `Authorization` header.
    #[error("the request has more than one authorization header")]
    RepeatedHeader,
    /// The header has bytes that no scheme uses.
    #[error("the authorization header is not visible ASCII")]
    NotText,
    /// Header and query both sign; AWS refuses that ("Only one auth mechanism allowed").
    #[error("the request is signed in the header and in the query; send one of the two")]
    Twice,
    /// The header's parts.
    #[error(transparent)]
    Header(#[from] BadAuthorization),
    /// A signature of version 2.
    #[error(transparent)]
    V2(#[from] BadV2),
    /// The parameters of a presigned URL.
    #[error(transparent)]
    Presigned(#[from] BadPresigned),
}

/// Headers and query → the proof.
///
/// # Errors
/// [`BadProof`]: what looks signed and cannot be read is never taken for unsigned.
pub(super) fn read<'a>(headers: &'a HeaderMap, query: Query<'a>) -> Result<Credentialing<'a>, BadProof> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let in_query = in_query(query)?;
    let Some(value) = values.next() else { return Ok(in_query.unwrap_or(Credentialing::Unsigned)) };
    if values.next().is_some() {
        return Err(BadProof::RepeatedHeader);
    }
    match (in_header(value)?, in_query) {
        (proof, None) => Ok(proof),
        // A bearer or Basic header beside a presigned query is refused as well: whose proof counts is the server's secret.
        (_, Some(_)) => Err(BadProof::Twice),
    }
}

fn in_header(value: &HeaderValue) -> Result<Credentialing<'_>, BadProof> {
    let text = value.to_str().map_err(|_| BadProof::NotText)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match scheme {
        "AWS" => Credentialing::HeaderV2(V2::in_header(rest)?),
        aws4 if aws4.to_ascii_uppercase().starts_with("AWS4-") => Credentialing::Header(authorization::parse(text)?),
        bearer if bearer.eq_ignore_ascii_case("bearer") => Credentialing::Bearer,
        basic if basic.eq_ignore_ascii_case("basic") => {
            Git::read(rest).map_or(Credentialing::OtherScheme, Credentialing::Git)
        }
        _ => Credentialing::OtherScheme,
    })
}

fn in_query(query: Query<'_>) -> Result<Option<Credentialing<'_>>, BadProof> {
    let has = |name: &str| query.pairs().any(|(found, _)| found.eq_ignore_ascii_case(name));
    if has("X-Amz-Signature") || has("X-Amz-Credential") || has("X-Amz-Algorithm") {
        return Ok(Some(Credentialing::Presigned(Presigned::read(query)?)));
    }
    if let Some(call) = CallV2::read(query, Place::Query)? {
        return Ok(Some(Credentialing::CallV2(call)));
    }
    Ok(V2::in_query(query)?.map(Credentialing::PresignedV2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "AWS4-HMAC-SHA256 Credential=k/20260705/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";

    const V4A: &str =
        "AWS4-ECDSA-P256-SHA256 Credential=k/20260705/s3/aws4_request, SignedHeaders=host, Signature=3006020100020100";

    const PRESIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260705%2Feu-west-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20260705T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=0000000000000000000000000000000000000000000000000000000000000000";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (AUTHORIZATION, v.parse().expect("a header value"))).collect()
    }

    #[test]
    fn each_kind_of_proof_is_told_apart() {
        let kinds = [("bearer abc", Credentialing::Bearer), ("Basic abc", Credentialing::OtherScheme)];
        for (value, expected) in kinds {
            assert_eq!(read(&headers(&[value]), Query::parse(None)), Ok(expected));
        }
        for header in [V4, V4A] {
            assert!(matches!(read(&headers(&[header]), Query::parse(None)), Ok(Credentialing::Header(_))));
        }
        let none = HeaderMap::new();
        assert_eq!(read(&none, Query::parse(Some("a=b"))), Ok(Credentialing::Unsigned));
        let second = Query::parse(Some("AWSAccessKeyId=k&Signature=s&Expires=1"));
        assert!(matches!(read(&none, second), Ok(Credentialing::PresignedV2(_))));
        let second = headers(&["AWS k:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="]);
        assert!(matches!(read(&second, Query::parse(None)), Ok(Credentialing::HeaderV2(_))));
    }

    #[test]
    fn a_presigned_credential_is_decoded() {
        let none = HeaderMap::new();
        let Ok(Credentialing::Presigned(presigned)) = read(&none, Query::parse(Some(PRESIGNED))) else {
            panic!("presigned")
        };
        assert_eq!(presigned.authorization().credential.access_key_id, "AKID");
        assert_eq!(presigned.authorization().credential.scope.region, Some("eu-west-1"));
    }

    #[test]
    fn what_looks_signed_and_is_not_readable_is_refused() {
        let none = HeaderMap::new();
        for (headers, query, why) in [
            (headers(&[V4, V4]), "", BadProof::RepeatedHeader),
            (headers(&["Bearer a", V4]), "", BadProof::RepeatedHeader),
            (headers(&[V4]), PRESIGNED, BadProof::Twice),
            (headers(&["Bearer a"]), PRESIGNED, BadProof::Twice),
            (headers(&["AWS4-HMAC-SHA256 nonsense"]), "", BadProof::Header(BadAuthorization::UnknownPart)),
            (headers(&["aws4-hmac-sha256 Credential=x"]), "", BadProof::Header(BadAuthorization::Algorithm)),
            (
                headers(&["AWS4-ECDSA-P256-SHA256 Signature=30"]),
                "",
                BadProof::Header(BadAuthorization::Missing("Credential")),
            ),
            (none.clone(), "X-Amz-Signature=0", BadProof::Presigned(BadPresigned::Missing("X-Amz-Algorithm"))),
            (none, "x-amz-signature=0", BadProof::Presigned(BadPresigned::Repeated("X-Amz-Signature"))),
        ] {
            assert_eq!(read(&headers, Query::parse(Some(query))), Err(why), "{headers:?} {query}");
        }
    }
}
