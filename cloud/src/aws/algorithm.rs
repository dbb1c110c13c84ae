//! The two algorithms that sign requests to AWS, and the names under which they do.

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SigV4: HMAC with a key for one day, region and service.
    Hmac,
    /// SigV4A: ECDSA over P-256 with a key for the credential alone, good in every region that `X-Amz-Region-Set` names.
    Ecdsa,
}

/// What a signature stands for: the first line of what is signed says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A request's head.
    Request,
    /// A chunk of a body, or an event of a stream.
    Chunk,
    /// The trailer after the chunks.
    Trailer,
}

impl Algorithm {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hmac, Self::Ecdsa].into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// As `Authorization` and `X-Amz-Algorithm` name it: `AWS4-HMAC-SHA256`.
    pub const fn name(self) -> &'static str {
        self.title(Subject::Request)
    }

    /// The first line of a string to sign.
    pub(super) const fn title(self, subject: Subject) -> &'static str {
        match (self, subject) {
            (Self::Hmac, Subject::Request) => "AWS4-HMAC-SHA256",
            (Self::Hmac, Subject::Chunk) => "AWS4-HMAC-SHA256-PAYLOAD",
            (Self::Hmac, Subject::Trailer) => "AWS4-HMAC-SHA256-TRAILER",
            (Self::Ecdsa, Subject::Request) => "AWS4-ECDSA-P256-SHA256",
            (Self::Ecdsa, Subject::Chunk) => "AWS4-ECDSA-P256-SHA256-PAYLOAD",
            (Self::Ecdsa, Subject::Trailer) => "AWS4-ECDSA-P256-SHA256-TRAILER",
        }
    }

    /// How many characters a signature takes where its place has one width: within a body. DER of ECDSA over P-256 has
    /// at most 72 bytes, and is filled up behind its hex digits.
    pub const fn width(self) -> usize {
        match self {
            Self::Hmac => 64,
            Self::Ecdsa => 144,
        }
    }
}
