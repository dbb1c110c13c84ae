//! Addresses: sockets, networks, URLs, host patterns.

use std::net::{IpAddr, SocketAddr};

use access::Pattern;
use ipnet::IpNet;
use url::{Host, Url};

use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;

/// An address to listen on.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
        let help = format!("write address and port: 127.0.0.1:{}", port.unwrap_or("8181"));
        Wrong::value(format!("{} is no address to listen on", shown(text))).help(help)
    })
}

/// An address to listen on that only this machine reaches, unless others are `allowed` to.
pub(crate) fn local_socket(text: &str, allowed: bool) -> Result<SocketAddr, Wrong> {
    let address = socket(text)?;
    if allowed || address.ip().to_canonical().is_loopback() {
        return Ok(address);
    }
    Err(Wrong::new(Code::Unsafe, format!("other machines can reach {address}, and use what is granted here"))
        .help(format!("write 127.0.0.1:{}, or `allow_remote: true` if that is meant", address.port())))
}

/// A network in CIDR notation, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        Wrong::value(format!("{} is no network", shown(text))).help("write 10.0.0.0/8, 2001:db8::/32, or one address")
    })?;
    // Who writes 10.1.2.3/8 means either one address or sixteen million: not ours to choose.
    if network.trunc() != network {
        let message = format!("{network} has bits set beyond its prefix");
        return Err(Wrong::value(message).help(format!("write {} or {}", network.trunc(), network.addr())));
    }
    Ok(network)
}

/// Whether a URL leads to this machine and nowhere else (RFC 6761 §6.3 for `localhost`).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

/// A URL that may be trusted to lead where it says: `https`, or `http` on loopback; nothing but origin and path.
pub(crate) fn trusted_url(text: &str) -> Result<Url, Wrong> {
    let wrong = |message: &str| Wrong::value(format!("{} {message}", shown(text)));
    let url = Url::parse(text).map_err(|_| wrong("is no URL").help("write https://host/path"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new(Code::LiteralSecret, "a URL here has no user and no password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment, which mean nothing here"));
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(Wrong::new(Code::Unsafe, format!("{} is not encrypted", shown(text)))
            .help("write https; plain http only to this machine, such as http://127.0.0.1:18180")),
        _ => Err(wrong("is neither https nor http")),
    }
}

/// A URL of a server, without a path.
pub(crate) fn origin(text: &str) -> Result<Url, Wrong> {
    let url = trusted_url(text)?;
    if url.path() == "/" {
        return Ok(url);
    }
    Err(Wrong::value(format!("{} has a path", shown(text)))
        .help("write only scheme, host and port: the path is the call's own"))
}

/// A URL of a proxy, without a path. It carries what is encrypted already, so it may be spoken to in clear text.
pub(crate) fn proxy(text: &str) -> Result<Url, Wrong> {
    let wrong = |message: &str| Wrong::value(format!("{} {message}", shown(text))).help("write http://host:port");
    let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new(Code::LiteralSecret, "a URL here has no user and no password")
            .help("write them as `credentials`"));
    }
    match (url.scheme(), url.path(), url.query(), url.fragment()) {
        ("http" | "https", "/", None, None) if url.has_host() => Ok(url),
        ("http" | "https", ..) => Err(wrong("has more than scheme, host and port")),
        _ => Err(wrong("is neither http nor https")),
    }
}

/// The name of one host, in lower case.
pub(crate) fn host(text: &str) -> Result<String, Wrong> {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if text.len() <= 253 && text.contains('.') && text.split('.').all(label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong::value(format!("{} is no host name", shown(text))).help("write it without scheme, port and path"))
}

/// A pattern of host names.
pub(crate) fn host_pattern(text: &str) -> Result<Pattern, Wrong> {
    let wrong = |message: &str| {
        Wrong::value(format!("{} is no host pattern: {message}", shown(text)))
            .help("write s3.amazonaws.com or \"*.amazonaws.com\"")
    };
    let pattern = Pattern::new(text).map_err(|error| wrong(&error.to_string()))?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-*?_".contains(&b);
    if !text.bytes().all(allowed) {
        return Err(wrong(
            "it has lower-case letters, digits, `.`, `-` and the wildcards `*` and `?`; no scheme, no port",
        ));
    }
    Ok(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for text in
            ["https://a.example", "http://127.0.0.1:1/x", "http://localhost", "http://[::1]:9", "http://a.localhost"]
        {
            assert!(trusted_url(text).is_ok(), "{text}");
        }
        for text in ["http://a.example", "http://127.0.0.1.nip.io", "http://localhost.evil.example", "http://0.0.0.0"] {
            assert_eq!(trusted_url(text).map_err(|wrong| wrong.code), Err(Code::Unsafe), "{text}");
        }
        for text in ["", "a.example", "ftp://127.0.0.1", "https://u:p@a.example", "https://a.example?q", "https://"] {
            assert!(trusted_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_with_bits_beyond_its_prefix_is_refused_with_both_readings() {
        assert!(network("10.0.0.0/8").is_ok() && network("10.1.2.3").is_ok() && network("2001:db8::/32").is_ok());
        assert_eq!(network("10.1.2.3/8").unwrap_err().help.as_deref(), Some("write 10.0.0.0/8 or 10.1.2.3"));
        assert!(network("10.0.0.0/33").is_err());
    }
}
