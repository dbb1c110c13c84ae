//! `Root`: the certificate that clients are told to trust, with the key that signs leaves.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::error::X509Error;
use zeroize::Zeroizing;

use crate::anchor::{self, Anchor};
use crate::key::SigningKey;
use crate::profile::{self, Unusable};
use crate::{Host, Scope, bundle};

/// A self-signed certificate authority. The private key never leaves it: there is no way to read it out, and
/// `Debug` shows only whose certificate it is.
pub struct Root {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, SigningKey>,
    scope: Scope,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Why a root could not be loaded or generated; a variant for each step.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootError {
    /// The certificate text is not PEM.
    #[error("the root certificate is not PEM; it starts with `-----BEGIN CERTIFICATE-----`")]
    CertificatePem(#[source] pem::Error),
    /// The text holds no certificate, or a whole chain.
    #[error("the root file holds {0} certificates; give exactly one, the self-signed root")]
    NotOneCertificate(usize),
    /// The key text is not an unencrypted private key in PEM.
    #[error("the root key is not an unencrypted private key in PEM (PKCS #8, SEC 1 or PKCS #1)")]
    KeyPem(#[source] pem::Error),
    /// The key is of a kind that we cannot sign with.
    #[error("the root key cannot be used; give an ECDSA P-256 or P-384, an Ed25519 or an RSA key")]
    Key(#[source] rcgen::Error),
    /// The certificate's DER, or one of its extensions, is broken.
    #[error("the root certificate cannot be read")]
    Certificate(#[source] X509Error),
    /// There is something behind the certificate.
    #[error("the root certificate is followed by other bytes")]
    TrailingBytes,
    /// Signed by another certificate, or by another key.
    #[error("the root certificate is not self-signed; give the root itself, not an intermediate")]
    NotSelfSigned,
    /// Certificate and key do not belong together.
    #[error("the root key is not the key of the root certificate")]
    KeyMismatch,
    /// No critical `basicConstraints` with `CA:TRUE`.
    #[error("the root certificate is not a CA; it needs critical basicConstraints with CA:TRUE")]
    NotCa,
    /// The key usage does not allow it to sign certificates.
    #[error("the root certificate may not sign others; it needs keyUsage with keyCertSign")]
    NoCertSign,
    /// No subject key identifier, which strict verifiers (Python 3.13) demand.
    #[error("the root certificate has no subjectKeyIdentifier; make it anew with one")]
    NoKeyIdentifier,
    /// Its subject has a form that our leaves could not repeat octet by octet as their issuer.
    #[error("the root's subject has a form that cannot be repeated in leaves; use single-valued attributes, each once")]
    Subject,
    /// Its validity has not begun.
    #[error("the root certificate is valid from {0} only; is the clock set?")]
    NotYetValid(Timestamp),
    /// Its validity is over.
    #[error("the root certificate expired at {0}; make a new one")]
    Expired(Timestamp),
    /// A generated root must have a lifetime above zero that ends before the year 9999.
    #[error("a root cannot live for {0}; give a positive lifetime")]
    Lifetime(SignedDuration),
    /// The clock, or the operating system's randomness, is unusable.
    #[error(transparent)]
    Environment(#[from] Unusable),
    /// The cryptographic library refused to make a key or a signature.
    #[error("the root key cannot sign")]
    Sign(#[source] rcgen::Error),
}

impl Root {
    /// Takes the operator's own root: one self-signed certificate and its unencrypted key, both PEM.
    ///
    /// Refused unless every strict client would accept it at `now`: CA (critical), `keyCertSign`, a subject key
    /// identifier, within its validity, matching the key (RFC 5280 §4.2.1).
    pub fn load(certificate_pem: &str, key_pem: &str, now: Timestamp) -> Result<Self, RootError> {
        let certificates = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(RootError::CertificatePem)?;
        let count = certificates.len();
        let [certificate] = <[_; 1]>::try_from(certificates).map_err(|_| RootError::NotOneCertificate(count))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(RootError::KeyPem)?;
        let key = SigningKey::from_der(&Zeroizing::new(key)).map_err(RootError::Key)?;
        Self::assemble(certificate, key, now)
    }

    /// Makes a root of its own, in memory only: ECDSA P-256, critical name constraints to `scope`, valid from an
    /// hour before `now` until `now + lifetime`, and unable to sign further authorities (path length 0).
    pub fn generate(scope: &Scope, now: Timestamp, lifetime: SignedDuration) -> Result<Self, RootError> {
        let not_after = now.checked_add(lifetime).ok().filter(|end| *end > now).ok_or(RootError::Lifetime(lifetime))?;
        let key = SigningKey::generate().map_err(RootError::Sign)?;

        // The subject differs from run to run, so that a client which has seen an older root cannot mix them up.
        let id = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.public_bytes());
        let id = u32::from_be_bytes(id.as_ref()[..4].try_into().expect("a SHA-256 digest has 32 octets"));

        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Countersign ephemeral root {id:08x}"));
        params.serial_number = Some(profile::serial()?);
        profile::set_validity(&mut params, profile::backdated(now), not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(scope.constraints());
        let certificate = params.self_signed(&key).map_err(RootError::Sign)?;
        Self::assemble(certificate.into(), key, now)
    }

    /// The certificate, for clients to trust; DER.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate as PEM text.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What it may sign for.
    pub fn permits(&self, host: &Host) -> bool {
        self.scope.permits(host)
    }

    /// Where its validity begins.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Where its validity ends, and with it that of every leaf.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(crate) fn issue(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        params.signed_by(key, &self.issuer).map(Into::into)
    }

    fn assemble(certificate: CertificateDer<'static>, key: SigningKey, now: Timestamp) -> Result<Self, RootError> {
        let Anchor { scope, not_before, not_after, subject } = anchor::examine(&certificate, &key, now)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| RootError::Subject)?;
        let pem = bundle::pem_text(&certificate);
        let root = Self { certificate, pem, issuer, scope, not_before, not_after };
        root.must_be_named_by_its_leaves(&subject)?;
        Ok(root)
    }

    /// rcgen takes a subject apart and writes it anew as the issuer of each leaf; what it cannot repeat octet by
    /// octet (an attribute that occurs twice, for instance) would give leaves that no client can chain.
    fn must_be_named_by_its_leaves(&self, subject: &[u8]) -> Result<(), RootError> {
        let probe = self.issue(&CertificateParams::default(), self.issuer.key()).map_err(RootError::Sign)?;
        let (_, probe) = x509_parser::parse_x509_certificate(&probe).map_err(|_| RootError::Subject)?;
        if probe.issuer().as_raw() == subject { Ok(()) } else { Err(RootError::Subject) }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
