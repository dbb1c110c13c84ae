//! `Bundle`: the authorities a program trusts besides ours.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;
use rustls_pki_types::CertificateDer;
use thiserror::Error;

/// The largest file of roots that is read. A system's bundle has about 250 KiB; a path out of somebody's environment
/// may as well be `/dev/zero` or a disk image.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The width of a PEM line (RFC 7468 §2).
const PEM_WIDTH: usize = 64;

/// A set of trusted certificates, each once, in an order that depends on nothing but them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Sorted by their DER.
    certificates: Vec<CertificateDer<'static>>,
}

/// Why roots could not be gathered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The system has no roots where they are expected.
    #[error("this system has no trusted roots; install `ca-certificates`, or point SSL_CERT_FILE at a bundle")]
    NoSystemRoots(#[source] Option<rustls_native_certs::Error>),
    /// The file or directory cannot be opened.
    #[error("cannot open the trusted roots in {}", .0.display())]
    Open(PathBuf, #[source] io::Error),
    /// Neither a file nor a directory, or larger than any bundle is.
    #[error("{} is not a file of trusted roots; they are PEM files of at most 8 MiB", .0.display())]
    Unlikely(PathBuf),
    /// The file cannot be read as PEM.
    #[error("cannot read the trusted roots in {}", .0.display())]
    Read(PathBuf, #[source] rustls_native_certs::Error),
    /// There is no certificate in it.
    #[error("{} holds no certificate; a bundle is text with `-----BEGIN CERTIFICATE-----`", .0.display())]
    Empty(PathBuf),
}

impl Bundle {
    /// What this system trusts, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` of our own environment name in its stead.
    ///
    /// A root that cannot be read is left out, with a warning: that trusts less, never more. None at all is an error.
    pub fn system() -> Result<Self, BundleError> {
        let CertificateResult { certs, mut errors, .. } = rustls_native_certs::load_native_certs();
        if certs.is_empty() {
            return Err(BundleError::NoSystemRoots(errors.pop()));
        }
        for error in &errors {
            tracing::warn!(%error, "a trusted root of this system was left out");
        }
        let mut bundle = Self::default();
        bundle.extend(certs);
        Ok(bundle)
    }

    /// Adds what a variable of the user's points at: a PEM file, or a directory of them.
    ///
    /// An error if anything in a file cannot be read, or if there is no certificate: the user's programs would lose
    /// the authority they were given.
    pub fn add_path(&mut self, path: &Path) -> Result<(), BundleError> {
        let metadata = fs::metadata(path).map_err(|source| BundleError::Open(path.to_owned(), source))?;
        let result = if metadata.is_dir() {
            rustls_native_certs::load_certs_from_paths(None, Some(path))
        } else if metadata.is_file() && metadata.len() <= MAX_FILE_BYTES {
            rustls_native_certs::load_certs_from_paths(Some(path), None)
        } else {
            return Err(BundleError::Unlikely(path.to_owned()));
        };
        // A directory that `openssl rehash` made may hold other files too; a file was meant to be a bundle.
        let CertificateResult { certs, mut errors, .. } = result;
        if let (true, Some(error)) = (metadata.is_file() || certs.is_empty(), errors.pop()) {
            return Err(BundleError::Read(path.to_owned(), error));
        }
        if certs.is_empty() {
            return Err(BundleError::Empty(path.to_owned()));
        }
        self.extend(certs);
        Ok(())
    }

    /// Adds one certificate.
    pub fn add(&mut self, certificate: CertificateDer<'static>) {
        self.extend([certificate]);
    }

    fn extend(&mut self, certificates: impl IntoIterator<Item = CertificateDer<'static>>) {
        self.certificates.extend(certificates);
        self.certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        self.certificates.dedup();
    }

    /// All of them, each once.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CertificateDer<'static>> {
        self.certificates.iter()
    }

    /// TLS 1.2 and 1.3 towards servers that one of them vouches for.
    pub fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }

    /// All of them as PEM text.
    pub fn to_pem(&self) -> String {
        self.certificates.iter().map(pem_text).collect()
    }
}

/// One certificate as PEM text (RFC 7468), with a final line break.
pub(crate) fn pem_text(certificate: &CertificateDer<'_>) -> String {
    let encoded = STANDARD.encode(certificate);
    let mut text = String::with_capacity(encoded.len() + encoded.len() / PEM_WIDTH + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(PEM_WIDTH.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    proptest! {
        #[test]
        fn pem_reads_back_as_what_was_written(der: Vec<u8>) {
            let certificate = CertificateDer::from(der);
            let text = pem_text(&certificate);
            prop_assert!(text.lines().all(|line| line.len() <= PEM_WIDTH && !line.is_empty()));
            prop_assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap(), certificate);
        }
    }

    #[test]
    fn roots_of_the_user_join_those_already_there_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.pem");
        let (theirs, both) = (CertificateDer::from(vec![1]), CertificateDer::from(vec![2]));
        fs::write(&path, format!("# acme\n{}\n{}", pem_text(&theirs), pem_text(&both))).unwrap();

        let mut bundle = Bundle::default();
        bundle.add(both.clone());
        bundle.add_path(&path).unwrap();
        bundle.add_path(directory.path()).unwrap();

        assert_eq!(bundle.iter().collect::<Vec<_>>(), [&theirs, &both]);
        assert_eq!(bundle.to_pem(), pem_text(&theirs) + &pem_text(&both));
    }

    #[test]
    fn path_that_gives_no_roots_is_an_error_and_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let refusal = |path: &Path| Bundle::default().add_path(path).unwrap_err();

        let empty = refusal(&write("empty.pem", "nothing here"));
        assert!(matches!(empty, BundleError::Empty(_)) && empty.to_string().contains("empty.pem"), "{empty}");
        let good = pem_text(&CertificateDer::from(vec![1]));
        let broken = write("broken.pem", &(good + "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"));
        assert!(matches!(refusal(&broken), BundleError::Read(..)));
        assert!(matches!(refusal(&directory.path().join("missing.pem")), BundleError::Open(..)));
        assert!(matches!(refusal(Path::new("/dev/zero")), BundleError::Unlikely(_)));
        let large = write("large.pem", "");
        fs::File::options().write(true).open(&large).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(matches!(refusal(&large), BundleError::Unlikely(_)));
    }
}
