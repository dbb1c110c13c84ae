//! Where a request wants to go, as the program wrote it: `CONNECT` authority, absolute form, `Host`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use http::Uri;
use otel::Place;
use url::Url;

/// Longest host name (RFC 1035 §2.3.4).
const MAX_HOST: usize = 253;

/// How the destination is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

/// Scheme, host and port: what RFC 6454 §4 calls an origin.
///
/// The host is lower case, without the root's dot, IPv6 addresses in canonical text without brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) scheme: Scheme,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// An authority that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadDestination {
    /// `CONNECT host` without `:port` (RFC 9110 §9.3.6).
    #[error("CONNECT needs host:port")]
    NoPort,
    /// The port is not one.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The host is empty, too long, or holds characters that no host name has; user names are refused here, too.
    #[error("the host is not a name or an address")]
    Host,
    /// Neither `http://host/…` nor `https://host/…`.
    #[error("a forward proxy takes CONNECT or http://host/… and https://host/…")]
    Form,
}

impl Scheme {
    /// The port that its URLs leave out.
    pub(crate) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl From<&Destination> for Place {
    fn from(Destination { scheme, host, port }: &Destination) -> Self {
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Self { scheme, host: host.clone(), port: *port }
    }
}

impl Destination {
    /// Reads the target of `CONNECT` (authority form, RFC 9112 §3.2.3). What is spoken inside shows later; until then it
    /// counts as TLS.
    pub(crate) fn connect(authority: &str) -> Result<Self, BadDestination> {
        let (host, port) = split(authority)?;
        Ok(Self { scheme: Scheme::Https, host: host_name(host)?, port: port.ok_or(BadDestination::NoPort)? })
    }

    /// A host, name or address, and a port, as SOCKS and the greetings of TLS say them.
    pub(crate) fn named(host: &str, port: u16) -> Result<Self, BadDestination> {
        let port = Some(port).filter(|port| *port > 0).ok_or(BadDestination::Port)?;
        Ok(Self { scheme: Scheme::Https, host: host_name(host)?, port })
    }

    /// A number, as the kernel says it.
    pub(crate) fn numbered(address: SocketAddr) -> Self {
        let host = address.ip().to_canonical().to_string().into();
        Self { scheme: Scheme::Https, host, port: address.port() }
    }

    /// The host of a `Host` field, on the port to which its connection goes.
    pub(crate) fn of_host(authority: &str, port: u16) -> Result<Self, BadDestination> {
        Self::named(split(authority)?.0, port)
    }

    /// Reads a request target in absolute form (RFC 9112 §3.2.2).
    pub(crate) fn absolute(uri: &Uri) -> Result<Self, BadDestination> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) | None => return Err(BadDestination::Form),
        };
        let (host, port) = split(uri.authority().ok_or(BadDestination::Form)?.as_str())?;
        Ok(Self { scheme, host: host_name(host)?, port: port.unwrap_or(scheme.default_port()) })
    }

    /// What a URL of the config leads to; the config takes `http` and `https` with a host only, and no path of it counts.
    pub(crate) fn of_url(url: &Url) -> Self {
        let scheme = if url.scheme() == "http" { Scheme::Http } else { Scheme::Https };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        Self { scheme, host: host.into(), port: url.port().unwrap_or(scheme.default_port()) }
    }

    /// The same place, spoken to in another way.
    pub(crate) fn over(&self, scheme: Scheme) -> Self {
        Self { scheme, ..self.clone() }
    }

    /// Whether `authority` (a `Host` header) means this place; the port may be left out where it is the scheme's own.
    pub(crate) fn is_named_by(&self, authority: &str) -> bool {
        let Ok((host, port)) = split(authority) else { return false };
        if port.unwrap_or(self.scheme.default_port()) != self.port {
            return false;
        }
        host.eq_ignore_ascii_case(&self.host) || host_name(host).is_ok_and(|host| host == self.host)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Takes `host`, `host:port`, `[v6]` or `[v6]:port` apart.
fn split(authority: &str) -> Result<(&str, Option<u16>), BadDestination> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(BadDestination::Host)?;
            address.parse::<Ipv6Addr>().map_err(|_| BadDestination::Host)?;
            match after.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if after.is_empty() => (address, None),
                None => return Err(BadDestination::Host),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    Ok((host, port.map(port_number).transpose()?))
}

/// RFC 3986 §3.2.3: digits only; `+80` and `0` are none.
fn port_number(port: &str) -> Result<u16, BadDestination> {
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadDestination::Port);
    }
    port.parse().ok().filter(|port| *port > 0).ok_or(BadDestination::Port)
}

fn host_name(host: &str) -> Result<Arc<str>, BadDestination> {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Ok(address.to_string().into());
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(fits) || host.split('.').any(str::is_empty) {
        return Err(BadDestination::Host);
    }
    // `127.1` and `0x7f000001` are addresses to some resolvers and names to others.
    let last = host.rsplit('.').next().unwrap_or(host);
    let looks_numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    if looks_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(BadDestination::Host);
    }
    Ok(host.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_takes_names_and_addresses_with_a_port() {
        for (text, shown) in [
            ("S3.Amazonaws.com:443", "s3.amazonaws.com:443"),
            ("s3.amazonaws.com.:443", "s3.amazonaws.com:443"),
            ("10.0.0.1:8443", "10.0.0.1:8443"),
            ("[2001:DB8::0:1]:443", "[2001:db8::1]:443"),
            ("my_bucket.example:1", "my_bucket.example:1"),
        ] {
            assert_eq!(Destination::connect(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        use BadDestination::{Host, NoPort, Port};
        for (text, why) in [
            ("example.com", NoPort),
            ("example.com:", Port),
            ("example.com:0", Port),
            ("example.com:65536", Port),
            ("example.com:+443", Port),
            ("example.com:443:443", Port),
            (":443", Host),
            (".:443", Host),
            ("a..b:443", Host),
            ("user@example.com:443", Host),
            ("exa mple.com:443", Host),
            ("127.1:443", Host),
            ("0x7f000001:443", Host),
            ("2130706433:443", Host),
            ("::1:443", Port),
            ("[::1:443", Host),
            ("[::1]443", Host),
            ("[fe80::1%25eth0]:443", Host),
            ("ex%41mple.com:443", Host),
        ] {
            assert_eq!(Destination::connect(text), Err(why), "{text}");
        }
    }

    #[test]
    fn absolute_form_fills_in_the_port_of_its_scheme() {
        let destination = |uri: &str| Destination::absolute(&uri.parse().unwrap()).map(|d| (d.scheme, d.to_string()));
        assert_eq!(destination("http://a.example/x?y"), Ok((Scheme::Http, "a.example:80".into())));
        assert_eq!(destination("https://a.example/x"), Ok((Scheme::Https, "a.example:443".into())));
        assert_eq!(destination("http://[::1]:8080/"), Ok((Scheme::Http, "[::1]:8080".into())));
        assert_eq!(destination("ftp://a.example/x"), Err(BadDestination::Form));
        assert_eq!(destination("/x"), Err(BadDestination::Form));
        assert_eq!(destination("http://u:p@a.example/x"), Err(BadDestination::Port));
        assert_eq!(destination("http://u@a.example/x"), Err(BadDestination::Host));
    }

    #[test]
    fn host_header_names_the_place_with_or_without_the_default_port() {
        let s3 = Destination::connect("s3.amazonaws.com:443").unwrap();
        for named in ["s3.amazonaws.com", "S3.amazonaws.COM:443", "s3.amazonaws.com."] {
            assert!(s3.is_named_by(named), "{named}");
        }
        for other in
            ["s3.amazonaws.com:80", "s3.amazonaws.com.evil.net", "x@s3.amazonaws.com", "", "s3.amazonaws.com:443:1"]
        {
            assert!(!s3.is_named_by(other), "{other}");
        }
        assert!(!s3.over(Scheme::Http).is_named_by("s3.amazonaws.com"));
        assert!(Destination::connect("[::1]:443").unwrap().is_named_by("[0:0::1]"));
    }
}
