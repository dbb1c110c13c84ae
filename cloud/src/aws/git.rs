//! Git over HTTPS to AWS CodeCommit: a signature in the password of Basic credentials.
//!
//! As `aws codecommit credential-helper` and git-remote-codecommit make it: the user is the access key id, with `%` and
//! the session token after it if there is one; the password is a time and a signature over the repository's URL. It
//! covers neither body nor operation, and every request of a clone or a push carries the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::request::Parts;
use jiff::Timestamp;

use super::algorithm::Algorithm;
use super::authorization::Scope;
use super::chain::Chain;
use super::date::AmzDate;
use super::digest::HexDigest;
use super::form::Form;
use super::host;
use super::key::{AccessKey, SigningKey, SigningKeys};
use super::mismatch::CanonicalRequest;
use super::query::Query;
use super::sign::{SignError, Signed, Signer};
use super::signature::Signature;
use super::verify::{MAX_SKEW, VerifyError};

/// The signing name.
pub(super) const SERVICE: &str = "codecommit";

/// What git appends to a repository's URL ("Smart HTTP").
const OPERATIONS: [&str; 3] = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];

/// `20260705T120000Z` and a signature.
const PASSWORD_BYTES: usize = 16 + Algorithm::Hmac.width();

/// Basic credentials that are a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    access_key_id: String,
    token: Option<String>,
    date: AmzDate,
    signature: Signature,
}

impl Git {
    /// Reads what follows `Basic `; `None` for credentials of another kind.
    pub(super) fn read(basic: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(basic.trim_matches(' ')).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        if password.len() != PASSWORD_BYTES || !password.is_ascii() {
            return None;
        }
        let (date, signature) = password.split_at(PASSWORD_BYTES - Algorithm::Hmac.width());
        let (access_key_id, token) = user.split_once('%').map_or((user, None), |(id, token)| (id, Some(token)));
        Some(Self {
            access_key_id: access_key_id.to_owned(),
            token: token.map(str::to_owned),
            date: AmzDate::parse(date.as_bytes())?,
            signature: Signature::parse(signature.as_bytes(), Algorithm::Hmac)?,
        })
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token, if one stands behind the access key id.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Checks that it was made with `secret`, for the repository that the request is for.
    pub(super) fn check(
        &self,
        parts: &Parts,
        (access_key, keys): (AccessKey<'_>, &SigningKeys),
        now: Timestamp,
    ) -> Result<Form, VerifyError> {
        let age = now.duration_since(self.date.timestamp());
        if age.abs() > MAX_SKEW {
            return Err(VerifyError::Stale(age));
        }
        let host = host::canonical(parts)?;
        let region = region_of(host.to_str().unwrap_or_default()).ok_or(VerifyError::Scope)?;
        let key = keys.key(access_key, Scope { date: self.date.day(), region: Some(region), service: SERVICE });
        let made = sign(&key, &self.date, &canonical(host.as_bytes(), parts.uri.path()));
        if made.matches(&self.signature) { Ok(Form::Git) } else { Err(VerifyError::Mismatch) }
    }
}

/// Puts the lease's in the place of the client's.
pub(super) fn in_password(parts: &mut Parts, by: &Signer<'_>, at: Timestamp) -> Result<Signed, SignError> {
    let date = AmzDate::new(at);
    let host = host::canonical(parts)?;
    let key = by.key(&date);
    let canonical = canonical(host.as_bytes(), parts.uri.path());
    let signature = sign(&key, &date, &canonical);
    let (user, token) = (&by.credential.access_key_id, by.credential.session_token.expose());
    let basic = STANDARD.encode(format!("{user}%{token}:{}{}", date.as_str(), signature.as_str()));
    let mut header = HeaderValue::from_str(&format!("Basic {basic}")).map_err(SignError::Credential)?;
    header.set_sensitive(true);
    parts.headers.insert(HOST, host);
    parts.headers.insert(AUTHORIZATION, header);
    Ok(Signed::new(Chain::new(key, date, signature), CanonicalRequest::new(canonical)))
}

/// The canonical request: a method of its own, and no payload line.
fn canonical(host: &[u8], path: &str) -> Vec<u8> {
    let repository = OPERATIONS.iter().find_map(|operation| path.strip_suffix(operation)).unwrap_or(path);
    [b"GIT\n", repository.as_bytes(), b"\n\nhost:", host, b"\n\nhost\n"].concat()
}

/// The time has no `Z` in the string to sign, and one in the password.
fn sign(key: &SigningKey, date: &AmzDate, canonical: &[u8]) -> Signature {
    key.sign_for_git(date, &HexDigest::of(canonical))
}

/// `git-codecommit.eu-west-1.amazonaws.com`, also with `-fips`, and behind an interface endpoint → `eu-west-1`.
pub(super) fn region_of(host: &str) -> Option<&str> {
    let mut labels = host.split('.').skip_while(|label| label.starts_with("vpce-"));
    matches!(labels.next()?, "git-codecommit" | "git-codecommit-fips").then(|| labels.next())?
}

/// `/v1/repos/NAME/info/refs` → `NAME`, where nothing has to be decoded.
pub(super) fn repository(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix("/v1/repos/")?.split_once('/')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// What a request to a repository does, in IAM's words.
pub(super) fn action(path: &str, query: Query<'_>) -> Option<&'static str> {
    let service = query.one("service").ok()?;
    let named = if path.ends_with("/info/refs") { service.as_deref() } else { path.rsplit('/').next() };
    match named? {
        "git-upload-pack" => Some("codecommit:GitPull"),
        "git-receive-pack" => Some("codecommit:GitPush"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use http::Request;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const NOW: &str = "2026-07-05T12:00:00Z";

    fn parts(uri: &str) -> Parts {
        let host = "git-codecommit.eu-west-1.amazonaws.com";
        Request::builder().uri(uri).header(HOST, host).body(()).unwrap().into_parts().0
    }

    /// Made by `aws codecommit credential-helper get` (awscli 1.46.3) for `/v1/repos/books` at this time.
    const PASSWORD: &str = "20260705T120000Z115b0dc035c4b053eeee4a68a1f0fb491b3a1450a237adf7a30132a93020dd7a";

    fn git(user: &str, password: &str) -> Option<Git> {
        Git::read(&STANDARD.encode(format!("{user}:{password}")))
    }

    fn check(uri: &str, now: &str) -> Result<Form, VerifyError> {
        let git = git("AKIAIOSFODNN7EXAMPLE", PASSWORD).unwrap();
        let (secret, keys) = (Secret::new(SECRET.to_owned()), SigningKeys::new());
        let access_key = AccessKey { id: git.access_key_id(), secret: &secret };
        git.check(&parts(uri), (access_key, &keys), now.parse().unwrap())
    }

    #[test]
    fn the_helpers_password_is_good_for_every_request_to_its_repository() {
        for uri in ["/v1/repos/books/info/refs?service=git-upload-pack", "/v1/repos/books/git-receive-pack"] {
            assert_eq!(check(uri, NOW), Ok(Form::Git), "{uri}");
        }
        assert_eq!(check("/v1/repos/other/git-upload-pack", NOW), Err(VerifyError::Mismatch));
        assert!(matches!(check("/v1/repos/books/info/refs", "2026-07-05T12:15:01Z"), Err(VerifyError::Stale(_))));
    }

    #[test]
    fn other_credentials_are_not_taken_for_signatures() {
        assert_eq!(git("AKIAIOSFODNN7EXAMPLE%token+/=", PASSWORD).unwrap().access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        for password in ["pw", "", &PASSWORD[1..], &PASSWORD.to_uppercase()] {
            assert_eq!(git("user", password), None, "{password}");
        }
        assert_eq!(Git::read("not base64!"), None);
    }

    #[test]
    fn hosts_and_paths_tell_region_and_action() {
        assert_eq!(region_of("git-codecommit-fips.us-east-1.amazonaws.com"), Some("us-east-1"));
        assert_eq!(region_of("vpce-0a-1b.git-codecommit.eu-west-1.vpce.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(region_of("codecommit.eu-west-1.amazonaws.com"), None);
        let action = |path, query| action(path, Query::parse(query));
        assert_eq!(action("/v1/repos/a/info/refs", Some("service=git-receive-pack")), Some("codecommit:GitPush"));
        assert_eq!(action("/v1/repos/a/git-upload-pack", None), Some("codecommit:GitPull"));
        assert_eq!(action("/v1/repos/a/info/refs", None), None);
        assert_eq!(action("/v1/repos/a/info/refs", Some("service=git-upload-pack&service=git-receive-pack")), None);
    }
}
