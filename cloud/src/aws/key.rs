//! Signing keys: derived from a secret for one day, region and service, or for SigV4A from the access key, and remembered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use aws_lc_rs::{digest, hmac};
use moka::sync::Cache;
use zeroize::{Zeroize, Zeroizing};

use super::algorithm::{Algorithm, Subject};
use super::authorization::Scope;
use super::date::AmzDate;
use super::digest::HexDigest;
use super::key_pair::KeyPair;
use super::signature::Signature;

/// How many keys are remembered: some hundred credentials in a dozen regions and services each. A key takes 0.8 KiB.
const MAX_KEYS: u64 = 4096;

/// A key that nobody used for this long is wiped; deriving it again costs two microseconds (one of SigV4A: thirty).
const IDLE: Duration = Duration::from_secs(3600);

/// What keys are derived from.
#[derive(Debug, Clone, Copy)]
pub struct AccessKey<'a> {
    /// The access key id. Only keys of SigV4A depend on it.
    pub id: &'a str,
    /// The secret access key.
    pub secret: &'a Secret<String>,
}

/// A derived key with the scope that it is good for. Its memory is wiped on drop (by `HMAC_CTX_cleanup`, `EC_KEY_free`).
pub struct SigningKey {
    key: Key,
    scope: Box<str>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all keys are of the large kind: a box would only cost them a detour"
)]
enum Key {
    Hmac(hmac::Key),
    Ecdsa(KeyPair),
}

impl SigningKey {
    /// Derives the key for `scope`, which says the algorithm too.
    pub fn derive(access_key: AccessKey<'_>, scope: Scope<'_>) -> Self {
        let key = match scope.region {
            Some(region) => Key::Hmac(derive_hmac(access_key.secret, scope, region)),
            None => Key::Ecdsa(KeyPair::derive(access_key)),
        };
        Self { key, scope: scope.to_string().into() }
    }

    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        match self.key {
            Key::Hmac(_) => Algorithm::Hmac,
            Key::Ecdsa(_) => Algorithm::Ecdsa,
        }
    }

    /// `20150830/us-east-1/s3/aws4_request`
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The day that it is good for: `20150830`.
    pub(super) fn day(&self) -> &str {
        self.scope.split('/').next().unwrap_or_default()
    }

    /// Whether it is the key for `scope`.
    pub fn is_for(&self, scope: Scope<'_>) -> bool {
        let parts = [Some(scope.date), scope.region, Some(scope.service), Some("aws4_request")];
        self.scope.split('/').eq(parts.into_iter().flatten())
    }

    /// Signs a canonical request, by its hash.
    pub(super) fn sign_request(&self, date: &AmzDate, canonical: &HexDigest) -> Signature {
        self.sign(Subject::Request, date, &[canonical.as_str()])
    }

    /// The same with a time without its `Z`, as helpers of git sign.
    pub(super) fn sign_for_git(&self, date: &AmzDate, canonical: &HexDigest) -> Signature {
        let hashes = [canonical.as_str()];
        let lines = self.lines(Subject::Request, date.as_str().trim_end_matches('Z'), &hashes);
        match &self.key {
            Key::Hmac(key) => sign_hmac(key, lines),
            Key::Ecdsa(pair) => pair.sign(lines),
        }
    }

    /// Signs a title, date, scope and hashes, a line each: every string to sign has this shape.
    pub(super) fn sign(&self, subject: Subject, date: &AmzDate, hashes: &[&str]) -> Signature {
        let lines = self.lines(subject, date.as_str(), hashes);
        match &self.key {
            Key::Hmac(key) => sign_hmac(key, lines),
            Key::Ecdsa(pair) => pair.sign(lines),
        }
    }

    /// Whether `claimed` was made with this key over the same lines.
    pub(super) fn verifies(&self, subject: Subject, date: &AmzDate, hashes: &[&str], claimed: &Signature) -> bool {
        let lines = self.lines(subject, date.as_str(), hashes);
        match &self.key {
            Key::Hmac(key) => sign_hmac(key, lines).matches(claimed),
            Key::Ecdsa(pair) => pair.verifies(lines, claimed),
        }
    }

    /// Signs the policy of a form, which is the string to sign itself ("Authenticating requests in browser-based uploads
    /// using POST").
    pub(super) fn sign_policy(&self, policy: &str) -> Signature {
        match &self.key {
            Key::Hmac(key) => sign_hmac(key, std::iter::once(policy)),
            Key::Ecdsa(pair) => pair.sign(std::iter::once(policy)),
        }
    }

    fn lines<'a>(&'a self, subject: Subject, date: &'a str, hashes: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let head = [self.algorithm().title(subject), "\n", date, "\n", &self.scope];
        head.into_iter().chain(hashes.iter().flat_map(|hash| ["\n", *hash]))
    }
}

/// Four HMACs, each keyed with the one before.
fn derive_hmac(secret: &Secret<String>, scope: Scope<'_>, region: &str) -> hmac::Key {
    let mut first = Zeroizing::new(String::with_capacity(4 + secret.expose().len()));
    first.push_str("AWS4");
    first.push_str(secret.expose());
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
    for message in [scope.date, region, scope.service, "aws4_request"] {
        let mut next = Zeroizing::new([0; 32]);
        hmac::sign_to_buffer(&key, message.as_bytes(), &mut *next).expect("32 bytes hold an HMAC-SHA256");
        key = hmac::Key::new(hmac::HMAC_SHA256, &*next);
    }
    key
}

fn sign_hmac<'a>(key: &hmac::Key, text: impl Iterator<Item = &'a str>) -> Signature {
    let mut context = hmac::Context::with_key(key);
    text.for_each(|part| context.update(part.as_bytes()));
    Signature::write(context.sign().as_ref())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.scope)
    }
}

/// The signing keys in use, found by a fingerprint of secret and scope. So a key rolls with the UTC day, and two credentials
/// never share one, even if somebody gave both the same access key id.
///
/// Reads take no lock. One value serves a whole process; clones share what they remember.
#[derive(Clone)]
pub struct SigningKeys(Cache<Fingerprint, Arc<SigningKey>>);

type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

impl SigningKeys {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_KEYS).time_to_idle(IDLE).build())
    }

    /// The key for `scope`, derived if it is not remembered.
    pub fn key(&self, access_key: AccessKey<'_>, scope: Scope<'_>) -> Arc<SigningKey> {
        let fingerprint = fingerprint(access_key, scope);
        if let Some(key) = self.0.get(&fingerprint) {
            return key;
        }
        let key = Arc::new(SigningKey::derive(access_key, scope));
        self.0.insert(fingerprint, Arc::clone(&key));
        key
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({} remembered)", self.0.entry_count())
    }
}

/// One SHA-256 over all that a key is derived from, each preceded by its length so that none can pass for another.
fn fingerprint(access_key: AccessKey<'_>, scope: Scope<'_>) -> Fingerprint {
    let region_or_id = scope.region.map_or(["", access_key.id], |region| [region, ""]);
    let fields = [access_key.secret.expose(), scope.date, scope.service].into_iter().chain(region_or_id);
    let mut text = Vec::with_capacity(fields.clone().map(|field| field.len() + 8).sum());
    for field in fields {
        text.extend_from_slice(&(field.len() as u64).to_be_bytes());
        text.extend_from_slice(field.as_bytes());
    }
    let hash = digest::digest(&digest::SHA256, &text);
    text.zeroize();
    hash.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Scope<'_> = Scope { date: "20150830", region: Some("us-east-1"), service: "iam" };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn access_key(secret: &Secret<String>) -> AccessKey<'_> {
        AccessKey { id: "AKIDEXAMPLE", secret }
    }

    fn signature(key: &SigningKey) -> String {
        key.sign_request(&AmzDate::parse(b"20150830T123600Z").unwrap(), &HexDigest::EMPTY).as_str().to_owned()
    }

    /// The worked example of "Deriving a signing key" in the AWS documentation.
    #[test]
    fn the_documented_example_signs_as_documented() {
        let key = SigningKey::derive(access_key(&secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")), DAY);
        let canonical = HexDigest::parse(b"f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59").unwrap();
        let signature = key.sign_request(&AmzDate::parse(b"20150830T123600Z").unwrap(), &canonical);
        assert_eq!(signature.as_str(), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn a_remembered_key_is_found_again() {
        let keys = SigningKeys::new();
        assert!(Arc::ptr_eq(&keys.key(access_key(&secret("s")), DAY), &keys.key(access_key(&secret("s")), DAY)));
    }

    #[test]
    fn another_secret_day_region_or_service_is_another_key() {
        let keys = SigningKeys::new();
        let first = signature(&keys.key(access_key(&secret("s")), DAY));
        for (text, scope) in [
            ("t", DAY),
            ("s", Scope { date: "20150831", ..DAY }),
            ("s", Scope { region: Some("us-east-2"), ..DAY }),
            ("s", Scope { service: "sts", ..DAY }),
        ] {
            let key = keys.key(access_key(&secret(text)), scope);
            assert_ne!(signature(&key), first, "{scope:?}");
            assert_eq!(signature(&key), signature(&SigningKey::derive(access_key(&secret(text)), scope)));
        }
    }

    #[test]
    fn fields_cannot_pass_for_one_another() {
        let secret = secret("s");
        let of = |id: &str, scope| fingerprint(AccessKey { id, secret: &secret }, scope);
        assert_ne!(of("k", DAY), of("k", Scope { date: "2015083", region: Some("0us-east-1"), service: "iam" }));
        assert_ne!(of("us-east-1", DAY), of("us-east-1", Scope { region: None, ..DAY }));
        assert_ne!(of("k", Scope { region: None, ..DAY }), of("l", Scope { region: None, ..DAY }), "SigV4A: by key id");
        assert_eq!(of("k", DAY), of("l", DAY), "SigV4: by secret alone");
    }

    #[test]
    fn debug_of_keys_shows_no_key() {
        let keys = SigningKeys::new();
        let key = keys.key(access_key(&secret("hunter2")), DAY);
        assert_eq!(format!("{key:?}"), "SigningKey(20150830/us-east-1/iam/aws4_request)");
        assert!(!format!("{keys:?}").contains("hunter2"));
    }
}
