//! Signing keys: derived from a secret for one day, region and service, and remembered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use aws_lc_rs::{digest, hmac};
use moka::sync::Cache;
use zeroize::{Zeroize, Zeroizing};

use super::authorization::Scope;
use super::date::AmzDate;
use super::digest::HexDigest;

/// How many keys are remembered: some hundred credentials in a dozen regions and services each. A key takes 0.8 KiB.
const MAX_KEYS: u64 = 4096;

/// A key that nobody used for this long is wiped; deriving it again costs two microseconds.
const IDLE: Duration = Duration::from_secs(3600);

/// A derived key with the scope that it is good for. The key's memory is wiped on drop (by `HMAC_CTX_cleanup`).
pub struct SigningKey {
    key: hmac::Key,
    scope: Box<str>,
}

impl SigningKey {
    /// Derives the key for `scope`: four HMACs, each keyed with the one before.
    pub fn derive(secret: &Secret<String>, scope: Scope<'_>) -> Self {
        let mut first = Zeroizing::new(String::with_capacity(4 + secret.expose().len()));
        first.push_str("AWS4");
        first.push_str(secret.expose());
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        for message in [scope.date, scope.region, scope.service, "aws4_request"] {
            let mut next = Zeroizing::new([0; 32]);
            hmac::sign_to_buffer(&key, message.as_bytes(), &mut *next).expect("32 bytes hold an HMAC-SHA256");
            key = hmac::Key::new(hmac::HMAC_SHA256, &*next);
        }
        Self { key, scope: scope.to_string().into() }
    }

    /// `20150830/us-east-1/s3/aws4_request`
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Whether it is the key for `scope`.
    pub fn is_for(&self, scope: Scope<'_>) -> bool {
        self.scope.split('/').eq([scope.date, scope.region, scope.service, "aws4_request"])
    }

    /// Signs a canonical request, by its hash.
    pub(super) fn sign_request(&self, date: &AmzDate, canonical: &HexDigest) -> HexDigest {
        self.sign("AWS4-HMAC-SHA256", date, &[canonical])
    }

    /// Signs `algorithm`, date, scope and hashes, a line each: every string to sign of SigV4 has this shape.
    pub(super) fn sign(&self, algorithm: &str, date: &AmzDate, hashes: &[&HexDigest]) -> HexDigest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(algorithm.as_bytes());
        for line in [date.as_str(), &self.scope].into_iter().chain(hashes.iter().map(|hash| hash.as_str())) {
            context.update(b"\n");
            context.update(line.as_bytes());
        }
        HexDigest::write(context.sign().as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.scope)
    }
}

/// The signing keys in use, found by a fingerprint of secret, day, region and service. So a key rolls with the UTC day,
/// and two credentials never share one, even if somebody gave both the same access key id.
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
    pub fn key(&self, secret: &Secret<String>, scope: Scope<'_>) -> Arc<SigningKey> {
        let fingerprint = fingerprint(secret, scope);
        if let Some(key) = self.0.get(&fingerprint) {
            return key;
        }
        let key = Arc::new(SigningKey::derive(secret, scope));
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

/// One SHA-256 over the four values, each preceded by its length so that none can pass for another.
fn fingerprint(secret: &Secret<String>, scope: Scope<'_>) -> Fingerprint {
    let fields = [secret.expose().as_str(), scope.date, scope.region, scope.service];
    let mut text = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum());
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

    const DAY: Scope<'_> = Scope { date: "20150830", region: "us-east-1", service: "iam" };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn signature(key: &SigningKey) -> HexDigest {
        key.sign_request(&AmzDate::parse(b"20150830T123600Z").unwrap(), &HexDigest::EMPTY)
    }

    /// The worked example of "Deriving a signing key" in the AWS documentation.
    #[test]
    fn the_documented_example_signs_as_documented() {
        let key = SigningKey::derive(&secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), DAY);
        let canonical = HexDigest::parse(b"f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59").unwrap();
        let signature = key.sign_request(&AmzDate::parse(b"20150830T123600Z").unwrap(), &canonical);
        assert_eq!(signature.as_str(), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn a_remembered_key_is_found_again() {
        let keys = SigningKeys::new();
        assert!(Arc::ptr_eq(&keys.key(&secret("s"), DAY), &keys.key(&secret("s"), DAY)));
    }

    #[test]
    fn another_secret_day_region_or_service_is_another_key() {
        let keys = SigningKeys::new();
        let first = signature(&keys.key(&secret("s"), DAY));
        for (text, scope) in [
            ("t", DAY),
            ("s", Scope { date: "20150831", ..DAY }),
            ("s", Scope { region: "us-east-2", ..DAY }),
            ("s", Scope { service: "sts", ..DAY }),
        ] {
            let key = keys.key(&secret(text), scope);
            assert_ne!(signature(&key), first, "{scope:?}");
            assert_eq!(signature(&key), signature(&SigningKey::derive(&secret(text), scope)));
        }
    }

    #[test]
    fn fields_cannot_pass_for_one_another() {
        let shifted = Scope { date: "2015083", region: "0us-east-1", service: "iam" };
        assert_ne!(fingerprint(&secret("s"), DAY), fingerprint(&secret("s"), shifted));
    }

    #[test]
    fn debug_of_keys_shows_no_key() {
        let keys = SigningKeys::new();
        let key = keys.key(&secret("hunter2"), DAY);
        assert_eq!(format!("{key:?}"), "SigningKey(20150830/us-east-1/iam/aws4_request)");
        assert!(!format!("{keys:?}").contains("hunter2"));
    }
}
