//! The host that a request names, as SDKs sign it: lower case, with its port only where it is not the default.

use http::HeaderValue;
use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Scheme};

/// A request that does not name one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a `Host` header nor an authority in the request line.
    #[error("the request names no host; send a Host header")]
    Missing,
    /// More than one `Host` header (RFC 9112 §3.2).
    #[error("the request has more than one Host header")]
    Repeated,
    /// Not `host` or `host:port`.
    #[error("the Host header is not a host name with an optional port")]
    Malformed,
    /// `Host` names another host than the request line.
    #[error("the Host header and the request line name different hosts")]
    Contradiction,
}

/// The host to sign and to send. HTTP/2 has no `Host` header; its `:authority` is the URI's authority (RFC 9113 §8.3.1).
pub(super) fn canonical(parts: &Parts) -> Result<HeaderValue, HostError> {
    if let (Some(value), None) = (on_wire(parts)?, parts.uri.authority())
        && is_plain(value.as_bytes())
    {
        return Ok(value.clone());
    }
    let default_port = if parts.uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    let from_line = parts.uri.authority().map(|authority| spell(authority, default_port)).transpose()?;
    let from_header = match on_wire(parts)? {
        Some(value) => {
            let authority = Authority::try_from(value.as_bytes()).map_err(|_| HostError::Malformed)?;
            Some(spell(&authority, default_port)?)
        }
        None => None,
    };
    let host = match (from_header, from_line) {
        (Some(header), Some(line)) if header != line => return Err(HostError::Contradiction),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) => return Err(HostError::Missing),
    };
    HeaderValue::try_from(host).map_err(|_| HostError::Malformed)
}

/// The `Host` header as it was sent, if it was.
pub(super) fn on_wire(parts: &Parts) -> Result<Option<&HeaderValue>, HostError> {
    let mut values = parts.headers.get_all(HOST).iter();
    let first = values.next();
    if values.next().is_some() { Err(HostError::Repeated) } else { Ok(first) }
}

/// What nearly every client sends: a name without a port, in lower case. It is its own canonical form.
fn is_plain(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
}

fn spell(authority: &Authority, default_port: u16) -> Result<String, HostError> {
    // `user@host` is a way to make two readers see two hosts; nobody signs it.
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(HostError::Malformed);
    }
    let mut host = authority.host().to_ascii_lowercase();
    match (authority.port_u16(), &authority.as_str()[authority.host().len()..]) {
        (Some(port), _) if port != default_port => {
            host.push(':');
            host.push_str(&port.to_string());
        }
        (Some(_), _) | (None, "") => {}
        (None, _) => return Err(HostError::Malformed),
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn host_of(uri: &str, hosts: &[&str]) -> Result<String, HostError> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        canonical(&parts).map(|host| host.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_default_port_is_left_out_and_another_is_kept() {
        let rows = [
            ("/", "S3.amazonaws.com", "s3.amazonaws.com"),
            ("/", "s3.amazonaws.com:443", "s3.amazonaws.com"),
            ("/", "s3.amazonaws.com:80", "s3.amazonaws.com:80"),
            ("http://s3.amazonaws.com/", "s3.amazonaws.com:80", "s3.amazonaws.com"),
            ("https://s3.amazonaws.com:443/", "s3.amazonaws.com", "s3.amazonaws.com"),
            ("/", "[::1]:9000", "[::1]:9000"),
            ("/", "[::1]", "[::1]"),
        ];
        for (uri, header, expected) in rows {
            assert_eq!(host_of(uri, &[header]).as_deref(), Ok(expected), "{uri} {header}");
        }
        assert_eq!(
            host_of("https://DynamoDB.eu-west-1.amazonaws.com/", &[]).unwrap(),
            "dynamodb.eu-west-1.amazonaws.com"
        );
    }

    #[test]
    fn a_request_that_names_no_host_or_two_is_refused() {
        assert_eq!(host_of("/", &[]), Err(HostError::Missing));
        assert_eq!(host_of("/", &["a.example", "a.example"]), Err(HostError::Repeated));
        assert_eq!(host_of("https://a.example/", &["b.example"]), Err(HostError::Contradiction));
        for malformed in ["user@a.example", "", "a b", "a.example:x", "a.example:99999", "a.example:"] {
            assert_eq!(host_of("/", &[malformed]), Err(HostError::Malformed), "{malformed:?}");
        }
    }
}
