//! What a certificate must be to serve as a root that every strict client accepts.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use crate::key::SigningKey;
use crate::{RootError, Scope};

/// What an examined certificate says of itself.
pub(crate) struct Anchor {
    pub(crate) scope: Scope,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// The subject's DER, which leaves repeat as their issuer.
    pub(crate) subject: Vec<u8>,
}

/// Refuses a certificate that a strict verifier (RFC 5280 §4.2.1; OpenSSL's `X509_V_FLAG_X509_STRICT`, on by
/// default in Python 3.13) would refuse as an anchor at `now`, or that does not belong to `key`.
pub(crate) fn examine(certificate: &CertificateDer<'_>, key: &SigningKey, now: Timestamp) -> Result<Anchor, RootError> {
    let (rest, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|e| RootError::Certificate(e.into()))?;
    if !rest.is_empty() {
        return Err(RootError::TrailingBytes);
    }
    examine_origin(&parsed, key)?;
    examine_role(&parsed)?;
    let (not_before, not_after) = examine_validity(&parsed, now)?;
    let scope = Scope::read(&parsed).map_err(RootError::Certificate)?;
    Ok(Anchor { scope, not_before, not_after, subject: parsed.subject().as_raw().to_vec() })
}

fn examine_origin(certificate: &X509Certificate<'_>, key: &SigningKey) -> Result<(), RootError> {
    if certificate.public_key().subject_public_key.data != key.public_bytes() {
        return Err(RootError::KeyMismatch);
    }
    let same_name = certificate.subject().as_raw() == certificate.issuer().as_raw();
    if !same_name || certificate.verify_signature(None).is_err() {
        return Err(RootError::NotSelfSigned);
    }
    // rcgen panics on an attribute set without attributes, which X.501 forbids and the parser lets through.
    let mut attribute_sets = certificate.subject().iter_rdn();
    if attribute_sets.any(|set| set.iter().next().is_none()) || certificate.subject().iter_rdn().next().is_none() {
        return Err(RootError::Subject);
    }
    Ok(())
}

fn examine_role(certificate: &X509Certificate<'_>) -> Result<(), RootError> {
    let basic = certificate.basic_constraints().map_err(RootError::Certificate)?;
    if !basic.is_some_and(|basic| basic.critical && basic.value.ca) {
        return Err(RootError::NotCa);
    }
    let usage = certificate.key_usage().map_err(RootError::Certificate)?;
    if !usage.is_some_and(|usage| usage.value.key_cert_sign()) {
        return Err(RootError::NoCertSign);
    }
    let mut extensions = certificate.extensions().iter().map(|extension| extension.parsed_extension());
    if !extensions.any(|extension| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_))) {
        return Err(RootError::NoKeyIdentifier);
    }
    Ok(())
}

fn examine_validity(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(Timestamp, Timestamp), RootError> {
    // A date beyond what jiff counts is as good as forever, or as never.
    let limit = |seconds: i64| {
        let seconds = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Timestamp::from_second(seconds).expect("clamped to the range of a timestamp")
    };
    let validity = certificate.validity();
    let (not_before, not_after) = (limit(validity.not_before.timestamp()), limit(validity.not_after.timestamp()));
    if now < not_before {
        return Err(RootError::NotYetValid(not_before));
    }
    if now >= not_after {
        return Err(RootError::Expired(not_after));
    }
    Ok((not_before, not_after))
}
