//! The chain of signatures that a signed body carries: each covers the one before it.

use std::sync::Arc;

use jiff::Timestamp;

use super::algorithm::{Algorithm, Subject};
use super::date::AmzDate;
use super::digest::HexDigest;
use super::key::SigningKey;
use super::signature::Signature;

/// A chain at some point of a body. It begins with the signature of the request's head.
#[derive(Debug, Clone)]
pub struct Chain {
    key: Arc<SigningKey>,
    /// For streams that go on past midnight (UTC).
    next_day: Option<Arc<SigningKey>>,
    date: AmzDate,
    previous: Signature,
}

/// What comes next in a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link<'a> {
    /// A chunk of data, or an event: the hash of its headers, of which chunks have none, and of its data.
    Chunk { headers: &'a HexDigest, data: &'a HexDigest },
    /// The trailer: the hash of its canonical lines.
    Trailer(&'a HexDigest),
}

impl Chain {
    /// Begins at the head's signature, the seed.
    pub(super) const fn new(key: Arc<SigningKey>, date: AmzDate, seed: Signature) -> Self {
        Self { key, next_day: None, date, previous: seed }
    }

    /// The last signature: the seed, at first.
    pub const fn signature(&self) -> &Signature {
        &self.previous
    }

    /// The same, for a body that may take until the next day (UTC): `key` derives the key for it.
    pub(super) fn through_midnight(mut self, key: impl FnOnce(&AmzDate) -> Arc<SigningKey>) -> Self {
        self.next_day = Some(key(&self.date.next_day()));
        self
    }

    /// Goes on to what is signed at another time; false if there is no key for that day.
    pub(super) fn move_to(&mut self, date: AmzDate) -> bool {
        if self.key.day() != date.day() {
            let Some(key) = self.next_day.take_if(|key| key.day() == date.day()) else { return false };
            self.key = key;
        }
        self.date = date;
        true
    }

    /// When the last piece was signed: the head, at first.
    pub(super) fn time(&self) -> Timestamp {
        self.date.timestamp()
    }

    /// How it is signed.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Signs what comes next.
    pub(super) fn sign(&mut self, link: Link<'_>) -> Signature {
        self.previous = self.with_lines(link, |subject, lines| self.key.sign(subject, &self.date, lines));
        self.previous
    }

    /// Goes on over what comes next, if `claimed` is its signature.
    pub(super) fn accept(&mut self, link: Link<'_>, claimed: &Signature) -> bool {
        let accepted = self.with_lines(link, |subject, lines| self.key.verifies(subject, &self.date, lines, claimed));
        if accepted {
            self.previous = *claimed;
        }
        accepted
    }

    fn with_lines<T>(&self, link: Link<'_>, signer: impl FnOnce(Subject, &[&str]) -> T) -> T {
        let previous = self.previous.as_str();
        match link {
            Link::Chunk { headers, data } => signer(Subject::Chunk, &[previous, headers.as_str(), data.as_str()]),
            Link::Trailer(lines) => signer(Subject::Trailer, &[previous, lines.as_str()]),
        }
    }
}
