//! The chain of signatures that a chunk-signed body carries: each covers the one before it.

use std::sync::Arc;

use super::date::AmzDate;
use super::digest::HexDigest;
use super::key::SigningKey;

/// A chain at some point of a body. It begins with the signature of the request's head.
#[derive(Debug, Clone)]
pub struct Chain {
    key: Arc<SigningKey>,
    date: AmzDate,
    previous: HexDigest,
}

impl Chain {
    /// Begins at the head's signature, the seed.
    pub(super) const fn new(key: Arc<SigningKey>, date: AmzDate, seed: HexDigest) -> Self {
        Self { key, date, previous: seed }
    }

    /// The last signature made: the seed, at first.
    pub const fn signature(&self) -> &HexDigest {
        &self.previous
    }

    /// Signs the next chunk, by the hash of its data.
    pub(super) fn sign_chunk(&mut self, data: &HexDigest) -> HexDigest {
        let hashes = [&self.previous, &HexDigest::EMPTY, data];
        self.previous = self.key.sign("AWS4-HMAC-SHA256-PAYLOAD", &self.date, &hashes);
        self.previous
    }

    /// Signs the trailer, by the hash of its canonical lines.
    pub(super) fn sign_trailer(&mut self, lines: &HexDigest) -> HexDigest {
        self.previous = self.key.sign("AWS4-HMAC-SHA256-TRAILER", &self.date, &[&self.previous, lines]);
        self.previous
    }
}
