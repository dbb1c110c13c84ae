//! A client and a server that sign and verify by the letter of AWS's documents, with nothing of ours.

use access::{AwsCredential, Secret};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use aws_lc_rs::{digest, hmac, rand};
use cloud::aws::algorithm::Algorithm;
use cloud::aws::authorization;
use cloud::aws::form::Form;
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::payload::Payload;
use cloud::aws::sign::{self, Signer, countersign};
use cloud::aws::verify::{self, Check, Verified};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};

/// What the program signs with.
pub(crate) const PLACEHOLDER: (&str, &str) = ("AKIAPLACEHOLDER", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

/// What the cloud knows.
pub(crate) const LEASE: (&str, &str) = ("ASIALEASE", "a5kNp4zFakeSecretOfTheLease0123456789abc");

pub(crate) const DATE: &str = "20130524T000000Z";

/// Signs or verifies a body, piece after piece.
pub(crate) struct Peer {
    key: Key,
    pub(crate) scope: String,
    pub(crate) previous: String,
}

enum Key {
    Hmac(Vec<u8>),
    Ecdsa(Box<EcdsaKeyPair>),
}

pub(crate) fn sha(data: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, data))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// The derivation of AWS's "Signature Version 4a": the counter stays at 1 but for one key in four thousand millions.
fn key_pair(id: &str, secret: &str) -> EcdsaKeyPair {
    let input = [b"\0\0\0\x01AWS4-ECDSA-P256-SHA256\0", id.as_bytes(), b"\x01\0\0\x01\0"].concat();
    let mut number = hmac(format!("AWS4A{secret}").as_bytes(), &input);
    *number.last_mut().unwrap() += 1;
    let der = [&hex::decode("30310201010420").unwrap()[..], &number, &hex::decode("a00a06082a8648ce3d030107").unwrap()];
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &der.concat()).unwrap()
}

impl Peer {
    /// Of S3 in us-east-1, on the day of [`DATE`].
    pub(crate) fn new(algorithm: Algorithm, (id, secret): (&str, &str)) -> Self {
        match algorithm {
            Algorithm::Hmac => Self::of_scope("20130524/us-east-1/s3/aws4_request", secret),
            Algorithm::Ecdsa => Self {
                key: Key::Ecdsa(Box::new(key_pair(id, secret))),
                scope: "20130524/s3/aws4_request".to_owned(),
                previous: String::new(),
            },
        }
    }

    /// Of SigV4.
    pub(crate) fn of_scope(scope: &str, secret: &str) -> Self {
        let key = format!("AWS4{secret}").into_bytes();
        let key = scope.split('/').fold(key, |key, message| hmac(&key, message.as_bytes()));
        Self { key: Key::Hmac(key), scope: scope.to_owned(), previous: String::new() }
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Hmac(_) => "AWS4-HMAC-SHA256",
            Key::Ecdsa(_) => "AWS4-ECDSA-P256-SHA256",
        }
    }

    fn text(&self, title: &str, date: &str, hashes: &[String]) -> String {
        let previous = if title.is_empty() { String::new() } else { format!("{}\n", self.previous) };
        format!("{}{title}\n{date}\n{}\n{previous}{}", self.algorithm(), self.scope, hashes.join("\n"))
    }

    /// Signs (a head, where there is no title), and goes on from there.
    pub(crate) fn sign(&mut self, title: &str, date: &str, hashes: &[String]) -> String {
        let text = self.text(title, date, hashes);
        self.previous = hex::encode(match &self.key {
            Key::Hmac(key) => hmac(key, text.as_bytes()),
            Key::Ecdsa(pair) => pair.sign(&rand::SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
        });
        self.previous.clone()
    }

    /// Verifies, and goes on from there.
    pub(crate) fn accepts(&mut self, title: &str, date: &str, hashes: &[String], signature: &str) -> bool {
        let text = self.text(title, date, hashes);
        self.previous = signature.to_owned();
        let Ok(bytes) = hex::decode(signature) else { return false };
        match &self.key {
            Key::Hmac(key) => hmac(key, text.as_bytes()) == bytes,
            Key::Ecdsa(pair) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key())
                .verify(text.as_bytes(), &bytes)
                .is_ok(),
        }
    }

    /// An `Authorization` header over a canonical request.
    pub(crate) fn authorization(&mut self, names: &str, canonical: &str) -> String {
        let signature = self.sign("", DATE, &[sha(canonical.as_bytes())]);
        let (algorithm, scope) = (self.algorithm(), &self.scope);
        format!("{algorithm} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", PLACEHOLDER.0)
    }
}

/// Verifies a head and countersigns it, as the proxy does.
pub(crate) fn countersigned(parts: &mut Parts) -> (Verified, sign::Signed) {
    countersigned_at(parts, 0)
}

/// The same, for a cloud whose clock is `ahead` seconds ahead.
pub(crate) fn countersigned_at(parts: &mut Parts, ahead: i64) -> (Verified, sign::Signed) {
    let keys = SigningKeys::new();
    let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
    let header = parts.headers["authorization"].clone();
    let claim = authorization::parse(header.to_str().unwrap()).unwrap();
    let secret = Secret::new(PLACEHOLDER.1.to_owned());
    let scope = claim.credential.scope;
    let access_key = AccessKey { id: claim.credential.access_key_id, secret: &secret };
    let key = keys.key(access_key, scope);
    let Check::Verified(client) = verify::check(parts, &claim, key, now).unwrap() else { panic!("declared") };
    let client = client.through_midnight(&keys, (access_key, scope));
    let credential = AwsCredential {
        access_key_id: LEASE.0.to_owned(),
        secret_access_key: Secret::new(LEASE.1.to_owned()),
        session_token: Secret::new("token".to_owned()),
        expires: now,
    };
    let signer = Signer {
        form: client.form(),
        credential: &credential,
        keys: &keys,
        region: scope.region.unwrap_or("*"),
        service: scope.service,
    };
    let payload: Payload = *client.payload();
    let signed = countersign(parts, &payload, &signer, now + SignedDuration::from_secs(ahead)).unwrap();
    let seed = signed.signature().as_str();
    assert!(parts.headers["authorization"].to_str().unwrap().ends_with(&format!("Signature={seed}")));
    assert_eq!(client.form() == Form::Asymmetric, scope.region.is_none());
    (client, signed)
}
