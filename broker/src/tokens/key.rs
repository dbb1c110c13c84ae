//! One signing key: RSA-2048, because every cloud takes RS256 and Azure takes nothing else.

use access::Secret;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, errors};
use serde::Serialize;

use super::KeysError;

/// A public key as the JWKS shows it (RFC 7517 §4, RFC 7518 §6.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublicKey {
    kty: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    n: String,
    e: String,
}

/// A key that signs.
pub(super) struct SigningKey {
    private: EncodingKey,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a key; it takes a core for a tenth of a second or more. Comes with its PEM, to be sealed.
    pub(super) fn generate() -> Result<(Self, Secret<Vec<u8>>), KeysError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(KeysError::Generate)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(KeysError::Generate)?;
        let pem = pem(der.as_ref());
        Ok((Self::from_pem("new", &pem)?, pem))
    }

    /// Reads a key that [`SigningKey::generate`] gave.
    pub(super) fn from_pem(kid: &str, pem: &Secret<Vec<u8>>) -> Result<Self, KeysError> {
        let read = || {
            let private = EncodingKey::from_rsa_pem(pem.expose())?;
            let public = PublicKey::of(&private)?;
            Ok(Self { private, public })
        };
        read().map_err(|cause| KeysError::Key { kid: kid.to_owned(), cause })
    }

    /// Its RFC 7638 thumbprint: the same key has the same id wherever it is.
    pub(super) fn kid(&self) -> &str {
        &self.public.kid
    }

    pub(super) const fn private(&self) -> &EncodingKey {
        &self.private
    }

    pub(super) const fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.kid)
    }
}

impl PublicKey {
    fn of(private: &EncodingKey) -> Result<Self, errors::Error> {
        let jwk = Jwk::from_encoding_key(private, Algorithm::RS256)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
            return Err(errors::ErrorKind::InvalidKeyFormat.into());
        };
        Ok(Self { kty: "RSA", usage: "sig", alg: "RS256", kid, n: rsa.n, e: rsa.e })
    }
}

/// RFC 7468 §10.
fn pem(der: &[u8]) -> Secret<Vec<u8>> {
    const LINE: usize = 64;
    let base64 = Secret::new(STANDARD.encode(der));
    let lines = base64.expose().as_bytes().chunks(LINE);
    let mut pem = Vec::with_capacity(base64.expose().len() * 2);
    pem.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in lines {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    pem.into()
}
