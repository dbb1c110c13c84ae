//! How a tunnel was asked for, which is how the answer is worded.

use access::RefusalCode;
use bytes::Bytes;
use http::{Response, StatusCode};

use crate::wire::socks::Reply;

/// How a tunnel was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// By `CONNECT` (RFC 9110 §9.3.6).
    Connect,
    /// The same, and it may be asked again on the same connection: only a proof of who asks was missing.
    Again,
    /// By SOCKS 5.
    Socks,
    /// Not so that it could be answered: the kernel has led the connection here, or the answer is out already.
    Silently,
}

impl Asked {
    /// Says that the tunnel stands.
    pub(crate) const fn established(self) -> &'static [u8] {
        const SOCKS: [u8; 10] = Reply::Succeeded.bytes();
        match self {
            Self::Connect | Self::Again => b"HTTP/1.1 200 Connection Established\r\n\r\n",
            Self::Socks => &SOCKS,
            Self::Silently => b"",
        }
    }

    /// Says that it does not.
    pub(crate) fn refused(self, code: RefusalCode, answer: &Response<Bytes>) -> Vec<u8> {
        match self {
            Self::Connect => in_http(answer, "close"),
            Self::Again => in_http(answer, "keep-alive"),
            Self::Socks => reply(code).bytes().to_vec(),
            Self::Silently => Vec::new(),
        }
    }
}

fn in_http(answer: &Response<Bytes>, end: &str) -> Vec<u8> {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_else(|| StatusCode::BAD_GATEWAY.as_str());
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in answer.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    head += &format!("content-length: {}\r\nconnection: {end}\r\n\r\n", answer.body().len());
    [head.as_bytes(), answer.body()].concat()
}

/// The nearest of the replies that RFC 1928 §6 has.
const fn reply(code: RefusalCode) -> Reply {
    match code {
        RefusalCode::EgressDenied | RefusalCode::ProxyAuthentication => Reply::NotAllowed,
        RefusalCode::UpstreamUnavailable | RefusalCode::UpstreamTimeout => Reply::Unreachable,
        _ => Reply::Failed,
    }
}
