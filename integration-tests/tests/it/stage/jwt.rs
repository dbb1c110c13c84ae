//! JSON Web Tokens, written from RFC 7515 and RFC 7518: the cluster signs, the cloud verifies.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A key that signs.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: Pair,
}

#[derive(Debug, Clone)]
enum Pair {
    Rs256(Arc<RsaKeyPair>),
    Es256(Arc<EcdsaKeyPair>),
}

impl SigningKey {
    /// An RSA key. There are two in the process, since they are slow to make: `0` and `1`.
    pub(crate) fn rs256(kid: &str, which: usize) -> Self {
        static PAIRS: [OnceLock<Arc<RsaKeyPair>>; 2] = [OnceLock::new(), OnceLock::new()];
        let pair = PAIRS[which].get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")));
        Self { kid: kid.to_owned(), pair: Pair::Rs256(pair.clone()) }
    }

    /// A new P-256 key.
    pub(crate) fn es256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
        Self { kid: kid.to_owned(), pair: Pair::Es256(Arc::new(pair)) }
    }

    /// Its public half, as it stands in a JWKS (RFC 7517 §4).
    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rs256(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
                let (n, e) = (encode(n), encode(e.big_endian_without_leading_zero()));
                json!({"use": "sig", "kty": "RSA", "kid": self.kid, "alg": "RS256", "n": n, "e": e})
            }
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({"use": "sig", "kty": "EC", "crv": "P-256", "kid": self.kid, "alg": "ES256", "x": x, "y": y})
            }
        }
    }

    /// A compact JWS over `claims`.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let algorithm = match self.pair {
            Pair::Rs256(_) => "RS256",
            Pair::Es256(_) => "ES256",
        };
        let header = json!({"alg": algorithm, "kid": self.kid});
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("an RSA signature");
                signature
            }
            Pair::Es256(pair) => pair.sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(signature))
    }
}

/// A token taken apart, and not believed yet.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    pub(crate) fn read(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: serde_json::from_slice(&decode(header)?).ok()?,
            claims: serde_json::from_slice(&decode(claims)?).ok()?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// The key in `jwks` that the header names.
    pub(crate) fn key<'k>(&self, jwks: &'k Value) -> Option<&'k Value> {
        let kid = self.header["kid"].as_str()?;
        jwks["keys"].as_array()?.iter().find(|key| key["kid"] == kid)
    }

    /// Whether `jwk`, an RSA key for signatures, made the signature.
    pub(crate) fn is_signed_by(&self, jwk: &Value) -> bool {
        let component = |name: &str| jwk[name].as_str().and_then(decode);
        let (Some(n), Some(e)) = (component("n"), component("e")) else { return false };
        let usable =
            self.header["alg"] == "RS256" && jwk["kty"] == "RSA" && (jwk["use"].is_null() || jwk["use"] == "sig");
        let key = PublicKeyComponents { n, e };
        usable && key.verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature).is_ok()
    }
}
