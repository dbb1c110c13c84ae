//! `Host`: a name or address that a certificate can be made for.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use rustls_pki_types::DnsName;
use thiserror::Error;

/// One host as a certificate names it: a DNS name in lower case without its final dot, or an IP address.
///
/// Two spellings of one host are equal: `S3.Amazonaws.com.` and `s3.amazonaws.com`; `[::1]` and `0:0::1`.
#[derive(Clone)]
pub struct Host {
    /// The one spelling. No address is a valid DNS name (its last label is all digits, or it has a colon), so the
    /// text alone decides equality.
    text: Arc<str>,
    address: Option<IpAddr>,
}

/// The text is neither a host name nor an IP address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a host name or IP address; write it like `s3.amazonaws.com` or `127.0.0.1`, without port or wildcard")]
pub struct InvalidHost;

impl Host {
    /// Reads the host part of a URL, a CONNECT authority or an SNI; IPv6 with or without brackets, no port.
    ///
    /// Names follow RFC 1123 §2.1 within 253 octets; an underscore is allowed because older S3 bucket names have it.
    /// A final dot is dropped: it never stands in an SNI (RFC 6066 §3) nor in a certificate. Names outside ASCII
    /// must come in their `xn--` form.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = unbracketed {
            return inner.parse().map(IpAddr::V6).map(Self::from).map_err(|_| InvalidHost);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::from(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.ends_with('.') {
            return Err(InvalidHost);
        }
        DnsName::try_from(name).map_err(|_| InvalidHost)?;
        Ok(Self { text: name.to_ascii_lowercase().into(), address: None })
    }

    /// The host in its one spelling; IPv6 without brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, if the host is one.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self { text: address.to_string().into(), address: Some(address) }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Host {}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_equal() {
        for (written, read) in [
            ("S3.Amazonaws.COM", "s3.amazonaws.com"),
            ("s3.amazonaws.com.", "s3.amazonaws.com"),
            ("my_bucket.s3.amazonaws.com", "my_bucket.s3.amazonaws.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0::1]", "::1"),
            ("0:0::1", "::1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Host::parse(written).expect(written).as_str(), read);
        }
    }

    #[test]
    fn what_a_certificate_cannot_name_is_refused() {
        let label_too_long = format!("{}.com", "a".repeat(64));
        let name_too_long = format!("{}.com", vec!["a".repeat(49); 6].join("."));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "*.amazonaws.com",
            "a b",
            "a:443",
            "[127.0.0.1]",
            "[::1",
            "1.2.3",
            "1.2.3.4.5",
            "-a.com",
            "a-.com",
            "a/b",
            "a\0b",
            "münchen.de",
            "[fe80::1%eth0]",
            "user@a.com",
            &label_too_long,
            &name_too_long,
        ] {
            assert_eq!(Host::parse(text), Err(InvalidHost), "{text:?}");
        }
    }

    #[test]
    fn name_of_253_octets_is_the_longest() {
        let longest = format!("{}.comx", vec!["a".repeat(61); 4].join("."));
        assert_eq!(longest.len(), 252);
        assert!(Host::parse(&format!("a{longest}")).is_ok());
        assert!(Host::parse(&format!("aa{longest}")).is_err());
    }
}
