//! What the access key that signs a request stands for.

use std::borrow::Cow;

use access::{Refusal, RefusalCode, Secret, TargetName};
use cloud::aws::placeholder::{DerivedPlaceholder, Placeholders};
use http::request::Parts;
use percent_encoding::percent_decode_str;

/// The headers, and for presigned URLs the parameters, that carry the token of temporary keys.
const TOKEN: &str = "x-amz-security-token";
const EXPRESS_TOKEN: &str = "x-amz-s3session-token";

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Whatever is lent for a target.
    Target(TargetName),
    /// What the cloud gave to an earlier call, kept under this access key id.
    Derived(String),
}

/// The secret that proves who holds a placeholder, and what the placeholder stands for.
pub(crate) type Stand<'a> = (Cow<'a, Secret<String>>, Standing);

/// Finds what `access_key_id` stands for. One for temporary keys comes with its session token, as AWS demands it:
/// `token`, where that belongs to the proof itself, or one in a header or the query.
pub(crate) fn find<'a>(
    all: &'a Placeholders,
    (access_key_id, token): (&str, Option<&str>),
    head: &Parts,
) -> Result<Stand<'a>, Refusal> {
    if let Some(placeholder) = all.find(access_key_id) {
        if head.headers.contains_key(EXPRESS_TOKEN) {
            let message =
                "the request has the token of an S3 Express session, and is signed with other keys than the session's";
            return Err(Refusal::new(RefusalCode::PlaceholderInvalid, message));
        }
        return Ok((Cow::Borrowed(&placeholder.secret_access_key), Standing::Target(placeholder.target.clone())));
    }
    let placeholder = all.find_derived(access_key_id).ok_or_else(unknown)?;
    if !has_its_token(&placeholder, token, head) {
        let message = "the request's session token does not belong to its access key";
        return Err(Refusal::new(RefusalCode::PlaceholderInvalid, message));
    }
    Ok((Cow::Owned(placeholder.secret_access_key), Standing::Derived(placeholder.access_key_id)))
}

/// Whether the token stands there, once.
fn has_its_token(placeholder: &DerivedPlaceholder, token: Option<&str>, head: &Parts) -> bool {
    let in_headers = [TOKEN, EXPRESS_TOKEN].into_iter().flat_map(|name| head.headers.get_all(name));
    let in_headers = in_headers.map(|value| Cow::Borrowed(value.as_bytes()));
    let pairs = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let in_query =
        pairs.filter(|(name, _)| [TOKEN, EXPRESS_TOKEN].iter().any(|token| name.eq_ignore_ascii_case(token)));
    let in_proof = token.map(|token| Cow::Borrowed(token.as_bytes())).into_iter();
    let mut tokens = in_proof.chain(in_headers).chain(in_query.map(|(_, value)| Cow::from(percent_decode_str(value))));
    let first = tokens.next();
    tokens.next().is_none() && first.is_some_and(|token| placeholder.has_token(&token))
}

fn unknown() -> Refusal {
    Refusal::new(RefusalCode::PlaceholderUnknown, "the request is signed with an access key that is no placeholder of this proxy")
        .help("take the keys from `aws/credentials` or `program.env` in the proxy's directory, and unset other AWS_* credentials")
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use http::Request;

    use super::*;

    fn all() -> Placeholders {
        Placeholders::derive(&Secret::new([7; 32]), [TargetName::new("receipts").unwrap()])
    }

    fn found(id: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Standing, RefusalCode> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        find(&all(), (id, None), &head).map(|(_, standing)| standing).map_err(|refusal| refusal.code)
    }

    #[test]
    fn derived_placeholder_is_taken_with_its_own_token_only() {
        let DerivedPlaceholder { access_key_id: id, session_token, .. } = all().derived([1; 8]);
        let token = session_token.expose().as_str();
        let stands = Ok(Standing::Derived(id.clone()));
        let escaped = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        assert_eq!(found(&id, "/", &[(TOKEN, token)]), stands);
        assert_eq!(found(&id, "/", &[(EXPRESS_TOKEN, token)]), stands);
        assert_eq!(found(&id, &format!("/?X-Amz-Security-Token={escaped}"), &[]), stands);
        let other = all().derived([2; 8]);
        let invalid = Err(RefusalCode::PlaceholderInvalid);
        assert_eq!(found(&id, "/", &[]), invalid);
        assert_eq!(found(&id, "/", &[(TOKEN, other.session_token.expose())]), invalid);
        assert_eq!(found(&id, "/", &[(TOKEN, token), (EXPRESS_TOKEN, token)]), invalid);
        assert_eq!(found("ASIAIOSFODNN7EXAMPLE", "/", &[(TOKEN, token)]), Err(RefusalCode::PlaceholderUnknown));
    }

    #[test]
    fn token_in_the_proof_itself_is_taken_once() {
        let DerivedPlaceholder { access_key_id: id, session_token, .. } = all().derived([1; 8]);
        let token = session_token.expose().as_str();
        let stands = |in_proof, in_header: Option<&str>| {
            let headers = in_header.into_iter().fold(Request::builder(), |head, token| head.header(TOKEN, token));
            find(&all(), (&id, in_proof), &headers.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(stands(Some(token), None));
        assert!(!stands(Some("another"), None) && !stands(Some(token), Some(token)));
    }
}
