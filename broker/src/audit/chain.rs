//! How one event is bound to the one before it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;

use crate::store::{Column, Row, Value};

/// Keeps these hashes apart from any other use of SHA-256 on the same bytes.
const DOMAIN: &[u8] = b"countersign audit event v1\0";
const ORGANISATION: &[u8] = b"countersign organisation v1\0";

/// A SHA-256 hash in the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first event of the first organisation has for a predecessor: books began so before there were several.
    pub(crate) const GENESIS: Self = Self([0; 32]);

    /// What the first event of any other organisation has for a predecessor: `SHA-256(domain ‖ id)`.
    pub(crate) fn beginning_of(organisation: Uuid) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(ORGANISATION);
        context.update(organisation.as_bytes());
        Self::from(context)
    }

    /// `SHA-256(domain ‖ self ‖ seq ‖ body)`. All but the last have a fixed length, so no two events share an input.
    pub(crate) fn then(self, seq: u64, body: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(DOMAIN);
        context.update(&self.0);
        context.update(&seq.to_be_bytes());
        context.update(body.as_bytes());
        Self::from(context)
    }
}

impl From<Hash> for Value {
    fn from(hash: Hash) -> Self {
        hash.0.into()
    }
}

impl Column for Hash {
    fn of(row: &Row, name: &str) -> Result<Self, sqlx::Error> {
        let bytes: Vec<u8> = row.get(name)?;
        let hash = Self::try_from(&bytes[..]);
        hash.map_err(|cause| sqlx::Error::ColumnDecode { index: name.to_owned(), source: Box::new(cause) })
    }
}

impl From<Context> for Hash {
    fn from(context: Context) -> Self {
        Self(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = InvalidHead;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidHead> {
        bytes.try_into().map(Self).map_err(|_| InvalidHead)
    }
}

/// How far a book goes: the number of its events, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many events.
    pub count: u64,
    /// The hash of the last, or all zeros.
    pub hash: Hash,
}

/// Not a hash, or not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is written `count:hash`, the hash as 64 hexadecimal digits, as `audit verify` prints it")]
pub struct InvalidHead;

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHead)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.count, self.hash)
    }
}

impl FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (count, hash) = text.split_once(':').ok_or(InvalidHead)?;
        Ok(Self { count: count.parse().map_err(|_| InvalidHead)?, hash: hash.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_chain_is_what_its_description_says() {
        // Computed with Python's hashlib from the formula at `Hash::then`.
        let first = Hash::GENESIS.then(1, "{}");
        assert_eq!(first.to_string(), EXPECTED_FIRST);
        assert_eq!(first.then(2, "{}").to_string(), EXPECTED_SECOND);
    }

    const EXPECTED_FIRST: &str = "7d4d72ed1f54c75ab223378ac6272a79afddc4ee55fb2cbf157f9e68a84e562c";
    const EXPECTED_SECOND: &str = "9009f92b85f3a0a974d06f7553833d8fb064772cf874ea8de543b93ff8ed0a92";

    proptest! {
        #[test]
        fn a_head_reads_as_it_is_written(count: u64, body in ".{0,20}") {
            let head = Head { count, hash: Hash::GENESIS.then(count, &body) };
            prop_assert_eq!(head.to_string().parse(), Ok(head));
        }

        #[test]
        fn another_body_or_number_gives_another_hash(a in ".{0,20}", b in ".{0,20}", i: u64, j: u64) {
            let same = Hash::GENESIS.then(i, &a) == Hash::GENESIS.then(j, &b);
            prop_assert_eq!(same, a == b && i == j);
        }
    }
}
