//! `SigningKey`: a private key that signs, and is wiped when dropped.

use std::fmt;

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

/// A private key. Its `Debug` says only what kind it is, and the copy that `rcgen` keeps is wiped on drop
/// (AWS-LC wipes its own).
pub(crate) struct SigningKey(KeyPair);

impl SigningKey {
    /// A new ECDSA P-256 key from the operating system's randomness: small, fast, and accepted by every client.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// Takes a key in PKCS #8, SEC 1 or PKCS #1.
    pub(crate) fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self, rcgen::Error> {
        KeyPair::try_from(der).map(Self)
    }

    /// The public key as the certificate's `subjectPublicKey` carries it.
    pub(crate) fn public_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    /// The same key in the form in which rustls signs handshakes.
    pub(crate) fn for_rustls(&self) -> Result<std::sync::Arc<dyn rustls::sign::SigningKey>, rustls::Error> {
        let der = Zeroizing::new(self.0.serialize_der());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&key)
    }
}

impl PublicKeyData for SigningKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl rcgen::SigningKey for SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0.sign(message)
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.0.algorithm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_the_kind_of_key_and_nothing_of_it() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(PKCS_ECDSA_P256_SHA256)");
    }
}
