//! Where a request carries its signature. It leaves in the form in which it came.

use super::algorithm::Algorithm;

/// The forms of a signature that are verified and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SigV4 in the `Authorization` header.
    Header,
    /// SigV4A in the `Authorization` header.
    Asymmetric,
}

impl Form {
    /// How such signatures are made.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Header => Algorithm::Hmac,
            Self::Asymmetric => Algorithm::Ecdsa,
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
