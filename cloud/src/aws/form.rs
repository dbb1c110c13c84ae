//! Where a request carries its signature. It leaves where it came, and never as version 2.

use http::Method;

use super::algorithm::Algorithm;
use super::presigned::Left;
use super::v2_call::Place;

/// The forms of a signature that are verified and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SigV4 in the `Authorization` header.
    Header,
    /// SigV4A in the `Authorization` header.
    Asymmetric,
    /// SigV4 in the query: a presigned URL.
    Query(Left),
    /// SigV4A in the query.
    QueryAsymmetric(Left),
    /// Version 2 in the header: leaves as [`Form::Header`].
    HeaderV2,
    /// Version 2 in the query: leaves as [`Form::Query`].
    QueryV2(Left),
    /// Version 2 among the parameters of a call: leaves as [`Form::Header`], but for services that take nothing else.
    CallV2(Place),
    /// The password of Basic credentials, for git.
    Git,
    /// The fields of a form with a file, of version 4 or 2: leaves as version 4.
    Post,
}

impl Form {
    /// How such signatures are made.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Header
            | Self::Query(_)
            | Self::HeaderV2
            | Self::QueryV2(_)
            | Self::CallV2(_)
            | Self::Git
            | Self::Post => Algorithm::Hmac,
            Self::Asymmetric | Self::QueryAsymmetric(_) => Algorithm::Ecdsa,
        }
    }

    /// Whether it stands in the query, which answers may repeat.
    pub const fn is_in_query(self) -> bool {
        matches!(self, Self::Query(_) | Self::QueryAsymmetric(_) | Self::QueryV2(_))
    }

    /// The method that is signed. A URL is signed ahead, for `GET`, also where HTTP/2 then asks for a WebSocket with `CONNECT`
    /// (RFC 8441 §5).
    pub(super) fn method(self, on_wire: &Method) -> &str {
        if self.is_in_query() && *on_wire == Method::CONNECT { "GET" } else { on_wire.as_str() }
    }

    /// The form of a query signed so.
    pub(super) const fn in_query(algorithm: Algorithm, left: Left) -> Self {
        match algorithm {
            Algorithm::Hmac => Self::Query(left),
            Algorithm::Ecdsa => Self::QueryAsymmetric(left),
        }
    }

    /// The form of a header signed so.
    pub(super) const fn in_header(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Hmac => Self::Header,
            Algorithm::Ecdsa => Self::Asymmetric,
        }
    }
}
