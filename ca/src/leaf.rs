//! `Mint`: makes the certificate of one host, signed by the root, good for a day.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::key::SigningKey;
use crate::profile::{self, Unusable};
use crate::{Host, Root};

/// How long a leaf is valid from the moment it is made. Clients accept seven days at most from some private roots
/// (and 398 from public ones); a day is plenty for something that is made anew in microseconds.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// How long a leaf is handed out. Half a day remains for clients whose clock is ahead of ours.
const REUSED_FOR: SignedDuration = SignedDuration::from_hours(12);

/// The longest common name (RFC 5280 appendix A.1, `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;

/// The root and the one key that all leaves of this process share. A key of its own for each leaf would cost a key
/// generation per new host and protect nothing: all of them would lie in the same memory.
#[derive(Debug)]
pub struct Mint {
    root: Arc<Root>,
    key: SigningKey,
    rustls_key: Arc<dyn rustls::sign::SigningKey>,
}

/// A certificate for one host with its key, and how long to hand it out.
#[derive(Debug, Clone)]
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    not_before: Timestamp,
    reuse_until: Timestamp,
}

/// Why there is no certificate for a host.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The key that all leaves share could not be made.
    #[error("cannot make the key of the leaves")]
    Key(#[source] rcgen::Error),
    /// rustls cannot sign with that key.
    #[error("cannot use the key of the leaves")]
    Handshake(#[source] rustls::Error),
    /// The root's name constraints leave this host out; clients would refuse the certificate.
    #[error("the root may not sign for {0}; add the host to those it is generated for")]
    OutOfScope(Host),
    /// The root's validity is over, or has not begun.
    #[error("the root is valid from {not_before} to {not_after} only; make a new one and restart")]
    RootNotValid {
        /// Where the root's validity begins.
        not_before: Timestamp,
        /// Where it ends.
        not_after: Timestamp,
    },
    /// The host name does not fit into a certificate.
    #[error("{0} cannot be written into a certificate")]
    Name(Host, #[source] rcgen::Error),
    /// The clock, or the operating system's randomness, is unusable.
    #[error(transparent)]
    Environment(#[from] Unusable),
    /// The root's key refused to sign.
    #[error("cannot sign a certificate for {0}")]
    Sign(Host, #[source] rcgen::Error),
}

impl Mint {
    /// Makes the shared key.
    pub fn new(root: impl Into<Arc<Root>>) -> Result<Self, LeafError> {
        let root = root.into();
        let key = SigningKey::generate().map_err(LeafError::Key)?;
        let rustls_key = key.for_rustls().map_err(LeafError::Handshake)?;
        Ok(Self { root, key, rustls_key })
    }

    /// The root that signs.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Makes a certificate for `host`. One ECDSA signature and some DER; nothing is remembered, see
    /// [`Leaves`](crate::Leaves) for that.
    pub fn mint(&self, host: &Host, now: Timestamp) -> Result<Leaf, LeafError> {
        if !self.root.permits(host) {
            return Err(LeafError::OutOfScope(host.clone()));
        }
        self.sign(host, now)
    }

    fn sign(&self, host: &Host, now: Timestamp) -> Result<Leaf, LeafError> {
        let (root_begins, root_ends) = (self.root.not_before(), self.root.not_after());
        if now < root_begins || now >= root_ends {
            return Err(LeafError::RootNotValid { not_before: root_begins, not_after: root_ends });
        }
        let not_before = profile::backdated(now).max(root_begins);
        let not_after = later(now, LIFETIME).min(root_ends);

        let mut params = described(host).map_err(|source| LeafError::Name(host.clone(), source))?;
        params.serial_number = Some(profile::serial()?);
        profile::set_validity(&mut params, not_before, not_after)?;
        let certificate =
            self.root.issue(&params, &self.key).map_err(|source| LeafError::Sign(host.clone(), source))?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate], Arc::clone(&self.rustls_key)));
        Ok(Leaf { certified, not_before, reuse_until: later(now, REUSED_FOR).min(not_after) })
    }
}

impl Leaf {
    /// What a handshake needs.
    pub const fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Whether it may still be handed out; false as well if the clock was set back to before it is valid.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.reuse_until
    }
}

/// Who the certificate is for and what for: a TLS server of this name and nothing else.
fn described(host: &Host) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(host);
    params.subject_alt_names = vec![match host.address() {
        Some(address) => SanType::IpAddress(address),
        None => SanType::DnsName(host.as_str().try_into()?),
    }];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The name once more for people to read, where it fits. Addresses have none: OpenSSL would hold a common name
/// that looks like a host against the root's permitted domains. rcgen marks the SAN critical when this is empty
/// (RFC 5280 §4.2.1.6).
fn subject(host: &Host) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if host.address().is_none() && host.as_str().len() <= MAX_COMMON_NAME {
        name.push(DnType::CommonName, host.as_str());
    }
    name
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod strict_clients;
#[cfg(test)]
mod tests;
