//! The trust store that the JVM reads: it takes no PEM.

use p12_keystore::{Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::Bundle;

/// The password of every Java trust store there is. It protects nothing, but the JVM wants one.
pub(crate) const PASSWORD: &str = "changeit";

/// Rounds of key derivation. They would slow down whoever guesses the password, which is written above; each JVM
/// that starts pays for them.
const ITERATIONS: u32 = 1024;

/// Why there is no trust store for Java.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JavaStoreError {
    /// Our own root cannot be put in.
    #[error("our root cannot be put into a Java trust store")]
    Root(#[source] p12_keystore::error::Error),
    /// The store cannot be written down.
    #[error("cannot make a Java trust store")]
    Write(#[source] p12_keystore::error::Error),
}

/// PKCS #12 with every certificate marked as trusted, which the JVM demands (attribute 2.16.840.1.113894.746875.1.1);
/// read by Java 8u301, 11.0.12 and later. A root of the system that the format does not take is left out with a
/// warning: that trusts less, never more.
pub(crate) fn trust_store(others: &Bundle, ours: &[CertificateDer<'_>]) -> Result<Vec<u8>, JavaStoreError> {
    let mut store = KeyStore::new();
    for (number, root) in ours.iter().enumerate() {
        let root = Certificate::from_der(root).map_err(JavaStoreError::Root)?;
        let name = if number == 0 { "countersign".to_owned() } else { format!("countersign-{number}") };
        store.add_entry(&name, KeyStoreEntry::Certificate(root));
    }
    for (number, certificate) in others.iter().enumerate() {
        match Certificate::from_der(certificate) {
            Ok(certificate) => store.add_entry(&format!("root-{number:04}"), KeyStoreEntry::Certificate(certificate)),
            Err(error) => tracing::warn!(number, %error, "a trusted root was left out of the Java trust store"),
        }
    }
    store
        .writer(PASSWORD)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(JavaStoreError::Write)
}
