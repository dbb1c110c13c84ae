//! Which version of HTTP is spoken: what TLS agrees on (ALPN, RFC 7301), and how HTTP/2 begins without TLS.

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, one request at a time. Without ALPN nothing else is spoken.
    Http1,
    /// HTTP/2, many requests at once.
    Http2,
}

/// What a client that knows that its server speaks HTTP/2 begins with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Protocol {
    /// Its name in a TLS handshake.
    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// What a handshake has agreed on.
    pub(crate) fn agreed(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(Self::Http2.alpn()) { Self::Http2 } else { Self::Http1 }
    }
}
