//! TLS for our own servers, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain could not be read.
    #[error("cannot read the certificate chain in {0}")]
    Certificate(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// The file holds no certificate.
    #[error("{0} holds no certificate; it must be PEM, leaf first")]
    NoCertificate(PathBuf),
    /// The key could not be read.
    #[error("cannot read the private key in {0}")]
    Key(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// The authorities for clients are none.
    #[error("{0} holds no authorities that could vouch for clients: {1}")]
    Authorities(PathBuf, String),
    /// The two do not fit.
    #[error("the certificate and the key do not fit together, or are of a kind that TLS cannot use")]
    Pair(#[source] rustls::Error),
}

/// A server configuration for TLS 1.2 and 1.3 with HTTP/1.1 (RFC 7301 ALPN), from a chain (leaf first) and its key.
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    server_config_with_clients((certificate, key), None)
}

/// The same for clients that may show a certificate that one of `authorities` (PEM) has issued. Whoever shows none is let
/// in; whoever shows another is not.
pub fn server_config_with_clients(
    (certificate, key): (&Path, &Path),
    authorities: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key(key.to_owned(), error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = match authorities {
        Some(file) => verifier(file, &provider)?,
        None => Arc::new(NoClientAuth),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn verifier(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |error: &dyn std::error::Error| TlsError::Authorities(file.to_owned(), error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    verifier.allow_unauthenticated().build().map_err(|error| unusable(&error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| TlsError::Certificate(file.to_owned(), error))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(file.to_owned()));
    }
    Ok(certificates)
}
