//! What the client declares about its body in `X-Amz-Content-Sha256`.

use http::header::{HeaderMap, HeaderName};

use super::algorithm::Algorithm;
use super::digest::HexDigest;

/// The header in which S3 and a few others want the payload declared.
pub const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// What the last line of the canonical request says about the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// SHA-256 of the whole body.
    Hash(HexDigest),
    /// `UNSIGNED-PAYLOAD`: the body is not covered.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: aws-chunked, not covered, a checksum after it. Passed on byte for byte.
    UnsignedTrailer,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, and the same with ECDSA: aws-chunked, every chunk signed. Goes through
    /// [`super::chunk::Resigner`].
    SignedChunks(Algorithm),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`, and the same with ECDSA: a signed trailer as well.
    SignedChunksTrailer(Algorithm),
    /// `STREAMING-AWS4-HMAC-SHA256-EVENTS`: a stream of events, each signed. Goes through [`super::event::Resigner`].
    Events,
    /// No declaration, no length, and a head that is signed as if there were no body. Either there is none, or it is a stream
    /// of signed events: AWS's SDKs for Rust and Python send them so.
    UndeclaredEvents,
}

/// A payload declaration that cannot be honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Two declarations: each party could believe another one.
    #[error("x-amz-content-sha256 comes more than once; send it once")]
    Repeated,
    /// Neither 64 hex digits nor one of the names that AWS defines.
    #[error("x-amz-content-sha256 is neither 64 lower-case hex digits nor a payload form that AWS defines")]
    Malformed,
    /// A head of SigV4 with pieces of SigV4A, or the other way round.
    #[error("x-amz-content-sha256 names another algorithm than the head is signed with; sign both with the same")]
    OtherAlgorithm,
}

impl Payload {
    /// Reads the declaration; `None` where the client makes none and the body has to be hashed.
    pub fn declared(headers: &HeaderMap) -> Result<Option<Self>, PayloadError> {
        let mut values = headers.get_all(CONTENT_SHA256).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(PayloadError::Repeated);
        }
        Self::parse(value.as_bytes()).map(Some)
    }

    /// Reads a declaration's value.
    pub(super) fn parse(value: &[u8]) -> Result<Self, PayloadError> {
        match value {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedTrailer),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::SignedChunks(Algorithm::Hmac)),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::SignedChunksTrailer(Algorithm::Hmac)),
            b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" => Ok(Self::SignedChunks(Algorithm::Ecdsa)),
            b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => Ok(Self::SignedChunksTrailer(Algorithm::Ecdsa)),
            b"STREAMING-AWS4-HMAC-SHA256-EVENTS" => Ok(Self::Events),
            hash => HexDigest::parse(hash).map(Self::Hash).ok_or(PayloadError::Malformed),
        }
    }

    /// Hashes a whole body.
    pub fn of(body: &[u8]) -> Self {
        Self::Hash(HexDigest::of(body))
    }

    /// Whether the body is a stream of signed events.
    pub(super) const fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::UndeclaredEvents)
    }

    /// As the header and the canonical request write it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hash(hash) => hash.as_str(),
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Self::Events => "STREAMING-AWS4-HMAC-SHA256-EVENTS",
            Self::UndeclaredEvents => HexDigest::EMPTY.as_str(),
            Self::SignedChunks(Algorithm::Hmac) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedChunksTrailer(Algorithm::Hmac) => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::SignedChunks(Algorithm::Ecdsa) => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            Self::SignedChunksTrailer(Algorithm::Ecdsa) => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        }
    }

    /// How the pieces of the body are signed, if they are.
    pub(super) const fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::SignedChunks(algorithm) | Self::SignedChunksTrailer(algorithm) => Some(algorithm),
            Self::Events | Self::UndeclaredEvents => Some(Algorithm::Hmac),
            Self::Hash(_) | Self::Unsigned | Self::UnsignedTrailer => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn declared(values: &[&'static str]) -> Result<Option<Payload>, PayloadError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_SHA256, HeaderValue::from_static(value));
        }
        Payload::declared(&headers)
    }

    #[test]
    fn every_form_that_we_take_reads_back_as_it_was_written() {
        let forms = [
            "UNSIGNED-PAYLOAD",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-EVENTS",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ];
        for form in forms {
            assert_eq!(declared(&[form]).unwrap().unwrap().as_str(), form);
        }
        assert_eq!(declared(&[]), Ok(None));
    }

    #[test]
    fn two_declarations_are_refused_even_if_they_agree() {
        assert_eq!(declared(&["UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD"]), Err(PayloadError::Repeated));
    }

    #[test]
    fn anything_else_is_refused() {
        for value in ["", "unsigned-payload", "STREAMING-", "e3b0", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD "] {
            assert_eq!(declared(&[value]), Err(PayloadError::Malformed), "{value:?}");
        }
    }
}
